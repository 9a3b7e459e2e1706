//! What stands in for a channel that is missing: its last value, faded.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, Route};
use crate::program::Value;
use crate::reference::{ReferenceCall, Table};
use serde::{Deserialize, Serialize};

/// `y = value` where a channel was observed, else `decay * value`. Inputs: values (where missing
/// the last one that was seen, 0 before the first), a mask and decays, all of one form. Values are
/// scaled, so that their mean is 0 and the last one fades towards it. No gradient goes to the mask.
///
/// **Source** Che et al. 2018, Scientific Reports 8:6085, equation 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Impute {}

impl Operation for Impute {
    fn name(&self) -> &'static str {
        "impute"
    }

    fn check(&self, _parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        match forms {
            [values, mask, decay] if values == mask && values == decay => Ok(*values),
            [values, mask, decay] => {
                Err(format!("cannot fade {values:?} by {decay:?} where {mask:?} says so"))
            }
            _ => Err(format!("takes 3 inputs, not {}", forms.len())),
        }
    }

    fn reads(&self) -> Reads {
        Reads::Inputs
    }

    fn route(&self, _parts: &Parts<'_>, _inputs: &[Value], k: usize) -> Route {
        if k == 1 { Route::Nowhere } else { Route::Input }
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let (values, mask, decay) = (call.input(0), call.input(1), call.input(2));
        let cells = mask.data().iter().zip(values.data()).zip(decay.data());
        for (y, ((&mask, &value), &decay)) in call.output.data_mut().iter_mut().zip(cells) {
            *y = if mask == 0.0 { decay * value } else { value };
        }
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = call.dy else { return Ok(()) };
        if let Some(mut opened) = call.open(0) {
            let (mask, decay) = (call.input(1), call.input(2));
            opened.rows_mut(|row, dx| {
                let cells = mask.row(row).iter().zip(decay.row(row)).zip(dy.row(row));
                for (dx, ((&mask, &decay), &dy)) in dx.iter_mut().zip(cells) {
                    *dx += if mask == 0.0 { dy * decay } else { dy };
                }
            });
            call.close(opened);
        }
        if let Some(mut opened) = call.open(2) {
            let (values, mask) = (call.input(0), call.input(1));
            opened.rows_mut(|row, dx| {
                let cells = mask.row(row).iter().zip(values.row(row)).zip(dy.row(row));
                for (dx, ((&mask, &value), &dy)) in dx.iter_mut().zip(cells) {
                    *dx += if mask == 0.0 { dy * value } else { 0.0 };
                }
            });
            call.close(opened);
        }
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let (values, decay) = (call.input(0), call.input(2));
        call.input(1).map_places(|b, t, mask| {
            let (values, decay) = (&values.rows[b][t], &decay.rows[b][t]);
            let cell = |k: usize| {
                if mask[k].value() == 0.0 { decay[k] * values[k] } else { values[k] }
            };
            (0..mask.len()).map(cell).collect()
        })
    }
}
