//! One step of the way back, for the rows of one thread.

use super::backward::Backward;
use super::cell::{BackwardRows, BlocksAt, CellTiles, RowsAt, StateGradient, StepBackward, Sweep};
use super::elman::Elman;
use super::fade::{Fade, FadeGradient};
use super::forward::{before, record_at, record_blocks};
use super::gru::Gru;
use super::gru_before::{GruBefore, ResetGradient};
use super::half::{Half, HalfBackward};
use super::lru::Lru;
use super::lstm::{CellGradient, Lstm};
use super::min_gru::MinGru;
use super::min_lstm::MinLstm;
use super::piece::{Place, Seam};
use super::shape::{Cell, Direction, RecurrentShape, Reset};
use super::workspace::Workspace;
use crate::Isa;
use crate::buffer::{LANES, MatrixMut, Write, stride};
use crate::panel::Transposed;
use crate::product::{Panels, Product, ProductRows};
use crate::tile::Left;
use sequela_core::Layout;
use std::ops::Range;

/// The pointers of one backward pass.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) shape: RecurrentShape,
    pub(super) given: bool,
    /// Whether given initial states get a gradient from here.
    starts: bool,
    /// The first step of the piece that follows: its records and rows.
    seam: Option<(*const f32, usize)>,
    sequences: usize,
    weights: *const f32,
    transposed: &'a [f32],
    y: *const f32,
    dy: Option<*const f32>,
    pub(super) record: *mut f32,
    cells: *const f32,
    carry: *mut f32,
    initial_hidden: *const f32,
    initial_cell: *const f32,
    /// Gradients of final states; where h fades, of the h that a rank came to.
    ending: *mut f32,
    /// Decays, h after them, and where gradients of decays go, if h fades.
    fading: Option<(*const f32, *const f32, *mut f32)>,
    starting: *mut f32,
    /// The whole gradients of h and c; null where nobody asked.
    totals: [*mut f32; 2],
    dx: Option<(*mut f32, Write)>,
    pub(super) half: Option<HalfBackward>,
    /// The most threads that walk.
    pub(super) most: usize,
}

impl<'a> Pass<'a> {
    /// The same for one part of the ranks.
    pub(super) fn of_part(self, part: usize) -> Self {
        Self { half: self.half.map(|half| half.of_part(part)), ..self }
    }

    pub(super) fn new(
        call: &Backward<'a>,
        workspace: &mut Workspace,
        (seam, place): (&Seam, Place),
        dx: Option<&mut (MatrixMut<'_>, Write)>,
    ) -> Self {
        let given = call.forward.initial.hidden.is_some();
        Self {
            shape: workspace.shape,
            given,
            starts: given && !place.is_preceded() && call.forward.decay.is_none(),
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
            ending: workspace.ending.as_mut_ptr(),
            fading: call.forward.decay.map(|decay| {
                let gradient = workspace.decay_gradient.as_mut_ptr();
                (decay.data().as_ptr(), workspace.faded.as_ptr(), gradient)
            }),
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
    pub(super) unsafe fn step_rows(
        &self,
        isa: Isa,
        layout: &Layout,
        t: usize,
        ranks: &Range<usize>,
    ) {
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
            unsafe {
                self.sweep(isa, &self.step(layout, t, (before, after)), part.clone(), before);
                self.fade(isa, layout, t, (before, part));
            }
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
            Cell::Gru(Reset::AfterProduct) | Cell::GruD(Reset::AfterProduct) => {
                self.tiles(isa, Gru, step, rows, before);
            }
            Cell::Gru(Reset::BeforeProduct) | Cell::GruD(Reset::BeforeProduct) => {
                self.tiles(isa, GruBefore, step, rows, before);
            }
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
            Cell::Gru(Reset::BeforeProduct)
            | Cell::GruD(_)
            | Cell::MinGru
            | Cell::MinLstm
            | Cell::Lru => {}
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
        if self.shape.cell.reset() == Some(Reset::BeforeProduct) {
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

    /// Sends what step `t` leaves to the h before it, through the decay, for rows that came from
    /// step `before`. Nothing to do where h does not fade.
    ///
    /// # Safety
    /// As [`Pass::step_rows`]; the gate gradients of the rows must be complete.
    unsafe fn fade(
        &self,
        isa: Isa,
        layout: &Layout,
        t: usize,
        (before, rows): (Option<usize>, Range<usize>),
    ) {
        let Some((decay, _, gradient)) = self.fading else { return };
        let row = stride(self.shape.hidden);
        // SAFETY: as the caller vouches; offsets of steps lie inside buffers planned for them.
        let (step, decay, gradient, from) = unsafe {
            let at = layout.offset(t) * row;
            let from = match before {
                Some(before) => self.y.add(layout.offset(before) * row),
                None => self.initial_hidden,
            };
            (self.step(layout, t, (before, None)), decay.add(at), gradient.add(at), from)
        };
        let gradient = RowsAt { p: gradient, row };
        if before.is_none() && !self.given {
            // The h before is zero, whatever the decay.
            for r in rows {
                // SAFETY: the row lies inside the gradients, and no other thread writes it.
                unsafe { gradient.p.add(r * row).write_bytes(0, row) }
            }
            return;
        }
        let fade = Fade {
            decay: RowsAt { p: decay, row },
            from: RowsAt { p: from, row },
            to: RowsAt { p: self.ending, row },
            blocks: self.shape.blocks(),
        };
        if self.shape.cell.reset() == Some(Reset::BeforeProduct) {
            let cell = GruBefore;
            isa.run(FadeGradient { cell, step, fade, decay_gradient: gradient, rows });
        } else {
            isa.run(FadeGradient { cell: Gru, step, fade, decay_gradient: gradient, rows });
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
                    // What comes back has arrived already.
                    _ if self.fading.is_some() => None,
                    (Some(After::Step(t)), _) => {
                        Some(record_at(shape, self.record, layout, t).read())
                    }
                    (Some(After::Seam), Some((p, rows))) => Some(record_blocks(shape, p, rows)),
                    (Some(After::Seam), None) | (None, _) => None,
                },
                dy: self.dy.map(|dy| RowsAt { p: dy.add(layout.offset(t) * hidden), row: hidden }),
                ending: (after.is_none() || self.fading.is_some())
                    .then_some(RowsAt { p: self.ending.cast_const(), row: hidden }),
                record: record_at(shape, self.record, layout, t),
                cell: cells_of(t),
                cell_before: before.map_or(initial, cells_of),
                carry: BlocksAt { p: self.carry, block: state, row: LANES },
                hidden_before: match (self.fading, before) {
                    (Some((_, faded, _)), before) if before.is_some() || self.given => {
                        RowsAt { p: faded.add(layout.offset(t) * hidden), row: hidden }
                    }
                    (_, before) => {
                        before.map_or(RowsAt { p: self.initial_hidden, row: hidden }, y_of)
                    }
                },
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
