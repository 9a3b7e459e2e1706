//! Weights over the steps of each sequence.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, Streams, one_of_steps};
use crate::program::Value;
use crate::reference::{ReferenceCall, Table};
use sequela_kernels::stride;
use serde::{Deserialize, Serialize};

/// The softmax over each sequence's own steps, column by column: attention weights that sum to 1
/// over a sequence whatever its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftmaxSteps {}

impl Operation for SoftmaxSteps {
    fn name(&self) -> &'static str {
        "softmax over steps"
    }

    fn check(&self, _parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        one_of_steps(forms)
    }

    fn reads(&self) -> Reads {
        Reads::Output
    }

    fn streams(&self, _parts: &Parts<'_>) -> Streams {
        Streams::No("weights over steps depend on all of them")
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let (x, layout) = (call.input(0), call.layout(call.rows));
        let (width, stride) = (x.width(), x.stride());
        let y = call.output.data_mut();
        y.copy_from_slice(x.data());
        for (k, &length) in layout.lengths().iter().enumerate() {
            for column in 0..width {
                let at = |t: usize| layout.row(t, k) * stride + column;
                let steps = 0..length as usize;
                let largest = steps.clone().fold(f32::NEG_INFINITY, |m, t| m.max(y[at(t)]));
                let mut sum = 0.0;
                for t in steps.clone() {
                    let power = libm::expf(y[at(t)] - largest);
                    y[at(t)] = power;
                    sum += power;
                }
                for t in steps {
                    y[at(t)] /= sum;
                }
            }
        }
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let (Some(dy), Some(mut opened)) = (call.dy, call.open(0)) else { return Ok(()) };
        let (y, layout) = (call.output(), call.batch.layout_of(call.rows));
        let (width, stride) = (dy.width(), stride(dy.width()));
        if opened.write == sequela_kernels::Write::Overwrite {
            opened.data_mut().fill(0.0);
        }
        let dx = opened.data_mut();
        for (k, &length) in layout.lengths().iter().enumerate() {
            for column in 0..width {
                let at = |t: usize| layout.row(t, k) * stride + column;
                let mut shared = 0.0;
                for t in 0..length as usize {
                    shared += y.data()[at(t)] * dy.data()[at(t)];
                }
                for t in 0..length as usize {
                    dx[at(t)] += y.data()[at(t)] * (dy.data()[at(t)] - shared);
                }
            }
        }
        call.close(opened);
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let tape = call.tape;
        let mut table = call.input(0).clone();
        for sequence in &mut table.rows {
            for column in 0..sequence.first().map_or(0, Vec::len) {
                let powers: Vec<_> = sequence.iter().map(|row| row[column].exp()).collect();
                let sum = powers.iter().fold(tape.var(0.0), |sum, &power| sum + power);
                for (row, power) in sequence.iter_mut().zip(powers) {
                    row[column] = power / sum;
                }
            }
        }
        table
    }
}
