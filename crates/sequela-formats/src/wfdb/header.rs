//! The header of a record.

use std::path::Path;
use std::str::FromStr;

use sequela_core::{Limits, Location};

use crate::{Error, bounded};

/// What a `.hea` file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Name of the record.
    pub record: String,
    /// Hz; 250 where the header gives none, as the format has it.
    pub sampling_frequency: f64,
    /// Hz of the counter, where it differs from the samples.
    pub counter_frequency: Option<f64>,
    /// Counter value at sample 0.
    pub base_counter: Option<f64>,
    /// Samples of each signal, where the header gives them.
    pub samples: Option<u64>,
    /// Time of sample 0, as written (`HH:MM:SS`).
    pub base_time: Option<String>,
    /// Date of sample 0, as written (`DD/MM/YYYY`).
    pub base_date: Option<String>,
    /// The signals; of a record of several segments they are in its segments' headers.
    pub signals: Vec<Signal>,
    /// The segments of a record of several.
    pub segments: Vec<Segment>,
    /// Comments, without the `#`.
    pub comments: Vec<String>,
}

/// One signal of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// The file that holds its samples.
    pub file: String,
    /// Storage format, e.g. 212.
    pub format: u16,
    /// Samples of this signal in one frame.
    pub samples_per_frame: u32,
    /// Samples by which the signal is delayed.
    pub skew: u32,
    /// Bytes before the first sample.
    pub byte_offset: u64,
    /// ADC units in one physical unit (200 where the header gives none or 0).
    pub gain: f64,
    /// ADC value that stands for 0 physical units.
    pub baseline: i64,
    /// Physical unit.
    pub unit: String,
    /// Bits of the ADC; 0 where it is not known.
    pub adc_resolution: u32,
    /// ADC value in the middle of its range.
    pub adc_zero: i64,
    /// Value of the first sample.
    pub initial_value: Option<i64>,
    /// Sum of all samples, in 16 bits.
    pub checksum: Option<i64>,
    /// Bytes of a block; 0 for ordinary files.
    pub block_size: u64,
    /// Name, e.g. `MLII`; empty where there is none.
    pub description: String,
}

/// One segment of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Name of its record; `~` for a gap.
    pub record: String,
    /// Samples of each signal in it.
    pub samples: u64,
}

/// Reads a header from a file.
///
/// # Errors
/// As [`bounded::read`] and [`parse_header`].
pub fn read_header(path: &Path, limits: &Limits) -> Result<Header, Error> {
    parse_header(&bounded::read(path, limits)?, path, limits)
}

/// Reads a header from bytes; `name` stands for the file in messages.
///
/// A header that is not UTF-8 is taken for Latin-1, as old ones are (`\u{b5}V`).
///
/// # Errors
/// [`Error::Malformed`] with the line where a field is not what the format has there or signals
/// are missing; [`Error::Limit`] over `channels` signals or segments.
pub fn parse_header(bytes: &[u8], name: &Path, limits: &Limits) -> Result<Header, Error> {
    // Old headers write units and names in Latin-1, whose characters are the first of Unicode.
    let latin: String;
    let text = if let Ok(text) = bounded::text(bytes, name) {
        text
    } else {
        latin = bytes.iter().copied().map(char::from).collect();
        &latin
    };
    let location = Location::file(name);
    let comments = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix('#'))
        .map(|comment| comment.trim().to_owned())
        .collect();
    let mut lines = text
        .lines()
        .zip(1_u64..)
        .map(|(line, number)| (line.trim(), number))
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let (first, number) = lines
        .next()
        .ok_or_else(|| fault(&location, "the header is empty", "name a WFDB header"))?;
    let (mut header, parts) = record_line(first, comments, &location.clone().line(number))?;
    if parts.count > limits.channels {
        return Err(Error::Limit {
            location: location.line(number).into(),
            what: "the number of signals or segments".to_owned(),
            limit: limits.channels,
        });
    }
    for wanted in 0..parts.count {
        let (line, number) = lines.next().ok_or_else(|| {
            let what = format!("{} lines were declared, {wanted} are there", parts.count);
            fault(&location, &what, "the file may be cut short: fetch it again")
        })?;
        let place = location.clone().line(number);
        if parts.segmented {
            header.segments.push(segment_line(line, &place)?);
        } else {
            header.signals.push(signal_line(line, &place)?);
        }
    }
    match lines.next() {
        None => Ok(header),
        Some((_, number)) => Err(fault(
            &location.line(number),
            "there are more lines than the first line declares",
            "correct the number of signals",
        )),
    }
}

/// How many lines follow the record line, and what they are.
#[derive(Debug)]
struct Parts {
    count: u64,
    segmented: bool,
}

fn record_line(
    line: &str,
    comments: Vec<String>,
    place: &Location,
) -> Result<(Header, Parts), Error> {
    let mut fields = line.split_whitespace();
    let (record, segments) = divide(fields.next().unwrap_or_default(), '/');
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if record.is_empty() || !record.chars().all(is_name) {
        return Err(fault(
            place,
            "the name of the record is not letters, digits, _ and -",
            "name a WFDB header",
        ));
    }
    let segments = segments.map(|count| parse::<u64>(count, "segments", place)).transpose()?;
    let signals = parse::<u64>(fields.next().unwrap_or_default(), "signals", place)?;
    let (frequency, counter) = divide(fields.next().unwrap_or("250"), '/');
    let sampling_frequency = positive(frequency, "sampling frequency", place)?;
    let (counter, base_counter) = match counter {
        None => (None, None),
        Some(text) => {
            let (counter, base) = bracketed(text);
            let base = base.map(|base| parse::<f64>(base, "base counter", place)).transpose()?;
            (Some(positive(counter, "counter frequency", place)?), base)
        }
    };
    let samples = fields.next().map(|count| parse::<u64>(count, "samples", place)).transpose()?;
    let header = Header {
        record: record.to_owned(),
        sampling_frequency,
        counter_frequency: counter,
        base_counter,
        // A count of 0 says that it is not known.
        samples: samples.filter(|&count| count > 0),
        base_time: fields.next().map(str::to_owned),
        base_date: fields.next().map(str::to_owned),
        signals: Vec::new(),
        segments: Vec::new(),
        comments,
    };
    let parts = Parts { count: segments.unwrap_or(signals), segmented: segments.is_some() };
    Ok((header, parts))
}

fn signal_line(line: &str, place: &Location) -> Result<Signal, Error> {
    let mut rest = line;
    let mut next = || {
        let (field, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = tail.trim_start();
        Some(field).filter(|field| !field.is_empty())
    };
    let file = next().unwrap_or_default().to_owned();
    let (format, byte_offset) = divide(next().unwrap_or_default(), '+');
    let (format, skew) = divide(format, ':');
    let (format, samples_per_frame) = divide(format, 'x');
    let (gain, unit) = divide(next().unwrap_or("200"), '/');
    let (gain, baseline) = bracketed(gain);
    let adc_resolution = next().map(|text| parse(text, "ADC resolution", place)).transpose()?;
    let adc_zero = next().map(|text| parse(text, "ADC zero", place)).transpose()?.unwrap_or(0);
    let gain = parse::<f64>(gain, "gain", place)?;
    Ok(Signal {
        file,
        format: parse(format, "format", place)?,
        samples_per_frame: optional(samples_per_frame, "samples per frame", place)?.unwrap_or(1),
        skew: optional(skew, "skew", place)?.unwrap_or(0),
        byte_offset: optional(byte_offset, "byte offset", place)?.unwrap_or(0),
        gain: if gain == 0.0 || !gain.is_finite() { 200.0 } else { gain },
        baseline: optional(baseline, "baseline", place)?.unwrap_or(adc_zero),
        unit: unit.unwrap_or("mV").to_owned(),
        adc_resolution: adc_resolution.unwrap_or(0),
        adc_zero,
        initial_value: optional(next(), "initial value", place)?,
        checksum: optional(next(), "checksum", place)?,
        block_size: optional(next(), "block size", place)?.unwrap_or(0),
        description: rest.trim().to_owned(),
    })
}

fn segment_line(line: &str, place: &Location) -> Result<Segment, Error> {
    let mut fields = line.split_whitespace();
    let record = fields.next().unwrap_or_default().to_owned();
    Ok(Segment { record, samples: parse(fields.next().unwrap_or_default(), "samples", place)? })
}

/// The text before and after the first `mark`.
fn divide(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// `a(b)` as `a` and `b`.
fn bracketed(text: &str) -> (&str, Option<&str>) {
    let (before, inside) = divide(text, '(');
    (before, inside.map(|inside| inside.strip_suffix(')').unwrap_or(inside)))
}

fn optional<N: FromStr>(
    text: Option<&str>,
    field: &str,
    place: &Location,
) -> Result<Option<N>, Error> {
    text.map(|text| parse(text, field, place)).transpose()
}

fn parse<N: FromStr>(text: &str, field: &str, place: &Location) -> Result<N, Error> {
    text.parse().map_err(|_| {
        let place = place.clone().field(field);
        fault(&place, "the field is not a number of its kind", "correct the header")
    })
}

fn positive(text: &str, field: &str, place: &Location) -> Result<f64, Error> {
    let number = parse::<f64>(text, field, place)?;
    if number > 0.0 && number.is_finite() {
        Ok(number)
    } else {
        let place = place.clone().field(field);
        Err(fault(&place, "the frequency is not a positive number", "correct the header"))
    }
}

fn fault(place: &Location, what: &str, hint: &str) -> Error {
    Error::malformed(place.clone(), what, hint)
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the numbers are read, not computed")]
mod tests {
    use super::*;

    fn header(text: &str) -> Result<Header, Error> {
        parse_header(text.as_bytes(), "r.hea".as_ref(), &Limits::default())
    }

    #[test]
    fn every_field_of_a_signal_line() {
        let text = "a_1 1 62.5/999.5(-3) 14400 12:30:00 01/05/1990\n\
                    e.dat 516x4:2+512 16.5(800)/mmHg 12 2048 7 -49347 0 ABP mean\n# note\n";
        let header = header(text).unwrap();
        assert_eq!(header.sampling_frequency, 62.5);
        assert_eq!((header.counter_frequency, header.base_counter), (Some(999.5), Some(-3.0)));
        assert_eq!(header.base_time.as_deref(), Some("12:30:00"));
        assert_eq!(header.comments, ["note"]);
        let signal = &header.signals[0];
        assert_eq!((signal.format, signal.samples_per_frame, signal.skew), (516, 4, 2));
        assert_eq!((signal.byte_offset, signal.gain, signal.baseline), (512, 16.5, 800));
        assert_eq!((signal.unit.as_str(), signal.adc_zero), ("mmHg", 2048));
        assert_eq!((signal.checksum, signal.description.as_str()), (Some(-49347), "ABP mean"));
    }

    #[test]
    fn defaults_of_a_short_header() {
        let header = header("r 1\nr.dat 16\n").unwrap();
        assert_eq!((header.sampling_frequency, header.samples), (250.0, None));
        assert_eq!((header.signals[0].gain, header.signals[0].unit.as_str()), (200.0, "mV"));
    }

    #[test]
    fn latin_1_units() {
        let header = parse_header(b"r 1\nr.dat 16 5/\xB5V\n", "r".as_ref(), &Limits::default());
        assert_eq!(header.unwrap().signals[0].unit, "\u{b5}V");
    }

    #[test]
    fn segments() {
        let header = header("m/2 3 360 2000\nm_1 1000\n~ 1000\n").unwrap();
        assert_eq!(header.segments[1], Segment { record: "~".into(), samples: 1000 });
    }

    #[test]
    fn faults_have_line_and_field() {
        let text = header("r 1 360\n# c\nr.dat x16\n").unwrap_err().to_string();
        assert!(text.starts_with("r.hea:3, field format: "), "{text}");
        for broken in [
            "",
            "# only\n",
            "r/x 1",
            "r one",
            "r 2\nr.dat 16\n",
            "r 0\nextra 1\n",
            "r 1 0\nr.dat 16",
            "r 1 nan\nr.dat 16",
            "../r 1\nr.dat 16",
            "r 99999999999 1",
        ] {
            assert!(header(broken).is_err(), "{broken:?}");
        }
    }
}
