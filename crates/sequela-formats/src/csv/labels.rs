//! One word for each subject of a table: its class.
//!
//! ```text
//! patient,died            patient,time,heart_rate,ward
//! p01,no                  p01,0,71,A
//! p02,yes                 p01,1,74,A
//! ```
//!
//! The table may have one row for each subject or many; the words of one subject's rows must
//! agree. An empty cell, `NA`, `N/A`, `NaN` or `null` (in any case) is no word; `none` is one,
//! because it may well name a class.

use std::collections::BTreeMap;
use std::path::Path;

use sequela_core::{Limits, Location};

use super::cells;
use super::columns::{position, refuse_duplicates};
use super::table::Table;
use crate::{Error, bounded};

/// The class of each subject, in the words of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The word for each subject that has one.
    pub words: BTreeMap<String, String>,
    /// Subjects of the table without a word.
    pub without: Vec<String>,
}

/// Reads the words of column `label` for the subjects of column `subject`, from a file, plain or
/// gzip.
///
/// # Errors
/// As [`bounded::read_unpacked`] and [`parse_labels`].
pub fn read_labels(
    path: &Path,
    (subject, label): (&str, &str),
    limits: &Limits,
) -> Result<Labels, Error> {
    parse_labels(&bounded::read_unpacked(path, limits)?, path, (subject, label), limits)
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
    (subject, label): (&str, &str),
    limits: &Limits,
) -> Result<Labels, Error> {
    let mut table = Table::open(bytes, name, limits)?;
    let place = table.location.clone();
    let first = place.clone().line(1);
    refuse_duplicates(&table.header, &first)?;
    let subjects = position(subject, &table.header, &first)?;
    let labels = position(label, &table.header, &first)?;
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    while let Some(row) = table.next_row()? {
        let at = |field: &str| place.clone().line(row.line).field(field);
        let who = row.cell(subjects).trim();
        if cells::is_missing(who) {
            return Err(Error::malformed(
                at(subject),
                "the subject is missing",
                "say whose row this is",
            ));
        }
        if !found.contains_key(who) && found.len() as u64 >= limits.subjects {
            return Err(over_subjects(&place, row.line, limits));
        }
        let known = found.entry(who.to_owned()).or_default();
        let word = row.cell(labels).trim();
        if is_no_word(word) {
            continue;
        }
        match known {
            None => *known = Some(word.to_owned()),
            Some(before) if before == word => {}
            Some(_) => {
                return Err(Error::malformed(
                    at(label),
                    "the class differs from that of an earlier row of the same subject",
                    "give each subject one class, in all its rows or in a table of its own",
                ));
            }
        }
    }
    if found.is_empty() {
        return Err(Error::malformed(
            place,
            "the table has a header but no row",
            "give it at least one row",
        ));
    }
    let without = found.iter().filter(|(_, word)| word.is_none());
    let without = without.map(|(who, _)| who.clone()).collect();
    let words = found.into_iter().filter_map(|(who, word)| Some((who, word?))).collect();
    Ok(Labels { words, without })
}

fn is_no_word(cell: &str) -> bool {
    cells::is_missing(cell) && !cell.eq_ignore_ascii_case("none")
}

fn over_subjects(place: &Location, line: u64, limits: &Limits) -> Error {
    Error::Limit {
        location: place.clone().line(line).into(),
        what: "the number of subjects".to_owned(),
        limit: limits.subjects,
    }
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
}
