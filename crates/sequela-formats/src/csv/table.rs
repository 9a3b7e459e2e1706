//! Rows and lines of delimited text, checked for what the row reader would let pass.

use std::path::Path;

use csv::ByteRecord;
use sequela_core::{Limits, Location};

use super::rows::{Held, Row, Rows};
use crate::{Error, bounded};

/// The header of a table and its rows, one at a time.
#[derive(Debug)]
pub(super) struct Table<'a> {
    reader: csv::Reader<&'a [u8]>,
    record: ByteRecord,
    lines: Lines<'a>,
    header: Vec<String>,
    location: Location,
}

impl<'a> Table<'a> {
    /// Checks the text as a whole and reads the header.
    pub(super) fn open(bytes: &'a [u8], name: &Path, limits: &Limits) -> Result<Self, Error> {
        let location = Location::file(name);
        let text = bounded::text(bytes, name)?;
        let first = text.lines().find(|line| !line.trim().is_empty()).ok_or_else(|| {
            Error::malformed(location.clone(), "the file is empty", "give it a header and rows")
        })?;
        let delimiter = guess_delimiter(first);
        check_lines(text, delimiter, &location, limits)?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut record = ByteRecord::new();
        let malformed = |error: &csv::Error| {
            Error::malformed(location.clone(), error.to_string(), "correct the table")
        };
        reader.read_byte_record(&mut record).map_err(|error| malformed(&error))?;
        if record.len() as u64 > limits.channels {
            return Err(Error::Limit {
                location: location.line(1).into(),
                what: "the number of columns".to_owned(),
                limit: limits.channels,
            });
        }
        let header =
            record.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
        let lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
        Ok(Self { reader, record, lines, header, location })
    }
}

impl Rows for Table<'_> {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn place(&self) -> &Location {
        &self.location
    }

    fn first(&self) -> Location {
        self.location.clone().line(1)
    }

    fn select(&mut self, _: &[usize]) -> Result<(), Error> {
        Ok(())
    }

    fn unread(&self, _: usize) -> Option<&'static str> {
        None
    }

    /// The next row with its line; `None` at the end. Blank lines are skipped.
    ///
    /// Every row has as many cells as the header.
    fn next_row(&mut self) -> Result<Option<Row<'_>>, Error> {
        let place = &self.location;
        let more = self.reader.read_byte_record(&mut self.record).map_err(|error| {
            Error::malformed(place.clone(), error.to_string(), "correct the table")
        })?;
        if !more {
            return Ok(None);
        }
        let start = self.record.position().map_or(0, csv::Position::byte);
        let number = self.lines.of(start);
        if self.record.len() != self.header.len() {
            return Err(Error::malformed(
                place.clone().line(number),
                format!("the row has {} cells, not {}", self.record.len(), self.header.len()),
                "quote cells that hold the separator, or correct the row",
            ));
        }
        Ok(Some(Row { cells: Held::Record(&self.record), number }))
    }
}

/// Counts lines. The row reader's own count is behind where lines end in `\r\n` or are blank.
#[derive(Debug)]
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the row that begins at `start` or after the line ends there; each call asks
    /// for a later one.
    fn of(&mut self, start: u64) -> u64 {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        while let Some(&byte) = self.text.get(self.at)
            && (self.at < start || byte == b'\n' || byte == b'\r')
        {
            self.line += u64::from(byte == b'\n');
            self.at += 1;
        }
        self.line
    }
}

/// The separator that the header holds most of; a comma where it holds none.
pub(super) fn guess_delimiter(header: &str) -> u8 {
    let mut best = (b',', 0);
    for delimiter in *b",;\t|" {
        let mut quoted = false;
        let mut count = 0;
        for byte in header.bytes() {
            if byte == b'"' {
                quoted = !quoted;
            } else if byte == delimiter && !quoted {
                count += 1;
            }
        }
        if count > best.1 {
            best = (delimiter, count);
        }
    }
    best.0
}

/// Refuses lines over the limit and quotes that are never closed, which would otherwise swallow
/// the rest of the table in silence.
fn check_lines(
    text: &str,
    delimiter: u8,
    location: &Location,
    limits: &Limits,
) -> Result<(), Error> {
    let mut opened = None;
    let mut at_start = true;
    let (mut line, mut length) = (1, 0_u64);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        length += 1;
        if byte == b'\n' {
            line += 1;
            length = 0;
        } else if length > limits.line_bytes {
            return Err(Error::Limit {
                location: location.clone().line(line).into(),
                what: "the line (in bytes)".to_owned(),
                limit: limits.line_bytes,
            });
        }
        if opened.is_some() {
            // A doubled quote stands for one and does not close the cell.
            if byte == b'"' && bytes.next_if_eq(&b'"').is_none() {
                opened = None;
            }
        } else if byte == b'"' && at_start {
            opened = Some(line);
        }
        at_start = opened.is_none() && (byte == delimiter || byte == b'\n' || byte == b'\r');
    }
    match opened {
        None => Ok(()),
        Some(line) => Err(Error::malformed(
            location.clone().line(line),
            "the quote that opens here is never closed",
            "close it, or remove it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_guessed_outside_quotes() {
        assert_eq!(guess_delimiter("a,b"), b',');
        assert_eq!(guess_delimiter("\"a,b,c\";d"), b';');
        assert_eq!(guess_delimiter("a\tb"), b'\t');
        assert_eq!(guess_delimiter("alone"), b',');
    }

    #[test]
    fn quotes_inside_cells_are_no_fault() {
        let check = |text| check_lines(text, b',', &Location::default(), &Limits::default());
        assert!(check("a,b\n\"x \"\"y\"\" z\",5\n6 \"inch,2\n").is_ok());
        assert!(check("a\n\"two\nlines\"\n").is_ok());
        let error = check("a,b\n1,2\n\"x,3\n4,5\n").unwrap_err();
        assert!(error.to_string().starts_with("input:3: the quote"), "{error}");
    }
}
