//! One step at a time with carried state: a bedside stream, or a decoder.

use super::cell::{BlocksAt, CellTiles, ForwardRows, RowsAt, StepForward, Sweep};
use super::elman::Elman;
use super::fade::{Fade, FadeRows};
use super::gru::Gru;
use super::gru_before::{GruBefore, SecondProduct};
use super::half::Half;
use super::lru::Lru;
use super::lstm::Lstm;
use super::min_gru::MinGru;
use super::min_lstm::MinLstm;
use super::shape::{Cell, Direction, RecurrentShape, Reset};
use super::workspace::{Capacity, Keep, record_width};
use crate::buffer::{Buffer, LANES, Matrix, MatrixMut, stride, values};
use crate::context::{Shared, share};
use crate::tile::Left;
use crate::{Context, Error, Isa, Precision};
use std::ops::Range;

/// The state of a layer between two steps, for B sequences.
///
/// # Example
/// ```
/// use sequela_kernels::recurrent::{Cell, Direction, RecurrentShape, State, Weights, step};
/// use sequela_kernels::{Buffer, Context, Matrix, activation::Activation, stride};
/// let cell = Cell::Elman(Activation::Identity);
/// let shape = RecurrentShape { cell, direction: Direction::Forward, inputs: 1, hidden: 1 };
/// let (one, zero) = ([1.0], [0.0]);
/// let plain = Weights { weight_ih: &one, weight_hh: &one, bias_ih: &zero, bias_hh: &zero };
/// let mut weights = vec![0.0; shape.packed_len()];
/// shape.pack(&plain, &mut weights);
/// let mut x = Buffer::new(stride(1));
/// x[0] = 2.0;
/// let mut context = Context::new(1)?;
/// let mut state = State::new(shape, 1);
/// for sum in [2.0, 4.0, 6.0] {
///     step(&mut context, shape, Matrix::new(&x, 1, 1), &weights, &mut state)?;
///     assert_eq!(state.hidden().row(0), [sum]);
/// }
/// # Ok::<(), sequela_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct State {
    shape: RecurrentShape,
    sequences: usize,
    /// h after the last step, and room for the next.
    hidden: [Buffer; 2],
    /// `[block][sequence][16]`.
    cell: Buffer,
    record: Buffer,
    reset: Buffer,
    /// Whether h has faded towards the step that comes.
    faded: bool,
    sweep: Sweep,
    half: Option<Half>,
}

impl State {
    /// The zero state of `sequences` sequences.
    ///
    /// # Panics
    /// If no memory could hold it.
    pub fn new(shape: RecurrentShape, sequences: usize) -> Self {
        let matrix = || Buffer::new(values(sequences, stride(shape.hidden)));
        let cells = values(sequences, shape.blocks() * LANES);
        let two_sweeps = shape.cell.reset() == Some(Reset::BeforeProduct);
        let before = if two_sweeps { sequences } else { 0 };
        Self {
            shape,
            sequences,
            hidden: [matrix(), matrix()],
            cell: Buffer::new(if shape.has_cell_state() { cells } else { 0 }),
            record: Buffer::new(values(before, record_width(&shape))),
            reset: Buffer::new(values(before, stride(shape.hidden))),
            faded: false,
            sweep: Sweep::Up,
            half: None,
        }
    }

    /// The same state, for steps in this precision; see [`Precision`].
    ///
    /// In bf16 weights have to be [rounded](State::round) before the first step.
    ///
    /// # Errors
    /// [`Error::Precision`] where the processor or the cell cannot.
    pub fn with_precision(
        mut self,
        precision: Precision,
        context: &Context,
    ) -> Result<Self, Error> {
        let capacity = Capacity { rows: self.sequences, sequences: self.sequences };
        self.half = match precision {
            Precision::F32 => None,
            Precision::Bf16 => Some(Half::new(self.shape, capacity, Keep::Nothing, context)?),
        };
        Ok(self)
    }

    /// Rounds the weights of all steps to come; nothing to do in f32, or where those of this
    /// version were rounded last.
    ///
    /// # Panics
    /// If `weights` are shorter than the packed weights of the shape.
    pub fn round(&mut self, weights: &[f32], version: u64) {
        if let Some(half) = &mut self.half {
            half.round(weights, version);
        }
    }

    /// Lets h fade before the next step of a [`Cell::GruD`], by `decay`, `(B, H)`: to be called
    /// once before each of its steps.
    ///
    /// # Panics
    /// If shapes disagree, or the cell does not fade.
    pub fn fade(&mut self, context: &Context, decay: Matrix<'_>) {
        let hidden = self.shape.hidden;
        assert!(self.shape.cell.fades(), "the cell does not fade");
        assert_eq!((decay.rows(), decay.width()), (self.sequences, hidden), "decay");
        let row = stride(hidden);
        let to = RowsAt { p: self.hidden[0].as_mut_ptr(), row };
        let fade = Fade {
            decay: RowsAt { p: decay.data().as_ptr(), row },
            from: RowsAt { p: to.p.cast_const(), row },
            to,
            blocks: self.shape.blocks(),
        };
        context.run(FadeRows { fade, rows: 0..self.sequences });
        self.faded = true;
    }

    /// h after the last step, `(B, H)`.
    pub fn hidden(&self) -> Matrix<'_> {
        Matrix::new(&self.hidden[0], self.sequences, self.shape.hidden)
    }

    /// c of sequence `b`, unit `u`.
    ///
    /// # Panics
    /// If there is no such sequence or unit, or the recurrence has no c.
    pub fn cell(&self, b: usize, u: usize) -> f32 {
        self.cell[self.cell_place(b, u)]
    }

    /// Sets h and c, `(B, H)`; c becomes zero where none is given.
    ///
    /// # Panics
    /// If shapes disagree, or `cell` is given for a recurrence without one.
    pub fn set(&mut self, hidden: Matrix<'_>, cell: Option<Matrix<'_>>) {
        let shape = (self.sequences, self.shape.hidden);
        assert_eq!((hidden.rows(), hidden.width()), shape, "hidden state");
        let mut to = MatrixMut::new(&mut self.hidden[0], shape.0, shape.1);
        for b in 0..shape.0 {
            to.row_mut(b).copy_from_slice(hidden.row(b));
        }
        self.cell.fill(0.0);
        if let Some(cell) = cell {
            assert!(self.shape.has_cell_state(), "the recurrence has no cell state");
            assert_eq!((cell.rows(), cell.width()), shape, "cell state");
            for b in 0..shape.0 {
                for (u, &value) in cell.row(b).iter().enumerate() {
                    let at = self.cell_place(b, u);
                    self.cell[at] = value;
                }
            }
        }
    }

    /// Sets the state of sequence `b` to zero.
    ///
    /// # Panics
    /// If there is no sequence `b`.
    pub fn reset(&mut self, b: usize) {
        MatrixMut::new(&mut self.hidden[0], self.sequences, self.shape.hidden).row_mut(b).fill(0.0);
        if self.shape.has_cell_state() {
            for u in 0..self.shape.hidden {
                let at = self.cell_place(b, u);
                self.cell[at] = 0.0;
            }
        }
    }

    fn cell_place(&self, b: usize, u: usize) -> usize {
        assert!(b < self.sequences && u < self.shape.hidden, "no unit {u} of sequence {b}");
        (u / LANES * self.sequences + b) * LANES + u % LANES
    }
}

/// Takes one step of every sequence; the new h is [`State::hidden`].
///
/// In f32 the bits are those of [`super::forward`] over the same steps; in bf16 `weights` are not
/// read, those that were [rounded](State::round) last are. **Shapes** x `(B, F)`. **Cost**
/// B G H (F + H) multiplications; no allocation.
///
/// # Errors
/// [`Error::Panicked`] where a worker broke.
///
/// # Panics
/// If shapes disagree, the layer walks in reverse, or its h should have [faded](State::fade).
pub fn step(
    context: &mut Context,
    shape: RecurrentShape,
    x: Matrix<'_>,
    weights: &[f32],
    state: &mut State,
) -> Result<(), Error> {
    assert_eq!(state.shape, shape, "the state is of another shape");
    assert_eq!(shape.direction, Direction::Forward, "a stream has no end to start from");
    assert_eq!((x.rows(), x.width()), (state.sequences, shape.inputs), "x");
    assert!(weights.len() >= shape.packed_len(), "packed weights");
    let faded = std::mem::replace(&mut state.faded, false);
    assert_eq!(faded, shape.cell.fades(), "h has to fade once before each step");
    let rows = state.sequences;
    let step = step_of(&shape, x, weights, state);
    let work = rows * shape.gates() * shape.hidden * (shape.inputs + shape.hidden);
    let most = state.half.as_ref().map_or(rows, |half| rows.min(half.parts));
    let parts = context.parts_for(work).min(most.max(1));
    let isa = context.isa;
    if parts == 1 {
        run(isa, &shape, &step, 0..rows);
    } else {
        // SAFETY: each part writes its own rows, and reads the state before the step.
        let step = unsafe { Shared::new(step) };
        context.run_parts(parts, &|part| {
            run(isa, &shape, &step.get().of_part(part), share(rows, part, parts));
        })?;
    }
    state.hidden.swap(0, 1);
    state.sweep = state.sweep.turned();
    Ok(())
}

fn step_of(
    shape: &RecurrentShape,
    x: Matrix<'_>,
    weights: &[f32],
    state: &mut State,
) -> StepForward {
    let hidden = stride(shape.hidden);
    let block = state.sequences * LANES;
    let cell = BlocksAt { p: state.cell.as_mut_ptr(), block, row: LANES };
    let before = state.hidden[0].as_ptr();
    let row = record_width(shape) / shape.blocks().max(1);
    StepForward {
        sweep: state.sweep,
        packing: shape.packing(),
        weights: weights.as_ptr(),
        x: Left::plain(x.data().as_ptr(), stride(shape.inputs), shape.inputs),
        previous: Some(Left::plain(before, hidden, shape.hidden)),
        hidden_before: RowsAt { p: before, row: hidden },
        hidden: RowsAt { p: state.hidden[1].as_mut_ptr(), row: hidden },
        cell_before: cell.read(),
        cell,
        record: if shape.cell.reset() == Some(Reset::BeforeProduct) {
            BlocksAt { p: state.record.as_mut_ptr(), block: state.sequences * row, row }
        } else {
            BlocksAt { p: std::ptr::null_mut(), block: 0, row: 0 }
        },
        reset: RowsAt { p: state.reset.as_mut_ptr(), row: hidden },
        half: state.half.as_mut().map(Half::forward),
    }
}

/// One step of some rows, in inference and in training alike.
pub(super) fn run(isa: Isa, shape: &RecurrentShape, step: &StepForward, rows: Range<usize>) {
    if rows.is_empty() {
        return;
    }
    if let Some(half) = &step.half {
        return half.run(step, rows);
    }
    match shape.cell {
        Cell::Elman(activation) => tiles(isa, Elman(activation), step, rows),
        Cell::Lstm => tiles(isa, Lstm, step, rows),
        Cell::Gru(Reset::AfterProduct) | Cell::GruD(Reset::AfterProduct) => {
            tiles(isa, Gru, step, rows);
        }
        Cell::MinGru => tiles(isa, MinGru, step, rows),
        Cell::MinLstm => tiles(isa, MinLstm, step, rows),
        Cell::Lru => tiles(isa, Lru, step, rows),
        Cell::Gru(Reset::BeforeProduct) | Cell::GruD(Reset::BeforeProduct) => {
            tiles(isa, GruBefore, step, rows.clone());
            isa.run(SecondProduct { step, rows });
        }
    }
}

fn tiles<C: CellTiles>(isa: Isa, cell: C, step: &StepForward, rows: Range<usize>) {
    isa.run(ForwardRows { cell, step, rows });
}
