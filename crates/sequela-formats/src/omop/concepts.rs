//! CONCEPT: what concepts are called.

use std::collections::{BTreeMap, BTreeSet};

use sequela_core::Limits;

use super::source::Source;
use super::table::{Cells, Columns};
use crate::Error;

/// Concepts by their numbers.
#[derive(Debug, Default)]
pub(super) struct Concepts {
    known: BTreeMap<i64, Concept>,
}

/// One concept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Concept {
    /// `VOCABULARY//code`.
    pub(super) code: String,
    /// Its name.
    pub(super) name: String,
    /// Bytes of the vocabulary and the strokes.
    vocabulary: usize,
}

impl Concept {
    fn new(vocabulary: &str, code: &str, name: &str) -> Self {
        let start = vocabulary.len() + 2;
        Self { code: format!("{vocabulary}//{code}"), name: name.to_owned(), vocabulary: start }
    }

    /// As a unit or a finding: the code alone where the vocabulary is that of units, else the name.
    pub(super) fn short(&self) -> &str {
        if self.code.starts_with("UCUM//") {
            self.code.get(self.vocabulary..).unwrap_or_default()
        } else {
            &self.name
        }
    }
}

impl Concepts {
    pub(super) fn get(&self, id: i64) -> Option<&Concept> {
        self.known.get(&id)
    }
}

/// Reads those concepts that are wanted.
///
/// # Errors
/// Those of reading; [`Error::MissingColumn`]; [`Error::Malformed`] for a concept without a whole number.
pub(super) fn read(
    source: &mut Source,
    wanted: &BTreeSet<i64>,
    limits: &Limits,
) -> Result<Concepts, Error> {
    let mut concepts = Concepts::default();
    for (id, code, name) in GENDERS {
        concepts.known.insert(id, Concept::new("Gender", code, name));
    }
    source.table("CONCEPT", limits, |rows| {
        let columns = Columns::of(rows)?;
        let id = columns.required("concept_id")?;
        let vocabulary = columns.required("vocabulary_id")?;
        let code = columns.required("concept_code")?;
        let name = columns.required("concept_name")?;
        rows.select(&[id, vocabulary, code, name])?;
        let place = rows.place().clone();
        while let Some(row) = rows.next_row()? {
            let cells = Cells { row: &row, place: &place };
            let number = cells.whole(id, "concept_id")?;
            let Some(number) = number.filter(|number| wanted.contains(number)) else { continue };
            let (vocabulary, code) = (row.cell(vocabulary).text(), row.cell(code).text());
            let concept = Concept::new(&vocabulary, &code, &row.cell(name).text());
            concepts.known.insert(number, concept);
        }
        Ok(())
    })?;
    Ok(concepts)
}

/// Concepts that every PERSON has, and few extracts of CONCEPT.
const GENDERS: [(i64, &str, &str); 2] = [(8507, "M", "MALE"), (8532, "F", "FEMALE")];
