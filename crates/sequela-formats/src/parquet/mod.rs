//! Parquet tables: columns in pages, in pieces, in row groups.
//!
//! ```text
//! PAR1 [pages of column 1][pages of column 2] ... [footer] length PAR1
//! footer --Thrift--> schema, row groups --page after page--> batches of cells
//! ```
//!
//! Flat columns are read: truth values, whole numbers, numbers, decimals, texts, instants and
//! dates, plain or by a dictionary, in runs, as differences or split into bytes, packed with
//! snappy, gzip, zstd or not at all. Lists, structures, encrypted files and other codecs are not,
//! and are refused where they are asked for.
//!
//! **Memory** of a row group the packed pages of the columns that are read, and one unpacked page
//! and a dictionary of each, together at most 8 MiB and twice the file; of its cells a few
//! thousand rows at a time. No size that a file declares is believed before it was held against
//! the bytes that are there. **Source** Apache Parquet, `parquet.thrift` and `Encodings.md`.

mod batch;
mod broken;
mod column;
mod delta;
mod footer;
mod hybrid;
mod page;
mod plain;
mod source;
mod thrift;
mod words;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sequela_core::{Limits, Location};

pub(crate) use self::batch::{Batch, Data};
pub(crate) use self::footer::Meaning;
pub(crate) use self::words::Words;
pub(crate) use self::write::{ColumnData, write_table};

use self::broken::Broken;
use self::column::{Budget, ColumnReader};
use self::footer::Footer;
use self::source::Source;
use crate::Error;

/// A Parquet file whose footer was read.
#[derive(Debug)]
pub(crate) struct File {
    source: Source,
    name: PathBuf,
    footer: Footer,
    most: u64,
}

impl File {
    /// Opens a file and reads its footer.
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        Self::of(Source::open(path)?, path, limits)
    }

    /// A file that is in memory.
    pub(crate) fn of_bytes(bytes: &[u8], name: &Path, limits: &Limits) -> Result<Self, Error> {
        Self::of(Source::of_bytes(bytes), name, limits)
    }

    fn of(source: Source, name: &Path, limits: &Limits) -> Result<Self, Error> {
        let place = || Location::file(name);
        let size = source.size();
        if size < 12 {
            return Err(Broken::Cut.at(place()));
        }
        let (head, tail) = (source.read(0, 4, name)?, source.read(size - 8, 8, name)?);
        if !head.starts_with(MAGIC) {
            return Err(Error::malformed(
                place(),
                "this is no Parquet file: it does not begin with PAR1",
                "check what it is, and call it so",
            ));
        }
        if tail.ends_with(b"PARE") {
            let hint = "write it without encryption";
            return Err(Error::unsupported(place(), "the file is encrypted", hint));
        }
        if !tail.ends_with(MAGIC) {
            return Err(Broken::Cut.at(place().byte(size)));
        }
        let length = tail.first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
        if length > size - 12 {
            let what = "the footer says it is longer than the file";
            return Err(Broken::Malformed(what).at(place().byte(size - 8)));
        }
        if length > FOOTER {
            return Err(Broken::Limit("the footer (in bytes)", FOOTER).at(place().byte(size - 8)));
        }
        let start = size - 8 - length;
        let bytes = source.read(start, length, name)?;
        let footer = Footer::parse(&bytes, start, limits)
            .map_err(|broken| broken.at(place().byte(start)))?;
        Ok(Self { source, name: name.to_owned(), footer, most: limits.file_bytes })
    }

    /// The names of the columns; those within lists and structures have their own last name.
    pub(crate) fn names(&self) -> Vec<String> {
        self.footer.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// What the cells of a column are.
    pub(crate) fn meaning(&self, column: usize) -> Meaning {
        let found = self.footer.columns.get(column);
        found.map_or(Meaning::Other("nothing"), |column| column.meaning)
    }

    /// Rows for which memory may be taken before they are read: those that the footer speaks of,
    /// but no more than one for four bytes of the file.
    pub(crate) fn expected_rows(&self) -> usize {
        let rows = self.footer.groups.iter().sum::<u64>().min(self.source.size() / 4);
        usize::try_from(rows).unwrap_or(0)
    }

    /// The cells of some columns, some rows at a time.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a column that holds what is not read.
    pub(crate) fn read(self: &Arc<Self>, wanted: &[usize]) -> Result<Batches, Error> {
        for &at in wanted {
            if let Meaning::Other(what) = self.meaning(at) {
                return Err(Error::unsupported(
                    self.place(at),
                    format!("the column holds {what}, which are not read"),
                    "write it as numbers, text or times",
                ));
            }
        }
        let columns = wanted.iter().filter_map(|&at| self.footer.columns.get(at));
        Ok(Batches {
            file: Arc::clone(self),
            wanted: wanted.to_vec(),
            readers: Vec::new(),
            cells: columns.map(Batch::of).collect(),
            budget: Budget { used: 0, most: 0 },
            group: 0,
            left: 0,
            row: 0,
            rows: 0,
        })
    }

    /// The place of a column.
    pub(crate) fn place(&self, column: usize) -> Location {
        let name = self.footer.columns.get(column).map_or("", |column| column.name.as_str());
        Location::file(&self.name).field(name)
    }
}

/// The cells of some columns, some rows at a time, row group after row group.
#[derive(Debug)]
pub(crate) struct Batches {
    file: Arc<File>,
    wanted: Vec<usize>,
    readers: Vec<ColumnReader>,
    cells: Vec<Batch>,
    budget: Budget,
    /// The next row group, and rows of the present one that are still to come.
    group: usize,
    left: u64,
    /// The first row of the present batch, from 0, and its rows.
    row: u64,
    rows: usize,
}

impl Batches {
    /// Goes on to the next rows and gives how many there are; `None` at the end. They never are
    /// of two row groups.
    pub(crate) fn next_rows(&mut self) -> Result<Option<usize>, Error> {
        self.row += self.rows as u64;
        self.rows = 0;
        while self.left == 0 {
            if !self.next_group()? {
                return Ok(None);
            }
        }
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(ROWS);
        let columns = self.readers.iter_mut().zip(&mut self.cells).zip(&self.wanted);
        for ((reader, batch), &column) in columns {
            reader
                .read(count, batch, &mut self.budget)
                .map_err(|broken| broken.at(self.file.place(column).row(self.row + 1)))?;
        }
        self.left -= count as u64;
        self.rows = count;
        Ok(Some(count))
    }

    /// The cells of one of the columns that were wanted, by its place among them.
    pub(crate) fn column(&self, at: usize) -> Option<&Batch> {
        self.cells.get(at)
    }

    /// The texts that its numbers of words stand for, and how many of them keep their numbers
    /// through the row group.
    pub(crate) fn words(&self, at: usize) -> Option<(&Words, usize)> {
        self.readers.get(at).map(|reader| (reader.words(), reader.lasting_words()))
    }

    /// The row group of the present rows, from 1.
    pub(crate) fn group(&self) -> usize {
        self.group
    }

    /// The row in the file of one of the present rows, both from 0.
    pub(crate) fn row(&self, at: usize) -> u64 {
        self.row + at as u64
    }

    fn next_group(&mut self) -> Result<bool, Error> {
        let footer = &self.file.footer;
        let Some(&rows) = footer.groups.get(self.group) else { return Ok(false) };
        self.readers.clear();
        let packed = self.file.source.size();
        self.budget = Budget { used: 0, most: packed.saturating_mul(2).saturating_add(8 << 20) };
        let first = self.group * footer.columns.len();
        let mut bytes = 0_u64;
        for &at in &self.wanted {
            let found = footer.columns.get(at).zip(footer.chunks.get(first + at));
            let Some((column, chunk)) = found else { continue };
            bytes = bytes.saturating_add(chunk.length);
            if bytes > self.file.most {
                return Err(
                    Broken::Limit("a row group (in bytes)", self.file.most).at(self.file.place(at))
                );
            }
            let packed = self.file.source.read(chunk.start, chunk.length, &self.file.name)?;
            self.readers.push(ColumnReader::new(column, chunk, packed));
        }
        self.group += 1;
        self.left = rows;
        Ok(true)
    }
}

/// Whether bytes begin as a Parquet file does.
pub(crate) fn is_parquet(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

const MAGIC: &[u8] = b"PAR1";
/// Bytes of a footer at most: one of 65,536 columns and four row groups has about as many.
const FOOTER: u64 = 32 << 20;
/// Rows that are read at a time.
const ROWS: usize = 4096;
