//! The sections about who is in which part, and about what may leak between parts.

use sequela_data::split::Fractions;
use serde::{Deserialize, Serialize};

/// Who is trained on, tuned on and judged on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// What is divided.
    #[serde(default)]
    pub by: SplitBy,
    /// Shares for tuning and test, where no names are given. With folds, the share for tuning is
    /// of those whom the fold does not test.
    #[serde(default = "fractions")]
    pub fractions: Fractions,
    /// Folds of a cross-validation, for classes: as many models, each judged on other subjects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// The one fold that is to be run, from 1; without it all are, each in a folder of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<usize>,
    /// With `by = "group"`: the channel whose first value says where a subject belongs (`hospital`), or
    /// the edges of its bands (`age:45,65`). `test` and `tune` name groups then; with folds, of which
    /// there are as many as groups, each group is tested once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Subjects to train on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub train: Vec<String>,
    /// Subjects to tune on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tune: Vec<String>,
    /// Subjects to be judged on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
}

impl Default for Split {
    fn default() -> Self {
        Self {
            by: SplitBy::default(),
            fractions: fractions(),
            folds: None,
            fold: None,
            group: None,
            train: Vec::new(),
            tune: Vec::new(),
            test: Vec::new(),
        }
    }
}

impl Split {
    /// Whether the study names subjects of parts.
    pub(crate) fn is_listed(&self) -> bool {
        !(self.train.is_empty() && self.tune.is_empty() && self.test.is_empty())
    }
}

/// What is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// People: nobody is in two parts.
    #[default]
    Subject,
    /// Each record's time: says nothing about other people.
    Time,
    /// Places: whole groups of people are tested, of whom none was trained on.
    Group,
    /// Who came when: the earliest people are trained on, the last tested.
    Start,
    /// As the data come split: `train`, `tuning` and `held_out` of MEDS.
    Published,
}

/// What the leakage audit lets pass. By default nothing: a run with a finding is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Whether records of two people in two parts may not hold the same values.
    pub records: bool,
    /// Channels that may tell the class all alone: they are known before it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
}

impl Default for Audit {
    fn default() -> Self {
        Self { records: true, allow: Vec::new() }
    }
}

impl Audit {
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

fn fractions() -> Fractions {
    Fractions { tune: 0.2, test: 0.2 }
}
