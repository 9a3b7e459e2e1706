//! The one product in bf16: up to 16 rows of pairs against pair rows of four (or three) vectors.

use super::Bf16;
use super::amx::{Configured, Tiles};
use super::dot::Dot;
use crate::buffer::LANES;
use crate::simd::Simd;
use std::arch::x86_64::__m512;
use std::mem::MaybeUninit;

/// Pairs in one block: contractions are padded with zeros to whole blocks.
pub(crate) const BLOCK: usize = 16;

/// Rows of one product.
pub(crate) const ROWS: usize = 16;

/// Sums of one row: four vectors.
pub(crate) const SUMS: usize = 4 * LANES;

/// From how many rows on a tile, whose time is that of 16 rows, is worth it.
const WORTH: usize = 2;

/// `out = init + a0 b0 + a1 b1`. Rows of `init`, `out` and `a` are bytes apart; pair rows of `b`
/// follow each other. The order of the fields is that in which `amx` reads them.
#[repr(C)]
pub(crate) struct Job {
    pub(crate) init: *const f32,
    pub(crate) init_row: usize,
    pub(crate) out: *mut f32,
    pub(crate) out_row: usize,
    pub(crate) a_row: usize,
    pub(crate) runs: [Run; 2],
}

/// One contraction.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) a: *const u32,
    pub(crate) b: *const u32,
    /// Blocks of 16 pairs.
    pub(super) blocks: usize,
    /// Pairs that are more than padding; an even number.
    pairs: usize,
}

impl Run {
    /// No contraction.
    pub(crate) const NONE: Self =
        Self { a: std::ptr::null(), b: std::ptr::null(), blocks: 0, pairs: 0 };

    /// A contraction over `values` values, padded to whole blocks of pairs on both sides.
    #[inline(always)]
    pub(crate) fn new(a: *const u32, b: *const u32, values: usize) -> Self {
        Self { a, b, blocks: values.div_ceil(2 * BLOCK), pairs: values.div_ceil(4) * 2 }
    }
}

/// Which sums the vectors of a pair row go to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Vectors {
    /// Four, to all four.
    Four,
    /// Three: of the first run to sums 0 to 2, of the second to sums 1 to 3.
    Three,
}

impl Vectors {
    pub(crate) fn count(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Three => 3,
        }
    }
}

/// What multiplies on this thread: tiles where they are there and worth it.
pub(crate) struct Engine {
    dot: Dot,
    tiles: Option<Configured>,
}

impl Engine {
    /// For work on `rows` rows.
    #[inline(always)]
    pub(crate) fn new(bf16: Bf16, rows: usize) -> Self {
        let tiles = bf16.tiles.filter(|_| rows >= WORTH).map(Tiles::configure);
        Self { dot: bf16.dot, tiles }
    }

    /// Computes `rows` (1 to 16) rows of a job; tiles compute 16.
    ///
    /// # Safety
    /// 16 rows of `a`, `init` and `out` must be readable or writable, whatever `rows` says;
    /// `a` and `b` must hold whole blocks.
    #[inline(always)]
    pub(crate) unsafe fn multiply(&self, vectors: Vectors, job: &Job, rows: usize) {
        // SAFETY: as the caller vouches.
        unsafe {
            match (&self.tiles, vectors) {
                (Some(tiles), Vectors::Four) => tiles.four(job),
                (Some(tiles), Vectors::Three) => tiles.three(job),
                (None, Vectors::Four) => over_rows::<4, 0>(self.dot, job, rows),
                (None, Vectors::Three) => over_rows::<3, 1>(self.dot, job, rows),
            }
        }
    }
}

/// # Safety
/// As [`Engine::multiply`].
#[inline(always)]
unsafe fn over_rows<const NV: usize, const SECOND: usize>(s: Dot, job: &Job, rows: usize) {
    let mut row = 0;
    while row < rows {
        let rest = rows - row;
        let count = rest.div_ceil(rest.div_ceil(6));
        // SAFETY: as the caller vouches; the rows lie inside the job.
        unsafe {
            match count {
                1 => tile::<1, NV, SECOND>(s, job, row),
                2 => tile::<2, NV, SECOND>(s, job, row),
                3 => tile::<3, NV, SECOND>(s, job, row),
                4 => tile::<4, NV, SECOND>(s, job, row),
                5 => tile::<5, NV, SECOND>(s, job, row),
                _ => tile::<6, NV, SECOND>(s, job, row),
            }
        }
        row += count;
    }
}

/// # Safety
/// As [`Engine::multiply`].
#[inline(always)]
unsafe fn tile<const MR: usize, const NV: usize, const SECOND: usize>(
    s: Dot,
    job: &Job,
    row: usize,
) {
    let wide = s.wide();
    let mut sums = [[s.zero(); 4]; MR];
    // SAFETY: as the caller vouches; rows row..row + MR lie inside the job.
    unsafe {
        for r in 0..MR {
            for v in 0..4 {
                let from = job.init.byte_add((row + r) * job.init_row).add(v * LANES);
                sums[r][v] = wide.load(from);
            }
        }
        contract::<MR, NV, 0>(s, &mut sums, job.runs[0], (row, job.a_row));
        contract::<MR, NV, SECOND>(s, &mut sums, job.runs[1], (row, job.a_row));
        for r in 0..MR {
            for v in 0..4 {
                let to = job.out.byte_add((row + r) * job.out_row).add(v * LANES);
                wide.store(to, sums[r][v]);
            }
        }
    }
}

/// Adds one contraction to the sums from vector `AT` on. A single row has two chains of sums for
/// each vector: the products of one would wait for one another.
///
/// # Safety
/// As [`Engine::multiply`].
#[inline(always)]
unsafe fn contract<const MR: usize, const NV: usize, const AT: usize>(
    s: Dot,
    sums: &mut [[__m512; 4]; MR],
    run: Run,
    (row, a_row): (usize, usize),
) {
    let a = run.a.wrapping_byte_add(row * a_row);
    let mut others = [[s.zero(); 4]; MR];
    let mut k = 0;
    while k < run.pairs {
        // SAFETY: the number of pairs is even, so k + 1 is one of them too.
        unsafe {
            let b = run.b.add(k * NV * LANES);
            pairs::<MR, NV, AT>(s, sums, (a.add(k), a_row), b);
            let (a, b) = ((a.add(k + 1), a_row), b.add(NV * LANES));
            if MR == 1 {
                pairs::<MR, NV, AT>(s, &mut others, a, b);
            } else {
                pairs::<MR, NV, AT>(s, sums, a, b);
            }
        }
        k += 2;
    }
    if MR == 1 {
        for v in AT..AT + NV {
            sums[0][v] = s.wide().add(sums[0][v], others[0][v]);
        }
    }
}

/// One pair of every row.
///
/// # Safety
/// `MR` pairs `a_row` bytes apart must be readable at `a`, `NV` vectors at `b`.
#[inline(always)]
unsafe fn pairs<const MR: usize, const NV: usize, const AT: usize>(
    s: Dot,
    sums: &mut [[__m512; 4]; MR],
    (a, a_row): (*const u32, usize),
    b: *const u32,
) {
    // SAFETY: as the caller vouches.
    unsafe {
        let mut weights = [s.load(b); NV];
        for v in 1..NV {
            weights[v] = s.load(b.add(v * LANES));
        }
        for r in 0..MR {
            let x = s.splat(a.byte_add(r * a_row));
            for v in 0..NV {
                sums[r][AT + v] = s.dot(sums[r][AT + v], x, weights[v]);
            }
        }
    }
}

/// Memory for the sums of 16 rows.
#[repr(align(64))]
pub(crate) struct Scratch(MaybeUninit<[f32; ROWS * SUMS]>);

impl Scratch {
    /// All zeros.
    #[inline(always)]
    pub(crate) fn zeroed() -> Self {
        Self(MaybeUninit::zeroed())
    }

    #[inline(always)]
    pub(crate) fn pointer(&mut self) -> *mut f32 {
        self.0.as_mut_ptr().cast()
    }
}

/// Bytes between the rows of a [`Scratch`].
pub(crate) const SCRATCH_ROW: usize = SUMS * size_of::<f32>();
