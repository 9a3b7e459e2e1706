//! What a cell is to the drivers: how one tile goes forward and back.

use super::half::HalfForward;
use crate::buffer::LANES;
use crate::panel::{Packing, Transposed, VECTORS};
use crate::simd::{Kernel, Simd};
use crate::tile::{At, Left, RowTile, Sums, over_rows};
use std::ops::Range;

/// A matrix of one step: row `r` at `p + r * row`.
#[derive(Clone, Copy)]
pub(super) struct RowsAt<P> {
    pub(super) p: P,
    pub(super) row: usize,
}

/// Blocks of one step: vector `v` of row `r` of block `b` at `p + b * block + r * row + 16 v`.
#[derive(Clone, Copy)]
pub(super) struct BlocksAt<P> {
    pub(super) p: P,
    pub(super) block: usize,
    pub(super) row: usize,
}

impl BlocksAt<*mut f32> {
    pub(super) fn read(self) -> BlocksAt<*const f32> {
        BlocksAt { p: self.p, block: self.block, row: self.row }
    }
}

/// The order of a step's panels: up and down by turns, so that the weights that a step used last,
/// still in the nearest cache, are those that the next step uses first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sweep {
    Up,
    Down,
}

impl Sweep {
    /// The order in step `t`.
    pub(super) fn of(t: usize) -> Self {
        if t.is_multiple_of(2) { Self::Up } else { Self::Down }
    }

    /// The order in the step after this one.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }

    /// The `n`-th of `count` panels.
    #[inline(always)]
    pub(super) fn panel(self, n: usize, count: usize) -> usize {
        match self {
            Self::Up => n,
            Self::Down => count - 1 - n,
        }
    }
}

/// One step forward, for rows whose previous state lies in the same place.
#[derive(Clone, Copy)]
pub(super) struct StepForward {
    pub(super) sweep: Sweep,
    pub(super) packing: Packing,
    pub(super) weights: *const f32,
    pub(super) x: Left,
    /// h of the previous step; `None` where it is zero and its product is left out.
    pub(super) previous: Option<Left>,
    /// Values of the previous h, also where they are zero.
    pub(super) hidden_before: RowsAt<*const f32>,
    pub(super) hidden: RowsAt<*mut f32>,
    pub(super) cell_before: BlocksAt<*const f32>,
    pub(super) cell: BlocksAt<*mut f32>,
    /// Where gates are kept for the way back; null in inference.
    pub(super) record: BlocksAt<*mut f32>,
    /// r h of a GRU whose reset comes before the product.
    pub(super) reset: RowsAt<*mut f32>,
    /// What computes the products in bf16.
    pub(super) half: Option<HalfForward>,
}

impl StepForward {
    /// The same for one part of the rows.
    pub(super) fn of_part(self, part: usize) -> Self {
        Self { half: self.half.map(|half| half.of_part(part)), ..self }
    }

    /// Keeps vectors of a unit for the way back, if there is one.
    ///
    /// # Safety
    /// The tile must lie inside the step.
    #[inline(always)]
    pub(super) unsafe fn keep<S: Simd, const NV: usize>(&self, s: S, at: At, values: [S::V; NV]) {
        if self.record.p.is_null() {
            return;
        }
        let record = &self.record;
        let row = at.panel * record.block + at.row * record.row + at.part * S::WIDTH;
        for (v, value) in values.into_iter().enumerate() {
            // SAFETY: as the caller vouches.
            unsafe { s.store(record.p.add(row + v * LANES), value) }
        }
    }
}

/// One step back: gate gradients of step t from those of the step that followed it.
#[derive(Clone, Copy)]
pub(super) struct StepBackward {
    pub(super) sweep: Sweep,
    pub(super) packing: Packing,
    pub(super) weights: *const f32,
    pub(super) transposed: *const f32,
    pub(super) geometry: Transposed,
    /// Units in blocks of 16.
    pub(super) blocks: usize,
    /// Record of the step that followed; `None` for rows that ended here.
    pub(super) next: Option<BlocksAt<*const f32>>,
    /// Gradient that arrives at this step's output.
    pub(super) dy: Option<RowsAt<*const f32>>,
    /// Gradient that arrives at the final state, for rows that ended here.
    pub(super) ending: Option<RowsAt<*const f32>>,
    pub(super) record: BlocksAt<*mut f32>,
    pub(super) cell: BlocksAt<*const f32>,
    pub(super) cell_before: BlocksAt<*const f32>,
    pub(super) carry: BlocksAt<*mut f32>,
    pub(super) hidden_before: RowsAt<*const f32>,
    pub(super) hidden: RowsAt<*const f32>,
    /// Rows where the whole gradients of h and c are kept; null where nobody asked.
    pub(super) totals: [*mut f32; 2],
}

impl StepBackward {
    /// Sums of a tile before the product: the gradients that arrive at this step.
    ///
    /// # Safety
    /// The tile must lie inside the step.
    #[inline(always)]
    pub(super) unsafe fn arriving<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        at: At,
    ) -> Sums<S, MR, NV> {
        let mut sums = [[s.splat(0.0); NV]; MR];
        for source in [self.dy, self.ending].into_iter().flatten() {
            for r in 0..MR {
                for v in 0..NV {
                    let column = (at.panel * VECTORS + v) * LANES + at.part * S::WIDTH;
                    // SAFETY: the tile's rows and columns lie inside the matrix.
                    unsafe {
                        let p = source.p.add((at.row + r) * source.row + column);
                        sums[r][v] = s.add(sums[r][v], s.load(p));
                    }
                }
            }
        }
        sums
    }
}

/// How a cell computes its tiles. A forward tile is `MR` rows of one panel of weights, a
/// backward tile `MR` rows of `NV` blocks of units.
pub(super) trait CellTiles: Copy + Sync {
    /// # Safety
    /// The tile must lie inside the step, and no other thread may touch its rows.
    unsafe fn forward<S: Simd, const MR: usize>(self, s: S, step: &StepForward, at: At);

    /// Adds what the gate gradients of `step.next` send to the h before them.
    ///
    /// # Safety
    /// As [`CellTiles::forward`]; `step.next` must be there.
    unsafe fn through<S: Simd, const MR: usize, const NV: usize>(
        self,
        s: S,
        step: &StepBackward,
        next: BlocksAt<*const f32>,
        at: At,
        sums: &mut Sums<S, MR, NV>,
    );

    /// Whether what is carried belongs to h (a GRU's z dh) and not to c.
    const CARRIES_HIDDEN: bool;

    /// Where what is carried to h begins, in values.
    #[inline(always)]
    fn hidden_carry(_step: &StepBackward) -> usize {
        0
    }

    /// # Safety
    /// As [`CellTiles::forward`].
    unsafe fn backward<S: Simd, const MR: usize, const NV: usize>(
        self,
        s: S,
        step: &StepBackward,
        at: At,
    );
}

/// What a cell does with sums that another precision computed. Rows of four vectors lie at the
/// pointers, in whole vectors of 16.
pub(super) trait Finishes: CellTiles {
    /// Applies the gates to `rows` rows of sums, which are overwritten.
    ///
    /// # Safety
    /// As [`CellTiles::forward`]; `rows` rows of four vectors must lie at `z`.
    unsafe fn gates<S: Simd>(self, s: S, step: &StepForward, at: At, rows: usize, z: *mut f32);

    /// Writes the gate gradients of `tile` (rows, and blocks of units), given the gradient of h.
    ///
    /// # Safety
    /// As [`CellTiles::forward`]; the rows must lie at `arrived`.
    unsafe fn gate_gradients<S: Simd>(
        self,
        s: S,
        step: &StepBackward,
        at: At,
        tile: (usize, usize),
        arrived: RowsAt<*const f32>,
    );
}

/// Rows of one step forward.
pub(super) struct ForwardRows<'a, C> {
    pub(super) cell: C,
    pub(super) step: &'a StepForward,
    pub(super) rows: Range<usize>,
}

impl<C: CellTiles> Kernel for ForwardRows<'_, C> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { cell, step, rows } = self;
        for n in 0..step.packing.panels {
            let panel = step.sweep.panel(n, step.packing.panels);
            for part in 0..LANES / S::WIDTH {
                let tile = ForwardTile { cell, step, panel, part };
                // SAFETY: whoever made the step vouches for these rows and panels.
                unsafe { over_rows(s, &tile, rows.clone()) }
            }
        }
    }
}

struct ForwardTile<'a, C> {
    cell: C,
    step: &'a StepForward,
    panel: usize,
    part: usize,
}

impl<S: Simd, C: CellTiles> RowTile<S> for ForwardTile<'_, C> {
    #[inline(always)]
    unsafe fn tile<const MR: usize>(&self, s: S, row: usize) {
        let at = At { panel: self.panel, part: self.part, row };
        // SAFETY: as the caller vouches.
        unsafe { self.cell.forward::<S, MR>(s, self.step, at) }
    }
}

/// Rows of one step back.
pub(super) struct BackwardRows<C> {
    pub(super) cell: C,
    pub(super) step: StepBackward,
    pub(super) rows: Range<usize>,
}

impl<C: CellTiles> Kernel for BackwardRows<C> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { cell, step, rows } = self;
        for n in 0..step.geometry.panels() {
            let panel = step.sweep.panel(n, step.geometry.panels());
            for part in 0..LANES / S::WIDTH {
                let (step, rows) = (&step, rows.clone());
                // SAFETY: whoever made the step vouches for these rows and panels.
                unsafe {
                    match step.geometry.vectors(panel) {
                        1 => over_rows(s, &BackwardTile::<C, 1> { cell, step, panel, part }, rows),
                        2 => over_rows(s, &BackwardTile::<C, 2> { cell, step, panel, part }, rows),
                        3 => over_rows(s, &BackwardTile::<C, 3> { cell, step, panel, part }, rows),
                        _ => over_rows(s, &BackwardTile::<C, 4> { cell, step, panel, part }, rows),
                    }
                }
            }
        }
    }
}

struct BackwardTile<'a, C, const NV: usize> {
    cell: C,
    step: &'a StepBackward,
    panel: usize,
    part: usize,
}

impl<S: Simd, C: CellTiles, const NV: usize> RowTile<S> for BackwardTile<'_, C, NV> {
    #[inline(always)]
    unsafe fn tile<const MR: usize>(&self, s: S, row: usize) {
        let at = At { panel: self.panel, part: self.part, row };
        // SAFETY: as the caller vouches.
        unsafe { self.cell.backward::<S, MR, NV>(s, self.step, at) }
    }
}

/// The whole gradient of h: what arrives at the step, what `next` sends back, what is carried.
///
/// Of a step before it is gone back through; or of initial states, whose `next` is the first step
/// of their rows and at which nothing arrives.
pub(super) struct StateGradient<C> {
    pub(super) cell: C,
    pub(super) step: StepBackward,
    pub(super) out: RowsAt<*mut f32>,
    pub(super) rows: Range<usize>,
}

impl<C: CellTiles> Kernel for StateGradient<C> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for panel in 0..self.step.geometry.panels() {
            for part in 0..LANES / S::WIDTH {
                for row in self.rows.clone() {
                    let at = At { panel, part, row };
                    match self.step.geometry.vectors(panel) {
                        1 => self.tile::<S, 1>(s, at),
                        2 => self.tile::<S, 2>(s, at),
                        3 => self.tile::<S, 3>(s, at),
                        _ => self.tile::<S, 4>(s, at),
                    }
                }
            }
        }
    }
}

impl<C: CellTiles> StateGradient<C> {
    #[inline(always)]
    fn tile<S: Simd, const NV: usize>(&self, s: S, at: At) {
        // SAFETY: whoever made the step vouches for these rows and panels.
        unsafe {
            let mut sums: Sums<S, 1, NV> = self.step.arriving(s, at);
            if let Some(next) = self.step.next {
                self.cell.through(s, &self.step, next, at, &mut sums);
            }
            for v in 0..NV {
                let block = at.panel * VECTORS + v;
                let lane = at.part * S::WIDTH;
                let mut value = sums[0][v];
                if C::CARRIES_HIDDEN {
                    let carry = &self.step.carry;
                    let first = C::hidden_carry(&self.step);
                    let carried = carry.p.add(first + block * carry.block + at.row * LANES + lane);
                    value = s.add(value, s.load(carried));
                }
                s.store(self.out.p.add(at.row * self.out.row + block * LANES + lane), value);
            }
        }
    }
}
