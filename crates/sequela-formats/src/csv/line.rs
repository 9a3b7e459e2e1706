//! A table that comes line by line: a row is understood before the next one is there.
//!
//! It has the columns and cells of [`parse_series`](super::parse_series), but a cell cannot hold
//! a line end.

use std::borrow::Cow;

use sequela_core::Location;

use super::cells::{self, Fault};
use super::columns::{Positions, SeriesColumns, refuse_duplicates};
use super::table::guess_delimiter;
use crate::Error;

/// What is wrong with one line, and what to do about it; it quotes no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFault {
    /// The column, where it is one cell's.
    pub field: Option<String>,
    /// What is wrong.
    pub what: Cow<'static, str>,
    /// What to do about it.
    pub hint: Cow<'static, str>,
}

impl LineFault {
    /// The fault of one field.
    pub fn of_field(field: impl Into<String>, fault: Fault) -> Self {
        let (what, hint) = (fault.what.into(), fault.hint.into());
        Self { field: Some(field.into()), what, hint }
    }

    /// A fault of the whole line.
    pub fn of_line(what: impl Into<Cow<'static, str>>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { field: None, what: what.into(), hint: hint.into() }
    }
}

/// The first line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineHeader {
    /// The columns.
    pub names: Vec<String>,
    delimiter: u8,
}

impl LineHeader {
    /// The columns that a line names; the separator is guessed.
    ///
    /// # Errors
    /// A fault for a quote that is not closed.
    pub fn parse(line: &str) -> Result<Self, LineFault> {
        let delimiter = guess_delimiter(line);
        let mut cells = Cells::default();
        cells.split(line, delimiter)?;
        let names = (0..cells.len()).map(|at| cells.get(at).trim().to_owned()).collect();
        Ok(Self { names, delimiter })
    }

    pub(super) fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Whether this is no header but a row: every cell is a number or missing.
    pub fn is_row(&self) -> bool {
        self.names.iter().all(|cell| cells::value(cell).is_ok())
    }

    /// The cells of a line that stands under this header.
    ///
    /// # Errors
    /// A fault for a quote that is not closed.
    pub fn cells(&self, line: &str) -> Result<Vec<String>, LineFault> {
        let mut cells = Cells::default();
        cells.split(line, self.delimiter)?;
        Ok((0..cells.len()).map(|at| cells.get(at).to_owned()).collect())
    }
}

/// Reads the rows of a table, one at a time.
///
/// **Cost** linear in the line; nothing is allocated once lines have been as long.
///
/// # Example
/// ```
/// use sequela_core::Location;
/// use sequela_formats::csv::{LineHeader, LineTable, SeriesColumns};
/// let columns = SeriesColumns::values([("hr", "bpm")]).with_subject("who");
/// let header = LineHeader::parse("who,ward,hr").unwrap();
/// let mut table = LineTable::new(&header, columns, &Location::file("pipe"))?;
/// let mut values = [0.0];
/// table.read("a,3,71.5").unwrap();
/// assert_eq!(table.subject().unwrap(), Some("a"));
/// table.values(&mut values).unwrap();
/// assert_eq!(values, [71.5]);
/// assert_eq!(table.read("a,71.5").unwrap_err().what, "the line has 2 cells, not 3");
/// # Ok::<(), sequela_formats::Error>(())
/// ```
#[derive(Debug)]
pub struct LineTable {
    columns: SeriesColumns,
    positions: Positions,
    delimiter: u8,
    /// Number of columns.
    width: usize,
    cells: Cells,
}

impl LineTable {
    /// A table under a header.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] with the nearest name; [`Error::Malformed`] where two columns
    /// have one name.
    pub fn new(
        header: &LineHeader,
        columns: SeriesColumns,
        place: &Location,
    ) -> Result<Self, Error> {
        refuse_duplicates(&header.names, place)?;
        let positions = Positions::find(&columns, &header.names, place)?;
        let (delimiter, width) = (header.delimiter, header.names.len());
        Ok(Self { columns, positions, delimiter, width, cells: Cells::default() })
    }

    /// A table without a header: the values and nothing else, in their order, parted by commas.
    pub fn bare(columns: SeriesColumns) -> Self {
        let width = columns.values.len();
        let values = (0..width).collect();
        let columns = SeriesColumns { subject: None, time: None, ..columns };
        let positions = Positions { subject: None, time: None, values };
        Self { columns, positions, delimiter: b',', width, cells: Cells::default() }
    }

    /// The columns.
    pub fn columns(&self) -> &SeriesColumns {
        &self.columns
    }

    /// Takes the next line, without its end.
    ///
    /// # Errors
    /// A fault for another number of cells, or a quote that is not closed.
    pub fn read(&mut self, line: &str) -> Result<(), LineFault> {
        self.cells.split(line, self.delimiter)?;
        let (found, wanted) = (self.cells.len(), self.width);
        if found != wanted {
            self.cells.clear();
            return Err(LineFault::of_line(
                format!("the line has {found} cells, not {wanted}"),
                "give one cell for each column, empty where nothing was measured",
            ));
        }
        Ok(())
    }

    /// Whose the line is; `None` where the table does not tell.
    ///
    /// # Errors
    /// A fault where the cell is empty.
    pub fn subject(&self) -> Result<Option<&str>, LineFault> {
        let (Some(at), Some(name)) = (self.positions.subject, &self.columns.subject) else {
            return Ok(None);
        };
        let subject = self.cells.get(at).trim();
        if cells::is_missing(subject) {
            let fault = Fault { what: "the subject is missing", hint: "say whose line this is" };
            return Err(LineFault::of_field(name, fault));
        }
        Ok(Some(subject))
    }

    /// The time in hours and as it is written; `None` where the table has no times.
    ///
    /// # Errors
    /// A fault where the cell holds no time.
    pub fn time(&self) -> Result<Option<(f64, &str)>, LineFault> {
        let (Some((at, format)), Some(column)) = (self.positions.time, &self.columns.time) else {
            return Ok(None);
        };
        let text = self.cells.get(at).trim();
        let time = cells::time(text, format);
        time.map(|time| Some((time, text)))
            .map_err(|fault| LineFault::of_field(&column.name, fault))
    }

    /// Writes the values, NaN where a cell is missing.
    ///
    /// # Errors
    /// A fault for the first cell that holds no number.
    pub fn values(&self, values: &mut [f32]) -> Result<(), LineFault> {
        let columns = self.positions.values.iter().zip(&self.columns.values);
        for ((&at, column), value) in columns.zip(values) {
            *value = cells::value(self.cells.get(at))
                .map_err(|fault| LineFault::of_field(&column.name, fault))?;
        }
        Ok(())
    }
}

/// The cells of one line, unquoted, one after the other.
#[derive(Debug, Default)]
pub(super) struct Cells {
    text: String,
    ends: Vec<usize>,
}

impl Cells {
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        let end = self.ends.get(at).copied();
        start.zip(end).and_then(|(start, end)| self.text.get(start..end)).unwrap_or_default()
    }

    pub(super) fn split(&mut self, line: &str, delimiter: u8) -> Result<(), LineFault> {
        self.clear();
        let delimiter = char::from(delimiter);
        if !line.contains('"') {
            for cell in line.split(delimiter) {
                self.push(cell);
            }
            return Ok(());
        }
        let mut rest = Some(line);
        while let Some(line) = rest {
            if let Some(quoted) = line.strip_prefix('"') {
                rest = self.push_quoted(quoted, delimiter)?;
                continue;
            }
            let (cell, after) = line.split_once(delimiter).map_or((line, None), cell_and_rest);
            self.push(cell);
            rest = after;
        }
        Ok(())
    }

    fn push(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.ends.push(self.text.len());
    }

    /// Takes a cell whose quote was opened; what follows its separator, if there is one.
    fn push_quoted<'a>(
        &mut self,
        mut line: &'a str,
        delimiter: char,
    ) -> Result<Option<&'a str>, LineFault> {
        loop {
            let Some((part, after)) = line.split_once('"') else {
                return Err(LineFault::of_line(
                    "a quote is opened and never closed",
                    "close it, or remove it; a cell cannot hold a line end here",
                ));
            };
            self.text.push_str(part);
            if let Some(after) = after.strip_prefix('"') {
                self.text.push('"');
                line = after;
                continue;
            }
            // Text after the closing quote belongs to the cell, as in files.
            let (tail, rest) = after.split_once(delimiter).map_or((after, None), cell_and_rest);
            self.push(tail);
            return Ok(rest);
        }
    }
}

fn cell_and_rest<'a>((cell, rest): (&'a str, &'a str)) -> (&'a str, Option<&'a str>) {
    (cell, Some(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::TimeFormat;

    fn table(header: &str) -> LineTable {
        let columns = SeriesColumns::values([("hr", "bpm"), ("spo2", "%")])
            .with_subject("who")
            .with_time("minutes", TimeFormat::Minutes);
        LineTable::new(&LineHeader::parse(header).unwrap(), columns, &Location::default()).unwrap()
    }

    #[test]
    fn cells_are_those_of_the_csv_crate() {
        let random = sequela_core::Random::new(7, 1);
        let letters = [',', '"', 'a', ' ', 'é', '1'];
        let mut compared = 0;
        for turn in 0..4000_u64 {
            let line: String = (0..random.below(9 * turn, 9))
                .map(|at| letters[usize::try_from(random.below(9 * turn + 1 + at, 6)).unwrap()])
                .collect();
            let mut cells = Cells::default();
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(line.as_bytes());
            if line.is_empty() || cells.split(&line, b',').is_err() {
                continue;
            }
            let wanted: csv::StringRecord = reader.records().next().unwrap().unwrap();
            let found: Vec<&str> = (0..cells.len()).map(|at| cells.get(at)).collect();
            // After a closing quote the crate goes on differently where more quotes follow.
            if !line.contains("\"a") && !line.contains("\" ") && !line.contains("\"1") {
                assert_eq!(found, wanted.iter().collect::<Vec<_>>(), "{line:?}");
                compared += 1;
            }
        }
        assert!(compared > 500, "{compared}");
    }

    #[test]
    fn faults_name_the_field_and_quote_nothing() {
        let mut table = table("minutes,who,hr,spo2,ward");
        let mut values = [0.0; 2];
        let mut fault = |line: &str| {
            table.read(line)?;
            table.subject()?;
            table.time()?;
            table.values(&mut values)
        };
        assert_eq!(fault("1,a,70,NA,x"), Ok(()));
        for (line, field) in [
            ("1,a,7o,98,x", "hr"),
            ("1,a,70,1e39,x", "spo2"),
            ("1, ,70,98,x", "who"),
            (",a,70,98,x", "minutes"),
            ("2024-01-01,a,70,98,x", "minutes"),
        ] {
            let found = fault(line).unwrap_err();
            assert_eq!(found.field.as_deref(), Some(field), "{line}");
            assert!(!found.what.contains("7o"), "{found:?}");
        }
        assert!(fault("1,\"a,70,98,x").unwrap_err().what.contains("never closed"));
        assert!(fault("").unwrap_err().what.contains("1 cells, not 5"));
        assert!(values[1].is_nan());
    }

    #[test]
    fn a_line_of_numbers_is_no_header() {
        assert!(LineHeader::parse("71,,NA").unwrap().is_row());
        assert!(!LineHeader::parse("71,hr").unwrap().is_row());
        let columns = SeriesColumns::values([("hr", "bpm")]);
        let error = LineTable::new(
            &LineHeader::parse("heart,hrt").unwrap(),
            columns.clone(),
            &Location::file("pipe").line(1),
        );
        assert!(error.unwrap_err().to_string().contains("did you mean \"hrt\""));
        let mut bare = LineTable::bare(columns);
        bare.read("").unwrap();
        let mut value = [0.0];
        bare.values(&mut value).unwrap();
        assert!(value[0].is_nan());
        assert_eq!((bare.subject(), bare.time()), (Ok(None), Ok(None)));
    }
}
