//! GRU-D's fading state: h of the step before is multiplied by a decay of this step before the
//! GRU sees it (Che et al. 2018, Scientific Reports 8:6085, equation 12).
//!
//! The cell's tiles stay those of the GRU: they read the faded h from a buffer of its own. On the
//! way back the gradient of the faded h is finished before the step before begins, so that no tile
//! looks at the records of a step that followed: what arrives there is the faded gradient, rank by
//! rank, in the place of the gradients of final states.

use super::cell::{BlocksAt, CellTiles, RowsAt, StepBackward};
use crate::buffer::LANES;
use crate::panel::VECTORS;
use crate::simd::{Kernel, Simd, flush};
use crate::tile::{At, RowTile, Sums, over_rows};
use std::ops::Range;

/// `to = decay * from`, row by row; `from` may be `to`.
#[derive(Clone, Copy)]
pub(super) struct Fade {
    pub(super) decay: RowsAt<*const f32>,
    pub(super) from: RowsAt<*const f32>,
    pub(super) to: RowsAt<*mut f32>,
    /// Units in blocks of 16.
    pub(super) blocks: usize,
}

/// The same for some rows.
pub(super) struct FadeRows {
    pub(super) fade: Fade,
    pub(super) rows: Range<usize>,
}

impl Kernel for FadeRows {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Fade { decay, from, to, blocks } = self.fade;
        for row in self.rows {
            for column in (0..blocks * LANES).step_by(S::WIDTH) {
                // SAFETY: whoever made the job vouches for these rows; a row has whole blocks.
                unsafe {
                    let h = s.load(from.p.add(row * from.row + column));
                    let decay = s.load(decay.p.add(row * decay.row + column));
                    s.store(to.p.add(row * to.row + column), flush(s, s.mul(decay, h)));
                }
            }
        }
    }
}

/// What a step sends to the h before it: the gradient of its decay, and the faded gradient, which
/// arrives at the step before.
pub(super) struct FadeGradient<C> {
    pub(super) cell: C,
    /// The step, whose records hold its gate gradients.
    pub(super) step: StepBackward,
    pub(super) fade: Fade,
    /// Gradients of the decays of this step.
    pub(super) decay_gradient: RowsAt<*mut f32>,
    pub(super) rows: Range<usize>,
}

impl<C: CellTiles> Kernel for FadeGradient<C> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let next = self.step.record.read();
        for panel in 0..self.step.geometry.panels() {
            for part in 0..LANES / S::WIDTH {
                let (job, rows) = (&self, self.rows.clone());
                // SAFETY: whoever made the step vouches for these rows and panels.
                unsafe {
                    match self.step.geometry.vectors(panel) {
                        1 => over_rows(s, &FadeTile::<C, 1> { job, next, panel, part }, rows),
                        2 => over_rows(s, &FadeTile::<C, 2> { job, next, panel, part }, rows),
                        3 => over_rows(s, &FadeTile::<C, 3> { job, next, panel, part }, rows),
                        _ => over_rows(s, &FadeTile::<C, 4> { job, next, panel, part }, rows),
                    }
                }
            }
        }
    }
}

struct FadeTile<'a, C, const NV: usize> {
    job: &'a FadeGradient<C>,
    next: BlocksAt<*const f32>,
    panel: usize,
    part: usize,
}

impl<S: Simd, C: CellTiles, const NV: usize> RowTile<S> for FadeTile<'_, C, NV> {
    #[inline(always)]
    unsafe fn tile<const MR: usize>(&self, s: S, row: usize) {
        let FadeGradient { cell, step, fade, decay_gradient, .. } = self.job;
        let at = At { panel: self.panel, part: self.part, row };
        // SAFETY: as the caller vouches.
        unsafe {
            let mut sums: Sums<S, MR, NV> = [[s.splat(0.0); NV]; MR];
            cell.through(s, step, self.next, at, &mut sums);
            for v in 0..NV {
                let block = self.panel * VECTORS + v;
                let lane = self.part * S::WIDTH;
                let column = block * LANES + lane;
                for r in 0..MR {
                    let row = row + r;
                    let carry = step.carry.p.add(block * step.carry.block + row * LANES + lane);
                    let faded = s.add(sums[r][v], s.load(carry));
                    // What was carried has arrived.
                    s.store(carry, s.splat(0.0));
                    let before = s.load(fade.from.p.add(row * fade.from.row + column));
                    let to = decay_gradient.p.add(row * decay_gradient.row + column);
                    s.store(to, flush(s, s.mul(faded, before)));
                    let decay = s.load(fade.decay.p.add(row * fade.decay.row + column));
                    let arriving = fade.to.p.add(row * fade.to.row + column);
                    s.store(arriving, flush(s, s.mul(faded, decay)));
                }
            }
        }
    }
}
