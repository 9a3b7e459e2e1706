//! What a parameter is: its shape, its names outside, its packed form inside.

use crate::error::Error;
use crate::limits;
use crate::words::{BiasWord, CellWord, DirectionWord};
use sequela_core::Location;
use sequela_kernels::activation::Activation;
use sequela_kernels::linear::{Bias, LinearShape};
use sequela_kernels::recurrent::{Cell, Direction, RecurrentShape, Reset, Weights, WeightsMut};
use sequela_kernels::stride;
use serde::{Deserialize, Serialize};

/// The weights of one layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParamSpec {
    /// Its name, the first part of the names of its tensors.
    pub name: String,
    /// Its shape.
    pub kind: ParamKind,
    /// How it is initialised.
    pub initial: Initial,
}

/// The shape of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ParamKind {
    /// `NAME.weight (outputs, inputs)` and `NAME.bias (outputs)`.
    Linear {
        /// Values of an input row.
        inputs: usize,
        /// Values of an output row.
        outputs: usize,
        /// Whether there is a bias.
        #[serde(with = "BiasWord")]
        bias: Bias,
    },
    /// `NAME.weight_ih_lN (G*H, F)`, `NAME.weight_hh_lN (G*H, H)`, `NAME.bias_ih_lN`,
    /// `NAME.bias_hh_lN (G*H)`, with `_reverse` behind for the reverse direction. A cell whose
    /// units do not meet each other has no `bias_hh`, and no `weight_hh` either but for the LRU's
    /// `(2, H)` of nu and tau.
    Recurrent {
        /// The equations.
        #[serde(with = "CellWord")]
        cell: Cell,
        /// Whether it runs from the first step or from each sequence's own last one.
        #[serde(with = "DirectionWord")]
        direction: Direction,
        /// F.
        inputs: usize,
        /// H.
        hidden: usize,
        /// The N of the names.
        layer: usize,
    },
    /// `NAME.weight (rows, width)`: one row for each symbol.
    Table {
        /// Symbols.
        rows: usize,
        /// Values of each.
        width: usize,
    },
    /// `NAME.weight (width)` and `NAME.bias (width)` of a layer norm.
    Normalise {
        /// Values of a row.
        width: usize,
    },
    /// `NAME.weight (width)` and `NAME.bias (width)`: one of each for each column.
    Diagonal {
        /// Values of a row.
        width: usize,
    },
}

/// How a parameter is initialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initial {
    /// Keras's defaults: glorot uniform, orthogonal recurrent weights, biases 0, forget bias 1.
    #[default]
    Keras,
    /// PyTorch's defaults: uniform within 1 / sqrt(H), or 1 / sqrt(inputs) for a linear layer.
    PyTorch,
    /// Recurrent weights are the identity (Le 2015, arXiv 1504.00941), for ReLU Elman cells;
    /// input weights normal with deviation 0.001. Other kinds as [`Initial::Keras`].
    IdentityRecurrent,
    /// Dense layers that say how fast something fades: weights and biases uniform within
    /// 1 / sqrt(outputs), as GRU-D's authors and `PyPOTS` have it. Other kinds as
    /// [`Initial::Keras`].
    Decay,
    /// Zeros.
    Zeros,
}

/// Name and shape of one tensor of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name, as PyTorch has it.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// Numbers in the tensor.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

impl ParamSpec {
    /// The tensors that the parameter is made of, in the order of `pack` and `unpack`.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let spec = |part: String, shape: Vec<usize>| TensorSpec {
            name: format!("{}.{part}", self.name),
            shape,
        };
        match self.kind {
            ParamKind::Linear { inputs, outputs, bias } => {
                let mut tensors = vec![spec("weight".into(), vec![outputs, inputs])];
                if bias == Bias::Trained {
                    tensors.push(spec("bias".into(), vec![outputs]));
                }
                tensors
            }
            ParamKind::Recurrent { cell, direction, inputs, hidden, layer } => {
                let rows = cell.gates() * hidden;
                let side = if direction == Direction::Reverse { "_reverse" } else { "" };
                let names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
                let shapes = [
                    vec![rows, inputs],
                    cell.hidden_weights(hidden).to_vec(),
                    vec![rows],
                    vec![rows],
                ];
                names
                    .into_iter()
                    .zip(shapes)
                    .zip(has_tensors(cell))
                    .filter(|(_, there)| *there)
                    .map(|((part, shape), _)| spec(format!("{part}_l{layer}{side}"), shape))
                    .collect()
            }
            ParamKind::Table { rows, width } => vec![spec("weight".into(), vec![rows, width])],
            ParamKind::Normalise { width } | ParamKind::Diagonal { width } => {
                vec![spec("weight".into(), vec![width]), spec("bias".into(), vec![width])]
            }
        }
    }

    /// Numbers that are trained: one bias where PyTorch has two, except for the GRU's `b_hn`.
    pub fn count(&self) -> usize {
        match self.kind {
            ParamKind::Linear { inputs, outputs, bias } => {
                (inputs + usize::from(bias == Bias::Trained)) * outputs
            }
            ParamKind::Recurrent { cell, inputs, hidden, .. } => {
                let after = cell.reset() == Some(Reset::AfterProduct);
                let extra = if after { hidden } else { 0 };
                let [rows, columns] = cell.hidden_weights(hidden);
                cell.gates() * hidden * (inputs + 1) + rows * columns + extra
            }
            ParamKind::Table { rows, width } => rows * width,
            ParamKind::Normalise { width } | ParamKind::Diagonal { width } => 2 * width,
        }
    }

    /// The shape, if it is a linear layer.
    pub(crate) fn linear(&self) -> Option<LinearShape> {
        match self.kind {
            ParamKind::Linear { inputs, outputs, bias } => {
                Some(LinearShape { inputs, outputs, bias })
            }
            _ => None,
        }
    }

    /// The shape, if it is a recurrent layer.
    pub(crate) fn recurrent(&self) -> Option<RecurrentShape> {
        match self.kind {
            ParamKind::Recurrent { cell, direction, inputs, hidden, .. } => {
                Some(RecurrentShape { cell, direction, inputs, hidden })
            }
            _ => None,
        }
    }

    /// Length of the packed form, a multiple of 16.
    pub(crate) fn packed_len(&self) -> usize {
        let length = match self.kind {
            ParamKind::Linear { .. } => self.linear().map_or(0, |shape| shape.packed_len()),
            ParamKind::Recurrent { .. } => self.recurrent().map_or(0, |shape| shape.packed_len()),
            ParamKind::Table { rows, width } => rows * stride(width),
            ParamKind::Normalise { width } | ParamKind::Diagonal { width } => 2 * stride(width),
        };
        length.next_multiple_of(16)
    }

    /// Length of the transposed weights that backward needs.
    pub(crate) fn transposed_len(&self) -> usize {
        match self.kind {
            ParamKind::Linear { .. } => self.linear().map_or(0, |shape| shape.transposed_len()),
            ParamKind::Recurrent { .. } => {
                self.recurrent().map_or(0, |shape| shape.transposed_len())
            }
            ParamKind::Table { .. } | ParamKind::Normalise { .. } | ParamKind::Diagonal { .. } => 0,
        }
    }

    /// Refuses impossible sizes; the numbers of the parameter.
    pub(crate) fn check(&self) -> Result<usize, Error> {
        let location = || Location::default().field(&self.name);
        let sizes: &[(&'static str, usize, usize)] = match self.kind {
            ParamKind::Linear { inputs, outputs, .. } => {
                &[("inputs", inputs, limits::WIDTH), ("outputs", outputs, limits::WIDTH)]
            }
            ParamKind::Recurrent { inputs, hidden, .. } => {
                &[("inputs", inputs, limits::WIDTH), ("hidden", hidden, limits::WIDTH)]
            }
            ParamKind::Table { rows, width } => {
                &[("rows", rows, limits::VOCABULARY), ("width", width, limits::WIDTH)]
            }
            ParamKind::Normalise { width } | ParamKind::Diagonal { width } => {
                &[("width", width, limits::WIDTH)]
            }
        };
        for &(what, size, limit) in sizes {
            limits::check(&self.name, what, size, limit)?;
            if size == 0 {
                return Err(Error::Configuration {
                    location: location(),
                    what: format!("{what} is 0"),
                    hint: "every layer needs at least one value in and out",
                });
            }
        }
        if let ParamKind::Recurrent { cell, .. } = self.kind {
            let fits = matches!(cell, Cell::Elman(Activation::Relu | Activation::Identity));
            if self.initial == Initial::IdentityRecurrent && !fits {
                return Err(Error::Configuration {
                    location: location(),
                    what: "identity initialisation of a cell that is not an Elman cell with relu"
                        .into(),
                    hint: "use keras or py_torch",
                });
            }
            if matches!(cell, Cell::Elman(Activation::Softplus | Activation::Decay)) {
                return Err(Error::Configuration {
                    location: location(),
                    what: "an Elman cell with softplus or decay".into(),
                    hint: "use tanh, relu, sigmoid or identity",
                });
            }
        }
        Ok(self.tensors().iter().fold(0_usize, |sum, tensor| sum.saturating_add(tensor.count())))
    }

    /// Packs tensors given in the order of [`ParamSpec::tensors`], each of the right length.
    pub(crate) fn pack(&self, tensors: &[&[f32]], packed: &mut [f32]) {
        match self.kind {
            ParamKind::Linear { .. } => {
                if let Some(shape) = self.linear() {
                    shape.pack(tensors[0], tensors.get(1).copied().unwrap_or(&[]), packed);
                }
            }
            ParamKind::Recurrent { .. } => {
                if let Some(shape) = self.recurrent() {
                    let [weight_ih, weight_hh, bias_ih, bias_hh] =
                        cell_tensors(shape.cell, tensors);
                    let weights = Weights { weight_ih, weight_hh, bias_ih, bias_hh };
                    shape.pack(&weights, packed);
                }
            }
            ParamKind::Table { width, .. }
            | ParamKind::Normalise { width }
            | ParamKind::Diagonal { width } => {
                packed.fill(0.0);
                let from = tensors.iter().flat_map(|tensor| tensor.chunks_exact(width));
                for (to, from) in packed.chunks_exact_mut(stride(width)).zip(from) {
                    to[..width].copy_from_slice(from);
                }
            }
        }
    }

    /// The tensors of a packed form, in the order of [`ParamSpec::tensors`].
    pub(crate) fn unpack(&self, packed: &[f32]) -> Vec<Vec<f32>> {
        let mut tensors: Vec<Vec<f32>> =
            self.tensors().iter().map(|tensor| vec![0.0; tensor.count()]).collect();
        match (self.kind, tensors.as_mut_slice()) {
            (ParamKind::Linear { .. }, [weight, rest @ ..]) => {
                let bias = rest.first_mut().map_or(&mut [][..], |bias| bias.as_mut_slice());
                if let Some(shape) = self.linear() {
                    shape.unpack(packed, weight, bias);
                }
            }
            (ParamKind::Recurrent { cell, .. }, tensors) => {
                let mut tensors = tensors.iter_mut();
                let [weight_ih, weight_hh, bias_ih, bias_hh] =
                    has_tensors(cell).map(|there| match there.then(|| tensors.next()).flatten() {
                        Some(tensor) => tensor.as_mut_slice(),
                        None => &mut [],
                    });
                if let Some(shape) = self.recurrent() {
                    let mut weights = WeightsMut { weight_ih, weight_hh, bias_ih, bias_hh };
                    shape.unpack(packed, &mut weights);
                }
            }
            (
                ParamKind::Table { width, .. }
                | ParamKind::Normalise { width }
                | ParamKind::Diagonal { width },
                tensors,
            ) => {
                let to = tensors.iter_mut().flat_map(|tensor| tensor.chunks_exact_mut(width));
                for (to, from) in to.zip(packed.chunks_exact(stride(width))) {
                    to.copy_from_slice(&from[..width]);
                }
            }
            _ => {}
        }
        tensors
    }
}

/// Which of `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh` a cell has.
fn has_tensors(cell: Cell) -> [bool; 4] {
    [true, cell.hidden_weights(1)[0] > 0, true, cell.mixes()]
}

/// `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh` of a cell among its tensors; empty for one
/// that it does not have.
pub(crate) fn cell_tensors<'a, N>(cell: Cell, tensors: &[&'a [N]]) -> [&'a [N]; 4] {
    let mut tensors = tensors.iter();
    has_tensors(cell)
        .map(|there| there.then(|| tensors.next()).flatten().copied().unwrap_or_default())
}
