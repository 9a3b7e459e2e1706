//! LSTM (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).
//!
//! i = s(z_i), f = s(z_f), g = tanh(z_g), o = s(z_o) with z = b + W x_t + U h_{t-1};
//! c_t = f c_{t-1} + i g, h_t = o tanh(c_t). Record of a unit: (i, f, g, o), then (dz_i, ...).

use super::cell::{BlocksAt, CellTiles, Finishes, RowsAt, StepBackward, StepForward};
use crate::activation::{divide_pair, sigmoid_denominator, tanh, tanh_fraction};
use crate::buffer::LANES;
use crate::panel::VECTORS;
use crate::simd::{Kernel, Simd, flush};
use crate::tile::{At, Left, Right, Scratch, Sums, product, spill};
use std::ops::Range;

#[derive(Clone, Copy)]
pub(super) struct Lstm;

impl CellTiles for Lstm {
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
            let row = 4 * LANES;
            let input = Right::dense(weights.add(row), row, step.x.length);
            product(s, &mut sums, &step.x, at.row, input);
            if let Some(previous) = &step.previous {
                let hidden = input.p.add(step.x.length * row);
                let hidden = Right::dense(hidden, row, previous.length);
                product(s, &mut sums, previous, at.row, hidden);
            }
            let mut scratch = Scratch::new();
            let z = spill(s, &sums, &mut scratch);
            self.gates(s, step, at, MR, z);
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
            let gates = 4 * LANES;
            let left = Left {
                p: next.p,
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

impl Finishes for Lstm {
    #[inline(always)]
    unsafe fn gates<S: Simd>(self, s: S, step: &StepForward, at: At, rows: usize, z: *mut f32) {
        let lane = at.part * S::WIDTH;
        // SAFETY: the caller vouches for the tile and the sums.
        unsafe {
            // In two passes over the rows: the gates of a row do not wait for one another, the
            // chain from c to h does; apart, both keep the processor's window full.
            let one = s.splat(1.0);
            for r in 0..rows {
                let z = z.add(4 * r * S::WIDTH);
                let gate = |v: usize| s.load(z.add(v * S::WIDTH));
                let (i, f) = divide_pair(
                    s,
                    (one, sigmoid_denominator(s, gate(0))),
                    (one, sigmoid_denominator(s, gate(1))),
                );
                let (g, o) = divide_pair(
                    s,
                    tanh_fraction(s, gate(2)),
                    (one, sigmoid_denominator(s, gate(3))),
                );
                let before = &step.cell_before;
                let before =
                    s.load(before.p.add(at.panel * before.block + (at.row + r) * LANES + lane));
                s.store(z, flush(s, s.fma(f, before, s.mul(i, g))));
                s.store(z.add(S::WIDTH), o);
                step.keep(s, At { row: at.row + r, ..at }, [i, f, g, o]);
            }
            for r in 0..rows {
                let row = at.row + r;
                let z = z.add(4 * r * S::WIDTH);
                let (c, o) = (s.load(z), s.load(z.add(S::WIDTH)));
                s.store(step.cell.p.add(at.panel * step.cell.block + row * LANES + lane), c);
                let h = flush(s, s.mul(o, tanh(s, c)));
                s.store(step.hidden.p.add(row * step.hidden.row + at.panel * LANES + lane), h);
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
                    let (i, f) = (s.load(gate), s.load(gate.add(LANES)));
                    let (g, o) = (s.load(gate.add(2 * LANES)), s.load(gate.add(3 * LANES)));
                    let dh = s.load(arrived.p.add(r * arrived.row + v * S::WIDTH));
                    let c = s.load(step.cell.p.add(block * step.cell.block + row * LANES + lane));
                    // Computed again: cheaper than reading it from memory.
                    let tanh_c = tanh(s, c);
                    let carry = step.carry.p.add(block * step.carry.block + row * LANES + lane);
                    let through = s.mul(dh, o);
                    // dc = carried + dh o (1 - tanh^2 c)
                    let dc = s.add(s.load(carry), s.fnma(s.mul(through, tanh_c), tanh_c, through));
                    let di = s.mul(dc, i);
                    let df = s.mul(dc, f);
                    let before = &step.cell_before;
                    let before = s.load(before.p.add(block * before.block + row * LANES + lane));
                    let dz_i = s.mul(s.mul(di, g), s.sub(one, i));
                    let dz_f = s.mul(s.mul(df, before), s.sub(one, f));
                    let dz_g = s.fnma(s.mul(di, g), g, di);
                    let dz_o = s.mul(s.mul(through, tanh_c), s.sub(one, o));
                    s.store(gate, flush(s, dz_i));
                    s.store(gate.add(LANES), flush(s, dz_f));
                    s.store(gate.add(2 * LANES), flush(s, dz_g));
                    s.store(gate.add(3 * LANES), flush(s, dz_o));
                    s.store(carry, flush(s, df));
                }
            }
        }
    }
}

/// The whole gradient of c of a step, from that of h, before the step is gone back through.
pub(super) struct CellGradient {
    pub(super) step: StepBackward,
    pub(super) hidden: RowsAt<*mut f32>,
    pub(super) out: RowsAt<*mut f32>,
    pub(super) rows: Range<usize>,
}

impl Kernel for CellGradient {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { step, hidden, out, rows } = self;
        for block in 0..step.blocks {
            for lane in (0..LANES).step_by(S::WIDTH) {
                for row in rows.clone() {
                    let column = block * LANES + lane;
                    let state = row * LANES + lane;
                    let o = block * step.record.block + row * step.record.row + 3 * LANES + lane;
                    // SAFETY: whoever made the step vouches for these rows and blocks.
                    unsafe {
                        let dh = s.load(hidden.p.add(row * hidden.row + column));
                        let tanh_c =
                            tanh(s, s.load(step.cell.p.add(block * step.cell.block + state)));
                        let through = s.mul(dh, s.load(step.record.p.add(o)));
                        let carried = s.load(step.carry.p.add(block * step.carry.block + state));
                        let dc = s.add(carried, s.fnma(s.mul(through, tanh_c), tanh_c, through));
                        s.store(out.p.add(row * out.row + column), dc);
                    }
                }
            }
        }
    }
}
