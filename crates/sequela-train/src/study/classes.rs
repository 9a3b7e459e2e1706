//! The fields of `task = "classify"` and `"label"`: whose class is what, and what each class counts for.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The class of each subject, or of each step: a column of words.
///
/// An empty cell, `NA`, `NaN` or `null` is an unknown class; subjects without one are left out
/// and counted. For `task = "label"` each row has a word of its own, or none. `none` is a word like any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSpec {
    /// The name of the column.
    pub name: String,
    /// A second table that has it, keyed by the same subject column, and for `task = "label"` by the
    /// same column of times; without it the table of the series has it, of a subject in all its rows the
    /// same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The classes in their order; without it the words of the training subjects, sorted. Of two
    /// classes the second is the case that sensitivity, AUROC and the threshold are about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

impl LabelSpec {
    /// A column of the table of the series, with whatever classes it has.
    pub(crate) fn of_column(name: &str) -> Self {
        Self { name: name.to_owned(), file: None, classes: Vec::new() }
    }
}

/// What an error about a subject of each class counts for, relative to others.
///
/// Weights make rare classes heard while training; they are taken out of the probabilities again,
/// which stay those of the population that was trained on.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ClassWeights {
    /// Every subject counts the same.
    #[default]
    None,
    /// Every class counts the same: `N / (K N_k)`, of N training subjects and `N_k` of class k
    /// (scikit-learn's `balanced`).
    Balanced,
    /// By name; classes that are not named count 1.
    Named(BTreeMap<String, f32>),
}

impl ClassWeights {
    /// Whether every subject counts the same.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

impl Serialize for ClassWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str(WORDS[0]),
            Self::Balanced => serializer.serialize_str(WORDS[1]),
            Self::Named(weights) => weights.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ClassWeights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrTable)
    }
}

struct WordOrTable;

impl<'de> Visitor<'de> for WordOrTable {
    type Value = ClassWeights;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"none\", \"balanced\" or a table like { died = 3.0, survived = 1.0 }")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<ClassWeights, E> {
        match WORDS.iter().position(|known| *known == word) {
            Some(0) => Ok(ClassWeights::None),
            Some(_) => Ok(ClassWeights::Balanced),
            None => Err(E::unknown_variant(word, WORDS)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ClassWeights, A::Error> {
        let mut weights = BTreeMap::new();
        while let Some((class, weight)) = map.next_entry()? {
            weights.insert(class, weight);
        }
        Ok(ClassWeights::Named(weights))
    }
}

const WORDS: &[&str] = &["none", "balanced"];
