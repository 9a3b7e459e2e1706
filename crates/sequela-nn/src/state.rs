//! What a recurrent node remembers: its workspace, or its state in a stream.

use crate::budget::recomputes_gates;
use crate::error::Error;
use crate::plan::{Capacity, Phase, Pieces, Plan, Recompute};
use crate::program::{Program, Rows};
use crate::walk::{Bounds, Own, Walk};
use crate::{Op, limits};
use sequela_core::Layout;
use sequela_kernels::recurrent::{self, Initial, RecurrentShape, State, StatePart, Workspace};
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
    /// Bytes of workspaces and of states kept for a second walk.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Batch(state) => {
                state.workspace.bytes() + state.walk.as_ref().map_or(0, Walk::bytes)
            }
            Self::Nothing | Self::Stream(_) => 0,
        }
    }

    /// The same memory for another precision.
    pub(crate) fn with_precision(
        self,
        precision: Precision,
        context: &Context,
    ) -> Result<Self, Error> {
        Ok(match self {
            Self::Nothing => Self::Nothing,
            Self::Batch(state) => {
                let BatchState { workspace, carried, walk } = *state;
                let workspace = workspace.with_precision(precision, context)?;
                Self::Batch(Box::new(BatchState { workspace, carried, walk }))
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
    /// The pieces of its walk, if it is cut.
    pub(crate) walk: Option<Walk>,
}

impl BatchState {
    /// The states that the walk, or the piece in work, starts from: those that are `given` or
    /// were carried, or those at the cut.
    pub(crate) fn initial<'a>(
        carried: Option<&'a Carried>,
        walk: Option<&'a Walk>,
        given: Initial<'a>,
        sequences: usize,
    ) -> Initial<'a> {
        if let Some(initial) = walk.and_then(Walk::initial) {
            return initial;
        }
        let carried = carried.filter(|carried| carried.sequences == sequences);
        Initial {
            hidden: given.hidden.or_else(|| carried.and_then(Carried::hidden)),
            cell: given.cell.or_else(|| carried.and_then(Carried::cell)),
        }
    }

    /// Whether the walk, or the piece in work with what follows it, meets U.
    pub(crate) fn recurs(&self, call: &recurrent::Forward<'_>) -> bool {
        let (carried, walk) = (self.carried.as_ref(), self.walk.as_ref());
        let initial = Self::initial(carried, walk, call.initial, call.layout.sequences());
        let cut = walk.is_some_and(|walk| walk.count > 1);
        cut || recurrent::Forward { initial, ..*call }.recurs()
    }

    /// The state after the last step of all.
    pub(crate) fn final_state(&self, part: StatePart) -> Matrix<'_> {
        let walk = self.walk.as_ref().and_then(|walk| walk.last(part));
        walk.unwrap_or_else(|| self.workspace.final_state(part))
    }
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
    let mut bytes = 0_usize;
    for index in 0..program.nodes().len() {
        let Some(layer) = Layer::of(program, plan, capacity, index) else {
            states.push(NodeState::Nothing);
            continue;
        };
        if recurrence == Recurrence::StepByStep && plan.nodes[index].rows != Rows::Sequences {
            let state = State::new(layer.shape, layer.capacity.sequences);
            states.push(NodeState::Stream(Box::new(state)));
            continue;
        }
        bytes = bytes.saturating_add(layer.bytes());
        limits::check("plan", "the number of bytes of a plan", bytes, limits::PLAN_BYTES)?;
        states.push(NodeState::Batch(Box::new(layer.state())));
    }
    Ok(states)
}

/// Bytes of the memory of all nodes, over whole sequences.
pub(crate) fn bytes_of_states(program: &Program, plan: &Plan, capacity: &Capacity) -> usize {
    (0..program.nodes().len())
        .filter_map(|index| Layer::of(program, plan, capacity, index))
        .fold(0, |sum, layer| sum.saturating_add(layer.bytes()))
}

/// A recurrent node and what it keeps.
struct Layer {
    shape: RecurrentShape,
    keep: recurrent::Keep,
    /// Whether the gradients of all states are kept.
    states: bool,
    capacity: recurrent::Capacity,
    /// The pieces of its walk, and whether it walks over them by itself.
    pieces: Option<(Pieces, bool)>,
}

impl Layer {
    fn of(program: &Program, plan: &Plan, capacity: &Capacity, index: usize) -> Option<Self> {
        let (node, planned) = (&program.nodes()[index], &plan.nodes[index]);
        let Op::Recurrent(op) = &node.op else { return None };
        let shape = program.params()[op.param.index()].recurrent();
        let shape = shape.filter(|_| planned.phase != Phase::Never)?;
        let mut rows = plan.most_rows(node.rows, capacity);
        let pieces = match plan.recompute {
            Recompute::Steps(pieces) if node.rows != Rows::Sequences => Some((pieces, false)),
            Recompute::Gates(pieces) if recomputes_gates(program, plan, index) => {
                rows = pieces.rows;
                Some((pieces, true))
            }
            _ => None,
        };
        let backward = planned.backward;
        let keep = if backward { recurrent::Keep::Backward } else { recurrent::Keep::Nothing };
        let capacity = recurrent::Capacity { rows, sequences: capacity.sequences };
        Some(Self { shape, keep, states: planned.states, capacity, pieces })
    }

    /// The most that it takes; checked before it is taken.
    fn bytes(&self) -> usize {
        let recurrent::Capacity { rows, sequences } = self.capacity;
        // Sizes beyond any memory must not overflow.
        let kept = if self.states { 2 } else { 0 };
        let gates = (self.shape.gates() + 2 + kept) * stride(self.shape.hidden) * 4;
        let rough = rows.saturating_add(sequences).saturating_mul(gates);
        if rough > limits::PLAN_BYTES {
            return rough;
        }
        let workspace = Workspace::bytes_for(self.shape, self.capacity, self.keep);
        let walk = self.pieces.map_or(0, |(pieces, own)| {
            let own = if own { pieces.rows * stride(self.shape.hidden) * 4 } else { 0 };
            Walk::bytes_for(self.shape, sequences, pieces).saturating_add(own)
        });
        workspace.saturating_add(walk)
    }

    fn state(&self) -> BatchState {
        let Self { shape, keep, states, capacity, pieces } = *self;
        let walk = pieces.map(|(pieces, own)| {
            let mut walk = Walk::new(shape, capacity.sequences, pieces);
            walk.own = own.then(|| Own {
                rows: pieces.rows,
                bounds: Bounds::with_capacity(pieces.count),
                part: Layout::with_capacity(capacity.sequences, pieces.rows),
                output: Buffer::new(pieces.rows * stride(shape.hidden)),
            });
            walk
        });
        let mut workspace = Workspace::new(shape, capacity, keep);
        if states {
            workspace.keep_state_gradients();
        }
        BatchState { workspace, carried: None, walk }
    }
}
