//! minGRU (Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, "Were RNNs all we needed?", arXiv
//! 2410.01201, section 3.1).
//!
//! z = s(b_z + W_z x_t), n = b_n + W_n x_t; h_t = h_{t-1} + z (n - h_{t-1}). Gates do not look at h,
//! so nothing but what z lets go is lost on the way back. Record of a unit: (z, n), then (dz_z, dn).

use super::cell::{BlocksAt, CellTiles, StepBackward, StepForward};
use super::elementwise::projected;
use crate::activation::{Activation, of};
use crate::buffer::LANES;
use crate::panel::VECTORS;
use crate::simd::{Simd, flush};
use crate::tile::{At, Scratch, Sums, spill};

#[derive(Clone, Copy)]
pub(super) struct MinGru;

impl CellTiles for MinGru {
    #[inline(always)]
    unsafe fn forward<S: Simd, const MR: usize>(self, s: S, step: &StepForward, at: At) {
        // SAFETY: the caller vouches for the tile: all its rows lie inside the matrices of the
        // step, its panel inside the weights.
        unsafe {
            let sums = projected::<S, MR, 2>(s, step, at);
            for r in 0..MR {
                let row = at.row + r;
                let (z, n) = (of(s, Activation::Sigmoid, sums[r][0]), sums[r][1]);
                let column = at.panel * LANES + at.part * S::WIDTH;
                let before = &step.hidden_before;
                let before = s.load(before.p.add(row * before.row + column));
                let h = flush(s, s.fma(z, s.sub(n, before), before));
                s.store(step.hidden.p.add(row * step.hidden.row + column), h);
                step.keep(s, At { row, ..at }, [z, n]);
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
                    let (z, n) = (s.load(gate), s.load(gate.add(LANES)));
                    let carry = step.carry.p.add(block * step.carry.block + row * LANES + lane);
                    let dh = s.add(s.load(arrived.add((r * NV + v) * S::WIDTH)), s.load(carry));
                    let before = &step.hidden_before;
                    let before = s.load(before.p.add(row * before.row + block * LANES + lane));
                    let dn = s.mul(dh, z);
                    let dz_z = s.mul(s.mul(dn, s.sub(n, before)), s.sub(one, z));
                    s.store(gate, flush(s, dz_z));
                    s.store(gate.add(LANES), flush(s, dn));
                    s.store(carry, flush(s, s.sub(dh, dn)));
                }
            }
        }
    }
}
