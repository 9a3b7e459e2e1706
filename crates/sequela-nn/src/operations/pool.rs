//! Steps to one row for each sequence.

use crate::error::Error;
use crate::operation::{
    Backward, Cuts, Form, Forward, Operation, Parts, Reads, Route, Streams, one_of_steps,
};
use crate::operations::recurrent::{copy_final_state, is_forward_recurrent, pass_final_gradient};
use crate::program::{Rows, Value};
use crate::reference::{ReferenceCall, Table};
use sequela_core::Layout;
use sequela_kernels::recurrent::StatePart;
use sequela_kernels::reference::tape::Var;
use sequela_kernels::{Write, stride};
use serde::{Deserialize, Serialize};

/// One row for each sequence, in batch order, from its own valid steps; zeros for an empty one.
///
/// The last of a forward recurrent layer is its final state: for an empty sequence that is the
/// initial one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// What is made of the steps.
    pub kind: PoolKind,
}

/// What is made of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// The last.
    Last,
    /// The mean.
    Mean,
    /// The largest, column by column; its gradient goes to the first step that has it.
    Max,
    /// The sum.
    Sum,
}

impl Operation for Pool {
    fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Last => "last step",
            PoolKind::Mean => "mean over steps",
            PoolKind::Max => "largest over steps",
            PoolKind::Sum => "sum over steps",
        }
    }

    fn check(&self, _parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        let form = one_of_steps(forms)?;
        Ok(Form { rows: Rows::Sequences, width: form.width })
    }

    fn reads(&self) -> Reads {
        match self.kind {
            PoolKind::Max => Reads::InputsAndOutput,
            PoolKind::Last | PoolKind::Mean | PoolKind::Sum => Reads::Nothing,
        }
    }

    fn route(&self, parts: &Parts<'_>, inputs: &[Value], _k: usize) -> Route {
        if self.kind == PoolKind::Last && is_forward_recurrent(parts, inputs[0]) {
            Route::FinalHidden
        } else {
            Route::Input
        }
    }

    fn streams(&self, _parts: &Parts<'_>) -> Streams {
        match self.kind {
            PoolKind::Last => Streams::Yes,
            PoolKind::Mean | PoolKind::Max | PoolKind::Sum => {
                Streams::No("pooling over steps needs all of them")
            }
        }
    }

    fn cuts(&self, parts: &Parts<'_>, inputs: &[Value]) -> Cuts {
        if self.route(parts, inputs, 0) == Route::FinalHidden {
            Cuts::Yes
        } else {
            Cuts::No("pooling over steps needs all of them")
        }
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        if self.kind == PoolKind::Last && is_forward_recurrent(&call.parts, call.inputs[0]) {
            copy_final_state(call, call.inputs[0], StatePart::Hidden);
            return Ok(());
        }
        let (x, layout) = (call.input(0), call.layout(call.input_rows(0)));
        call.output.data_mut().fill(0.0);
        for (k, (&b, &length)) in layout.order().iter().zip(layout.lengths()).enumerate() {
            let y = call.output.row_mut(b as usize);
            let length = length as usize;
            for t in self.steps(length) {
                let x = x.row(layout.row(t, k));
                match self.kind {
                    PoolKind::Max if t > 0 => {
                        y.iter_mut().zip(x).for_each(|(y, &x)| *y = if x > *y { x } else { *y });
                    }
                    PoolKind::Max | PoolKind::Last => y.copy_from_slice(x),
                    PoolKind::Mean | PoolKind::Sum => {
                        y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
                    }
                }
            }
            if let Some(factor) = self.factor(length) {
                for y in y {
                    *y *= factor;
                }
            }
        }
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        if self.route(&call.parts, call.inputs, 0) == Route::FinalHidden {
            pass_final_gradient(call, call.inputs[0], StatePart::Hidden);
            return Ok(());
        }
        let (Some(dy), Some(mut opened)) = (call.dy, call.open(0)) else { return Ok(()) };
        let layout = call.batch.layout_of(call.input_rows(0));
        let (width, stride) = (dy.width(), stride(dy.width()));
        if opened.write == Write::Overwrite {
            opened.data_mut().fill(0.0);
        }
        let dx = opened.data_mut();
        for (k, (&b, &length)) in layout.order().iter().zip(layout.lengths()).enumerate() {
            let (dy, length) = (dy.row(b as usize), length as usize);
            if self.kind == PoolKind::Max {
                let (x, y) = (call.input(0), call.output().row(b as usize));
                for column in 0..width {
                    let at = |t: usize| x.row(layout.row(t, k))[column];
                    #[expect(clippy::float_cmp, reason = "one of them was copied from the other")]
                    let has = |t: &usize| at(*t) == y[column];
                    if let Some(t) = (0..length).find(has) {
                        dx[layout.row(t, k) * stride + column] += dy[column];
                    }
                }
                continue;
            }
            let factor = self.factor(length).unwrap_or(1.0);
            for t in self.steps(length) {
                let dx = &mut dx[layout.row(t, k) * stride..][..width];
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy * factor);
            }
        }
        call.close(opened);
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let (tape, width, x) = (call.tape, call.width(), call.input(0));
        if self.kind == PoolKind::Last
            && is_forward_recurrent(&call.program.parts(), call.inputs[0])
        {
            let states = &call.finals[call.inputs[0].index()].hidden;
            return Table { rows: states.iter().map(|state| vec![state.clone()]).collect() };
        }
        let pool = |sequence: &Vec<Vec<Var<'t>>>| {
            let column = |k: usize| sequence.iter().map(move |row| row[k]);
            let value = |k: usize| match self.kind {
                PoolKind::Last => column(k).next_back(),
                PoolKind::Max => column(k).reduce(Var::max),
                PoolKind::Sum => column(k).reduce(|a, b| a + b),
                PoolKind::Mean => {
                    column(k).reduce(|a, b| a + b).map(|sum| sum / sequence.len() as f64)
                }
            };
            vec![(0..width).map(|k| value(k).unwrap_or_else(|| tape.var(0.0))).collect()]
        };
        Table { rows: x.rows.iter().map(pool).collect() }
    }
}

impl Pool {
    /// The steps that count.
    fn steps(self, length: usize) -> std::ops::Range<usize> {
        match self.kind {
            PoolKind::Last => length.saturating_sub(1)..length,
            PoolKind::Mean | PoolKind::Max | PoolKind::Sum => 0..length,
        }
    }

    /// What the sum is multiplied by.
    fn factor(self, length: usize) -> Option<f32> {
        (self.kind == PoolKind::Mean && length > 1).then(|| 1.0 / length as f32)
    }
}

/// Adds the rows of each sequence, in the order of its steps, to its row of `out` `(B, width)`.
pub(crate) fn add_over_steps(layout: &Layout, x: &[f32], out: &mut [f32], width: usize) {
    let stride = stride(width);
    for (k, (&b, &length)) in layout.order().iter().zip(layout.lengths()).enumerate() {
        let out = &mut out[b as usize * stride..][..width];
        for t in 0..length as usize {
            let x = &x[layout.row(t, k) * stride..][..width];
            out.iter_mut().zip(x).for_each(|(out, x)| *out += x);
        }
    }
}
