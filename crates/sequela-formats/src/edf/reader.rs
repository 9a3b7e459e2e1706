//! A recording record by record, whatever its length.

use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location};

use super::annotations::{Annotation, Keeps, parse_lists};
use super::header::{BLOCK, Header, Layout, Width, parse_header};
use super::signal::Calibration;
use crate::{Error, bounded};

/// Goes through the data records of a file.
///
/// **Cost** one data record is in memory at a time.
///
/// # Example
/// ```no_run
/// use sequela_core::Limits;
/// use sequela_formats::edf::Reader;
/// let mut reader = Reader::open("night.edf".as_ref(), &Limits::default())?;
/// let mut numbers = Vec::new();
/// while let Some(record) = reader.next_record()? {
///     record.digital(0, &mut numbers);
///     println!("{} s: {} samples", record.onset, numbers.len());
/// }
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub struct Reader<'a> {
    stream: Box<dyn Read + 'a>,
    name: PathBuf,
    header: Header,
    /// Where in a record the samples of each signal are.
    spans: Vec<Range<usize>>,
    records: u64,
    next: u64,
    bytes: Vec<u8>,
    annotations: Vec<Annotation>,
    clock: Clock,
    notes: Vec<String>,
    most: u64,
}

/// When records begin.
#[derive(Debug, Default)]
struct Clock {
    first: Option<f64>,
    /// Where the record before ended.
    end: Option<f64>,
    /// Records of a continuous file that say that they begin elsewhere.
    elsewhere: u64,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, records, next, .. } = self;
        let mut shown = f.debug_struct("Reader");
        shown.field("name", name).field("records", records).field("next", next);
        shown.finish_non_exhaustive()
    }
}

/// One data record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Which it is, from 0.
    pub number: u64,
    /// Seconds from the start time of the file.
    pub onset: f64,
    /// Whether there is a gap between the record before and this one.
    pub after_gap: bool,
    /// What was noted in it.
    pub annotations: &'a [Annotation],
    bytes: &'a [u8],
    spans: &'a [Range<usize>],
    width: Width,
}

impl<'a> Reader<'a> {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// Those of opening, and of [`Reader::of_stream`].
    pub fn open(path: &Path, limits: &Limits) -> Result<Reader<'static>, Error> {
        let (file, size): (File, u64) = bounded::open_sized(path)?;
        let stream = Box::new(BufReader::with_capacity(1 << 16, file));
        Reader::of_stream(stream, size, path, limits)
    }

    /// Reads the header of a stream of `size` bytes; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`parse_header`]; [`Error::Malformed`] where there are fewer data records than the header
    /// says; [`Error::Limit`] for a data record over `file_bytes`.
    pub fn of_stream(
        mut stream: Box<dyn Read + 'a>,
        size: u64,
        name: &Path,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let place = Location::file(name);
        let mut head = Vec::new();
        bounded::fill(&mut stream, BLOCK, &mut head, &place)?;
        // The last field of the first part is the number of signals: checked below, four digits.
        let count = head.get(252..256).and_then(|field| std::str::from_utf8(field).ok());
        let count = count.and_then(|text| text.trim().parse::<u16>().ok()).unwrap_or(0);
        if u64::from(count) <= limits.channels {
            bounded::fill(&mut stream, BLOCK * u64::from(count), &mut head, &place)?;
        }
        let header = parse_header(&head, name, limits)?;
        let mut notes = Vec::new();
        let records = records(&header, size, &mut notes, &place)?;
        if records > 0 && header.record_bytes() > limits.file_bytes {
            return Err(Error::Limit {
                location: place.into(),
                what: "a data record (in bytes)".to_owned(),
                limit: limits.file_bytes,
            });
        }
        let mut before = 0;
        let span = |samples: u32| {
            let start = before;
            before += samples as usize * header.width.bytes();
            start..before
        };
        let spans = header.signals.iter().map(|signal| signal.samples).map(span).collect();
        Ok(Self {
            stream,
            name: name.to_owned(),
            spans,
            header,
            records,
            next: 0,
            bytes: Vec::new(),
            annotations: Vec::new(),
            clock: Clock::default(),
            notes,
            most: limits.steps,
        })
    }

    /// What the header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn into_header(self) -> Header {
        self.header
    }

    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    /// How many data records there are, as the header or, where it does not know, the length of the
    /// file says.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many samples of a signal are in the file; 0 for a signal that is not there.
    pub fn samples(&self, signal: usize) -> u64 {
        let each = self.header.signals.get(signal).map_or(0, |signal| u64::from(signal.samples));
        self.records.saturating_mul(each)
    }

    /// What has to be known, as far as the file was read: bytes that belong to no record, records
    /// of a continuous file that say that they begin elsewhere.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.notes.clone();
        if self.clock.elsewhere > 0 {
            notes.push(format!(
                "{} data records say that they do not follow the one before, in a file that is \
                 continuous; they are read as if they did",
                self.clock.elsewhere
            ));
        }
        notes
    }

    /// The next data record; `None` after the last.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the byte where the file ends early, a list of annotations is broken, or
    /// a record of a discontinuous file does not say when it begins or begins before the one
    /// before it ends; [`Error::Limit`] over `steps` annotations in a record.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, Error> {
        if self.next >= self.records {
            return Ok(None);
        }
        let place = Location::file(&self.name);
        let bytes = self.header.record_bytes();
        // It lies in the file, whose size is known: this does not overflow.
        let at = self.header.bytes() + self.next * bytes;
        self.bytes.clear();
        bounded::fill(&mut self.stream, bytes, &mut self.bytes, &place)?;
        if self.bytes.len() as u64 != bytes {
            let what = "the file became shorter while it was read";
            return Err(Error::malformed(place.byte(at), what, "try again"));
        }
        let own = self.annotations_of_record(&place, at)?;
        let (onset, after_gap) = self.begins(own, &place.byte(at))?;
        let number = self.next;
        self.next += 1;
        Ok(Some(Record {
            number,
            onset,
            after_gap,
            annotations: &self.annotations,
            bytes: &self.bytes,
            spans: &self.spans,
            width: self.header.width,
        }))
    }

    /// Keeps the annotations of the record, and gives when it says that it begins.
    fn annotations_of_record(&mut self, place: &Location, at: u64) -> Result<Option<f64>, Error> {
        self.annotations.clear();
        let (mut start, mut keeps) = (None, Keeps::Time);
        let pairs = self.header.signals.iter().zip(&self.spans);
        for (_, span) in pairs.filter(|(signal, _)| signal.is_annotations) {
            let bytes = self.bytes.get(span.clone()).unwrap_or_default();
            let found =
                parse_lists(bytes, keeps, (place, at + span.start as u64), &mut self.annotations)?;
            start = start.or(found);
            keeps = Keeps::Events;
            if self.annotations.len() as u64 > self.most {
                return Err(Error::Limit {
                    location: place.clone().byte(at).into(),
                    what: "the number of annotations".to_owned(),
                    limit: self.most,
                });
            }
        }
        Ok(start)
    }

    /// When the record begins, and whether there is a gap before it.
    fn begins(&mut self, own: Option<f64>, place: &Location) -> Result<(f64, bool), Error> {
        let seconds = self.header.record_seconds;
        let first = *self.clock.first.get_or_insert(own.unwrap_or(0.0));
        let expected = first + self.next as f64 * seconds;
        // Onsets are written with as many digits as the writer likes.
        let fastest = self.header.signals.iter().map(|signal| signal.samples).max().unwrap_or(1);
        let tolerance = 0.5 * seconds / f64::from(fastest.max(1));
        if self.header.layout != Layout::Discontinuous {
            let is_elsewhere = own.is_some_and(|own| (own - expected).abs() > tolerance);
            self.clock.elsewhere += u64::from(is_elsewhere && seconds > 0.0);
            return Ok((expected, false));
        }
        let fault = |what: &str| {
            let hint = "fetch the file again, or mark it as continuous (EDF+C) if it is";
            Err(Error::malformed(place.clone().field("annotations"), what, hint))
        };
        let Some(onset) = own else {
            return fault("a data record of a discontinuous file does not say when it begins");
        };
        let (onset, after_gap) = match self.clock.end {
            Some(end) if onset < end - tolerance => {
                return fault("a data record begins before the one before it ends");
            }
            // What follows at once is counted on, so that rounding does not add up.
            Some(end) if onset <= end + tolerance => (end, false),
            Some(_) => (onset, true),
            None => (onset, false),
        };
        self.clock.end = Some(onset + seconds);
        Ok((onset, after_gap))
    }
}

impl Record<'_> {
    /// The numbers of a signal, in place of what is in `out`; none of a signal that is not there.
    pub fn digital(&self, signal: usize, out: &mut Vec<i32>) {
        out.clear();
        self.each(signal, |number| out.push(number));
    }

    /// Adds the physical values of a signal to `out`.
    pub fn physical(&self, signal: usize, calibration: Calibration, out: &mut Vec<f64>) {
        self.each(signal, |number| out.push(calibration.physical(number)));
    }

    fn each(&self, signal: usize, give: impl FnMut(i32)) {
        let bytes = self.bytes_of(signal);
        match self.width {
            Width::Edf => {
                let (pairs, _) = bytes.as_chunks::<2>();
                pairs.iter().map(|&pair| i32::from(i16::from_le_bytes(pair))).for_each(give);
            }
            Width::Bdf => {
                let (triples, _) = bytes.as_chunks::<3>();
                let value = |&[a, b, c]: &[u8; 3]| i32::from_le_bytes([0, a, b, c]) >> 8;
                triples.iter().map(value).for_each(give);
            }
        }
    }

    fn bytes_of(&self, signal: usize) -> &[u8] {
        let span = self.spans.get(signal).cloned().unwrap_or_default();
        self.bytes.get(span).unwrap_or_default()
    }
}

/// How many data records a file of `size` bytes has.
fn records(
    header: &Header,
    size: u64,
    notes: &mut Vec<String>,
    place: &Location,
) -> Result<u64, Error> {
    let body = size.saturating_sub(header.bytes());
    let held = body / header.record_bytes().max(1);
    let records = header.records.unwrap_or(held);
    if records > held {
        return Err(Error::malformed(
            place.clone().byte(RECORDS_AT).field("number of data records"),
            format!("{records} are declared, and the file holds {held}"),
            "it is cut short: fetch it again, or write -1 there to read what is left",
        ));
    }
    let left = body - records * header.record_bytes();
    if left > 0 {
        notes.push(format!("{left} bytes after the last data record are not read"));
    }
    Ok(records)
}

/// Where the number of data records stands.
const RECORDS_AT: u64 = 236;
