//! What a recurrent node remembers: its workspace, or its state in a stream.

use sequela_kernels::recurrent::{State, Workspace};
use sequela_kernels::{Buffer, Matrix};

/// The memory of one node; most have none.
#[derive(Debug, Default)]
pub(crate) enum NodeState {
    #[default]
    Nothing,
    /// A recurrent node over whole sequences.
    Batch(Box<BatchState>),
    /// A recurrent node that is stepped.
    Stream(Box<State>),
}

/// The workspace of a recurrent node, and the state that truncated training carries into it.
#[derive(Debug)]
pub(crate) struct BatchState {
    pub(crate) workspace: Workspace,
    pub(crate) carried: Option<Carried>,
}

/// States carried from one piece of a sequence to the next, `(B, H)` in batch order.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) hidden: Buffer,
    /// Empty for cells without one.
    pub(crate) cell: Buffer,
    /// B of the batch that left them; 0 where there are none yet.
    pub(crate) sequences: usize,
    pub(crate) width: usize,
}

impl Carried {
    pub(crate) fn hidden(&self) -> Option<Matrix<'_>> {
        (self.sequences > 0).then(|| Matrix::new(&self.hidden, self.sequences, self.width))
    }

    pub(crate) fn cell(&self) -> Option<Matrix<'_>> {
        (self.sequences > 0 && self.cell.len() > 0)
            .then(|| Matrix::new(&self.cell, self.sequences, self.width))
    }
}
