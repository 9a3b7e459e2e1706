//! What is gathered before the names of the concepts are known.

use std::collections::{BTreeMap, BTreeSet};

use super::concepts::Concepts;
use crate::meds::{Code, Coded, CodedEvent, Counted, Words};

/// What an event is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// By its own name.
    Named(&'static str),
    /// By a concept.
    Concept(i64),
    /// By a concept, where it is an end of it.
    End(i64),
    /// By no concept, in a table.
    Unknown(&'static str),
    /// By no concept, where it is an end.
    UnknownEnd(&'static str),
}

impl Key {
    fn concept(self) -> Option<i64> {
        match self {
            Self::Concept(id) | Self::End(id) => Some(id),
            _ => None,
        }
    }
}

/// What a cell says in words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    /// By a concept; where CONCEPT does not have it, by these words.
    Concept(i64, String),
    /// In words.
    Text(String),
}

/// What happened to a person.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Happened {
    pub(super) person: i64,
    pub(super) time: Option<i64>,
    pub(super) key: Key,
    pub(super) value: f32,
    pub(super) text: Option<Said>,
    pub(super) unit: Option<Said>,
}

impl Happened {
    /// Something without value, unit and words.
    pub(super) fn plain(person: i64, time: Option<i64>, key: Key) -> Self {
        Self { person, time, key, value: f32::NAN, text: None, unit: None }
    }
}

/// Events whose codes are keys.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) people: BTreeSet<i64>,
    pub(super) counts: Vec<Counted>,
    pub(super) notes: Vec<String>,
    events: Vec<CodedEvent>,
    /// Ends of visits: they come after what happened in the visits.
    ends: Vec<CodedEvent>,
    keys: Numbered<Key>,
    said: Numbered<Said>,
}

impl Gathered {
    pub(super) fn push(&mut self, happened: Happened) {
        let Happened { person: subject, time, key, value, text, unit } = happened;
        let code = self.keys.number(key);
        let text = text.map(|text| self.said.number(text));
        let unit = unit.map(|unit| self.said.number(unit));
        let to = match key {
            Key::End(_) | Key::UnknownEnd(_) => &mut self.ends,
            _ => &mut self.events,
        };
        to.push(CodedEvent { subject, time, code, value, text, unit });
    }

    /// Puts the ends of visits after what was gathered up to now.
    pub(super) fn end_visits(&mut self) {
        self.events.append(&mut self.ends);
    }

    /// The concepts whose names are needed.
    pub(super) fn wanted(&self) -> BTreeSet<i64> {
        let of_words = self.said.list.iter().filter_map(|said| match said {
            Said::Concept(id, _) => Some(*id),
            Said::Text(_) => None,
        });
        self.keys.list.iter().filter_map(|key| key.concept()).chain(of_words).collect()
    }

    /// The events with the names of their codes.
    pub(super) fn finish(mut self, concepts: &Concepts) -> Coded {
        self.end_visits();
        let mut coded = Coded {
            subjects: self.people.into_iter().collect(),
            counts: self.counts,
            notes: self.notes,
            ..Coded::default()
        };
        let mut unnamed = 0_u64;
        let mut names = Words::default();
        let codes: Vec<u32> = self
            .keys
            .list
            .iter()
            .map(|key| {
                let concept = key.concept().and_then(|id| concepts.get(id));
                unnamed += u64::from(key.concept().is_some() && concept.is_none());
                let plain = |id: i64| concept.map_or(format!("OMOP//{id}"), |c| c.code.clone());
                let name = match *key {
                    Key::Named(name) => name.to_owned(),
                    Key::Concept(id) => plain(id),
                    Key::End(id) => format!("VISIT_END//{}", plain(id)),
                    Key::Unknown(table) => format!("OMOP//{table}//0"),
                    Key::UnknownEnd(table) => format!("VISIT_END//OMOP//{table}//0"),
                };
                let before = names.list.len();
                let number = names.number(&name).unwrap_or(u32::MAX);
                if names.list.len() > before {
                    let description = concept.map_or("", |concept| &concept.name).to_owned();
                    coded.codes.push(Code { name, description, unit: String::new() });
                }
                number
            })
            .collect();
        let mut words = Words::default();
        let said: Vec<Option<u32>> = self
            .said
            .list
            .iter()
            .map(|said| match said {
                Said::Text(text) => words.number(text),
                Said::Concept(id, text) => match concepts.get(*id) {
                    Some(concept) => words.number(concept.short()),
                    None if text.is_empty() => words.number(&format!("OMOP//{id}")),
                    None => words.number(text),
                },
            })
            .collect();
        coded.words = words.list;
        let word = |at: Option<u32>| at.and_then(|at| said.get(at as usize).copied().flatten());
        coded.events = self.events;
        for event in &mut coded.events {
            event.code = codes.get(event.code as usize).copied().unwrap_or(u32::MAX);
            event.text = word(event.text);
            event.unit = word(event.unit);
        }
        if unnamed > 0 {
            coded.notes.push(format!(
                "{unnamed} concepts are not in CONCEPT; their codes are OMOP//concept_id"
            ));
        }
        coded.finish();
        coded
    }
}

/// Numbers for what may come again.
#[derive(Debug)]
struct Numbered<T> {
    known: BTreeMap<T, u32>,
    list: Vec<T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), list: Vec::new() }
    }
}

impl<T: Clone + Ord> Numbered<T> {
    /// Its number; 32 bits hold more than fits into memory.
    fn number(&mut self, item: T) -> u32 {
        if let Some(number) = self.known.get(&item) {
            return *number;
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.known.insert(item.clone(), number);
        self.list.push(item);
        number
    }
}
