//! Some columns of a value.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, copy_row, one};
use crate::program::Value;
use crate::reference::{ReferenceCall, Table};
use sequela_kernels::stride;
use serde::{Deserialize, Serialize};

/// Columns `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// First column.
    pub start: usize,
    /// Column after the last.
    pub end: usize,
}

impl Operation for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn check(&self, _parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        let form = one(forms)?;
        if self.start >= self.end || self.end > form.width {
            return Err(format!("columns {}..{} of {}", self.start, self.end, form.width));
        }
        Ok(Form { rows: form.rows, width: self.end - self.start })
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let x = call.input(0);
        let stride = stride(call.output.width());
        for (row, y) in call.output.data_mut().chunks_exact_mut(stride).enumerate() {
            copy_row(&x.row(row)[self.start..self.end], y);
        }
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let (Some(dy), Some(mut dx)) = (call.dy, call.open(0)) else { return Ok(()) };
        dx.rows_mut(|row, dx| {
            let to = &mut dx[self.start..self.end];
            to.iter_mut().zip(dy.row(row)).for_each(|(dx, dy)| *dx += dy);
        });
        call.close(dx);
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        call.input(0).map_rows(|row| row[self.start..self.end].to_vec())
    }
}
