//! Cells of one column, as many rows at a time as fit a cache.

use super::footer::{Column, Meaning};

/// Cells of one column, one after another; a missing one has a zero.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Which are there; empty where all are.
    pub(crate) present: Vec<bool>,
    pub(crate) data: Data,
}

/// The cells themselves.
#[derive(Debug)]
pub(crate) enum Data {
    /// Whole numbers, truth values, instants, days.
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
    /// Numbers of words, see [`ColumnReader::words`].
    Words(Vec<u32>),
}

impl Batch {
    pub(super) fn of(column: &Column) -> Self {
        let data = match column.meaning {
            Meaning::Number => Data::Numbers(Vec::new()),
            Meaning::Text | Meaning::Other(_) => Data::Words(Vec::new()),
            _ => Data::Integers(Vec::new()),
        };
        Self { present: Vec::new(), data }
    }

    pub(super) fn clear(&mut self) {
        self.present.clear();
        match &mut self.data {
            Data::Integers(list) => list.clear(),
            Data::Numbers(list) => list.clear(),
            Data::Words(list) => list.clear(),
        }
    }

    /// Cells so far.
    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::Integers(list) => list.len(),
            Data::Numbers(list) => list.len(),
            Data::Words(list) => list.len(),
        }
    }

    /// Whether the cell at a row is there.
    pub(crate) fn has(&self, row: usize) -> bool {
        self.present.get(row).copied().unwrap_or(true)
    }
}

/// Appends missing cells.
pub(super) fn absent(count: usize, batch: &mut Batch) {
    let before = batch.len();
    batch.present.resize(before, true);
    batch.present.resize(before + count, false);
    match &mut batch.data {
        Data::Integers(list) => list.resize(before + count, 0),
        Data::Numbers(list) => list.resize(before + count, 0.0),
        Data::Words(list) => list.resize(before + count, 0),
    }
}

/// Puts values where they are present.
pub(super) fn spread<T: Copy + Default>(dense: &[T], present: &[bool], into: &mut Vec<T>) {
    let mut values = dense.iter();
    into.extend(present.iter().map(|there| {
        if *there { values.next().copied().unwrap_or_default() } else { T::default() }
    }));
}
