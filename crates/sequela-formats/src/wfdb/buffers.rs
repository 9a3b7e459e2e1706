//! Physical values of a record into buffers that are used again, in f32.

use std::io::{Seek as _, SeekFrom};
use std::path::Path;

use sequela_core::{Limits, Location};

use super::codec::Format;
use super::file::{Values, check, within_file};
use super::header::{Header, Signal, read_header};
use super::samples::{Physical, collect};
use super::waveforms::note;
use crate::{Error, bounded};

/// Reads the signals of a record of one segment, in their units, into `values`, and gives the header and what has to
/// be known of it.
///
/// `values` gets one list for each signal; its memory is used again, so that of many records read one after another
/// only the first has to ask the system for pages. Each value is that of
/// [`read_waveforms`](super::read_waveforms), rounded to f32.
///
/// **Missing data** NaN. **Cost** linear in the bytes; format 212 with an even number of signals is unpacked block by block, without the
/// file in memory.
///
/// # Errors
/// As [`read_samples`](super::read_samples).
pub fn read_waveforms_into(
    path: &Path,
    values: &mut Vec<Vec<f32>>,
    limits: &Limits,
) -> Result<(Header, Vec<String>), Error> {
    let header = read_header(path, limits)?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let mut notes = Vec::new();
    let is_straight = |signal: &Signal| {
        let first = header.signals.first().map(|first| (&first.file, first.byte_offset));
        (signal.format, signal.samples_per_frame, signal.skew) == (212, 1, 0)
            && first == Some((&signal.file, signal.byte_offset))
    };
    if header.signals.len().is_multiple_of(2) && header.signals.iter().all(is_straight) {
        let sums = packed_12(&header, (path, folder), values, limits)?;
        for (signal, sum) in header.signals.iter().zip(sums) {
            let other = signal.checksum.is_some_and(|declared| low_bits(declared) != sum);
            notes.extend(note(signal, other.then_some(sum), &header.record));
        }
        return Ok((header, notes));
    }
    let (_, found) = collect::<Narrow>(&header, (path, folder), limits)?;
    for (signal, found) in header.signals.iter().zip(&found) {
        notes.extend(note(signal, found.other_checksum, &header.record));
    }
    *values = found.into_iter().map(|found| found.values).collect();
    Ok((header, notes))
}

#[allow(clippy::cast_possible_truncation, reason = "sums are those of the low 16 bits")]
fn low_bits(sum: i64) -> i16 {
    sum as i16
}

/// Format 212 with an even number of signals: two of them in every three bytes. Gives the sum of each.
fn packed_12(
    header: &Header,
    (path, folder): (&Path, &Path),
    values: &mut Vec<Vec<f32>>,
    limits: &Limits,
) -> Result<Vec<i16>, Error> {
    let signals = &header.signals;
    let (first, format) = check(signals, &Location::file(path))?;
    let path = folder.join(&first.file);
    let place = Location::file(&path);
    let (mut file, size) = bounded::open_sized(&path)?;
    let body = size.saturating_sub(first.byte_offset);
    let half = signals.len() / 2;
    let held = body / 3 / half as u64;
    let frames = within_file(&path, header.samples.unwrap_or(held), (held, 1), limits)?;
    file.seek(SeekFrom::Start(first.byte_offset.min(size)))
        .map_err(|source| Error::reading(&path, source))?;
    values.resize_with(signals.len(), Vec::new);
    for list in &mut *values {
        list.resize(frames, 0.0);
    }
    let tables: Vec<Table> = signals.iter().map(|signal| table(signal, format)).collect();
    let mut sums = vec![0_u32; signals.len()];
    let (mut done, mut bytes) = (0, Vec::new());
    while done < frames {
        let block = (frames - done).min((BLOCK / half).max(1));
        bytes.clear();
        bounded::fill(&mut file, (3 * half * block) as u64, &mut bytes, &place)?;
        let (triples, _) = bytes.as_chunks::<3>();
        if triples.len() < half * block {
            let what = "the file became shorter while it was read";
            return Err(Error::malformed(place, what, "try again"));
        }
        let pairs = values.as_chunks_mut::<2>().0.iter_mut();
        let pairs = pairs.zip(tables.as_chunks::<2>().0).zip(sums.as_chunks_mut::<2>().0);
        for (number, (([a, b], tables), sums)) in pairs.enumerate() {
            let a = a.get_mut(done..done + block).unwrap_or_default();
            let b = b.get_mut(done..done + block).unwrap_or_default();
            let [one, other] = if half == 1 {
                unpack(triples.iter(), tables, a, b)
            } else {
                unpack(triples.iter().skip(number).step_by(half), tables, a, b)
            };
            sums[0] = sums[0].wrapping_add(one);
            sums[1] = sums[1].wrapping_add(other);
        }
        done += block;
    }
    // What was summed is 2048 above each value.
    let above = u32::try_from(frames).unwrap_or(0).wrapping_mul(0x800);
    Ok(sums.into_iter().map(|sum| low_bits(i64::from(sum.wrapping_sub(above)))).collect())
}

/// The physical values of the numbers from -2048 on.
type Table = Box<[f32; 0x1000]>;

fn table(signal: &Signal, format: Format) -> Table {
    let rule = Narrow::new(signal, format);
    let mut table = Box::new([0.0; 0x1000]);
    for (to, number) in table.iter_mut().zip(-0x800..) {
        *to = rule.of(number);
    }
    table
}

/// Two signals out of their triples; the sum of what is 2048 above each number.
#[allow(clippy::indexing_slicing, reason = "12 bits are an index into a table of 4096")]
fn unpack<'a>(
    triples: impl Iterator<Item = &'a [u8; 3]>,
    [table_a, table_b]: &[Table; 2],
    a: &mut [f32],
    b: &mut [f32],
) -> [u32; 2] {
    let mut sums = [0_u32; 2];
    for ((&[low_a, middle, low_b], a), b) in triples.zip(a).zip(b) {
        let one = (u16::from(low_a) | u16::from(middle & 15) << 8) ^ 0x800;
        let other = (u16::from(low_b) | u16::from(middle >> 4) << 8) ^ 0x800;
        *a = table_a[usize::from(one & 0xFFF)];
        *b = table_b[usize::from(other & 0xFFF)];
        sums[0] = sums[0].wrapping_add(u32::from(one));
        sums[1] = sums[1].wrapping_add(u32::from(other));
    }
    sums
}

/// Values in the unit of the signal, in f32.
struct Narrow(Physical);

impl Values for Narrow {
    type Value = f32;

    fn new(signal: &Signal, format: Format) -> Self {
        Self(Physical::new(signal, format))
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "f32 is what is asked for")]
    fn of(&self, value: i32) -> f32 {
        self.0.of(value) as f32
    }
}

/// Triples that are read at once: so many bytes stay in the second cache.
const BLOCK: usize = 1 << 14;
