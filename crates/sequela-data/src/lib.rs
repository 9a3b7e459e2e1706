//! Cohorts: from files to batches.
//!
//! ```text
//! file --load--> Cohort --split by subject--> Parts --scale, fill--> Prepared
//!                  |                            |                       |
//!              resample, cut at gaps        windows ------------> batches
//! ```
//!
//! Splits are made from subjects and from nothing else; scales are fitted on training parts;
//! windows never cross a gap or see past their end; every order is a function of a seed.

#![forbid(unsafe_code)]

pub mod batches;
mod cohort;
pub mod datasets;
mod error;
pub mod gaps;
pub mod heart_rate;
pub mod inputs;
pub mod load;
pub mod resample;
pub mod scaling;
pub mod simulate;
pub mod split;
mod streams;
pub mod testing;
pub mod windows;

pub use cohort::Cohort;
pub use error::Error;
