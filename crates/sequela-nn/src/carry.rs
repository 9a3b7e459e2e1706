//! States carried from one piece of a sequence to the next: truncated back-propagation.

use crate::error::{Error, order_error};
use crate::program::Rows;
use crate::runner::Runner;
use crate::state::{Carried, NodeState};
use sequela_kernels::recurrent::{Direction, StatePart};
use sequela_kernels::{Buffer, Matrix, stride};

impl Runner {
    /// Makes the final states of the last forward pass the initial ones of the next, for
    /// truncated training: to be called between two pieces. Each sequence has to keep its place
    /// in the batch. The gradient stops there.
    ///
    /// # Errors
    /// [`Error::Order`] where a recurrent node runs in reverse.
    pub fn carry_states(&mut self) -> Result<(), Error> {
        let program = &self.program;
        for (state, node) in self.states.iter_mut().zip(program.nodes()) {
            let NodeState::Batch(state) = state else { continue };
            if node.inputs.len() > 1 || node.rows == Rows::Sequences {
                continue;
            }
            let shape =
                node.op.operation().param().and_then(|p| program.params()[p.index()].recurrent());
            if shape.is_none_or(|shape| shape.direction == Direction::Reverse) {
                return Err(order_error(
                    "carry_states",
                    "a reverse layer has nothing to carry forward",
                ));
            }
            let cell = shape.is_some_and(|shape| shape.has_cell_state());
            let mut carried = state.carried.take();
            let hidden = state.final_state(StatePart::Hidden);
            let to = carried.get_or_insert_with(|| Carried {
                hidden: Buffer::default(),
                cell: Buffer::default(),
                sequences: 0,
                width: hidden.width(),
            });
            to.sequences = hidden.rows();
            copy_into(hidden, &mut to.hidden);
            if cell {
                copy_into(state.final_state(StatePart::Cell), &mut to.cell);
            }
            state.carried = carried;
        }
        Ok(())
    }

    /// The next forward pass starts from zeros.
    pub fn forget_states(&mut self) {
        for state in &mut self.states {
            if let NodeState::Batch(state) = state
                && let Some(carried) = &mut state.carried
            {
                carried.sequences = 0;
            }
        }
    }

    /// Sequence `b` starts from zeros in the next forward pass: another subject takes its place.
    pub fn forget_state(&mut self, b: usize) {
        for state in &mut self.states {
            if let NodeState::Batch(state) = state
                && let Some(carried) = &mut state.carried
            {
                let stride = stride(carried.width);
                for buffer in [&mut carried.hidden, &mut carried.cell] {
                    if let Some(row) = buffer.get_mut(b * stride..(b + 1) * stride) {
                        row.fill(0.0);
                    }
                }
            }
        }
    }
}

fn copy_into(from: Matrix<'_>, to: &mut Buffer) {
    if to.len() < from.data().len() {
        *to = Buffer::new(from.data().len());
    }
    to[..from.data().len()].copy_from_slice(from.data());
}
