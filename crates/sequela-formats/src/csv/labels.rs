//! One word for each subject of a table, or one for each of its rows: its class.
//!
//! ```text
//! patient,died            patient,time,heart_rate,ward
//! p01,no                  p01,0,71,A
//! p02,yes                 p01,1,74,A
//! ```
//!
//! The table may have one row for each subject or many; the words of one subject's rows must
//! agree. An empty cell, `NA`, `N/A`, `NaN` or `null` (in any case) is no word; `none` is one,
//! because it may well name a class. Of steps ([`parse_step_labels`]) every row has a word of its own,
//! or none.

use std::collections::BTreeMap;
use std::path::Path;

use sequela_core::{Limits, Location};

use super::cells::{self, Fault};
use super::columns::{TimeColumn, position, refuse_duplicates};
use super::rows::{Rows, with_rows, with_rows_of};
use crate::Error;

/// The class of each subject, in the words of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The word for each subject that has one.
    pub words: BTreeMap<String, String>,
    /// Subjects of the table without a word.
    pub without: Vec<String>,
}

/// Reads the words of column `label` for the subjects of column `subject`, from a file: text,
/// plain or gzip, or Parquet.
///
/// # Errors
/// As [`bounded::read_unpacked`](crate::bounded::read_unpacked) and [`parse_labels`].
pub fn read_labels(path: &Path, columns: (&str, &str), limits: &Limits) -> Result<Labels, Error> {
    with_rows(path, limits, |rows| labels_of_rows(rows, columns, limits))
}

/// Reads the words from bytes; `name` stands for the file in messages.
///
/// **Missing data** cells that are missing say nothing about their subject. **Cost** linear in
/// the bytes.
///
/// # Errors
/// [`Error::MissingColumn`] with the nearest name; [`Error::Malformed`] with line and field for a
/// missing subject, a second, other word for one subject, a table with no row, and what breaks
/// the rules of tables; [`Error::Limit`] over lines, columns or subjects.
///
/// # Example
/// ```
/// use sequela_core::Limits;
/// use sequela_formats::csv::parse_labels;
/// let text = b"id,died\na,no\nb,yes\nc,\n";
/// let labels = parse_labels(text, "o.csv".as_ref(), ("id", "died"), &Limits::default())?;
/// assert_eq!((labels.words["b"].as_str(), labels.without.as_slice()), ("yes", &["c".to_owned()][..]));
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub fn parse_labels(
    bytes: &[u8],
    name: &Path,
    columns: (&str, &str),
    limits: &Limits,
) -> Result<Labels, Error> {
    with_rows_of(bytes, name, limits, |rows| labels_of_rows(rows, columns, limits))
}

fn labels_of_rows(
    table: &mut dyn Rows,
    (subject, label): (&str, &str),
    limits: &Limits,
) -> Result<Labels, Error> {
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    each_row(table, (subject, label, None), &mut |who, word, _, place| {
        refuse_many(found.len(), found.contains_key(who), place, limits)?;
        let known = found.entry(who.to_owned()).or_default();
        if is_no_word(word) {
            return Ok(());
        }
        match known {
            None => *known = Some(word.to_owned()),
            Some(before) if before == word => {}
            Some(_) => {
                return Err(Error::malformed(
                    place.clone().field(label),
                    "the class differs from that of an earlier row of the same subject",
                    "give each subject one class, in all its rows or in a table of its own",
                ));
            }
        }
        Ok(())
    })?;
    let without = found.iter().filter(|(_, word)| word.is_none());
    let without = without.map(|(who, _)| who.clone()).collect();
    let words = found.into_iter().filter_map(|(who, word)| Some((who, word?))).collect();
    Ok(Labels { words, without })
}

/// The class of each row of each subject, in the words of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct StepLabels {
    /// The words, sorted, each once.
    pub words: Vec<String>,
    /// For each subject its rows in the order of the table, each with the position of its word
    /// where it has one.
    pub rows: BTreeMap<String, Vec<Option<u32>>>,
    /// Hours of the rows of each subject, where a column of times was asked for; else nothing.
    pub hours: BTreeMap<String, Vec<f64>>,
}

/// The columns of a table that has the class of each step.
#[derive(Debug, Clone, Copy)]
pub struct StepLabelColumns<'a> {
    /// Whose each row is.
    pub subject: &'a str,
    /// The class.
    pub label: &'a str,
    /// When it was so, of a table that is not that of the series.
    pub time: Option<&'a TimeColumn>,
}

/// Reads the word in each row of each subject, from a file: text, plain or gzip, or Parquet.
///
/// # Errors
/// As [`bounded::read_unpacked`](crate::bounded::read_unpacked) and [`parse_step_labels`].
pub fn read_step_labels(
    path: &Path,
    columns: StepLabelColumns<'_>,
    classes: &[String],
    limits: &Limits,
) -> Result<StepLabels, Error> {
    with_rows(path, limits, |rows| step_labels_of_rows(rows, columns, classes, limits))
}

/// Reads the words of rows from bytes; `name` stands for the file in messages.
///
/// **Missing data** a cell that is missing is a step without a class. **Cost** linear in the
/// bytes; memory of a number for each row.
///
/// # Errors
/// As [`parse_labels`]; [`Error::Malformed`] with line and field for a word that is not among
/// `classes`, where there are any, and for a time that is missing or none, where times are asked for.
///
/// # Example
/// ```
/// use sequela_core::Limits;
/// use sequela_formats::csv::{StepLabelColumns, parse_step_labels};
/// let text = b"id,ill\na,0\na,\nb,0\na,1\n";
/// let columns = StepLabelColumns { subject: "id", label: "ill", time: None };
/// let labels = parse_step_labels(text, "o.csv".as_ref(), columns, &[], &Limits::default())?;
/// assert_eq!(labels.words, ["0", "1"]);
/// assert_eq!(labels.rows["a"], [Some(0), None, Some(1)]);
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub fn parse_step_labels(
    bytes: &[u8],
    name: &Path,
    columns: StepLabelColumns<'_>,
    classes: &[String],
    limits: &Limits,
) -> Result<StepLabels, Error> {
    with_rows_of(bytes, name, limits, |rows| step_labels_of_rows(rows, columns, classes, limits))
}

fn step_labels_of_rows(
    table: &mut dyn Rows,
    StepLabelColumns { subject, label, time }: StepLabelColumns<'_>,
    classes: &[String],
    limits: &Limits,
) -> Result<StepLabels, Error> {
    let mut words: BTreeMap<String, u32> = BTreeMap::new();
    let mut rows: BTreeMap<String, Vec<Option<u32>>> = BTreeMap::new();
    let mut hours: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    each_row(table, (subject, label, time), &mut |who, word, when, place| {
        refuse_many(rows.len(), rows.contains_key(who), place, limits)?;
        if let Some(when) = when {
            hours.entry(who.to_owned()).or_default().push(when);
        }
        let number = if is_no_word(word) {
            None
        } else if !classes.is_empty() && !classes.iter().any(|class| class == word) {
            return Err(Error::malformed(
                place.clone().field(label),
                "the class is not one of those that are known",
                format!("write one of {}, or leave the cell empty", classes.join(", ")),
            ));
        } else {
            // Numbers by first appearance, until all words are known.
            let next = u32::try_from(words.len()).unwrap_or(u32::MAX);
            Some(*words.entry(word.to_owned()).or_insert(next))
        };
        rows.entry(who.to_owned()).or_default().push(number);
        Ok(())
    })?;
    let mut sorted = vec![0; words.len()];
    for (number, first) in (0_u32..).zip(words.values()) {
        if let Some(place) = usize::try_from(*first).ok().and_then(|at| sorted.get_mut(at)) {
            *place = number;
        }
    }
    for number in rows.values_mut().flatten().flatten() {
        *number = usize::try_from(*number).ok().and_then(|at| sorted.get(at).copied()).unwrap_or(0);
    }
    Ok(StepLabels { words: words.into_keys().collect(), rows, hours })
}

/// What is done with subject, word, hours and place of each row.
type Take<'a> = &'a mut dyn FnMut(&str, &str, Option<f64>, &Location) -> Result<(), Error>;

/// Calls `take` with each row.
fn each_row(
    table: &mut dyn Rows,
    (subject, label, time): (&str, &str, Option<&TimeColumn>),
    take: Take<'_>,
) -> Result<(), Error> {
    let place = table.place().clone();
    let first = table.first();
    refuse_duplicates(table.header(), &first)?;
    let subjects = position(subject, table.header(), &first)?;
    let labels = position(label, table.header(), &first)?;
    let times =
        time.map(|time| Ok::<_, Error>((position(&time.name, table.header(), &first)?, time)));
    let times = times.transpose()?;
    let mut columns = vec![subjects, labels];
    columns.extend(times.map(|(at, _)| at));
    table.select(&columns)?;
    let mut is_empty = true;
    while let Some(row) = table.next_row()? {
        is_empty = false;
        let at = row.place(&place);
        let who = row.cell(subjects).text();
        let who = who.as_ref();
        if cells::is_missing(who) {
            let hint = "say whose row this is";
            return Err(Error::malformed(at.field(subject), "the subject is missing", hint));
        }
        let when = times.map(|(column, time)| {
            let refuse = |fault: Fault| {
                Error::malformed(at.clone().field(&time.name), fault.what, fault.hint)
            };
            row.cell(column).time(time.format).map_err(refuse)
        });
        take(who, row.cell(labels).text().as_ref(), when.transpose()?, &at)?;
    }
    if is_empty {
        let what = "the table has a header but no row";
        return Err(Error::malformed(place, what, "give it at least one row"));
    }
    Ok(())
}

/// Refuses a new subject over the limit.
fn refuse_many(
    known: usize,
    is_known: bool,
    place: &Location,
    limits: &Limits,
) -> Result<(), Error> {
    if is_known || (known as u64) < limits.subjects {
        return Ok(());
    }
    Err(Error::Limit {
        location: place.clone().into(),
        what: "the number of subjects".to_owned(),
        limit: limits.subjects,
    })
}

fn is_no_word(cell: &str) -> bool {
    cells::is_missing(cell) && !cell.eq_ignore_ascii_case("none")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "helpers of tests")]
mod tests {
    use super::*;

    fn labels(text: &str) -> Result<Labels, Error> {
        parse_labels(text.as_bytes(), Path::new("l.csv"), ("id", "y"), &Limits::default())
    }

    #[test]
    fn rows_of_one_subject_agree_or_are_silent() {
        let found = labels("id,y,x\nb,none,1\na,sick,2\na,,3\na,sick,4\nc,NA,5\n").unwrap();
        let words: Vec<(&str, &str)> =
            found.words.iter().map(|(who, word)| (who.as_str(), word.as_str())).collect();
        assert_eq!(words, [("a", "sick"), ("b", "none")]);
        assert_eq!(found.without, ["c"]);
    }

    #[test]
    fn faults_name_line_and_field_but_no_value() {
        for (text, expected) in [
            ("id,y\na,sick\na,well\n", "l.csv:3, field y: the class differs"),
            ("id,y\n,sick\n", "l.csv:2, field id: the subject is missing"),
            ("id,yy\na,1\n", "l.csv:1, field y: there is no such column; did you mean \"yy\"?"),
            ("id,y\n", "l.csv: the table has a header but no row"),
            ("", "the file is empty"),
        ] {
            let message = labels(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("sick") && !message.contains("well"), "{message}");
        }
        let few = Limits { subjects: 1, ..Limits::default() };
        let error = parse_labels(b"id,y\na,1\nb,1\n", Path::new("l.csv"), ("id", "y"), &few);
        assert!(matches!(error, Err(Error::Limit { .. })));
    }

    #[test]
    fn words_of_rows_are_sorted_and_strangers_refused() {
        let steps = |text: &str, classes: &[&str]| {
            let classes: Vec<String> = classes.iter().map(|word| (*word).to_owned()).collect();
            let limits = Limits::default();
            let columns = StepLabelColumns { subject: "id", label: "y", time: None };
            parse_step_labels(text.as_bytes(), Path::new("l.csv"), columns, &classes, &limits)
        };
        let found = steps("id,y\na,wake\nb,rem\na,NA\na,rem\n", &[]).unwrap();
        assert_eq!(found.words, ["rem", "wake"]);
        assert_eq!(found.rows["a"], [Some(1), None, Some(0)]);
        let error = steps("id,y\na,0\na,2\n", &["0", "1"]).unwrap_err().to_string();
        assert!(error.contains("l.csv:3, field y: the class is not one of those"), "{error}");
        let error = steps("id,x\na,0\n", &[]).unwrap_err().to_string();
        assert!(error.contains("l.csv:1, field y: there is no such column"), "{error}");
    }
}
