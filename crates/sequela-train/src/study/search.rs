//! The section about searching for better settings.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::Value;

/// Which settings `sequela search` tries, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// How trials are given up.
    pub method: SearchMethod,
    /// Settings tried, the study's own among them.
    pub trials: usize,
    /// Epochs of the first round of halving; without it as many as leave one trial for the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Of so many trials of a round of halving one goes on, for so many times the epochs.
    pub reduce: u64,
    /// The fields that are searched, by their names: `"train.rate"`.
    pub space: BTreeMap<String, Dimension>,
}

impl Default for Search {
    fn default() -> Self {
        let (method, trials) = (SearchMethod::default(), 16);
        Self { method, trials, epochs: None, reduce: 3, space: BTreeMap::new() }
    }
}

/// How trials are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchMethod {
    /// Not at all: each is trained to its end (Bergstra and Bengio 2012).
    Random,
    /// In rounds: the worse ones after few epochs (Jamieson and Talwalkar 2016).
    #[default]
    Halving,
}

/// The values of one field.
#[derive(Debug, Clone, PartialEq)]
pub enum Dimension {
    /// `[32, 64]` or `["last", "mean"]`: one of these.
    Choices(Vec<Value>),
    /// `{ from = 1e-4, to = 1e-2, scale = "log" }`: a number between these.
    Range(Range),
}

/// Numbers between two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The least.
    pub from: Number,
    /// The largest.
    pub to: Number,
    /// Whether equal steps are equally likely, or equal ratios.
    #[serde(default)]
    pub scale: RangeScale,
}

impl Range {
    /// Whether only whole numbers are meant.
    pub fn is_whole(&self) -> bool {
        matches!((self.from, self.to), (Number::Whole(_), Number::Whole(_)))
    }
}

/// A number as it was written: where both ends are whole, so is what lies between.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// `3`
    Whole(i64),
    /// `3.0`
    Real(f64),
}

impl Number {
    /// Its value.
    pub fn value(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Real(value) => value,
        }
    }
}

/// What is equally likely in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RangeScale {
    /// Equal steps.
    #[default]
    Linear,
    /// Equal ratios, for what is above 0.
    Log,
}

impl Serialize for Dimension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Choices(values) => values.serialize(serializer),
            Self::Range(range) => range.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Dimension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

/// Tells a list from a section, so that faults name what is wrong in either.
struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = Dimension;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of values, or { from = ..., to = ... }")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Dimension, A::Error> {
        Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(Dimension::Choices)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Dimension, A::Error> {
        Range::deserialize(de::value::MapAccessDeserializer::new(map)).map(Dimension::Range)
    }
}
