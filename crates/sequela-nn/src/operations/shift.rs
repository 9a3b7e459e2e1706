//! Each sequence moved along its steps.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, Streams, one_of_steps};
use crate::program::Value;
use crate::reference::{ReferenceCall, Table};
use sequela_kernels::{Write, stride};
use serde::{Deserialize, Serialize};

/// `y_t = x_{t - by}`, zeros where the sequence has no such step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// Steps towards the end; towards the beginning where it is negative.
    pub by: i32,
}

impl Shift {
    /// The step that is seen at step `t`.
    fn source(self, t: usize, length: usize) -> Option<usize> {
        let by = self.by.unsigned_abs() as usize;
        let source = if self.by >= 0 { t.checked_sub(by) } else { t.checked_add(by) };
        source.filter(|&source| source < length)
    }
}

impl Operation for Shift {
    fn name(&self) -> &'static str {
        "shift"
    }

    fn check(&self, _parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        one_of_steps(forms)
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn streams(&self, _parts: &Parts<'_>) -> Streams {
        Streams::No("a shift looks at other steps")
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let (x, layout, stride) = (call.input(0), call.layout(call.rows), call.input(0).stride());
        let y = call.output.data_mut();
        y.fill(0.0);
        for (k, &length) in layout.lengths().iter().enumerate() {
            for t in 0..length as usize {
                if let Some(source) = self.source(t, length as usize) {
                    let from = &x.data()[layout.row(source, k) * stride..][..stride];
                    y[layout.row(t, k) * stride..][..stride].copy_from_slice(from);
                }
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
            for t in 0..length as usize {
                if let Some(source) = self.source(t, length as usize) {
                    let to = &mut dx[layout.row(source, k) * stride..][..dy.width()];
                    to.iter_mut().zip(dy.row(layout.row(t, k))).for_each(|(dx, dy)| *dx += dy);
                }
            }
        }
        call.close(opened);
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let (tape, by) = (call.tape, i64::from(self.by));
        let shift = |sequence: &Vec<Vec<_>>| {
            let zeros = || tape.vars(&vec![0.0; sequence[0].len()]);
            let at = |t: usize| i64::try_from(t).ok().and_then(|t| usize::try_from(t - by).ok());
            let row = |t: usize| at(t).and_then(|s| sequence.get(s)).cloned().unwrap_or_else(zeros);
            (0..sequence.len()).map(row).collect()
        };
        Table { rows: call.input(0).rows.iter().map(shift).collect() }
    }
}
