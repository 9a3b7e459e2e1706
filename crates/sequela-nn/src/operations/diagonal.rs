//! A weight and a bias for each column.

use crate::error::Error;
use crate::operation::{
    Backward, Form, Forward, Operation, Parts, Reads, Values, one, summing_order,
};
use crate::param::ParamKind;
use crate::program::{Param, Value};
use crate::reference::{ReferenceCall, Table};
use sequela_kernels::stride;
use serde::{Deserialize, Serialize};

/// `y = weight * x + bias`, column by column: a dense layer whose matrix is diagonal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagonal {
    /// A [`ParamKind::Diagonal`].
    pub param: Param,
}

impl Operation for Diagonal {
    fn name(&self) -> &'static str {
        "diagonal"
    }

    fn check(&self, parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        let form = one(forms)?;
        if parts.params[self.param.index()].kind != (ParamKind::Diagonal { width: form.width }) {
            return Err(format!("is not given a weight for each of {} columns", form.width));
        }
        Ok(form)
    }

    fn param(&self) -> Option<Param> {
        Some(self.param)
    }

    fn reads(&self) -> Reads {
        Reads::Inputs
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let (x, packed) = (call.input(0), call.params.packed(self.param));
        let stride = x.stride();
        let (weight, bias) = packed.split_at(stride);
        let rows = call.output.data_mut().chunks_exact_mut(stride);
        // Padding has the weights 0.
        for (y, x) in rows.zip(x.data().chunks_exact(stride)) {
            for ((y, x), (weight, bias)) in y.iter_mut().zip(x).zip(weight.iter().zip(bias)) {
                *y = weight * x + bias;
            }
        }
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = call.dy else { return Ok(()) };
        if let Some(mut opened) = call.open(0) {
            let weight = call.params.packed(self.param);
            opened.rows_mut(|row, dx| {
                for ((dx, dy), weight) in dx.iter_mut().zip(dy.row(row)).zip(weight) {
                    *dx += dy * weight;
                }
            });
            call.close(opened);
        }
        if let Some(gradients) = call.gradients.take() {
            let values = Values { nodes: call.nodes, buffers: call.buffers, batch: call.batch };
            let x = values.get(call.inputs[0]);
            let (weight, bias) = gradients.packed_mut(self.param).split_at_mut(stride(dy.width()));
            for row in summing_order(call.batch, call.rows) {
                let sums = weight.iter_mut().zip(bias.iter_mut());
                for ((x, dy), (weight, bias)) in x.row(row).iter().zip(dy.row(row)).zip(sums) {
                    *weight += dy * x;
                    *bias += dy;
                }
            }
        }
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let tensors = call.param(self.param);
        call.input(0).map_rows(|row| {
            row.iter().enumerate().map(|(k, &x)| tensors[0][k] * x + tensors[1][k]).collect()
        })
    }
}
