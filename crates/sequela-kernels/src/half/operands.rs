//! Operands of products, rounded to bf16: rows, transposed pairs of rows, and weights.

use super::dot::{Dot, HalfKernel};
use super::multiply::{BLOCK, Vectors};
use crate::buffer::LANES;
use crate::panel::{Packing, VECTORS};
use crate::simd::Simd;
use std::ops::Range;

/// Pairs that hold `values` values, in whole blocks.
pub(crate) fn padded_pairs(values: usize) -> usize {
    values.div_ceil(2 * BLOCK) * BLOCK
}

/// Writes `values` values of a row as pairs, then zeros up to a whole block.
///
/// # Safety
/// `values` must be readable at `from`, [`padded_pairs`] writable at `to`.
#[inline(always)]
pub(crate) unsafe fn round_row(s: Dot, from: *const f32, values: usize, to: *mut u32) {
    // SAFETY: as the caller vouches: lanes beyond `values` are not read.
    unsafe {
        for block in 0..values.div_ceil(2 * LANES) {
            let first = block * 2 * LANES;
            let low = s.load_some(from.add(first), values - first);
            let rest = values.saturating_sub(first + LANES);
            let high =
                if rest == 0 { s.zero() } else { s.load_some(from.add(first + LANES), rest) };
            s.store(to.add(block * BLOCK), s.round(low, high));
        }
    }
}

/// The form of rounded weights: for each panel four bias vectors in f32, then the pair rows of x,
/// then those of h, each padded with zeros to whole blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundedPacking {
    pub(crate) packing: Packing,
    pub(crate) inputs: usize,
    pub(crate) vectors: Vectors,
}

impl RoundedPacking {
    fn hidden(&self) -> usize {
        self.packing.rows - self.inputs
    }

    /// Where a panel starts, in words of four bytes.
    pub(crate) fn offset(&self, panel: usize) -> usize {
        let pairs = padded_pairs(self.inputs) + padded_pairs(self.hidden());
        panel * (VECTORS + self.vectors.count() * pairs) * LANES
    }

    /// Where the pair rows of h start in a panel, counted from those of x.
    pub(crate) fn hidden_offset(&self) -> usize {
        self.vectors.count() * padded_pairs(self.inputs) * LANES
    }

    /// Words in all.
    pub(crate) fn length(&self) -> usize {
        self.offset(self.packing.panels)
    }
}

/// What a pair of weights becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Words {
    /// Two numbers in bf16.
    Pairs,
    /// What `single` reads.
    Nested,
}

/// Rounds packed weights; what padding holds stays as it is, so zeros.
pub(crate) struct RoundWeights<'a> {
    pub(crate) form: RoundedPacking,
    pub(crate) words: Words,
    pub(crate) packed: &'a [f32],
    pub(crate) rounded: &'a mut [f32],
}

impl HalfKernel for RoundWeights<'_> {
    #[inline(always)]
    fn run(self, s: Dot) {
        let Self { form, words, packed, rounded } = self;
        let packing = form.packing;
        assert!(packed.len() >= packing.length() && rounded.len() >= form.length());
        let width = form.vectors.count();
        for panel in 0..packing.panels {
            let to = &mut rounded[form.offset(panel)..form.offset(panel + 1)];
            let (bias, to) = to.split_at_mut(VECTORS * LANES);
            let biases = packing.bias_vectors(panel) * LANES;
            bias[..biases].copy_from_slice(&packed[packing.offset(panel)..][..biases]);
            let (input, hidden) = to.split_at_mut(form.hidden_offset());
            let parts = [(0..form.inputs, input), (form.inputs..packing.rows, hidden)];
            for (rows, to) in parts {
                for (pair, k) in rows.clone().step_by(2).enumerate() {
                    for v in 0..packing.row_vectors(panel) {
                        let first = &packed[packing.row_offset(panel, k) + v * LANES..][..LANES];
                        let to = &mut to[(pair * width + v) * LANES..][..LANES];
                        let second = if k + 1 < rows.end { k + 1 } else { k };
                        let second =
                            &packed[packing.row_offset(panel, second) + v * LANES..][..LANES];
                        // SAFETY: all three slices hold 16 values.
                        unsafe {
                            let first = s.wide().load(first.as_ptr());
                            let second = if k + 1 < rows.end {
                                s.wide().load(second.as_ptr())
                            } else {
                                s.zero()
                            };
                            let pair = match words {
                                Words::Pairs => s.pair(first, second),
                                Words::Nested => s.nest(first, second),
                            };
                            s.store(to.as_mut_ptr().cast(), pair);
                        }
                    }
                }
            }
        }
    }
}

/// Where the 16 values of vector `v` of block `block` of a record stand among the weights:
/// panel and vector, or nowhere.
pub(crate) type Column = fn(block: usize, v: usize) -> Option<(usize, usize)>;

/// The form of rounded transposed weights: panels of four blocks of 16 weight rows; in each, pair
/// rows over the values of a record, padded with zeros to whole blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundedTranspose {
    /// Weight rows, one for each output of the product.
    pub(crate) outputs: usize,
    /// Values of a record: what is contracted over.
    pub(crate) depth: usize,
}

impl RoundedTranspose {
    pub(crate) fn panels(&self) -> usize {
        self.outputs.div_ceil(VECTORS * LANES)
    }

    /// Blocks of 16 outputs in a panel.
    pub(crate) fn vectors(&self, panel: usize) -> usize {
        (self.outputs.div_ceil(LANES) - panel * VECTORS).min(VECTORS)
    }

    /// Where a panel starts, in words of four bytes.
    pub(crate) fn offset(&self, panel: usize) -> usize {
        panel * padded_pairs(self.depth) * VECTORS * LANES
    }

    /// Words in all.
    pub(crate) fn length(&self) -> usize {
        self.offset(self.panels())
    }
}

/// Rounds the transpose of weight rows `rows`; padding stays as it is, so zeros.
pub(crate) struct RoundTranspose<'a> {
    pub(crate) form: RoundedTranspose,
    pub(crate) packing: Packing,
    pub(crate) rows: Range<usize>,
    /// Vectors in a block of the record, and where each stands.
    pub(crate) vectors: usize,
    pub(crate) column: Column,
    pub(crate) packed: &'a [f32],
    pub(crate) rounded: &'a mut [f32],
}

impl HalfKernel for RoundTranspose<'_> {
    #[inline(always)]
    fn run(self, s: Dot) {
        let Self { form, packing, rows, vectors, column, packed, rounded } = self;
        assert!(packed.len() >= packing.length() && rounded.len() >= form.length());
        let mut block = [0.0; LANES * LANES];
        let mut turned = [0.0; LANES * LANES];
        for (outputs, first) in rows.clone().step_by(LANES).enumerate() {
            let count = (rows.end - first).min(LANES);
            let to = form.offset(outputs / VECTORS) + outputs % VECTORS * LANES;
            for at in 0..form.depth / LANES {
                let Some((panel, v)) = column(at / vectors, at % vectors) else { continue };
                for k in 0..count {
                    let from = packing.row_offset(panel, first + k) + v * LANES;
                    block[k * LANES..][..LANES].copy_from_slice(&packed[from..][..LANES]);
                }
                block[count * LANES..].fill(0.0);
                s.wide().transpose(&block, LANES, &mut turned, LANES);
                for pair in 0..LANES / 2 {
                    let row = at * LANES / 2 + pair;
                    let to = &mut rounded[to + row * VECTORS * LANES..][..LANES];
                    // SAFETY: both slices hold the values that are read or written.
                    unsafe {
                        let first = s.wide().load(turned[2 * pair * LANES..].as_ptr());
                        let second = s.wide().load(turned[(2 * pair + 1) * LANES..].as_ptr());
                        s.store(to.as_mut_ptr().cast(), s.pair(first, second));
                    }
                }
            }
        }
    }
}

/// Writes 16 columns of pairs of rows, one below the other: the left operand of a product that
/// contracts over rows. A row is where its 16 values stand; `None` is zeros.
///
/// # Safety
/// 16 values must be readable at every row; `to` must be writable for 16 rows of `to_row` words.
#[inline(always)]
pub(crate) unsafe fn turn_pairs(
    s: Dot,
    rows: [Option<*const f32>; 2 * LANES],
    to: &mut [f32],
    to_row: usize,
) {
    let mut pairs = [0.0; LANES * LANES];
    let load = |row: Option<*const f32>| match row {
        // SAFETY: as the caller vouches.
        Some(row) => unsafe { s.wide().load(row) },
        None => s.zero(),
    };
    for p in 0..LANES {
        let pair = s.pair(load(rows[2 * p]), load(rows[2 * p + 1]));
        // SAFETY: 16 words lie at p * 16.
        unsafe { s.store(pairs[p * LANES..].as_mut_ptr().cast(), pair) }
    }
    // A pair is a word of four bytes: it moves as an f32 would.
    s.wide().transpose(&pairs, LANES, to, to_row);
}
