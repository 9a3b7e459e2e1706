//! The cells of one column in one row group, some at a time.

use super::batch::{Batch, Data, absent, spread};
use super::broken::Broken;
use super::delta::Delta;
use super::footer::{Chunk, Codec, Column, Meaning, Physical};
use super::hybrid::{Hybrid, unpack};
use super::page::{
    DELTA_BINARY, DELTA_BYTES, DELTA_LENGTHS, Header, PLAIN, PLAIN_DICTIONARY, PageKind, RLE,
    RLE_DICTIONARY, SPLIT, Unpacker,
};
use super::plain::{TYPE, narrowed, plain_numbers, prefixed, width};
use super::words::Words;

/// Bytes of unpacked pages that the columns of a row group may hold together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) used: u64,
    pub(super) most: u64,
}

impl Budget {
    fn swap(&mut self, held: &mut u64, wanted: usize) -> Result<(), Broken> {
        self.used = self.used - *held + wanted as u64;
        *held = wanted as u64;
        if self.used > self.most {
            return Err(Broken::Unsupported(
                "its pages unpack to more than 8 MiB and twice the file",
                "write it with smaller pages, or read fewer columns at once",
            ));
        }
        Ok(())
    }
}

/// Reads the cells of one column in one row group.
#[derive(Debug)]
pub(super) struct ColumnReader {
    physical: Physical,
    is_unsigned: bool,
    is_optional: bool,
    codec: Codec,
    /// The pages as they are in the file, and where the next one begins.
    packed: Vec<u8>,
    at: usize,
    /// The present page, unpacked, and how many of its cells are still to come.
    page: Vec<u8>,
    cells: u64,
    levels: Option<Hybrid>,
    body: Body,
    dictionary: Data,
    words: Words,
    /// Of the words those that are the dictionary's.
    dictionary_words: usize,
    held_page: u64,
    held_dictionary: u64,
    unpacker: Unpacker,
    numbers: Vec<u32>,
    dense: Batch,
}

/// Where the values of a page are.
#[derive(Debug)]
enum Body {
    Plain(usize),
    Dictionary(Hybrid),
    /// Truth values in runs.
    Runs(Hybrid),
    /// The first bytes of all values, then their second ones ...: start, next value, values.
    Split(usize, usize, usize),
    Delta(Delta),
    /// Lengths, and where the next text begins.
    Lengths(Delta, usize),
    /// Bytes shared with the last text, lengths of the rest, where the next rest begins.
    Shared(Delta, Delta, usize, Vec<u8>),
}

impl ColumnReader {
    pub(super) fn new(column: &Column, chunk: &Chunk, packed: Vec<u8>) -> Self {
        Self {
            physical: column.physical,
            is_unsigned: column.meaning == Meaning::Unsigned,
            is_optional: column.optional,
            codec: chunk.codec,
            packed,
            at: 0,
            page: Vec::new(),
            cells: 0,
            levels: None,
            body: Body::Plain(0),
            dictionary: Batch::of(column).data,
            words: Words::default(),
            dictionary_words: 0,
            held_page: 0,
            held_dictionary: 0,
            unpacker: Unpacker::default(),
            numbers: Vec::new(),
            dense: Batch::of(column),
        }
    }

    /// The words that the numbers of the last batch stand for.
    pub(super) fn words(&self) -> &Words {
        &self.words
    }

    /// Words that keep their numbers from batch to batch of this row group.
    pub(super) fn lasting_words(&self) -> usize {
        self.dictionary_words
    }

    /// Fills `batch` with the next `count` cells.
    pub(super) fn read(
        &mut self,
        count: usize,
        batch: &mut Batch,
        budget: &mut Budget,
    ) -> Result<(), Broken> {
        batch.clear();
        self.words.truncate(self.dictionary_words);
        let mut left = count;
        while left > 0 {
            if self.cells == 0 {
                self.next_page(budget)?;
                continue;
            }
            let taken = left.min(usize::try_from(self.cells).unwrap_or(usize::MAX));
            self.read_cells(taken, batch)?;
            self.cells -= taken as u64;
            left -= taken;
        }
        Ok(())
    }

    /// Reads the next `count` cells, which are in the present page.
    fn read_cells(&mut self, mut count: usize, batch: &mut Batch) -> Result<(), Broken> {
        while count > 0 {
            let Some(mut levels) = self.levels else { return self.whole(count, batch) };
            let Some((level, same)) = levels.same(&self.page, count as u64)? else {
                return self.read_mixed(count, batch);
            };
            let same = usize::try_from(same).unwrap_or(count);
            self.levels = Some(levels);
            if level == 1 {
                self.whole(same, batch)?;
            } else {
                absent(same, batch);
            }
            count -= same;
        }
        Ok(())
    }

    /// Cells some of which are missing.
    fn read_mixed(&mut self, count: usize, batch: &mut Batch) -> Result<(), Broken> {
        let Some(levels) = &mut self.levels else { return self.whole(count, batch) };
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.clear();
        levels.read(&self.page, count, &mut numbers)?;
        let there = numbers.iter().filter(|level| **level == 1).count();
        let before = batch.len();
        batch.present.resize(before, true);
        batch.present.extend(numbers.iter().map(|level| *level == 1));
        self.numbers = numbers;
        let mut dense = std::mem::replace(
            &mut self.dense,
            Batch { present: Vec::new(), data: Data::Integers(Vec::new()) },
        );
        dense.clear();
        let read = self.values(there, &mut dense.data);
        let present = batch.present.get(before..).unwrap_or_default();
        match (&dense.data, &mut batch.data) {
            (Data::Integers(from), Data::Integers(to)) => spread(from, present, to),
            (Data::Numbers(from), Data::Numbers(to)) => spread(from, present, to),
            (Data::Words(from), Data::Words(to)) => spread(from, present, to),
            _ => {}
        }
        self.dense = dense;
        read
    }

    /// Cells none of which is missing.
    fn whole(&mut self, count: usize, batch: &mut Batch) -> Result<(), Broken> {
        if !batch.present.is_empty() {
            batch.present.resize(batch.len() + count, true);
        }
        self.values(count, &mut batch.data)
    }

    /// Appends the next `count` values.
    fn values(&mut self, count: usize, into: &mut Data) -> Result<(), Broken> {
        if let Body::Plain(at) = self.body {
            self.body = Body::Plain(self.plain(at, count, into)?);
            return Ok(());
        }
        match (&mut self.body, into) {
            (Body::Dictionary(hybrid), into) => {
                let mut numbers = std::mem::take(&mut self.numbers);
                numbers.clear();
                let read = hybrid.read(&self.page, count, &mut numbers);
                let looked = read.and_then(|()| self.look_up(&numbers, into));
                self.numbers = numbers;
                looked
            }
            (Body::Runs(hybrid), Data::Integers(into)) => {
                self.numbers.clear();
                hybrid.read(&self.page, count, &mut self.numbers)?;
                into.extend(self.numbers.iter().map(|value| i64::from(*value)));
                Ok(())
            }
            (Body::Split(start, next, total), into) => {
                let (start, from, total) = (*start, *next, *total);
                if count > total - from {
                    return Err(Broken::Cut);
                }
                *next += count;
                self.split(start, from..from + count, total, into);
                Ok(())
            }
            (Body::Delta(delta), Data::Integers(into)) => {
                let narrow = self.physical == Physical::Int32;
                for _ in 0..count {
                    let value = delta.next(&self.page)?;
                    into.push(if narrow { narrowed(value, self.is_unsigned) } else { value });
                }
                Ok(())
            }
            (Body::Lengths(lengths, at), Data::Words(into)) => {
                for _ in 0..count {
                    let end = length(lengths, &self.page)?.checked_add(*at).ok_or(Broken::Cut)?;
                    let word = self.page.get(*at..end).ok_or(Broken::Cut)?;
                    *at = end;
                    into.push(self.words.push(word)?);
                }
                Ok(())
            }
            (Body::Shared(shared, lengths, at, last), Data::Words(into)) => {
                for _ in 0..count {
                    let kept = length(shared, &self.page)?;
                    if kept > last.len() {
                        return Err(Broken::Malformed("a text shares more than there is"));
                    }
                    let end = length(lengths, &self.page)?.checked_add(*at).ok_or(Broken::Cut)?;
                    let rest = self.page.get(*at..end).ok_or(Broken::Cut)?;
                    *at = end;
                    last.truncate(kept);
                    last.extend_from_slice(rest);
                    // What is shared is written once and read any number of times.
                    if self.words.bytes() + last.len() > self.page.len() + SHARED {
                        return Err(TEXTS);
                    }
                    into.push(self.words.push(last)?);
                }
                Ok(())
            }
            _ => Err(Broken::Malformed("an encoding does not go with the type of its column")),
        }
    }

    /// Appends values that are stored as they are and gives where they end.
    fn plain(&mut self, start: usize, count: usize, into: &mut Data) -> Result<usize, Broken> {
        let width = match self.physical {
            Physical::Boolean => {
                // `start` counts bits here.
                let Data::Integers(into) = into else { return Err(TYPE) };
                self.numbers.clear();
                unpack(&self.page, (start as u64, 1), count, &mut self.numbers)?;
                into.extend(self.numbers.iter().map(|value| i64::from(*value)));
                return Ok(start + count);
            }
            Physical::Bytes => {
                let Data::Words(into) = into else { return Err(TYPE) };
                let mut at = start;
                for _ in 0..count {
                    let (word, end) = prefixed(&self.page, at)?;
                    at = end;
                    into.push(self.words.push(word)?);
                }
                return Ok(at);
            }
            physical => width(physical)?,
        };
        let end = count.checked_mul(width).and_then(|bytes| start.checked_add(bytes));
        let end = end.ok_or(Broken::Cut)?;
        let bytes = self.page.get(start..end).ok_or(Broken::Cut)?;
        plain_numbers(self.physical, self.is_unsigned, bytes, into)?;
        Ok(end)
    }

    /// Appends values whose bytes lie apart.
    fn split(&self, start: usize, values: std::ops::Range<usize>, total: usize, into: &mut Data) {
        let body = self.page.get(start..).unwrap_or_default();
        let word = |value: usize, width: usize| {
            (0..width).rev().fold(0_u64, |word, byte| {
                (word << 8) | u64::from(body.get(byte * total + value).copied().unwrap_or(0))
            })
        };
        #[allow(clippy::cast_possible_truncation, reason = "four bytes were read")]
        let narrow = |word: u64| word as u32;
        match (self.physical, into) {
            (Physical::Float, Data::Numbers(into)) => {
                into.extend(values.map(|at| f64::from(f32::from_bits(narrow(word(at, 4))))));
            }
            (Physical::Double, Data::Numbers(into)) => {
                into.extend(values.map(|at| f64::from_bits(word(at, 8))));
            }
            (Physical::Int32, Data::Integers(into)) => {
                let unsigned = self.is_unsigned;
                into.extend(values.map(|at| narrowed(word(at, 4).cast_signed(), unsigned)));
            }
            (_, Data::Integers(into)) => {
                into.extend(values.map(|at| word(at, 8).cast_signed()));
            }
            _ => {}
        }
    }

    /// Appends the values of the dictionary that the numbers stand for.
    fn look_up(&self, numbers: &[u32], into: &mut Data) -> Result<(), Broken> {
        let known = match &self.dictionary {
            Data::Integers(list) => list.len(),
            Data::Numbers(list) => list.len(),
            Data::Words(_) => self.dictionary_words,
        };
        if numbers.iter().any(|number| *number as usize >= known) {
            return Err(Broken::Malformed("a cell points outside its dictionary"));
        }
        let at = |number: &u32| *number as usize;
        match (&self.dictionary, into) {
            (Data::Integers(list), Data::Integers(into)) => {
                into.extend(numbers.iter().map(|n| list.get(at(n)).copied().unwrap_or(0)));
            }
            (Data::Numbers(list), Data::Numbers(into)) => {
                into.extend(numbers.iter().map(|n| list.get(at(n)).copied().unwrap_or(0.0)));
            }
            (Data::Words(_), Data::Words(into)) => into.extend_from_slice(numbers),
            _ => return Err(TYPE),
        }
        Ok(())
    }

    /// Unpacks the next page that has cells.
    fn next_page(&mut self, budget: &mut Budget) -> Result<(), Broken> {
        while self.cells == 0 {
            let rest = self.packed.get(self.at..).filter(|rest| !rest.is_empty());
            let rest = rest.ok_or(Broken::Malformed("a column has fewer cells than rows"))?;
            let (header, length) = Header::parse(rest)?;
            let start = self.at + length;
            let end = start.checked_add(header.packed).ok_or(Broken::Cut)?;
            let packed = self.packed.get(start..end).ok_or(Broken::Cut)?;
            header.check(packed)?;
            self.at = end;
            if header.kind == PageKind::Other {
                continue;
            }
            budget.swap(&mut self.held_page, header.unpacked)?;
            self.page.clear();
            let levels = packed.get(..header.levels).unwrap_or_default();
            let cells = packed.get(header.levels..).unwrap_or_default();
            self.page.extend_from_slice(levels);
            let codec = if header.is_packed { self.codec } else { Codec::None };
            let unpacked = header.unpacked - header.levels;
            self.unpacker.unpack(codec, cells, unpacked, &mut self.page)?;
            if header.kind == PageKind::Dictionary {
                self.take_dictionary(&header, budget)?;
            } else {
                self.open(&header)?;
            }
        }
        Ok(())
    }

    /// Finds levels and values in a page that was unpacked.
    fn open(&mut self, header: &Header) -> Result<(), Broken> {
        let end = self.page.len();
        let mut at = 0;
        self.levels = None;
        if header.kind == PageKind::DataV2 {
            at = header.levels;
            if self.is_optional {
                self.levels = Some(Hybrid::new(0, at, 1)?);
            }
        } else if self.is_optional {
            at = prefixed(&self.page, 0)?.1;
            self.levels = Some(Hybrid::new(4, at, 1)?);
        }
        self.cells = header.cells;
        self.body = match header.encoding {
            PLAIN if self.physical == Physical::Boolean => Body::Plain(at * 8),
            PLAIN => Body::Plain(at),
            PLAIN_DICTIONARY | RLE_DICTIONARY => {
                // A page of missing cells has no values and perhaps not even their width.
                let width = self.page.get(at).copied().map_or(0, u32::from);
                Body::Dictionary(Hybrid::new((at + 1).min(end), end, width)?)
            }
            RLE if self.physical == Physical::Boolean => {
                let (_, behind) = prefixed(&self.page, at)?;
                Body::Runs(Hybrid::new(at + 4, behind, 1)?)
            }
            SPLIT => Body::Split(at, 0, (end - at) / width(self.physical)?),
            DELTA_BINARY if matches!(self.physical, Physical::Int32 | Physical::Int64) => {
                Body::Delta(Delta::new(&self.page, at, end, header.cells)?)
            }
            DELTA_LENGTHS if self.physical == Physical::Bytes => {
                let lengths = Delta::new(&self.page, at, end, header.cells)?;
                Body::Lengths(lengths, lengths.behind(&self.page)?)
            }
            DELTA_BYTES if self.physical == Physical::Bytes => {
                let shared = Delta::new(&self.page, at, end, header.cells)?;
                let from = shared.behind(&self.page)?;
                let lengths = Delta::new(&self.page, from, end, header.cells)?;
                Body::Shared(shared, lengths, lengths.behind(&self.page)?, Vec::new())
            }
            _ => {
                return Err(Broken::Unsupported(
                    "a column has an encoding that is not read here",
                    "write the file with another program, or with its usual encodings",
                ));
            }
        };
        Ok(())
    }

    /// Takes the page that was unpacked for the dictionary.
    fn take_dictionary(&mut self, header: &Header, budget: &mut Budget) -> Result<(), Broken> {
        if !matches!(header.encoding, PLAIN | PLAIN_DICTIONARY) {
            return Err(Broken::Malformed("a dictionary has an encoding that none has"));
        }
        budget.swap(&mut self.held_dictionary, 2 * self.page.len())?;
        let least = if self.physical == Physical::Bytes { 4 } else { width(self.physical)? };
        let most = self.page.len() / least;
        let count = usize::try_from(header.cells).unwrap_or(usize::MAX);
        if count > most {
            return Err(Broken::Malformed("a dictionary has more entries than bytes for them"));
        }
        if self.dictionary_words > 0 {
            return Err(Broken::Malformed("a column has two dictionaries"));
        }
        self.words.truncate(0);
        let mut dictionary = std::mem::replace(&mut self.dictionary, Data::Integers(Vec::new()));
        let read = self.plain(0, count, &mut dictionary);
        if let Data::Words(list) = &mut dictionary {
            self.dictionary_words = list.len();
            list.clear();
        }
        self.dictionary = dictionary;
        read.map(drop)
    }
}

fn length(lengths: &mut Delta, page: &[u8]) -> Result<usize, Broken> {
    usize::try_from(lengths.next(page)?).map_err(|_| Broken::Malformed("a length is negative"))
}

/// Bytes of the texts of a batch that share their beginnings at most, beside those of their page.
const SHARED: usize = 4 << 20;
const TEXTS: Broken = Broken::Unsupported(
    "the texts of a few thousand rows are over 4 MiB, most of which they share",
    "write the column with a dictionary",
);
