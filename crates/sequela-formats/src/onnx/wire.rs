//! The wire form of protocol buffers: numbered fields, one after the other.
//!
//! **Source** <https://protobuf.dev/programming-guides/encoding/>.

use std::path::Path;

use sequela_core::Location;

use crate::Error;

/// The fields of one message, read in place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    bytes: &'a [u8],
    /// Where the next field begins, in the message.
    at: usize,
    /// Where the message begins, in the file.
    base: usize,
    name: &'a Path,
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) content: Content<'a>,
    /// Where it begins, in the file.
    pub(super) at: usize,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'a> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    Bytes(Message<'a>),
}

impl<'a> Message<'a> {
    /// A whole file.
    pub(super) fn new(bytes: &'a [u8], name: &'a Path) -> Self {
        Self { bytes, at: 0, base: 0, name }
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The place of a byte of the file.
    pub(super) fn place(&self, at: usize) -> Location {
        Location::file(self.name).byte(at as u64)
    }

    pub(super) fn malformed(&self, at: usize, what: impl Into<String>) -> Error {
        Error::malformed(self.place(at), what, "fetch or export the file again")
    }

    /// The next field, or `None` at the end of the message.
    pub(super) fn next(&mut self) -> Result<Option<Field<'a>>, Error> {
        let start = self.base + self.at;
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = key >> 3;
        if number == 0 {
            return Err(self.malformed(start, "a field has the number 0"));
        }
        let content = match key & 7 {
            0 => Content::Varint(self.varint()?),
            1 => Content::Fixed64(self.fixed::<8>(start)?),
            5 => Content::Fixed32(self.fixed::<4>(start)?),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let base = self.base + self.at;
                let bytes = self.take(length).ok_or_else(|| {
                    self.malformed(start, "the file is cut short: a field ends behind its message")
                })?;
                Content::Bytes(Message { bytes, at: 0, base, name: self.name })
            }
            kind => {
                return Err(self.malformed(start, format!("a field is of the unknown kind {kind}")));
            }
        };
        Ok(Some(Field { number, content, at: start }))
    }

    /// A number of up to ten bytes, seven bits each, lowest first.
    pub(super) fn varint(&mut self) -> Result<u64, Error> {
        let start = self.base + self.at;
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(self.malformed(start, "the file is cut short inside a number"));
            };
            self.at += 1;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed(start, "a number has more than 64 bits"))
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    fn fixed<const N: usize>(&mut self, start: usize) -> Result<[u8; N], Error> {
        self.take(N)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| self.malformed(start, "the file is cut short inside a number"))
    }
}

/// Fields on their way out.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(low_bits(value) | 0x80);
            value >>= 7;
        }
        self.bytes.push(low_bits(value));
    }

    /// A whole number; 0 too.
    pub(super) fn integer(&mut self, field: u64, value: i64) {
        self.varint(field << 3);
        self.varint(value.cast_unsigned());
    }

    /// A single number.
    pub(super) fn float(&mut self, field: u64, value: f32) {
        self.varint(field << 3 | 5);
        self.bytes.extend(value.to_le_bytes());
    }

    /// Bytes with their length before them.
    pub(super) fn block(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// A text, left out where it is empty.
    pub(super) fn text(&mut self, field: u64, text: &str) {
        if !text.is_empty() {
            self.block(field, text.as_bytes());
        }
    }

    /// A message in the message.
    pub(super) fn message(&mut self, field: u64, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.block(field, &inner.bytes);
    }
}

/// The lowest seven bits.
fn low_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7F).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_sizes_come_back() {
        let values = [0, 1, 127, 128, 300, i64::MAX, -1, i64::MIN];
        let mut writer = Writer::default();
        for value in values {
            writer.integer(7, value);
        }
        let mut message = Message::new(&writer.bytes, Path::new("a"));
        for value in values {
            let field = message.next().unwrap().unwrap();
            assert_eq!(field.number, 7);
            assert!(matches!(field.content, Content::Varint(v) if v.cast_signed() == value));
        }
        assert!(message.next().unwrap().is_none());
    }

    #[test]
    fn odd_bytes_are_refused_with_their_place() {
        for (bytes, words) in [
            (&[0x08, 0x80][..], "at byte 1: the file is cut short inside a number"),
            (&[0x00], "at byte 0: a field has the number 0"),
            (&[0x0B], "at byte 0: a field is of the unknown kind 3"),
            (&[0x0A, 0x05, 0x01], "at byte 0: the file is cut short: a field ends behind"),
            (&[0x0D, 1, 2, 3], "at byte 0: the file is cut short inside a number"),
            (&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], "more than 64 bits"),
        ] {
            let error = Message::new(bytes, Path::new("a")).next().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
