//! Records and annotations to bytes.
//!
//! What cannot be read back as it is, is not written.

use std::fmt::Write as _;
use std::path::Path;

use sequela_core::Location;

use super::codec::Format;
use super::header::{Header, Signal};
use crate::Error;

/// The files of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFiles {
    /// The `.hea` file.
    pub header: Vec<u8>,
    /// The files of signals, each with its name as the header has it.
    pub signals: Vec<(String, Vec<u8>)>,
}

/// The files of a record of one segment with these numbers of its signals.
///
/// Initial values, checksums and the number of samples are those of `samples`, whatever the header says. Formats 8,
/// 16, 24, 32, 61, 80, 160, 212, 310 and 311 are written; `name` stands for the record in messages.
///
/// **Shapes** `samples` has one list for each signal of the header, of as many whole frames as the others.
///
/// # Errors
/// [`Error::Unsupported`] with the signal where a number has more bits than its format (of 8: where it is
/// further than 127 from the one before), a text has characters that a header cannot hold, or the record has segments, FLAC,
/// skews or offsets, which are not written.
///
/// # Example
/// ```
/// use sequela_core::Limits;
/// use sequela_formats::wfdb::{parse_header, to_record};
/// let header = parse_header(b"r 1 360 3\nr.dat 212 200/mV 12 0 0 0 0 II\n", "r".as_ref(), &Limits::default())?;
/// let files = to_record(&header, &[vec![995, 1000, -7]], "r".as_ref())?;
/// assert_eq!(files.signals[0].1, [0xE3, 0x33, 0xE8, 0xF9, 0x0F]);
/// assert!(String::from_utf8_lossy(&files.header).contains("r.dat 212 200(0)/mV 12 0 995 1988 0 II"));
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub fn to_record(header: &Header, samples: &[Vec<i32>], name: &Path) -> Result<RecordFiles, Error> {
    let write = Write { header, place: Location::file(name) };
    let frames = write.frames(samples)?;
    let mut signals: Vec<(String, Vec<u8>)> = Vec::new();
    let mut lines = write.record_line(frames)?;
    let mut rest = samples;
    for group in header.signals.chunk_by(|one, other| one.file == other.file) {
        let (own, others) = rest.split_at_checked(group.len()).unwrap_or((rest, &[]));
        rest = others;
        let [first, ..] = group else { continue };
        if signals.iter().any(|(file, _)| *file == first.file) {
            return Err(write.refuse(&first.description, "its file has other signals before it"));
        }
        let bytes = write.file(group, own, frames)?;
        signals.push((first.file.clone(), bytes));
        for (signal, samples) in group.iter().zip(own) {
            lines.push_str(&write.signal_line(signal, samples)?);
        }
    }
    for comment in &header.comments {
        let line = write.text("comment", comment)?;
        let _ = writeln!(lines, "# {line}");
    }
    Ok(RecordFiles { header: lines.into_bytes(), signals })
}

struct Write<'a> {
    header: &'a Header,
    place: Location,
}

impl Write<'_> {
    fn refuse(&self, field: &str, what: &str) -> Error {
        let hint = "correct it, or choose another format";
        Error::unsupported(self.place.clone().field(field), what, hint)
    }

    /// How many frames all signals have.
    fn frames(&self, samples: &[Vec<i32>]) -> Result<usize, Error> {
        let signals = &self.header.signals;
        if !self.header.segments.is_empty() || signals.len() != samples.len() {
            return Err(self.refuse("signals", "there is not one list of samples for each signal"));
        }
        let mut frames = None;
        for (signal, samples) in signals.iter().zip(samples) {
            let each = signal.samples_per_frame as usize;
            let own = samples.len().checked_div(each).filter(|own| own * each == samples.len());
            let own = own.filter(|own| *frames.get_or_insert(*own) == *own);
            if own.is_none() {
                return Err(self.refuse(&signal.description, "it has another number of frames"));
            }
        }
        frames
            .filter(|&frames| frames > 0)
            .ok_or_else(|| self.refuse("signals", "there is no sample"))
    }

    fn record_line(&self, frames: usize) -> Result<String, Error> {
        let header = self.header;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if header.record.is_empty() || !header.record.chars().all(is_name) {
            return Err(self.refuse("record", "its name is not letters, digits, _ and -"));
        }
        let positive = |number: f64| number > 0.0 && number.is_finite();
        if !positive(header.sampling_frequency)
            || header.counter_frequency.is_some_and(|counter| !positive(counter))
        {
            return Err(self.refuse("sampling frequency", "it is not a positive number"));
        }
        let mut line =
            format!("{} {} {}", header.record, header.signals.len(), header.sampling_frequency);
        if let Some(counter) = header.counter_frequency {
            let _ = write!(line, "/{counter}");
            if let Some(base) = header.base_counter {
                let _ = write!(line, "({base})");
            }
        }
        let _ = write!(line, " {frames}");
        if let Some(time) = &header.base_time {
            let _ = write!(line, " {}", self.word("base time", time)?);
            if let Some(date) = &header.base_date {
                let _ = write!(line, " {}", self.word("base date", date)?);
            }
        }
        line.push('\n');
        Ok(line)
    }

    fn signal_line(&self, signal: &Signal, samples: &[i32]) -> Result<String, Error> {
        let name = &signal.description;
        if signal.gain == 0.0 || !signal.gain.is_finite() {
            return Err(self.refuse(name, "its gain is no number but 0"));
        }
        let sum = samples.iter().fold(0_i32, |sum, &sample| sum.wrapping_add(sample));
        #[allow(clippy::cast_possible_truncation, reason = "the sum is that of the low 16 bits")]
        let checksum = sum as i16;
        let (file, format) = (self.word(name, &signal.file)?, signal.format);
        let frame = match signal.samples_per_frame {
            1 => String::new(),
            each => format!("x{each}"),
        };
        let unit = if signal.unit.is_empty() { "" } else { self.word(name, &signal.unit)? };
        let Signal { gain, baseline, adc_resolution, adc_zero, block_size, .. } = signal;
        let first = samples.first().copied().unwrap_or(0);
        let name = self.text(name, name)?;
        let line = format!(
            "{file} {format}{frame} {gain}({baseline})/{unit} {adc_resolution} {adc_zero} {first} \
             {checksum} {block_size} {name}"
        );
        Ok(line.trim_end().to_owned() + "\n")
    }

    /// A text of one line.
    fn text<'a>(&self, field: &str, text: &'a str) -> Result<&'a str, Error> {
        if text.contains(['\n', '\r']) || text.trim() != text {
            return Err(self.refuse(field, "it is not one line without spaces around it"));
        }
        Ok(text)
    }

    /// A text without spaces.
    fn word<'a>(&self, field: &str, text: &'a str) -> Result<&'a str, Error> {
        if text.is_empty() || text.contains(char::is_whitespace) || text.starts_with('#') {
            return Err(self.refuse(field, "a part of its line is no word"));
        }
        Ok(text)
    }

    /// The bytes of a file of signals.
    fn file(
        &self,
        signals: &[Signal],
        samples: &[Vec<i32>],
        frames: usize,
    ) -> Result<Vec<u8>, Error> {
        let [first, ..] = signals else { return Ok(Vec::new()) };
        let format = Format::of(first.format).filter(|format| format.range().is_some());
        let Some(format) = format else {
            let what = format!("format {} is not written", first.format);
            return Err(self.refuse(&first.description, &what));
        };
        if first.file.contains(['/', '\\']) || first.file.starts_with('.') {
            return Err(self.refuse(&first.description, "its file does not lie beside the header"));
        }
        let (low, high) = format.range().unwrap_or((0, 0));
        for (signal, samples) in signals.iter().zip(samples) {
            let is_packed = format == Format::Differences && signal.samples_per_frame != 1;
            let is_shifted = signal.skew != 0 || signal.byte_offset != 0;
            if signal.format != first.format || is_shifted || is_packed {
                let what = "signals of one file need one format, and no skew or offset (of format 8 \
                            one sample in a frame)";
                return Err(self.refuse(&signal.description, what));
            }
            // Of differences what counts is how far it is to the next.
            let each = signal.samples_per_frame as usize;
            let (low, high) = (i64::from(low), i64::from(high));
            let fits = if format == Format::Differences {
                samples.iter().zip(samples.iter().skip(each)).all(|(&before, &now)| {
                    (low..=high).contains(&(i64::from(now) - i64::from(before)))
                })
            } else {
                samples.iter().all(|&sample| (low..=high).contains(&i64::from(sample)))
            };
            if !fits {
                let what = "a sample does not fit into the bits of its format";
                return Err(self.refuse(&signal.description, what));
            }
        }
        let mut ordered = Vec::with_capacity(samples.iter().map(Vec::len).sum());
        for frame in 0..frames {
            for (signal, samples) in signals.iter().zip(samples) {
                let each = signal.samples_per_frame as usize;
                ordered.extend(samples.iter().skip(frame * each).take(each));
            }
        }
        let mut bytes = Vec::new();
        format.encode(&ordered, signals.len(), &mut bytes);
        Ok(bytes)
    }
}
