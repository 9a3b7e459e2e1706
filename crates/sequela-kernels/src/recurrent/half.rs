//! Recurrent layers with products in bf16: what they remember, and their steps forward.
//!
//! x and h of a step are rounded row by row when the step begins; the sums of a tile go through
//! memory to the same gate functions as in f32. The way back is in `half_back`.

use super::cell::{Finishes, StepForward};
use super::elman::Elman;
use super::gru::Gru;
pub(super) use super::half_back::{Back, ChunkRow, HalfBackward, HiddenBefore};
pub(super) use super::half_weights::add as add_weights;
use super::lstm::Lstm;
use super::shape::{Cell, RecurrentShape, Reset};
use super::workspace::{Capacity, Keep};
use crate::buffer::{Buffer, stride, values};
use crate::half::Bf16;
use crate::half::dot::{Dot, HalfKernel};
use crate::half::multiply::{Engine, Job, ROWS, Run, SCRATCH_ROW, Scratch, Vectors};
use crate::half::operands::{RoundWeights, RoundedPacking, Words, padded_pairs, round_row};
use crate::half::single::{self, Values};
use crate::panel::VECTORS;
use crate::tile::At;
use crate::{Context, Error, LANES, Precision};
use std::ops::Range;

/// What a layer in bf16 has beside its f32 memory.
#[derive(Debug, Clone)]
pub(super) struct Half {
    pub(super) bf16: Bf16,
    pub(super) shape: RecurrentShape,
    /// Threads that it has rows for.
    pub(super) parts: usize,
    /// `Nested` where there is one sequence only, on a processor with tiles.
    words: Words,
    /// Version of the weights that were rounded last.
    rounded: Option<u64>,
    weights: Buffer,
    /// Rounded rows of x and h of the step in work, by rank; 16 rows more for each thread,
    /// because tiles read 16.
    rows: Buffer,
    back: Option<Back>,
}

impl Half {
    /// # Errors
    /// [`Error::Precision`] where the processor or the cell cannot.
    pub(super) fn new(
        shape: RecurrentShape,
        capacity: Capacity,
        keep: Keep,
        context: &Context,
    ) -> Result<Self, Error> {
        shape.check_precision(Precision::Bf16, context.isa)?;
        let bf16 = Bf16::on(context.isa)?;
        let parts = context.threads();
        let rows = capacity.sequences.saturating_add(parts * ROWS);
        Ok(Self {
            bf16,
            shape,
            parts,
            words: match (bf16.tiles, capacity.sequences, keep) {
                (Some(_), 1, Keep::Nothing) => Words::Nested,
                _ => Words::Pairs,
            },
            rounded: None,
            weights: Buffer::new(form(&shape).length()),
            rows: Buffer::new(values(rows, row_words(&shape))),
            back: (keep == Keep::Backward).then(|| Back::new(&shape, capacity, parts)),
        })
    }

    /// Bytes of all buffers.
    pub(super) fn bytes(&self) -> usize {
        let back = self.back.as_ref().map_or(0, Back::bytes);
        4 * (self.weights.len() + self.rows.len()) + back
    }

    /// Rounds the weights for all that comes, unless that was done for this version of them.
    pub(super) fn round(&mut self, packed: &[f32], version: u64) {
        if self.rounded.replace(version) == Some(version) {
            return;
        }
        let form = form(&self.shape);
        self.bf16.dot.run(RoundWeights {
            form,
            words: self.words,
            packed,
            rounded: &mut self.weights,
        });
        if let Some(back) = &mut self.back {
            back.round(self.bf16, &self.shape, packed);
        }
    }

    /// The pointers of a pass back; none where nothing is kept.
    pub(super) fn backward(&mut self) -> Option<HalfBackward> {
        let Self { bf16, shape, back, .. } = self;
        back.as_mut().map(|back| back.pass(*bf16, shape))
    }

    /// The list of a chunk's rows, to be filled and [put back](Self::put_list).
    pub(super) fn take_list(&mut self) -> Option<Vec<ChunkRow>> {
        self.back.as_mut().map(|back| std::mem::take(&mut back.list))
    }

    /// See [`Self::take_list`].
    pub(super) fn put_list(&mut self, list: Vec<ChunkRow>) {
        if let Some(back) = &mut self.back {
            back.list = list;
        }
    }

    /// The pointers of a forward pass.
    ///
    /// # Panics
    /// If weights were never rounded.
    pub(super) fn forward(&mut self) -> HalfForward {
        assert!(self.rounded.is_some(), "weights have to be rounded before a pass in bf16");
        HalfForward {
            bf16: self.bf16,
            words: self.words,
            form: form(&self.shape),
            weights: self.weights.as_ptr(),
            rows: self.rows.as_mut_ptr().cast(),
            row: row_words(&self.shape),
            shape: self.shape,
        }
    }
}

fn form(shape: &RecurrentShape) -> RoundedPacking {
    let vectors = match shape.cell {
        Cell::Gru(_) | Cell::GruD(_) => Vectors::Three,
        // The last three have no form in bf16.
        Cell::Elman(_) | Cell::Lstm | Cell::MinGru | Cell::MinLstm | Cell::Lru => Vectors::Four,
    };
    RoundedPacking { packing: shape.packing(), inputs: shape.inputs, vectors }
}

/// Words of a rounded row: x, then h.
fn row_words(shape: &RecurrentShape) -> usize {
    stride(padded_pairs(shape.inputs) + padded_pairs(shape.hidden))
}

/// Where one thread's forward pass finds its operands.
#[derive(Clone, Copy)]
pub(super) struct HalfForward {
    bf16: Bf16,
    words: Words,
    form: RoundedPacking,
    weights: *const f32,
    /// Rounded row of rank 0.
    rows: *mut u32,
    row: usize,
    shape: RecurrentShape,
}

impl HalfForward {
    /// The same for one part, whose rows are apart from those of the others.
    pub(super) fn of_part(self, part: usize) -> Self {
        Self { rows: self.rows.wrapping_add(part * ROWS * self.row), ..self }
    }

    /// One step of some rows.
    pub(super) fn run(&self, step: &StepForward, rows: Range<usize>) {
        match self.shape.cell {
            Cell::Elman(activation) => self.tiles(Elman(activation), step, rows),
            Cell::Lstm => self.tiles(Lstm, step, rows),
            Cell::Gru(Reset::AfterProduct) => self.tiles(Gru, step, rows),
            // Refused when the memory was made.
            Cell::Gru(Reset::BeforeProduct)
            | Cell::GruD(_)
            | Cell::MinGru
            | Cell::MinLstm
            | Cell::Lru => {}
        }
    }

    fn tiles<C: Finishes>(&self, cell: C, step: &StepForward, rows: Range<usize>) {
        if self.words == Words::Nested {
            self.bf16.dot.run(ForwardRow { half: self, cell, step, rows });
        } else {
            self.bf16.dot.run(ForwardRows { half: self, cell, step, rows });
        }
    }
}

struct ForwardRows<'a, C> {
    half: &'a HalfForward,
    cell: C,
    step: &'a StepForward,
    rows: Range<usize>,
}

impl<C: Finishes> HalfKernel for ForwardRows<'_, C> {
    #[inline(always)]
    fn run(self, s: Dot) {
        let Self { half, cell, step, rows } = self;
        let HalfForward { form, row: words, shape, .. } = *half;
        let hidden = padded_pairs(shape.inputs);
        for row in rows.clone() {
            // SAFETY: whoever made the step vouches for its rows; a rounded row has room for
            // both.
            unsafe {
                let to = half.rows.add(row * words);
                round_row(s, step.x.p.add(row * step.x.row), shape.inputs, to);
                if let Some(previous) = &step.previous {
                    let from = previous.p.add(row * previous.row);
                    round_row(s, from, shape.hidden, to.add(hidden));
                }
            }
        }
        let engine = Engine::new(half.bf16, rows.len());
        let mut scratch = Scratch::zeroed();
        let z = scratch.pointer();
        for n in 0..form.packing.panels {
            let panel = step.sweep.panel(n, form.packing.panels);
            let mut row = rows.start;
            while row < rows.end {
                let count = (rows.end - row).min(ROWS);
                // SAFETY: the rounded rows go on for 16 rows after the last; the panel lies
                // inside the rounded weights; whoever made the step vouches for the tile.
                unsafe {
                    let bias = half.weights.add(form.offset(panel));
                    let a = half.rows.add(row * words).cast_const();
                    let b: *const u32 = bias.add(VECTORS * LANES).cast();
                    let input = Run::new(a, b, shape.inputs);
                    let previous = if step.previous.is_some() {
                        Run::new(a.add(hidden), b.add(form.hidden_offset()), shape.hidden)
                    } else {
                        Run::NONE
                    };
                    let job = Job {
                        init: bias,
                        init_row: 0,
                        out: z,
                        out_row: SCRATCH_ROW,
                        a_row: words * size_of::<u32>(),
                        runs: [input, previous],
                    };
                    engine.multiply(form.vectors, &job, count);
                    cell.gates(s.wide(), step, At { panel, part: 0, row }, count, z);
                }
                row += count;
            }
        }
    }
}

/// The one sequence of a stream, from f32 values.
struct ForwardRow<'a, C> {
    half: &'a HalfForward,
    cell: C,
    step: &'a StepForward,
    rows: Range<usize>,
}

impl<C: Finishes> HalfKernel for ForwardRow<'_, C> {
    #[inline(always)]
    fn run(self, s: Dot) {
        let Self { half, cell, step, rows } = self;
        let HalfForward { form, shape, .. } = *half;
        let mut scratch = Scratch::zeroed();
        let z = scratch.pointer();
        for row in rows {
            for n in 0..form.packing.panels {
                let panel = step.sweep.panel(n, form.packing.panels);
                // SAFETY: the panel lies inside the rounded weights; whoever made the step
                // vouches for the row.
                unsafe {
                    let bias = half.weights.add(form.offset(panel));
                    let b: *const u32 = bias.add(VECTORS * LANES).cast();
                    let x = step.x.p.add(row * step.x.row);
                    let input = Values { a: x, b, count: shape.inputs };
                    let previous = step.previous.as_ref().map(|previous| Values {
                        a: previous.p.wrapping_add(row * previous.row),
                        b: b.wrapping_add(form.hidden_offset()),
                        count: shape.hidden,
                    });
                    single::multiply(s, form.vectors, bias, [Some(input), previous], z);
                    cell.gates(s.wide(), step, At { panel, part: 0, row }, 1, z);
                }
            }
        }
    }
}
