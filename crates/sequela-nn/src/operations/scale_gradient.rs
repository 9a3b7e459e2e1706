//! The identity, whose gradient is scaled.

use crate::batch::Batch;
use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, one};
use crate::program::{Scalar, Value};
use crate::reference::{ReferenceCall, Table};
use sequela_kernels::Write;
use serde::{Deserialize, Serialize};

/// `y = x`, `dx = s dy`: 0 stops the gradient, a negative number reverses it (Ganin 2016).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleGradient {
    /// s.
    pub scale: Scalar,
}

impl ScaleGradient {
    fn factor(self, batch: &Batch) -> f32 {
        match self.scale {
            Scalar::Fixed(scale) => scale,
            Scalar::Input(scalar) => batch.scalar(scalar),
        }
    }
}

impl Operation for ScaleGradient {
    fn name(&self) -> &'static str {
        "scale gradient"
    }

    fn check(&self, parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        match self.scale {
            Scalar::Input(scalar) if scalar.index() >= parts.scalars => {
                Err("names a scalar that is not there".into())
            }
            Scalar::Fixed(scale) if !scale.is_finite() => Err("scales by no finite number".into()),
            Scalar::Input(_) | Scalar::Fixed(_) => one(forms),
        }
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let x = call.input(0);
        call.output.data_mut().copy_from_slice(x.data());
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let (Some(dy), Some(mut opened)) = (call.dy, call.open(0)) else { return Ok(()) };
        let (factor, write) = (self.factor(call.batch), opened.write);
        let dx = opened.data_mut().iter_mut().zip(dy.data());
        match write {
            Write::Overwrite => dx.for_each(|(dx, dy)| *dx = factor * dy),
            Write::Accumulate => dx.for_each(|(dx, dy)| *dx += factor * dy),
        }
        call.close(opened);
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        // y = x in value: the part that is not differentiated is put back as a constant.
        let factor = f64::from(self.factor(call.batch));
        call.input(0)
            .map_rows(|row| row.iter().map(|&x| x * factor + (1.0 - factor) * x.value()).collect())
    }
}
