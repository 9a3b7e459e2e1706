//! The wire of Parquet's footers and page headers: Thrift's compact protocol.
//!
//! A list is never believed to be longer than the bytes that are left, and structures within
//! structures are followed to a fixed depth, so that nothing is allocated or called by a number
//! that a file declares. **Source** the compact protocol of Apache Thrift.

use super::broken::Broken;

/// A position in bytes of the compact protocol.
#[derive(Debug, Clone)]
pub(super) struct Wire<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What stands in a field or in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    True,
    False,
    Byte,
    Integer,
    Double,
    Bytes,
    List,
    Map,
    Struct,
}

impl<'a> Wire<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Calls `visit` with the number and kind of each field of a structure; it reads the field, or
    /// gives `false` to have it passed over.
    pub(super) fn fields(
        &mut self,
        visit: &mut dyn FnMut(&mut Self, i16, Kind) -> Result<bool, Broken>,
    ) -> Result<(), Broken> {
        let mut id = 0_i16;
        while let Some((next, kind)) = self.field(id)? {
            id = next;
            if !visit(self, id, kind)? {
                self.skip(kind, DEPTH)?;
            }
        }
        Ok(())
    }

    /// The next field of a structure; `None` at its end.
    fn field(&mut self, last: i16) -> Result<Option<(i16, Kind)>, Broken> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let step = i16::from(head >> 4);
        let id = if step == 0 {
            i16::try_from(self.integer()?).map_err(|_| WRONG)?
        } else {
            last.checked_add(step).ok_or(WRONG)?
        };
        Ok(Some((id, kind(head & 0xF)?)))
    }

    /// Number and kind of the elements of a list; each has a byte at least.
    pub(super) fn list(&mut self) -> Result<(usize, Kind), Broken> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            few => u64::from(few),
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > self.bytes.len() - self.at {
            return Err(Broken::Malformed("a list says it is longer than what holds it"));
        }
        Ok((count, kind(head & 0xF)?))
    }

    /// A whole number of any width.
    pub(super) fn integer(&mut self) -> Result<i64, Broken> {
        let bits = self.varint()?;
        Ok((bits >> 1).cast_signed() ^ -((bits & 1).cast_signed()))
    }

    /// A whole number that counts something.
    pub(super) fn count(&mut self) -> Result<u64, Broken> {
        u64::try_from(self.integer()?).map_err(|_| Broken::Malformed("a size is negative"))
    }

    /// Text or bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Broken> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        let end = self.at.checked_add(length).ok_or(Broken::Cut)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Broken::Cut)?;
        self.at = end;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        let byte = *self.bytes.get(self.at).ok_or(Broken::Cut)?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WRONG)
    }

    fn skip(&mut self, kind: Kind, depth: u32) -> Result<(), Broken> {
        let depth = depth.checked_sub(1).ok_or(DEEP)?;
        match kind {
            Kind::True | Kind::False => Ok(()),
            Kind::Byte => self.byte().map(drop),
            Kind::Integer => self.varint().map(drop),
            Kind::Double => {
                self.at += 8;
                if self.at <= self.bytes.len() { Ok(()) } else { Err(Broken::Cut) }
            }
            Kind::Bytes => self.bytes().map(drop),
            Kind::List => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| self.skip_element(kind, depth))
            }
            Kind::Map => {
                let count = self.varint()?;
                if count == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                let (key, value) = (self::kind(kinds >> 4)?, self::kind(kinds & 0xF)?);
                for _ in 0..count {
                    self.skip_element(key, depth)?;
                    self.skip_element(value, depth)?;
                }
                Ok(())
            }
            Kind::Struct => {
                let mut id = 0;
                while let Some((next, kind)) = self.field(id)? {
                    id = next;
                    self.skip(kind, depth)?;
                }
                Ok(())
            }
        }
    }

    /// An element of a list: truth values have a byte there.
    fn skip_element(&mut self, kind: Kind, depth: u32) -> Result<(), Broken> {
        match kind {
            Kind::True | Kind::False => self.byte().map(drop),
            _ => self.skip(kind, depth),
        }
    }
}

fn kind(code: u8) -> Result<Kind, Broken> {
    Ok(match code {
        1 => Kind::True,
        2 => Kind::False,
        3 => Kind::Byte,
        4..=6 => Kind::Integer,
        7 => Kind::Double,
        8 => Kind::Bytes,
        9 | 10 => Kind::List,
        11 => Kind::Map,
        12 => Kind::Struct,
        _ => return Err(WRONG),
    })
}

/// Structures within structures at most; Parquet's own have six.
const DEPTH: u32 = 24;
const WRONG: Broken = Broken::Malformed("the bytes are no Thrift structure");
const DEEP: Broken = Broken::Malformed("structures lie too deep within each other");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lists_and_ends() {
        assert_eq!(Wire::new(&[0xAC, 0x02]).integer().unwrap(), 150);
        assert_eq!(Wire::new(&[0x03]).integer().unwrap(), -2);
        assert!(Wire::new(&[0x03]).count().is_err());
        assert!(matches!(Wire::new(&[0x80]).integer(), Err(Broken::Cut)));
        assert!(Wire::new(&[0xFF; 10]).integer().is_err());
        // A list of 2147483647 structures in a handful of bytes.
        let long = [0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, 0, 0];
        assert!(matches!(Wire::new(&long).list(), Err(Broken::Malformed(_))));
        assert_eq!(Wire::new(&[0x2C, 0, 0]).list().unwrap(), (2, Kind::Struct));
    }

    #[test]
    fn depth_is_bounded_and_unknown_fields_are_passed_over() {
        let deep = [0x1C; 5000];
        let error = Wire::new(&deep).fields(&mut |_, _, _| Ok(false)).unwrap_err();
        assert!(matches!(error, Broken::Malformed(text) if text.contains("too deep")));
        let lists = [0x19_u8].into_iter().chain([0x19; 5000]).collect::<Vec<_>>();
        assert!(Wire::new(&lists).fields(&mut |_, _, _| Ok(false)).is_err());
        // Field 1 a map of bytes to integers, field 2 true, field 9 text.
        let bytes = [0x1B, 1, 0x36, 5, 2, 0x11, 0x78, 1, b'x', 0, 77];
        let mut seen = Vec::new();
        let mut wire = Wire::new(&bytes);
        wire.fields(&mut |_, id, kind| {
            seen.push((id, kind));
            Ok(false)
        })
        .unwrap();
        assert_eq!(seen, [(1, Kind::Map), (2, Kind::True), (9, Kind::Bytes)]);
        assert_eq!(wire.position(), 10);
    }
}
