//! The two register tiles that all matrix work is made of.
//!
//! [`product`] accumulates rows of a left operand against packed weights, walking k in order;
//! [`outer`] accumulates columns of a left operand against rows of a gradient, walking rows in
//! order. Both keep their sums in registers: index the accumulators with unrolled loops only.
//! One run-time index anywhere puts the array in memory, and the loop over k then loads and
//! stores every sum in each round; so tiles [`spill`] before their epilogue.

use crate::buffer::LANES;
use crate::simd::Simd;
use std::mem::MaybeUninit;
use std::ops::Range;

/// A left operand: rows `row` apart, each of `count` runs of `length` values, `step` apart.
#[derive(Clone, Copy)]
pub(crate) struct Left {
    pub(crate) p: *const f32,
    pub(crate) row: usize,
    pub(crate) length: usize,
    pub(crate) step: usize,
    pub(crate) count: usize,
}

impl Left {
    /// Rows of contiguous values.
    pub(crate) fn plain(p: *const f32, row: usize, length: usize) -> Self {
        Self { p, row, length, step: 0, count: 1 }
    }
}

/// Sums of a tile: `MR` rows of `NV` vectors.
pub(crate) type Sums<S, const MR: usize, const NV: usize> = [[<S as Simd>::V; NV]; MR];

/// Packed weights: rows of vectors, `row` apart; runs of the left operand meet rows that are
/// `step` apart.
#[derive(Clone, Copy)]
pub(crate) struct Right {
    pub(crate) p: *const f32,
    pub(crate) row: usize,
    pub(crate) step: usize,
}

impl Right {
    /// Rows that follow each other, for runs of `length` values.
    pub(crate) fn dense(p: *const f32, row: usize, length: usize) -> Self {
        Self { p, row, step: row * length }
    }
}

/// One tile: a panel, the part of its vectors (where a vector is narrower than a block), a row.
#[derive(Clone, Copy)]
pub(crate) struct At {
    pub(crate) panel: usize,
    pub(crate) part: usize,
    pub(crate) row: usize,
}

/// `sums[r][v] += left[first + r][k] * right[k][v]` for all k, in order.
///
/// # Safety
/// `left` must be readable for rows `first..first + MR`, `right` for as many rows of `NV` blocks
/// as `left` has values.
#[inline(always)]
pub(crate) unsafe fn product<S: Simd, const MR: usize, const NV: usize>(
    s: S,
    sums: &mut Sums<S, MR, NV>,
    left: &Left,
    first: usize,
    right: Right,
) {
    // SAFETY: as the caller vouches.
    unsafe { product_runs::<S, MR, NV, NV, 0>(s, sums, left, first, right) }
}

/// As [`product`], of `NV` vectors into the sums of four from vector `AT` on.
///
/// # Safety
/// As [`product`].
#[inline(always)]
pub(crate) unsafe fn product_at<S: Simd, const MR: usize, const NV: usize, const AT: usize>(
    s: S,
    sums: &mut Sums<S, MR, 4>,
    left: &Left,
    first: usize,
    right: Right,
) {
    // SAFETY: as the caller vouches.
    unsafe { product_runs::<S, MR, NV, 4, AT>(s, sums, left, first, right) }
}

/// # Safety
/// As [`product`].
#[inline(always)]
unsafe fn product_runs<
    S: Simd,
    const MR: usize,
    const NV: usize,
    const OF: usize,
    const AT: usize,
>(
    s: S,
    sums: &mut Sums<S, MR, OF>,
    left: &Left,
    first: usize,
    right: Right,
) {
    for run in 0..left.count {
        // SAFETY: the run and its rows lie inside `left`, the weight rows inside `right`, as
        // the caller vouches.
        unsafe {
            let a = left.p.add(first * left.row + run * left.step);
            let w = right.p.add(run * right.step);
            for k in 0..left.length {
                product_step::<S, MR, NV, OF, AT>(
                    s,
                    sums,
                    (a.add(k), left.row),
                    w.add(k * right.row),
                );
            }
        }
    }
}

/// How many weight rows ahead to ask for: weights come from the second cache at the pace of the
/// multiplications, and asking 16 rows ahead gained 2 to 3 %.
const AHEAD: usize = 16;

/// One k of a product.
///
/// # Safety
/// `MR` values `row` apart must be readable at `a`, `NV` blocks at `w`.
#[inline(always)]
unsafe fn product_step<
    S: Simd,
    const MR: usize,
    const NV: usize,
    const OF: usize,
    const AT: usize,
>(
    s: S,
    sums: &mut Sums<S, MR, OF>,
    (a, row): (*const f32, usize),
    w: *const f32,
) {
    // SAFETY: as the caller vouches.
    unsafe {
        if S::WIDTH < LANES {
            // Few registers: keep the broadcasts, load weights one at a time.
            let mut x = [s.splat(0.0); MR];
            for r in 0..MR {
                x[r] = s.splat(*a.add(r * row));
            }
            for v in 0..NV {
                let b = s.load(w.add(v * LANES));
                for r in 0..MR {
                    sums[r][AT + v] = s.fma(x[r], b, sums[r][AT + v]);
                }
            }
        } else {
            let mut b = [s.splat(0.0); NV];
            for v in 0..NV {
                if MR > 1 {
                    s.prefetch(w.wrapping_add((AHEAD * NV + v) * LANES));
                }
                b[v] = s.load(w.add(v * LANES));
            }
            for r in 0..MR {
                let x = s.splat(*a.add(r * row));
                for v in 0..NV {
                    sums[r][AT + v] = s.fma(x, b[v], sums[r][AT + v]);
                }
            }
        }
    }
}

/// `sums[j][v] += left[i][j] * gradient[i][v]` for all rows i, in order; rows of `left` are
/// `left_row` apart, rows of `gradient` `gradient_row`.
///
/// # Safety
/// `rows` rows must be readable: `MR` values at `left`, `NV` blocks at `gradient`.
#[inline(always)]
pub(crate) unsafe fn outer<S: Simd, const MR: usize, const NV: usize>(
    s: S,
    sums: &mut Sums<S, MR, NV>,
    left: (*const f32, usize),
    gradient: (*const f32, usize),
    rows: usize,
) {
    let (mut a, mut g) = (left.0, gradient.0);
    for _ in 0..rows {
        // SAFETY: both pointers are at one of the `rows` rows that the caller vouches for.
        unsafe {
            if S::WIDTH < LANES {
                let mut x = [s.splat(0.0); MR];
                for j in 0..MR {
                    x[j] = s.splat(*a.add(j));
                }
                for v in 0..NV {
                    let b = s.load(g.add(v * LANES));
                    for j in 0..MR {
                        sums[j][v] = s.fma(x[j], b, sums[j][v]);
                    }
                }
            } else {
                let mut b = [s.splat(0.0); NV];
                for v in 0..NV {
                    b[v] = s.load(g.add(v * LANES));
                }
                for j in 0..MR {
                    let x = s.splat(*a.add(j));
                    for v in 0..NV {
                        sums[j][v] = s.fma(x, b[v], sums[j][v]);
                    }
                }
            }
            a = a.wrapping_add(left.1);
            g = g.wrapping_add(gradient.1);
        }
    }
}

/// Memory for the sums of one tile.
#[repr(align(64))]
pub(crate) struct Scratch(MaybeUninit<[f32; 6 * 4 * LANES]>);

impl Scratch {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self(MaybeUninit::uninit())
    }
}

/// Writes the sums to `scratch`, vector `(r, v)` at `(r * NV + v) * WIDTH`.
#[inline(always)]
pub(crate) fn spill<S: Simd, const MR: usize, const NV: usize>(
    s: S,
    sums: &Sums<S, MR, NV>,
    scratch: &mut Scratch,
) -> *mut f32 {
    const { assert!(MR <= 6 && NV <= 4) }
    let p: *mut f32 = scratch.0.as_mut_ptr().cast();
    for r in 0..MR {
        for v in 0..NV {
            // SAFETY: (r * NV + v + 1) * WIDTH <= 6 * 4 * 16.
            unsafe { s.store(p.add((r * NV + v) * S::WIDTH), sums[r][v]) };
        }
    }
    p
}

/// A piece of work on a number of rows that is known beforehand.
pub(crate) trait RowTile<S: Simd> {
    /// # Safety
    /// Rows `row..row + MR` must lie inside the work, and belong to this thread.
    unsafe fn tile<const MR: usize>(&self, s: S, row: usize);
}

/// Cuts `rows` into nearly equal tiles of at most `S::TILE_ROWS` rows.
///
/// # Safety
/// As [`RowTile::tile`], for all of `rows`.
#[inline(always)]
pub(crate) unsafe fn over_rows<S: Simd, T: RowTile<S>>(s: S, tile: &T, rows: Range<usize>) {
    let mut row = rows.start;
    while row < rows.end {
        let rest = rows.end - row;
        let count = rest.div_ceil(rest.div_ceil(S::TILE_ROWS));
        // SAFETY: rows row..row + count lie inside `rows`, for which the caller vouches.
        unsafe {
            match count {
                1 => tile.tile::<1>(s, row),
                2 => tile.tile::<2>(s, row),
                3 => tile.tile::<3>(s, row),
                4 => tile.tile::<4>(s, row),
                5 => tile.tile::<5>(s, row),
                _ => tile.tile::<6>(s, row),
            }
        }
        row += count;
    }
}
