//! Packed weights: the only form in which weights live, and its transpose for the way back.
//!
//! A packed buffer is a row of panels. Each panel holds the weights of up to four vectors of 16
//! outputs: first its biases, then one row of vectors for each input value k:
//!
//! ```text
//! panel 0                                   panel 1 ...
//! [bias vectors][k = 0 vectors][k = 1 ...]  [bias vectors]...
//! ```
//!
//! A tile then reads one contiguous stream. Optimisers work on this form, so nothing is ever
//! packed again while training. Lanes beyond the last output hold 0 and get gradient 0.

use crate::buffer::LANES;
use crate::simd::{Kernel, Simd};
use std::ops::Range;

/// Vectors in a full panel; 4 vectors of 6 rows fill the registers of AVX-512.
pub(crate) const VECTORS: usize = 4;

/// The geometry of one packed buffer. Its lengths, and those of its transposes, do not overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    /// Number of panels.
    pub(crate) panels: usize,
    /// Bias vectors of a full panel.
    pub(crate) bias: usize,
    /// Vectors of each weight row of a full panel.
    pub(crate) vectors: usize,
    /// Vectors in the last panel, for biases and rows alike, where it is not full.
    pub(crate) last: Option<usize>,
    /// Weight rows: values of the left operand, K.
    pub(crate) rows: usize,
}

impl Packing {
    /// Weights of a plain product: `outputs` columns, 64 to a panel.
    ///
    /// # Panics
    /// If they are more than any memory holds.
    pub(crate) fn plain(rows: usize, outputs: usize) -> Self {
        let blocks = outputs.div_ceil(LANES);
        let rest = blocks % VECTORS;
        Self {
            panels: blocks.div_ceil(VECTORS),
            bias: VECTORS,
            vectors: VECTORS,
            last: (rest > 0).then_some(rest),
            rows,
        }
        .checked()
    }

    /// Weights of gates: one panel for each block of 16 units.
    ///
    /// # Panics
    /// If they are more than any memory holds.
    pub(crate) fn gates(rows: usize, units: usize, bias: usize, vectors: usize) -> Self {
        Self { panels: units.div_ceil(LANES), bias, vectors, last: None, rows }.checked()
    }

    /// Kernels trust lengths, so one that has overflowed must not pass for a short one. The
    /// transpose of one weight row is 16 times as long as the row, hence the margin.
    fn checked(self) -> Self {
        let most = (usize::MAX >> 8) / self.panels.max(1).saturating_mul(LANES);
        let vectors = self.rows.saturating_mul(self.vectors).saturating_add(self.bias);
        assert!(vectors <= most, "{} inputs of {} panels are too many", self.rows, self.panels);
        self
    }

    fn partial(&self, panel: usize) -> Option<usize> {
        self.last.filter(|_| panel + 1 == self.panels)
    }

    /// Bias vectors of `panel`.
    pub(crate) fn bias_vectors(&self, panel: usize) -> usize {
        self.partial(panel).unwrap_or(self.bias)
    }

    /// Vectors of each weight row of `panel`.
    pub(crate) fn row_vectors(&self, panel: usize) -> usize {
        self.partial(panel).unwrap_or(self.vectors)
    }

    /// Where `panel` starts.
    pub(crate) fn offset(&self, panel: usize) -> usize {
        panel * (self.bias + self.vectors * self.rows) * LANES
    }

    /// Where weight row `k` of `panel` starts.
    pub(crate) fn row_offset(&self, panel: usize, k: usize) -> usize {
        self.offset(panel) + (self.bias_vectors(panel) + self.row_vectors(panel) * k) * LANES
    }

    /// Length of the packed buffer.
    pub(crate) fn length(&self) -> usize {
        self.panels.checked_sub(1).map_or(0, |last| self.row_offset(last, self.rows))
    }

    /// Vectors of all weight rows side by side: what the transpose walks over.
    pub(crate) fn columns(&self) -> usize {
        match self.last {
            Some(last) => (self.panels - 1) * self.vectors + last,
            None => self.panels * self.vectors,
        }
    }

    /// Length of the transpose of `rows` weight rows.
    pub(crate) fn transposed_length(&self, rows: usize) -> usize {
        rows.div_ceil(LANES) * LANES * self.columns() * LANES
    }
}

/// The panels of a transpose: up to 64 of `rows` weight rows each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transposed {
    /// Blocks of 16 weight rows.
    pub(crate) blocks: usize,
    /// Values that a product with it walks over: 16 for each column of the packing.
    pub(crate) depth: usize,
}

impl Transposed {
    pub(crate) fn new(packing: &Packing, rows: usize) -> Self {
        Self { blocks: rows.div_ceil(LANES), depth: packing.columns() * LANES }
    }

    pub(crate) fn panels(&self) -> usize {
        self.blocks.div_ceil(VECTORS)
    }

    /// Vectors in each row of `panel`.
    pub(crate) fn vectors(&self, panel: usize) -> usize {
        (self.blocks - panel * VECTORS).min(VECTORS)
    }

    pub(crate) fn offset(&self, panel: usize) -> usize {
        panel * VECTORS * LANES * self.depth
    }
}

/// Writes the transpose of weight rows `rows` of `packed`: panels of 64 weight rows, in which
/// the columns of the packing follow each other.
pub(crate) struct Transpose<'a> {
    pub(crate) packing: Packing,
    pub(crate) rows: Range<usize>,
    pub(crate) packed: &'a [f32],
    pub(crate) transposed: &'a mut [f32],
}

impl Kernel for Transpose<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { packing, rows, packed, transposed } = self;
        let to = Transposed::new(&packing, rows.len());
        assert!(packed.len() >= packing.length() && rows.end <= packing.rows);
        assert!(transposed.len() >= packing.transposed_length(rows.len()));
        for block in 0..to.blocks {
            let first = rows.start + block * LANES;
            let count = (rows.end - first).min(LANES);
            let panel = block / VECTORS;
            let width = to.vectors(panel) * LANES;
            let start = to.offset(panel) + (block % VECTORS) * LANES;
            let mut column = 0;
            for from in 0..packing.panels {
                let vectors = packing.row_vectors(from);
                for v in 0..vectors {
                    let source = &packed[packing.row_offset(from, first) + v * LANES..];
                    let target = &mut transposed[start + column * LANES * width..];
                    if count == LANES {
                        s.transpose(source, vectors * LANES, target, width);
                    } else {
                        // Zeros for the rows there are not: they get into the padding of gradients.
                        let mut rows = [0.0; LANES * LANES];
                        for (k, row) in rows.chunks_exact_mut(LANES).take(count).enumerate() {
                            row.copy_from_slice(&source[k * vectors * LANES..][..LANES]);
                        }
                        s.transpose(&rows, LANES, target, width);
                    }
                    column += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    #[test]
    fn lengths_that_overflow_are_refused() {
        for (rows, outputs) in [(1 << 58, 1), (1, usize::MAX), (1 << 32, 1 << 32), (0, 1 << 60)] {
            let plain = std::panic::catch_unwind(|| Packing::plain(rows, outputs));
            let gates = std::panic::catch_unwind(|| Packing::gates(rows, outputs, 4, 3));
            assert!(plain.is_err() && gates.is_err(), "{rows} {outputs}");
        }
        assert_eq!(Packing::plain(0, 0).length(), 0);
    }

    #[test]
    fn transposes_agree_with_the_definition_on_every_instruction_set() {
        for (rows, outputs) in [(5, 3), (16, 16), (37, 70), (64, 128), (130, 33)] {
            let packing = Packing::plain(rows, outputs);
            let packed: Vec<f32> = (0..packing.length()).map(|i| i as f32).collect();
            let range = 1..rows;
            let to = Transposed::new(&packing, range.len());
            for isa in Isa::all() {
                let mut transposed = vec![f32::NAN; packing.transposed_length(range.len())];
                isa.run(Transpose {
                    packing,
                    rows: range.clone(),
                    packed: &packed,
                    transposed: &mut transposed,
                });
                for k in range.clone() {
                    for d in 0..packing.columns() * LANES {
                        let (panel, inside) = (d / 64, d % 64);
                        let want = packed[packing.row_offset(panel, k) + inside];
                        let row = k - 1;
                        let at = to.offset(row / 64) + d * to.vectors(row / 64) * LANES + row % 64;
                        assert_eq!(transposed[at], want, "k {k} d {d} {}", isa.name());
                    }
                }
                assert!(transposed.iter().all(|v| !v.is_nan()), "padding {}", isa.name());
            }
        }
    }
}
