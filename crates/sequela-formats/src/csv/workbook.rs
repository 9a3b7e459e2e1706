//! The rows of the first sheet of a workbook (`.xlsx`, `.xlsm`).
//!
//! Rows come one after another, so that a cell that is said to lie in the last column of the last row takes
//! no more memory than any other. What [`parts`] refuses is refused before anything is read of it.
//!
//! **Source** ECMA-376, part 1, section 18; the crate calamine.

use std::io::Cursor;
use std::path::Path;

use calamine::{DataRef, Reader, Xlsx, XlsxCellReader};
use sequela_core::{Limits, Location};

use super::parts;
use super::rows::{Cell, Held, Row, Rows};
use crate::{Error, bounded};

/// A workbook that was opened.
pub(super) struct Workbook {
    book: Xlsx<Cursor<Vec<u8>>>,
    place: Location,
    limits: Limits,
}

impl Workbook {
    /// Opens a file.
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        Self::of_bytes(bounded::read(path, limits)?, path, limits)
    }

    /// Opens the bytes of a file; `name` stands for it in messages.
    pub(super) fn of_bytes(bytes: Vec<u8>, name: &Path, limits: &Limits) -> Result<Self, Error> {
        let place = Location::file(name);
        parts::check(&bytes, &place, limits)?;
        let book = Xlsx::new(Cursor::new(bytes)).map_err(|error| broken(&place, &error))?;
        Ok(Self { book, place, limits: *limits })
    }

    /// The rows of its first sheet.
    pub(super) fn rows(&mut self) -> Result<SheetRows<'_>, Error> {
        let Some(name) = self.book.sheet_names().first().cloned() else {
            let what = "the workbook has no sheet";
            return Err(Error::malformed(self.place.clone(), what, "save it with one"));
        };
        let (place, limits) = (self.place.clone(), self.limits);
        let cells = self.book.worksheet_cells_reader(&name);
        let cells = cells.map_err(|error| broken(&place, &error))?;
        let (header, here) = (Vec::new(), Vec::new());
        let (first, next, ended, text) = (1, None, false, 0);
        let mut rows = SheetRows { cells, place, limits, header, first, next, ended, here, text };
        rows.read_header(&name)?;
        Ok(rows)
    }
}

pub(super) fn broken(place: &Location, error: &dyn std::fmt::Display) -> Error {
    Error::malformed(
        place.clone(),
        format!("it is no workbook that can be read ({error})"),
        "save it as .xlsx again, or as CSV",
    )
}

/// A value that outlives the sheet's buffer.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    Missing,
    Text(String),
    Number(f64),
    Integer(i64),
    Flag(bool),
    /// Milliseconds since 1970.
    Instant(i64),
}

impl Kept {
    fn of(value: &DataRef<'_>) -> Self {
        match value {
            DataRef::Empty => Self::Missing,
            DataRef::Int(number) => Self::Integer(*number),
            DataRef::Float(number) => Self::Number(*number),
            DataRef::Bool(flag) => Self::Flag(*flag),
            DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
                Self::Text(text.clone())
            }
            DataRef::SharedString(text) => Self::Text((*text).to_owned()),
            DataRef::DateTime(time) if time.is_datetime() => {
                let (year, month, day, hour, minute, second, milli) = time.to_ymd_hms_milli();
                instant([year.into(), month.into(), day.into()], [hour, minute, second], milli)
                    .map_or(Self::Number(time.as_f64()), Self::Instant)
            }
            DataRef::DateTime(time) => Self::Number(time.as_f64()),
            // `#N/A` is how a workbook says that something is missing.
            DataRef::Error(error) if error.to_string() == "#N/A" => Self::Missing,
            DataRef::Error(error) => Self::Text(error.to_string()),
        }
    }

    pub(super) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Missing => Cell::Missing,
            Self::Text(text) => Cell::Text(text),
            Self::Number(number) => Cell::Number(*number),
            Self::Integer(number) => Cell::Integer(*number),
            Self::Flag(flag) => Cell::Flag(*flag),
            Self::Instant(milliseconds) => Cell::Instant(*milliseconds, 1000),
        }
    }
}

fn instant([year, month, day]: [i64; 3], time: [u8; 3], milli: u16) -> Option<i64> {
    let small = |value: i64| i8::try_from(value).ok();
    let date =
        jiff::civil::Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
    let days = date.since(jiff::civil::date(1970, 1, 1)).ok()?.get_days();
    let [hour, minute, second] = time.map(i64::from);
    let seconds = i64::from(days) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(seconds * 1000 + i64::from(milli))
}

/// A cell and its row and column, from 0.
type Placed = ((u32, u32), Kept);

/// The rows of a sheet.
pub(super) struct SheetRows<'a> {
    cells: XlsxCellReader<'a, Cursor<Vec<u8>>>,
    place: Location,
    limits: Limits,
    header: Vec<String>,
    /// The row of the header, from 1.
    first: u64,
    /// The first cell of the next row.
    next: Option<Placed>,
    ended: bool,
    here: Vec<Kept>,
    /// Bytes of its texts.
    text: u64,
}

impl SheetRows<'_> {
    fn read_header(&mut self, sheet: &str) -> Result<(), Error> {
        let Some(number) = self.read_row(None)? else {
            let what = format!("the first sheet, {sheet}, is empty");
            return Err(Error::malformed(
                self.place.clone(),
                what,
                "put the table on the first sheet, names of columns in its first row",
            ));
        };
        self.first = number;
        self.header = self.here.iter().map(|name| name.cell().text().into_owned()).collect();
        Ok(())
    }

    /// Reads the next row that has a cell, of so many columns; its number from 1.
    fn read_row(&mut self, columns: Option<usize>) -> Result<Option<u64>, Error> {
        self.here.clear();
        self.text = 0;
        let Some(((row, column), value)) = self.take_cell()? else { return Ok(None) };
        self.put(column, value, columns)?;
        let number = u64::from(row) + 1;
        if number > self.limits.steps {
            return Err(Error::Limit {
                location: self.place.clone().row(number).into(),
                what: "the number of rows".to_owned(),
                limit: self.limits.steps,
            });
        }
        while let Some(((next, column), value)) = self.take_cell()? {
            if next < row {
                let place = self.place.clone().row(u64::from(next) + 1);
                return Err(Error::malformed(
                    place,
                    "the rows go backwards",
                    "save the workbook again",
                ));
            }
            if next > row {
                self.next = Some(((next, column), value));
                break;
            }
            self.put(column, value, columns)?;
        }
        Ok(Some(number))
    }

    /// The next cell that holds something.
    fn take_cell(&mut self) -> Result<Option<Placed>, Error> {
        if let Some(cell) = self.next.take() {
            return Ok(Some(cell));
        }
        // After the last cell the sheet's own end is no longer there to be found.
        while !self.ended {
            let cell = self.cells.next_cell().map_err(|error| broken(&self.place, &error))?;
            let Some(cell) = cell else {
                self.ended = true;
                break;
            };
            let kept = Kept::of(cell.get_value());
            if !matches!(kept, Kept::Missing) {
                return Ok(Some((cell.get_position(), kept)));
            }
        }
        Ok(None)
    }

    fn put(&mut self, column: u32, value: Kept, columns: Option<usize>) -> Result<(), Error> {
        let column = column as usize;
        if columns.is_some_and(|columns| column >= columns) {
            // Notes beside the table.
            return Ok(());
        }
        if column as u64 >= self.limits.channels {
            return Err(Error::Limit {
                location: self.place.clone().into(),
                what: "the number of columns".to_owned(),
                limit: self.limits.channels,
            });
        }
        if let Kept::Text(text) = &value {
            self.text += text.len() as u64;
            if self.text > self.limits.line_bytes {
                return Err(Error::Limit {
                    location: self.place.clone().into(),
                    what: "the texts of a row (in bytes)".to_owned(),
                    limit: self.limits.line_bytes,
                });
            }
        }
        if self.here.len() <= column {
            self.here.resize(column + 1, Kept::Missing);
        }
        if let Some(cell) = self.here.get_mut(column) {
            *cell = value;
        }
        Ok(())
    }
}

impl Rows for SheetRows<'_> {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn place(&self) -> &Location {
        &self.place
    }

    fn first(&self) -> Location {
        self.place.clone().row(self.first)
    }

    fn select(&mut self, _: &[usize]) -> Result<(), Error> {
        Ok(())
    }

    fn unread(&self, _: usize) -> Option<&'static str> {
        None
    }

    fn next_row(&mut self) -> Result<Option<Row<'_>>, Error> {
        while let Some(number) = self.read_row(Some(self.header.len()))? {
            // A row that has notes beside the table, and nothing in it, is none of it.
            if !self.here.is_empty() {
                return Ok(Some(Row { cells: Held::Sheet(&self.here), number }));
            }
        }
        Ok(None)
    }
}

/// Whether these are the first bytes of a packed file, as a workbook is one.
pub(super) fn is_packed(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}
