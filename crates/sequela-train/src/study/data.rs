//! The sections about data: where from, what window, which split, what scale.

use std::path::{Path, PathBuf};

use sequela_data::heart_rate::BeatOptions;
use sequela_data::load::{Owners, SEPSIS, Stays, Subjects};
use sequela_data::scaling::ScalingMethod;
use sequela_formats::csv::TimeFormat;
use serde::{Deserialize, Serialize};

use super::LabelSpec;
use super::document::{Document, Value};
use super::fault::{Fault, Reader};

/// Where the series come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Data {
    /// A table.
    Csv(CsvData),
    /// A `NumPy` array.
    Npy(NpyData),
    /// Heart rate from the beat annotations of WFDB records, or their signals.
    Wfdb(WfdbData),
    /// The signals of EDF or BDF files.
    Edf(EdfData),
    /// ICU stays in the layout of the PhysioNet/CinC Challenge 2012.
    Physionet2012(Physionet2012Data),
    /// ICU hours in the layout of the PhysioNet/CinC Challenge 2019.
    Physionet2019(Physionet2019Data),
    /// Events in the Medical Event Data Standard.
    Meds(MedsData),
    /// Simulated heart rate.
    Simulated(SimulatedData),
    /// The article's series: noise and a step.
    Article(ArticleData),
}

impl Data {
    /// The file or folder, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Csv(data) => Some(&data.path),
            Self::Npy(data) => Some(&data.path),
            Self::Wfdb(data) => Some(&data.path),
            Self::Edf(data) => Some(&data.path),
            Self::Physionet2012(data) => Some(&data.path),
            Self::Physionet2019(data) => Some(&data.path),
            Self::Meds(data) => Some(&data.path),
            Self::Simulated(_) | Self::Article(_) => None,
        }
    }

    /// The table of classes, where it is not that of the series.
    pub(crate) fn label_file_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Csv(data) => data.label.as_mut()?.file.as_mut(),
            Self::Physionet2012(data) => data.outcomes.as_mut(),
            Self::Meds(data) => data.labels.as_mut(),
            _ => None,
        }
    }

    /// What the classes of subjects or steps are: as written, or as the layout has them.
    pub(crate) fn label(&self) -> Option<LabelSpec> {
        match self {
            Self::Csv(data) => data.label.clone(),
            Self::Physionet2012(data) => Some(LabelSpec {
                name: Stays::OUTCOME.to_owned(),
                file: data.outcomes.clone(),
                classes: Stays::CLASSES.map(str::to_owned).to_vec(),
            }),
            Self::Physionet2019(_) => Some(LabelSpec {
                name: SEPSIS.0.to_owned(),
                file: None,
                classes: SEPSIS.1.map(str::to_owned).to_vec(),
            }),
            Self::Meds(MedsData { labels: Some(file), classes, .. }) => Some(LabelSpec {
                name: "label".to_owned(),
                file: Some(file.clone()),
                classes: classes.clone(),
            }),
            _ => None,
        }
    }

    pub(crate) fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Csv(data) => Some(&mut data.path),
            Self::Npy(data) => Some(&mut data.path),
            Self::Wfdb(data) => Some(&mut data.path),
            Self::Edf(data) => Some(&mut data.path),
            Self::Physionet2012(data) => Some(&mut data.path),
            Self::Physionet2019(data) => Some(&mut data.path),
            Self::Meds(data) => Some(&mut data.path),
            Self::Simulated(_) | Self::Article(_) => None,
        }
    }

    /// What one step is called: `beat`, `min`, `step`.
    pub fn step(&self) -> &str {
        match self {
            Self::Csv(data) => &data.step,
            Self::Npy(data) => &data.step,
            Self::Wfdb(data) if data.values.is_empty() => "beat",
            Self::Wfdb(WfdbData { every_seconds, .. })
            | Self::Edf(EdfData { every_seconds, .. }) => match every_seconds {
                None => "sample",
                Some(1.0) => "s",
                Some(60.0) => "min",
                Some(_) => "step",
            },
            Self::Physionet2012(Physionet2012Data { every_seconds: Some(3600.0), .. })
            | Self::Physionet2019(_)
            | Self::Meds(MedsData { every_seconds: Some(3600.0), .. }) => "hour",
            Self::Simulated(data) => match data.every_seconds {
                None => "beat",
                Some(60.0) => "min",
                Some(_) => "step",
            },
            Self::Physionet2012(_) | Self::Meds(_) | Self::Article(_) => "step",
        }
    }
}

/// Series in a table: one row for each time of each subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvData {
    /// The file: absolute, or relative to the study or to a folder of data sets.
    pub path: PathBuf,
    /// The column that says whose each row is; without it all rows are one subject's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The column of times; without it steps are equally spaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeSpec>,
    /// The measured columns that the model sees; of a long table what is measured, by the words
    /// of its column of names.
    pub values: Vec<ValueSpec>,
    /// The columns of a long table: one row for each measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongSpec>,
    /// The one that is forecast; without it the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Brings irregular times to a grid of this many seconds: each step is the mean of its
    /// interval, empty intervals are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<f64>,
    /// What one step is called.
    #[serde(default = "step")]
    pub step: String,
    /// The class of each subject, for `task = "classify"`, or of each step, for `task = "label"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<LabelSpec>,
}

/// A column of times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeSpec {
    /// Its name.
    pub name: String,
    /// How it is written.
    #[serde(default)]
    pub format: TimeWord,
}

/// How times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TimeWord {
    /// Numbers of days.
    Days,
    /// Numbers of hours.
    Hours,
    /// Numbers of minutes.
    Minutes,
    /// Numbers of seconds.
    #[default]
    Seconds,
    /// Numbers of milliseconds.
    Milliseconds,
    /// ISO 8601.
    DateTime,
}

impl TimeWord {
    /// The word for a reader's format.
    pub(crate) fn of(format: TimeFormat) -> Self {
        match format {
            TimeFormat::Days => Self::Days,
            TimeFormat::Hours => Self::Hours,
            TimeFormat::Minutes => Self::Minutes,
            TimeFormat::Milliseconds => Self::Milliseconds,
            TimeFormat::DateTime => Self::DateTime,
            _ => Self::Seconds,
        }
    }
}

/// A measured column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueSpec {
    /// Its name.
    pub name: String,
    /// Its unit; empty where it is not known.
    #[serde(default)]
    pub unit: String,
}

/// The columns that a long table has beside subject and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongSpec {
    /// What was measured.
    pub name: String,
    /// The result.
    pub value: String,
    /// Its unit; rows in another unit than that of their channel are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// A series in a `NumPy` file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NpyData {
    /// The file.
    pub path: PathBuf,
    /// What its numbers are.
    #[serde(default)]
    pub content: Content,
    /// How intervals become rates, where the numbers are intervals.
    #[serde(default)]
    pub beats: BeatOptions,
    /// Name of the values; beat intervals become `heart_rate`.
    #[serde(default = "value")]
    pub name: String,
    /// Unit of the values; beat intervals become `bpm`.
    #[serde(default)]
    pub unit: String,
    /// What one step is called.
    #[serde(default = "step")]
    pub step: String,
}

/// What the numbers of an array are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Values as they are: (T), or (subjects, T).
    #[default]
    Values,
    /// Intervals between beats in milliseconds: heart rate is 60000 / interval.
    BeatIntervals,
}

/// Heart rate from beat annotations, 60 / RR for each beat; or, where signals are named, these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WfdbData {
    /// A folder of records or a tar archive.
    pub path: PathBuf,
    /// The names of the records that are meant; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<String>,
    /// The signals that the model sees, in place of heart rate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValueSpec>,
    /// The signal that is forecast; without it the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Each step is the mean of so many seconds of the signals; without it each sample is a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<f64>,
    /// The extension of the annotation files.
    #[serde(default = "annotator")]
    pub annotator: String,
    /// Whose records they are.
    #[serde(default)]
    pub subjects: Subjects,
    /// How beats become rates.
    #[serde(default)]
    pub beats: BeatOptions,
}

impl WfdbData {
    /// Records at a path, each of its own subject, annotated by `atr`.
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            records: Vec::new(),
            values: Vec::new(),
            target: None,
            every_seconds: None,
            annotator: annotator(),
            subjects: Subjects::default(),
            beats: BeatOptions::default(),
        }
    }
}

/// Signals of EDF, EDF+ or BDF files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdfData {
    /// A file, or a folder of files.
    pub path: PathBuf,
    /// The signals that the model sees, by their labels; without any all of the first file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValueSpec>,
    /// The signal that is forecast; without it the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Each step is the mean of so many seconds; without it each sample is a step, and the signals have one
    /// rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<f64>,
    /// Whose recordings they are.
    #[serde(default)]
    pub owners: Owners,
}

/// ICU stays of the challenge of 2012: measurements of 48 hours, and who died in hospital.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Physionet2012Data {
    /// An archive or a folder of stays (`set-a.tar.gz`, `set-a`), or a folder that holds some.
    pub path: PathBuf,
    /// The file of outcomes; without it those (`Outcomes-*.txt`) in or beside the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<PathBuf>,
    /// A grid of so many seconds from admission, each step the mean of its interval; without it
    /// a step is a minute at which anything was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<f64>,
    /// What was measured so many hours after admission or later is not looked at.
    #[serde(default = "stay_hours")]
    pub hours: f64,
}

/// ICU hours of the challenge of 2019, each with whether sepsis is coming.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Physionet2019Data {
    /// An archive or a folder of `.psv` files, or a folder that holds some.
    pub path: PathBuf,
}

/// Coded events of subjects, in the Medical Event Data Standard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MedsData {
    /// The folder that holds `data` and `metadata`.
    pub path: PathBuf,
    /// A Parquet file of labels: cases, each a subject and its prediction time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// The classes, in words of the labels.
    #[serde(default = "truth")]
    pub classes: Vec<String>,
    /// The codes that the model sees; those of unit `count` by how often they occur, the others by
    /// their numeric values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ValueSpec>,
    /// In place of `channels`: so many codes, those that most training subjects have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequent: Option<usize>,
    /// A grid of so many seconds; without it every time with an event is a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<f64>,
    /// How many hours before the prediction time are looked at; without it all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<f64>,
}

/// Simulated heart rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedData {
    /// Number of people.
    #[serde(default = "subjects")]
    pub subjects: usize,
    /// Length of each record.
    #[serde(default = "hours")]
    pub hours: f64,
    /// Mean rate of so many seconds in each step; without it each beat is a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<f64>,
}

/// The article's series; it has no choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArticleData {}

/// How values are brought to a common size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// The rule; its numbers come from training subjects alone.
    #[serde(default)]
    pub kind: ScalingMethod,
}

/// A fault of the section `data`, at the very field: a section with a kind is read as a whole by
/// serde, which forgets where in it a fault was.
pub(super) fn inner(document: &Document, fault: Fault) -> Fault {
    if fault.path != ["data"] {
        return fault;
    }
    let found = [
        of::<TimeSpec>(document, "time"),
        of::<Vec<ValueSpec>>(document, "values"),
        of::<LabelSpec>(document, "label"),
    ];
    found.into_iter().flatten().next().unwrap_or(fault)
}

/// What is wrong with a field that is of this type in a table.
fn of<'de, T: Deserialize<'de>>(document: &'de Document, field: &str) -> Option<Fault> {
    let kind = document.at(&["data", "kind"]);
    let kind = kind.and_then(|kind| match &kind.value {
        Value::Text(word) => Some(word.as_str()),
        _ => None,
    });
    let has = match kind {
        Some("csv") => true,
        Some("wfdb" | "edf") => field == "values",
        _ => false,
    };
    let node = document.at(&["data", field]).filter(|_| has)?;
    T::deserialize(Reader(node)).err().map(|fault| fault.under(field).under("data"))
}

fn step() -> String {
    "step".into()
}

fn value() -> String {
    "value".into()
}

fn annotator() -> String {
    "atr".into()
}

fn subjects() -> usize {
    24
}

fn hours() -> f64 {
    24.0
}

fn truth() -> Vec<String> {
    vec!["false".into(), "true".into()]
}

fn stay_hours() -> f64 {
    Stays::default().hours
}
