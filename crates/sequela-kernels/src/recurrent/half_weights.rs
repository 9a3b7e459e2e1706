//! Weight gradients with products in bf16: x and h of a chunk of rows, turned, against the gate
//! gradients of the same rows, in pairs of rows.

use super::half_back::{ChunkRow, HalfBackward, HiddenBefore};
use super::shape::Cell;
use super::weights::WeightPass;
use crate::buffer::LANES;
use crate::context::{Shared, share};
use crate::half::dot::{Dot, HalfKernel};
use crate::half::multiply::{Engine, Job, ROWS, Run, SCRATCH_ROW, SUMS, Scratch, Vectors};
use crate::half::operands::turn_pairs;
use crate::simd::Simd;
use crate::{Context, Error};
use std::ops::Range;

/// Adds what the rows of a chunk give to the weight gradients.
///
/// # Safety
/// The pointers must be valid for all rows of the list, which must be no more than the memory was
/// made for, and nothing else may use them meanwhile.
pub(super) unsafe fn add(
    context: &mut Context,
    half: &HalfBackward,
    weights: &WeightPass,
    list: &[ChunkRow],
    work: usize,
) -> Result<(), Error> {
    let job = Chunk { half, weights, list };
    // SAFETY: parts write their own weight rows of `columns`, then their own panels.
    let job = unsafe { Shared::new(job) };
    let (bf16, parts) = (half.bf16, context.parts_for(work));
    let blocks = blocks(half.shape.inputs) + blocks(half.shape.hidden);
    context.run_parts(parts, &|part| {
        bf16.dot.run(Turn { job: job.get(), blocks: share(blocks, part, parts) });
    })?;
    let panels = weights.packing.panels;
    context.run_parts(parts, &|part| {
        bf16.dot.run(Panels { job: job.get(), panels: share(panels, part, parts) });
    })
}

fn blocks(values: usize) -> usize {
    values.div_ceil(ROWS)
}

struct Chunk<'a> {
    half: &'a HalfBackward,
    weights: &'a WeightPass,
    list: &'a [ChunkRow],
}

/// Blocks of 16 weight rows: x, then h.
struct Turn<'a> {
    job: &'a Chunk<'a>,
    blocks: Range<usize>,
}

impl HalfKernel for Turn<'_> {
    #[inline(always)]
    fn run(self, s: Dot) {
        let Chunk { half, weights, list } = *self.job;
        let (inputs, to_row) = (blocks(half.shape.inputs), half.column_words());
        for block in self.blocks {
            for (group, rows) in list.chunks(2 * LANES).enumerate() {
                let mut from = [None; 2 * LANES];
                for (from, row) in from.iter_mut().zip(rows) {
                    *from = if block < inputs {
                        Some((weights.x, row.x, block))
                    } else {
                        let block = block - inputs;
                        match row.before {
                            HiddenBefore::Output(row) => Some((weights.y, row, block)),
                            HiddenBefore::Initial(rank) => Some((weights.initial, rank, block)),
                            HiddenBefore::Zero => None,
                        }
                    }
                    .map(|((p, stride), row, block)| p.wrapping_add(row * stride + block * LANES));
                }
                // SAFETY: rows of matrices are whole blocks of 16; the place in `columns` is
                // inside it and this thread's.
                unsafe {
                    let to = half.columns.add(block * ROWS * to_row + group * LANES);
                    let to = std::slice::from_raw_parts_mut(to, (LANES - 1) * to_row + LANES);
                    turn_pairs(s, from, to, to_row);
                }
            }
        }
    }
}

struct Panels<'a> {
    job: &'a Chunk<'a>,
    panels: Range<usize>,
}

impl HalfKernel for Panels<'_> {
    #[inline(always)]
    fn run(self, s: Dot) {
        let job = self.job;
        let engine = Engine::new(job.half.bf16, ROWS);
        for panel in self.panels {
            let vectors = match job.half.shape.cell {
                Cell::Elman(_) => job.weights.packing.row_vectors(panel),
                _ => 4,
            };
            // SAFETY: the caller of `add` vouches for all pointers; this thread owns the panel.
            unsafe {
                let pairs = job.half.pairs.add(panel * job.half.capacity * SUMS);
                job.pair_gradients(s, panel, vectors, pairs);
                job.products(s, &engine, panel, pairs);
            }
        }
    }
}

impl Chunk<'_> {
    /// Writes the gate gradients of a panel in pairs of rows, zeros up to a whole block, and adds
    /// their sums to the gradient of the biases.
    ///
    /// # Safety
    /// The pointers must be valid, and the panel this thread's.
    #[inline(always)]
    unsafe fn pair_gradients(&self, s: Dot, panel: usize, vectors: usize, pairs: *mut u32) {
        let wide = s.wide();
        let rows = self.list.len();
        let record = self.weights.record.0;
        // SAFETY: as the caller vouches; `add` says that the rows fit the memory of pairs.
        unsafe {
            let bias = self.weights.gradient.add(self.weights.packing.offset(panel));
            for v in 0..vectors {
                let mut sum = wide.load(bias.add(v * LANES));
                for pair in 0..rows.div_ceil(2 * ROWS) * ROWS {
                    let [mut first, mut second] = [s.zero(); 2];
                    if let Some(row) = self.list.get(2 * pair) {
                        let at = row.gradient + panel * row.block + v * LANES;
                        first = wide.load(record.add(at));
                    }
                    if let Some(row) = self.list.get(2 * pair + 1) {
                        let at = row.gradient + panel * row.block + v * LANES;
                        second = wide.load(record.add(at));
                    }
                    sum = wide.add(wide.add(sum, first), second);
                    s.store(pairs.add(pair * SUMS + v * LANES), s.pair(first, second));
                }
                wide.store(bias.add(v * LANES), sum);
            }
        }
    }

    /// Adds the products of a panel to the gradient.
    ///
    /// # Safety
    /// As [`Chunk::pair_gradients`], which must have been called.
    #[inline(always)]
    unsafe fn products(&self, s: Dot, engine: &Engine, panel: usize, pairs: *const u32) {
        let wide = s.wide();
        let (half, packing) = (self.half, &self.weights.packing);
        let mut scratch = Scratch::zeroed();
        let sums = scratch.pointer();
        let inputs = blocks(half.shape.inputs);
        let a_row = half.column_words() * size_of::<u32>();
        for block in 0..inputs + blocks(half.shape.hidden) {
            let (first, end, is_input) = if block < inputs {
                (block * ROWS, half.shape.inputs, true)
            } else {
                (half.shape.inputs + (block - inputs) * ROWS, packing.rows, false)
            };
            let rows = (end - first).min(ROWS);
            // SAFETY: as the caller vouches; the weight rows lie inside the panel.
            unsafe {
                let a = half.columns.add(block * ROWS * half.column_words()).cast_const().cast();
                let runs = [Run::new(a, pairs, self.list.len()), Run::NONE];
                let out = self.weights.gradient.add(packing.row_offset(panel, first));
                if half.shape.cell == Cell::Lstm && rows == ROWS {
                    let row = SCRATCH_ROW;
                    let job = Job { init: out, init_row: row, out, out_row: row, a_row, runs };
                    engine.multiply(Vectors::Four, &job, ROWS);
                    continue;
                }
                let (init, init_row) = (ZEROS.0.as_ptr(), 0);
                let job = Job { init, init_row, out: sums, out_row: SCRATCH_ROW, a_row, runs };
                engine.multiply(Vectors::Four, &job, ROWS);
                // Of the four sums of a GRU, x meets the first three and h the last three.
                let skip = match half.shape.cell {
                    Cell::Gru(_) if !is_input => 1,
                    _ => 0,
                };
                let vectors = packing.row_vectors(panel);
                for r in 0..rows {
                    for v in 0..vectors {
                        let to = out.add((r * vectors + v) * LANES);
                        let sum = wide.load(sums.add(r * SUMS + (v + skip) * LANES));
                        wide.store(to, wide.add(wide.load(to), sum));
                    }
                }
            }
        }
    }
}

#[repr(align(64))]
struct Zeros([f32; SUMS]);

/// One row of sums that begins a product.
static ZEROS: Zeros = Zeros([0.0; SUMS]);
