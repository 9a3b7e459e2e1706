//! Long tables: one row for each measurement.
//!
//! ```text
//! stay,minute,lab,result,unit
//! 141765,58,potassium,4.1,mmol/L
//! 141765,58,glucose,102,mg/dL
//! ```
//!
//! The file is read line by line, plain or gzip, or, of Parquet, row group by row group, and never
//! as a whole: what is held is the measurements that were asked for, 16 bytes each. A cell of text
//! cannot hold a line end.

use std::collections::BTreeMap;
use std::path::Path;

use sequela_core::{Limits, Location};

use super::cells::Fault;
use super::columns::{TimeColumn, ValueColumn, position, refuse_duplicates};
use super::line::{Cells, LineFault, LineHeader};
use super::rows::{Held, Row, Rows, with_rows_of, with_stream};
use crate::lines::LineReader;
use crate::{Error, units};

/// The columns of a long table, and which of its measurements are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongColumns {
    /// The column that says whose each row is.
    pub subject: String,
    /// The column of times.
    pub time: TimeColumn,
    /// The column that says what was measured.
    pub name: String,
    /// The column of results.
    pub value: String,
    /// The column of units, where there is one: rows in another unit than that of their channel
    /// are refused.
    pub unit: Option<String>,
    /// What is wanted, by the words of the column `name`; F of them.
    pub channels: Vec<ValueColumn>,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Hours, as [`TimeFormat`](super::TimeFormat) counts them.
    pub hours: f64,
    /// Position among the channels.
    pub channel: u32,
    /// The result, finite.
    pub value: f32,
}

/// The measurements of one subject, sorted by time, those of one time in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct LongSeries {
    /// The subject.
    pub subject: String,
    /// What was measured.
    pub readings: Vec<Reading>,
}

/// All measurements that were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct LongTable {
    /// One series for each subject with a row, in order of first appearance; a subject without a
    /// measurement that was asked for has an empty one.
    pub series: Vec<LongSeries>,
    /// The unit of each channel: the one asked for, else the one in the table.
    pub units: Vec<String>,
    /// Rows that measure something else.
    pub others: u64,
    /// Rows without a result.
    pub missing: u64,
}

/// Reads a long table from a file, text (plain or gzip) or Parquet, in a stream.
///
/// Rows may come in any order. **Missing data** a row without a result is counted and passed
/// over. **Cost** linear in the bytes, and sorting; 16 bytes for each measurement that is wanted.
///
/// # Errors
/// Those of opening; [`Error::MissingColumn`] with the nearest name; [`Error::Malformed`] with
/// line and field for text where a number or a time belongs, a missing subject, another number
/// of cells, an unclosed quote, a unit other than that of the channel; [`Error::Limit`] over
/// lines, subjects or `limits.steps` measurements of one subject; [`Error::Unsupported`] for gzip
/// that unpacks to over 100 times its size.
///
/// # Example
/// ```
/// use sequela_core::Limits;
/// use sequela_formats::csv::{LongColumns, TimeColumn, TimeFormat, ValueColumn, read_long};
/// let folder = tempfile::tempdir().unwrap();
/// let file = folder.path().join("labs.csv");
/// let text = b"who,hour,what,result,unit\na,2,K,4.1,mmol/L\na,1,K,4.0,mmol/l\na,1,Na,140,\n";
/// sequela_formats::durable::write_atomic(&file, text).unwrap();
/// let columns = LongColumns {
///     subject: "who".into(),
///     time: TimeColumn { name: "hour".into(), format: TimeFormat::Hours },
///     name: "what".into(),
///     value: "result".into(),
///     unit: Some("unit".into()),
///     channels: vec![ValueColumn { name: "K".into(), unit: "mmol/L".into() }],
/// };
/// let table = read_long(&file, &columns, &Limits::default())?;
/// let values: Vec<f32> = table.series[0].readings.iter().map(|reading| reading.value).collect();
/// assert_eq!((values.as_slice(), table.others), (&[4.0, 4.1][..], 1));
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub fn read_long(path: &Path, columns: &LongColumns, limits: &Limits) -> Result<LongTable, Error> {
    with_stream(path, limits, |rows| long_of_rows(rows, columns, limits))
}

/// As [`read_long`], from bytes; `name` stands for the file in messages. A cell may hold line ends
/// here.
///
/// # Errors
/// As [`read_long`], and [`Error::Limit`] over `limits.file_bytes`.
pub fn parse_long(
    bytes: &[u8],
    name: &Path,
    columns: &LongColumns,
    limits: &Limits,
) -> Result<LongTable, Error> {
    with_rows_of(bytes, name, limits, |rows| long_of_rows(rows, columns, limits))
}

fn long_of_rows(
    rows: &mut dyn Rows,
    columns: &LongColumns,
    limits: &Limits,
) -> Result<LongTable, Error> {
    let first = rows.first();
    refuse_duplicates(rows.header(), &first)?;
    let find = |name: &str| position(name, rows.header(), &first);
    let at = Positions {
        subject: find(&columns.subject)?,
        time: find(&columns.time.name)?,
        name: find(&columns.name)?,
        value: find(&columns.value)?,
        unit: columns.unit.as_deref().map(find).transpose()?,
    };
    let mut wanted = vec![at.subject, at.time, at.name, at.value];
    wanted.extend(at.unit);
    rows.select(&wanted)?;
    let place = rows.place().clone();
    let mut gathered = Gathered::new(columns);
    while let Some(row) = rows.next_row()? {
        if let Err(LineFault { field, what, hint }) = gathered.add(&row, &at, columns, limits) {
            let here = row.place(&place);
            let here = if let Some(field) = field { here.field(field) } else { here };
            return Err(Error::malformed(here, what, hint));
        }
    }
    gathered.table(&place)
}

/// The rows of a table of text, line by line.
#[derive(Debug)]
pub(super) struct Lines {
    reader: LineReader,
    header: LineHeader,
    first: Location,
    place: Location,
    cells: Cells,
}

impl Lines {
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let place = Location::file(path);
        let mut lines = LineReader::open(path, limits)?;
        let (header, line) = first_line(&mut lines, &place)?;
        let first = place.clone().line(line);
        Ok(Self { reader: lines, header, first, place, cells: Cells::default() })
    }
}

impl Rows for Lines {
    fn header(&self) -> &[String] {
        &self.header.names
    }

    fn place(&self) -> &Location {
        &self.place
    }

    fn first(&self) -> Location {
        self.first.clone()
    }

    fn select(&mut self, _: &[usize]) -> Result<(), Error> {
        Ok(())
    }

    fn unread(&self, _: usize) -> Option<&'static str> {
        None
    }

    fn next_row(&mut self) -> Result<Option<Row<'_>>, Error> {
        let fault = loop {
            let Some(line) = self.reader.next_line()? else { return Ok(None) };
            if line.trim().is_empty() {
                continue;
            }
            let split = self.cells.split(line, self.header.delimiter());
            let (found, wanted) = (self.cells.len(), self.header.names.len());
            match split {
                Ok(()) if found == wanted => break None,
                Ok(()) => {
                    break Some(LineFault::of_line(
                        format!("the row has {found} cells, not {wanted}"),
                        "quote cells that hold the separator, or correct the row",
                    ));
                }
                Err(fault) => break Some(fault),
            }
        };
        let number = self.reader.line();
        match fault {
            None => Ok(Some(Row { cells: Held::Line(&self.cells), number })),
            Some(fault) => {
                let here = self.place.clone().line(number);
                Err(Error::malformed(here, fault.what, fault.hint))
            }
        }
    }
}

/// The header of a table that comes line by line, and its line.
fn first_line(lines: &mut LineReader, place: &Location) -> Result<(LineHeader, u64), Error> {
    while let Some(line) = lines.next_line()? {
        if line.trim().is_empty() {
            continue;
        }
        let header = LineHeader::parse(line);
        let line = lines.line();
        return match header {
            Ok(header) => Ok((header, line)),
            Err(fault) => Err(Error::malformed(place.clone().line(line), fault.what, fault.hint)),
        };
    }
    Err(Error::malformed(place.clone(), "the file is empty", "give it a header and rows"))
}

struct Positions {
    subject: usize,
    time: usize,
    name: usize,
    value: usize,
    unit: Option<usize>,
}

struct Gathered {
    series: Vec<LongSeries>,
    by_subject: BTreeMap<String, usize>,
    channels: BTreeMap<String, u32>,
    /// The unit of each channel, empty until one is known.
    units: Vec<String>,
    others: u64,
    missing: u64,
    /// Position of the subject of the last row: rows of one subject mostly stand together.
    last: usize,
}

impl Gathered {
    fn new(columns: &LongColumns) -> Self {
        let numbers = 0_u32..;
        let names = columns.channels.iter().map(|channel| channel.name.clone());
        Self {
            series: Vec::new(),
            by_subject: BTreeMap::new(),
            channels: names.zip(numbers).collect(),
            units: columns.channels.iter().map(|channel| channel.unit.clone()).collect(),
            others: 0,
            missing: 0,
            last: 0,
        }
    }

    fn add(
        &mut self,
        row: &Row<'_>,
        at: &Positions,
        columns: &LongColumns,
        limits: &Limits,
    ) -> Result<(), LineFault> {
        let subject = row.cell(at.subject);
        if subject.is_missing() {
            let fault = Fault { what: "the subject is missing", hint: "say whose row this is" };
            return Err(LineFault::of_field(&columns.subject, fault));
        }
        let index = self.index_of(&subject.text(), limits)?;
        let Some(&channel) = self.channels.get(row.cell(at.name).text().as_ref()) else {
            self.others += 1;
            return Ok(());
        };
        let of_value = |fault| LineFault::of_field(&columns.value, fault);
        let value = row.cell(at.value).value().map_err(of_value)?;
        if value.is_nan() {
            self.missing += 1;
            return Ok(());
        }
        if let (Some(at), Some(field)) = (at.unit, &columns.unit) {
            self.same_unit(&row.cell(at).text(), channel, field)?;
        }
        let time = row.cell(at.time).time(columns.time.format);
        let hours = time.map_err(|fault| LineFault::of_field(&columns.time.name, fault))?;
        let Some(series) = self.series.get_mut(index) else { return Ok(()) };
        if series.readings.len() as u64 >= limits.steps {
            return Err(LineFault::of_line(
                format!("one subject has over {} measurements", limits.steps),
                "raise the limit if this is meant",
            ));
        }
        series.readings.push(Reading { hours, channel, value });
        Ok(())
    }

    /// Refuses a unit that is not the channel's, or takes it for the channel's first.
    fn same_unit(&mut self, unit: &str, channel: u32, field: &str) -> Result<(), LineFault> {
        let Some(known) = self.units.get_mut(channel as usize) else { return Ok(()) };
        if unit.is_empty() || units::same(unit, known) {
            return Ok(());
        }
        if known.is_empty() {
            // A word that is no unit may be anything, and names of units go into messages.
            unit.clone_into(known);
            return Ok(());
        }
        let named = |unit: &str| units::standard(unit).unwrap_or("another unit");
        Err(LineFault {
            field: Some(field.to_owned()),
            what: format!(
                "the row is in {}, but its channel in {}",
                named(unit),
                units::standard(known).unwrap_or("the unit of its other rows")
            )
            .into(),
            hint: "convert the rows of one unit to the other; nothing is converted in silence"
                .into(),
        })
    }

    fn index_of(&mut self, subject: &str, limits: &Limits) -> Result<usize, LineFault> {
        if self.series.get(self.last).is_some_and(|series| series.subject == subject) {
            return Ok(self.last);
        }
        self.last = if let Some(&index) = self.by_subject.get(subject) {
            index
        } else {
            let index = self.series.len();
            if index as u64 >= limits.subjects {
                return Err(LineFault::of_line(
                    format!("there are over {} subjects", limits.subjects),
                    "raise the limit if this is meant",
                ));
            }
            self.by_subject.insert(subject.to_owned(), index);
            self.series.push(LongSeries { subject: subject.to_owned(), readings: Vec::new() });
            index
        };
        Ok(self.last)
    }

    fn table(mut self, place: &Location) -> Result<LongTable, Error> {
        if self.series.is_empty() {
            return Err(Error::malformed(
                place.clone(),
                "the table has a header but no row",
                "give it at least one row",
            ));
        }
        for series in &mut self.series {
            series.readings.sort_by(|a, b| a.hours.total_cmp(&b.hours));
        }
        Ok(LongTable {
            series: self.series,
            units: self.units,
            others: self.others,
            missing: self.missing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::TimeFormat;
    use crate::durable::write_atomic;

    fn columns() -> LongColumns {
        let channel = |name: &str, unit: &str| ValueColumn { name: name.into(), unit: unit.into() };
        LongColumns {
            subject: "who".into(),
            time: TimeColumn { name: "h".into(), format: TimeFormat::Hours },
            name: "what".into(),
            value: "v".into(),
            unit: Some("u".into()),
            channels: vec![channel("glucose", "mg/dL"), channel("temp", "")],
        }
    }

    fn read(text: &str) -> Result<LongTable, Error> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("l.csv");
        write_atomic(&file, text.as_bytes()).unwrap();
        read_long(&file, &columns(), &Limits::default())
    }

    #[test]
    fn rows_in_any_order_become_sorted_series() {
        let table = read(
            "who,h,what,v,u\nb,2,temp,37,C\na,1,glucose,100,MG/DL\n\nb,1,temp,36,degC\nb,0,temp,,\n\
             c,0,other,x,y\n",
        )
        .unwrap();
        let [b, a, c] = &table.series[..] else { panic!("{table:?}") };
        assert_eq!((b.subject.as_str(), a.subject.as_str(), c.readings.len()), ("b", "a", 0));
        let hours: Vec<f64> = b.readings.iter().map(|reading| reading.hours).collect();
        assert_eq!(hours, [1.0, 2.0]);
        assert_eq!((table.missing, table.others), (1, 1));
        assert_eq!(table.units, ["mg/dL", "C"]);
    }

    #[test]
    fn faults_name_line_and_field_but_no_value() {
        let head = "who,h,what,v,u\na,0,glucose,100,mg/dL\n";
        for (row, expected) in [
            (
                "a,0,glucose,5.5,mmol/L",
                ":3, field u: the row is in mmol/L, but its channel in mg/dL",
            ),
            ("a,0,glucose,5.5,secret", ":3, field u: the row is in another unit, but"),
            ("a,0,glucose,secret,", ":3, field v: the text is not a number"),
            ("a,soon,glucose,1,", ":3, field h: the text is not a number"),
            (",0,glucose,1,", ":3, field who: the subject is missing"),
            ("a,0,glucose,1", ":3: the row has 4 cells, not 5"),
            ("\"a,0,glucose,1,", ":3: "),
            ("b,1,temp,98,F\nb,2,temp,37,C", ":4, field u: the row is in C, but its channel in F"),
        ] {
            let message = read(&format!("{head}{row}\n")).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("secret") && !message.contains('\n'), "{message}");
        }
        assert!(read("").unwrap_err().to_string().contains("the file is empty"));
        assert!(read("who,h,what,v,u\n").unwrap_err().to_string().contains("no row"));
        assert!(read("who,h,what,w,u\n").unwrap_err().to_string().contains("did you mean"));
    }
}
