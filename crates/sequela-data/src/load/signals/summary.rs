//! What is in recordings, without keeping their samples.

use std::path::Path;

use sequela_core::Limits;
use sequela_formats::edf::Reader;
use sequela_formats::wfdb::read_waveforms;

use super::edf::files;
use super::wfdb::headers;
use crate::Error;

/// What is in the recordings of a path.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SignalSummary {
    /// The formats that were met, sorted.
    pub formats: Vec<String>,
    /// Number of recordings.
    pub recordings: u64,
    /// Seconds of all recordings, gaps not counted.
    pub seconds: f64,
    /// Gaps within recordings.
    pub gaps: u64,
    /// Annotations in the recordings themselves.
    pub annotations: u64,
    /// The signals, in the order in which they were met.
    pub channels: Vec<ChannelSummary>,
    /// What has to be known, each with its recording.
    pub notes: Vec<String>,
}

/// A signal of one name, unit and rate.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelSummary {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Samples in a second, Hz.
    pub frequency: f64,
    /// Recordings that have it.
    pub recordings: u64,
    /// Samples that are there.
    pub samples: usize,
    /// Samples that are missing.
    pub missing: usize,
    /// The lowest value; infinite where there is none.
    pub lowest: f64,
    /// The highest value; minus infinity where there is none.
    pub highest: f64,
    sum: f64,
}

impl ChannelSummary {
    /// The mean of the values; NaN where there is none.
    pub fn mean(&self) -> f64 {
        self.sum / self.samples as f64
    }

    fn add(&mut self, values: &[f64]) {
        for &value in values {
            if value.is_finite() {
                self.samples += 1;
                self.sum += value;
                self.lowest = self.lowest.min(value);
                self.highest = self.highest.max(value);
            } else {
                self.missing += 1;
            }
        }
    }
}

/// The summary of an EDF or BDF file, of a WFDB record (its `.hea` file), or of a folder of either.
///
/// **Units** those of the files: a signal with another unit or rate is listed for itself. **Cost** linear in the
/// samples; one data record (EDF) or one record (WFDB) is in memory.
///
/// # Errors
/// Those of reading. A signal of EDF whose ranges make no sense is left out with a note.
pub fn signal_summary(path: &Path, limits: &Limits) -> Result<SignalSummary, Error> {
    let mut summary = SignalSummary::default();
    let is_wfdb = |path: &Path| path.extension().is_some_and(|end| end == "hea");
    let has_edf = path.is_dir() && files(path).is_ok();
    if is_wfdb(path) || (path.is_dir() && !has_edf) {
        for file in headers(path, &[], limits)? {
            summary.add_wfdb(&file, limits)?;
        }
    } else {
        for file in files(path)? {
            summary.add_edf(&file, limits)?;
        }
    }
    Ok(summary)
}

impl SignalSummary {
    fn add_edf(&mut self, path: &Path, limits: &Limits) -> Result<(), Error> {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut reader = Reader::open(path, limits)?;
        let header = reader.header().clone();
        self.begin(header.format());
        let mut chosen = Vec::new();
        for (at, signal) in header.signals.iter().enumerate().filter(|(_, s)| !s.is_annotations) {
            match signal.calibration(path) {
                Ok(calibration) => {
                    let frequency = header.frequency(signal);
                    let channel = self.channel(&signal.label, &signal.unit, frequency);
                    chosen.push((at, channel, calibration));
                }
                Err(error) => self.notes.push(format!("left out: {error}")),
            }
        }
        let mut values = Vec::new();
        while let Some(record) = reader.next_record()? {
            for &(at, channel, calibration) in &chosen {
                values.clear();
                record.physical(at, calibration, &mut values);
                self.channels[channel].add(&values);
            }
            self.gaps += u64::from(record.after_gap);
            self.annotations += record.annotations.len() as u64;
            self.seconds += header.record_seconds;
        }
        self.notes.extend(reader.notes().into_iter().map(|note| format!("{stem}: {note}")));
        Ok(())
    }

    fn add_wfdb(&mut self, path: &Path, limits: &Limits) -> Result<(), Error> {
        let waveforms = read_waveforms(path, None, limits)?;
        self.begin("WFDB");
        self.seconds +=
            (waveforms.frames.end - waveforms.frames.start) as f64 / waveforms.frequency;
        for signal in &waveforms.signals {
            let frequency = waveforms.frequency * f64::from(signal.samples_per_frame);
            let channel = self.channel(&signal.name, &signal.unit, frequency);
            self.channels[channel].add(&signal.values);
        }
        self.notes.extend(waveforms.notes);
        Ok(())
    }

    fn begin(&mut self, format: &str) {
        self.recordings += 1;
        if let Err(at) = self.formats.binary_search_by(|known| known.as_str().cmp(format)) {
            self.formats.insert(at, format.to_owned());
        }
    }

    /// The place of a channel, which one more recording has.
    fn channel(&mut self, name: &str, unit: &str, frequency: f64) -> usize {
        let is_it = |known: &ChannelSummary| {
            known.name == name && known.unit == unit && (known.frequency - frequency).abs() <= 0.0
        };
        let at = self.channels.iter().position(is_it).unwrap_or_else(|| {
            self.channels.push(ChannelSummary {
                name: name.to_owned(),
                unit: unit.to_owned(),
                frequency,
                recordings: 0,
                samples: 0,
                missing: 0,
                lowest: f64::INFINITY,
                highest: f64::NEG_INFINITY,
                sum: 0.0,
            });
            self.channels.len() - 1
        });
        self.channels[at].recordings += 1;
        at
    }
}
