//! Whom of some people a model was made with: the file beside it that knows, and what it says.
//!
//! `parts.json` in a run's folder holds who was trained, tuned and tested on, as digests of their
//! names and of those of their records. The model file has none of it. People are told apart by names
//! alone: somebody else of the same name counts as the same, and the same person under another name
//! does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sequela_core::{Limits, Location, Sequence, SubjectId};
use sequela_data::Cohort;
use sequela_data::split::Parts;
use sequela_formats::{bounded, durable};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::model::{Model, Provenance};
use crate::report::RunFile;
use crate::study::hex;

/// How many of some people a model was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// People who were given.
    pub subjects: usize,
    /// How many of them the model was made with, or why that is not known.
    pub met: Result<Met, String>,
}

/// Of some people, how many bear the names of people that a model was made with; each counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Met {
    /// Trained on.
    pub trained_on: usize,
    /// Tuned on: early stopping, thresholds and the like.
    pub tuned_on: usize,
    /// Tested on, at the end of training.
    pub tested_on: usize,
}

/// The parts of a run, by digests of names.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartsFile {
    /// SHA-256 of the training part: that of the model whose parts these are.
    training_data: String,
    train: BTreeSet<String>,
    tune: BTreeSet<String>,
    test: BTreeSet<String>,
}

impl Overlap {
    /// Whom of the people in some sequences the model in a file was made with, by the parts that its
    /// run left beside it.
    ///
    /// # Errors
    /// [`Error::Integrity`] where the file of parts is damaged; [`Error::Format`] where it cannot be
    /// read. Where it is not there, or that of another model, the answer is that it is not known.
    pub fn find(
        path: &Path,
        model: &Model,
        sequences: &[Sequence],
        limits: &Limits,
    ) -> Result<Self, Error> {
        let mut names: BTreeMap<&SubjectId, BTreeSet<&str>> = BTreeMap::new();
        for sequence in sequences {
            let known = names.entry(&sequence.subject).or_default();
            known.extend([sequence.subject.as_str(), sequence.id.as_str()]);
        }
        let subjects = names.len();
        let file = path.with_file_name(PARTS);
        if !durable::exists(&file)? {
            let why = format!("there is no {PARTS} beside the model file");
            return Ok(Self { subjects, met: Err(why) });
        }
        let bytes = bounded::read(&file, limits)?;
        let parts: PartsFile = serde_json::from_slice(&bytes).map_err(|error| {
            Error::integrity(Location::file(&file), format!("it does not fit its schema ({error})"))
        })?;
        let provenance = &model.manifest().provenance;
        if parts.training_data != provenance.training_data {
            let why = format!("the {PARTS} beside the model file is that of another model");
            return Ok(Self { subjects, met: Err(why) });
        }
        let mut met = Met { trained_on: 0, tuned_on: 0, tested_on: 0 };
        for names in names.into_values() {
            let digests: Vec<String> =
                names.into_iter().map(|name| digest(provenance, name)).collect();
            let is_in = |part: &BTreeSet<String>| digests.iter().any(|one| part.contains(one));
            if is_in(&parts.train) {
                met.trained_on += 1;
            } else if is_in(&parts.tune) {
                met.tuned_on += 1;
            } else if is_in(&parts.test) {
                met.tested_on += 1;
            }
        }
        Ok(Self { subjects, met: Ok(met) })
    }

    /// The file of the parts of a run.
    pub(crate) fn file(provenance: &Provenance, parts: &Parts) -> RunFile {
        let digests = |part: &Cohort| -> BTreeSet<String> {
            // By the names of records, too: a subject may be called after another of its records.
            let names = part.sequences().iter().flat_map(|s| [s.subject.as_str(), s.id.as_str()]);
            names.map(|name| digest(provenance, name)).collect()
        };
        let file = PartsFile {
            training_data: provenance.training_data.clone(),
            train: digests(&parts.train),
            tune: digests(&parts.tune),
            test: digests(&parts.test),
        };
        let mut bytes = serde_json::to_vec_pretty(&file).unwrap_or_default();
        bytes.push(b'\n');
        (PARTS, bytes)
    }

    /// What has to stand before all figures, where the model was trained or tuned on some of the
    /// people.
    pub fn warning(&self) -> Option<String> {
        let met = self.met.as_ref().ok()?;
        if met.trained_on + met.tuned_on == 0 {
            return None;
        }
        Some(format!(
            "{}: figures of people that a model was made with are not figures of new people",
            self.counted(met)
        ))
    }

    /// What else there is to say.
    pub fn note(&self) -> Option<String> {
        match &self.met {
            Err(why) => Some(format!(
                "it is not known whether the model was trained on any of the {}: {why}",
                self.people()
            )),
            Ok(met) if met.trained_on + met.tuned_on > 0 => None,
            Ok(met) => Some(format!("{}; people are told apart by name", self.counted(met))),
        }
    }

    /// The same for machines.
    pub fn to_value(&self) -> Value {
        let met = self.met.as_ref();
        json!({
            "subjects": self.subjects,
            "met": met.ok(),
            "not_known": met.err(),
            "warning": self.warning(),
        })
    }

    fn people(&self) -> String {
        if self.subjects == 1 { "1 subject".into() } else { format!("{} subjects", self.subjects) }
    }

    /// `of 40 subjects the model was trained on 30, tuned on 4, tested on 6`.
    fn counted(&self, met: &Met) -> String {
        let Met { trained_on, tuned_on, tested_on } = met;
        format!(
            "of {} the model was trained on {trained_on}, tuned on {tuned_on}, tested on {tested_on}",
            self.people()
        )
    }
}

/// What stands for a name, for one model alone.
fn digest(provenance: &Provenance, name: &str) -> String {
    let text = format!("{}\n{name}", provenance.training_data);
    hex(&Sha256::digest(text.as_bytes()))
}

/// Who was trained, tuned and tested on.
pub(crate) const PARTS: &str = "parts.json";
