//! What cells whose units do not meet each other share: sums over x alone, gates by unit.

use super::cell::StepForward;
use crate::buffer::LANES;
use crate::simd::Simd;
use crate::tile::{At, Right, Sums, product};

/// Sums of a tile, `b + W x_t` for `NV` gates.
///
/// # Safety
/// The tile must lie inside the step.
#[inline(always)]
pub(super) unsafe fn projected<S: Simd, const MR: usize, const NV: usize>(
    s: S,
    step: &StepForward,
    at: At,
) -> Sums<S, MR, NV> {
    // SAFETY: the caller vouches for the tile: its rows lie inside x, its panel inside the weights.
    unsafe {
        let weights = step.weights.add(step.packing.offset(at.panel) + at.part * S::WIDTH);
        let mut sums: Sums<S, MR, NV> = [[s.splat(0.0); NV]; MR];
        for v in 0..NV {
            let bias = s.load(weights.add(v * LANES));
            for r in 0..MR {
                sums[r][v] = bias;
            }
        }
        let rows = weights.add(step.packing.bias * LANES);
        product(s, &mut sums, &step.x, at.row, Right::dense(rows, NV * LANES, step.x.length));
        sums
    }
}
