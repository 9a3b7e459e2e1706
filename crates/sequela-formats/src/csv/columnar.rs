//! The rows of a Parquet table.

use std::path::Path;
use std::sync::Arc;

use sequela_core::Location;

use super::rows::{Cell, Held, Row, Rows};
use crate::Error;
use crate::parquet::{Batches, Data, File, Meaning};

/// The rows of a Parquet table, one after another.
#[derive(Debug)]
pub(super) struct ColumnRows {
    file: Arc<File>,
    place: Location,
    header: Vec<String>,
    /// Of each column its place among those that are read.
    slots: Vec<Option<usize>>,
    wanted: Vec<usize>,
    batches: Option<Batches>,
    /// The next row of the present batch, and its rows.
    at: usize,
    rows: usize,
}

impl ColumnRows {
    pub(super) fn new(file: File, path: &Path) -> Self {
        let header = file.names();
        Self {
            place: Location::file(path),
            slots: vec![None; header.len()],
            header,
            file: Arc::new(file),
            wanted: Vec::new(),
            batches: None,
            at: 0,
            rows: 0,
        }
    }

    /// A cell of a row of the present batch.
    pub(super) fn cell(&self, column: usize, at: usize) -> Cell<'_> {
        let slot = self.slots.get(column).copied().flatten();
        let Some((slot, batches)) = slot.zip(self.batches.as_ref()) else { return Cell::Missing };
        let Some(batch) = batches.column(slot).filter(|batch| batch.has(at)) else {
            return Cell::Missing;
        };
        match &batch.data {
            Data::Numbers(list) => list.get(at).map_or(Cell::Missing, |n| Cell::Number(*n)),
            Data::Words(list) => {
                let word = list.get(at).zip(batches.words(slot));
                word.map_or(Cell::Missing, |(word, (words, _))| Cell::Text(words.get(*word)))
            }
            Data::Integers(list) => {
                let number = list.get(at);
                number.map_or(Cell::Missing, |n| whole(*n, self.file.meaning(column)))
            }
        }
    }
}

impl Rows for ColumnRows {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn place(&self) -> &Location {
        &self.place
    }

    fn first(&self) -> Location {
        self.place.clone()
    }

    fn select(&mut self, columns: &[usize]) -> Result<(), Error> {
        self.wanted.clear();
        self.slots.fill(None);
        for &column in columns {
            if let Some(slot) = self.slots.get_mut(column)
                && slot.is_none()
            {
                *slot = Some(self.wanted.len());
                self.wanted.push(column);
            }
        }
        self.batches = Some(self.file.read(&self.wanted)?);
        Ok(())
    }

    fn unread(&self, column: usize) -> Option<&'static str> {
        match self.file.meaning(column) {
            Meaning::Other(what) => Some(what),
            _ => None,
        }
    }

    fn next_row(&mut self) -> Result<Option<Row<'_>>, Error> {
        let Some(batches) = &mut self.batches else { return Ok(None) };
        self.at += 1;
        while self.at >= self.rows {
            let Some(rows) = batches.next_rows()? else { return Ok(None) };
            (self.at, self.rows) = (0, rows);
        }
        let number = batches.row(self.at) + 1;
        Ok(Some(Row { cells: Held::Columns(self, self.at), number }))
    }
}

/// What a whole number is in a column.
fn whole(number: i64, meaning: Meaning) -> Cell<'static> {
    match meaning {
        Meaning::Flag => Cell::Flag(number != 0),
        Meaning::Unsigned => Cell::Unsigned(number.cast_unsigned()),
        Meaning::Decimal(scale) => {
            Cell::Number(number as f64 / 10_u64.saturating_pow(u32::from(scale)) as f64)
        }
        Meaning::Instant(second) => Cell::Instant(number, second),
        Meaning::Date => Cell::Instant(number.saturating_mul(86_400), 1),
        _ => Cell::Integer(number),
    }
}
