//! A file of signals: which bytes are whose samples.

use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location};

use super::codec::{FlacFault, Format, flac};
use super::header::Signal;
use crate::{Error, bounded};

/// What becomes of the numbers of the converter.
pub(super) trait Values {
    /// One of them.
    type Value: Copy;

    fn new(signal: &Signal, format: Format) -> Self;

    fn of(&self, value: i32) -> Self::Value;
}

/// The values of one signal.
pub(super) struct Collected<T> {
    pub(super) values: Vec<T>,
    /// What the sum of the signal is, where its header declares another.
    pub(super) other_checksum: Option<i16>,
}

/// A file and the signals that share it.
pub(super) struct File<'a> {
    path: PathBuf,
    signals: &'a [Signal],
    format: Format,
    bytes: Vec<u8>,
    /// Bytes before the first sample.
    offset: usize,
    /// The channels of FLAC, decoded.
    channels: Vec<Vec<i32>>,
    pub(super) frames: u64,
}

impl<'a> File<'a> {
    /// Reads a file; of FLAC at most `samples` frames, and the longest skew.
    pub(super) fn read(
        signals: &'a [Signal],
        samples: Option<u64>,
        (folder, place): (&Path, &Location),
        limits: &Limits,
    ) -> Result<Self, Error> {
        let (first, format) = check(signals, place)?;
        let path = folder.join(&first.file);
        let bytes = bounded::read(&path, limits)?;
        let offset = usize::try_from(first.byte_offset).unwrap_or(usize::MAX).min(bytes.len());
        let mut file =
            Self { path, signals, format, bytes, offset, channels: Vec::new(), frames: 0 };
        if let Format::Flac { bits } = format {
            let each = u64::from(first.samples_per_frame);
            let longest = signals.iter().map(|signal| u64::from(signal.skew)).max().unwrap_or(0);
            let most = samples.map_or(limits.steps, |samples| samples.saturating_add(longest));
            let most = usize::try_from(most.min(limits.steps).saturating_mul(each));
            file.channels = flac(file.body(), bits, signals.len(), most.unwrap_or(usize::MAX))
                .map_err(|fault| file.broken(&fault, bits))?;
            file.frames = file.channels.first().map_or(0, |one| one.len() as u64) / each;
        } else {
            file.frames = (format.samples_in(file.body().len()) / file.width()) as u64;
        }
        Ok(file)
    }

    fn body(&self) -> &[u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }

    /// Samples in a frame.
    fn width(&self) -> usize {
        self.signals.iter().map(|signal| signal.samples_per_frame as usize).sum()
    }

    fn broken(&self, fault: &FlacFault, bits: u32) -> Error {
        let (what, hint) = match fault {
            FlacFault::Broken(samples) => (
                format!("the FLAC stream is broken after {samples} samples of each signal"),
                "fetch the file again",
            ),
            FlacFault::Channels(found) => (
                format!("it has {found} channels, and the header {} signals", self.signals.len()),
                "correct the header",
            ),
            FlacFault::Bits(found) => {
                (format!("it has {found} bits, and its format {bits}"), "correct the header")
            }
        };
        Error::malformed(Location::file(&self.path), what, hint)
    }

    /// The values of each signal, `frames` of them.
    pub(super) fn collect<V: Values>(
        &self,
        frames: u64,
        limits: &Limits,
    ) -> Result<Vec<Collected<V::Value>>, Error> {
        let most = self.signals.iter().map(|signal| u64::from(signal.samples_per_frame)).max();
        let frames = within_file(&self.path, frames, (self.frames, most.unwrap_or(1)), limits)?;
        let mut before = 0;
        let mut parts: Vec<Part<'_, V>> = Vec::with_capacity(self.signals.len());
        for signal in self.signals {
            let each = signal.samples_per_frame as usize;
            parts.push(Part::new(signal, self.format, before..before + each, frames));
            before += each;
        }
        if let Format::Flac { .. } = self.format {
            for (part, channel) in parts.iter_mut().zip(&self.channels) {
                let each = part.cells.len();
                part.cells = 0..each;
                part.add(channel, each);
            }
        } else {
            self.walk(frames, &mut |chunk, width| {
                for part in &mut parts {
                    part.add(chunk, width);
                }
            });
        }
        Ok(parts.into_iter().map(Part::finish).collect())
    }

    /// Gives the frames that are needed chunk by chunk, small enough for the nearest cache.
    fn walk(&self, frames: usize, give: &mut dyn FnMut(&[i32], usize)) {
        if frames == 0 {
            // The file may be empty, and the frame as long as a header likes.
            return;
        }
        let width = self.width();
        let mut last: Vec<i32> = self
            .signals
            .iter()
            .flat_map(|signal| {
                let before = signal.initial_value.unwrap_or(signal.adc_zero);
                let before = i32::try_from(before).unwrap_or(0);
                std::iter::repeat_n(before, signal.samples_per_frame as usize)
            })
            .collect();
        let longest = self.signals.iter().map(|signal| signal.skew as usize).max().unwrap_or(0);
        let mut left = frames.saturating_add(longest);
        let sixes = (CHUNK / width / 6).max(1) * width;
        let mut chunk = Vec::new();
        for bytes in self.body().chunks(sixes * self.format.bytes_of_six()) {
            self.format.decode(bytes, &last, &mut chunk);
            let whole = chunk.len() / width * width;
            chunk.truncate(whole);
            if left == 0 {
                return;
            }
            left = left.saturating_sub(whole / width);
            give(&chunk, width);
            if let Some(frame) = chunk.rchunks_exact(width).next() {
                last.copy_from_slice(frame);
            }
        }
    }
}

/// Samples that are decoded at once.
const CHUNK: usize = 6144;

/// The number of frames, where the file holds so many and they are within the limit.
pub(super) fn within_file(
    path: &Path,
    frames: u64,
    (held, most_in_a_frame): (u64, u64),
    limits: &Limits,
) -> Result<usize, Error> {
    if frames > held {
        return Err(Error::malformed(
            Location::file(path),
            format!("it holds {held} samples of each signal, and {frames} are declared"),
            "the file is cut short: fetch it again, or correct the header",
        ));
    }
    if frames.saturating_mul(most_in_a_frame) > limits.steps {
        return Err(Error::Limit {
            location: Location::file(path).into(),
            what: "the number of samples of a signal".to_owned(),
            limit: limits.steps,
        });
    }
    // The file holds so many, so this is no more than its length.
    Ok(usize::try_from(frames).unwrap_or(0))
}

/// The first of the signals of a file and their format, where they can share one.
pub(super) fn check<'a>(
    signals: &'a [Signal],
    place: &Location,
) -> Result<(&'a Signal, Format), Error> {
    let refuse = |field: &str, what: &str| {
        Err(Error::malformed(place.clone().field(field), what, "correct the header"))
    };
    let Some(first) = signals.first() else {
        return refuse("signals", "the record has no signals");
    };
    let Some(format) = Format::of(first.format) else {
        return Err(Error::unsupported(
            place.clone().field(first.description.as_str()),
            format!("there is no storage format {}", first.format),
            "convert the record to format 16 or 212",
        ));
    };
    if first.file.contains(['/', '\\']) || first.file.starts_with('.') {
        return refuse("file", "the file of a signal does not lie beside its header");
    }
    for signal in signals {
        if (signal.format, signal.byte_offset) != (first.format, first.byte_offset) {
            return refuse(&first.file, "signals of one file have different formats or offsets");
        }
        if !(1..=MOST_IN_A_FRAME).contains(&signal.samples_per_frame) {
            let what = format!("it is not between 1 and {MOST_IN_A_FRAME}");
            return refuse("samples per frame", &what);
        }
        let is_flac = matches!(format, Format::Flac { .. });
        if is_flac && signal.samples_per_frame != first.samples_per_frame {
            let what = "signals of one FLAC file have different numbers of samples in a frame";
            return refuse(&first.file, what);
        }
    }
    Ok((first, format))
}

/// Samples of a signal in a frame at most.
const MOST_IN_A_FRAME: u32 = 100_000;

/// The values of one signal while they come.
struct Part<'a, V: Values> {
    signal: &'a Signal,
    rule: V,
    missing: V::Value,
    /// Where in a frame its samples lie.
    cells: std::ops::Range<usize>,
    frames: usize,
    /// Frames before the first that is wanted.
    skew: usize,
    seen: usize,
    sum: i32,
    values: Vec<V::Value>,
}

impl<'a, V: Values> Part<'a, V> {
    fn new(
        signal: &'a Signal,
        format: Format,
        cells: std::ops::Range<usize>,
        frames: usize,
    ) -> Self {
        let rule = V::new(signal, format);
        let missing = rule.of(format.missing());
        let values = Vec::with_capacity(frames * cells.len());
        let skew = signal.skew as usize;
        Self { signal, rule, missing, cells, frames, skew, seen: 0, sum: 0, values }
    }

    /// Takes its samples out of whole frames.
    fn add(&mut self, samples: &[i32], width: usize) {
        let whole = samples.len() / width;
        // The declared sum is of the samples as they are stored, before the skew is taken out.
        let stored = self.frames.saturating_sub(self.seen).min(whole);
        let wanted = (self.frames + self.skew).saturating_sub(self.seen).min(whole);
        let skipped = self.skew.saturating_sub(self.seen).min(wanted);
        self.seen += whole;
        let frames = samples.chunks_exact(width);
        if let (2, 1) = (width, self.cells.len()) {
            // Two signals, one sample each: most records are so.
            let (pairs, at) = (samples.as_chunks::<2>().0, self.cells.start);
            let pick = |pair: &[i32; 2]| if at == 0 { pair[0] } else { pair[1] };
            let sum = |sum: i32, pair: &[i32; 2]| sum.wrapping_add(pick(pair));
            self.sum = pairs.iter().take(stored).fold(self.sum, sum);
            let rule = &self.rule;
            let wanted = pairs.iter().take(wanted).skip(skipped);
            self.values.extend(wanted.map(|pair| rule.of(pick(pair))));
            return;
        }
        let cells = &self.cells;
        for (number, frame) in frames.take(wanted).enumerate() {
            let samples = frame.get(cells.clone()).unwrap_or_default();
            if number < stored {
                self.sum = samples.iter().fold(self.sum, |sum, &value| sum.wrapping_add(value));
            }
            if number >= skipped {
                self.values.extend(samples.iter().map(|&value| self.rule.of(value)));
            }
        }
    }

    fn finish(mut self) -> Collected<V::Value> {
        self.values.resize(self.frames * self.cells.len(), self.missing);
        #[allow(clippy::cast_possible_truncation, reason = "the sum is that of the low 16 bits")]
        let sum = self.sum as i16;
        #[allow(clippy::cast_possible_truncation, reason = "written with and without a sign")]
        let same = self.signal.checksum.is_none_or(|declared| declared as i16 == sum);
        Collected { values: self.values, other_checksum: (!same).then_some(sum) }
    }
}
