//! The rows of a table, whatever it is written in: text, Parquet or a workbook.

use std::borrow::Cow;
use std::path::Path;

use csv::ByteRecord;
use sequela_core::{Limits, Location};

use super::cells::{self, Fault, TimeFormat};
use super::columnar::ColumnRows;
use super::line::Cells;
use super::long::Lines;
use super::table::Table;
use super::workbook::{Kept, Workbook, is_packed};
use crate::parquet::{File, is_parquet};
use crate::{Error, bounded};

/// A table, row after row.
pub(crate) trait Rows {
    /// The names of the columns.
    fn header(&self) -> &[String];

    /// The file.
    fn place(&self) -> &Location;

    /// Where the header is.
    fn first(&self) -> Location;

    /// Says which columns will be asked for, before the first row is; of the others nothing needs
    /// to be read.
    fn select(&mut self, columns: &[usize]) -> Result<(), Error>;

    /// What a column holds that cannot be read.
    fn unread(&self, column: usize) -> Option<&'static str>;

    /// The next row; `None` at the end.
    fn next_row(&mut self) -> Result<Option<Row<'_>>, Error>;
}

/// One row of a table.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(super) cells: Held<'a>,
    /// Its line, or, in a table without lines, its number from 1.
    pub(super) number: u64,
}

/// Where the cells of a row are.
#[derive(Debug)]
pub(super) enum Held<'a> {
    Record(&'a ByteRecord),
    Line(&'a Cells),
    /// A row of the present batch.
    Columns(&'a ColumnRows, usize),
    /// A row of a sheet.
    Sheet(&'a [Kept]),
}

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Missing,
    Text(&'a str),
    Integer(i64),
    Unsigned(u64),
    Number(f64),
    Flag(bool),
    /// So many since 1970, and how many of them make a second.
    Instant(i64, u32),
}

impl<'a> Row<'a> {
    /// The cell of a column; empty past the last.
    pub(crate) fn cell(&self, column: usize) -> Cell<'a> {
        match self.cells {
            // Tables of text were checked as a whole, and separators are ASCII.
            Held::Record(record) => {
                let cell = record.get(column).and_then(|cell| std::str::from_utf8(cell).ok());
                Cell::Text(cell.unwrap_or_default())
            }
            Held::Line(cells) => Cell::Text(cells.get(column)),
            Held::Columns(rows, at) => rows.cell(column, at),
            Held::Sheet(row) => row.get(column).map_or(Cell::Missing, Kept::cell),
        }
    }

    /// The place of the row.
    pub(crate) fn place(&self, table: &Location) -> Location {
        match self.cells {
            Held::Record(_) | Held::Line(_) => table.clone().line(self.number),
            Held::Columns(..) | Held::Sheet(_) => table.clone().row(self.number),
        }
    }
}

impl<'a> Cell<'a> {
    /// Whether nothing is there.
    pub(crate) fn is_missing(self) -> bool {
        match self {
            Self::Missing => true,
            Self::Text(text) => cells::is_missing(text.trim()),
            Self::Number(number) => number.is_nan(),
            _ => false,
        }
    }

    /// The cell as text.
    pub(crate) fn text(self) -> Cow<'a, str> {
        match self {
            Self::Missing => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text.trim()),
            Self::Integer(number) => number.to_string().into(),
            Self::Unsigned(number) => number.to_string().into(),
            Self::Number(number) if number.is_nan() => Cow::Borrowed(""),
            Self::Number(number) => number.to_string().into(),
            Self::Flag(flag) => Cow::Borrowed(if flag { "true" } else { "false" }),
            Self::Instant(count, second) => instant(count, second).into(),
        }
    }

    /// The number in the cell; missing is NaN.
    pub(crate) fn value(self) -> Result<f32, Fault> {
        match self {
            Self::Missing => Ok(f32::NAN),
            Self::Text(text) => cells::value(text),
            Self::Number(number) if number.is_nan() => Ok(f32::NAN),
            Self::Number(number) if number.is_infinite() => Err(cells::INFINITE),
            Self::Number(number) => cells::narrow(number),
            Self::Integer(number) => cells::narrow(number as f64),
            Self::Unsigned(number) => cells::narrow(number as f64),
            Self::Flag(flag) => Ok(if flag { 1.0 } else { 0.0 }),
            Self::Instant(..) => Err(Fault {
                what: "the cell is a time, not a number",
                hint: "name it as the time of the table, or leave it out",
            }),
        }
    }

    /// The instant in the cell, in microseconds since 1970.
    pub(crate) fn instant(self) -> Result<i64, Fault> {
        match self {
            Self::Text(text) => cells::instant(text.trim()),
            Self::Instant(count, second) => {
                let whole = i128::from(count) * 1_000_000 / i128::from(second.max(1));
                i64::try_from(whole).map_err(|_| cells::NO_TIME)
            }
            Self::Missing => Err(cells::TIME_MISSING),
            _ => Err(cells::NO_TIME),
        }
    }

    /// The time in the cell, in hours.
    pub(super) fn time(self, format: TimeFormat) -> Result<f64, Fault> {
        let number = match self {
            Self::Text(text) => return cells::time(text, format),
            Self::Instant(count, second) if format == TimeFormat::DateTime => {
                return Ok(count as f64 / (3600.0 * f64::from(second)));
            }
            Self::Instant(..) => return Err(cells::A_DATE),
            Self::Integer(number) => number as f64,
            Self::Unsigned(number) => number as f64,
            Self::Number(number) if !number.is_nan() => number,
            Self::Flag(_) => return Err(cells::NO_TIME),
            Self::Missing | Self::Number(_) => return Err(cells::TIME_MISSING),
        };
        if number.is_infinite() {
            return Err(cells::INFINITE);
        }
        format.to_hours(number).ok_or(cells::NO_TIME)
    }
}

/// Microseconds since 1970 as ISO 8601, for people; the number where no date is so far away.
///
/// # Example
/// ```
/// assert_eq!(sequela_formats::instant_text(3_600_000_000), "1970-01-01T01:00:00Z");
/// ```
pub fn instant_text(microseconds: i64) -> String {
    instant(microseconds, 1_000_000)
}

/// An instant as ISO 8601; its count where it is out of the reach of dates.
fn instant(count: i64, second: u32) -> String {
    let second = i64::from(second.max(1));
    let nanoseconds = count.rem_euclid(second) * (1_000_000_000 / second);
    let nanoseconds = i32::try_from(nanoseconds).unwrap_or(0);
    jiff::Timestamp::new(count.div_euclid(second), nanoseconds)
        .map_or_else(|_| count.to_string(), |instant| instant.to_string())
}

/// Reads a table from a file with `read`; one of text is in memory as a whole.
pub(super) fn with_rows<T>(
    path: &Path,
    limits: &Limits,
    read: impl FnOnce(&mut dyn Rows) -> Result<T, Error>,
) -> Result<T, Error> {
    match kind(path)? {
        Written::Parquet => read(&mut ColumnRows::new(File::open(path, limits)?, path)),
        Written::Workbook => read(&mut Workbook::open(path, limits)?.rows()?),
        Written::Text => {
            let bytes = bounded::read_unpacked(path, limits)?;
            read(&mut Table::open(&bytes, path, limits)?)
        }
    }
}

/// Reads a table from bytes with `read`; `name` stands for the file in messages.
pub(crate) fn with_rows_of<T>(
    bytes: &[u8],
    name: &Path,
    limits: &Limits,
    read: impl FnOnce(&mut dyn Rows) -> Result<T, Error>,
) -> Result<T, Error> {
    if is_parquet(bytes) {
        return read(&mut ColumnRows::new(File::of_bytes(bytes, name, limits)?, name));
    }
    if is_packed(bytes) {
        return read(&mut Workbook::of_bytes(bytes.to_vec(), name, limits)?.rows()?);
    }
    read(&mut Table::open(bytes, name, limits)?)
}

/// Reads a table from a file with `read`, in a stream: the file may be larger than memory.
pub(crate) fn with_stream<T>(
    path: &Path,
    limits: &Limits,
    read: impl FnOnce(&mut dyn Rows) -> Result<T, Error>,
) -> Result<T, Error> {
    match kind(path)? {
        Written::Parquet => read(&mut ColumnRows::new(File::open(path, limits)?, path)),
        Written::Workbook => read(&mut Workbook::open(path, limits)?.rows()?),
        Written::Text => read(&mut Lines::open(path, limits)?),
    }
}

/// What a table is written in.
enum Written {
    Text,
    Parquet,
    Workbook,
}

/// What a file is, by its first bytes; one that is called like a workbook or a Parquet file is
/// held to its name, so that its fault is told in its own terms.
fn kind(path: &Path) -> Result<Written, Error> {
    let head = bounded::head(path)?;
    let called = |end: &str| path.extension().is_some_and(|is| is.eq_ignore_ascii_case(end));
    if is_parquet(&head) || called("parquet") {
        return Ok(Written::Parquet);
    }
    if is_packed(&head) || called("xlsx") || called("xlsm") {
        return Ok(Written::Workbook);
    }
    Ok(Written::Text)
}
