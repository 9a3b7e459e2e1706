//! One value or another, by a mask.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, Route};
use crate::program::Value;
use crate::reference::{ReferenceCall, Table};
use serde::{Deserialize, Serialize};

/// `y = a` where the mask is not 0, else `b`. Inputs: mask (of the width of the others, or 1),
/// a, b. No gradient goes to the mask, and none to the side that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Select {}

impl Operation for Select {
    fn name(&self) -> &'static str {
        "select"
    }

    fn check(&self, _parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        let [mask, a, b] = forms else {
            return Err(format!("takes 3 inputs, not {}", forms.len()));
        };
        if a != b || mask.rows != a.rows || !(mask.width == a.width || mask.width == 1) {
            return Err(format!("cannot choose between {a:?} and {b:?} by {mask:?}"));
        }
        Ok(*a)
    }

    fn reads(&self) -> Reads {
        Reads::Inputs
    }

    fn route(&self, _parts: &Parts<'_>, _inputs: &[Value], k: usize) -> Route {
        if k == 0 { Route::Nowhere } else { Route::Input }
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let (mask, a, b) = (call.input(0), call.input(1), call.input(2));
        call.output.data_mut().fill(0.0);
        for row in 0..a.rows() {
            let (mask, a, b) = (mask.row(row), a.row(row), b.row(row));
            for (k, y) in call.output.row_mut(row).iter_mut().enumerate() {
                *y = if mask[k.min(mask.len() - 1)] == 0.0 { b[k] } else { a[k] };
            }
        }
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let Some(dy) = call.dy else { return Ok(()) };
        for k in 1..3 {
            let Some(mut opened) = call.open(k) else { continue };
            let mask = call.input(0);
            opened.rows_mut(|row, dx| {
                let (mask, dy) = (mask.row(row), dy.row(row));
                for (j, dx) in dx.iter_mut().enumerate() {
                    if (mask[j.min(mask.len() - 1)] == 0.0) == (k == 2) {
                        *dx += dy[j];
                    }
                }
            });
            call.close(opened);
        }
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let mask = call.input(0);
        let pairs = call.input(1).zip_rows(call.input(2), |a, b| [a, b].concat());
        mask.zip_rows(&pairs, |mask, pair| {
            let width = pair.len() / 2;
            (0..width)
                .map(|k| {
                    let taken = mask[k.min(mask.len() - 1)].value() != 0.0;
                    if taken { pair[k] } else { pair[width + k] }
                })
                .collect()
        })
    }
}
