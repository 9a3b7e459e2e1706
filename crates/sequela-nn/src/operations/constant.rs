//! The same number everywhere.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads};
use crate::program::{Rows, Value};
use crate::reference::{ReferenceCall, Table};
use serde::{Deserialize, Serialize};

/// Rows that hold one number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// The number.
    pub value: f32,
    /// What its rows are.
    pub rows: Rows,
    /// Values of each row.
    pub width: usize,
}

impl Operation for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn check(&self, parts: &Parts<'_>, inputs: &[Value], _forms: &[Form]) -> Result<Form, String> {
        parts.check_rows(self.rows)?;
        if !inputs.is_empty() {
            return Err("takes no inputs".into());
        }
        if !self.value.is_finite() {
            return Err("is not a finite number".into());
        }
        Ok(Form { rows: self.rows, width: self.width })
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        call.output.data_mut().fill(0.0);
        for row in 0..call.output.rows() {
            call.output.row_mut(row).fill(self.value);
        }
        Ok(())
    }

    fn backward(&self, _call: &mut Backward<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let (tape, value, width) = (call.tape, f64::from(self.value), self.width);
        call.table(|_| tape.vars(&vec![value; width]))
    }
}
