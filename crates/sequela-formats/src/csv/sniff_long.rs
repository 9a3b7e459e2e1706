//! Whether an unknown table is a long one, and what it measures.

use std::collections::BTreeMap;
use std::path::Path;

use sequela_core::Limits;

use super::columns::ValueColumn;
use super::long::LongColumns;
use super::rows::{Rows, with_stream};
use super::sniff::guess_keys;
use crate::{Error, units};

/// A long table as it seems to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongSniffed {
    /// The guess; its channels are all names that have results, in the order of their names,
    /// with the unit most of their rows have.
    pub columns: LongColumns,
    /// Names that were left out, and why.
    pub left_out: Vec<(String, String)>,
    /// Names whose rows have several units: name, units in the order of their names.
    pub mixed: Vec<(String, Vec<String>)>,
}

/// Guesses whether a file is a long table: it has a column called like what was measured
/// (`parameter`, `itemid`, `labname` ...), one like a result (`value`, `valuenum`, `labresult`
/// ...), one like a subject and one like a time. `None` where it is not.
///
/// The whole file is read, in a stream.
///
/// # Errors
/// Those of opening and of lines; [`Error::Malformed`] for another number of cells;
/// [`Error::Limit`] for more than 4096 different names.
pub fn sniff_long(path: &Path, limits: &Limits) -> Result<Option<LongSniffed>, Error> {
    with_stream(path, limits, sniff_long_rows)
}

fn sniff_long_rows(rows: &mut dyn Rows) -> Result<Option<LongSniffed>, Error> {
    let place = rows.place().clone();
    let names = rows.header().to_vec();
    let find = |known: &[&str]| {
        // The first word of the list that is there, so that a number is preferred to its text.
        known.iter().find_map(|known| names.iter().position(|name| name.to_lowercase() == *known))
    };
    let (Some(name), Some(value)) = (find(&NAMES), find(&VALUES)) else { return Ok(None) };
    let unit = find(&UNIT_NAMES);
    let readable: Vec<usize> = (0..names.len()).filter(|at| rows.unread(*at).is_none()).collect();
    rows.select(&readable)?;
    let mut first: Option<Vec<String>> = None;
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    while let Some(row) = rows.next_row()? {
        if first.is_none() {
            let texts = (0..names.len()).map(|at| row.cell(at).text().into_owned());
            first = Some(texts.collect());
        }
        let word = row.cell(name).text();
        let word = word.as_ref();
        if !found.contains_key(word) {
            if found.len() >= MOST_NAMES {
                return Err(Error::Limit {
                    location: row.place(&place).into(),
                    what: "the number of different things that are measured".to_owned(),
                    limit: MOST_NAMES as u64,
                });
            }
            found.insert(word.to_owned(), Found::default());
        }
        let Some(found) = found.get_mut(word) else { continue };
        match row.cell(value).value() {
            Ok(value) if value.is_nan() => continue,
            Ok(_) => found.numbers += 1,
            Err(_) => found.texts += 1,
        }
        if let Some(at) = unit {
            found.count_unit(&row.cell(at).text());
        }
    }
    let Some(first) = first else { return Ok(None) };
    // Of the columns that are left, which is the subject and which the time?
    let others: Vec<usize> = (0..names.len())
        .filter(|at| ![Some(name), Some(value), unit].contains(&Some(*at)))
        .collect();
    let other_names: Vec<String> = others.iter().filter_map(|at| names.get(*at)).cloned().collect();
    let other_cells: Vec<&str> =
        others.iter().filter_map(|at| first.get(*at)).map(String::as_str).collect();
    let (Some(subject), Some(time)) = guess_keys(&other_names, &other_cells) else {
        return Ok(None);
    };
    let at = |column: usize| names.get(column).cloned().unwrap_or_default();
    let mut sniffed = LongSniffed {
        columns: LongColumns {
            subject,
            time,
            name: at(name),
            value: at(value),
            unit: unit.map(at),
            channels: Vec::new(),
        },
        left_out: Vec::new(),
        mixed: Vec::new(),
    };
    for (name, found) in found {
        sniffed.take(name, found);
    }
    Ok(Some(sniffed))
}

impl LongSniffed {
    fn take(&mut self, name: String, found: Found) {
        if found.texts > 0 {
            self.left_out.push((name, "it holds text".to_owned()));
        } else if found.numbers == 0 {
            self.left_out.push((name, "it has no result".to_owned()));
        } else if found.units.len() > 1 {
            self.mixed.push((name.clone(), found.units.into_keys().collect()));
            self.left_out.push((name, "its rows have several units".to_owned()));
        } else {
            let unit = found.units.into_keys().next().unwrap_or_default();
            self.columns.channels.push(ValueColumn { name, unit });
        }
    }
}

/// What is known of one name.
#[derive(Debug, Default)]
struct Found {
    numbers: u64,
    texts: u64,
    units: BTreeMap<String, u64>,
}

impl Found {
    fn count_unit(&mut self, unit: &str) {
        if unit.is_empty() {
            return;
        }
        if let Some((_, count)) = self.units.iter_mut().find(|(known, _)| units::same(known, unit))
        {
            *count += 1;
        } else if self.units.len() < MOST_UNITS {
            let name = units::standard(unit).unwrap_or(unit);
            self.units.insert(name.to_owned(), 1);
        }
    }
}

const MOST_NAMES: usize = 4096;
const MOST_UNITS: usize = 8;
const NAMES: [&str; 17] = [
    "parameter",
    "variable",
    "measurement",
    "labname",
    "label",
    "item",
    "itemid",
    "item_id",
    "concept",
    "concept_id",
    "measurement_concept_id",
    "code",
    "test",
    "test_name",
    "analyte",
    "channel",
    "name",
];
const VALUES: [&str; 9] = [
    "valuenum",
    "value_as_number",
    "numeric_value",
    "labresult",
    "result_value",
    "result",
    "value",
    "val",
    "v",
];
const UNIT_NAMES: [&str; 8] = [
    "unit",
    "units",
    "valueuom",
    "uom",
    "labmeasurenamesystem",
    "unit_of_measure",
    "value_unit",
    "unit_source_value",
];
