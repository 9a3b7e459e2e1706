//! GRU whose reset comes after the product (PyTorch, cuDNN, Keras with `reset_after=True`).
//!
//! r = s(z_r), z = s(z_z), n = tanh(n_x + r n_h) with n_h = b_hn + U_n h_{t-1};
//! h_t = n + z (h_{t-1} - n). Four sums for each unit, (n_x, r, z, n_h): x feeds the first three,
//! h the last three. Record of a unit: (n, r, z, n_h), then (dn_x, dz_r, dz_z, dn_h).

use super::cell::{BlocksAt, CellTiles, Finishes, RowsAt, StepBackward, StepForward};
use crate::activation::{divide_pair, sigmoid_denominator, tanh};
use crate::buffer::LANES;
use crate::panel::VECTORS;
use crate::simd::{Simd, flush};
use crate::tile::{At, Left, Right, Scratch, Sums, product, product_at, spill};

#[derive(Clone, Copy)]
pub(super) struct Gru;

impl CellTiles for Gru {
    #[inline(always)]
    unsafe fn forward<S: Simd, const MR: usize>(self, s: S, step: &StepForward, at: At) {
        let lane = at.part * S::WIDTH;
        // SAFETY: the caller vouches for the tile: all its rows lie inside the matrices of the
        // step, its panel inside the weights.
        unsafe {
            let weights = step.weights.add(step.packing.offset(at.panel) + lane);
            let mut sums: Sums<S, MR, 4> = [[s.splat(0.0); 4]; MR];
            for v in 0..4 {
                let bias = s.load(weights.add(v * LANES));
                for r in 0..MR {
                    sums[r][v] = bias;
                }
            }
            let row = 3 * LANES;
            let input = Right::dense(weights.add(4 * LANES), row, step.x.length);
            product_at::<S, MR, 3, 0>(s, &mut sums, &step.x, at.row, input);
            if let Some(previous) = &step.previous {
                let hidden = input.p.add(step.x.length * row);
                let hidden = Right::dense(hidden, row, previous.length);
                product_at::<S, MR, 3, 1>(s, &mut sums, previous, at.row, hidden);
            }
            let mut scratch = Scratch::new();
            let z = spill(s, &sums, &mut scratch);
            self.gates(s, step, at, MR, z);
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
            let gates = 3 * LANES;
            let left = Left {
                p: next.p.add(LANES),
                row: next.row,
                length: gates,
                step: next.block,
                count: step.blocks,
            };
            let weights = step.transposed.add(step.geometry.offset(at.panel) + lane);
            product(s, sums, &left, at.row, Right::dense(weights, NV * LANES, gates));
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd, const MR: usize, const NV: usize>(
        self,
        s: S,
        step: &StepBackward,
        at: At,
    ) {
        // SAFETY: as in `forward`.
        unsafe {
            let mut sums: Sums<S, MR, NV> = step.arriving(s, at);
            if let Some(next) = step.next {
                self.through(s, step, next, at, &mut sums);
            }
            let mut scratch = Scratch::new();
            let arrived = spill(s, &sums, &mut scratch);
            let arrived = RowsAt { p: arrived.cast_const(), row: NV * S::WIDTH };
            self.gate_gradients(s, step, at, (MR, NV), arrived);
        }
    }
}

impl Finishes for Gru {
    #[inline(always)]
    unsafe fn gates<S: Simd>(self, s: S, step: &StepForward, at: At, rows: usize, z: *mut f32) {
        let lane = at.part * S::WIDTH;
        // SAFETY: the caller vouches for the tile and the sums.
        unsafe {
            let one = s.splat(1.0);
            for r in 0..rows {
                let row = at.row + r;
                let z = z.add(4 * r * S::WIDTH);
                let sum = |v: usize| s.load(z.add(v * S::WIDTH));
                let (reset, update) = divide_pair(
                    s,
                    (one, sigmoid_denominator(s, sum(1))),
                    (one, sigmoid_denominator(s, sum(2))),
                );
                let n_h = sum(3);
                let n = tanh(s, s.fma(reset, n_h, sum(0)));
                let column = at.panel * LANES + lane;
                let before = &step.hidden_before;
                let before = s.load(before.p.add(row * before.row + column));
                let h = flush(s, s.fma(update, s.sub(before, n), n));
                s.store(step.hidden.p.add(row * step.hidden.row + column), h);
                step.keep(s, At { row, ..at }, [n, reset, update, n_h]);
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
        let lane = at.part * S::WIDTH;
        // SAFETY: the caller vouches for the tile and the gradients.
        unsafe {
            let one = s.splat(1.0);
            for v in 0..vectors {
                let block = at.panel * VECTORS + v;
                for r in 0..rows {
                    let row = at.row + r;
                    let record = &step.record;
                    let gate = record.p.add(block * record.block + row * record.row + lane);
                    let (n, reset) = (s.load(gate), s.load(gate.add(LANES)));
                    let (z, n_h) = (s.load(gate.add(2 * LANES)), s.load(gate.add(3 * LANES)));
                    let carry = step.carry.p.add(block * step.carry.block + row * LANES + lane);
                    let dh =
                        s.add(s.load(arrived.p.add(r * arrived.row + v * S::WIDTH)), s.load(carry));
                    let kept = s.mul(dh, z);
                    let dn = s.sub(dh, kept);
                    let dn_x = s.fnma(s.mul(dn, n), n, dn);
                    let dn_h = s.mul(dn_x, reset);
                    let before = &step.hidden_before;
                    let column = block * LANES + lane;
                    let before = s.load(before.p.add(row * before.row + column));
                    let dz_r = s.mul(s.mul(dn_h, n_h), s.sub(one, reset));
                    let dz_z = s.mul(s.mul(kept, s.sub(before, n)), s.sub(one, z));
                    s.store(gate, flush(s, dn_x));
                    s.store(gate.add(LANES), flush(s, dz_r));
                    s.store(gate.add(2 * LANES), flush(s, dz_z));
                    s.store(gate.add(3 * LANES), flush(s, dn_h));
                    s.store(carry, flush(s, kept));
                }
            }
        }
    }
}
