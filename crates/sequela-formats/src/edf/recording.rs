//! Whole signals of a recording, in their units.

use std::ops::Range;
use std::path::Path;

use sequela_core::{Limits, Location};

use super::annotations::Annotation;
use super::header::Header;
use super::reader::Reader;
use super::signal::Calibration;
use crate::Error;

/// The signals and the annotations of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// What the header says.
    pub header: Header,
    /// Stretches without a gap; more than one in discontinuous files alone.
    pub segments: Vec<Segment>,
    /// The signals that were asked for, in that order; of all the order of the file.
    pub channels: Vec<Channel>,
    /// What was noted, in the order of the file.
    pub annotations: Vec<Annotation>,
    /// What has to be known, see [`Reader::notes`].
    pub notes: Vec<String>,
}

/// A stretch without a gap.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Seconds from the start time of the file.
    pub onset: f64,
    /// The data records.
    pub records: Range<u64>,
}

/// One signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Its label.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Samples in a second, Hz.
    pub frequency: f64,
    /// Physical values, of all segments one after the other.
    pub values: Vec<f64>,
}

/// Reads the signals of these labels, or all where there is none, and the annotations.
///
/// **Units** those of the file. **Missing data** the format has no missing sample; time that was not
/// recorded is between segments. **Cost** linear in the file; eight bytes of memory for each sample that is
/// asked for, one data record, and about 100 bytes for each annotation.
///
/// # Errors
/// Those of [`Reader::open`], [`Reader::next_record`] and
/// [`Signal::calibration`](super::Signal::calibration); [`Error::MissingColumn`] for a label that is not there;
/// [`Error::Limit`] over `steps` samples of a signal or annotations.
pub fn read_recording(path: &Path, labels: &[&str], limits: &Limits) -> Result<Recording, Error> {
    whole(Reader::open(path, limits)?, path, labels, limits)
}

/// The same from bytes; `name` stands for the file in messages.
///
/// # Errors
/// As [`read_recording`].
pub fn parse_recording(
    bytes: &[u8],
    name: &Path,
    labels: &[&str],
    limits: &Limits,
) -> Result<Recording, Error> {
    let reader = Reader::of_stream(Box::new(bytes), bytes.len() as u64, name, limits)?;
    whole(reader, name, labels, limits)
}

fn whole(
    mut reader: Reader<'_>,
    path: &Path,
    labels: &[&str],
    limits: &Limits,
) -> Result<Recording, Error> {
    let limit = |what: &str| Error::Limit {
        location: Location::file(path).into(),
        what: what.to_owned(),
        limit: limits.steps,
    };
    let chosen = reader.chosen(labels)?;
    let mut channels = Vec::with_capacity(chosen.len());
    for &(at, _) in &chosen {
        let samples = reader.samples(at);
        if samples > limits.steps {
            return Err(limit("the number of samples of a signal"));
        }
        let Some(signal) = reader.header().signals.get(at) else { continue };
        channels.push(Channel {
            name: signal.label.clone(),
            unit: signal.unit.clone(),
            frequency: reader.header().frequency(signal),
            // The file holds so many, two or three bytes each.
            values: Vec::with_capacity(usize::try_from(samples).unwrap_or(0)),
        });
    }
    let (mut segments, mut annotations) = (Vec::<Segment>::new(), Vec::new());
    while let Some(record) = reader.next_record()? {
        for (channel, &(at, calibration)) in channels.iter_mut().zip(&chosen) {
            record.physical(at, calibration, &mut channel.values);
        }
        match segments.last_mut().filter(|_| !record.after_gap) {
            Some(segment) => segment.records.end = record.number + 1,
            None => segments
                .push(Segment { onset: record.onset, records: record.number..record.number + 1 }),
        }
        annotations.extend_from_slice(record.annotations);
        if annotations.len() as u64 > limits.steps {
            return Err(limit("the number of annotations"));
        }
    }
    let notes = reader.notes();
    let header = reader.into_header();
    Ok(Recording { header, segments, channels, annotations, notes })
}

impl Reader<'_> {
    /// The signals of these labels, or all that are no annotations, and how their numbers become values.
    ///
    /// Of several signals with one label the first is meant.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] for a label that is not there, with those that are; those of
    /// [`Signal::calibration`](super::Signal::calibration).
    pub fn chosen(&self, labels: &[&str]) -> Result<Vec<(usize, Calibration)>, Error> {
        let name = self.name();
        let signals = &self.header().signals;
        let all = || signals.iter().enumerate().filter(|(_, signal)| !signal.is_annotations);
        if labels.is_empty() {
            return all().map(|(at, signal)| Ok((at, signal.calibration(name)?))).collect();
        }
        let find = |label: &&str| {
            let found = all().find(|(_, signal)| signal.label == *label);
            let (at, signal) = found.ok_or_else(|| {
                let there: Vec<&str> =
                    all().map(|(_, signal)| &*signal.label).take(MOST_NAMED).collect();
                Error::MissingColumn {
                    location: Location::file(name).field(*label).into(),
                    hint: format!("its signals are {}", there.join(", ")),
                }
            })?;
            Ok((at, signal.calibration(name)?))
        };
        labels.iter().map(find).collect()
    }
}

/// Labels in a message at most.
const MOST_NAMED: usize = 30;
