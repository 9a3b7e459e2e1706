//! From a study to a judged model.
//!
//! ```text
//! study.toml --Study--> Prepared --Fit--> checkpoint --> Model --predict, Stream, evaluate-->
//!                          |                                |
//!                      baselines ---------------------> Evaluation --> run folder
//! ```
//!
//! Three tasks: forecasts of a series' own future ([`predict`], [`Stream`]), one class for each
//! subject, and one for each step ([`classify`], [`read_labelled`]).
//!
//! [`train`] makes a run in a folder, [`resume`] goes on with one, bit for bit as if it had never
//! stopped; [`Model`] is the file that comes out of it, and [`predict`], [`Stream`] and
//! [`evaluate`] use it. First file to read: `run.rs`.
#![forbid(unsafe_code)]

pub mod article;
mod autoregression;
mod baselines;
mod carried;
mod checkpoint;
mod classify;
mod cross;
mod describe;
mod encode;
mod error;
mod evaluation;
mod event;
mod exchange;
mod feed;
mod fit;
pub mod gradients;
mod indicate;
mod init;
mod judge;
mod judged;
mod model;
mod network;
mod overlap;
mod predict;
mod prepare;
mod report;
mod run;
mod running;
mod schedule;
mod search;
mod series;
mod sink;
mod source;
mod statics;
mod stream;
mod stretch;
mod study;
mod task;
mod tensors;

pub use autoregression::Autoregression;
pub use baselines::BaselineNumbers;
pub use classify::{
    BoostedTrees, ChosenSettings, ClassEvaluation, ClassMetric, ClassReport, Classes, Classified,
    ClassifiedRow, Classifier, Comparison, FoldEvaluation, LogisticRegression, Predictions, StepAt,
    classify, read_labelled, report_classes,
};
pub use encode::Encoder;
pub use error::Error;
pub use evaluation::{Evaluation, Forecaster, evaluate};
pub use event::{Event, Observer, Part};
pub use exchange::{draft_schema, export_onnx, import_model};
pub use fit::EpochMetrics;
pub use init::{FirstLabels, init_study};
pub use judged::Judged;
pub use model::{ChannelSpec, Imported, Manifest, Metric, Model, PartSizes, Provenance};
pub use network::outline;
pub use overlap::{Met, Overlap};
pub use predict::{ForecastRow, Forecasts, Options, PredictRows, predict, read_input};
pub use run::{Outcome, Report, Stopped, resume, train};
pub use search::{
    SearchEvent, SearchOutcome, SearchReport, Trial, resume_search, search, trials_table,
};
pub use stream::{Dialogue, DialogueOptions, InputFormat, OnFault, Stream, StreamOptions, Streams};
pub use study::{
    About, ArticleData, Audit, Baselines, Checkpoint, ClassWeights, Content, CsvData, Data,
    EdfData, Ensemble, EvaluateSection, FeedForward, Indicator, InputKind, KeepWeights, LabelSpec,
    LongSpec, MedsData, Memory, Missing, NpyData, Override, Physionet2012Data, Physionet2019Data,
    Scaling, Schedule, SimulatedData, Split, SplitBy, Study, Summary, TargetKind, Task, TimeSpec,
    TimeWord, Train, ValueSpec, WfdbData, Window,
};
pub use study::{Dimension, Number, Range, RangeScale, Search, SearchMethod};
pub use tensors::{Array, Numbers, TensorFile};
