//! Sums of outer products over rows: gradients of weights.

use crate::buffer::LANES;
use crate::simd::Simd;
use crate::tile::{RowTile, Sums, outer, over_rows};
use std::ops::Range;

/// Adds the sums of `vectors` vectors over rows to `out`, rows in order.
///
/// # Safety
/// `rows` rows of `dy` must be readable, `out` writable, for `vectors` blocks each.
#[inline(always)]
pub(crate) unsafe fn column_sums<S: Simd>(
    s: S,
    dy: (*const f32, usize),
    rows: usize,
    out: *mut f32,
    vectors: usize,
) {
    // SAFETY: as the caller vouches.
    unsafe {
        match vectors {
            1 => sums_of::<S, 1>(s, dy, rows, out),
            2 => sums_of::<S, 2>(s, dy, rows, out),
            3 => sums_of::<S, 3>(s, dy, rows, out),
            _ => sums_of::<S, 4>(s, dy, rows, out),
        }
    }
}

/// # Safety
/// As [`column_sums`].
#[inline(always)]
unsafe fn sums_of<S: Simd, const NV: usize>(
    s: S,
    dy: (*const f32, usize),
    rows: usize,
    out: *mut f32,
) {
    let mut sums = [s.splat(0.0); NV];
    // SAFETY: as the caller vouches.
    unsafe {
        for v in 0..NV {
            sums[v] = s.load(out.add(v * LANES));
        }
        for row in 0..rows {
            for v in 0..NV {
                sums[v] = s.add(sums[v], s.load(dy.0.add(row * dy.1 + v * LANES)));
            }
        }
        for v in 0..NV {
            s.store(out.add(v * LANES), sums[v]);
        }
    }
}

/// A run of rows of an outer product: where they start in both operands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OuterStep {
    /// Row of the left operand.
    pub(crate) left: usize,
    /// Offset into the gradient, at panel 0.
    pub(crate) gradient: usize,
    /// Offset of each further panel of the gradient.
    pub(crate) block: usize,
    pub(crate) rows: usize,
}

/// A sum of outer products over several runs of rows, in order, for one panel of weights.
#[derive(Clone, Copy)]
pub(crate) struct Outer<'a> {
    /// The left operand and the distance of its rows.
    pub(crate) left: (*const f32, usize),
    /// The gradient and the distance of its rows.
    pub(crate) gradient: (*const f32, usize),
    pub(crate) steps: &'a [OuterStep],
    pub(crate) panel: usize,
    /// Weight row 0 of the panel, and the distance of weight rows.
    pub(crate) out: *mut f32,
    pub(crate) out_row: usize,
}

impl Outer<'_> {
    /// Adds the sum to `vectors` vectors of weight rows `rows`.
    ///
    /// # Safety
    /// All runs must be readable for these columns and vectors, and `out` writable.
    #[inline(always)]
    pub(crate) unsafe fn accumulate<S: Simd>(&self, s: S, rows: Range<usize>, vectors: usize) {
        if self.steps.is_empty() {
            return;
        }
        // SAFETY: as the caller vouches.
        unsafe {
            match vectors {
                1 => self.vectors::<S, 1>(s, rows),
                2 => self.vectors::<S, 2>(s, rows),
                3 => self.vectors::<S, 3>(s, rows),
                _ => self.vectors::<S, 4>(s, rows),
            }
        }
    }

    /// [`Outer::accumulate`] for a number of vectors known beforehand.
    ///
    /// # Safety
    /// As [`Outer::accumulate`].
    #[inline(always)]
    pub(crate) unsafe fn vectors<S: Simd, const NV: usize>(&self, s: S, rows: Range<usize>) {
        // SAFETY: as the caller vouches.
        unsafe { over_rows(s, &OuterTile::<NV>(self), rows) }
    }
}

/// `NV` vectors of an outer product.
struct OuterTile<'a, const NV: usize>(&'a Outer<'a>);

impl<S: Simd, const NV: usize> RowTile<S> for OuterTile<'_, NV> {
    #[inline(always)]
    unsafe fn tile<const MR: usize>(&self, s: S, k: usize) {
        let job = self.0;
        // SAFETY: MR weight rows from k on lie inside the panel and the columns of every run.
        unsafe {
            let out = job.out.add(k * job.out_row);
            let mut sums: Sums<S, MR, NV> = [[s.splat(0.0); NV]; MR];
            for j in 0..MR {
                for v in 0..NV {
                    sums[j][v] = s.load(out.add(j * job.out_row + v * LANES));
                }
            }
            for step in job.steps {
                let left = job.left.0.add(step.left * job.left.1 + k);
                let gradient = job.gradient.0.add(step.gradient + job.panel * step.block);
                let left = (left, job.left.1);
                outer(s, &mut sums, left, (gradient, job.gradient.1), step.rows);
            }
            for j in 0..MR {
                for v in 0..NV {
                    s.store(out.add(j * job.out_row + v * LANES), sums[j][v]);
                }
            }
        }
    }
}
