//! What a recurrent node remembers: its workspace, or its state in a stream.

use crate::error::Error;
use crate::plan::{Capacity, Phase, Plan, PlannedNode};
use crate::program::{Node, Program, Rows};
use crate::{Op, limits};
use sequela_kernels::recurrent::{self, State, Workspace};
use sequela_kernels::{Buffer, Context, Matrix, Precision, stride};

/// The memory of one node; most have none.
#[derive(Debug, Default)]
pub(crate) enum NodeState {
    #[default]
    Nothing,
    /// A recurrent node over whole sequences.
    Batch(Box<BatchState>),
    /// A recurrent node that is stepped.
    Stream(Box<State>),
}

impl NodeState {
    /// The same memory for another precision.
    pub(crate) fn with_precision(
        self,
        precision: Precision,
        context: &Context,
    ) -> Result<Self, Error> {
        Ok(match self {
            Self::Nothing => Self::Nothing,
            Self::Batch(state) => {
                let BatchState { workspace, carried } = *state;
                let workspace = workspace.with_precision(precision, context)?;
                Self::Batch(Box::new(BatchState { workspace, carried }))
            }
            Self::Stream(state) => {
                Self::Stream(Box::new(state.with_precision(precision, context)?))
            }
        })
    }
}

/// The workspace of a recurrent node, and the state that truncated training carries into it.
#[derive(Debug)]
pub(crate) struct BatchState {
    pub(crate) workspace: Workspace,
    pub(crate) carried: Option<Carried>,
}

/// States carried from one piece of a sequence to the next, `(B, H)` in batch order.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) hidden: Buffer,
    /// Empty for cells without one.
    pub(crate) cell: Buffer,
    /// B of the batch that left them; 0 where there are none yet.
    pub(crate) sequences: usize,
    pub(crate) width: usize,
}

impl Carried {
    pub(crate) fn hidden(&self) -> Option<Matrix<'_>> {
        (self.sequences > 0).then(|| Matrix::new(&self.hidden, self.sequences, self.width))
    }

    pub(crate) fn cell(&self) -> Option<Matrix<'_>> {
        (self.sequences > 0 && !self.cell.is_empty())
            .then(|| Matrix::new(&self.cell, self.sequences, self.width))
    }
}

/// How recurrent nodes over steps run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recurrence {
    WholeSequences,
    StepByStep,
}

/// The memory of every node.
pub(crate) fn states(
    program: &Program,
    plan: &Plan,
    capacity: &Capacity,
    recurrence: Recurrence,
) -> Result<Vec<NodeState>, Error> {
    let mut states = Vec::with_capacity(program.nodes().len());
    let mut bytes = 0;
    for (node, planned) in program.nodes().iter().zip(&plan.nodes) {
        states.push(state_of(program, (node, planned), capacity, recurrence, &mut bytes)?);
    }
    Ok(states)
}

/// The memory of one node; `bytes` gathers what all take.
fn state_of(
    program: &Program,
    (node, planned): (&Node, &PlannedNode),
    capacity: &Capacity,
    recurrence: Recurrence,
    bytes: &mut usize,
) -> Result<NodeState, Error> {
    let Op::Recurrent(op) = &node.op else { return Ok(NodeState::Nothing) };
    let shape = program.params()[op.param.index()].recurrent();
    let Some(shape) = shape.filter(|_| planned.phase != Phase::Never) else {
        return Ok(NodeState::Nothing);
    };
    let (rows, sequences) = (capacity.of(node.rows), capacity.sequences);
    let gates = (shape.gates() + 2) * stride(shape.hidden) * 4;
    *bytes = bytes.saturating_add((rows + sequences).saturating_mul(gates));
    limits::check("plan", "the number of bytes of a plan", *bytes, limits::PLAN_BYTES)?;
    if recurrence == Recurrence::StepByStep && node.rows != Rows::Sequences {
        return Ok(NodeState::Stream(Box::new(State::new(shape, sequences))));
    }
    let keep = if planned.backward { recurrent::Keep::Backward } else { recurrent::Keep::Nothing };
    let workspace = Workspace::new(shape, recurrent::Capacity { rows, sequences }, keep);
    Ok(NodeState::Batch(Box::new(BatchState { workspace, carried: None })))
}
