//! From a study to a judged model.
//!
//! ```text
//! study.toml --Study--> Prepared --Fit--> checkpoint --> Model --predict, Stream, evaluate-->
//!                          |                                |
//!                      baselines ---------------------> Evaluation --> run folder
//! ```
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
mod encode;
mod error;
mod evaluation;
mod event;
mod exchange;
mod feed;
mod fit;
mod init;
mod judge;
mod model;
mod network;
mod predict;
mod prepare;
mod report;
mod run;
mod schedule;
mod series;
mod source;
mod stream;
mod stretch;
mod study;
mod tensors;

pub use autoregression::Autoregression;
pub use baselines::BaselineNumbers;
pub use encode::Encoder;
pub use error::Error;
pub use evaluation::{Evaluation, Forecaster, evaluate};
pub use event::{Event, Observer, Part};
pub use exchange::{draft_schema, export_onnx, import_model};
pub use fit::EpochMetrics;
pub use init::init_study;
pub use model::{ChannelSpec, Imported, Manifest, Metric, Model, PartSizes, Provenance};
pub use predict::{ForecastRow, Forecasts, Options, PredictRows, predict, read_input};
pub use run::{Outcome, Report, Stopped, resume, train};
pub use stream::Stream;
pub use study::{
    About, ArticleData, Baselines, Checkpoint, Content, CsvData, Data, EvaluateSection,
    FeedForward, Indicator, InputKind, KeepWeights, Missing, NpyData, Override, Scaling, Schedule,
    SimulatedData, Split, SplitBy, Study, TargetKind, Task, TimeSpec, TimeWord, Train, ValueSpec,
    WfdbData, Window,
};
pub use tensors::{Array, Numbers, TensorFile};
