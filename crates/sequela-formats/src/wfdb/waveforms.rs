//! Physical values of a record, of one segment or of many.

use std::ops::Range;
use std::path::Path;

use sequela_core::{Limits, Location};

use super::file::Collected;
use super::header::{Header, Signal, read_header};
use super::samples::{Physical, collect};
use crate::Error;

/// The signals of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Waveforms {
    /// Name of the record.
    pub record: String,
    /// Frames in a second, Hz.
    pub frequency: f64,
    /// The frames that were read.
    pub frames: Range<u64>,
    /// The signals.
    pub signals: Vec<Waveform>,
    /// What has to be known: signals whose checksum is another than the declared one.
    pub notes: Vec<String>,
}

/// One signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Waveform {
    /// Its name, e.g. `MLII`; empty where there is none.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Samples in a frame: its own frequency is so many times that of the record.
    pub samples_per_frame: u32,
    /// Its values in the unit; NaN where one is missing.
    pub values: Vec<f64>,
}

/// Reads the signals of a record in physical units, all frames or some.
///
/// A record of several segments is joined. Of a fixed layout all segments have the same signals; of
/// a variable one (its first segment has no samples, and says which signals there are) a segment
/// may lack some, which are missing there. Segments outside `frames` are not opened.
///
/// **Cost** linear in the bytes of the files that are opened; eight bytes of memory for each sample.
///
/// # Errors
/// As [`read_samples`](super::read_samples); [`Error::Malformed`] where a segment is of another
/// length, frequency or unit than the record says; [`Error::Limit`] over `steps` samples of a
/// signal, or of all signals of a record of several segments; [`Error::Malformed`] for frames that the
/// record does not have.
pub fn read_waveforms(
    path: &Path,
    frames: Option<Range<u64>>,
    limits: &Limits,
) -> Result<Waveforms, Error> {
    let header = read_header(path, limits)?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    if header.segments.is_empty() {
        return of_one_segment(header, (path, folder), frames, limits);
    }
    let total: u64 = header.segments.iter().map(|segment| segment.samples).sum();
    let frames = within(frames, total, path)?;
    let mut joined = Joined::new(&header, (path, folder), frames, limits)?;
    let mut start = 0_u64;
    for (number, segment) in header.segments.iter().enumerate() {
        let own = start..start.saturating_add(segment.samples);
        start = own.end;
        let is_gap = segment.record == "~" || segment.samples == 0;
        let overlaps = own.start < joined.frames.end && own.end > joined.frames.start;
        if !is_gap && overlaps {
            let (header, values) = joined.segment(&segment.record, segment.samples, number)?;
            joined.add(&header, values, own)?;
        }
    }
    Ok(joined.finish(header))
}

fn of_one_segment(
    header: Header,
    (path, folder): (&Path, &Path),
    frames: Option<Range<u64>>,
    limits: &Limits,
) -> Result<Waveforms, Error> {
    let (total, found) = collect::<Physical>(&header, (path, folder), limits)?;
    let frames = within(frames, total, path)?;
    let mut notes = Vec::new();
    let signals = header.signals.iter().zip(found).map(|(signal, found)| {
        notes.extend(note(signal, found.other_checksum, &header.record));
        let cells = cells(&frames, signal.samples_per_frame);
        let mut values = found.values;
        values.truncate(cells.end);
        values.drain(..cells.start.min(values.len()));
        Waveform { values, ..empty(signal) }
    });
    let signals = signals.collect();
    Ok(Waveforms {
        frequency: header.sampling_frequency,
        record: header.record,
        frames,
        signals,
        notes,
    })
}

/// A segment that was read.
type SegmentOf = (Header, Vec<Collected<f64>>);

/// Segments that are put one behind the other.
struct Joined<'a> {
    path: &'a Path,
    folder: &'a Path,
    limits: &'a Limits,
    frequency: f64,
    frames: Range<u64>,
    /// Whether segments may lack signals.
    varies: bool,
    signals: Vec<Waveform>,
    notes: Vec<String>,
}

impl<'a> Joined<'a> {
    fn new(
        header: &Header,
        (path, folder): (&'a Path, &'a Path),
        frames: Range<u64>,
        limits: &'a Limits,
    ) -> Result<Self, Error> {
        let varies = header.segments.first().is_some_and(|segment| segment.samples == 0);
        // Without a layout the first segment that is there has the signals of all.
        let first = header.segments.iter().find(|segment| segment.record != "~");
        let Some(first) = first else {
            let place = Location::file(path);
            return Err(Error::malformed(place, "all segments are gaps", "correct the header"));
        };
        let layout = read_header(&beside(folder, &first.record, path)?, limits)?;
        // A few lines may declare any length of any number of signals: all are counted together.
        let wanted = layout.signals.iter().map(|signal| {
            let frames = frames.end - frames.start;
            frames.saturating_mul(u64::from(signal.samples_per_frame))
        });
        if wanted.fold(0, u64::saturating_add) > limits.steps {
            return Err(Error::Limit {
                location: Location::file(path).into(),
                what: "the number of samples of all signals (ask for fewer frames)".to_owned(),
                limit: limits.steps,
            });
        }
        let signals = layout.signals.iter().map(|signal| {
            let count = cells(&frames, signal.samples_per_frame).len();
            Waveform { values: vec![f64::NAN; count], ..empty(signal) }
        });
        let signals = signals.collect();
        let frequency = header.sampling_frequency;
        Ok(Self { path, folder, limits, frequency, frames, varies, signals, notes: Vec::new() })
    }

    /// Reads a segment and holds it against what the record says of it.
    fn segment(&self, record: &str, samples: u64, number: usize) -> Result<SegmentOf, Error> {
        let path = beside(self.folder, record, self.path)?;
        let header = read_header(&path, self.limits)?;
        let (frames, found) = collect::<Physical>(&header, (&path, self.folder), self.limits)?;
        let fault = |what: String| {
            let place = Location::file(self.path).field(format!("segment {}", number + 1));
            Err(Error::malformed(place, what, "correct the headers, or fetch the record again"))
        };
        if frames != samples {
            return fault(format!("{samples} samples are declared, and it has {frames}"));
        }
        if (header.sampling_frequency - self.frequency).abs() > 0.0 {
            return fault(format!("it has {} Hz", header.sampling_frequency));
        }
        if !self.varies && found.len() != self.signals.len() {
            return fault(format!("it has {} signals", found.len()));
        }
        Ok((header, found))
    }

    /// Writes the values of a segment that has these frames of the record.
    fn add(
        &mut self,
        header: &Header,
        values: Vec<Collected<f64>>,
        own: Range<u64>,
    ) -> Result<(), Error> {
        let start = own.start;
        let (from, to) = (self.frames.start.max(start), self.frames.end.min(own.end));
        for (number, (signal, found)) in header.signals.iter().zip(values).enumerate() {
            let to_signal = if self.varies {
                self.signals.iter().position(|known| known.name == signal.description)
            } else {
                Some(number)
            };
            let known = to_signal.and_then(|at| self.signals.get_mut(at));
            let each = signal.samples_per_frame;
            let same = known
                .as_ref()
                .is_some_and(|known| known.unit == signal.unit && known.samples_per_frame == each);
            let Some(known) = known.filter(|_| same) else {
                let place = Location::file(self.path).field(header.record.as_str());
                return Err(Error::malformed(
                    place,
                    format!("its signal {} is not one of the record's", number + 1),
                    "the name, unit and frequency of a signal must be the same in all segments",
                ));
            };
            let source = cells(&(from - start..to - start), each);
            let target = cells(&(from - self.frames.start..to - self.frames.start), each);
            let values = found.values.iter().skip(source.start).take(source.len());
            let to = known.values.iter_mut().skip(target.start).take(target.len());
            to.zip(values).for_each(|(to, &value)| *to = value);
            self.notes.extend(note(signal, found.other_checksum, &header.record));
        }
        Ok(())
    }

    fn finish(self, header: Header) -> Waveforms {
        let Self { frequency, frames, signals, notes, .. } = self;
        Waveforms { record: header.record, frequency, frames, signals, notes }
    }
}

/// The header of a segment, beside that of the record.
fn beside(folder: &Path, record: &str, path: &Path) -> Result<std::path::PathBuf, Error> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if record.is_empty() || !record.chars().all(is_name) {
        let place = Location::file(path).field("segment");
        let what = "the name of a segment is not letters, digits, _ and -";
        return Err(Error::malformed(place, what, "correct the header"));
    }
    Ok(folder.join(format!("{record}.hea")))
}

/// The frames that are wanted, of so many.
fn within(frames: Option<Range<u64>>, total: u64, path: &Path) -> Result<Range<u64>, Error> {
    let frames = frames.unwrap_or(0..total);
    if frames.start <= frames.end && frames.end <= total {
        return Ok(frames);
    }
    let what =
        format!("there are {total} frames, and {} to {} are asked for", frames.start, frames.end);
    Err(Error::malformed(Location::file(path), what, "ask for frames that are there"))
}

fn cells(frames: &Range<u64>, each: u32) -> Range<usize> {
    let narrow = |frame: u64| usize::try_from(frame.saturating_mul(u64::from(each))).unwrap_or(0);
    narrow(frames.start)..narrow(frames.end)
}

fn empty(signal: &Signal) -> Waveform {
    Waveform {
        name: signal.description.clone(),
        unit: signal.unit.clone(),
        samples_per_frame: signal.samples_per_frame,
        values: Vec::new(),
    }
}

pub(super) fn note(signal: &Signal, found: Option<i16>, record: &str) -> Option<String> {
    found.map(|_| {
        format!("{record}: the checksum of {} is not the declared one", signal.description)
    })
}
