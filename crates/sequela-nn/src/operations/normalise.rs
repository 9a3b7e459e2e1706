//! Layer normalisation.

use crate::error::Error;
use crate::operation::{
    Backward, Form, Forward, Operation, Parts, Reads, Values, one, summing_order,
};
use crate::param::ParamKind;
use crate::program::{Param, Value};
use crate::reference::{ReferenceCall, Table};
use sequela_kernels::stride;
use serde::{Deserialize, Serialize};

/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias`, over each row.
///
/// **Source** Ba, Kiros and Hinton 2016, arXiv 1607.06450; `torch.nn.LayerNorm`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalise {
    /// A [`ParamKind::Normalise`].
    pub param: Param,
    /// Keeps rows that do not vary finite; PyTorch's default is 1e-5.
    pub epsilon: f32,
}

/// What the row's statistics are.
struct Statistics {
    mean: f32,
    /// 1 / sqrt(variance + epsilon).
    scale: f32,
}

impl Normalise {
    fn statistics(self, row: &[f32]) -> Statistics {
        let over = 1.0 / row.len() as f32;
        let mean = sum(row.iter().copied()) * over;
        let variance = sum(row.iter().map(|x| (x - mean) * (x - mean))) * over;
        Statistics { mean, scale: 1.0 / (variance + self.epsilon).sqrt() }
    }
}

impl Operation for Normalise {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn check(&self, parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        let form = one(forms)?;
        if parts.params[self.param.index()].kind != (ParamKind::Normalise { width: form.width }) {
            return Err(format!("is not given the weights of a layer norm of {}", form.width));
        }
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return Err("epsilon has to be above 0".into());
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
        let (gain, bias) = packed.split_at(x.stride());
        call.output.data_mut().fill(0.0);
        for row in 0..x.rows() {
            let x = x.row(row);
            let Statistics { mean, scale } = self.statistics(x);
            let y = call.output.row_mut(row);
            for ((y, x), (gain, bias)) in y.iter_mut().zip(x).zip(gain.iter().zip(bias)) {
                *y = (x - mean) * scale * gain + bias;
            }
        }
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = call.dy else { return Ok(()) };
        if let Some(mut opened) = call.open(0) {
            let (x, packed) = (call.input(0), call.params.packed(self.param));
            let over = 1.0 / dy.width() as f32;
            opened.rows_mut(|row, dx| {
                let (x, dy) = (x.row(row), dy.row(row));
                let Statistics { mean, scale } = self.statistics(x);
                let scaled = |k: usize| dy[k] * packed[k];
                let normal = |k: usize| (x[k] - mean) * scale;
                let first = sum((0..x.len()).map(scaled)) * over;
                let second = sum((0..x.len()).map(|k| scaled(k) * normal(k))) * over;
                for (k, dx) in dx.iter_mut().enumerate() {
                    *dx += scale * (scaled(k) - first - normal(k) * second);
                }
            });
            call.close(opened);
        }
        if let Some(gradients) = call.gradients.take() {
            let values = Values { nodes: call.nodes, buffers: call.buffers, batch: call.batch };
            let x = values.get(call.inputs[0]);
            let (gain, bias) = gradients.packed_mut(self.param).split_at_mut(stride(dy.width()));
            for row in summing_order(call.batch, call.rows) {
                let (x, dy) = (x.row(row), dy.row(row));
                let Statistics { mean, scale } = self.statistics(x);
                for (k, dy) in dy.iter().enumerate() {
                    gain[k] += dy * (x[k] - mean) * scale;
                    bias[k] += dy;
                }
            }
        }
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let (tape, epsilon) = (call.tape, f64::from(self.epsilon));
        let tensors = call.param(self.param);
        call.input(0).map_rows(|row| {
            let count = row.len() as f64;
            let mean = row.iter().fold(tape.var(0.0), |sum, &x| sum + x) / count;
            let variance =
                row.iter().fold(tape.var(0.0), |sum, &x| sum + (x - mean) * (x - mean)) / count;
            let deviation = (variance + epsilon).sqrt();
            row.iter()
                .enumerate()
                .map(|(k, &x)| (x - mean) / deviation * tensors[0][k] + tensors[1][k])
                .collect()
        })
    }
}

/// A sum in eight fixed lanes.
fn sum(values: impl Iterator<Item = f32>) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (k, value) in values.enumerate() {
        sums[k % 8] += value;
    }
    ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]))
}
