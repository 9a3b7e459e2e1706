//! What a plan is made for: how large a batch, and what is wanted of it.

use crate::error::{Error, batch_error};
use crate::limits;
use crate::program::{Program, Rows, Value};

/// The largest batch that is planned for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// Most sequences, B.
    pub sequences: usize,
    /// Most packed rows (the sum of all lengths), for each layout of the program.
    pub rows: Vec<usize>,
}

impl Capacity {
    /// The same number of rows in every layout.
    pub fn uniform(program: &Program, sequences: usize, rows: usize) -> Self {
        Self { sequences, rows: vec![rows; program.layouts().len()] }
    }

    pub(crate) fn of(&self, rows: Rows) -> usize {
        match rows {
            Rows::Sequences => self.sequences,
            Rows::Steps(layout) => self.rows.get(layout.index()).copied().unwrap_or(0),
        }
    }

    pub(crate) fn check(&self, program: &Program) -> Result<(), Error> {
        if self.rows.len() != program.layouts().len() {
            let what = format!("{} of {} layouts", self.rows.len(), program.layouts().len());
            return Err(batch_error("capacity", what));
        }
        limits::check("capacity", "the number of sequences", self.sequences, 1 << 30)?;
        for &rows in &self.rows {
            limits::check("capacity", "the number of rows", rows, 1 << 31)?;
        }
        Ok(())
    }
}

/// What a plan keeps beyond the outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// Nothing: inference, and losses without gradients.
    Nothing,
    /// What the gradients of these need.
    Gradients(Vec<Wanted>),
    /// The same gradients, bit for bit, within a budget. Where all that they need is more, only
    /// states are kept, every so many steps, and the way there is walked once more on the way
    /// back, piece by piece from the last.
    ///
    /// A program that only looks backward in time is cut as a whole: beside inputs, outputs,
    /// targets and wanted values, which grow with the number of steps T, memory does not, but for
    /// the states kept. Of any other program the gates of recurrent layers are recomputed, the
    /// values between layers kept. **Cost** at most one more forward pass. **Source** Chen et al.
    /// 2016, arXiv 1604.06174.
    Within {
        /// The most bytes that the runner and one [`Batch`](crate::Batch) may take.
        bytes: u64,
        /// Whose gradients.
        wanted: Vec<Wanted>,
    },
}

/// A gradient that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wanted {
    /// Those of all parameters.
    Parameters,
    /// That of one value, an input's among them. Of a recurrent node it is what arrives at the
    /// output; what comes back from later steps is in [`Wanted::States`].
    Of(Value),
    /// The whole gradient of every state of a recurrent node: `dL/dh_t`, and `dL/dc_t` of an LSTM,
    /// read by [`crate::Runner::state_gradient`]. Not within a budget, where no layer keeps all its
    /// steps.
    States(Value),
}
