//! The header of an `.npy` file: a Python dictionary with three known keys.

use sequela_core::Location;

use crate::Error;

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) element: String,
    pub(super) kind: Kind,
    pub(super) big_endian: bool,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<u64>,
}

/// The element type; the number is its size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Unsigned(u8),
    Signed(u8),
    Float(u8),
}

impl Kind {
    /// Bytes of one element.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Unsigned(bytes) | Self::Signed(bytes) | Self::Float(bytes) => usize::from(bytes),
        }
    }
}

impl Header {
    /// The header and the bytes after it.
    pub(super) fn parse<'a>(
        bytes: &'a [u8],
        location: &Location,
    ) -> Result<(Self, &'a [u8]), Error> {
        let fault = |what: &str| Error::malformed(location.clone(), what, HINT);
        let rest = bytes.strip_prefix(&MAGIC).ok_or_else(|| fault("this is not an .npy file"))?;
        let cut = || fault("the header is cut short");
        let (length, rest) = match rest {
            [1, 0, a, b, rest @ ..] => (u32::from(u16::from_le_bytes([*a, *b])), rest),
            [2 | 3, 0, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]), rest),
            [1..=3, 0, ..] | [1..=3] | [] => return Err(cut()),
            _ => return Err(fault("the version of the format is not 1.0, 2.0 or 3.0")),
        };
        if length > LONGEST {
            let location = location.clone().into();
            let what = "the header (in bytes)".to_owned();
            return Err(Error::Limit { location, what, limit: u64::from(LONGEST) });
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (text, data) = rest.split_at_checked(length).ok_or_else(cut)?;
        let text = std::str::from_utf8(text).map_err(|_| fault("the header is not text"))?;
        Ok((Self::parse_text(text, location)?, data))
    }

    fn parse_text(text: &str, location: &Location) -> Result<Self, Error> {
        let fault = |what: &str| Error::malformed(location.clone(), what, HINT);
        let mut scanner = Scanner { rest: text };
        let (mut element, mut fortran_order, mut shape) = (None, None, None);
        scanner.expect('{').ok_or_else(|| fault("the header is not a dictionary"))?;
        while scanner.expect('}').is_none() {
            let key = scanner.string().ok_or_else(|| fault("a key of the header is damaged"))?;
            scanner.expect(':').ok_or_else(|| fault("a key of the header has no value"))?;
            let known = match key {
                "descr" if element.is_none() => {
                    if scanner.peek('[') {
                        return Err(unsupported(location, "a structured type"));
                    }
                    element = scanner.string();
                    element.is_some()
                }
                "fortran_order" if fortran_order.is_none() => {
                    fortran_order = scanner.truth();
                    fortran_order.is_some()
                }
                "shape" if shape.is_none() => {
                    shape = scanner.tuple();
                    shape.is_some()
                }
                _ => false,
            };
            if !known {
                return Err(fault("the header has an unknown or damaged entry"));
            }
            if scanner.expect(',').is_none() && !scanner.peek('}') {
                return Err(fault("the header is damaged"));
            }
        }
        if !scanner.rest.trim().is_empty() {
            return Err(fault("something follows the dictionary in the header"));
        }
        let (Some(element), Some(fortran_order), Some(shape)) = (element, fortran_order, shape)
        else {
            return Err(fault("the header lacks descr, fortran_order or shape"));
        };
        let (kind, big_endian) =
            kind_of(element).ok_or_else(|| unsupported(location, "of this element type"))?;
        Ok(Self { element: element.to_owned(), kind, big_endian, fortran_order, shape })
    }
}

fn unsupported(location: &Location, what: &str) -> Error {
    Error::unsupported(
        location.clone().field("descr"),
        format!("the array is {what}"),
        "save it as float32, float64 or an integer type",
    )
}

/// Kind and byte order (true: big-endian) of `NumPy`'s name of a type.
fn kind_of(element: &str) -> Option<(Kind, bool)> {
    let mut letters = element.chars();
    let big_endian = match letters.next()? {
        '<' | '|' => false,
        '>' => true,
        '=' => cfg!(target_endian = "big"),
        _ => return None,
    };
    let kind = match letters.as_str() {
        "b1" => Kind::Bool,
        "u1" => Kind::Unsigned(1),
        "u2" => Kind::Unsigned(2),
        "u4" => Kind::Unsigned(4),
        "u8" => Kind::Unsigned(8),
        "i1" => Kind::Signed(1),
        "i2" => Kind::Signed(2),
        "i4" => Kind::Signed(4),
        "i8" => Kind::Signed(8),
        "f2" => Kind::Float(2),
        "f4" => Kind::Float(4),
        "f8" => Kind::Float(8),
        _ => return None,
    };
    Some((kind, big_endian))
}

/// Reads the few Python literals of a header from left to right.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn peek(&mut self, wanted: char) -> bool {
        self.skip_space();
        self.rest.starts_with(wanted)
    }

    fn expect(&mut self, wanted: char) -> Option<()> {
        self.skip_space();
        self.rest = self.rest.strip_prefix(wanted)?;
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        self.skip_space();
        let quote = self.rest.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
        let (text, rest) = self.rest.strip_prefix(quote)?.split_once(quote)?;
        self.rest = rest;
        Some(text)
    }

    fn truth(&mut self) -> Option<bool> {
        self.skip_space();
        let (value, rest) = match self.rest.strip_prefix("True") {
            Some(rest) => (true, rest),
            None => (false, self.rest.strip_prefix("False")?),
        };
        self.rest = rest;
        Some(value)
    }

    /// A tuple of whole numbers, of at most 32 as in `NumPy`.
    fn tuple(&mut self) -> Option<Vec<u64>> {
        self.expect('(')?;
        let mut numbers = Vec::new();
        while self.expect(')').is_none() {
            self.skip_space();
            let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = self.rest.split_at_checked(digits)?;
            numbers.push(number.parse().ok()?);
            // Python 2 wrote long integers with an L.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            if numbers.len() > 32 || (self.expect(',').is_none() && !self.peek(')')) {
                return None;
            }
        }
        Some(numbers)
    }
}

pub(super) const MAGIC: [u8; 6] = *b"\x93NUMPY";
/// Bytes of the longest header that is read; `NumPy` refuses longer ones too (10,000 by default).
const LONGEST: u32 = 65_536;
const HINT: &str = "save the array again with numpy.save";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Header, Error> {
        Header::parse_text(text, &Location::default())
    }

    #[test]
    fn headers_as_numpy_writes_them() {
        let header =
            parse("{'descr': '>i4', 'fortran_order': True, 'shape': (3L, 4), }   \n").unwrap();
        assert_eq!(header.shape, [3, 4]);
        assert_eq!((header.kind, header.big_endian), (Kind::Signed(4), true));
        assert!(header.fortran_order);
        assert!(parse("{'shape': (), 'descr': '|u1', 'fortran_order': False}").is_ok());
    }

    #[test]
    fn headers_that_break_the_rules_are_refused() {
        for text in [
            "",
            "{",
            "{'descr': '<f8'}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'more': 1}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-3,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3,)} x",
            "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (3,)}",
        ] {
            assert!(matches!(parse(text), Err(Error::Malformed { .. })), "{text}");
        }
        for descr in ["'|O'", "[('a', '<f8')]", "'<c16'", "'<M8[ns]'", "''"] {
            let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (3,)}}");
            assert!(matches!(parse(&text), Err(Error::Unsupported { .. })), "{text}");
        }
    }
}
