//! A recurrent layer of one direction.

use crate::error::Error;
use crate::operation::{
    Backward, Form, Forward, Opened, Operation, Parts, Reads, Route, Streams, Values, pass,
};
use crate::operations::walking::{InputGradients, back, forward};
use crate::param::{ParamKind, cell_tensors};
use crate::program::{Param, Rows, Value};
use crate::reference::{Finals, ReferenceCall, Table};
use crate::state::NodeState;
use sequela_kernels::Precision;
use sequela_kernels::recurrent::{self, Cell, Direction, Initial, StatePart, WeightMatrix};
use sequela_kernels::reference::{CellWeights, run};
use serde::{Deserialize, Serialize};

/// A layer of one of the kernels' cells. Inputs: x, then for a cell that fades the decays of h,
/// of x's rows and width H, then the initial h and c, `(B, H)` in batch order, if they are not
/// zero.
///
/// Over [`Rows::Steps`] it runs along each sequence; over [`Rows::Sequences`] it takes one step
/// from the states it is given, which is how decoders are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurrent {
    /// A [`ParamKind::Recurrent`].
    pub param: Param,
}

impl Operation for Recurrent {
    fn name(&self) -> &'static str {
        "recurrent"
    }

    fn check(&self, parts: &Parts<'_>, inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        let shape =
            parts.params[self.param.index()].recurrent().ok_or("is not given recurrent weights")?;
        let (x, mut states) = forms.split_first().ok_or("takes x and perhaps initial states")?;
        if shape.cell.fades() {
            let (decay, rest) = states.split_first().ok_or("takes x and the decays of h")?;
            if *decay != (Form { rows: x.rows, width: shape.hidden }) || inputs[0] == inputs[1] {
                return Err(format!("takes decays of {} units beside {x:?}", shape.hidden));
            }
            states = rest;
        }
        let most = if shape.has_cell_state() { 2 } else { 1 };
        if states.len() > most {
            return Err(format!("takes x and at most {most} initial states"));
        }
        if x.width != shape.inputs {
            return Err(format!("takes rows of {}, not of {}", shape.inputs, x.width));
        }
        let state = Form { rows: Rows::Sequences, width: shape.hidden };
        if let Some(other) = states.iter().find(|form| **form != state) {
            return Err(format!("the initial state is {other:?}, not {state:?}"));
        }
        Ok(Form { rows: x.rows, width: shape.hidden })
    }

    fn param(&self) -> Option<Param> {
        Some(self.param)
    }

    fn reads(&self) -> Reads {
        Reads::InputsAndOutput
    }

    fn streams(&self, parts: &Parts<'_>) -> Streams {
        let spec = &parts.params[self.param.index()];
        match spec.kind {
            ParamKind::Recurrent { direction: Direction::Reverse, .. } => {
                Streams::No("a reverse layer starts at the last step")
            }
            _ => Streams::Yes,
        }
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let Some(shape) = call.params.spec(self.param).recurrent() else { return Ok(()) };
        let (x, weights) = (call.input(0), call.params.packed(self.param));
        let layout = call.layout(call.rows);
        let values = call.values;
        let fades = shape.cell.fades();
        let given = |k: usize| call.inputs.get(k).map(|&value| values.get(value));
        let decay = given(1).filter(|_| fades);
        let first = first_state(shape.cell);
        match &mut call.states[call.node] {
            NodeState::Batch(state) => {
                state.workspace.round(weights, call.params.version());
                let initial = Initial { hidden: given(first), cell: given(first + 1) };
                let whole = recurrent::Forward { layout, x, initial, decay, weights };
                forward(call.context, shape, whole, state, call.output.reborrow())?;
            }
            NodeState::Stream(state) => {
                state.round(weights, call.params.version());
                if let Some(decay) = decay {
                    state.fade(call.context, decay);
                }
                recurrent::step(call.context, shape, x, weights, state)?;
                let h = state.hidden();
                call.output.data_mut().copy_from_slice(h.data());
            }
            NodeState::Nothing => {}
        }
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let Some(shape) = call.params.spec(self.param).recurrent() else { return Ok(()) };
        let NodeState::Batch(mut state) = std::mem::take(&mut call.states[call.node]) else {
            return Ok(());
        };
        let (fades, first) = (shape.cell.fades(), first_state(shape.cell));
        let mut dx = call.open(0);
        let mut decays = if fades { call.open(1) } else { None };
        let values = Values { nodes: call.nodes, buffers: call.buffers, batch: call.batch };
        let given = |k: usize| call.inputs.get(k).map(|&value| values.get(value));
        let layout = call.batch.layout_of(call.rows);
        let forward = recurrent::Forward {
            layout,
            x: values.get(call.inputs[0]),
            initial: Initial { hidden: given(first), cell: given(first + 1) },
            decay: given(1).filter(|_| fades),
            weights: call.params.packed(self.param),
        };
        // In bf16 the workspace has transposes of its own.
        let in_f32 = state.workspace.precision() == Precision::F32;
        let recurs = state.recurs(&forward);
        let hidden = recurs.then_some(WeightMatrix::Hidden);
        let input = dx.as_ref().map(|_| WeightMatrix::Input);
        let matrices = hidden.into_iter().chain(input).filter(|_| in_f32);
        let backward = recurrent::Backward {
            forward,
            y: values.get(Value(u32::try_from(call.node).unwrap_or(u32::MAX))),
            dy: call.dy,
            transposed: call.transposes.recurrent(call.context, call.params, self.param, matrices),
        };
        let out = InputGradients {
            x: dx.as_mut().map(Opened::written),
            decay: decays.as_mut().map(Opened::written),
        };
        let gradient = call.gradients.as_mut().map(|gradients| {
            if recurs {
                gradients.packed_mut(self.param)
            } else {
                gradients.packed_parts_mut(self.param, shape.input_parts())
            }
        });
        let gradient = gradient.unwrap_or(&mut []);
        let result = back(call.context, shape, backward, &mut state, out, gradient);
        for opened in [dx, decays].into_iter().flatten() {
            call.close(opened);
        }
        for (k, part) in [(first, StatePart::Hidden), (first + 1, StatePart::Cell)] {
            if let Some(mut opened) = call.open(k) {
                let gradient = state.workspace.initial_gradient(part);
                pass(opened.write, gradient.data(), opened.data_mut());
                call.close(opened);
            }
        }
        call.states[call.node] = NodeState::Batch(state);
        result
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        let Some(shape) = call.program.params()[self.param.index()].recurrent() else {
            return call.input(0).clone();
        };
        let tensors: Vec<&[_]> = call.param(self.param).iter().map(Vec::as_slice).collect();
        let [weight_ih, weight_hh, bias_ih, bias_hh] = cell_tensors(shape.cell, &tensors);
        let weights = CellWeights { weight_ih, weight_hh, bias_ih, bias_hh };
        let tape = call.tape;
        let first = first_state(shape.cell);
        let mut finals = Finals::default();
        let mut out = Table::default();
        for (b, sequence) in call.input(0).rows.iter().enumerate() {
            let state = |k: usize| {
                let given =
                    call.inputs.get(k).map(|value| call.tables[value.index()].rows[b][0].clone());
                given.unwrap_or_else(|| tape.vars(&vec![0.0; shape.hidden]))
            };
            let mut xs = sequence.clone();
            let fades = shape.cell.fades();
            let mut decays = if fades { call.input(1).rows[b].clone() } else { Vec::new() };
            if shape.direction == Direction::Reverse {
                xs.reverse();
                decays.reverse();
            }
            let (hidden, cell) = (state(first), state(first + 1));
            let mut trace = run(shape.cell, weights, &xs, &decays, &hidden, &cell);
            if shape.direction == Direction::Reverse {
                trace.hidden.reverse();
            }
            out.rows.push(trace.hidden);
            finals.hidden.push(trace.last_hidden);
            finals.cell.push(trace.last_cell);
        }
        call.finals[call.node] = finals;
        out
    }
}

/// Which input of a recurrent node is the first state, if there is one.
pub(crate) fn first_state(cell: Cell) -> usize {
    if cell.fades() { 2 } else { 1 }
}

/// Whether `value` is the output of a recurrent node that runs forward: then its value at the
/// last step is the final state.
pub(crate) fn is_forward_recurrent(parts: &Parts<'_>, value: Value) -> bool {
    let crate::Op::Recurrent(op) = &parts.nodes[value.index()].op else { return false };
    let kind = parts.params[op.param.index()].kind;
    matches!(kind, ParamKind::Recurrent { direction: Direction::Forward, .. })
}

/// The route of the gradient of a final state.
pub(crate) fn final_route(part: StatePart) -> Route {
    match part {
        StatePart::Hidden => Route::FinalHidden,
        StatePart::Cell => Route::FinalCell,
    }
}

/// Copies a final state of the recurrent node `from` to the output.
pub(crate) fn copy_final_state(call: &mut Forward<'_>, from: Value, part: StatePart) {
    match &call.states[from.index()] {
        NodeState::Batch(state) => {
            let state = state.workspace.final_state(part);
            call.output.data_mut().copy_from_slice(state.data());
        }
        NodeState::Stream(state) => match part {
            StatePart::Hidden => call.output.data_mut().copy_from_slice(state.hidden().data()),
            StatePart::Cell => {
                for b in 0..call.output.rows() {
                    for (unit, value) in call.output.row_mut(b).iter_mut().enumerate() {
                        *value = state.cell(b, unit);
                    }
                }
            }
        },
        NodeState::Nothing => {}
    }
}

/// Hands the gradient of a final state to the recurrent node `to`.
pub(crate) fn pass_final_gradient(call: &mut Backward<'_>, to: Value, part: StatePart) {
    let write = call.nodes[call.node].passes[0];
    let (Some(dy), Some(write)) = (call.dy, write) else { return };
    if let NodeState::Batch(state) = &mut call.states[to.index()] {
        pass(write, dy.data(), state.workspace.final_gradient_mut(part).data_mut());
    }
}
