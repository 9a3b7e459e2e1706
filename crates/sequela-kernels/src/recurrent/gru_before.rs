//! GRU whose reset comes before the product (Cho et al. 2014, Keras with `reset_after=False`).
//!
//! r = s(z_r), z = s(z_z), n = tanh(b_n + W_n x_t + U_n (r h_{t-1})); h_t = n + z (h_{t-1} - n).
//! The product of n needs r of all units, so each step takes two sweeps over the units. Panels
//! hold (n, r, z); record of a unit: (n, r, z), then (dz_n, dz_r, dz_z).

use super::cell::{BlocksAt, CellTiles, StepBackward, StepForward};
use crate::activation::{divide_pair, sigmoid_denominator, tanh};
use crate::buffer::LANES;
use crate::panel::VECTORS;
use crate::simd::{Kernel, Simd, flush};
use crate::tile::{At, Left, Right, RowTile, Sums, over_rows, product};
use std::ops::Range;

/// Vectors of a weight row and of a record.
const GATES: usize = 3;

/// The first sweep forward: r, z and r h. The first sweep back: dz_n, dz_z and what is carried.
#[derive(Clone, Copy)]
pub(super) struct GruBefore;

impl CellTiles for GruBefore {
    #[inline(always)]
    unsafe fn forward<S: Simd, const MR: usize>(self, s: S, step: &StepForward, at: At) {
        let lane = at.part * S::WIDTH;
        // SAFETY: the caller vouches for the tile: all its rows lie inside the matrices of the
        // step, its panel inside the weights.
        unsafe {
            let weights = step.weights.add(step.packing.offset(at.panel) + LANES + lane);
            let mut sums: Sums<S, MR, 2> = [[s.splat(0.0); 2]; MR];
            for v in 0..2 {
                let bias = s.load(weights.add(v * LANES));
                for r in 0..MR {
                    sums[r][v] = bias;
                }
            }
            let row = GATES * LANES;
            let input = Right::dense(weights.add(row), row, step.x.length);
            product(s, &mut sums, &step.x, at.row, input);
            if let Some(previous) = &step.previous {
                let hidden = input.p.add(step.x.length * row);
                let hidden = Right::dense(hidden, row, previous.length);
                product(s, &mut sums, previous, at.row, hidden);
            }
            let one = s.splat(1.0);
            for r in 0..MR {
                let row = at.row + r;
                let (reset, update) = divide_pair(
                    s,
                    (one, sigmoid_denominator(s, sums[r][0])),
                    (one, sigmoid_denominator(s, sums[r][1])),
                );
                let record = &step.record;
                let kept = record.p.add(at.panel * record.block + row * record.row + lane);
                s.store(kept.add(LANES), reset);
                s.store(kept.add(2 * LANES), update);
                let column = at.panel * LANES + lane;
                let before = &step.hidden_before;
                let before = s.load(before.p.add(row * before.row + column));
                let after_reset = flush(s, s.mul(reset, before));
                s.store(step.reset.p.add(row * step.reset.row + column), after_reset);
            }
        }
    }

    const CARRIES_HIDDEN: bool = true;

    #[inline(always)]
    unsafe fn through<S: Simd, const MR: usize, const NV: usize>(
        self,
        s: S,
        step: &StepBackward,
        next: BlocksAt<*const f32>,
        at: At,
        sums: &mut Sums<S, MR, NV>,
    ) {
        let lane = at.part * S::WIDTH;
        // SAFETY: as in `forward`.
        unsafe {
            let left = Left {
                p: next.p.add(LANES),
                row: next.row,
                length: 2 * LANES,
                step: next.block,
                count: step.blocks,
            };
            let width = NV * LANES;
            let weights = step.transposed.add(step.geometry.offset(at.panel) + lane);
            let right =
                Right { p: weights.add(LANES * width), row: width, step: GATES * LANES * width };
            product(s, sums, &left, at.row, right);
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd, const MR: usize, const NV: usize>(
        self,
        s: S,
        step: &StepBackward,
        at: At,
    ) {
        let lane = at.part * S::WIDTH;
        // SAFETY: as in `forward`.
        unsafe {
            let mut sums: Sums<S, MR, NV> = step.arriving(s, at);
            if let Some(next) = step.next {
                self.through(s, step, next, at, &mut sums);
            }
            let one = s.splat(1.0);
            for v in 0..NV {
                let block = at.panel * VECTORS + v;
                for r in 0..MR {
                    let row = at.row + r;
                    let record = &step.record;
                    let gate = record.p.add(block * record.block + row * record.row + lane);
                    let (n, z) = (s.load(gate), s.load(gate.add(2 * LANES)));
                    let carry = step.carry.p.add(block * step.carry.block + row * LANES + lane);
                    let dh = s.add(sums[r][v], s.load(carry));
                    let kept = s.mul(dh, z);
                    let dn = s.sub(dh, kept);
                    let before = &step.hidden_before;
                    let before = s.load(before.p.add(row * before.row + block * LANES + lane));
                    let dz_z = s.mul(s.mul(kept, s.sub(before, n)), s.sub(one, z));
                    s.store(gate, flush(s, s.fnma(s.mul(dn, n), n, dn)));
                    s.store(gate.add(2 * LANES), flush(s, dz_z));
                    s.store(carry, flush(s, kept));
                }
            }
        }
    }
}

/// The second sweep forward: n and h.
pub(super) struct SecondProduct<'a> {
    pub(super) step: &'a StepForward,
    pub(super) rows: Range<usize>,
}

impl Kernel for SecondProduct<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for panel in 0..self.step.packing.panels {
            for part in 0..LANES / S::WIDTH {
                let tile = NewState { step: self.step, panel, part };
                // SAFETY: whoever made the step vouches for these rows and panels.
                unsafe { over_rows(s, &tile, self.rows.clone()) }
            }
        }
    }
}

struct NewState<'a> {
    step: &'a StepForward,
    panel: usize,
    part: usize,
}

impl<S: Simd> RowTile<S> for NewState<'_> {
    #[inline(always)]
    unsafe fn tile<const MR: usize>(&self, s: S, row: usize) {
        let at = At { panel: self.panel, part: self.part, row };
        // SAFETY: as the caller vouches.
        unsafe { new_state::<S, MR>(s, self.step, at) }
    }
}

/// # Safety
/// As [`CellTiles::forward`], after the first sweep of all panels.
#[inline(always)]
unsafe fn new_state<S: Simd, const MR: usize>(s: S, step: &StepForward, at: At) {
    let lane = at.part * S::WIDTH;
    // SAFETY: as the caller vouches.
    unsafe {
        let weights = step.weights.add(step.packing.offset(at.panel) + lane);
        let mut sums: Sums<S, MR, 1> = [[s.load(weights)]; MR];
        let row = GATES * LANES;
        let input = Right::dense(weights.add(row), row, step.x.length);
        product(s, &mut sums, &step.x, at.row, input);
        if let Some(previous) = &step.previous {
            let left = Left { p: step.reset.p, ..*previous };
            let hidden = input.p.add(step.x.length * row);
            product(s, &mut sums, &left, at.row, Right::dense(hidden, row, left.length));
        }
        for r in 0..MR {
            let row = at.row + r;
            let n = tanh(s, sums[r][0]);
            let record = &step.record;
            let kept = record.p.add(at.panel * record.block + row * record.row + lane);
            let update = s.load(kept.add(2 * LANES));
            let column = at.panel * LANES + lane;
            let before = &step.hidden_before;
            let before = s.load(before.p.add(row * before.row + column));
            let h = flush(s, s.fma(update, s.sub(before, n), n));
            s.store(step.hidden.p.add(row * step.hidden.row + column), h);
            s.store(kept, n);
        }
    }
}

/// The second sweep back: d(r h) from dz_n of all units, then dz_r and what is carried by r.
pub(super) struct ResetGradient {
    pub(super) step: StepBackward,
    pub(super) rows: Range<usize>,
}

impl Kernel for ResetGradient {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for block in 0..self.step.blocks {
            for part in 0..LANES / S::WIDTH {
                for row in self.rows.clone() {
                    // SAFETY: whoever made the step vouches for these rows and blocks.
                    unsafe { reset_gradient(s, &self.step, At { panel: block, part, row }) }
                }
            }
        }
    }
}

/// # Safety
/// As [`CellTiles::backward`], after the first sweep of all blocks; `at.panel` is a block.
#[inline(always)]
unsafe fn reset_gradient<S: Simd>(s: S, step: &StepBackward, at: At) {
    let lane = at.part * S::WIDTH;
    let (panel, vector) = (at.panel / VECTORS, at.panel % VECTORS);
    // SAFETY: as the caller vouches.
    unsafe {
        let record = &step.record;
        let left = Left {
            p: record.p.cast_const(),
            row: record.row,
            length: LANES,
            step: record.block,
            count: step.blocks,
        };
        let width = step.geometry.vectors(panel) * LANES;
        let weights = step.transposed.add(step.geometry.offset(panel) + vector * LANES + lane);
        let right = Right { p: weights, row: width, step: GATES * LANES * width };
        let mut sums: Sums<S, 1, 1> = [[s.splat(0.0)]];
        product(s, &mut sums, &left, at.row, right);
        let gate = record.p.add(at.panel * record.block + at.row * record.row + lane);
        let reset = s.load(gate.add(LANES));
        let before = &step.hidden_before;
        let before = s.load(before.p.add(at.row * before.row + at.panel * LANES + lane));
        let through = s.mul(sums[0][0], reset);
        let dz_r = s.mul(s.mul(through, before), s.sub(s.splat(1.0), reset));
        s.store(gate.add(LANES), flush(s, dz_r));
        let carry = step.carry.p.add(at.panel * step.carry.block + at.row * LANES + lane);
        s.store(carry, flush(s, s.add(s.load(carry), through)));
    }
}
