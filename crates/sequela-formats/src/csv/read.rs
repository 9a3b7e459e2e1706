//! From a table to the series of its subjects.

use std::collections::BTreeMap;
use std::path::Path;

use sequela_core::{Limits, Location};

use super::cells::{Fault, TimeFormat};
use super::columns::{Positions, SeriesColumns, ValueColumn, refuse_duplicates};
use super::rows::{Cell, Row, Rows, with_rows, with_rows_of};
use crate::Error;

/// The rows of one subject, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The subject; `None` where the table has no subject column.
    pub subject: Option<String>,
    /// Hours, never going backwards; `None` where the table has no time column.
    pub times: Option<Vec<f64>>,
    /// `(T, F)` row by row, finite or NaN; NaN is a missing cell.
    pub values: Vec<f32>,
    /// Number of missing cells among them.
    pub missing: u64,
    /// Line of the first row; its number in a table that has no lines.
    pub first_line: u64,
}

/// All series of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesTable {
    /// The value columns, F of them.
    pub columns: Vec<ValueColumn>,
    /// How times were written, where there are times.
    pub time_format: Option<TimeFormat>,
    /// One series for each subject, in order of first appearance.
    pub series: Vec<Series>,
}

/// Reads a table from a file: text, plain or gzip, or Parquet.
///
/// # Errors
/// As [`bounded::read_unpacked`](crate::bounded::read_unpacked) and [`parse_series`].
pub fn read_series(
    path: &Path,
    columns: &SeriesColumns,
    limits: &Limits,
) -> Result<SeriesTable, Error> {
    with_rows(path, limits, |rows| series_of_rows(rows, columns, limits))
}

/// Reads a table from bytes; `name` stands for the file in messages.
///
/// Rows of several subjects may be interleaved; times must not go backwards within a subject.
///
/// **Missing data** missing cells are NaN in [`Series::values`]; a missing time or subject is an
/// error. **Cost** linear in the bytes; memory of the values.
///
/// # Errors
/// [`Error::MissingColumn`] with the nearest name; [`Error::Malformed`] with line and field for
/// text in a number field, infinite values, times that go backwards, a wrong number of cells, an
/// unclosed quote, a header with two equal names, a table with no row, text that is not UTF-8;
/// [`Error::Limit`] over lines, columns, steps or subjects.
pub fn parse_series(
    bytes: &[u8],
    name: &Path,
    columns: &SeriesColumns,
    limits: &Limits,
) -> Result<SeriesTable, Error> {
    with_rows_of(bytes, name, limits, |rows| series_of_rows(rows, columns, limits))
}

fn series_of_rows(
    table: &mut dyn Rows,
    columns: &SeriesColumns,
    limits: &Limits,
) -> Result<SeriesTable, Error> {
    let first = table.first();
    refuse_duplicates(table.header(), &first)?;
    let positions = Positions::find(columns, table.header(), &first)?;
    let mut wanted = positions.values.clone();
    wanted.extend(positions.subject);
    wanted.extend(positions.time.map(|(at, _)| at));
    table.select(&wanted)?;
    let mut gathered = Gathered::default();
    let place = table.place().clone();
    while let Some(row) = table.next_row()? {
        gathered.add(&row, &positions, columns, &place, limits)?;
    }
    if gathered.series.is_empty() {
        return Err(Error::malformed(
            place,
            "the table has a header but no row",
            "give it at least one row",
        ));
    }
    Ok(SeriesTable {
        columns: columns.values.clone(),
        time_format: columns.time.as_ref().map(|time| time.format),
        series: gathered.series,
    })
}

/// The series read so far.
#[derive(Debug, Default)]
struct Gathered {
    series: Vec<Series>,
    by_subject: BTreeMap<String, usize>,
}

impl Gathered {
    fn add(
        &mut self,
        row: &Row<'_>,
        positions: &Positions,
        columns: &SeriesColumns,
        place: &Location,
        limits: &Limits,
    ) -> Result<(), Error> {
        let fault = |field: &str, fault: Fault| {
            Error::malformed(row.place(place).field(field), fault.what, fault.hint)
        };
        let subject = positions.subject.map(|at| row.cell(at));
        if let (Some(name), Some(field)) = (subject, columns.subject.as_deref())
            && name.is_missing()
        {
            let missing = Fault { what: "the subject is missing", hint: "say whose row this is" };
            return Err(fault(field, missing));
        }
        let subject = subject.map(Cell::text);
        let index = self.index_of(subject.as_deref(), row, positions, place, limits)?;
        let Some(series) = self.series.get_mut(index) else { return Ok(()) };
        if let (Some((at, format)), Some(times), Some(column)) =
            (positions.time, series.times.as_mut(), columns.time.as_ref())
        {
            let time = row.cell(at).time(format).map_err(|what| fault(&column.name, what))?;
            if times.last().is_some_and(|&last| time < last) {
                let backwards = Fault {
                    what: "the time goes backwards",
                    hint: "sort the rows of each subject by time",
                };
                return Err(fault(&column.name, backwards));
            }
            times.push(time);
        }
        for (&at, column) in positions.values.iter().zip(&columns.values) {
            let value = row.cell(at).value().map_err(|what| fault(&column.name, what))?;
            series.missing += u64::from(value.is_nan());
            series.values.push(value);
        }
        let steps = series.values.len() / positions.values.len().max(1);
        if steps as u64 > limits.steps {
            return Err(over(row.place(place), "the number of rows of one subject", limits.steps));
        }
        Ok(())
    }

    fn index_of(
        &mut self,
        subject: Option<&str>,
        row: &Row<'_>,
        positions: &Positions,
        place: &Location,
        limits: &Limits,
    ) -> Result<usize, Error> {
        let name = subject.unwrap_or_default();
        if let Some(&index) = self.by_subject.get(name) {
            return Ok(index);
        }
        let index = self.series.len();
        if index as u64 >= limits.subjects {
            return Err(over(row.place(place), "the number of subjects", limits.subjects));
        }
        self.by_subject.insert(name.to_owned(), index);
        self.series.push(Series {
            subject: subject.map(str::to_owned),
            times: positions.time.map(|_| Vec::new()),
            values: Vec::new(),
            missing: 0,
            first_line: row.number,
        });
        Ok(index)
    }
}

fn over(place: Location, what: &str, limit: u64) -> Error {
    Error::Limit { location: place.into(), what: what.to_owned(), limit }
}
