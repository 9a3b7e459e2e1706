//! Each sequence turned around, by its own length.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, Streams, one_of_steps};
use crate::program::Value;
use crate::reference::{ReferenceCall, Table};
use sequela_kernels::{Write, stride};
use serde::{Deserialize, Serialize};

/// `y_t = x_{T - 1 - t}`, T each sequence's own length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reverse {}

impl Operation for Reverse {
    fn name(&self) -> &'static str {
        "reverse"
    }

    fn check(&self, _parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        one_of_steps(forms)
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn streams(&self, _parts: &Parts<'_>) -> Streams {
        Streams::No("reversing starts at the last step")
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let (x, layout, stride) = (call.input(0), call.layout(call.rows), call.input(0).stride());
        let y = call.output.data_mut();
        for (k, &length) in layout.lengths().iter().enumerate() {
            let length = length as usize;
            for t in 0..length {
                let from = &x.data()[layout.row(length - 1 - t, k) * stride..][..stride];
                y[layout.row(t, k) * stride..][..stride].copy_from_slice(from);
            }
        }
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let (Some(dy), Some(mut opened)) = (call.dy, call.open(0)) else { return Ok(()) };
        if opened.write == Write::Overwrite {
            opened.data_mut().fill(0.0);
        }
        let (layout, stride) = (call.batch.layout_of(call.rows), stride(dy.width()));
        let dx = opened.data_mut();
        for (k, &length) in layout.lengths().iter().enumerate() {
            let length = length as usize;
            for t in 0..length {
                let to = &mut dx[layout.row(length - 1 - t, k) * stride..][..dy.width()];
                to.iter_mut().zip(dy.row(layout.row(t, k))).for_each(|(dx, dy)| *dx += dy);
            }
        }
        call.close(opened);
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let mut table = call.input(0).clone();
        table.rows.iter_mut().for_each(|sequence| sequence.reverse());
        table
    }
}
