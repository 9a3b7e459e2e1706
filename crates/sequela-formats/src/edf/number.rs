//! Fields of fixed width: texts and numbers, and where in the file they stand.

use std::path::Path;

use sequela_core::Location;

use crate::Error;

/// Takes fields off the bytes of a header, one after the other.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    name: &'a Path,
}

/// One field: its bytes, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    bytes: &'a [u8],
    at: usize,
    name: &'a Path,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], name: &'a Path) -> Self {
        Self { bytes, at: 0, name }
    }

    /// The next `width` bytes.
    pub(super) fn next(&mut self, width: usize) -> Result<Field<'a>, Error> {
        let field = self.bytes.get(self.at..self.at + width).ok_or_else(|| {
            let place = Location::file(self.name).byte(self.bytes.len() as u64);
            Error::malformed(place, "the header is cut short", "fetch the file again")
        })?;
        let found = Field { bytes: field, at: self.at, name: self.name };
        self.at += width;
        Ok(found)
    }
}

impl<'a> Field<'a> {
    /// The field without the spaces and zero bytes around it, as text.
    ///
    /// The standard allows ASCII alone; units are met in UTF-8 and in Latin-1 all the same.
    pub(super) fn text(&self) -> String {
        let trimmed = self.trimmed();
        match std::str::from_utf8(trimmed) {
            Ok(text) => text.to_owned(),
            Err(_) => trimmed.iter().copied().map(char::from).collect(),
        }
    }

    fn trimmed(&self) -> &'a [u8] {
        let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
        let start = self.bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(self.bytes.len());
        let end = self.bytes.iter().rposition(|byte| !is_blank(byte)).map_or(start, |at| at + 1);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// A number, which may have a fraction.
    pub(super) fn number(&self, what: &str) -> Result<f64, Error> {
        let trimmed = self.trimmed();
        if trimmed.is_empty() {
            return Err(self.fault(
                what,
                "the field is blank",
                "fill it in, or fetch the file again",
            ));
        }
        if trimmed.contains(&b',') {
            let found = "the number is written with a comma";
            return Err(self.fault(what, found, "write a point, as the format has it"));
        }
        // `inf` and `nan` are numbers to Rust, and none here.
        let is_of_number =
            |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let text = std::str::from_utf8(trimmed).ok();
        let number = text.filter(|text| text.as_bytes().iter().all(is_of_number));
        let number = number.and_then(|text| text.parse::<f64>().ok());
        number.filter(|number| number.is_finite()).ok_or_else(|| {
            let hint = "is this an EDF or BDF file? correct the field, or fetch the file again";
            self.fault(what, "the field is not a number", hint)
        })
    }

    /// A whole number between two.
    pub(super) fn whole(&self, what: &str, low: i64, high: i64) -> Result<i64, Error> {
        let number = self.number(what)?;
        // Below 2^53 such a number is exact.
        if number.fract().abs() > 0.0 || number < low as f64 || number > high as f64 {
            let found = format!("it is not a whole number from {low} to {high}");
            return Err(self.fault(what, &found, "correct the field, or fetch the file again"));
        }
        #[allow(clippy::cast_possible_truncation, reason = "it is whole and between two i64")]
        Ok(number as i64)
    }

    /// What is wrong with this field; its content is not told.
    pub(super) fn fault(&self, what: &str, found: &str, hint: &str) -> Error {
        Error::malformed(self.place().field(what), found, hint)
    }

    pub(super) fn place(&self) -> Location {
        Location::file(self.name).byte(self.at as u64)
    }

    pub(super) fn at(&self) -> u64 {
        self.at as u64
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}
