//! Files to cohorts.
//!
//! ```text
//! CSV series          --series----------> one sequence for each subject
//! .npy intervals (ms) --intervals-------> heart rate of one subject
//! WFDB annotations    --annotated_beats-> heart rate, one sequence for each record
//! ```

mod beats;
mod subjects;
mod tables;

pub use beats::{AnnotatedBeats, annotated_beats, intervals};
pub use subjects::Subjects;
pub use tables::{series, series_of};
