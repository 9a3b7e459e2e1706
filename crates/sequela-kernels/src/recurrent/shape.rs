//! What a recurrent layer is, and how its weights are packed.

use crate::activation::Activation;
use crate::buffer::LANES;
use crate::panel::{Packing, VECTORS};
use crate::{Error, Isa, Precision};
use std::ops::Range;

/// Where a GRU applies its reset gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reset {
    /// n = tanh(W x + b + r (U h + b_hn)): PyTorch, cuDNN, Keras with `reset_after=True`.
    AfterProduct,
    /// n = tanh(W x + U (r h) + b): Cho et al. 2014, Keras with `reset_after=False`.
    BeforeProduct,
}

/// The recurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cell {
    /// h = f(W x + U h + b) (Elman 1990).
    Elman(Activation),
    /// Hochreiter & Schmidhuber 1997 with a forget gate (Gers et al. 2000), gates i, f, g, o.
    Lstm,
    /// Cho et al. 2014, gates r, z, n.
    Gru(Reset),
    /// Che et al. 2018: a GRU whose h fades between steps, by a decay that each step is given.
    GruD(Reset),
    /// Feng et al. 2024: a GRU whose gates z, n see x alone, without tanh.
    MinGru,
    /// Feng et al. 2024: forget and input gates f, i, n that see x alone and are made to sum to 1.
    MinLstm,
    /// Orvieto et al. 2023: a diagonal linear recurrence of complex states; h is the real part, the
    /// cell state the imaginary one.
    Lru,
}

impl Cell {
    /// Number of gates, G: rows of H in `weight_ih`.
    pub fn gates(self) -> usize {
        match self {
            Self::Elman(_) => 1,
            Self::MinGru | Self::Lru => 2,
            Self::Gru(_) | Self::GruD(_) | Self::MinLstm => 3,
            Self::Lstm => 4,
        }
    }

    /// Whether units see each other's h, through a matrix U.
    pub fn mixes(self) -> bool {
        matches!(self, Self::Elman(_) | Self::Lstm | Self::Gru(_) | Self::GruD(_))
    }

    /// Sizes of `weight_hh` for H units: that of U, or for [`Cell::Lru`] a row of nu and one of
    /// tau (see the module of that cell); 0 rows for cells without either.
    pub fn hidden_weights(self, hidden: usize) -> [usize; 2] {
        match self {
            Self::Lru => [2, hidden],
            Self::MinGru | Self::MinLstm => [0, hidden],
            Self::Elman(_) | Self::Lstm | Self::Gru(_) | Self::GruD(_) => {
                [self.gates() * hidden, hidden]
            }
        }
    }

    /// Where the reset gate stands, if there is one.
    pub fn reset(self) -> Option<Reset> {
        match self {
            Self::Gru(reset) | Self::GruD(reset) => Some(reset),
            Self::Elman(_) | Self::Lstm | Self::MinGru | Self::MinLstm | Self::Lru => None,
        }
    }

    /// Whether h fades between steps, by [`super::Forward::decay`].
    pub fn fades(self) -> bool {
        matches!(self, Self::GruD(_))
    }

    /// Whether there is a state c beside h.
    pub fn has_cell_state(self) -> bool {
        matches!(self, Self::Lstm | Self::Lru)
    }
}

/// The order in which a layer walks over its sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the first step to the last.
    Forward,
    /// From each sequence's own last step to the first.
    Reverse,
}

/// Which part of a recurrent state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatePart {
    /// h, the output.
    Hidden,
    /// c, the memory of an LSTM; the imaginary part of an LRU.
    Cell,
}

/// One recurrent layer in one direction.
///
/// Parameters live in one packed buffer, weights and biases together, in the order that kernels
/// read; gradients and moments have the same form. Its padding is 0 and gets gradient 0.
///
/// # Example
/// ```
/// use sequela_kernels::recurrent::{Cell, Direction, RecurrentShape, Weights};
/// let shape = RecurrentShape {
///     cell: Cell::Lstm, direction: Direction::Forward, inputs: 2, hidden: 1,
/// };
/// let mut packed = vec![0.0; shape.packed_len()];
/// shape.pack(
///     &Weights {
///         weight_ih: &[0.5; 8], weight_hh: &[0.25; 4], bias_ih: &[1.0; 4], bias_hh: &[2.0; 4],
///     },
///     &mut packed,
/// );
/// assert_eq!(packed.iter().filter(|v| **v == 3.0).count(), 4); // one bias for each gate
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecurrentShape {
    /// The recurrence.
    pub cell: Cell,
    /// The order of steps.
    pub direction: Direction,
    /// F.
    pub inputs: usize,
    /// H.
    pub hidden: usize,
}

/// One of the two matrices of a recurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightMatrix {
    /// W, which meets x.
    Input,
    /// U, which meets h.
    Hidden,
}

/// Weights in PyTorch's order: gates i, f, g, o or r, z, n one below the other.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// `(G H, F)`.
    pub weight_ih: &'a [f32],
    /// `(G H, H)`, or what [`Cell::hidden_weights`] says.
    pub weight_hh: &'a [f32],
    /// `(G H)`.
    pub bias_ih: &'a [f32],
    /// `(G H)`; added to `bias_ih` where one bias is trained. Empty without a matrix U.
    pub bias_hh: &'a [f32],
}

/// As [`Weights`], to be written.
#[derive(Debug)]
pub struct WeightsMut<'a> {
    /// `(G H, F)`.
    pub weight_ih: &'a mut [f32],
    /// `(G H, H)`, or what [`Cell::hidden_weights`] says.
    pub weight_hh: &'a mut [f32],
    /// `(G H)`.
    pub bias_ih: &'a mut [f32],
    /// `(G H)`; 0 but for n of a GRU whose reset comes after the product. Empty without a matrix U.
    pub bias_hh: &'a mut [f32],
}

/// Vectors of a panel that belong to one gate.
struct GatePlace {
    bias_ih: usize,
    bias_hh: usize,
    input: usize,
    hidden: usize,
}

impl RecurrentShape {
    /// Number of gates, G: 1 to 4.
    pub fn gates(&self) -> usize {
        self.cell.gates()
    }

    /// Whether there is a state c beside h.
    pub fn has_cell_state(&self) -> bool {
        self.cell.has_cell_state()
    }

    /// Whether this layer can run in a precision.
    ///
    /// # Errors
    /// [`Error::Precision`] as [`Precision::check`], and in bf16 for a cell that has no
    /// form in it.
    pub fn check_precision(&self, precision: Precision, isa: Isa) -> Result<(), Error> {
        precision.check(isa)?;
        let has_form = match self.cell {
            Cell::Elman(_) | Cell::Lstm | Cell::Gru(Reset::AfterProduct) => true,
            Cell::Gru(Reset::BeforeProduct)
            | Cell::GruD(_)
            | Cell::MinGru
            | Cell::MinLstm
            | Cell::Lru => false,
        };
        if precision == Precision::Bf16 && !has_form {
            return Err(Error::Precision { reason: NO_FORM });
        }
        Ok(())
    }

    pub(crate) fn packing(&self) -> Packing {
        let rows = self.inputs.saturating_add(self.hidden);
        match self.cell {
            Cell::Elman(_) => Packing::plain(rows, self.hidden),
            Cell::Lstm => Packing::gates(rows, self.hidden, 4, 4),
            Cell::Gru(Reset::AfterProduct) | Cell::GruD(Reset::AfterProduct) => {
                Packing::gates(rows, self.hidden, 4, 3)
            }
            Cell::Gru(Reset::BeforeProduct) | Cell::GruD(Reset::BeforeProduct) => {
                Packing::gates(rows, self.hidden, 3, 3)
            }
            Cell::MinGru => Packing::gates(self.inputs, self.hidden, 2, 2),
            Cell::MinLstm => Packing::gates(self.inputs, self.hidden, 3, 3),
            Cell::Lru => Packing::gates(self.inputs, self.hidden, 4, 2),
        }
    }

    /// Blocks of 16 units.
    pub(crate) fn blocks(&self) -> usize {
        self.hidden.div_ceil(LANES)
    }

    /// Length of the packed weights and biases: a multiple of 16, 0 without units.
    ///
    /// # Panics
    /// If no memory could hold them.
    pub fn packed_len(&self) -> usize {
        self.packing().length()
    }

    /// Length of the transposed weights: those of h, then those of x.
    ///
    /// # Panics
    /// If no memory could hold them.
    pub fn transposed_len(&self) -> usize {
        self.transposed_hidden() + self.packing().transposed_length(self.inputs)
    }

    /// Length of the transpose of U: 0 without one.
    pub(crate) fn transposed_hidden(&self) -> usize {
        if self.cell.mixes() { self.packing().transposed_length(self.hidden) } else { 0 }
    }

    /// The parts of the packed weights that hold W and the biases, in order: all that is reached
    /// by a batch that [does not recur](super::Forward::recurs).
    pub fn input_parts(&self) -> impl Iterator<Item = Range<usize>> {
        let (packing, rows) = (self.packing(), self.inputs);
        (0..packing.panels).map(move |panel| packing.offset(panel)..packing.row_offset(panel, rows))
    }

    fn gate(&self, gate: usize) -> GatePlace {
        let same = |v| GatePlace { bias_ih: v, bias_hh: v, input: v, hidden: v };
        match (self.cell, gate) {
            (Cell::Elman(_) | Cell::Lstm | Cell::MinGru | Cell::MinLstm | Cell::Lru, gate) => {
                same(gate)
            }
            // Panels hold [n of x, r, z, n of h]: x meets the first three, h the last three.
            (Cell::Gru(Reset::AfterProduct) | Cell::GruD(Reset::AfterProduct), 2) => {
                GatePlace { bias_ih: 0, bias_hh: 3, input: 0, hidden: 2 }
            }
            (Cell::Gru(Reset::AfterProduct) | Cell::GruD(Reset::AfterProduct), gate) => {
                GatePlace { bias_ih: gate + 1, bias_hh: gate + 1, input: gate + 1, hidden: gate }
            }
            // Panels hold [n, r, z].
            (Cell::Gru(Reset::BeforeProduct) | Cell::GruD(Reset::BeforeProduct), gate) => {
                same((gate + 1) % 3)
            }
        }
    }

    /// Panel, vector and lane of a unit, for vector 0 of its gates.
    fn unit(&self, unit: usize) -> (usize, usize) {
        match self.cell {
            Cell::Elman(_) => (unit / (VECTORS * LANES), unit % (VECTORS * LANES)),
            _ => (unit / LANES, unit % LANES),
        }
    }

    /// Calls `visit(position in packed, which slice, index in slice)` for every weight.
    fn visit(&self, mut visit: impl FnMut(usize, Part, usize)) {
        let (packing, f, h) = (self.packing(), self.inputs, self.hidden);
        if self.cell == Cell::Lru {
            for (part, unit) in (0..2).flat_map(|part| (0..h).map(move |unit| (part, unit))) {
                let (panel, lane) = self.unit(unit);
                let at = packing.offset(panel) + (2 + part) * LANES + lane;
                visit(at, Part::WeightHh, part * h + unit);
            }
        }
        for gate in 0..self.gates() {
            let place = self.gate(gate);
            for unit in 0..h {
                let (panel, lane) = self.unit(unit);
                let row = gate * h + unit;
                visit(packing.offset(panel) + place.bias_ih * LANES + lane, Part::BiasIh, row);
                if self.cell.mixes() {
                    visit(packing.offset(panel) + place.bias_hh * LANES + lane, Part::BiasHh, row);
                }
                for k in 0..f {
                    let at = packing.row_offset(panel, k) + place.input * LANES + lane;
                    visit(at, Part::WeightIh, row * f + k);
                }
                for k in 0..if self.cell.mixes() { h } else { 0 } {
                    let at = packing.row_offset(panel, f + k) + place.hidden * LANES + lane;
                    visit(at, Part::WeightHh, row * h + k);
                }
            }
        }
    }

    fn check_lengths(&self, [weight_ih, weight_hh, bias_ih, bias_hh]: [usize; 4]) {
        let rows = self.gates() * self.hidden;
        assert_eq!(weight_ih, rows * self.inputs, "weight_ih");
        let [hidden_rows, columns] = self.cell.hidden_weights(self.hidden);
        assert_eq!(weight_hh, hidden_rows * columns, "weight_hh");
        let second = if self.cell.mixes() { rows } else { 0 };
        assert_eq!((bias_ih, bias_hh), (rows, second), "biases");
    }

    /// Packs weights; the two biases are added where one bias is trained.
    ///
    /// # Panics
    /// If a slice has another length than its shape says, or `packed` is too short.
    pub fn pack(&self, weights: &Weights<'_>, packed: &mut [f32]) {
        self.check_lengths([
            weights.weight_ih.len(),
            weights.weight_hh.len(),
            weights.bias_ih.len(),
            weights.bias_hh.len(),
        ]);
        packed[..self.packed_len()].fill(0.0);
        self.visit(|at, part, index| match part {
            Part::BiasIh => packed[at] += weights.bias_ih[index],
            Part::BiasHh => packed[at] += weights.bias_hh[index],
            Part::WeightIh => packed[at] = weights.weight_ih[index],
            Part::WeightHh => packed[at] = weights.weight_hh[index],
        });
    }

    /// The reverse of [`RecurrentShape::pack`]: a bias that is trained once goes to `bias_ih`.
    ///
    /// # Panics
    /// If a slice has another length than its shape says, or `packed` is too short.
    pub fn unpack(&self, packed: &[f32], weights: &mut WeightsMut<'_>) {
        self.check_lengths([
            weights.weight_ih.len(),
            weights.weight_hh.len(),
            weights.bias_ih.len(),
            weights.bias_hh.len(),
        ]);
        let split = |index: usize| {
            let place = self.gate(index / self.hidden);
            place.bias_ih != place.bias_hh
        };
        self.visit(|at, part, index| match part {
            Part::BiasIh => weights.bias_ih[index] = packed[at],
            Part::BiasHh => weights.bias_hh[index] = if split(index) { packed[at] } else { 0.0 },
            Part::WeightIh => weights.weight_ih[index] = packed[at],
            Part::WeightHh => weights.weight_hh[index] = packed[at],
        });
    }
}

const NO_FORM: &str =
    "bf16 is there for Elman, LSTM and a GRU whose reset comes after the product only";

#[derive(Clone, Copy)]
enum Part {
    WeightIh,
    WeightHh,
    BiasIh,
    BiasHh,
}
