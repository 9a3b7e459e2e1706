//! minLSTM (Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, "Were RNNs all we needed?", arXiv
//! 2410.01201, section 3.2, with gates normalised to a sum of 1).
//!
//! f = s(b_f + W_f x_t), i = s(b_i + W_i x_t), n = b_n + W_n x_t, k = f / (f + i);
//! h_t = n + k (h_{t-1} - n). Gates f, i, n one below the other. Record of a unit: (f, i, n), then
//! (dz_f, dz_i, dn).

use super::cell::{BlocksAt, CellTiles, StepBackward, StepForward};
use super::elementwise::projected;
use crate::activation::{divide_pair, sigmoid_denominator};
use crate::buffer::LANES;
use crate::panel::VECTORS;
use crate::simd::{Simd, flush};
use crate::tile::{At, Scratch, Sums, spill};

#[derive(Clone, Copy)]
pub(super) struct MinLstm;

impl CellTiles for MinLstm {
    #[inline(always)]
    unsafe fn forward<S: Simd, const MR: usize>(self, s: S, step: &StepForward, at: At) {
        // SAFETY: the caller vouches for the tile: all its rows lie inside the matrices of the
        // step, its panel inside the weights.
        unsafe {
            let sums = projected::<S, MR, 3>(s, step, at);
            let one = s.splat(1.0);
            for r in 0..MR {
                let row = at.row + r;
                let (f, i) = divide_pair(
                    s,
                    (one, sigmoid_denominator(s, sums[r][0])),
                    (one, sigmoid_denominator(s, sums[r][1])),
                );
                let (n, kept) = (sums[r][2], s.div(f, s.add(f, i)));
                let column = at.panel * LANES + at.part * S::WIDTH;
                let before = &step.hidden_before;
                let before = s.load(before.p.add(row * before.row + column));
                let h = flush(s, s.fma(kept, s.sub(before, n), n));
                s.store(step.hidden.p.add(row * step.hidden.row + column), h);
                step.keep(s, At { row, ..at }, [f, i, n]);
            }
        }
    }

    const CARRIES_HIDDEN: bool = true;

    #[inline(always)]
    unsafe fn through<S: Simd, const MR: usize, const NV: usize>(
        self,
        _s: S,
        _step: &StepBackward,
        _next: BlocksAt<*const f32>,
        _at: At,
        _sums: &mut Sums<S, MR, NV>,
    ) {
        // Gates do not look at h: all that reaches it is carried.
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
            let sums: Sums<S, MR, NV> = step.arriving(s, at);
            let mut scratch = Scratch::new();
            let arrived = spill(s, &sums, &mut scratch);
            let one = s.splat(1.0);
            for v in 0..NV {
                let block = at.panel * VECTORS + v;
                for r in 0..MR {
                    let row = at.row + r;
                    let record = &step.record;
                    let gate = record.p.add(block * record.block + row * record.row + lane);
                    let (f, i) = (s.load(gate), s.load(gate.add(LANES)));
                    let n = s.load(gate.add(2 * LANES));
                    let carry = step.carry.p.add(block * step.carry.block + row * LANES + lane);
                    let dh = s.add(s.load(arrived.add((r * NV + v) * S::WIDTH)), s.load(carry));
                    let before = &step.hidden_before;
                    let before = s.load(before.p.add(row * before.row + block * LANES + lane));
                    // k again: cheaper than reading it from memory.
                    let kept = s.div(f, s.add(f, i));
                    let on = s.mul(dh, kept);
                    let dn = s.sub(dh, on);
                    // dk k (1 - k)
                    let shared = s.mul(s.mul(on, s.sub(before, n)), s.sub(one, kept));
                    s.store(gate, flush(s, s.mul(shared, s.sub(one, f))));
                    s.store(gate.add(LANES), flush(s, s.mul(shared, s.sub(i, one))));
                    s.store(gate.add(2 * LANES), flush(s, dn));
                    s.store(carry, flush(s, on));
                }
            }
        }
    }
}
