//! Coded events of people, as they are gathered from another format before they are written.

use std::collections::{BTreeMap, BTreeSet};

use crate::parquet::{ColumnData, write_table};
use crate::units;

/// Coded events of people.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Coded {
    /// Every subject, with or without events, in order.
    pub subjects: Vec<i64>,
    /// The events, by subject, those of a subject in the order of their times, those without a time first.
    pub events: Vec<CodedEvent>,
    /// What `code` of the events counts in.
    pub codes: Vec<Code>,
    /// What `text` and `unit` of the events count in.
    pub words: Vec<String>,
    /// What each table or kind of resource held, in the order of reading.
    pub counts: Vec<Counted>,
    /// What a person should know of what was left out or parted; no identifier is in it.
    pub notes: Vec<String>,
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CodedEvent {
    /// The subject.
    pub subject: i64,
    /// Microseconds since 1970; `None` for what does not change.
    pub time: Option<i64>,
    /// A position among the codes.
    pub code: u32,
    /// The value; NaN where there is none.
    pub value: f32,
    /// A position among the words: what was found, in words.
    pub text: Option<u32>,
    /// A position among the words: the unit of the value.
    pub unit: Option<u32>,
}

/// A code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The code, such as `LOINC//8302-2`.
    pub name: String,
    /// What it stands for; empty where that is not known.
    pub description: String,
    /// The unit of its values; empty where they have none.
    pub unit: String,
}

/// How much came from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The table or the kind of resource.
    pub source: String,
    /// Its rows or resources.
    pub rows: u64,
    /// The events that they became.
    pub events: u64,
}

/// Numbers for texts, in the order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct Words {
    known: BTreeMap<String, u32>,
    /// The texts.
    pub(crate) list: Vec<String>,
}

impl Words {
    /// The number of a text; `None` where there are too many.
    pub(crate) fn number(&mut self, text: &str) -> Option<u32> {
        if let Some(number) = self.known.get(text) {
            return Some(*number);
        }
        let number = u32::try_from(self.list.len()).ok()?;
        self.known.insert(text.to_owned(), number);
        self.list.push(text.to_owned());
        Some(number)
    }
}

impl Coded {
    /// Sorts the events, and parts codes whose values come in more than one unit.
    ///
    /// A model takes all values of a code for those of one quantity. So a code that has values in `mg/dL` and in
    /// `mmol/L` becomes two, `CODE//mg/dL` and `CODE//mmol/L`; a value that has no unit keeps `CODE`.
    pub(crate) fn finish(&mut self) {
        self.events.sort_by_key(|event| (event.subject, event.time));
        let measured = |event: &&CodedEvent| event.value.is_finite();
        let pairs: BTreeSet<(u32, u32)> = self
            .events
            .iter()
            .filter(measured)
            .filter_map(|event| Some((event.code, event.unit?)))
            .collect();
        let pairs: Vec<(u32, u32)> = pairs.into_iter().collect();
        let mut names = Words::default();
        for code in &self.codes {
            names.number(&code.name);
        }
        let mut parted = 0_u64;
        let mut others: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for group in pairs.chunk_by(|a, b| a.0 == b.0) {
            let Some(&(code, first)) = group.first() else { continue };
            let word = |at: u32| self.words.get(at as usize).map_or("", String::as_str);
            let Some(old) = self.codes.get_mut(code as usize) else { continue };
            if group.iter().all(|(_, unit)| units::same(word(*unit), word(first))) {
                word(first).clone_into(&mut old.unit);
                continue;
            }
            parted += 1;
            let old = old.clone();
            for &(_, unit) in group {
                let name = format!("{}//{}", old.name, word(unit));
                let Some(at) = names.number(&name) else { continue };
                if at as usize == self.codes.len() {
                    self.codes.push(Code { name, unit: word(unit).to_owned(), ..old.clone() });
                }
                others.insert((code, unit), at);
            }
        }
        if !others.is_empty() {
            for event in self.events.iter_mut().filter(|event| event.value.is_finite()) {
                let other = event.unit.and_then(|unit| others.get(&(event.code, unit)));
                event.code = other.copied().unwrap_or(event.code);
            }
            self.notes.push(format!(
                "{parted} codes have values in more than one unit; each unit has its own code, CODE//UNIT"
            ));
        }
    }

    /// The bytes of a shard of some of the events; see [`write_shard`](super::write_shard).
    ///
    /// Beside the columns of the schema it has `text` and `unit`. The schema's own `text_value` has to be of Arrow's
    /// large texts, which a Parquet file without a schema of Arrow cannot say.
    ///
    /// **Determinism** the same events give the same bytes.
    pub fn shard(&self, events: &[CodedEvent]) -> Vec<u8> {
        let code =
            |event: &CodedEvent| self.codes.get(event.code as usize).map(|code| code.name.as_str());
        let word =
            |at: Option<u32>| at.and_then(|at| self.words.get(at as usize)).map(String::as_str);
        let value = |event: &CodedEvent| Some(event.value).filter(|value| value.is_finite());
        write_table(&[
            ("subject_id", ColumnData::Integers(events.iter().map(|e| Some(e.subject)).collect())),
            ("time", ColumnData::Instants(events.iter().map(|e| e.time).collect())),
            ("code", ColumnData::Texts(events.iter().map(code).collect())),
            ("numeric_value", ColumnData::Numbers(events.iter().map(value).collect())),
            ("text", ColumnData::Texts(events.iter().map(|e| word(e.text)).collect())),
            ("unit", ColumnData::Texts(events.iter().map(|e| word(e.unit)).collect())),
        ])
    }

    /// The bytes of `metadata/codes.parquet`: the codes that occur, sorted, with `description` and `unit`.
    pub fn code_table(&self) -> Vec<u8> {
        let mut occurs = vec![false; self.codes.len()];
        for event in &self.events {
            if let Some(occurs) = occurs.get_mut(event.code as usize) {
                *occurs = true;
            }
        }
        let mut codes: Vec<&Code> = self
            .codes
            .iter()
            .zip(occurs)
            .filter_map(|(code, occurs)| occurs.then_some(code))
            .collect();
        codes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let there = |text: &'_ String| !text.is_empty();
        let column = |of: fn(&Code) -> &String| {
            codes
                .iter()
                .map(|code| Some(of(code)).filter(|text| there(text)).map(String::as_str))
                .collect()
        };
        write_table(&[
            ("code", ColumnData::Texts(column(|code| &code.name))),
            ("description", ColumnData::Texts(column(|code| &code.description))),
            ("unit", ColumnData::Texts(column(|code| &code.unit))),
        ])
    }
}
