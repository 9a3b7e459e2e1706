//! The sum of values of one form.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, pass};
use crate::program::Value;
use crate::reference::{ReferenceCall, Table};
use serde::{Deserialize, Serialize};

/// `y = a + b + ..`, all of one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {}

impl Operation for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn check(&self, _parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        let first = *forms.first().ok_or("takes at least 1 input")?;
        match forms.iter().find(|form| **form != first) {
            Some(other) => Err(format!("cannot add {other:?} to {first:?}")),
            None => Ok(first),
        }
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        for k in 0..call.inputs.len() {
            let x = call.input(k);
            let y = call.output.data_mut();
            if k == 0 {
                y.copy_from_slice(x.data());
            } else {
                y.iter_mut().zip(x.data()).for_each(|(y, x)| *y += x);
            }
        }
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = call.dy else { return Ok(()) };
        for k in 0..call.inputs.len() {
            if let Some(mut dx) = call.open(k) {
                pass(dx.write, dy.data(), dx.data_mut());
                call.close(dx);
            }
        }
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let mut sum = call.input(0).clone();
        for k in 1..call.inputs.len() {
            sum =
                sum.zip_rows(call.input(k), |a, b| a.iter().zip(b).map(|(&a, &b)| a + b).collect());
        }
        sum
    }
}
