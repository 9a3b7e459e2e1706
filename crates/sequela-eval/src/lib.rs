//! How good a model is, and how sure we are of it.
//!
//! Metrics with intervals **by subject** ([`forecast`], [`classify`], [`bootstrap`]), tables for
//! terminal and Markdown ([`table`]) and pictures as SVG text ([`picture`]). Everything here
//! returns values or text; nothing reads or writes a file.
//!
//! People, not rows, are the unit of chance: two windows of one patient are not two
//! observations, so an interval is always made by drawing subjects.
//!
//! # Example
//! ```
//! use sequela_core::SubjectId;
//! use sequela_eval::bootstrap::Bootstrap;
//! use sequela_eval::forecast::{Truth, compare, score};
//!
//! let mut truth = Truth::new(&[1, 5]);
//! for (patient, beats) in [("a", [70.0, 74.0]), ("b", [61.0, 60.0]), ("c", [88.0, 80.0])] {
//!     truth.push(&SubjectId::new(patient), &[Some(beats[0]), Some(beats[1])])?;
//! }
//! let model = [71.0, 73.0, 61.0, 61.0, 87.0, 82.0];
//! let persistence = [70.5, 70.5, 60.0, 60.0, 89.0, 89.0];
//! let scores = score(&truth, &model, &Bootstrap::default())?;
//! assert!((scores[1].mae.value - 4.0 / 3.0).abs() < 1e-12);
//! let gain = compare(&truth, &model, &persistence, &Bootstrap::default())?;
//! assert!(gain[1].skill.value > 0.6);
//! # Ok::<(), sequela_eval::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod bootstrap;
pub mod classify;
mod error;
pub mod forecast;
pub mod newton;
pub mod picture;
pub mod report;
pub mod table;
mod units;

pub use error::Error;
