//! A guess at the columns of an unknown table, for a first study.

use std::path::Path;

use sequela_core::Limits;

use super::cells::{self, TimeFormat};
use super::columns::{SeriesColumns, TimeColumn, ValueColumn};
use super::rows::{Cell, Rows, with_rows, with_rows_of, with_stream};
use crate::Error;

/// The columns that a table seems to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sniffed {
    /// The guess.
    pub columns: SeriesColumns,
    /// Columns that were left out, and why.
    pub left_out: Vec<(String, String)>,
    /// Rows looked at.
    pub rows: usize,
}

/// Guesses the columns of a file from its header and first 2000 rows.
///
/// A column called like a subject (`patient`, `subject_id`, `id` ...) is the subject; one called
/// like a time or holding dates, and never going backwards within a subject, is the time; other
/// columns of numbers are values, with the unit in their name (`hr_bpm`, `temp (C)`) where there
/// is one. People should look at the guess: that is why it is written into a study.
///
/// # Errors
/// As [`bounded::read_unpacked`](crate::bounded::read_unpacked); [`Error::Malformed`] for a broken table or one without a
/// column of numbers.
pub fn sniff(path: &Path, limits: &Limits) -> Result<Sniffed, Error> {
    with_rows(path, limits, sniff_rows)
}

/// As [`sniff`], from bytes; `name` stands for the file in messages.
///
/// # Errors
/// As [`sniff`].
///
/// # Example
/// ```
/// use sequela_formats::csv::{TimeFormat, sniff_bytes};
/// let text = b"patient_id;time_s;hr_bpm;ward\na;0;70;x\na;5;71;x\nb;0;80;y\n";
/// let guess = sniff_bytes(text, "a.csv".as_ref(), &sequela_core::Limits::default())?;
/// assert_eq!(guess.columns.subject.as_deref(), Some("patient_id"));
/// assert_eq!(guess.columns.time.unwrap().format, TimeFormat::Seconds);
/// assert_eq!(guess.columns.values[0].unit, "bpm");
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub fn sniff_bytes(bytes: &[u8], name: &Path, limits: &Limits) -> Result<Sniffed, Error> {
    with_rows_of(bytes, name, limits, sniff_rows)
}

/// The names of the columns of a table; of its rows nothing is read but what stands beside them.
///
/// # Errors
/// As [`sniff`], but a table without numbers is as good as any.
pub fn column_names(path: &Path, limits: &Limits) -> Result<Vec<String>, Error> {
    with_stream(path, limits, |table| Ok(table.header().to_vec()))
}

fn sniff_rows(table: &mut dyn Rows) -> Result<Sniffed, Error> {
    let location = table.place().clone();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let width = table.header().len();
    let readable: Vec<usize> = (0..width).filter(|at| table.unread(*at).is_none()).collect();
    table.select(&readable)?;
    while rows.len() < ROWS
        && let Some(row) = table.next_row()?
    {
        let cell = |column| match row.cell(column) {
            // Truth values are read as numbers, where they are no words.
            Cell::Flag(flag) => u8::from(flag).to_string(),
            cell => cell.text().into_owned(),
        };
        rows.push((0..width).map(cell).collect());
    }
    let kinds: Vec<Kind> = (0..width).map(|column| kind_of(&rows, column)).collect();
    let header = table.header();
    let subject = header.iter().position(|name| is_subject(name));
    let time = find_time(header, &kinds, &rows, subject);
    let mut left_out = Vec::new();
    let mut values = Vec::new();
    for (column, (name, kind)) in header.iter().zip(&kinds).enumerate() {
        if Some(column) == subject || time.as_ref().is_some_and(|(at, _)| *at == column) {
            continue;
        }
        if let Some(what) = table.unread(column) {
            left_out.push((name.clone(), format!("it holds {what}")));
            continue;
        }
        let reason = match kind {
            Kind::Number if name.is_empty() => "it has no name",
            Kind::Number => {
                values.push(ValueColumn { name: name.clone(), unit: unit_of(name) });
                continue;
            }
            Kind::Date => "it holds dates",
            Kind::Text => "it holds text",
            Kind::Empty => "it is empty",
        };
        left_out.push((name.clone(), reason.to_owned()));
    }
    if values.is_empty() {
        return Err(Error::malformed(
            location,
            "no column of numbers was found",
            "give the table a header and a column of numbers with decimal points",
        ));
    }
    let at = |column: usize| header.get(column).cloned().unwrap_or_default();
    Ok(Sniffed {
        columns: SeriesColumns {
            subject: subject.map(at),
            time: time.map(|(column, format)| TimeColumn { name: at(column), format }),
            values,
        },
        left_out,
        rows: rows.len(),
    })
}

/// Guesses which of some columns are the subject and the time from their names and one row, where
/// no more is known: for tables that come line by line.
///
/// # Example
/// ```
/// use sequela_formats::csv::{TimeFormat, guess_keys};
/// let names = ["patient", "charted_time", "ward"].map(String::from);
/// let (subject, time) = guess_keys(&names, &["p1", "2024-05-01 08:00:00", "3"]);
/// assert_eq!(subject.as_deref(), Some("patient"));
/// assert_eq!(time.unwrap().format, TimeFormat::DateTime);
/// ```
pub fn guess_keys(names: &[String], row: &[&str]) -> (Option<String>, Option<TimeColumn>) {
    let rows = [row.iter().map(|cell| cell.trim().to_owned()).collect()];
    let kinds: Vec<Kind> = (0..names.len()).map(|column| kind_of(&rows, column)).collect();
    let subject = names.iter().position(|name| is_subject(name));
    let at = |column: usize| names.get(column).cloned().unwrap_or_default();
    let time = find_time(names, &kinds, &rows, subject);
    (subject.map(at), time.map(|(column, format)| TimeColumn { name: at(column), format }))
}

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Date,
    Text,
    Empty,
}

/// What most cells of a column are. One of numbers with a few other cells is one of numbers: who
/// reads it is told which cell is none, and nobody loses a column to a slip of the pen.
fn kind_of(rows: &[Vec<String>], column: usize) -> Kind {
    let (mut numbers, mut dates, mut texts) = (0_usize, 0_usize, 0_usize);
    for cell in rows.iter().filter_map(|row| row.get(column)) {
        match cells::number(cell) {
            Ok(None) => {}
            Ok(Some(_)) => numbers += 1,
            Err(_) if cells::date_time(cell).is_some() => dates += 1,
            Err(_) => texts += 1,
        }
    }
    let mostly = |these: usize| these > 0 && numbers + dates + texts - these <= these / 4;
    if numbers + dates + texts == 0 {
        Kind::Empty
    } else if mostly(numbers) {
        Kind::Number
    } else if mostly(dates) {
        Kind::Date
    } else {
        Kind::Text
    }
}

fn is_subject(name: &str) -> bool {
    let name = name.to_lowercase();
    let core = name.trim_end_matches("_id").trim_end_matches(" id").trim_end_matches("id");
    SUBJECTS.contains(&name.as_str()) || SUBJECTS.contains(&core.trim_end_matches(['_', ' ']))
}

/// The time column: dates first, then numbers called like a time; of these the first whose
/// values never go backwards within a subject.
fn find_time(
    header: &[String],
    kinds: &[Kind],
    rows: &[Vec<String>],
    subject: Option<usize>,
) -> Option<(usize, TimeFormat)> {
    let mut candidates: Vec<(usize, TimeFormat)> = Vec::new();
    for (column, kind) in kinds.iter().enumerate() {
        if *kind == Kind::Date {
            candidates.push((column, TimeFormat::DateTime));
        }
    }
    for (column, (name, kind)) in header.iter().zip(kinds).enumerate() {
        if let (Kind::Number, Some(format)) = (kind, time_by_name(name)) {
            candidates.push((column, format));
        }
    }
    candidates.into_iter().find(|&(column, format)| is_ordered(rows, column, format, subject))
}

fn is_ordered(
    rows: &[Vec<String>],
    column: usize,
    format: TimeFormat,
    subject: Option<usize>,
) -> bool {
    let mut last = std::collections::BTreeMap::new();
    rows.iter().all(|row| {
        let cell = row.get(column).map_or("", String::as_str);
        let Ok(time) = cells::time(cell, format) else { return false };
        let who = subject.and_then(|at| row.get(at)).map_or("", String::as_str);
        last.insert(who, time).is_none_or(|before| before <= time)
    })
}

/// The unit that the name of a time column tells; seconds where it tells none.
fn time_by_name(name: &str) -> Option<TimeFormat> {
    let lower = name.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let unit = words.last().and_then(|last| match *last {
        "d" | "day" | "days" => Some(TimeFormat::Days),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(TimeFormat::Hours),
        "min" | "mins" | "minute" | "minutes" => Some(TimeFormat::Minutes),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(TimeFormat::Seconds),
        "ms" | "msec" | "millis" | "milliseconds" => Some(TimeFormat::Milliseconds),
        _ => None,
    });
    let first = *words.first()?;
    let called_time = TIMES.contains(&first) || first.ends_with("time");
    // The offsets of eICU are minutes from admission.
    if first.strip_suffix("offset").is_some_and(|rest| !rest.is_empty()) {
        return Some(TimeFormat::Minutes);
    }
    match unit {
        // `hr` and `s` alone name a heart rate or anything; `hours` alone names a time.
        Some(format) if called_time || (words.len() == 1 && first.len() > 3) => Some(format),
        None if called_time => Some(TimeFormat::Seconds),
        _ => None,
    }
}

/// The unit at the end of a name: in brackets, or a known last word; else by the name itself.
fn unit_of(name: &str) -> String {
    for (open, close) in [('(', ')'), ('[', ']')] {
        if let Some((_, tail)) = name.rsplit_once(open)
            && let Some(unit) = tail.trim_end().strip_suffix(close)
        {
            return unit.trim().to_owned();
        }
    }
    let lower = name.to_lowercase();
    let last = lower.rsplit(['_', ' ', '.']).next().unwrap_or_default();
    UNITS
        .iter()
        .find(|(word, _)| *word == last)
        .or_else(|| NAMED.iter().find(|(word, _)| *word == lower))
        .map_or_else(String::new, |(_, unit)| (*unit).to_owned())
}

const ROWS: usize = 2000;
const SUBJECTS: [&str; 17] = [
    "id",
    "subject",
    "patient",
    "participant",
    "person",
    "pid",
    "icustay",
    "patientunitstay",
    "stay",
    "hadm",
    "record",
    "encounter",
    "recordid",
    "user",
    "case",
    "animal",
    "mrn",
];
const TIMES: [&str; 8] =
    ["time", "t", "timestamp", "datetime", "date", "elapsed", "offset", "when"];
const UNITS: [(&str, &str); 10] = [
    ("bpm", "bpm"),
    ("ms", "ms"),
    ("s", "s"),
    ("mv", "mV"),
    ("mmhg", "mmHg"),
    ("hz", "Hz"),
    ("kg", "kg"),
    ("percent", "%"),
    ("pct", "%"),
    ("c", "degC"),
];
const NAMED: [(&str, &str); 6] = [
    ("heart_rate", "bpm"),
    ("heartrate", "bpm"),
    ("heart rate", "bpm"),
    ("hr", "bpm"),
    ("pulse", "bpm"),
    ("rr_interval", "ms"),
];
