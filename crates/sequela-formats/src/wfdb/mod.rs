//! WFDB records: headers (`.hea`), signals (`.dat`, `.mat`) and beat annotations (`.atr` ...) as on
//! `PhysioNet`.
//!
//! ```text
//! 100.hea   100 2 360 650000            record, signals, Hz, samples
//!           100.dat 212 200 11 1024 995 -22131 0 MLII
//!           # 69 M 1085 1629 x1
//! 100.atr   words of 16 bits: 6 bits what, 10 bits how many samples later
//! ```
//!
//! [`read_samples`] gives the numbers of the converter, [`read_waveforms`] physical values of records of
//! one segment and of many; [`to_record`] and [`to_annotations`] write.
//!
//! **Source** WFDB Applications Guide, `header(5)`, `signal(5)` and `annot(5)`; the codes are those of
//! `ecgcodes.h`.
//!
//! # Example
//! ```
//! use sequela_core::Limits;
//! use sequela_formats::wfdb::{parse_annotations, parse_header};
//! let limits = Limits::default();
//! let header = parse_header(b"100 0 360 650000\n", "100.hea".as_ref(), &limits)?;
//! // A normal beat at sample 18, a premature one 59 samples later, the end.
//! let words = [0x12, 0x04, 0x3B, 0x14, 0x00, 0x00];
//! let annotations = parse_annotations(&words, "100.atr".as_ref(), &limits)?;
//! let beats: Vec<_> = annotations.list.iter().map(|a| (a.sample, a.code.symbol())).collect();
//! assert_eq!(beats, [(18, "N"), (77, "V")]);
//! assert!(header.sampling_frequency > 359.0);
//! # Ok::<(), sequela_formats::Error>(())
//! ```

mod annotations;
mod buffers;
mod codec;
mod codes;
mod encode;
mod file;
mod header;
mod record;
mod samples;
mod waveforms;
mod write;
mod write_annotations;

pub use annotations::{Annotation, Annotations, Definition, parse_annotations, read_annotations};
pub use buffers::read_waveforms_into;
pub use codec::Format;
pub use codes::Code;
pub use header::{Header, Segment, Signal, parse_header, read_header};
pub use record::{Record, read_records};
pub use samples::{Samples, SignalSamples, read_samples};
pub use waveforms::{Waveform, Waveforms, read_waveforms};
pub use write::{RecordFiles, to_record};
pub use write_annotations::to_annotations;
