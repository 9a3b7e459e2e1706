//! The samples of a record's signals, as the numbers of the converter.

use std::path::Path;

use sequela_core::{Limits, Location};

use super::codec::Format;
use super::file::{Collected, File, Values};
use super::header::{Header, Signal, read_header};
use crate::Error;

/// The samples of a record of one segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// What the header says.
    pub header: Header,
    /// Frames: samples of a signal with one in each.
    pub frames: u64,
    /// One for each signal of the header.
    pub signals: Vec<SignalSamples>,
}

/// The samples of one signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalSamples {
    /// Values of the converter, `samples_per_frame` for each frame, without the skew.
    pub values: Vec<i32>,
    /// The value that stands for a sample that is missing.
    pub missing: i32,
    /// What the sum of the signal is, where its header declares another.
    pub other_checksum: Option<i16>,
}

/// Reads the signals of a record of one segment; their files lie beside the header.
///
/// A signal that is delayed by its skew is moved back; what is missing at its end has the value
/// `missing`. Checksums are compared, but a wrong one is told and not refused: records exist whose
/// header was edited by hand.
///
/// **Cost** linear in the bytes of the files; four bytes of memory for each sample, beside the
/// files themselves.
///
/// # Errors
/// As [`read_header`] and [`bounded::read`](crate::bounded::read); [`Error::Unsupported`] for a record of
/// several segments or a format that does not exist; [`Error::Malformed`] where a file holds fewer
/// samples than the header says; [`Error::Limit`] over `steps` samples of a signal.
pub fn read_samples(path: &Path, limits: &Limits) -> Result<Samples, Error> {
    let header = read_header(path, limits)?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let (frames, found) = collect::<Digital>(&header, (path, folder), limits)?;
    let signals = found.into_iter().zip(&header.signals).map(|(found, signal)| SignalSamples {
        values: found.values,
        missing: Format::of(signal.format).map_or(0, Format::missing),
        other_checksum: found.other_checksum,
    });
    Ok(Samples { frames, signals: signals.collect(), header })
}

/// How many frames there are, and the values of each signal.
type Found<V> = (u64, Vec<Collected<<V as Values>::Value>>);

/// The values of all signals of a header of one segment, whose files lie in `folder`, and how many
/// frames they have.
pub(super) fn collect<V: Values>(
    header: &Header,
    (path, folder): (&Path, &Path),
    limits: &Limits,
) -> Result<Found<V>, Error> {
    let place = Location::file(path);
    if !header.segments.is_empty() {
        return Err(Error::unsupported(
            place,
            "the record has several segments, whose signals differ",
            "read its waveforms, which join them",
        ));
    }
    let mut signals = Vec::with_capacity(header.signals.len());
    let mut frames = header.samples;
    // Signals that share a file stand beside each other.
    for group in header.signals.chunk_by(|one, other| one.file == other.file) {
        let file = File::read(group, header.samples, (folder, &place), limits)?;
        let count = *frames.get_or_insert(file.frames);
        signals.extend(file.collect::<V>(count, limits)?);
    }
    Ok((frames.unwrap_or(0), signals))
}

/// Values as they are.
struct Digital;

impl Values for Digital {
    type Value = i32;

    fn new(_: &Signal, _: Format) -> Self {
        Self
    }

    fn of(&self, value: i32) -> i32 {
        value
    }
}

/// Values in the unit of the signal; NaN where one is missing.
pub(super) struct Physical {
    baseline: f64,
    gain: f64,
    missing: i32,
    /// Of a format with few values the answer for each, from the lowest on: a division saved.
    known: Vec<f64>,
    lowest: i32,
}

impl Values for Physical {
    type Value = f64;

    fn new(signal: &Signal, format: Format) -> Self {
        let (baseline, gain) = (signal.baseline as f64, signal.gain);
        let (lowest, count) = format.few_values().unwrap_or((0, 0));
        let mut physical =
            Self { baseline, gain, missing: format.missing(), known: Vec::new(), lowest };
        physical.known = (lowest..).take(count).map(|value| physical.of(value)).collect();
        physical
    }

    #[inline]
    fn of(&self, value: i32) -> f64 {
        let at = usize::try_from(value.wrapping_sub(self.lowest));
        if let Some(&known) = at.ok().and_then(|at| self.known.get(at)) {
            known
        } else if value == self.missing {
            f64::NAN
        } else {
            (f64::from(value) - self.baseline) / self.gain
        }
    }
}
