//! A function of each value.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, one};
use crate::program::Value;
use crate::reference::{ReferenceCall, Table};
use crate::words::ActivationWord;
use sequela_kernels::activation::{self, Activation};
use sequela_kernels::reference::cells::activate;
use serde::{Deserialize, Serialize};

/// `y = f(x)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// f.
    #[serde(with = "ActivationWord")]
    pub kind: Activation,
}

impl Operation for Activate {
    fn name(&self) -> &'static str {
        match self.kind {
            Activation::Identity => "identity",
            Activation::Tanh => "tanh",
            Activation::Relu => "relu",
            Activation::Sigmoid => "sigmoid",
            Activation::Softplus => "softplus",
            Activation::Decay => "decay",
        }
    }

    fn check(&self, _parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        one(forms)
    }

    fn reads(&self) -> Reads {
        Reads::Output
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let x = call.input(0);
        activation::apply(call.context, self.kind, x.data(), call.output.data_mut());
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let (Some(dy), Some(mut dx)) = (call.dy, call.open(0)) else { return Ok(()) };
        let (y, write) = (call.output(), dx.write);
        let to = dx.data_mut();
        activation::gradient(call.context, self.kind, y.data(), dy.data(), to, write);
        call.close(dx);
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        call.input(0).map_rows(|row| row.iter().map(|&x| activate(self.kind, x)).collect())
    }
}
