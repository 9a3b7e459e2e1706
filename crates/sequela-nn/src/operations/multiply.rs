//! The product of two values.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads};
use crate::program::Value;
use crate::reference::{ReferenceCall, Table};
use sequela_kernels::{Write, stride};
use serde::{Deserialize, Serialize};

/// `y = a * b`, lane by lane; `b` may have width 1 and then scales whole rows of `a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Multiply {}

impl Operation for Multiply {
    fn name(&self) -> &'static str {
        "multiply"
    }

    fn check(&self, _parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        match forms {
            [a, b] if a.rows == b.rows && (b.width == a.width || b.width == 1) => Ok(*a),
            [a, b] => Err(format!("cannot multiply {a:?} by {b:?}")),
            _ => Err(format!("takes 2 inputs, not {}", forms.len())),
        }
    }

    fn reads(&self) -> Reads {
        Reads::Inputs
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let (a, b) = (call.input(0), call.input(1));
        let y = call.output.data_mut();
        if a.width() == b.width() {
            let pairs = a.data().iter().zip(b.data());
            y.iter_mut().zip(pairs).for_each(|(y, (a, b))| *y = a * b);
        } else {
            let stride = a.stride();
            for (row, (y, a)) in
                y.chunks_exact_mut(stride).zip(a.data().chunks_exact(stride)).enumerate()
            {
                let factor = b.row(row)[0];
                y.iter_mut().zip(a).for_each(|(y, a)| *y = a * factor);
            }
        }
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = call.dy else { return Ok(()) };
        for k in 0..2 {
            let Some(mut opened) = call.open(k) else { continue };
            let (write, other) = (opened.write, call.input(1 - k));
            let (mine, stride) = (call.input(k).width(), stride(dy.width()));
            if mine == other.width() {
                let factors = dy.data().iter().zip(other.data());
                let dx = opened.data_mut().iter_mut().zip(factors);
                match write {
                    Write::Overwrite => dx.for_each(|(dx, (dy, x))| *dx = dy * x),
                    Write::Accumulate => dx.for_each(|(dx, (dy, x))| *dx += dy * x),
                }
            } else if k == 0 {
                opened.rows_mut(|row, dx| {
                    let factor = other.row(row)[0];
                    let dy = &dy.data()[row * stride..];
                    dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy * factor);
                });
            } else {
                opened.rows_mut(|row, dx| dx[0] += dot(dy.row(row), other.row(row)));
            }
            call.close(opened);
        }
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        call.input(0).zip_rows(call.input(1), |a, b| {
            a.iter().enumerate().map(|(k, &a)| a * b[k.min(b.len() - 1)]).collect()
        })
    }
}

/// A dot product in one fixed order: eight lanes, then their sum.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]))
}
