//! The way forward: all steps of a batch.

use super::cell::{BlocksAt, RowsAt, StepForward, Sweep};
use super::fade::{Fade, FadeRows};
use super::half::{Half, HalfForward};
use super::shape::{Cell, Direction, RecurrentShape, Reset};
use super::stream;
use super::workspace::{Keep, Walked, Workspace, gather_blocks, gather_rows, record_width};
use crate::buffer::{LANES, Matrix, MatrixMut, stride};
use crate::context::Shared;
use crate::panel::Packing;
use crate::tile::Left;
use crate::{Context, Error, Isa};
use sequela_core::Layout;
use std::ops::Range;

/// Initial states, `(B, H)` in batch order; `None` is zero.
#[derive(Debug, Clone, Copy, Default)]
pub struct Initial<'a> {
    /// h before the first step.
    pub hidden: Option<Matrix<'a>>,
    /// c before the first step.
    pub cell: Option<Matrix<'a>>,
}

/// What a layer is given.
#[derive(Debug, Clone, Copy)]
pub struct Forward<'a> {
    /// Which row is which step of which sequence.
    pub layout: &'a Layout,
    /// `(rows, F)`, packed.
    pub x: Matrix<'a>,
    /// States before the first step in walking order.
    pub initial: Initial<'a>,
    /// What h of the step before is multiplied by, `(rows, H)`: for [`Cell::GruD`], and for no
    /// other. At the first step it is the initial state that fades.
    pub decay: Option<Matrix<'a>>,
    /// Packed weights.
    pub weights: &'a [f32],
}

impl Forward<'_> {
    /// Whether U meets anything but zeros: there is a second step, or an h before the first.
    ///
    /// Where there is none, the gradient of U is zero, and backward reads no transpose of it.
    pub fn recurs(&self) -> bool {
        self.layout.steps() > 1 || self.initial.hidden.is_some()
    }
}

/// Runs a layer over a batch and writes h of every step to `y`, `(rows, H)`.
///
/// **Missing data** none: rows are packed, so there is no padding. **Determinism** bitwise, see
/// the module page. **Cost** rows G H (F + H) multiplications, no allocation.
///
/// # Errors
/// [`Error::Panicked`] where a worker broke.
///
/// # Panics
/// If shapes disagree with each other or with the workspace.
pub fn forward(
    context: &mut Context,
    shape: RecurrentShape,
    call: Forward<'_>,
    workspace: &mut Workspace,
    mut y: MatrixMut<'_>,
) -> Result<(), Error> {
    let layout = call.layout;
    workspace.check(&shape, layout);
    check_call(&shape, &call);
    assert_eq!((y.rows(), y.width()), (layout.rows(), shape.hidden), "y");
    workspace.sequences = layout.sequences();
    workspace.walked = None;
    let (order, h) = (layout.order(), shape.hidden);
    gather_rows(order, call.initial.hidden, &mut workspace.initial_hidden, stride(h));
    if shape.has_cell_state() {
        gather_blocks(order, call.initial.cell, &mut workspace.initial_cell, h);
        if workspace.keep == Keep::Nothing {
            let states = shape.blocks() * order.len() * LANES;
            let Workspace { cells, initial_cell, .. } = workspace;
            cells[..states].copy_from_slice(&initial_cell[..states]);
        }
    }
    let pass = Pass::new(shape, &call, workspace, y.data_mut());
    let work = layout.rows() * shape.gates() * h * (shape.inputs + h);
    let most = workspace.half.as_ref().map_or(order.len(), |half| order.len().min(half.parts));
    let parts = context.parts_for(work).min(most.max(1));
    // SAFETY: each part writes, and reads of what is written, the rows of its own ranks.
    let (isa, pass) = (context.isa, unsafe { Shared::new(pass) });
    context.run_parts(parts, &|part| {
        let rows = rows_of_part(layout, part, parts);
        // SAFETY: the pointers come from the borrows of this function, which checked their
        // extents; parts own disjoint rows.
        unsafe { pass.get().of_part(part).run(isa, layout, rows) }
    })?;
    keep_final_states(layout, shape, workspace, y.view());
    if workspace.keep == Keep::Backward {
        let values = order.len() * stride(h);
        for gradient in &mut workspace.final_gradients {
            let values = values.min(gradient.len());
            gradient[..values].fill(0.0);
        }
        workspace.walked = Some(Walked::new(layout, &call.initial));
    }
    Ok(())
}

pub(super) fn check_call(shape: &RecurrentShape, call: &Forward<'_>) {
    let layout = call.layout;
    assert_eq!((call.x.rows(), call.x.width()), (layout.rows(), shape.inputs), "x");
    assert!(call.weights.len() >= shape.packed_len(), "packed weights");
    let states = (layout.sequences(), shape.hidden);
    for state in [call.initial.hidden, call.initial.cell].into_iter().flatten() {
        assert_eq!((state.rows(), state.width()), states, "initial state");
    }
    assert_eq!(call.decay.is_some(), shape.cell.fades(), "decay");
    if let Some(decay) = call.decay {
        assert_eq!((decay.rows(), decay.width()), (layout.rows(), shape.hidden), "decay");
    }
    let cell = call.initial.cell.is_none() || shape.has_cell_state();
    assert!(cell, "the recurrence has no cell state");
}

/// The step before `t` in walking order, and how many of its rows go on into `t`.
pub(super) fn before(layout: &Layout, direction: Direction, t: usize) -> Option<(usize, usize)> {
    match direction {
        Direction::Forward => t.checked_sub(1).map(|before| (before, layout.active(t))),
        Direction::Reverse => {
            let rows = layout.active(t + 1);
            (rows > 0).then_some((t + 1, rows))
        }
    }
}

/// Ranks of one thread: contiguous, with nearly equal numbers of steps.
pub(super) fn rows_of_part(layout: &Layout, part: usize, parts: usize) -> Range<usize> {
    let cut = |part: usize| {
        let target = layout.rows() * part / parts;
        let mut steps = 0;
        let cut = layout.lengths().iter().position(|&length| {
            steps += length as usize;
            steps > target
        });
        cut.filter(|_| part < parts).unwrap_or(layout.sequences())
    };
    if part == 0 { 0..cut(1) } else { cut(part)..cut(part + 1) }
}

/// The pointers of one forward pass.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    shape: RecurrentShape,
    packing: Packing,
    keep: Keep,
    given: bool,
    sequences: usize,
    x: *const f32,
    weights: *const f32,
    y: *mut f32,
    record: *mut f32,
    reset: *mut f32,
    /// Decays, and h after them, if it fades.
    fading: Option<(*const f32, *mut f32)>,
    cells: *mut f32,
    initial_hidden: *const f32,
    initial_cell: *const f32,
    half: Option<HalfForward>,
}

impl Pass {
    /// The same for one part of the ranks.
    fn of_part(self, part: usize) -> Self {
        Self { half: self.half.map(|half| half.of_part(part)), ..self }
    }

    fn new(
        shape: RecurrentShape,
        call: &Forward<'_>,
        workspace: &mut Workspace,
        y: &mut [f32],
    ) -> Self {
        Self {
            shape,
            packing: shape.packing(),
            keep: workspace.keep,
            given: call.initial.hidden.is_some(),
            sequences: call.layout.sequences(),
            x: call.x.data().as_ptr(),
            weights: call.weights.as_ptr(),
            y: y.as_mut_ptr(),
            record: workspace.record.as_mut_ptr(),
            reset: workspace.reset.as_mut_ptr(),
            fading: call.decay.map(|decay| (decay.data().as_ptr(), workspace.faded.as_mut_ptr())),
            cells: workspace.cells.as_mut_ptr(),
            initial_hidden: workspace.initial_hidden.as_ptr(),
            initial_cell: workspace.initial_cell.as_ptr(),
            half: workspace.half.as_mut().map(Half::forward),
        }
    }

    /// All steps of the ranks `rows`.
    ///
    /// # Safety
    /// The pointers must be valid for `layout`, and no other thread may work on these ranks.
    unsafe fn run(&self, isa: Isa, layout: &Layout, rows: Range<usize>) {
        for step in 0..layout.steps() {
            let t = match self.shape.direction {
                Direction::Forward => step,
                Direction::Reverse => layout.steps() - 1 - step,
            };
            let active = rows.start..rows.end.min(layout.active(t));
            let going = before(layout, self.shape.direction, t);
            let split = going.map_or(0, |(_, rows)| rows).clamp(rows.start, rows.end);
            // SAFETY: the caller vouches for the pointers; `t` is a step of the layout.
            unsafe {
                if let Some((before, _)) = going {
                    let going = active.start..active.end.min(split);
                    self.take(isa, layout, (t, Some(before)), going);
                }
                let fresh = active.start.max(split)..active.end;
                self.take(isa, layout, (t, None), fresh);
            }
        }
    }

    /// Step `t` of some rows that come from step `before`, or from the initial state.
    ///
    /// # Safety
    /// As [`Pass::run`].
    unsafe fn take(
        &self,
        isa: Isa,
        layout: &Layout,
        (t, before): (usize, Option<usize>),
        rows: Range<usize>,
    ) {
        // SAFETY: as the caller vouches.
        let mut step = unsafe { self.step(layout, t, before) };
        if let (Some((decay, faded)), true) = (self.fading, before.is_some() || self.given) {
            let row = stride(self.shape.hidden);
            let kept = if self.keep == Keep::Backward { layout.offset(t) } else { 0 };
            // SAFETY: the offset of a step of the layout lies inside buffers planned for it.
            let (decay, to) = unsafe { (decay.add(layout.offset(t) * row), faded.add(kept * row)) };
            let fade = Fade {
                decay: RowsAt { p: decay, row },
                from: step.hidden_before,
                to: RowsAt { p: to, row },
                blocks: self.shape.blocks(),
            };
            isa.run(FadeRows { fade, rows: rows.clone() });
            step.hidden_before = RowsAt { p: to.cast_const(), row };
            step.previous = Some(Left::plain(to.cast_const(), row, self.shape.hidden));
        }
        stream::run(isa, &self.shape, &step, rows);
    }

    /// Step `t` for rows that come from step `before`, or from the initial state.
    ///
    /// # Safety
    /// The pointers must be valid for `layout`.
    unsafe fn step(&self, layout: &Layout, t: usize, before: Option<usize>) -> StepForward {
        let shape = &self.shape;
        let (hidden, inputs) = (stride(shape.hidden), stride(shape.inputs));
        let width = shape.blocks() * LANES;
        let kept = self.keep == Keep::Backward;
        // SAFETY: offsets of steps of the layout lie inside buffers planned for it.
        unsafe {
            let hidden_before = RowsAt {
                p: match before {
                    Some(before) => self.y.add(layout.offset(before) * hidden).cast_const(),
                    None => self.initial_hidden,
                },
                row: hidden,
            };
            let current = BlocksAt { p: self.cells, block: self.sequences * LANES, row: LANES };
            let cells_of = |t: usize| BlocksAt {
                p: self.cells.add(layout.offset(t) * width),
                block: layout.active(t) * LANES,
                row: LANES,
            };
            let initial = BlocksAt { p: self.initial_cell, ..current.read() };
            let cells = shape.has_cell_state();
            StepForward {
                sweep: Sweep::of(t),
                packing: self.packing,
                weights: self.weights,
                x: Left::plain(self.x.add(layout.offset(t) * inputs), inputs, shape.inputs),
                previous: (before.is_some() || self.given)
                    .then(|| Left::plain(hidden_before.p, hidden, shape.hidden)),
                hidden_before,
                hidden: RowsAt { p: self.y.add(layout.offset(t) * hidden), row: hidden },
                cell_before: match (kept && cells, before) {
                    (false, _) => current.read(),
                    (true, Some(before)) => cells_of(before).read(),
                    (true, None) => initial,
                },
                cell: if kept && cells { cells_of(t) } else { current },
                record: if kept {
                    record_at(shape, self.record, layout, t)
                } else if shape.cell.reset() == Some(Reset::BeforeProduct) {
                    // One step's gates pass from the first product to the second.
                    BlocksAt { p: self.record, block: self.sequences * 3 * LANES, row: 3 * LANES }
                } else {
                    BlocksAt { p: std::ptr::null_mut(), block: 0, row: 0 }
                },
                reset: RowsAt {
                    p: if kept && shape.cell.reset() == Some(Reset::BeforeProduct) {
                        self.reset.add(layout.offset(t) * hidden)
                    } else {
                        self.reset
                    },
                    row: hidden,
                },
                half: self.half,
            }
        }
    }
}

/// Records of step `t`.
///
/// # Safety
/// `record` must point to records planned for `layout`.
pub(super) unsafe fn record_at(
    shape: &RecurrentShape,
    record: *mut f32,
    layout: &Layout,
    t: usize,
) -> BlocksAt<*mut f32> {
    // SAFETY: the offset of a step of the layout lies inside the records.
    let p = unsafe { record.add(layout.offset(t) * record_width(shape)) };
    record_blocks(shape, p, layout.active(t))
}

/// The records at `p` of a step of so many rows.
pub(super) fn record_blocks<P>(shape: &RecurrentShape, p: P, rows: usize) -> BlocksAt<P> {
    let width = record_width(shape);
    if let Cell::Elman(_) = shape.cell {
        BlocksAt { p, block: LANES, row: width }
    } else {
        let row = width / shape.blocks().max(1);
        BlocksAt { p, block: rows * row, row }
    }
}

/// Copies the state after each sequence's last step into batch order.
fn keep_final_states(
    layout: &Layout,
    shape: RecurrentShape,
    workspace: &mut Workspace,
    y: Matrix<'_>,
) {
    let last = |rank: usize| match shape.direction {
        Direction::Forward => (layout.lengths()[rank] as usize).checked_sub(1),
        Direction::Reverse => (layout.lengths()[rank] > 0).then_some(0),
    };
    let (h, sequences) = (shape.hidden, layout.sequences());
    let Workspace { keep, initial_hidden, initial_cell, cells, final_states, .. } = workspace;
    let [hidden, cell] = final_states;
    let (mut hidden, initial) =
        (MatrixMut::new(hidden, sequences, h), Matrix::new(initial_hidden, sequences, h));
    for (rank, &b) in layout.order().iter().enumerate() {
        let from = last(rank).map_or(initial.row(rank), |t| y.row(layout.row(t, rank)));
        hidden.row_mut(b as usize).copy_from_slice(from);
    }
    if !shape.has_cell_state() {
        return;
    }
    let mut cell = MatrixMut::new(cell, sequences, h);
    for (rank, &b) in layout.order().iter().enumerate() {
        let (source, offset, active) = match (*keep, last(rank)) {
            (Keep::Backward, Some(t)) => {
                (&*cells, layout.offset(t) * shape.blocks() * LANES, layout.active(t))
            }
            (Keep::Backward, None) => (&*initial_cell, 0, sequences),
            (Keep::Nothing, _) => (&*cells, 0, sequences),
        };
        for (block, to) in cell.row_mut(b as usize).chunks_mut(LANES).enumerate() {
            let from = &source[offset + (block * active + rank) * LANES..];
            to.copy_from_slice(&from[..to.len()]);
        }
    }
}
