//! One row for each sequence to all its steps.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, one};
use crate::operations::pool::add_over_steps;
use crate::program::{LayoutId, Rows, Value};
use crate::reference::{ReferenceCall, Table};
use sequela_kernels::Write;
use serde::{Deserialize, Serialize};

/// The sequence's row at each of its steps: statics beside what changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Whose steps.
    pub layout: LayoutId,
}

impl Operation for Spread {
    fn name(&self) -> &'static str {
        "spread over steps"
    }

    fn check(&self, parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        let form = one(forms)?;
        let rows = Rows::Steps(self.layout);
        parts.check_rows(rows)?;
        if form.rows != Rows::Sequences {
            return Err("takes one row for each sequence".into());
        }
        Ok(Form { rows, width: form.width })
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let (x, layout) = (call.input(0), call.layout(call.rows));
        let stride = x.stride();
        let y = call.output.data_mut();
        for t in 0..layout.steps() {
            for (k, &b) in layout.order().iter().take(layout.active(t)).enumerate() {
                let from = &x.data()[b as usize * stride..][..stride];
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
        let layout = call.batch.layout_of(call.rows);
        add_over_steps(layout, dy.data(), opened.data_mut(), dy.width());
        call.close(opened);
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let x = call.input(0);
        call.table(|place| x.rows[place.b][0].clone())
    }
}
