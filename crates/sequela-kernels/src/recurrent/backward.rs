//! The way back: exact BPTT over all steps of a batch.
//!
//! Steps are taken in chunks of about 256 rows. In each chunk threads first walk back through
//! their own rows, then, all rows of the chunk being there, sum their own panels of the weight
//! gradients while the gate gradients are still in cache.

use super::cell::{BackwardRows, BlocksAt, CellTiles, RowsAt, StateGradient, StepBackward, Sweep};
use super::elman::Elman;
use super::forward::{Forward, before, check_call, record_at, record_blocks, rows_of_part};
use super::gru::Gru;
use super::gru_before::{GruBefore, ResetGradient};
use super::half::{ChunkRow, Half, HalfBackward, HiddenBefore, add_weights};
use super::lru::Lru;
use super::lstm::{CellGradient, Lstm};
use super::min_gru::MinGru;
use super::min_lstm::MinLstm;
use super::piece::{Piece, Place, Seam};
use super::shape::{Cell, Direction, RecurrentShape, Reset, WeightMatrix};
use super::weights::{WeightItems, WeightPass};
use super::workspace::{Keep, Walked, Workspace};
use super::workspace::{gather_blocks, gather_rows, record_width};
use crate::buffer::{LANES, Matrix, MatrixMut, Write, stride};
use crate::context::{Shared, share};
use crate::outer::OuterStep;
use crate::panel::{Transpose, Transposed, VECTORS};
use crate::product::{Panels, Product, ProductRows};
use crate::tile::Left;
use crate::{CHUNK_ROWS, Context, Error, Isa};
use sequela_core::Layout;
use std::ops::Range;

/// What a layer is given on the way back. In gradients padding must be 0, in `y` finite.
#[derive(Debug, Clone, Copy)]
pub struct Backward<'a> {
    /// The call of [`super::forward`] that is gone back through, unchanged.
    pub forward: Forward<'a>,
    /// Its output.
    pub y: Matrix<'a>,
    /// The gradient that arrives at the output of every step, `(rows, H)`; `None` where only the
    /// final states get one (see [`Workspace::final_gradient_mut`]).
    pub dy: Option<Matrix<'a>>,
    /// The transposed weights, by [`transpose`].
    pub transposed: &'a [f32],
}

/// Writes the transpose of one matrix of the weights: to be called before [`backward`], after
/// weights have changed.
///
/// [`backward`] reads that of U if the batch [recurs](Forward::recurs), and that of W if dx is
/// asked for.
///
/// **Shapes** packed [`RecurrentShape::packed_len`], transposed
/// [`RecurrentShape::transposed_len`]. **Cost** one read and one write of each weight.
///
/// # Panics
/// If a slice is too short.
pub fn transpose(
    context: &Context,
    shape: RecurrentShape,
    matrix: WeightMatrix,
    packed: &[f32],
    transposed: &mut [f32],
) {
    let packing = shape.packing();
    if matrix == WeightMatrix::Hidden && !shape.cell.mixes() {
        return;
    }
    let (hidden, input) = transposed.split_at_mut(shape.transposed_hidden());
    let (rows, transposed) = match matrix {
        WeightMatrix::Hidden => (shape.inputs..shape.inputs + shape.hidden, hidden),
        WeightMatrix::Input => (0..shape.inputs, input),
    };
    context.run(Transpose { packing, rows, packed, transposed });
}

/// Goes back through a call of [`super::forward`]: adds to `gradient` (packed as the weights;
/// empty where it is not wanted), writes `dx` where it is asked for or adds to it, and leaves the
/// gradients of given initial states in the workspace.
///
/// The kept gates are overwritten, so it can be called once for each forward.
///
/// **Shapes** dx `(rows, F)`. **Determinism** bitwise, see the module page. **Cost** twice that
/// of forward, no allocation.
///
/// # Errors
/// [`Error::Panicked`] where a worker broke; then neither output is to be used.
///
/// # Panics
/// If shapes disagree, the workspace keeps nothing, or the call of forward before this one was
/// for another batch, with other states given, or has been gone back through.
pub fn backward(
    context: &mut Context,
    shape: RecurrentShape,
    call: Backward<'_>,
    workspace: &mut Workspace,
    dx: Option<(MatrixMut<'_>, Write)>,
    gradient: &mut [f32],
) -> Result<(), Error> {
    let piece = Piece { workspace, seam: &mut Seam::default(), place: Place::Only };
    backward_piece(context, shape, call, piece, dx, gradient)
}

/// As [`backward`], through one piece of the steps of a batch; see [`Piece`].
///
/// # Errors
/// [`Error::Panicked`] where a worker broke; then neither output is to be used.
///
/// # Panics
/// As [`backward`]; or if the seam is for another shape or fewer sequences.
pub fn backward_piece(
    context: &mut Context,
    shape: RecurrentShape,
    call: Backward<'_>,
    piece: Piece<'_>,
    mut dx: Option<(MatrixMut<'_>, Write)>,
    gradient: &mut [f32],
) -> Result<(), Error> {
    let layout = call.forward.layout;
    let Piece { workspace, seam, place } = piece;
    check(&shape, &call, workspace, dx.as_ref(), gradient);
    seam.check(&shape, layout.sequences(), place);
    workspace.walked = None;
    let order = layout.order();
    if !place.is_followed() {
        let [final_hidden, final_cell] = &workspace.final_gradients;
        let arrived = Matrix::new(final_hidden, order.len(), shape.hidden);
        gather_rows(order, Some(arrived), &mut workspace.ending, stride(shape.hidden));
        let cell =
            shape.has_cell_state().then(|| Matrix::new(final_cell, order.len(), shape.hidden));
        gather_blocks(order, cell, &mut workspace.carry, shape.hidden);
        if shape.cell == Cell::Lru {
            let first = shape.blocks() * order.len() * LANES;
            workspace.carry[first..2 * first].fill(0.0);
        }
    }
    if call.forward.initial.hidden.is_some() && !place.is_preceded() {
        // An empty sequence hands its gradient straight to its initial state.
        let values = order.len() * stride(shape.hidden);
        workspace.starting[..values].copy_from_slice(&workspace.ending[..values]);
    }

    let mut steps = Steps {
        input: std::mem::take(&mut workspace.input_steps),
        hidden: std::mem::take(&mut workspace.hidden_steps),
        start: std::mem::take(&mut workspace.start_steps),
        half: workspace.half.as_mut().and_then(Half::take_list),
    };
    // SAFETY: each part writes, and reads of what is written, the rows of its own ranks.
    let pass = unsafe { Shared::new(Pass::new(&call, workspace, (seam, place), dx.as_mut())) };
    let weights = (!gradient.is_empty())
        .then(|| WeightPass::new(&call, workspace, pass.get().record, gradient))
        // SAFETY: each part writes its own weight rows, in runs that write no gates.
        .map(|weights| unsafe { Shared::new(weights) });
    let result = walk(context, layout, &pass, weights.as_ref(), &mut steps);
    workspace.input_steps = steps.input;
    workspace.hidden_steps = steps.hidden;
    workspace.start_steps = steps.start;
    if let (Some(half), Some(list)) = (&mut workspace.half, steps.half) {
        half.put_list(list);
    }
    result?;
    if place.is_preceded() {
        seam.keep(layout, &shape, &workspace.record);
    } else {
        workspace.keep_initial_gradients(layout, &call.forward.initial);
    }
    Ok(())
}

fn check(
    shape: &RecurrentShape,
    call: &Backward<'_>,
    workspace: &Workspace,
    dx: Option<&(MatrixMut<'_>, Write)>,
    gradient: &[f32],
) {
    let layout = call.forward.layout;
    workspace.check(shape, layout);
    check_call(shape, &call.forward);
    assert_eq!(workspace.keep, Keep::Backward, "the workspace keeps nothing for the way back");
    let walked = Walked::new(layout, &call.forward.initial);
    assert_eq!(workspace.walked, Some(walked), "there is no call of forward for this batch");
    for values in [Some(call.y), call.dy].into_iter().flatten() {
        assert_eq!((values.rows(), values.width()), (layout.rows(), shape.hidden), "y or dy");
    }
    if let Some((dx, _)) = dx {
        assert_eq!((dx.rows(), dx.width()), (layout.rows(), shape.inputs), "dx");
    }
    let transposed = workspace.half.is_some() || call.transposed.len() >= shape.transposed_len();
    assert!(transposed, "transposed weights");
    assert!(gradient.is_empty() || gradient.len() >= shape.packed_len(), "gradient");
}

/// Runs of rows of one chunk.
struct Steps {
    input: Vec<OuterStep>,
    hidden: Vec<OuterStep>,
    start: Vec<OuterStep>,
    /// Rows one by one, where products are in bf16.
    half: Option<Vec<ChunkRow>>,
}

fn walk(
    context: &mut Context,
    layout: &Layout,
    pass: &Shared<Pass<'_>>,
    weights: Option<&Shared<WeightPass>>,
    steps: &mut Steps,
) -> Result<(), Error> {
    let shape = pass.get().shape;
    let each = shape.gates() * shape.hidden * (shape.inputs + shape.hidden);
    let most = pass.get().most.min(layout.sequences()).max(1);
    let parts = context.parts_for(layout.rows() * each).min(most);
    let isa = context.isa;
    let mut done = 0;
    while done < layout.steps() {
        let (first, mut rows) = (done, 0);
        steps.input.clear();
        steps.hidden.clear();
        steps.start.clear();
        steps.half.iter_mut().for_each(Vec::clear);
        while done < layout.steps() && rows < CHUNK_ROWS {
            let t = step_back(layout, shape.direction, done);
            rows += layout.active(t);
            list_step(layout, &shape, t, pass.get().given, steps);
            done += 1;
        }
        let chunk = first..done;
        context.run_parts(parts, &|part| {
            let rows = rows_of_part(layout, part, parts);
            for step in chunk.clone() {
                let t = step_back(layout, shape.direction, step);
                // SAFETY: the pointers come from the borrows of `backward`, which checked their
                // extents; parts own disjoint rows.
                unsafe { pass.get().of_part(part).step_rows(isa, layout, t, &rows) }
            }
        })?;
        let Some(weights) = weights else { continue };
        let steps: &Steps = steps;
        if let (Some(half), Some(list)) = (&pass.get().half, &steps.half) {
            // SAFETY: `backward` checked all extents; a chunk has no more rows than planned.
            unsafe { add_weights(context, half, weights.get(), list, rows * each)? }
            continue;
        }
        let lists = [&steps.input[..], &steps.hidden[..], &steps.start[..]];
        let items = weights.get().items();
        let parts = context.parts_for(rows * each).min(items.max(1));
        context.run_parts(parts, &|part| {
            isa.run(WeightItems { pass: weights.get(), lists, items: share(items, part, parts) });
        })?;
    }
    Ok(())
}

/// The `n`-th step on the way back.
fn step_back(layout: &Layout, direction: Direction, n: usize) -> usize {
    match direction {
        Direction::Forward => layout.steps() - 1 - n,
        Direction::Reverse => n,
    }
}

/// Where the walk goes on after a step.
#[derive(Clone, Copy)]
enum After {
    /// In this step.
    Step(usize),
    /// In the piece that follows.
    Seam,
}

/// The step after `t` in walking order, and how many rows of `t` go on into it.
fn after(layout: &Layout, direction: Direction, t: usize) -> Option<(usize, usize)> {
    match direction {
        Direction::Forward => {
            let rows = layout.active(t + 1);
            (rows > 0).then_some((t + 1, rows))
        }
        Direction::Reverse => t.checked_sub(1).map(|after| (after, layout.active(t))),
    }
}

/// Adds step `t` to the runs of rows whose outer products make up the weight gradients.
fn list_step(layout: &Layout, shape: &RecurrentShape, t: usize, given: bool, steps: &mut Steps) {
    let (active, width) = (layout.active(t), record_width(shape));
    let (block, row) = if let Cell::Elman(_) = shape.cell {
        (VECTORS * LANES, width)
    } else {
        let row = width / shape.blocks().max(1);
        (active * row, row)
    };
    let gradient = layout.offset(t) * width;
    steps.input.push(OuterStep { left: layout.offset(t), gradient, block, rows: active });
    let mut going = 0;
    if let Some((before, rows)) = before(layout, shape.direction, t) {
        going = rows;
        steps.hidden.push(OuterStep { left: layout.offset(before), gradient, block, rows });
    }
    if let Some(list) = &mut steps.half {
        let before = before(layout, shape.direction, t);
        list.extend((0..active).map(|rank| ChunkRow {
            x: layout.offset(t) + rank,
            before: match before {
                Some((before, rows)) if rank < rows => {
                    HiddenBefore::Output(layout.offset(before) + rank)
                }
                _ if given => HiddenBefore::Initial(rank),
                _ => HiddenBefore::Zero,
            },
            gradient: gradient + rank * row,
            block,
        }));
    }
    if given && going < active {
        let gradient = gradient + going * row;
        steps.start.push(OuterStep { left: going, gradient, block, rows: active - going });
    }
}

/// The pointers of one backward pass.
#[derive(Clone, Copy)]
struct Pass<'a> {
    shape: RecurrentShape,
    given: bool,
    /// Whether given initial states get a gradient from here.
    starts: bool,
    /// The first step of the piece that follows: its records and rows.
    seam: Option<(*const f32, usize)>,
    sequences: usize,
    weights: *const f32,
    transposed: &'a [f32],
    y: *const f32,
    dy: Option<*const f32>,
    record: *mut f32,
    cells: *const f32,
    carry: *mut f32,
    initial_hidden: *const f32,
    initial_cell: *const f32,
    ending: *const f32,
    starting: *mut f32,
    /// The whole gradients of h and c; null where nobody asked.
    totals: [*mut f32; 2],
    dx: Option<(*mut f32, Write)>,
    half: Option<HalfBackward>,
    /// The most threads that walk.
    most: usize,
}

impl<'a> Pass<'a> {
    /// The same for one part of the ranks.
    fn of_part(self, part: usize) -> Self {
        Self { half: self.half.map(|half| half.of_part(part)), ..self }
    }

    fn new(
        call: &Backward<'a>,
        workspace: &mut Workspace,
        (seam, place): (&Seam, Place),
        dx: Option<&mut (MatrixMut<'_>, Write)>,
    ) -> Self {
        let given = call.forward.initial.hidden.is_some();
        Self {
            shape: workspace.shape,
            given,
            starts: given && !place.is_preceded(),
            seam: place.is_followed().then(|| seam.records()),
            sequences: call.forward.layout.sequences(),
            weights: call.forward.weights.as_ptr(),
            transposed: call.transposed,
            y: call.y.data().as_ptr(),
            dy: call.dy.map(|dy| dy.data().as_ptr()),
            record: workspace.record.as_mut_ptr(),
            cells: workspace.cells.as_ptr(),
            carry: workspace.carry.as_mut_ptr(),
            initial_hidden: workspace.initial_hidden.as_ptr(),
            initial_cell: workspace.initial_cell.as_ptr(),
            ending: workspace.ending.as_ptr(),
            starting: workspace.starting.as_mut_ptr(),
            totals: workspace.totals.each_mut().map(|total| {
                if total.is_empty() { std::ptr::null_mut() } else { total.as_mut_ptr() }
            }),
            dx: dx.map(|(dx, write)| (dx.data_mut().as_mut_ptr(), *write)),
            most: workspace.half.as_ref().map_or(usize::MAX, |half| half.parts),
            half: workspace.half.as_mut().and_then(Half::backward),
        }
    }

    /// Step `t` of the ranks `ranks`.
    ///
    /// # Safety
    /// The pointers must be valid for `layout`, and no other thread may work on these ranks.
    unsafe fn step_rows(&self, isa: Isa, layout: &Layout, t: usize, ranks: &Range<usize>) {
        let rows = ranks.start..ranks.end.min(layout.active(t));
        if rows.is_empty() {
            return;
        }
        let direction = self.shape.direction;
        let fresh = before(layout, direction, t);
        let ended = after(layout, direction, t)
            .map(|(t, rows)| (After::Step(t), rows))
            .or(self.seam.map(|(_, rows)| (After::Seam, rows.min(layout.active(t)))));
        let cuts = [fresh.map_or(0, |(_, rows)| rows), ended.map_or(0, |(_, rows)| rows)];
        let cuts = [cuts[0].min(cuts[1]), cuts[0].max(cuts[1]), layout.active(t)];
        let mut start = rows.start;
        for end in cuts {
            let part = start..rows.end.min(end);
            if part.is_empty() {
                continue;
            }
            let before = fresh.filter(|(_, rows)| part.start < *rows).map(|(t, _)| t);
            let after = ended.filter(|(_, rows)| part.start < *rows).map(|(after, _)| after);
            start = part.end;
            // SAFETY: as the caller vouches.
            unsafe { self.sweep(isa, &self.step(layout, t, (before, after)), part, before) }
        }
        // SAFETY: as the caller vouches.
        unsafe { self.input_gradient(isa, layout, t, rows) }
    }

    /// # Safety
    /// `step` must hold for `rows`, which no other thread works on.
    unsafe fn sweep(
        &self,
        isa: Isa,
        step: &StepBackward,
        rows: Range<usize>,
        before: Option<usize>,
    ) {
        if let Some(half) = &self.half {
            // SAFETY: as the caller vouches.
            return unsafe { self.half_sweep(half, step, rows, before) };
        }
        match self.shape.cell {
            Cell::Elman(activation) => self.tiles(isa, Elman(activation), step, rows, before),
            Cell::Lstm => self.tiles(isa, Lstm, step, rows, before),
            Cell::Gru(Reset::AfterProduct) => self.tiles(isa, Gru, step, rows, before),
            Cell::Gru(Reset::BeforeProduct) => self.tiles(isa, GruBefore, step, rows, before),
            Cell::MinGru => self.tiles(isa, MinGru, step, rows, before),
            Cell::MinLstm => self.tiles(isa, MinLstm, step, rows, before),
            Cell::Lru => self.tiles(isa, Lru, step, rows, before),
        }
    }

    /// # Safety
    /// As [`Pass::sweep`].
    unsafe fn half_sweep(
        &self,
        half: &HalfBackward,
        step: &StepBackward,
        rows: Range<usize>,
        before: Option<usize>,
    ) {
        let out = (self.starts && before.is_none())
            .then(|| RowsAt { p: self.starting, row: stride(self.shape.hidden) });
        match self.shape.cell {
            Cell::Elman(activation) => half.run(Elman(activation), step, rows, out),
            Cell::Lstm => half.run(Lstm, step, rows, out),
            Cell::Gru(Reset::AfterProduct) => half.run(Gru, step, rows, out),
            // Refused when the memory was made.
            Cell::Gru(Reset::BeforeProduct) | Cell::MinGru | Cell::MinLstm | Cell::Lru => {}
        }
    }

    fn tiles<C: CellTiles>(
        &self,
        isa: Isa,
        cell: C,
        step: &StepBackward,
        rows: Range<usize>,
        before: Option<usize>,
    ) {
        if !step.totals[0].is_null() {
            self.keep_totals(isa, cell, step, rows.clone());
        }
        isa.run(BackwardRows { cell, step: *step, rows: rows.clone() });
        if self.shape.cell == Cell::Gru(Reset::BeforeProduct) {
            isa.run(ResetGradient { step: *step, rows: rows.clone() });
        }
        if self.starts && before.is_none() {
            // What would go on to the step before goes to the initial state.
            let next = Some(step.record.read());
            let step = StepBackward { next, dy: None, ending: None, ..*step };
            let out = RowsAt { p: self.starting, row: stride(self.shape.hidden) };
            isa.run(StateGradient { cell, step, out, rows });
        }
    }

    /// Keeps the whole gradients of h and c of a step, before its gates are overwritten.
    fn keep_totals<C: CellTiles>(
        &self,
        isa: Isa,
        cell: C,
        step: &StepBackward,
        rows: Range<usize>,
    ) {
        let [hidden, c] =
            step.totals.map(|total| RowsAt { p: total, row: stride(self.shape.hidden) });
        isa.run(StateGradient { cell, step: *step, out: hidden, rows: rows.clone() });
        if self.shape.cell == Cell::Lstm {
            isa.run(CellGradient { step: *step, hidden, out: c, rows });
        }
    }

    /// Step `t` for rows that came from step `before` and went on to step `after`.
    ///
    /// # Safety
    /// The pointers must be valid for `layout`.
    unsafe fn step(
        &self,
        layout: &Layout,
        t: usize,
        (before, after): (Option<usize>, Option<After>),
    ) -> StepBackward {
        let shape = &self.shape;
        let hidden = stride(shape.hidden);
        let width = shape.blocks() * LANES;
        let state = self.sequences * LANES;
        // SAFETY: offsets of steps of the layout lie inside buffers planned for it; where there
        // is no cell state, its pointer is not moved.
        unsafe {
            let cells_of = |t: usize| {
                let offset = if shape.has_cell_state() { layout.offset(t) * width } else { 0 };
                let block = layout.active(t) * LANES;
                BlocksAt { p: self.cells.add(offset), block, row: LANES }
            };
            let initial = BlocksAt { p: self.initial_cell, block: state, row: LANES };
            let total = |total: *mut f32| {
                if total.is_null() { total } else { total.add(layout.offset(t) * hidden) }
            };
            let y_of = |t: usize| RowsAt { p: self.y.add(layout.offset(t) * hidden), row: hidden };
            StepBackward {
                sweep: Sweep::of(t),
                packing: shape.packing(),
                weights: self.weights,
                transposed: self.transposed.as_ptr(),
                geometry: Transposed::new(&shape.packing(), shape.hidden),
                blocks: shape.blocks(),
                next: match (after, self.seam) {
                    (Some(After::Step(t)), _) => {
                        Some(record_at(shape, self.record, layout, t).read())
                    }
                    (Some(After::Seam), Some((p, rows))) => Some(record_blocks(shape, p, rows)),
                    (Some(After::Seam), None) | (None, _) => None,
                },
                dy: self.dy.map(|dy| RowsAt { p: dy.add(layout.offset(t) * hidden), row: hidden }),
                ending: after.is_none().then_some(RowsAt { p: self.ending, row: hidden }),
                record: record_at(shape, self.record, layout, t),
                cell: cells_of(t),
                cell_before: before.map_or(initial, cells_of),
                carry: BlocksAt { p: self.carry, block: state, row: LANES },
                hidden_before: before.map_or(RowsAt { p: self.initial_hidden, row: hidden }, y_of),
                hidden: y_of(t),
                totals: self.totals.map(total),
            }
        }
    }

    /// dx of step `t`: the gate gradients times the weights of x.
    ///
    /// # Safety
    /// The pointers must be valid for `layout`; the gate gradients of `rows` must be complete.
    unsafe fn input_gradient(&self, isa: Isa, layout: &Layout, t: usize, rows: Range<usize>) {
        let Some((dx, write)) = self.dx else { return };
        let shape = &self.shape;
        let packing = shape.packing();
        let row = stride(shape.inputs);
        if let Some(half) = &self.half {
            // SAFETY: the offset of a step of the layout lies inside dx.
            let p = unsafe { dx.add(layout.offset(t) * row) };
            half.input_gradient(RowsAt { p, row }, write, rows);
            return;
        }
        // SAFETY: as the caller vouches.
        unsafe {
            let record = record_at(shape, self.record, layout, t);
            let left = match shape.cell {
                Cell::Elman(_) => Left::plain(record.p, record.row, shape.blocks() * LANES),
                _ => Left {
                    p: record.p,
                    row: record.row,
                    length: packing.vectors * LANES,
                    step: record.block,
                    count: shape.blocks(),
                },
            };
            let job = Product {
                left,
                weights: self.transposed.as_ptr().add(shape.transposed_hidden()),
                panels: Panels::Transposed(Transposed::new(&packing, shape.inputs)),
                out: dx.add(layout.offset(t) * row),
                out_row: row,
                write,
            };
            isa.run(ProductRows { job: &job, rows });
        }
    }
}
