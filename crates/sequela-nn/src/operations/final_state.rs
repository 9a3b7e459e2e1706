//! The state after the last step of a recurrent layer.

use crate::Op;
use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, Route, one};
use crate::operations::recurrent::{copy_final_state, final_route, pass_final_gradient};
use crate::param::ParamSpec;
use crate::program::{Rows, Value};
use crate::reference::{ReferenceCall, Table};
use crate::words::StatePartWord;
use sequela_kernels::recurrent::StatePart;
use serde::{Deserialize, Serialize};

/// h or c after each sequence's last step in walking order (the first one, for a reverse layer),
/// `(B, H)` in batch order; for an empty sequence the initial state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalState {
    /// h or c.
    #[serde(with = "StatePartWord")]
    pub part: StatePart,
}

impl Operation for FinalState {
    fn name(&self) -> &'static str {
        match self.part {
            StatePart::Hidden => "final hidden state",
            StatePart::Cell => "final cell state",
        }
    }

    fn check(&self, parts: &Parts<'_>, inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        let form = one(forms)?;
        let Op::Recurrent(op) = &parts.nodes[inputs[0].index()].op else {
            return Err("takes the output of a recurrent node".into());
        };
        let shape = parts.params.get(op.param.index()).and_then(ParamSpec::recurrent);
        if self.part == StatePart::Cell && !shape.is_some_and(|shape| shape.has_cell_state()) {
            return Err("the recurrent node has no cell state".into());
        }
        Ok(Form { rows: Rows::Sequences, width: form.width })
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn route(&self, _parts: &Parts<'_>, _inputs: &[Value], _k: usize) -> Route {
        final_route(self.part)
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        copy_final_state(call, call.inputs[0], self.part);
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        pass_final_gradient(call, call.inputs[0], self.part);
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let finals = &call.finals[call.inputs[0].index()];
        let states = match self.part {
            StatePart::Hidden => &finals.hidden,
            StatePart::Cell => &finals.cell,
        };
        Table { rows: states.iter().map(|state| vec![state.clone()]).collect() }
    }
}
