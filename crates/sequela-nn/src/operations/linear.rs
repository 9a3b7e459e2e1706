//! `y = x W^T + b`, row by row.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, Values, one};
use crate::program::{Param, Rows, Value};
use crate::reference::{ReferenceCall, Table};
use sequela_kernels::linear;
use serde::{Deserialize, Serialize};

/// A dense layer on every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// A [`ParamKind::Linear`](crate::ParamKind::Linear).
    pub param: Param,
}

impl Operation for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn check(&self, parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        let form = one(forms)?;
        let shape =
            parts.params[self.param.index()].linear().ok_or("is not given linear weights")?;
        if form.width != shape.inputs {
            return Err(format!("takes rows of {}, not of {}", shape.inputs, form.width));
        }
        Ok(Form { rows: form.rows, width: shape.outputs })
    }

    fn param(&self) -> Option<Param> {
        Some(self.param)
    }

    fn reads(&self) -> Reads {
        Reads::Inputs
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let Some(shape) = call.params.spec(self.param).linear() else { return Ok(()) };
        let (x, packed) = (call.input(0), call.params.packed(self.param));
        Ok(linear::forward(call.context, shape, x, packed, call.output.reborrow())?)
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let (Some(shape), Some(dy)) = (call.params.spec(self.param).linear(), call.dy) else {
            return Ok(());
        };
        if let Some(mut dx) = call.open(0) {
            let transposed = call.transposes.linear(call.context, call.params, self.param);
            let write = dx.write;
            let result =
                linear::input_gradient(call.context, shape, dy, transposed, dx.matrix(), write);
            call.close(dx);
            result?;
        }
        if let Some(gradients) = call.gradients.take() {
            let values = Values { nodes: call.nodes, buffers: call.buffers, batch: call.batch };
            let x = values.get(call.inputs[0]);
            let (context, packed) = (&mut *call.context, gradients.packed_mut(self.param));
            match call.rows {
                Rows::Sequences => linear::weight_gradient(context, shape, x, dy, packed)?,
                Rows::Steps(layout) => {
                    let layout = call.batch.layout(layout);
                    linear::weight_gradient_of_steps(context, shape, layout, x, dy, packed)?;
                }
            }
        }
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let (x, tensors) = (call.input(0), call.param(self.param));
        let bias = tensors.get(1);
        let outputs = tensors[0].len() / x.width().max(1);
        let tape = call.tape;
        x.map_rows(|row| {
            (0..outputs)
                .map(|j| {
                    let start = bias.map_or_else(|| tape.var(0.0), |bias| bias[j]);
                    let weights = &tensors[0][j * row.len()..][..row.len()];
                    row.iter().zip(weights).fold(start, |sum, (&x, &w)| sum + x * w)
                })
                .collect()
        })
    }
}
