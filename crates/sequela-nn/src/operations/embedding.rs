//! Symbols to vectors.

use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, copy_row, summing_order};
use crate::param::ParamKind;
use crate::program::{InputId, InputKind, Param, Value};
use crate::reference::{ReferenceCall, Table};
use sequela_kernels::stride;
use serde::{Deserialize, Serialize};

/// A row of a table for each symbol; a bag of symbols gives the sum or mean of its rows, and an
/// empty bag zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// A [`ParamKind::Table`].
    pub param: Param,
    /// An input of symbols.
    pub ids: InputId,
    /// What is made of a bag.
    pub combine: Combine,
}

/// What is made of the rows of a bag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// Their sum: RETAIN's multi-hot product.
    #[default]
    Sum,
    /// Their mean.
    Mean,
}

impl Embedding {
    fn factor(self, bag: usize) -> f32 {
        match self.combine {
            Combine::Mean if bag > 1 => 1.0 / bag as f32,
            Combine::Mean | Combine::Sum => 1.0,
        }
    }
}

impl Operation for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn check(&self, parts: &Parts<'_>, inputs: &[Value], _forms: &[Form]) -> Result<Form, String> {
        let ParamKind::Table { rows, width } = parts.params[self.param.index()].kind else {
            return Err("is not given a table".into());
        };
        let spec = parts.inputs.get(self.ids.index()).ok_or("names no input of the program")?;
        match spec.kind {
            InputKind::Ids { vocabulary } if vocabulary <= rows && inputs.is_empty() => {
                Ok(Form { rows: spec.rows, width })
            }
            InputKind::Ids { .. } if !inputs.is_empty() => Err("takes no values".into()),
            InputKind::Ids { vocabulary } => {
                Err(format!("has {rows} rows for a vocabulary of {vocabulary}"))
            }
            InputKind::Numeric { .. } => Err("takes symbols, not numbers".into()),
        }
    }

    fn param(&self) -> Option<Param> {
        Some(self.param)
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let (table, ids) = (call.params.packed(self.param), call.values.batch.ids(self.ids));
        let (rows, width) = (call.output.rows(), call.output.width());
        let stride = stride(width);
        let output = call.output.data_mut();
        for (row, y) in output.chunks_exact_mut(stride).take(rows).enumerate() {
            match ids.row(row) {
                [id] => copy_row(&table[*id as usize * stride..][..width], y),
                bag => {
                    y.fill(0.0);
                    for &id in bag {
                        let vector = &table[id as usize * stride..][..width];
                        y.iter_mut().zip(vector).for_each(|(y, v)| *y += v);
                    }
                    let factor = self.factor(bag.len());
                    for y in y {
                        *y *= factor;
                    }
                }
            }
        }
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let (Some(dy), Some(gradients)) = (call.dy, call.gradients.as_mut()) else { return Ok(()) };
        let (ids, gradient) = (call.batch.ids(self.ids), gradients.packed_mut(self.param));
        let stride = stride(dy.width());
        for row in summing_order(call.batch, call.rows) {
            let (bag, dy) = (ids.row(row), dy.row(row));
            let factor = self.factor(bag.len());
            for &id in bag {
                let to = &mut gradient[id as usize * stride..][..dy.len()];
                to.iter_mut().zip(dy).for_each(|(to, dy)| *to += factor * dy);
            }
        }
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let (tape, ids) = (call.tape, call.batch.ids(self.ids));
        let width = call.width();
        let (table, combine) = (&call.param(self.param)[0], self.combine);
        call.table(|place| {
            let bag = ids.row(place.row);
            (0..width)
                .map(|k| {
                    let start = tape.var(0.0);
                    let sum =
                        bag.iter().fold(start, |sum, &id| sum + table[id as usize * width + k]);
                    match combine {
                        Combine::Mean if !bag.is_empty() => sum / bag.len() as f64,
                        Combine::Mean | Combine::Sum => sum,
                    }
                })
                .collect()
        })
    }
}
