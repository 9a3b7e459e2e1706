//! The header of a recording.

use std::fmt;
use std::path::Path;

use sequela_core::{Limits, Location};

use super::number::{Field, Fields};
use super::signal::Signal;
use crate::Error;

/// What a header says.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Bits of a sample.
    pub width: Width,
    /// Whether records follow each other without gaps.
    pub layout: Layout,
    /// Whose recording it is, and when it was made.
    pub identification: Identification,
    /// Number of data records; `None` where the file says that it is not known.
    pub records: Option<u64>,
    /// Seconds of one data record; 0 where the file has annotations alone.
    pub record_seconds: f64,
    /// The signals, those of annotations among them.
    pub signals: Vec<Signal>,
}

/// Bits of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 16 bits: EDF.
    Edf,
    /// 24 bits: BDF.
    Bdf,
}

/// Whether records follow each other without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// EDF or BDF of old: they do.
    Plain,
    /// EDF+C or BDF+C: they do.
    Continuous,
    /// EDF+D or BDF+D: each says when it begins.
    Discontinuous,
}

/// Whose recording it is. Nothing of it is shown by `Debug` or told in messages.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Identification {
    /// The local patient identification: in EDF+ code, sex, birth date and name.
    pub patient: String,
    /// The local recording identification: in EDF+ start date, administration code, technician.
    pub recording: String,
    /// When it began, as `2002-03-02T22:15:00` by the clock on the wall; `None` where the fields
    /// hold no date and time.
    pub start: Option<String>,
}

impl fmt::Debug for Identification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identification(not shown)")
    }
}

impl Header {
    /// The header of a plain EDF file with these signals and data records of so many seconds, of nobody.
    pub fn new(record_seconds: f64, signals: Vec<Signal>) -> Self {
        Self {
            width: Width::Edf,
            layout: Layout::Plain,
            identification: Identification::default(),
            records: None,
            record_seconds,
            signals,
        }
    }

    /// Bytes of the header.
    pub fn bytes(&self) -> u64 {
        BLOCK * (1 + self.signals.len() as u64)
    }

    /// Bytes of one data record.
    pub fn record_bytes(&self) -> u64 {
        let width = self.width.bytes() as u64;
        let samples = self.signals.iter().map(|signal| u64::from(signal.samples));
        // At most 65,536 signals of 99,999,999 samples: this does not overflow.
        samples.sum::<u64>().saturating_mul(width)
    }

    /// Samples of a signal in a second, Hz; 0 where records have no length.
    pub fn frequency(&self, signal: &Signal) -> f64 {
        if self.record_seconds > 0.0 {
            f64::from(signal.samples) / self.record_seconds
        } else {
            0.0
        }
    }

    /// What the file is called by its standard, e.g. `EDF+C`.
    pub fn format(&self) -> &'static str {
        match (self.width, self.layout) {
            (Width::Edf, Layout::Plain) => "EDF",
            (Width::Edf, Layout::Continuous) => "EDF+C",
            (Width::Edf, Layout::Discontinuous) => "EDF+D",
            (Width::Bdf, Layout::Plain) => "BDF",
            (Width::Bdf, Layout::Continuous) => "BDF+C",
            (Width::Bdf, Layout::Discontinuous) => "BDF+D",
        }
    }
}

impl Width {
    /// Bytes of a sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::Edf => 2,
            Self::Bdf => 3,
        }
    }
}

/// Reads a header from the first bytes of a file; `name` stands for it in messages.
///
/// The physical and digital ranges are read as they are: a signal whose ranges make no sense does
/// not keep the others from being read, see [`Signal::calibration`].
///
/// # Errors
/// [`Error::Malformed`] with byte and field where a number is none or cannot be, the version is not
/// that of EDF or BDF, or the bytes end early; [`Error::Limit`] over `channels` signals.
pub fn parse_header(bytes: &[u8], name: &Path, limits: &Limits) -> Result<Header, Error> {
    let mut fields = Fields::new(bytes, name);
    let (mut header, count) = parse_first(&mut fields, limits)?;
    header.signals = parse_signals(&mut fields, count)?;
    let has_samples = header.signals.iter().any(|signal| !signal.is_annotations);
    if has_samples && header.record_seconds <= 0.0 {
        let place = Location::file(name).byte(SECONDS_AT).field("seconds of a data record");
        let what = "it is not positive, and there are signals";
        return Err(Error::malformed(place, what, "correct the field"));
    }
    Ok(header)
}

/// The first 256 bytes, and how many signals there are.
fn parse_first(fields: &mut Fields<'_>, limits: &Limits) -> Result<(Header, usize), Error> {
    let version = fields.next(8)?;
    let width = match version.bytes() {
        [0xFF, b'B', b'I', b'O', b'S', b'E', b'M', b'I'] => Width::Bdf,
        _ if version.text() == "0" => Width::Edf,
        _ => {
            let what = "it does not begin as EDF or BDF do";
            return Err(version.fault("version", what, "name a file of EDF or BDF"));
        }
    };
    let (patient, recording) = (fields.next(80)?.text(), fields.next(80)?.text());
    let start = start(fields.next(8)?, fields.next(8)?, &recording);
    let size = fields.next(8)?;
    let reserved = fields.next(44)?.text();
    let layout = match reserved.get(..5) {
        Some("EDF+C" | "BDF+C") => Layout::Continuous,
        Some("EDF+D" | "BDF+D") => Layout::Discontinuous,
        _ => Layout::Plain,
    };
    let records = fields.next(8)?.whole("number of data records", -1, 99_999_999)?;
    let seconds = fields.next(8)?;
    let record_seconds = seconds.number("seconds of a data record")?;
    if record_seconds < 0.0 {
        let what = "it is negative";
        return Err(seconds.fault("seconds of a data record", what, "correct the field"));
    }
    let count_field = fields.next(4)?;
    let count = count_field.whole("number of signals", 1, 9999)?.unsigned_abs();
    if count > limits.channels {
        return Err(Error::Limit {
            location: count_field.place().field("number of signals").into(),
            what: "the number of signals".to_owned(),
            limit: limits.channels,
        });
    }
    let bytes = BLOCK * (1 + count);
    if size.whole("bytes of the header", 0, 99_999_999)?.unsigned_abs() != bytes {
        let what = format!("it is not {bytes}, which {count} signals take");
        let hint = "correct this field or the number of signals";
        return Err(size.fault("bytes of the header", &what, hint));
    }
    let header = Header {
        width,
        layout,
        identification: Identification { patient, recording, start },
        records: u64::try_from(records).ok(),
        record_seconds,
        signals: Vec::new(),
    };
    Ok((header, usize::try_from(count).unwrap_or(0)))
}

/// The rest of the header, where each field is given of all signals before the next is.
fn parse_signals(fields: &mut Fields<'_>, count: usize) -> Result<Vec<Signal>, Error> {
    let mut signals = vec![Signal::default(); count];
    let mut each = |width: usize, name: &str, set: Set| {
        for (signal, number) in signals.iter_mut().zip(1..) {
            set(signal, fields.next(width)?, &format!("{name} of signal {number}"))?;
        }
        Ok::<(), Error>(())
    };
    each(16, "label", |signal, field, _| {
        signal.label = field.text();
        signal.is_annotations = matches!(&*signal.label, "EDF Annotations" | "BDF Annotations");
        Ok(())
    })?;
    each(80, "transducer", |signal, field, _| {
        signal.transducer = field.text();
        Ok(())
    })?;
    each(8, "unit", |signal, field, _| {
        signal.unit = field.text();
        Ok(())
    })?;
    each(8, "physical minimum", |signal, field, name| {
        signal.ranges_at[0] = field.at();
        signal.physical.0 = field.number(name)?;
        Ok(())
    })?;
    each(8, "physical maximum", |signal, field, name| {
        signal.physical.1 = field.number(name)?;
        Ok(())
    })?;
    each(8, "digital minimum", |signal, field, name| {
        signal.ranges_at[1] = field.at();
        signal.digital.0 = integer(field, name)?;
        Ok(())
    })?;
    each(8, "digital maximum", |signal, field, name| {
        signal.digital.1 = integer(field, name)?;
        Ok(())
    })?;
    each(80, "filter", |signal, field, _| {
        signal.filter = field.text();
        Ok(())
    })?;
    each(8, "samples of a record", |signal, field, name| {
        signal.samples = u32::try_from(field.whole(name, 1, 99_999_999)?).unwrap_or(0);
        Ok(())
    })?;
    each(32, "reserved", |signal, field, _| {
        signal.reserved = field.text();
        Ok(())
    })?;
    Ok(signals)
}

/// Keeps a field of a signal; the text names it in messages.
type Set = fn(&mut Signal, Field<'_>, &str) -> Result<(), Error>;

fn integer(field: Field<'_>, name: &str) -> Result<i32, Error> {
    let number = field.whole(name, i64::from(i32::MIN), i64::from(i32::MAX))?;
    Ok(i32::try_from(number).unwrap_or(0))
}

/// Date and time as text, where they are some.
fn start(date: Field<'_>, time: Field<'_>, recording: &str) -> Option<String> {
    let three = |text: &str| -> Option<[String; 3]> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        parts.try_into().ok()
    };
    let number = |text: &String| text.trim().parse::<i8>().ok();
    let [day, month, year] = three(&date.text())?;
    let [hour, minute, second] = three(&time.text())?;
    // Two digits: 85 to 99 are of the last century. EDF+ has the whole year beside them.
    let short = number(&year).map(|year| i16::from(year) + if year >= 85 { 1900 } else { 2000 });
    let year = whole_year(recording).or(short)?;
    let date = jiff::civil::Date::new(year, number(&month)?, number(&day)?).ok()?;
    let time =
        jiff::civil::Time::new(number(&hour)?, number(&minute)?, number(&second)?, 0).ok()?;
    Some(date.to_datetime(time).to_string())
}

/// The year of `Startdate 02-MAR-2002 ...`.
fn whole_year(recording: &str) -> Option<i16> {
    let date = recording.strip_prefix("Startdate ")?.split(' ').next()?;
    let year = date.rsplit('-').next().filter(|year| year.len() == 4)?;
    year.parse().ok().filter(|year| *year >= 1970)
}

/// Bytes of the first part of a header, and of each signal.
pub(super) const BLOCK: u64 = 256;
/// Where the seconds of a data record stand.
const SECONDS_AT: u64 = 244;
