//! The slow twin of the runner: whole programs in f64, differentiated by a tape.
//!
//! Every operation is computed sequence by sequence with loops from the textbook, every
//! derivative comes from [`sequela_kernels::reference::tape`], and nothing is shared with the
//! fast passes but the program and the batch. It is the oracle of every architecture.

mod loss;
mod run;

pub use run::{Reference, ReferenceTensor, run};

use crate::batch::Batch;
use crate::program::{Param, Program, Rows, Value};
use sequela_kernels::reference::tape::{Tape, Var};

/// A value: row `[b][t]` for every step of every sequence in batch order; one row where there is
/// one for each sequence.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table<'t> {
    pub(crate) rows: Vec<Vec<Vec<Var<'t>>>>,
}

impl<'t> Table<'t> {
    /// Values of a row; 0 where there is no row.
    pub(crate) fn width(&self) -> usize {
        self.rows.iter().flatten().next().map_or(0, Vec::len)
    }

    /// The same rows, each changed.
    pub(crate) fn map_rows(&self, change: impl Fn(&[Var<'t>]) -> Vec<Var<'t>>) -> Self {
        self.map_places(|_, _, row| change(row))
    }

    /// The same rows, each changed, knowing its sequence and step.
    pub(crate) fn map_places(
        &self,
        change: impl Fn(usize, usize, &[Var<'t>]) -> Vec<Var<'t>>,
    ) -> Self {
        let sequence = |(b, sequence): (usize, &Vec<Vec<Var<'t>>>)| {
            sequence.iter().enumerate().map(|(t, row)| change(b, t, row)).collect()
        };
        Self { rows: self.rows.iter().enumerate().map(sequence).collect() }
    }

    /// Rows made of the rows of two values.
    pub(crate) fn zip_rows(
        &self,
        other: &Self,
        make: impl Fn(&[Var<'t>], &[Var<'t>]) -> Vec<Var<'t>>,
    ) -> Self {
        self.map_places(|b, t, row| make(row, &other.rows[b][t]))
    }
}

/// The final states of a recurrent node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Finals<'t> {
    pub(crate) hidden: Vec<Vec<Var<'t>>>,
    pub(crate) cell: Vec<Vec<Var<'t>>>,
}

/// Where a row is: its sequence, and its row in the batch's packed matrices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtRow {
    pub(crate) b: usize,
    pub(crate) row: usize,
}

/// What an operation's reference is handed.
pub(crate) struct ReferenceCall<'a, 't> {
    pub(crate) tape: &'t Tape,
    pub(crate) program: &'a Program,
    pub(crate) node: usize,
    pub(crate) inputs: &'a [Value],
    pub(crate) batch: &'a Batch,
    pub(crate) tables: &'a [Table<'t>],
    /// Tensors of every parameter.
    pub(crate) params: &'a [Vec<Vec<Var<'t>>>],
    pub(crate) finals: &'a mut [Finals<'t>],
}

impl<'a, 't> ReferenceCall<'a, 't> {
    /// The `k`-th input.
    pub(crate) fn input(&self, k: usize) -> &'a Table<'t> {
        &self.tables[self.inputs[k].index()]
    }

    /// The tensors of a parameter.
    pub(crate) fn param(&self, param: Param) -> &'a [Vec<Var<'t>>] {
        &self.params[param.index()]
    }

    /// Values of a row of the output.
    pub(crate) fn width(&self) -> usize {
        self.program.nodes()[self.node].width
    }

    /// A table of the output's rows.
    pub(crate) fn table(&self, make: impl Fn(AtRow) -> Vec<Var<'t>>) -> Table<'t> {
        let rows = self.program.nodes()[self.node].rows;
        let places = places(self.batch, rows);
        let sequence = |(b, rows): (usize, Vec<usize>)| {
            rows.into_iter().map(|row| make(AtRow { b, row })).collect()
        };
        Table { rows: places.into_iter().enumerate().map(sequence).collect() }
    }
}

/// The packed row of every step of every sequence.
fn places(batch: &Batch, rows: Rows) -> Vec<Vec<usize>> {
    match rows {
        Rows::Sequences => (0..batch.sequences()).map(|b| vec![b]).collect(),
        Rows::Steps(layout) => (0..batch.sequences())
            .map(|b| {
                let rank = batch.ranks(layout)[b] as usize;
                let length = batch.layout(layout).lengths()[rank] as usize;
                (0..length).map(|t| batch.row_of(layout, b, t)).collect()
            })
            .collect(),
    }
}
