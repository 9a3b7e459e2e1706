//! A long walk cut into pieces, gone back through one piece at a time.
//!
//! Only states at the cuts are kept on the way there. On the way back the pieces are taken from
//! the last to the first: each is walked forward once more by [`super::forward`], then back by
//! [`super::backward_piece`]. One workspace, as large as a piece, serves all of them; what BPTT
//! carries over a cut stays in it and in a [`Seam`].
//!
//! **Determinism** the gradients have the bits of one walk without cuts: every sum goes on where
//! the piece before left it.
//!
//! **Source** Chen, Xu, Zhang and Guestrin 2016, arXiv 1604.06174; Gruslys et al. 2016, arXiv
//! 1606.03401.

use super::shape::{Direction, RecurrentShape};
use super::workspace::{Workspace, record_width};
use crate::buffer::{Buffer, values};
use sequela_core::Layout;

/// Where a piece stands in its walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// There is no other.
    Only,
    /// The first in walking order, the last on the way back.
    First,
    /// Between two others.
    Middle,
    /// The last in walking order, the first on the way back.
    Last,
}

impl Place {
    /// The place of piece `index` of `count`, in walking order.
    pub fn of(index: usize, count: usize) -> Self {
        match (index == 0, index + 1 >= count) {
            (true, true) => Self::Only,
            (true, false) => Self::First,
            (false, true) => Self::Last,
            (false, false) => Self::Middle,
        }
    }

    /// Whether a piece comes before it in walking order.
    pub(super) fn is_preceded(self) -> bool {
        matches!(self, Self::Middle | Self::Last)
    }

    /// Whether a piece comes after it in walking order.
    pub(super) fn is_followed(self) -> bool {
        matches!(self, Self::Middle | Self::First)
    }
}

/// One piece of a walk that is gone back through.
///
/// All pieces of a walk have the same sequences in the same order (see
/// [`Layout::assign_part`]). Every piece but the first is given the final states of the one
/// before as its initial ones, h and for an LSTM c. Gradients of final states are read with the
/// last piece, those of initial states are there after the first. Initial states of a reverse
/// walk cannot be given.
#[derive(Debug)]
pub struct Piece<'a> {
    /// The workspace of all pieces.
    pub workspace: &'a mut Workspace,
    /// The seam of this walk.
    pub seam: &'a mut Seam,
    /// Which piece it is.
    pub place: Place,
}

/// What goes back over a cut beside what the workspace carries: the gate gradients of the step
/// behind it.
#[derive(Debug, Default)]
pub struct Seam {
    record: Buffer,
    rows: usize,
}

impl Seam {
    /// Memory for walks of up to so many sequences.
    ///
    /// # Panics
    /// If no memory could hold it.
    pub fn new(shape: RecurrentShape, sequences: usize) -> Self {
        Self { record: Buffer::new(values(sequences, record_width(&shape))), rows: 0 }
    }

    /// Bytes that [`Seam::new`] takes.
    ///
    /// # Panics
    /// If no memory could hold it.
    pub fn bytes_for(shape: RecurrentShape, sequences: usize) -> usize {
        4 * values(sequences, record_width(&shape))
    }

    /// Bytes of its buffer.
    pub fn bytes(&self) -> usize {
        4 * self.record.len()
    }

    pub(super) fn check(&self, shape: &RecurrentShape, sequences: usize, place: Place) {
        let needed = values(sequences, record_width(shape));
        assert!(place == Place::Only || self.record.len() >= needed, "the seam is too small");
    }

    /// The records of the step behind the cut, and how many rows they are.
    pub(super) fn records(&self) -> (*const f32, usize) {
        (self.record.as_ptr(), self.rows)
    }

    /// Keeps the records of the first step in walking order.
    pub(super) fn keep(&mut self, layout: &Layout, shape: &RecurrentShape, record: &[f32]) {
        let t = match shape.direction {
            Direction::Forward => 0,
            Direction::Reverse => layout.steps().saturating_sub(1),
        };
        self.rows = layout.active(t);
        let (from, length) = (values(layout.offset(t), record_width(shape)), record_width(shape));
        let length = values(self.rows, length);
        self.record[..length].copy_from_slice(&record[from..from + length]);
    }
}
