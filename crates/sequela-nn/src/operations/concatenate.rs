//! Values side by side.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads};
use crate::program::Value;
use crate::reference::{ReferenceCall, Table};
use serde::{Deserialize, Serialize};

/// The columns of all inputs, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concatenate {}

impl Operation for Concatenate {
    fn name(&self) -> &'static str {
        "concatenate"
    }

    fn check(&self, _parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        let first = forms.first().ok_or("takes at least 1 input")?;
        if let Some(other) = forms.iter().find(|form| form.rows != first.rows) {
            return Err(format!("cannot put {other:?} beside {first:?}"));
        }
        let width = forms.iter().fold(0_usize, |sum, form| sum.saturating_add(form.width));
        Ok(Form { rows: first.rows, width })
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let rows = call.output.rows();
        for row in 0..rows {
            let mut start = 0;
            for k in 0..call.inputs.len() {
                let x = call.input(k).row(row);
                call.output.row_mut(row)[start..start + x.len()].copy_from_slice(x);
                start += x.len();
            }
        }
        // Padding of a reused buffer may hold anything; it only has to be finite.
        let (width, stride) = (call.output.width(), sequela_kernels::stride(call.output.width()));
        for row in call.output.data_mut().chunks_exact_mut(stride) {
            row[width..].fill(0.0);
        }
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = call.dy else { return Ok(()) };
        let mut start = 0;
        for k in 0..call.inputs.len() {
            let width = call.nodes[call.inputs[k].index()].width;
            if let Some(mut dx) = call.open(k) {
                dx.rows_mut(|row, dx| {
                    let from = &dy.row(row)[start..start + width];
                    dx.iter_mut().zip(from).for_each(|(dx, dy)| *dx += dy);
                });
                call.close(dx);
            }
            start += width;
        }
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let mut table = call.input(0).clone();
        for k in 1..call.inputs.len() {
            table = table.zip_rows(call.input(k), |a, b| [a, b].concat());
        }
        table
    }
}
