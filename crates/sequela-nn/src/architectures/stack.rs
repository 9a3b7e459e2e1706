//! A stack of recurrent layers.

use super::fading::Faded;
use super::{Features, configuration};
use crate::builder::Builder;
use crate::error::Error;
use crate::operations::{
    Activate, Concatenate, Dropout, DropoutKind, FinalState, Linear, Normalise, Recurrent,
};
use crate::param::{Initial, ParamKind, ParamSpec};
use crate::program::{Param, Value};
use crate::words::{ActivationWord, ResetWord};
use sequela_kernels::activation::Activation;
use sequela_kernels::linear::Bias;
use sequela_kernels::recurrent::{Cell, Direction, Reset, StatePart};
use serde::{Deserialize, Serialize};

/// The kind of cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellKind {
    /// Elman 1990.
    Elman,
    /// Hochreiter and Schmidhuber 1997.
    #[default]
    Lstm,
    /// Cho 2014.
    Gru,
    /// Che 2018: a GRU for channels that are mostly missing, of [`Features::Measured`]. Values fade
    /// to the mean and h to 0 while nothing is observed. Forward only; further layers are GRUs.
    GruD,
    /// Feng 2024: a GRU whose gates see the input alone.
    MinGru,
    /// Feng 2024: an LSTM whose gates see the input alone.
    MinLstm,
    /// Orvieto 2023: a diagonal linear recurrence of complex states. Each layer of it is followed
    /// by a dense one with ReLU, without which a stack would be linear.
    Lru,
}

impl CellKind {
    /// For networks in which nothing fades.
    pub(super) fn refuse_fading(self) -> Result<(), Error> {
        if self == Self::GruD {
            let what = "gru_d in a network that does not know how long ago channels were seen";
            return Err(configuration("cell", what, "use it with kind = \"sequence\", or use gru"));
        }
        Ok(())
    }
}

/// Which ways a layer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Directions {
    /// From the first step.
    #[default]
    Forward,
    /// From the first and from each sequence's own last step, side by side.
    Both,
}

/// Whether outputs of layers are normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormaliseKind {
    /// They are not.
    #[default]
    None,
    /// By a layer norm.
    Layer,
}

/// The settings of a recurrent stack.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stack {
    /// The cell.
    pub cell: CellKind,
    /// f of an Elman cell.
    #[serde(with = "ActivationWord")]
    pub activation: Activation,
    /// Where the reset of a GRU or GRU-D stands.
    #[serde(with = "ResetWord")]
    pub reset: Reset,
    /// Hidden units of a layer and direction, H.
    pub hidden: usize,
    /// Layers, L.
    pub layers: usize,
    /// Which ways a layer reads.
    pub directions: Directions,
    /// Share dropped between layers while training.
    pub dropout: f32,
    /// How long a dropout mask lasts.
    pub dropout_kind: DropoutKind,
    /// Whether outputs of layers are normalised.
    pub normalise: NormaliseKind,
    /// First weights.
    pub initial: Initial,
}

impl Default for Stack {
    fn default() -> Self {
        Self {
            cell: CellKind::Lstm,
            activation: Activation::Tanh,
            reset: Reset::AfterProduct,
            hidden: 64,
            layers: 1,
            directions: Directions::Forward,
            dropout: 0.0,
            dropout_kind: DropoutKind::Element,
            normalise: NormaliseKind::None,
            initial: Initial::Keras,
        }
    }
}

/// What a stack leaves: its last layer, before normalisation.
pub(super) struct Top {
    /// The recurrent nodes of the last layer, one for each direction.
    sides: Vec<Value>,
    /// The dense layer behind a linear recurrence.
    mix: Option<Param>,
    normalise: Option<Param>,
}

impl Stack {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.hidden == 0 || self.layers == 0 {
            return Err(configuration("hidden, layers", "a size is 0", "use at least 1"));
        }
        if self.layers > 64 {
            return Err(configuration("layers", "more than 64 layers", "use fewer"));
        }
        if self.cell == CellKind::GruD && self.directions == Directions::Both {
            let what = "gru_d in both directions: its gaps are those since the past";
            return Err(configuration("directions", what, "use forward, or the cell gru"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(configuration("dropout", "the rate is not in [0, 1)", "0.2 is usual"));
        }
        Ok(())
    }

    pub(super) fn kernel_cell(&self) -> Cell {
        match self.cell {
            CellKind::Elman => Cell::Elman(self.activation),
            CellKind::Lstm => Cell::Lstm,
            CellKind::Gru => Cell::Gru(self.reset),
            CellKind::GruD => Cell::GruD(self.reset),
            CellKind::MinGru => Cell::MinGru,
            CellKind::MinLstm => Cell::MinLstm,
            CellKind::Lru => Cell::Lru,
        }
    }

    /// The weights of one layer and direction.
    pub(super) fn layer(
        &self,
        builder: &mut Builder,
        name: &str,
        inputs: usize,
        layer: usize,
        direction: Direction,
    ) -> Param {
        let hidden = self.hidden;
        let cell = match self.kernel_cell() {
            // What comes from a layer has no gaps.
            Cell::GruD(reset) if layer > 0 => Cell::Gru(reset),
            cell => cell,
        };
        builder.param(ParamSpec {
            name: name.to_owned(),
            kind: ParamKind::Recurrent { cell, direction, inputs, hidden, layer },
            initial: self.initial,
        })
    }

    /// Stacks the layers on `x`, which has these features, under this name.
    pub(super) fn build(
        &self,
        builder: &mut Builder,
        name: &str,
        (mut x, features): (Value, Features),
    ) -> Result<Top, Error> {
        self.check()?;
        let mut top = Top { sides: Vec::new(), mix: None, normalise: None };
        for layer in 0..self.layers {
            if layer > 0 {
                x = top.steps(builder)?;
                if self.dropout > 0.0 {
                    x = builder
                        .add(Dropout { rate: self.dropout, kind: self.dropout_kind }, &[x])?;
                }
            }
            let mut decay = None;
            if self.cell == CellKind::GruD && layer == 0 {
                let faded = Faded::new(builder, name, x, features, self.hidden)?;
                (x, decay) = (faded.inputs, Some(faded.decay));
            }
            let inputs = builder.width(x);
            let sides: &[Direction] = match self.directions {
                Directions::Forward => &[Direction::Forward],
                Directions::Both => &[Direction::Forward, Direction::Reverse],
            };
            top.sides.clear();
            for &direction in sides {
                let param = self.layer(builder, name, inputs, layer, direction);
                let inputs: Vec<Value> = [x].into_iter().chain(decay).collect();
                top.sides.push(builder.add(Recurrent { param }, &inputs)?);
            }
            let width = self.hidden * sides.len();
            top.mix = (self.cell == CellKind::Lru).then(|| {
                let (inputs, outputs, bias) = (width, width, Bias::Trained);
                builder.param(ParamSpec {
                    name: format!("{name}.mix_l{layer}"),
                    kind: ParamKind::Linear { inputs, outputs, bias },
                    initial: self.initial,
                })
            });
            top.normalise = match self.normalise {
                NormaliseKind::None => None,
                NormaliseKind::Layer => Some(builder.param(ParamSpec {
                    name: format!("{name}.norm_l{layer}"),
                    kind: ParamKind::Normalise { width },
                    initial: self.initial,
                })),
            };
        }
        Ok(top)
    }
}

impl Top {
    /// The outputs at every step.
    pub(super) fn steps(&self, builder: &mut Builder) -> Result<Value, Error> {
        self.finish(builder, &self.sides)
    }

    /// The outputs after the last step of each direction.
    pub(super) fn last(&self, builder: &mut Builder) -> Result<Value, Error> {
        let mut states = Vec::new();
        for &side in &self.sides {
            states.push(builder.add(FinalState { part: StatePart::Hidden }, &[side])?);
        }
        self.finish(builder, &states)
    }

    fn finish(&self, builder: &mut Builder, sides: &[Value]) -> Result<Value, Error> {
        let mut value = match sides {
            [one] => *one,
            several => builder.add(Concatenate {}, several)?,
        };
        if let Some(param) = self.mix {
            value = builder.add(Linear { param }, &[value])?;
            value = builder.add(Activate { kind: Activation::Relu }, &[value])?;
        }
        match self.normalise {
            Some(param) => builder.add(Normalise { param, epsilon: 1e-5 }, &[value]),
            None => Ok(value),
        }
    }
}
