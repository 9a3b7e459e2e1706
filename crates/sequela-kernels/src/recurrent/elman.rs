//! Elman's network (Elman 1990): h_t = f(b + W x_t + U h_{t-1}).
//!
//! Record of a step: a plain matrix of dz_t, written on the way back only.

use super::cell::{BlocksAt, CellTiles, Finishes, RowsAt, StepBackward, StepForward};
use crate::activation::{Activation, derivative, of};
use crate::buffer::LANES;
use crate::panel::VECTORS;
use crate::simd::{Simd, flush};
use crate::tile::{At, Left, Right, Sums, product};

#[derive(Clone, Copy)]
pub(super) struct Elman(pub(super) Activation);

impl Elman {
    #[inline(always)]
    unsafe fn panel<S: Simd, const MR: usize, const NV: usize>(
        self,
        s: S,
        step: &StepForward,
        at: At,
    ) {
        let lane = at.part * S::WIDTH;
        // SAFETY: the caller vouches for the tile: all its rows lie inside the matrices of the
        // step, its panel inside the weights.
        unsafe {
            let weights = step.weights.add(step.packing.offset(at.panel) + lane);
            let mut sums: Sums<S, MR, NV> = [[s.splat(0.0); NV]; MR];
            for v in 0..NV {
                let bias = s.load(weights.add(v * LANES));
                for r in 0..MR {
                    sums[r][v] = bias;
                }
            }
            let row = NV * LANES;
            let input = Right::dense(weights.add(row), row, step.x.length);
            product(s, &mut sums, &step.x, at.row, input);
            if let Some(previous) = &step.previous {
                let hidden = input.p.add(step.x.length * row);
                let hidden = Right::dense(hidden, row, previous.length);
                product(s, &mut sums, previous, at.row, hidden);
            }
            for r in 0..MR {
                for v in 0..NV {
                    let column = (at.panel * VECTORS + v) * LANES + lane;
                    let h = flush(s, of(s, self.0, sums[r][v]));
                    s.store(step.hidden.p.add((at.row + r) * step.hidden.row + column), h);
                }
            }
        }
    }
}

impl CellTiles for Elman {
    #[inline(always)]
    unsafe fn forward<S: Simd, const MR: usize>(self, s: S, step: &StepForward, at: At) {
        // SAFETY: as the caller vouches.
        unsafe {
            match step.packing.row_vectors(at.panel) {
                1 => self.panel::<S, MR, 1>(s, step, at),
                2 => self.panel::<S, MR, 2>(s, step, at),
                3 => self.panel::<S, MR, 3>(s, step, at),
                _ => self.panel::<S, MR, 4>(s, step, at),
            }
        }
    }

    const CARRIES_HIDDEN: bool = false;

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
            let left = Left::plain(next.p, next.row, step.blocks * LANES);
            let weights = step.transposed.add(step.geometry.offset(at.panel) + lane);
            let right = Right::dense(weights, NV * LANES, left.length);
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
        // SAFETY: as the caller vouches.
        unsafe {
            let mut sums: Sums<S, MR, NV> = step.arriving(s, at);
            if let Some(next) = step.next {
                self.through(s, step, next, at, &mut sums);
            }
            for r in 0..MR {
                for v in 0..NV {
                    let row = at.row + r;
                    let block = at.panel * VECTORS + v;
                    let h = s.load(step.hidden.p.add(row * step.hidden.row + block * LANES + lane));
                    let dz = flush(s, derivative(s, self.0, h, sums[r][v]));
                    let record = &step.record;
                    s.store(record.p.add(block * record.block + row * record.row + lane), dz);
                }
            }
        }
    }
}

impl Finishes for Elman {
    #[inline(always)]
    unsafe fn gates<S: Simd>(self, s: S, step: &StepForward, at: At, rows: usize, z: *mut f32) {
        for r in 0..rows {
            for v in 0..step.packing.row_vectors(at.panel) {
                let column = (at.panel * VECTORS + v) * LANES;
                // SAFETY: the caller vouches for the tile and the sums.
                unsafe {
                    let sum = s.load(z.add((r * VECTORS + v) * LANES));
                    let h = flush(s, of(s, self.0, sum));
                    s.store(step.hidden.p.add((at.row + r) * step.hidden.row + column), h);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn gate_gradients<S: Simd>(
        self,
        s: S,
        step: &StepBackward,
        at: At,
        (rows, vectors): (usize, usize),
        arrived: RowsAt<*const f32>,
    ) {
        for r in 0..rows {
            for v in 0..vectors {
                let (row, block) = (at.row + r, at.panel * VECTORS + v);
                // SAFETY: the caller vouches for the tile and the gradients.
                unsafe {
                    let h = s.load(step.hidden.p.add(row * step.hidden.row + block * LANES));
                    let dh = s.load(arrived.p.add(r * arrived.row + v * LANES));
                    let dz = flush(s, derivative(s, self.0, h, dh));
                    let record = &step.record;
                    s.store(record.p.add(block * record.block + row * record.row), dz);
                }
            }
        }
    }
}
