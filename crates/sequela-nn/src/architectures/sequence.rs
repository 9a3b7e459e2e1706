//! The usual network: encoder, recurrent stack, pooling, heads.

use super::parts::{self, HeadStyle};
use super::stack::{CellKind, Directions, NormaliseKind, Stack, Top};
use super::{Interface, configuration};
use crate::builder::Builder;
use crate::error::Error;
use crate::operations::{Activate, DropoutKind, Linear, Multiply, Pool, PoolKind, SoftmaxSteps};
use crate::param::Initial;
use crate::program::{LayoutId, Program, Rows, Value};
use crate::words::{ActivationWord, ResetWord};
use sequela_kernels::activation::Activation;
use sequela_kernels::linear::Bias;
use sequela_kernels::recurrent::Reset;
use serde::{Deserialize, Serialize};

/// What is made of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Nothing: every step has its own prediction.
    None,
    /// The state after the last step (of each direction).
    #[default]
    Last,
    /// The mean of all steps.
    Mean,
    /// The largest of all steps.
    Max,
    /// A weighted mean whose weights are learnt (Yang 2016).
    Attention,
}

/// The settings of the usual network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sequence {
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
    /// What is made of the steps.
    pub pooling: Pooling,
    /// Width of the vectors that symbols become.
    pub embedding: usize,
    /// Widths of hidden layers before each output.
    pub head_hidden: Vec<usize>,
    /// First weights.
    pub initial: Initial,
}

impl Default for Sequence {
    fn default() -> Self {
        let stack = Stack::default();
        Self {
            cell: stack.cell,
            activation: stack.activation,
            reset: stack.reset,
            hidden: stack.hidden,
            layers: stack.layers,
            directions: stack.directions,
            dropout: stack.dropout,
            dropout_kind: stack.dropout_kind,
            normalise: stack.normalise,
            pooling: Pooling::Last,
            embedding: 32,
            head_hidden: Vec::new(),
            initial: stack.initial,
        }
    }
}

impl Sequence {
    fn stack(&self) -> Stack {
        Stack {
            cell: self.cell,
            activation: self.activation,
            reset: self.reset,
            hidden: self.hidden,
            layers: self.layers,
            directions: self.directions,
            dropout: self.dropout,
            dropout_kind: self.dropout_kind,
            normalise: self.normalise,
            initial: self.initial,
        }
    }

    pub(super) fn build(&self, interface: &Interface) -> Result<Program, Error> {
        if self.head_hidden.contains(&0) {
            return Err(configuration("head_hidden", "a layer of 0 units", "leave it out"));
        }
        let mut builder = Builder::new();
        let x = parts::steps(&mut builder, "", interface.features, self.embedding, self.initial)?;
        let top = self.stack().build(&mut builder, "rnn", (x, interface.features))?;
        let (value, rows) = self.pool(&mut builder, &top)?;
        let value = parts::with_statics(&mut builder, interface, value, rows)?;
        let style = HeadStyle { hidden: &self.head_hidden, initial: self.initial, rows };
        parts::heads(&mut builder, &interface.heads, value, style)?;
        builder.finish()
    }

    fn pool(&self, builder: &mut Builder, top: &Top) -> Result<(Value, Rows), Error> {
        let kind = match self.pooling {
            // The only layout of this network is its first.
            Pooling::None => return Ok((top.steps(builder)?, Rows::Steps(LayoutId(0)))),
            Pooling::Last => return Ok((top.last(builder)?, Rows::Sequences)),
            Pooling::Mean => PoolKind::Mean,
            Pooling::Max => PoolKind::Max,
            Pooling::Attention => PoolKind::Sum,
        };
        let mut h = top.steps(builder)?;
        if self.pooling == Pooling::Attention {
            let width = builder.width(h);
            let sizes = (width, self.hidden);
            let projection =
                parts::dense(builder, "attention.projection", sizes, Bias::Trained, self.initial);
            let sizes = (self.hidden, 1);
            let context =
                parts::dense(builder, "attention.context", sizes, Bias::Absent, self.initial);
            let u = builder.add(Linear { param: projection }, &[h])?;
            let u = builder.add(Activate { kind: Activation::Tanh }, &[u])?;
            let scores = builder.add(Linear { param: context }, &[u])?;
            let weights = builder.add(SoftmaxSteps {}, &[scores])?;
            h = builder.add(Multiply {}, &[h, weights])?;
        }
        Ok((builder.add(Pool { kind }, &[h])?, Rows::Sequences))
    }
}
