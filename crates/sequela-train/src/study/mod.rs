//! A study: everything that makes a run what it is, in one TOML file.
//!
//! ```toml
//! [study]
//! name = "ward-heart-rate"
//! task = "forecast"
//! seed = 1
//!
//! [data]
//! kind = "csv"
//! path = "ward.csv"
//! values = [{ name = "heart_rate", unit = "bpm" }]
//!
//! [window]
//! length = 60
//! horizons = [1, 5, 30]
//!
//! [model]
//! kind = "sequence"
//! cell = "lstm"
//! hidden = 32
//!
//! [train]
//! epochs = 20
//! ```
//!
//! Or, with one class for each subject (`task = "classify"`):
//!
//! ```toml
//! study = { name = "icu-mortality", task = "classify" }
//!
//! [data]
//! kind = "csv"
//! path = "stays.csv"                  # many rows for each subject
//! subject = "stay"                    # needed: a class is a subject's
//! time = { name = "hour", format = "hours" }
//! values = [{ name = "HR", unit = "bpm" }, { name = "Lactate", unit = "mmol/L" }]
//! # A column of this table or of a second one; without classes the training subjects' words.
//! label = { name = "in_hospital", file = "outcomes.csv", classes = ["survived", "died"] }
//!
//! [window]                            # may be left out
//! length = 24                         # the last 24 steps; left out or 0: the whole series
//! missing = "carry"                   # or "centre"
//! indicators = ["observed", "gap"]    # told beside the values
//! # summaries = ["mean", "lowest", "highest"]   # of the values so far, told at each step
//! # statics = ["age", "male"]        # what does not change, told once beside the steps
//! # clip = 4.0                        # scaled values are no further from 0
//!
//! [split]                             # by subject, each class in about the same shares
//! fractions = { tune = 0.2, test = 0.2 }
//! # Or cross-validation: each subject is judged once, in one of five folds; `tune` is then the
//! # share of the others of a fold.
//! # folds = 5
//! # fractions = { tune = 0.2 }
//!
//! # [audit]                           # what the leakage audit lets pass, if anything
//! # allow = ["lactate"]
//!
//! [model]
//! kind = "sequence"
//! cell = "gru"                        # pooling: last, mean, max or attention
//!
//! [train]
//! loss = { kind = "cross_entropy" }   # what it is where it is left out; binary_cross_entropy for two
//! class_weights = "balanced"          # or "none", or { died = 3.0, survived = 1.0 }
//!
//! [evaluate]
//! threshold = "youden"                # or "f1", "event1", { fixed = 0.3 }; chosen on the tuning part
//! recalibrate = "platt"               # or "isotonic", "temperature"; left out: not at all
//! subgroups = ["male", "age:45,65"]   # figures of parts of the people, by channel, in bands
//! # Strengths and leaves tried on the tuning part; [] for none.
//! baselines = { logistic = [0.01, 0.1, 1.0], trees = [8, 16] }
//!
//! # [ensemble]                        # several networks and the trees that answer together
//! # members = 5
//! # turns = 5                         # each tuned on another fifth of those trained on
//! # trees = true
//! ```
//!
//! Or, with a class for each step (`task = "label"`), told from this step and those before it:
//!
//! ```toml
//! study = { name = "sepsis-hourly", task = "label" }
//!
//! [data]
//! kind = "csv"                        # or physionet2019, whose label is SepsisLabel
//! path = "hours.csv"                  # one row for each step of each subject
//! subject = "stay"
//! time = { name = "hour", format = "hours" }
//! values = [{ name = "HR", unit = "bpm" }, { name = "Lactate", unit = "mmol/L" }]
//! # A column of this table; steps with an empty cell are seen, but neither trained nor judged.
//! label = { name = "SepsisLabel", classes = ["0", "1"] }
//!
//! [model]                             # reads forward, answers at each step
//! kind = "sequence"
//! cell = "gru"
//!
//! [evaluate]
//! # As for classes, or "sepsis_utility": the score of the PhysioNet/CinC Challenge 2019.
//! threshold = "sepsis_utility"
//! ```
//!
//! window (without length), split, audit, train, ensemble and evaluate are those of classes.
//!
//! Each of them may say what `sequela search` tries beside its own settings:
//!
//! ```toml
//! [search]
//! method = "halving"                  # or "random"
//! trials = 16                         # settings tried, the study's own among them
//! reduce = 3                          # one of three goes on into the next round
//! [search.space]
//! "train.rate" = { from = 1e-4, to = 1e-2, scale = "log" }
//! "model.hidden" = [32, 64, 128]
//! ```
//!
//! Every field is typed and every unknown one refused with the nearest known name; what is left
//! out has a default, which [`Study::to_toml`] shows.

mod builtin;
mod check;
mod check_ensemble;
mod check_fading;
mod check_search;
mod check_task;
mod classes;
mod data;
pub(crate) mod document;
pub(crate) mod fault;
mod memory;
pub(crate) mod nearest;
mod search;
mod split;
mod training;
mod window;

use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location};
use sequela_eval::classify::ThresholdRule;
use sequela_formats::bounded;
use sequela_nn::{Architecture, Loss, Pooling};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use classes::{ClassWeights, LabelSpec};
pub use data::{
    ArticleData, Content, CsvData, Data, EdfData, LongSpec, MedsData, NpyData, Physionet2012Data,
    Physionet2019Data, Scaling, SimulatedData, TimeSpec, TimeWord, ValueSpec, WfdbData,
};
pub use document::Override;
pub use memory::Memory;
pub use search::{Dimension, Number, Range, RangeScale, Search, SearchMethod};
pub use split::{Audit, Split, SplitBy};
pub use training::{
    Baselines, Checkpoint, Ensemble, EvaluateSection, FeedForward, KeepWeights, Schedule, Train,
};
pub use window::{Indicator, InputKind, Missing, Summary, TargetKind, Window};

use crate::Error;
use document::Document;
use fault::{Fault, Reader};

/// A study, checked: sizes are within limits and fields agree with each other.
///
/// # Example
/// ```
/// use sequela_train::{Override, Study};
/// let study = Study::builtin("simulated", &[Override::parse("train.epochs=3")?])?;
/// assert_eq!(study.train.epochs, 3);
/// let again = Study::parse(&study.to_toml(), "again.toml".as_ref(), &[])?;
/// assert_eq!(again.digest(), study.digest());
///
/// let error = Study::builtin("simulated", &[Override::parse("train.epoch=3")?]).unwrap_err();
/// assert!(error.to_string().contains("did you mean \"epochs\"?"));
/// # Ok::<(), sequela_train::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// What it is called and what it is for.
    pub study: About,
    /// Where the series come from.
    pub data: Data,
    /// What the model sees and what it is asked.
    #[serde(default)]
    pub window: Window,
    /// Who is trained on, tuned on and judged on.
    #[serde(default)]
    pub split: Split,
    /// What the leakage audit lets pass.
    #[serde(default, skip_serializing_if = "Audit::is_usual")]
    pub audit: Audit,
    /// How values are brought to a common size.
    #[serde(default)]
    pub scale: Scaling,
    /// The network.
    pub model: Architecture,
    /// How many of it answer together.
    #[serde(default, skip_serializing_if = "Ensemble::is_one")]
    pub ensemble: Ensemble,
    /// How it is trained.
    #[serde(default)]
    pub train: Train,
    /// How it is judged.
    #[serde(default)]
    pub evaluate: EvaluateSection,
    /// Which other settings `sequela search` tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// The folder that relative paths start from.
    #[serde(skip)]
    pub base: PathBuf,
}

/// What a study is called and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Name, for folders and titles.
    pub name: String,
    /// What is to be predicted.
    #[serde(default)]
    pub task: Task,
    /// Seed of weights, shuffles, dropout, splits and simulations.
    #[serde(default)]
    pub seed: u64,
}

/// What is to be predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Task {
    /// The series' own future.
    #[default]
    Forecast,
    /// A class of the whole series of a subject.
    Classify,
    /// A number for the whole sequence.
    Regress,
    /// A class of every step.
    Label,
    /// A new sequence.
    Generate,
    /// The time to an event.
    Survive,
}

impl Task {
    /// Whether classes are told, of series or of their steps.
    pub(crate) fn tells_classes(self) -> bool {
        matches!(self, Self::Classify | Self::Label)
    }
}

impl Study {
    /// The study in a file, after `overrides`.
    ///
    /// # Errors
    /// What reading a file gives, and as [`Study::parse`].
    pub fn load(path: &Path, overrides: &[Override]) -> Result<Self, Error> {
        let limits = Limits { file_bytes: LARGEST_STUDY, ..Limits::default() };
        let bytes = bounded::read(path, &limits)?;
        Self::parse(bounded::text(&bytes, path)?, path, overrides)
    }

    /// The study in a text; `name` stands for the file in messages, and relative paths of data
    /// start at its folder.
    ///
    /// # Errors
    /// [`Error::Study`] with line and field: bad TOML, a field that is unknown (with the nearest
    /// known one), missing, of another type or out of range; [`Error::TooLarge`] for sizes over
    /// a limit; [`Error::Unsupported`] for what is not built yet.
    pub fn parse(text: &str, name: &Path, overrides: &[Override]) -> Result<Self, Error> {
        let mut document = Document::parse(text, name)?;
        for change in overrides {
            document.set(change)?;
        }
        let mut study = Self::deserialize(Reader(&document.root))
            .map_err(|fault| document.explain(data::inner(&document, fault)))?;
        study.base = name.parent().map(Path::to_owned).unwrap_or_default();
        study.follow_task(&document)?;
        check::check(&study, &|path| document.location(path))?;
        Ok(study)
    }

    /// What a task needs to be told, and what it has for a default.
    fn follow_task(&mut self, document: &Document) -> Result<(), Error> {
        if self.study.task == Task::Forecast {
            let missing = |section, field| Err(document.explain(Fault::missing(section, field)));
            if !document.has(&["window"]) {
                return missing(None, "window");
            }
            for field in ["length", "horizons"] {
                if !document.has(&["window", field]) {
                    return missing(Some("window"), field);
                }
            }
        }
        if self.study.task.tells_classes() && !document.has(&["train", "loss"]) {
            self.train.loss = Loss::CrossEntropy { class_weights: Vec::new() };
        }
        if self.study.task == Task::Label {
            // A class of each step has no pooling to be said; what is written is checked.
            if let Architecture::Sequence(model) = &mut self.model
                && !document.has(&["model", "pooling"])
            {
                model.pooling = Pooling::None;
            }
            if matches!(self.data, Data::Physionet2019(_))
                && !document.has(&["evaluate", "threshold"])
            {
                self.evaluate.threshold = ThresholdRule::SepsisUtility;
            }
        }
        // A fold tests its share of the subjects: there is no other share to be said.
        if self.split.folds.is_some() && !document.has(&["split", "fractions", "test"]) {
            self.split.fractions.test = 0.0;
        }
        // Nor is there a tuning part where networks are tuned in turn.
        if self.ensemble.turns.is_some() && !document.has(&["split", "fractions", "tune"]) {
            self.split.fractions.tune = 0.0;
        }
        Ok(())
    }

    /// Refuses a study that cannot be run; `place` is where it stands.
    ///
    /// # Errors
    /// As [`Study::parse`], about what types cannot say.
    pub(crate) fn check(&self, place: &Location) -> Result<(), Error> {
        check::check(self, &|path| place.clone().field(path.join(".")))
    }

    /// One of the studies that come with the program.
    ///
    /// # Errors
    /// [`Error::Study`] for an unknown name, and as [`Study::parse`].
    pub fn builtin(name: &str, overrides: &[Override]) -> Result<Self, Error> {
        let text = builtin::find(name)?;
        Self::parse(text, Path::new(&format!("built-in {name}.toml")), overrides)
    }

    /// Name and text of every study that comes with the program.
    pub fn builtins() -> &'static [(&'static str, &'static str)] {
        builtin::ALL
    }

    /// The whole study as TOML, defaults too; reading it back gives the same study.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    /// SHA-256 of [`Study::to_toml`], hexadecimal.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.to_toml().as_bytes()))
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes of the largest study file that is read.
const LARGEST_STUDY: u64 = 1 << 20;
