//! An encoder whose state a decoder unfolds over the horizon, feeding on its own output.

use super::stack::{CellKind, Stack};
use super::{Head, Interface, configuration, parts};
use crate::builder::Builder;
use crate::error::Error;
use crate::loss::Loss;
use crate::operations::{Concatenate, FinalState, Linear, Recurrent, Select, Slice};
use crate::param::Initial;
use crate::program::{Param, Program, Rows, Value};
use crate::words::{ActivationWord, ResetWord};
use sequela_kernels::activation::Activation;
use sequela_kernels::linear::Bias;
use sequela_kernels::recurrent::{Direction, Reset, StatePart};
use serde::{Deserialize, Serialize};

/// The settings of the encoder-decoder.
///
/// The decoder is fed `first` at step 0 and then, where `teacher` is 1, the truth of the step
/// before (teacher forcing, Williams and Zipser 1989), else its own output; a mask drawn anew for
/// each batch is scheduled sampling (Bengio 2015, arXiv 1506.03099). Inputs beside those of the
/// encoder: `first (B, K)`, `teacher (B, horizon)`, `target.NAME` and `weight.NAME`
/// `(B, horizon * K)`, K the head's outputs. To predict, write zeros to `teacher` and to the
/// target.
///
/// **Source** Sutskever 2014, arXiv 1409.3215; Cho 2014, arXiv 1406.1078.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderDecoder {
    /// The cell of encoder and decoder.
    pub cell: CellKind,
    /// f of an Elman cell.
    #[serde(with = "ActivationWord")]
    pub activation: Activation,
    /// Where the reset of a GRU stands.
    #[serde(with = "ResetWord")]
    pub reset: Reset,
    /// Hidden units of a layer, H.
    pub hidden: usize,
    /// Layers of both.
    pub layers: usize,
    /// Width of the vectors that symbols become.
    pub embedding: usize,
    /// First weights.
    pub initial: Initial,
}

impl Default for EncoderDecoder {
    fn default() -> Self {
        let stack = Stack::default();
        Self {
            cell: stack.cell,
            activation: stack.activation,
            reset: stack.reset,
            hidden: stack.hidden,
            layers: 1,
            embedding: 32,
            initial: stack.initial,
        }
    }
}

/// The most steps that are written out.
const LONGEST_HORIZON: usize = 1024;

impl EncoderDecoder {
    pub(super) fn build(&self, interface: &Interface) -> Result<Program, Error> {
        let [head] = interface.heads.as_slice() else {
            return Err(configuration("heads", "not exactly one head", "a decoder has one"));
        };
        if matches!(head.loss, Loss::Pinball { .. } | Loss::CrossEntropy { .. }) {
            let hint = "use mean_squared, mean_absolute, huber or binary_cross_entropy";
            return Err(configuration("heads", "an output that cannot be fed back", hint));
        }
        if !(1..=LONGEST_HORIZON).contains(&interface.horizon) {
            return Err(configuration("horizon", "not in 1..=1024", "set how far to predict"));
        }
        let stack = self.stack();
        stack.check()?;
        self.cell.refuse_fading()?;
        let mut builder = Builder::new();
        let b = &mut builder;
        let x = parts::steps(b, "", interface.features, self.embedding, self.initial)?;
        let state = encode(b, &stack, x)?;
        let decoder = Decoder::new(b, &stack, head);
        let first = b.input("first", Rows::Sequences, head.outputs)?;
        let teacher = b.input("teacher", Rows::Sequences, interface.horizon)?;
        let width = interface.horizon.saturating_mul(head.outputs);
        let target = b.input(&format!("target.{}", head.name), Rows::Sequences, width)?;

        let mut fed = first;
        let outputs = b.unroll(interface.horizon, state, |b, t, state| {
            if t > 0 {
                let truth = Slice { start: (t - 1) * head.outputs, end: t * head.outputs };
                let truth = b.add(truth, &[target])?;
                let mask = b.add(Slice { start: t, end: t + 1 }, &[teacher])?;
                fed = b.add(Select {}, &[mask, truth, fed])?;
            }
            let (output, state) = decoder.step(b, fed, state)?;
            fed = output;
            Ok((output, state))
        })?;
        let prediction = b.add(Concatenate {}, &outputs)?;
        parts::judge(b, head, prediction, target, Rows::Sequences)?;
        builder.finish()
    }

    fn stack(&self) -> Stack {
        Stack {
            cell: self.cell,
            activation: self.activation,
            reset: self.reset,
            hidden: self.hidden,
            layers: self.layers,
            initial: self.initial,
            ..Stack::default()
        }
    }
}

/// Parts of the state of a cell.
fn state_parts(stack: &Stack) -> &'static [StatePart] {
    match stack.cell {
        CellKind::Lstm | CellKind::Lru => &[StatePart::Hidden, StatePart::Cell],
        CellKind::Elman | CellKind::Gru | CellKind::GruD | CellKind::MinGru | CellKind::MinLstm => {
            &[StatePart::Hidden]
        }
    }
}

/// The final states of all layers, layer by layer.
fn encode(builder: &mut Builder, stack: &Stack, mut x: Value) -> Result<Vec<Value>, Error> {
    let mut state = Vec::new();
    for layer in 0..stack.layers {
        let inputs = builder.width(x);
        let param = stack.layer(builder, "encoder", inputs, layer, Direction::Forward);
        x = builder.add(Recurrent { param }, &[x])?;
        for &part in state_parts(stack) {
            state.push(builder.add(FinalState { part }, &[x])?);
        }
    }
    Ok(state)
}

struct Decoder {
    layers: Vec<Param>,
    head: Param,
    parts: &'static [StatePart],
}

impl Decoder {
    fn new(builder: &mut Builder, stack: &Stack, head: &Head) -> Self {
        let layers = (0..stack.layers).map(|layer| {
            let inputs = if layer == 0 { head.outputs } else { stack.hidden };
            stack.layer(builder, "decoder", inputs, layer, Direction::Forward)
        });
        let layers = layers.collect();
        let sizes = (stack.hidden, head.outputs);
        let name = format!("heads.{}", head.name);
        let head = parts::dense(builder, name, sizes, Bias::Trained, stack.initial);
        Self { layers, head, parts: state_parts(stack) }
    }

    /// One step: the output and the next state.
    fn step(
        &self,
        builder: &mut Builder,
        fed: Value,
        state: &[Value],
    ) -> Result<(Value, Vec<Value>), Error> {
        let mut x = fed;
        let mut next = Vec::with_capacity(state.len());
        for (&param, before) in self.layers.iter().zip(state.chunks(self.parts.len())) {
            let inputs = [&[x], before].concat();
            x = builder.add(Recurrent { param }, &inputs)?;
            for &part in self.parts {
                next.push(builder.add(FinalState { part }, &[x])?);
            }
        }
        Ok((builder.add(Linear { param: self.head }, &[x])?, next))
    }
}
