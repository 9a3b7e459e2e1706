//! Cohorts: from files to windows of scaled values.
//!
//! ```text
//! file --load--> Cohort --split by subject--> Parts --scale, window--> (what trains)
//!                  |
//!              resample, cut at gaps
//! ```
//!
//! Splits are made from subjects and from nothing else; scales are fitted on training parts;
//! windows never cross a gap or see past their end.

#![forbid(unsafe_code)]

pub mod audit;
mod cohort;
pub mod datasets;
pub mod envelope;
mod error;
pub mod export;
pub mod gaps;
pub mod heart_rate;
pub mod load;
pub mod plausible;
pub mod resample;
pub mod scaling;
pub mod simulate;
pub mod split;
mod streams;
pub mod testing;
pub mod windows;

pub use cohort::Cohort;
pub use error::Error;
