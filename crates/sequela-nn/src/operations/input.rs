//! A numeric input of the batch.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads};
use crate::program::{InputId, InputKind, Value};
use crate::reference::{ReferenceCall, Table};
use serde::{Deserialize, Serialize};

/// A numeric input: its value is what the batch holds, without a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Which.
    pub input: InputId,
}

impl Operation for Input {
    fn name(&self) -> &'static str {
        "input"
    }

    fn check(&self, parts: &Parts<'_>, inputs: &[Value], _forms: &[Form]) -> Result<Form, String> {
        let spec = parts.inputs.get(self.input.index()).ok_or("names no input of the program")?;
        match (spec.kind, inputs) {
            (InputKind::Numeric { width }, []) => Ok(Form { rows: spec.rows, width }),
            (InputKind::Ids { .. }, _) => Err("holds symbols; they go through an embedding".into()),
            (InputKind::Numeric { .. }, _) => Err("takes no inputs".into()),
        }
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn forward(&self, _call: &mut Forward<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn backward(&self, _call: &mut Backward<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let matrix = call.batch.input(self.input);
        let tape = call.tape;
        call.table(|place| {
            matrix.row(place.row).iter().map(|&value| tape.var(f64::from(value))).collect()
        })
    }
}
