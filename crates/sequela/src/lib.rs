//! Recurrent networks for medical sequences: train, judge and use RNN, LSTM and GRU models on
//! heart rate and other series, with results that are the same to the bit on any number of
//! threads.
//!
//! This crate puts the parts of sequela under one name and, behind the feature `cli` (on by
//! default), builds the program `sequela`. As a library, take it without:
//!
//! ```toml
//! sequela = { version = "0.1", default-features = false }
//! ```
//!
//! # The way of the data
//!
//! ```text
//! file --formats--> record --data--> Sequence --split by subject, scale, window--> batch
//!      --nn--> prediction, loss --train--> model file --> predict
//!                                      \--eval--> errors beside baselines, pictures
//! ```
//!
//! | module | what it holds | first item to read |
//! |---|---|---|
//! | [`core`] | the shared words: sequences, schemas, subjects, limits | [`core::Sequence`] |
//! | [`formats`] | files: CSV, `.npy`, WFDB; capped reads, durable writes | [`formats::csv`] |
//! | [`data`] | cohorts, splits by subject, scaling, windows, simulators | [`data::Cohort`] |
//! | [`kernels`] | the arithmetic on slices, threads and instruction sets | [`kernels::Context`] |
//! | [`nn`] | programs of layers, their gradients, optimisers | [`nn::Program`] |
//! | [`train`] | a study in, a judged model out; forecasts | [`train::Study`] |
//! | [`eval`] | metrics with intervals by subject, tables, pictures | [`eval::forecast`] |
//!
//! # Example
//! Train on simulated people, then forecast for one who was not among them:
//! ```no_run
//! use sequela::train::{Model, Options, PredictRows, Study, predict, read_input, train};
//!
//! let study = Study::builtin("simulated", &[])?;
//! train(&study, "run".as_ref(), &Options::default(), &mut |_| {})?;
//!
//! let options = Options::default();
//! let model = Model::load("run/model.safetensors".as_ref(), &options.limits)?;
//! let sequences = read_input("ward.csv".as_ref(), &model, &options.limits)?;
//! let forecasts = predict(&model, &sequences, PredictRows::Last, &options)?;
//! println!("{}", String::from_utf8_lossy(&forecasts.to_csv()));
//! # Ok::<(), sequela::train::Error>(())
//! ```
//! `examples/forecast_series.rs` does this from start to end on data of its own making, and
//! `examples/train_lstm.rs` builds and trains a network directly.
//!
//! # Features
//! - `cli` (default): the program `sequela`. It adds dependencies, and changes nothing in the
//!   library.
#![forbid(unsafe_code)]

pub use sequela_core as core;
pub use sequela_data as data;
pub use sequela_eval as eval;
pub use sequela_formats as formats;
pub use sequela_kernels as kernels;
pub use sequela_nn as nn;
pub use sequela_train as train;
