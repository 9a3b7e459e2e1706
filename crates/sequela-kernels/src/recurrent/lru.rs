//! A linear recurrent unit: a diagonal recurrence of complex states (Orvieto et al. 2023,
//! "Resurrecting recurrent neural networks for long sequences", arXiv 2303.06349).
//!
//! v = b + W x_t, complex; s_t = l s_{t-1} + g v with |l| = r = exp(-exp(nu)), g = sqrt(1 - r^2);
//! h_t = Re s_t, the state c is Im s_t. The paper's exp(i theta) is here (1 - tau^2 + 2 tau i) /
//! (1 + tau^2), which is the same for tau = tan(theta / 2): no sine, the same bits everywhere. Its
//! matrix C and its nonlinearity are layers of their own, put there by the architectures.
//!
//! Gates Re v and Im v one below the other; weight_hh `(2, H)` holds nu and tau. They stand where a
//! panel has its biases, (b_re, b_im, nu, tau). Record of a unit: (v_re, v_im), then what each step
//! adds to the gradients of (v_re, v_im, nu, tau).

use super::cell::{BlocksAt, CellTiles, StepBackward, StepForward};
use super::elementwise::projected;
use crate::activation::{exp_vector, tanh_fraction};
use crate::buffer::LANES;
use crate::panel::VECTORS;
use crate::simd::{Simd, flush};
use crate::tile::{At, Scratch, Sums, spill};

#[derive(Clone, Copy)]
pub(super) struct Lru;

/// What nu and tau say of the units of one vector.
struct Eigenvalue<S: Simd> {
    /// l.
    re: S::V,
    im: S::V,
    /// g.
    gain: S::V,
    /// exp(nu).
    decay: S::V,
    /// dg / dnu.
    gain_by_nu: S::V,
    /// (dl / dtau) / (i l), which is real.
    turn: S::V,
}

impl<S: Simd> Eigenvalue<S> {
    #[inline(always)]
    fn of(s: S, nu: S::V, tau: S::V) -> Self {
        let one = s.splat(1.0);
        let decay = exp_vector(s, nu);
        let r = exp_vector(s, s.sub(s.splat(0.0), decay));
        // 1 - exp(-2 m) = 2 tanh(m) / (1 + tanh(m)), without cancellation.
        let (above, below) = tanh_fraction(s, decay);
        let gain = s.sqrt(s.div(s.add(above, above), s.add(below, above)));
        let square = s.mul(tau, tau);
        let over = s.div(one, s.add(one, square));
        let turn = s.add(over, over);
        let radial = s.mul(r, over);
        Self {
            re: s.mul(radial, s.sub(one, square)),
            im: s.mul(radial, s.add(tau, tau)),
            gain,
            decay,
            gain_by_nu: s.div(s.mul(decay, s.mul(r, r)), gain),
            turn,
        }
    }
}

impl CellTiles for Lru {
    #[inline(always)]
    unsafe fn forward<S: Simd, const MR: usize>(self, s: S, step: &StepForward, at: At) {
        let lane = at.part * S::WIDTH;
        // SAFETY: the caller vouches for the tile: all its rows lie inside the matrices of the
        // step, its panel inside the weights.
        unsafe {
            let sums = projected::<S, MR, 2>(s, step, at);
            let diagonal = step.weights.add(step.packing.offset(at.panel) + 2 * LANES + lane);
            let l = Eigenvalue::of(s, s.load(diagonal), s.load(diagonal.add(LANES)));
            for r in 0..MR {
                let row = at.row + r;
                let (v_re, v_im) = (sums[r][0], sums[r][1]);
                let column = at.panel * LANES + lane;
                let re = &step.hidden_before;
                let re = s.load(re.p.add(row * re.row + column));
                let im = &step.cell_before;
                let im = s.load(im.p.add(at.panel * im.block + row * LANES + lane));
                let h = s.fma(l.re, re, s.fnma(l.im, im, s.mul(l.gain, v_re)));
                let c = s.fma(l.re, im, s.fma(l.im, re, s.mul(l.gain, v_im)));
                s.store(step.hidden.p.add(row * step.hidden.row + column), flush(s, h));
                let cell = step.cell.p.add(at.panel * step.cell.block + row * LANES + lane);
                s.store(cell, flush(s, c));
                step.keep(s, At { row, ..at }, [v_re, v_im]);
            }
        }
    }

    const CARRIES_HIDDEN: bool = true;

    /// What is carried to c stands first.
    #[inline(always)]
    fn hidden_carry(step: &StepBackward) -> usize {
        step.blocks * step.carry.block
    }

    #[inline(always)]
    unsafe fn through<S: Simd, const MR: usize, const NV: usize>(
        self,
        _s: S,
        _step: &StepBackward,
        _next: BlocksAt<*const f32>,
        _at: At,
        _sums: &mut Sums<S, MR, NV>,
    ) {
        // Units do not meet each other: all that reaches the state is carried.
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
            let zero = s.splat(0.0);
            for v in 0..NV {
                let block = at.panel * VECTORS + v;
                let diagonal = step.weights.add(step.packing.offset(block) + 2 * LANES + lane);
                let l = Eigenvalue::of(s, s.load(diagonal), s.load(diagonal.add(LANES)));
                for r in 0..MR {
                    let row = at.row + r;
                    let record = &step.record;
                    let gate = record.p.add(block * record.block + row * record.row + lane);
                    let (v_re, v_im) = (s.load(gate), s.load(gate.add(LANES)));
                    let to_c = step.carry.p.add(block * step.carry.block + row * LANES + lane);
                    let to_h = to_c.add(Self::hidden_carry(step));
                    let d_re = s.add(s.load(arrived.add((r * NV + v) * S::WIDTH)), s.load(to_h));
                    let d_im = s.load(to_c);
                    let re = &step.hidden_before;
                    let re = s.load(re.p.add(row * re.row + block * LANES + lane));
                    let im = &step.cell_before;
                    let im = s.load(im.p.add(block * im.block + row * LANES + lane));
                    // l s_{t-1}
                    let p_re = s.fnma(l.im, im, s.mul(l.re, re));
                    let p_im = s.fma(l.re, im, s.mul(l.im, re));
                    let along = s.fma(d_re, p_re, s.mul(d_im, p_im));
                    let across = s.fnma(d_re, p_im, s.mul(d_im, p_re));
                    let input = s.fma(d_re, v_re, s.mul(d_im, v_im));
                    let d_nu = s.fnma(l.decay, along, s.mul(l.gain_by_nu, input));
                    s.store(gate, flush(s, s.mul(l.gain, d_re)));
                    s.store(gate.add(LANES), flush(s, s.mul(l.gain, d_im)));
                    s.store(gate.add(2 * LANES), flush(s, d_nu));
                    s.store(gate.add(3 * LANES), flush(s, s.mul(l.turn, across)));
                    s.store(to_h, flush(s, s.fma(l.re, d_re, s.mul(l.im, d_im))));
                    let back = s.sub(zero, s.mul(l.im, d_re));
                    s.store(to_c, flush(s, s.fma(l.re, d_im, back)));
                }
            }
        }
    }
}
