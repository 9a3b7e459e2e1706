//! Files to cohorts.
//!
//! ```text
//! tables              --series----------> one sequence for each subject
//! long tables         --long------------> one sequence for each subject
//! MEDS folders        --meds------------> one sequence for each label, or for each subject
//! .npy intervals (ms) --intervals-------> heart rate of one subject
//! WFDB annotations    --annotated_beats-> heart rate, one sequence for each record
//! WFDB signals        --wfdb_signals----> one sequence for each record
//! EDF and BDF files   --edf-------------> one sequence for each recording
//! PhysioNet 2012      --physionet2012---> ICU stays, a class each (died in hospital)
//! PhysioNet 2019      --physionet2019---> ICU hours, a label each (sepsis is coming)
//! ```

mod beats;
mod events;
mod icu_2012;
mod icu_2019;
mod long;
mod meds;
mod meds_summary;
mod meds_values;
mod signals;
mod subjects;
mod tables;

pub use beats::{AnnotatedBeats, annotated_beats, intervals};
pub use icu_2012::{Stays, physionet2012};
pub use icu_2019::{SEPSIS, physionet2019};
pub use long::long;
pub use meds::{COUNT, MedsOptions, frequent_codes, meds, published_split};
pub use meds_summary::{CodeSummary, LabelSummary, MedsSummary, meds_summary};
pub use meds_values::{MedsValues, meds_values};
pub use signals::{
    ChannelSummary, Owners, SignalOptions, SignalSummary, edf, signal_summary, wfdb_signals,
};
pub use subjects::Subjects;
pub use tables::{series, series_of};
