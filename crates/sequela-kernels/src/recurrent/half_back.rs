//! The way back with products in bf16.
//!
//! Gate gradients are computed and kept in f32, as in f32 training; what is rounded is the copy
//! that meets U, W, x and h. Sums of the biases are those of f32.

use super::cell::{BlocksAt, Finishes, RowsAt, StepBackward};
use super::shape::{Cell, RecurrentShape};
use super::workspace::Capacity;
use crate::CHUNK_ROWS;
use crate::buffer::{Buffer, LANES, Write, stride, values};
use crate::half::Bf16;
use crate::half::dot::{Dot, HalfKernel};
use crate::half::multiply::{Engine, Job, ROWS, Run, SCRATCH_ROW, SUMS, Scratch, Vectors};
use crate::half::operands::{Column, RoundTranspose, RoundedTranspose, padded_pairs, round_row};
use crate::panel::VECTORS;
use crate::simd::{Simd, flush};
use crate::tile::At;
use std::ops::Range;

/// What the way back in bf16 has beside the f32 memory.
#[derive(Debug, Clone)]
pub(super) struct Back {
    /// Transposes of U and of W.
    hidden: Buffer,
    input: Buffer,
    /// Rounded gate gradients of the step in work, by rank.
    gates: Buffer,
    /// x and h of the rows of a chunk: for each weight row the pairs of rows.
    columns: Buffer,
    /// Gate gradients of the rows of a chunk, panel by panel, in pairs of rows.
    pairs: Buffer,
    /// Pairs that a chunk may have.
    capacity: usize,
    pub(super) list: Vec<ChunkRow>,
}

/// One row of a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChunkRow {
    pub(super) x: usize,
    pub(super) before: HiddenBefore,
    /// Where its record starts, and the distance of each further panel of it.
    pub(super) gradient: usize,
    pub(super) block: usize,
}

/// Which h a row came from.
#[derive(Debug, Clone, Copy)]
pub(super) enum HiddenBefore {
    /// A row of the output.
    Output(usize),
    /// A rank of the initial states.
    Initial(usize),
    /// Zeros.
    Zero,
}

impl Back {
    pub(super) fn new(shape: &RecurrentShape, capacity: Capacity, parts: usize) -> Self {
        let [hidden, input] = forms(shape);
        let rows = capacity.sequences.saturating_add(parts * ROWS);
        let most = capacity.rows.min(CHUNK_ROWS.saturating_add(capacity.sequences));
        let capacity = padded_pairs(most);
        let weight_rows = shape.inputs.next_multiple_of(ROWS) + shape.hidden.next_multiple_of(ROWS);
        Self {
            hidden: Buffer::new(hidden.length()),
            input: Buffer::new(input.length()),
            gates: Buffer::new(values(rows, gate_words(shape))),
            columns: Buffer::new(values(weight_rows, stride(capacity))),
            pairs: Buffer::new(values(shape.packing().panels, capacity * SUMS)),
            capacity,
            list: Vec::with_capacity(most),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let buffers = [&self.hidden, &self.input, &self.gates, &self.columns, &self.pairs];
        4 * buffers.iter().map(|buffer| buffer.len()).sum::<usize>()
    }

    pub(super) fn round(&mut self, bf16: Bf16, shape: &RecurrentShape, packed: &[f32]) {
        let (packing, [hidden, input]) = (shape.packing(), forms(shape));
        let columns: [Column; 2] = match shape.cell {
            Cell::Elman(_) => [|block, _| Some((block / VECTORS, block % VECTORS)); 2],
            // The last three have no form in bf16.
            Cell::Lstm | Cell::MinGru | Cell::MinLstm | Cell::Lru => {
                [|block, v| Some((block, v)); 2]
            }
            // A record holds (dn_x, dz_r, dz_z, dn_h): h meets the last three, x the first.
            Cell::Gru(_) | Cell::GruD(_) => [
                |block, v| v.checked_sub(1).map(|v| (block, v)),
                |block, v| (v < 3).then_some((block, v)),
            ],
        };
        let rows = [shape.inputs..packing.rows, 0..shape.inputs];
        let to = [(hidden, &mut self.hidden), (input, &mut self.input)];
        for ((rows, column), (form, rounded)) in rows.into_iter().zip(columns).zip(to) {
            let vectors = record_vectors(shape);
            bf16.dot.run(RoundTranspose { form, packing, rows, vectors, column, packed, rounded });
        }
    }

    /// The pointers of a pass back.
    pub(super) fn pass(&mut self, bf16: Bf16, shape: &RecurrentShape) -> HalfBackward {
        let [hidden, input] = forms(shape);
        HalfBackward {
            bf16,
            shape: *shape,
            hidden: Weights { form: hidden, p: self.hidden.as_ptr().cast() },
            input: Weights { form: input, p: self.input.as_ptr().cast() },
            gates: self.gates.as_mut_ptr().cast(),
            row: gate_words(shape),
            columns: self.columns.as_mut_ptr(),
            pairs: self.pairs.as_mut_ptr().cast(),
            capacity: self.capacity,
        }
    }
}

/// Vectors in a block of the record.
fn record_vectors(shape: &RecurrentShape) -> usize {
    if let Cell::Elman(_) = shape.cell { 1 } else { 4 }
}

/// Values of a record that a product contracts over.
fn depth(shape: &RecurrentShape) -> usize {
    shape.blocks() * record_vectors(shape) * LANES
}

fn gate_words(shape: &RecurrentShape) -> usize {
    stride(padded_pairs(depth(shape)))
}

fn forms(shape: &RecurrentShape) -> [RoundedTranspose; 2] {
    [shape.hidden, shape.inputs].map(|outputs| RoundedTranspose { outputs, depth: depth(shape) })
}

#[derive(Clone, Copy)]
struct Weights {
    form: RoundedTranspose,
    p: *const u32,
}

/// Where one thread's pass back finds its operands.
#[derive(Clone, Copy)]
pub(super) struct HalfBackward {
    pub(super) bf16: Bf16,
    pub(super) shape: RecurrentShape,
    hidden: Weights,
    input: Weights,
    /// Rounded gate gradients of rank 0.
    gates: *mut u32,
    row: usize,
    pub(super) columns: *mut f32,
    pub(super) pairs: *mut u32,
    /// Pairs that a chunk may have.
    pub(super) capacity: usize,
}

impl HalfBackward {
    /// Words between the weight rows of `columns`.
    pub(super) fn column_words(&self) -> usize {
        stride(self.capacity)
    }

    /// The same for one part, whose rows are apart from those of the others.
    pub(super) fn of_part(self, part: usize) -> Self {
        Self { gates: self.gates.wrapping_add(part * ROWS * self.row), ..self }
    }

    /// One step of some rows; `out` takes the gradient of their initial h, for rows that begin.
    pub(super) fn run<C: Finishes>(
        &self,
        cell: C,
        step: &StepBackward,
        rows: Range<usize>,
        out: Option<RowsAt<*mut f32>>,
    ) {
        self.bf16.dot.run(BackwardRows { half: self, cell, step, rows: rows.clone() });
        if let Some(out) = out {
            let carry = C::CARRIES_HIDDEN.then_some(step.carry);
            self.bf16.dot.run(StateGradient { half: self, carry, out, rows });
        }
    }

    /// dx of some rows, whose gate gradients were rounded last.
    pub(super) fn input_gradient(&self, out: RowsAt<*mut f32>, write: Write, rows: Range<usize>) {
        self.bf16.dot.run(InputGradient { half: self, out, write, rows });
    }

    /// Adds the rounded gate gradients of `count` rows times a panel of weights to `sums`.
    ///
    /// # Safety
    /// The rows must belong to this thread, the panel to the weights; `sums` must be a scratch.
    #[inline(always)]
    unsafe fn product(
        &self,
        engine: &Engine,
        (weights, panel): (&Weights, usize),
        (row, count): (usize, usize),
        sums: *mut f32,
    ) {
        // SAFETY: as the caller vouches; 16 rows more than there are ranks are there.
        unsafe {
            let a = self.gates.add(row * self.row).cast_const();
            let b = weights.p.add(weights.form.offset(panel));
            let job = Job {
                init: sums,
                init_row: SCRATCH_ROW,
                out: sums,
                out_row: SCRATCH_ROW,
                a_row: self.row * size_of::<u32>(),
                runs: [Run::new(a, b, weights.form.depth), Run::NONE],
            };
            engine.multiply(Vectors::Four, &job, count);
        }
    }
}

/// Tiles of up to 16 of some rows: the first row and how many.
#[inline(always)]
fn tile_of(rows: &Range<usize>, n: usize) -> Option<(usize, usize)> {
    let row = rows.start + n * ROWS;
    (row < rows.end).then(|| (row, (rows.end - row).min(ROWS)))
}

struct BackwardRows<'a, C> {
    half: &'a HalfBackward,
    cell: C,
    step: &'a StepBackward,
    rows: Range<usize>,
}

impl<C: Finishes> HalfKernel for BackwardRows<'_, C> {
    #[inline(always)]
    fn run(self, s: Dot) {
        let Self { half, cell, step, rows } = self;
        let engine = Engine::new(half.bf16, rows.len());
        let mut scratch = Scratch::zeroed();
        let sums = scratch.pointer();
        let form = half.hidden.form;
        for n in 0..form.panels() {
            let panel = step.sweep.panel(n, form.panels());
            let vectors = form.vectors(panel);
            let mut n = 0;
            while let Some((row, count)) = tile_of(&rows, n) {
                let at = At { panel, part: 0, row };
                // SAFETY: whoever made the step vouches for the tile.
                unsafe {
                    arriving(s, step, at, (count, vectors), sums);
                    if step.next.is_some() {
                        half.product(&engine, (&half.hidden, panel), (row, count), sums);
                    }
                    let arrived = RowsAt { p: sums.cast_const(), row: SUMS };
                    cell.gate_gradients(s.wide(), step, at, (count, vectors), arrived);
                }
                n += 1;
            }
        }
        // Only now: all panels have read what the step that followed left.
        let (spans, span) = match half.shape.cell {
            Cell::Elman(_) => (1, depth(&half.shape)),
            _ => (step.blocks, 4 * LANES),
        };
        for row in rows {
            for block in 0..spans {
                // SAFETY: the record of the step holds this row, a rounded row all its blocks.
                unsafe {
                    let record = &step.record;
                    let from = record.p.add(block * record.block + row * record.row);
                    let to = half.gates.add(row * half.row + block * span / 2);
                    round_row(s, from, span, to);
                }
            }
        }
    }
}

/// The gradients that arrive at a tile of a step.
///
/// # Safety
/// The tile must lie inside the step.
#[inline(always)]
unsafe fn arriving(
    s: Dot,
    step: &StepBackward,
    at: At,
    (count, vectors): (usize, usize),
    sums: *mut f32,
) {
    for r in 0..count {
        for v in 0..vectors {
            let column = (at.panel * VECTORS + v) * LANES;
            let mut sum = s.zero();
            // SAFETY: the tile's rows and columns lie inside the matrices.
            unsafe {
                if let Some(dy) = &step.dy {
                    sum = s.wide().load(dy.p.add((at.row + r) * dy.row + column));
                }
                if let Some(ending) = &step.ending {
                    let value = s.wide().load(ending.p.add((at.row + r) * ending.row + column));
                    sum = s.wide().add(sum, value);
                }
                s.wide().store(sums.add(r * SUMS + v * LANES), sum);
            }
        }
    }
}

/// The gradient of the initial h of rows that began at a step.
struct StateGradient<'a> {
    half: &'a HalfBackward,
    carry: Option<BlocksAt<*mut f32>>,
    out: RowsAt<*mut f32>,
    rows: Range<usize>,
}

impl HalfKernel for StateGradient<'_> {
    #[inline(always)]
    fn run(self, s: Dot) {
        let Self { half, carry, out, rows } = self;
        let engine = Engine::new(half.bf16, rows.len());
        for panel in 0..half.hidden.form.panels() {
            let mut n = 0;
            while let Some((row, count)) = tile_of(&rows, n) {
                let mut scratch = Scratch::zeroed();
                let sums = scratch.pointer();
                // SAFETY: the rows are those of the step just done, the panel one of U.
                unsafe {
                    half.product(&engine, (&half.hidden, panel), (row, count), sums);
                    for r in 0..count {
                        for v in 0..half.hidden.form.vectors(panel) {
                            let block = panel * VECTORS + v;
                            let mut value = s.wide().load(sums.add(r * SUMS + v * LANES));
                            if let Some(carry) = &carry {
                                let at = block * carry.block + (row + r) * carry.row;
                                value = s.wide().add(value, s.wide().load(carry.p.add(at)));
                            }
                            s.wide().store(out.p.add((row + r) * out.row + block * LANES), value);
                        }
                    }
                }
                n += 1;
            }
        }
    }
}

struct InputGradient<'a> {
    half: &'a HalfBackward,
    out: RowsAt<*mut f32>,
    write: Write,
    rows: Range<usize>,
}

impl HalfKernel for InputGradient<'_> {
    #[inline(always)]
    fn run(self, s: Dot) {
        let Self { half, out, write, rows } = self;
        let engine = Engine::new(half.bf16, rows.len());
        for panel in 0..half.input.form.panels() {
            let mut n = 0;
            while let Some((row, count)) = tile_of(&rows, n) {
                let mut scratch = Scratch::zeroed();
                let sums = scratch.pointer();
                // SAFETY: the rows are those of the step just done, the panel one of W.
                unsafe {
                    half.product(&engine, (&half.input, panel), (row, count), sums);
                    for r in 0..count {
                        for v in 0..half.input.form.vectors(panel) {
                            let to = (row + r) * out.row + (panel * VECTORS + v) * LANES;
                            let mut value = s.wide().load(sums.add(r * SUMS + v * LANES));
                            if write == Write::Accumulate {
                                value = s.wide().add(s.wide().load(out.p.add(to)), value);
                            }
                            s.wide().store(out.p.add(to), flush(s.wide(), value));
                        }
                    }
                }
                n += 1;
            }
        }
    }
}
