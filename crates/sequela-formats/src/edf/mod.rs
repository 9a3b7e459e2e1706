//! EDF, EDF+ and BDF recordings (`.edf`, `.bdf`): signals of several rates, and annotations.
//!
//! ```text
//! 256 bytes          version, patient, recording, start, number and seconds of data records
//! 256 bytes each     of every signal: label, unit, physical and digital range, samples of a record
//! data records       the samples of one signal after those of another; 16 bits (EDF) or 24 (BDF)
//! EDF Annotations    a signal whose bytes are texts: +30.5 21 12 20 Apnoea 20 0
//! ```
//!
//! [`read_recording`] gives whole signals in their units; [`Reader`] goes through a file of any
//! length record by record. What says whose recording it is stays in [`Identification`], which is
//! not shown by `Debug` and is never part of a message.
//!
//! **Source** Kemp et al., "A simple format for exchange of digitized polygraphic recordings",
//! Electroencephalogr Clin Neurophysiol 82 (1992) 391; Kemp and Olivan, "European data format 'plus'",
//! Clin Neurophysiol 114 (2003) 1755 (<https://www.edfplus.info/specs/edfplus.html>); BDF as `BioSemi`
//! describes it.
//!
//! # Example
//! ```
//! use sequela_core::Limits;
//! use sequela_formats::edf::parse_recording;
//! let error = parse_recording(b"0       ", "night.edf".as_ref(), &[], &Limits::default()).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "night.edf at byte 8: the header is cut short; fetch the file again"
//! );
//! ```

mod annotations;
mod header;
mod number;
mod reader;
mod recording;
mod signal;
mod write;

pub use annotations::Annotation;
pub use header::{Header, Identification, Layout, Width, parse_header};
pub use reader::{Reader, Record};
pub use recording::{Channel, Recording, Segment, parse_recording, read_recording};
pub use signal::{Calibration, Signal};
pub use write::{RecordToWrite, to_edf};
