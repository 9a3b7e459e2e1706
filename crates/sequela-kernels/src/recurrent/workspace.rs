//! What a layer remembers between forward and backward.

use super::forward::Initial;
use super::half::Half;
use super::shape::{Cell, RecurrentShape, Reset, StatePart};
use crate::CHUNK_ROWS;
use crate::buffer::{Buffer, LANES, Matrix, MatrixMut, stride, values};
use crate::outer::OuterStep;
use crate::{Context, Error, Precision};
use sequela_core::Layout;

/// The largest batch that a workspace can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Packed rows: the sum of all lengths.
    pub rows: usize,
    /// Sequences, B.
    pub sequences: usize,
}

/// What a forward pass keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Only the current state: inference.
    Nothing,
    /// What [`super::backward`] needs.
    Backward,
}

/// Memory of one layer, planned by capacity; no call allocates.
///
/// Records (gates, later their gradients) and cell states lie `[t][block][row][...]`, so that
/// every tile touches contiguous memory. States that cross the surface lie row by row, in batch
/// order.
#[derive(Debug)]
pub struct Workspace {
    pub(super) shape: RecurrentShape,
    pub(super) capacity: Capacity,
    pub(super) keep: Keep,
    /// Sequences of the batch in work.
    pub(super) sequences: usize,
    /// The batch whose gates are there to go back through.
    pub(super) walked: Option<Walked>,
    /// Gates, overwritten by their gradients.
    pub(super) record: Buffer,
    /// r h of a GRU whose reset comes before the product, row by row.
    pub(super) reset: Buffer,
    /// h after it has faded, of every step (`Keep::Backward`) or of the current one.
    pub(super) faded: Buffer,
    /// Gradients of the decays by which h fades.
    pub(super) decay_gradient: Buffer,
    /// Cell states of every step (`Keep::Backward`) or of the current one.
    pub(super) cells: Buffer,
    /// What BPTT carries from step to step beside the gates: dc, or z dh of a GRU; of an LRU what
    /// is carried to c, then what is carried to h.
    pub(super) carry: Buffer,
    /// Initial states in rank order.
    pub(super) initial_hidden: Buffer,
    pub(super) initial_cell: Buffer,
    /// Gradients that arrive at the final h, in rank order.
    pub(super) ending: Buffer,
    /// Gradients of the initial h in rank order.
    pub(super) starting: Buffer,
    pub(super) final_states: [Buffer; 2],
    pub(super) final_gradients: [Buffer; 2],
    pub(super) initial_gradients: [Buffer; 2],
    /// Whether those may be other than zero.
    initial_reached: bool,
    /// Whole gradients of h and c of every step; empty where nobody asked.
    pub(super) totals: [Buffer; 2],
    pub(super) input_steps: Vec<OuterStep>,
    pub(super) hidden_steps: Vec<OuterStep>,
    pub(super) start_steps: Vec<OuterStep>,
    /// What products in bf16 need.
    pub(super) half: Option<Half>,
}

/// What tells one batch from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walked {
    sequences: usize,
    rows: usize,
    steps: usize,
    /// Whether h and c before the first step were given.
    given: [bool; 2],
}

impl Walked {
    pub(super) fn new(layout: &Layout, initial: &Initial<'_>) -> Self {
        Self {
            sequences: layout.sequences(),
            rows: layout.rows(),
            steps: layout.steps(),
            given: [initial.hidden.is_some(), initial.cell.is_some()],
        }
    }
}

impl Workspace {
    /// Memory for batches of up to `capacity`.
    ///
    /// **Cost** with [`Keep::Backward`], 4 bytes times the rows times 4 H (LSTM: 5 H, Elman: H, GRU-D: 6 H),
    /// H rounded up to 16; with [`Keep::Nothing`], a few values of each sequence and unit.
    ///
    /// # Panics
    /// If no memory could hold it.
    pub fn new(shape: RecurrentShape, capacity: Capacity, keep: Keep) -> Self {
        let Lengths { record, reset, faded, decays, cells, carry, states, matrix } =
            Lengths::new(&shape, capacity, keep);
        let backward = usize::from(keep == Keep::Backward);
        let cell = usize::from(shape.has_cell_state());
        let steps = backward * CHUNK_ROWS;
        Self {
            shape,
            capacity,
            keep,
            sequences: 0,
            walked: None,
            record: Buffer::new(record),
            reset: Buffer::new(reset),
            faded: Buffer::new(faded),
            decay_gradient: Buffer::new(decays),
            cells: Buffer::new(cells),
            carry: Buffer::new(carry),
            initial_hidden: Buffer::new(matrix),
            initial_cell: Buffer::new(states),
            ending: Buffer::new(backward * matrix),
            starting: Buffer::new(backward * matrix),
            final_states: [Buffer::new(matrix), Buffer::new(cell * matrix)],
            final_gradients: [
                Buffer::new(backward * matrix),
                Buffer::new(backward * cell * matrix),
            ],
            initial_gradients: [
                Buffer::new(backward * matrix),
                Buffer::new(backward * cell * matrix),
            ],
            initial_reached: false,
            totals: [Buffer::default(), Buffer::default()],
            input_steps: Vec::with_capacity(steps),
            hidden_steps: Vec::with_capacity(steps),
            start_steps: Vec::with_capacity(steps),
            half: None,
        }
    }

    /// The same memory, for passes in this precision; see [`Precision`].
    ///
    /// In bf16 weights have to be [rounded](Workspace::round) before the first pass, and passes
    /// take no more threads than `context` has. **Cost** in bf16, half the bytes of the weights
    /// and, for the way back, of their transposes and of about 256 rows.
    ///
    /// # Errors
    /// [`Error::Precision`] where the processor or the cell cannot.
    pub fn with_precision(
        mut self,
        precision: Precision,
        context: &Context,
    ) -> Result<Self, Error> {
        self.walked = None;
        self.half = match precision {
            Precision::F32 => None,
            Precision::Bf16 => Some(Half::new(self.shape, self.capacity, self.keep, context)?),
        };
        Ok(self)
    }

    /// The precision of passes with this memory.
    pub fn precision(&self) -> Precision {
        if self.half.is_some() { Precision::Bf16 } else { Precision::F32 }
    }

    /// Rounds the weights of all passes to come; nothing to do in f32, or where those of this
    /// version were rounded last.
    ///
    /// # Panics
    /// If `weights` are shorter than the packed weights of the shape.
    pub fn round(&mut self, weights: &[f32], version: u64) {
        if let Some(half) = &mut self.half {
            half.round(weights, version);
        }
    }

    /// The layer that it is for.
    pub fn shape(&self) -> RecurrentShape {
        self.shape
    }

    /// Makes [`super::backward`] keep the whole gradient of h, and of c where there is one, at
    /// every step, from the next call on; see [`Workspace::state_gradient`].
    ///
    /// **Cost** 4 bytes times the rows times H (LSTM: 2 H); each backward takes one more product
    /// with the hidden weights. Who does not ask pays nothing.
    ///
    /// # Panics
    /// If no memory could hold it, or the workspace keeps nothing.
    pub fn keep_state_gradients(&mut self) {
        assert_eq!(self.keep, Keep::Backward, "the workspace keeps nothing for the way back");
        let matrix = values(self.capacity.rows, stride(self.shape.hidden));
        let cell = usize::from(self.shape.has_cell_state());
        self.totals = [Buffer::new(matrix), Buffer::new(cell * matrix)];
    }

    /// `dL/dh_t` or `dL/dc_t` of every step of the batch gone back through last, `(rows, H)`: all of
    /// it, what arrives at the output and what comes back from the steps after. For h of an LSTM
    /// that is the way through the gates; what goes by c is in the gradient of c.
    ///
    /// # Panics
    /// If [`Workspace::keep_state_gradients`] was not called, or `part` is the cell state and the
    /// recurrence has none.
    pub fn state_gradient(&self, part: StatePart, layout: &Layout) -> Matrix<'_> {
        Matrix::new(&self.totals[index(part)], layout.rows(), self.shape.hidden)
    }

    /// The gradients of [`Forward::decay`](super::Forward::decay) of the batch gone back through
    /// last, `(rows, H)`.
    ///
    /// # Panics
    /// If the cell does not fade, or the workspace keeps nothing.
    pub fn decay_gradient(&self, layout: &Layout) -> Matrix<'_> {
        Matrix::new(&self.decay_gradient, layout.rows(), self.shape.hidden)
    }

    /// The [`Workspace::bytes`] that [`Workspace::new`] would take.
    ///
    /// # Panics
    /// If no memory could hold it.
    pub fn bytes_for(shape: RecurrentShape, capacity: Capacity, keep: Keep) -> usize {
        let Lengths { record, reset, faded, decays, cells, carry, states, matrix } =
            Lengths::new(&shape, capacity, keep);
        let backward = usize::from(keep == Keep::Backward);
        let parts = 1 + usize::from(shape.has_cell_state());
        let matrices = 1 + 2 * backward + parts * (1 + 2 * backward);
        4 * (record + reset + faded + decays + cells + carry + states + matrices * matrix)
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> usize {
        let pairs =
            [&self.final_states, &self.final_gradients, &self.initial_gradients, &self.totals];
        let single = [
            &self.record,
            &self.reset,
            &self.faded,
            &self.decay_gradient,
            &self.cells,
            &self.carry,
            &self.initial_hidden,
            &self.initial_cell,
            &self.ending,
            &self.starting,
        ];
        let pairs: usize = pairs.iter().flat_map(|pair| pair.iter()).map(|b| b.len()).sum();
        let half = self.half.as_ref().map_or(0, Half::bytes);
        4 * (pairs + single.iter().map(|b| b.len()).sum::<usize>()) + half
    }

    /// The state after each sequence's last step in walking order, `(B, H)` in batch order; for
    /// an empty sequence the initial state.
    ///
    /// # Panics
    /// If `part` is the cell state and the recurrence has none.
    pub fn final_state(&self, part: StatePart) -> Matrix<'_> {
        Matrix::new(&self.final_states[index(part)], self.sequences, self.shape.hidden)
    }

    /// The gradient that arrives at the final state, `(B, H)` in batch order. Zeroed by
    /// [`super::forward`]; to be filled before [`super::backward`].
    ///
    /// # Panics
    /// If the workspace keeps nothing, or `part` is the cell state and the recurrence has none.
    pub fn final_gradient_mut(&mut self, part: StatePart) -> MatrixMut<'_> {
        let gradient = &mut self.final_gradients[index(part)];
        MatrixMut::new(gradient, self.sequences, self.shape.hidden)
    }

    /// The gradient of the initial state, `(B, H)` in batch order, after [`super::backward`];
    /// zeros for a part of the state that was not given.
    ///
    /// # Panics
    /// If the workspace keeps nothing, or `part` is the cell state and the recurrence has none.
    pub fn initial_gradient(&self, part: StatePart) -> Matrix<'_> {
        Matrix::new(&self.initial_gradients[index(part)], self.sequences, self.shape.hidden)
    }

    /// Copies the gradients of initial states into batch order; zeros where none was given.
    pub(super) fn keep_initial_gradients(&mut self, layout: &Layout, initial: &Initial<'_>) {
        let (h, sequences) = (self.shape.hidden, layout.sequences());
        let given = initial.hidden.is_some() || initial.cell.is_some();
        let reached = std::mem::replace(&mut self.initial_reached, given);
        let Self { starting, carry, initial_gradients, .. } = self;
        if reached {
            for gradient in initial_gradients.iter_mut() {
                gradient.fill(0.0);
            }
        }
        let [hidden, cell] = initial_gradients;
        if initial.hidden.is_some() {
            let mut hidden = MatrixMut::new(hidden, sequences, h);
            for (rank, &b) in layout.order().iter().enumerate() {
                let from = &starting[rank * stride(h)..][..h];
                hidden.row_mut(b as usize).copy_from_slice(from);
            }
        }
        if initial.cell.is_some() {
            let mut cell = MatrixMut::new(cell, sequences, h);
            for (rank, &b) in layout.order().iter().enumerate() {
                for (block, to) in cell.row_mut(b as usize).chunks_mut(LANES).enumerate() {
                    let from = &carry[(block * sequences + rank) * LANES..];
                    to.copy_from_slice(&from[..to.len()]);
                }
            }
        }
    }

    pub(super) fn check(&self, shape: &RecurrentShape, layout: &Layout) {
        assert_eq!(self.shape, *shape, "the workspace is for another shape");
        assert!(
            layout.rows() <= self.capacity.rows && layout.sequences() <= self.capacity.sequences,
            "a batch of {} rows and {} sequences is over the planned {:?}",
            layout.rows(),
            layout.sequences(),
            self.capacity
        );
    }
}

/// Values of the buffers of a workspace.
struct Lengths {
    record: usize,
    reset: usize,
    faded: usize,
    decays: usize,
    cells: usize,
    carry: usize,
    /// Cell states of every sequence; 0 without any.
    states: usize,
    /// Hidden states of every sequence.
    matrix: usize,
}

impl Lengths {
    fn new(shape: &RecurrentShape, capacity: Capacity, keep: Keep) -> Self {
        let (rows, sequences) = (capacity.rows, capacity.sequences);
        let states = values(sequences, shape.blocks() * LANES);
        let matrix = values(sequences, stride(shape.hidden));
        let before = shape.cell.reset() == Some(Reset::BeforeProduct);
        let every = values(rows, stride(shape.hidden));
        let (fades, kept) = (shape.cell.fades(), keep == Keep::Backward);
        Self {
            record: match (keep, before) {
                (Keep::Backward, _) => values(rows, record_width(shape)),
                // The gates of one step pass from the first product to the second.
                (Keep::Nothing, true) => values(sequences, record_width(shape)),
                (Keep::Nothing, false) => 0,
            },
            reset: match (keep, before) {
                (Keep::Backward, true) => every,
                (Keep::Nothing, true) => matrix,
                (_, false) => 0,
            },
            faded: match (fades, keep) {
                (true, Keep::Backward) => every,
                (true, Keep::Nothing) => matrix,
                (false, _) => 0,
            },
            decays: if fades && kept { every } else { 0 },
            cells: match (shape.has_cell_state(), keep) {
                (false, _) => 0,
                (true, Keep::Backward) => values(rows, shape.blocks() * LANES),
                (true, Keep::Nothing) => states,
            },
            // An LRU carries to both parts of its state.
            carry: usize::from(keep == Keep::Backward)
                * if shape.cell == Cell::Lru { values(states, 2) } else { states },
            states: usize::from(shape.has_cell_state()) * states,
            matrix,
        }
    }
}

fn index(part: StatePart) -> usize {
    match part {
        StatePart::Hidden => 0,
        StatePart::Cell => 1,
    }
}

/// Values of a record for each row.
pub(super) fn record_width(shape: &RecurrentShape) -> usize {
    match shape.cell {
        // One gate: the record is a plain matrix of the gradients of its product.
        Cell::Elman(_) => stride(shape.hidden),
        Cell::Lstm
        | Cell::Gru(Reset::AfterProduct)
        | Cell::GruD(Reset::AfterProduct)
        | Cell::Lru => shape.blocks() * 4 * LANES,
        Cell::Gru(Reset::BeforeProduct) | Cell::GruD(Reset::BeforeProduct) | Cell::MinLstm => {
            shape.blocks() * 3 * LANES
        }
        Cell::MinGru => shape.blocks() * 2 * LANES,
    }
}

/// Copies row `order[k]` of `from` to row `k` of `to` (batch order to rank order), or zeros.
pub(super) fn gather_rows(order: &[u32], from: Option<Matrix<'_>>, to: &mut [f32], row: usize) {
    let Some(from) = from else {
        to[..order.len() * row].fill(0.0);
        return;
    };
    for (to, &b) in to.chunks_exact_mut(row).zip(order) {
        to[..from.width()].copy_from_slice(from.row(b as usize));
        to[from.width()..].fill(0.0);
    }
}

/// As [`gather_rows`], into the block layout `[block][rank][16]` of cell states.
pub(super) fn gather_blocks(order: &[u32], from: Option<Matrix<'_>>, to: &mut [f32], units: usize) {
    let blocks = units.div_ceil(LANES);
    to[..blocks * order.len() * LANES].fill(0.0);
    let Some(from) = from else { return };
    for (k, &b) in order.iter().enumerate() {
        for (block, values) in from.row(b as usize).chunks(LANES).enumerate() {
            to[(block * order.len() + k) * LANES..][..values.len()].copy_from_slice(values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::Activation;
    use crate::recurrent::Direction;

    #[test]
    fn a_workspace_takes_what_was_said() {
        for cell in [
            Cell::Elman(Activation::Tanh),
            Cell::Lstm,
            Cell::Gru(Reset::AfterProduct),
            Cell::Gru(Reset::BeforeProduct),
            Cell::GruD(Reset::AfterProduct),
            Cell::GruD(Reset::BeforeProduct),
            Cell::MinGru,
            Cell::MinLstm,
            Cell::Lru,
        ] {
            let shape =
                RecurrentShape { cell, direction: Direction::Forward, inputs: 3, hidden: 37 };
            let capacity = Capacity { rows: 50, sequences: 7 };
            for keep in [Keep::Nothing, Keep::Backward] {
                let taken = Workspace::new(shape, capacity, keep).bytes();
                assert_eq!(taken, Workspace::bytes_for(shape, capacity, keep), "{cell:?}");
            }
        }
    }
}
