//! States carried from one piece of a sequence to the next: truncated back-propagation.

use crate::error::{Error, batch_error, order_error};
use crate::operations::first_state;
use crate::program::{Node, Program, Rows};
use crate::runner::Runner;
use crate::state::{BatchState, Carried, NodeState};
use sequela_kernels::recurrent::{Direction, RecurrentShape, StatePart};
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
            let Some((state, shape)) = carrying(program, node, state) else { continue };
            if shape.direction == Direction::Reverse {
                return Err(order_error(
                    "carry_states",
                    "a reverse layer has nothing to carry forward",
                ));
            }
            let mut taken = state.carried.take();
            let hidden = state.final_state(StatePart::Hidden);
            let carried = taken.get_or_insert_with(|| nothing_yet(shape));
            carried.sequences = hidden.rows();
            copy_into(hidden, &mut carried.hidden);
            if shape.has_cell_state() {
                copy_into(state.final_state(StatePart::Cell), &mut carried.cell);
            }
            state.carried = taken;
        }
        Ok(())
    }

    /// Numbers that one sequence carries from a piece to the next: h, and c where there is one,
    /// of every recurrent node over steps.
    pub fn state_width(&mut self) -> usize {
        let program = &self.program;
        let nodes = self.states.iter_mut().zip(program.nodes());
        nodes
            .filter_map(|(state, node)| carrying(program, node, state))
            .map(|(_, shape)| shape.hidden * (1 + usize::from(shape.has_cell_state())))
            .sum()
    }

    /// The next forward pass is of `sequences` sequences that start from zeros, or from what
    /// [`Runner::write_state`] says.
    ///
    /// **Cost** no allocation once there was a pass of as many sequences.
    pub fn start_states(&mut self, sequences: usize) {
        let program = &self.program;
        for (state, node) in self.states.iter_mut().zip(program.nodes()) {
            let Some((state, shape)) = carrying(program, node, state) else { continue };
            let carried = state.carried.get_or_insert_with(|| nothing_yet(shape));
            let length = sequences * stride(shape.hidden);
            carried.sequences = sequences;
            start(&mut carried.hidden, length);
            if shape.has_cell_state() {
                start(&mut carried.cell, length);
            }
        }
    }

    /// Writes what sequence `b` starts from: [`Runner::state_width`] numbers, node by node, h
    /// before c, as [`Runner::read_state`] gives them.
    ///
    /// # Errors
    /// [`Error::Order`] where [`Runner::start_states`] made no room for it; [`Error::Batch`] for
    /// another number of numbers.
    pub fn write_state(&mut self, b: usize, values: &[f32]) -> Result<(), Error> {
        let mut rest = values;
        self.each_state(b, "write_state", |row| {
            let (now, after) = rest.split_at_checked(row.len())?;
            row.copy_from_slice(now);
            rest = after;
            Some(())
        })?;
        if rest.is_empty() { Ok(()) } else { Err(wrong_width()) }
    }

    /// Reads what sequence `b` carries, after [`Runner::carry_states`].
    ///
    /// # Errors
    /// As [`Runner::write_state`].
    pub fn read_state(&mut self, b: usize, values: &mut [f32]) -> Result<(), Error> {
        let mut at = 0;
        self.each_state(b, "read_state", |row| {
            values.get_mut(at..at + row.len())?.copy_from_slice(row);
            at += row.len();
            Some(())
        })?;
        if at == values.len() { Ok(()) } else { Err(wrong_width()) }
    }

    /// Calls `visit` with every row that sequence `b` carries.
    fn each_state(
        &mut self,
        b: usize,
        call: &'static str,
        mut visit: impl FnMut(&mut [f32]) -> Option<()>,
    ) -> Result<(), Error> {
        let program = &self.program;
        for (state, node) in self.states.iter_mut().zip(program.nodes()) {
            let Some((state, shape)) = carrying(program, node, state) else { continue };
            let stride = stride(shape.hidden);
            let carried = state.carried.as_mut().filter(|carried| b < carried.sequences);
            let carried = carried.ok_or_else(|| order_error(call, "no state is carried there"))?;
            let parts = [&mut carried.hidden, &mut carried.cell];
            for buffer in parts.into_iter().take(1 + usize::from(shape.has_cell_state())) {
                let row = buffer.get_mut(b * stride..b * stride + shape.hidden);
                row.and_then(&mut visit).ok_or_else(wrong_width)?;
            }
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

/// The state of a recurrent node over steps that starts from zeros, not from given states.
fn carrying<'a>(
    program: &Program,
    node: &Node,
    state: &'a mut NodeState,
) -> Option<(&'a mut BatchState, RecurrentShape)> {
    let NodeState::Batch(state) = state else { return None };
    let param = node.op.operation().param()?;
    let shape = program.params()[param.index()].recurrent()?;
    if node.inputs.len() > first_state(shape.cell) || node.rows == Rows::Sequences {
        return None;
    }
    Some((&mut **state, shape))
}

fn nothing_yet(shape: RecurrentShape) -> Carried {
    let (hidden, cell) = (Buffer::default(), Buffer::default());
    Carried { hidden, cell, sequences: 0, width: shape.hidden }
}

/// Makes `length` zeros at the beginning of a buffer.
fn start(buffer: &mut Buffer, length: usize) {
    if buffer.len() < length {
        *buffer = Buffer::new(length);
    } else {
        buffer[..length].fill(0.0);
    }
}

fn wrong_width() -> Error {
    batch_error("state", "it has another number of values than the program carries")
}

fn copy_into(from: Matrix<'_>, to: &mut Buffer) {
    if to.len() < from.data().len() {
        *to = Buffer::new(from.data().len());
    }
    to[..from.data().len()].copy_from_slice(from.data());
}
