//! Recordings to bytes.

use std::path::Path;

use sequela_core::Location;

use super::annotations::{Annotation, DURATION, TEXT};
use super::header::{Header, Layout, Width};
use super::signal::Signal;
use crate::Error;

/// One data record that is to be written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RecordToWrite {
    /// The numbers of each signal; those of signals of annotations are not looked at.
    pub samples: Vec<Vec<i32>>,
    /// Seconds from the start time of the file; not written where there is no signal of annotations.
    pub onset: f64,
    /// What was noted; it goes into the first signal of annotations.
    pub annotations: Vec<Annotation>,
}

/// The bytes of a recording with this header; `name` stands for the file in messages.
///
/// The number of records is that of `records`, whatever the header says. What cannot be read back as it is, is
/// not written.
///
/// # Errors
/// [`Error::Unsupported`] where a text or number does not fit into its field, a sample not into the bits of the
/// format, annotations not into their signal, or a record has not the samples that the header says.
///
/// # Example
/// ```
/// use sequela_core::Limits;
/// use sequela_formats::edf::{Header, RecordToWrite, Signal, parse_recording, to_edf};
/// let signal = Signal {
///     label: "ECG".into(),
///     unit: "mV".into(),
///     physical: (-5.0, 5.0),
///     digital: (-500, 500),
///     samples: 4,
///     ..Signal::default()
/// };
/// let header = Header::new(1.0, vec![signal]);
/// let record = RecordToWrite { samples: vec![vec![0, 50, 100, 50]], ..RecordToWrite::default() };
/// let bytes = to_edf(&header, &[record], "a.edf".as_ref())?;
/// let read = parse_recording(&bytes, "a.edf".as_ref(), &[], &Limits::default())?;
/// assert!((read.channels[0].values[2] - 1.0).abs() < 1e-12);
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub fn to_edf(header: &Header, records: &[RecordToWrite], name: &Path) -> Result<Vec<u8>, Error> {
    let place = Location::file(name);
    let mut out = Fields { bytes: Vec::new(), place: &place };
    first_part(&mut out, header, records.len())?;
    let signals = &header.signals;
    let each = |out: &mut Fields<'_>,
                put: &dyn Fn(&mut Fields<'_>, &Signal) -> Result<(), Error>| {
        signals.iter().try_for_each(|signal| put(out, signal))
    };
    each(&mut out, &|out, signal| out.text("label", &signal.label, 16))?;
    each(&mut out, &|out, signal| out.text("transducer", &signal.transducer, 80))?;
    each(&mut out, &|out, signal| out.text("unit", &signal.unit, 8))?;
    each(&mut out, &|out, signal| out.number("physical minimum", signal.physical.0))?;
    each(&mut out, &|out, signal| out.number("physical maximum", signal.physical.1))?;
    each(&mut out, &|out, signal| out.number("digital minimum", f64::from(signal.digital.0)))?;
    each(&mut out, &|out, signal| out.number("digital maximum", f64::from(signal.digital.1)))?;
    each(&mut out, &|out, signal| out.text("filter", &signal.filter, 80))?;
    each(&mut out, &|out, signal| out.number("samples of a record", f64::from(signal.samples)))?;
    each(&mut out, &|out, signal| out.text("reserved", &signal.reserved, 32))?;
    for record in records {
        data_record(&mut out, header, record)?;
    }
    Ok(out.bytes)
}

fn first_part(out: &mut Fields<'_>, header: &Header, records: usize) -> Result<(), Error> {
    let (version, plus): (&[u8], _) = match header.width {
        Width::Edf => (b"0       ", "EDF+"),
        Width::Bdf => (b"\xFFBIOSEMI", "BDF+"),
    };
    out.bytes.extend_from_slice(version);
    let who = &header.identification;
    out.text("patient", &who.patient, 80)?;
    out.text("recording", &who.recording, 80)?;
    // 2002-03-02T22:15:00 as 02.03.02 and 22.15.00; of a start that is not known zeros, which are no date.
    let part = |from: usize| who.start.as_deref().and_then(|text| text.get(from..from + 2));
    let dotted = |parts: [usize; 3]| parts.map(|from| part(from).unwrap_or("00")).join(".");
    out.text("date", &dotted([8, 5, 2]), 8)?;
    out.text("time", &dotted([11, 14, 17]), 8)?;
    out.number("bytes of the header", header.bytes() as f64)?;
    let reserved = match (header.layout, header.width) {
        (Layout::Plain, Width::Edf) => String::new(),
        (Layout::Plain, Width::Bdf) => "24BIT".to_owned(),
        (Layout::Continuous, _) => format!("{plus}C"),
        (Layout::Discontinuous, _) => format!("{plus}D"),
    };
    out.text("reserved", &reserved, 44)?;
    out.number("number of data records", records as f64)?;
    out.number("seconds of a data record", header.record_seconds)?;
    out.text("number of signals", &header.signals.len().to_string(), 4)
}

fn data_record(out: &mut Fields<'_>, header: &Header, record: &RecordToWrite) -> Result<(), Error> {
    let width = header.width.bytes();
    let half = 1 << (8 * width - 1);
    let mut lists = Some(lists(record, out.place)?);
    for (at, signal) in header.signals.iter().enumerate() {
        let room = signal.samples as usize * width;
        if signal.is_annotations {
            let list = lists.take().unwrap_or_default();
            if list.len() > room {
                return Err(out.refuse("annotations", "they do not fit into a data record"));
            }
            let end = out.bytes.len() + room;
            out.bytes.extend_from_slice(&list);
            out.bytes.resize(end, 0);
            continue;
        }
        let samples = record.samples.get(at).map_or(&[][..], Vec::as_slice);
        if samples.len() != signal.samples as usize {
            return Err(out.refuse(&signal.label, "a record has another number of samples"));
        }
        for &sample in samples {
            if !(-half..half).contains(&sample) {
                return Err(out.refuse(&signal.label, "a sample has more bits than the format"));
            }
            out.bytes.extend(sample.to_le_bytes().iter().take(width));
        }
    }
    Ok(())
}

/// The lists of annotations of a record, that of its start first.
fn lists(record: &RecordToWrite, place: &Location) -> Result<Vec<u8>, Error> {
    let refuse = |what: &str| refusal(place, "annotations", what);
    let signed = |seconds: f64| {
        let text = format!("{}{seconds}", if seconds.is_sign_negative() { "" } else { "+" });
        if seconds.is_finite() { Ok(text) } else { Err(refuse("a time is not finite")) }
    };
    let mut bytes = signed(record.onset)?.into_bytes();
    bytes.extend([TEXT, TEXT, 0]);
    for note in &record.annotations {
        bytes.extend(signed(note.onset)?.into_bytes());
        if let Some(duration) = note.duration {
            if !(duration.is_finite() && duration.is_sign_positive()) {
                return Err(refuse("a duration is not a number from 0 on"));
            }
            bytes.push(DURATION);
            bytes.extend(duration.to_string().into_bytes());
        }
        if note.text.bytes().any(|byte| matches!(byte, 0 | TEXT)) {
            return Err(refuse("a text has characters that end lists"));
        }
        bytes.push(TEXT);
        bytes.extend(note.text.bytes());
        bytes.extend([TEXT, 0]);
    }
    Ok(bytes)
}

/// Puts fields of fixed width behind each other.
struct Fields<'a> {
    bytes: Vec<u8>,
    place: &'a Location,
}

impl Fields<'_> {
    fn refuse(&self, field: &str, what: &str) -> Error {
        refusal(self.place, field, what)
    }

    fn text(&mut self, field: &str, text: &str, width: usize) -> Result<(), Error> {
        let is_blank = |c: char| c.is_ascii_whitespace() || c == '\0';
        if text.len() > width || text.starts_with(is_blank) || text.ends_with(is_blank) {
            return Err(self.refuse(field, "the text does not fit into its field"));
        }
        let end = self.bytes.len() + width;
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.resize(end, b' ');
        Ok(())
    }

    /// The shortest of the ways to write a number, in eight characters.
    fn number(&mut self, field: &str, number: f64) -> Result<(), Error> {
        let plain = number.to_string();
        let without_zero = plain.replacen("0.", ".", usize::from(number.abs() < 1.0));
        let scientific = format!("{number:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let behind = digits.split_once('.').map_or(0, |(_, behind)| behind.len());
        let behind = i64::try_from(behind).unwrap_or(0);
        let exponent: i64 = exponent.parse().unwrap_or(0);
        let whole = format!("{}e{}", digits.replace('.', ""), exponent - behind);
        let ways = [&plain, &without_zero, &scientific, &whole];
        let found = ways.into_iter().find(|text| {
            text.len() <= 8
                && text.parse::<f64>().is_ok_and(|read| read.to_bits() == number.to_bits())
        });
        match found {
            Some(text) => self.text(field, text, 8),
            None => Err(self.refuse(field, "the number has more than eight characters")),
        }
    }
}

fn refusal(place: &Location, field: &str, what: &str) -> Error {
    Error::unsupported(place.clone().field(field), what, "shorten it, or choose another format")
}
