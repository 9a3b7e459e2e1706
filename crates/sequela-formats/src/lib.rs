//! File formats: bytes in, typed records out; results out, durable files in.
//!
//! ```text
//! file --bounded--> bytes --csv | npy | wfdb | physionet--> series, arrays, annotations, stays
//! results --csv | ...--> bytes --durable--> file
//! ```
//!
//! Every format is one module of the same shape: `read_*` takes a path, `parse_*` takes bytes
//! and a name for messages, both a [`sequela_core::Limits`]. Parsers neither panic nor allocate
//! by a size that a file declares, and are linear in the bytes they read. Errors give file,
//! line or byte, field and a remedy, and never quote a value of the data.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

pub mod archive;
pub mod bounded;
pub mod collection;
pub mod csv;
mod detect;
pub mod durable;
pub mod edf;
mod error;
pub mod lines;
pub mod lock;
pub mod log;
pub mod meds;
pub mod npy;
pub mod omop;
pub mod onnx;
mod parquet;
pub mod part;
pub mod physionet;
pub mod units;
pub mod wfdb;

pub use csv::instant_text;
pub use detect::{Layout, detect, is_table};
pub use error::Error;
