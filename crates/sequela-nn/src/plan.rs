//! Where every value and gradient lives, decided once for all batches within a capacity.
//!
//! Time runs over the forward pass, the losses and the backward pass; a buffer is used again as
//! soon as what it holds is not read any more. The first gradient that arrives at a value
//! overwrites, later ones add, and a value that nobody asks the gradient of has none.

use crate::cut::{self, Stage};
use crate::error::Error;
use crate::operation::{Reads, Route};
use crate::program::{InputId, Program, Rows, Value};
use crate::slots::Slots;
use crate::{Op, budget, limits};
use sequela_kernels::{Write, stride};

pub use crate::keep::{Capacity, Keep, Wanted};

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the batch.
    Input(InputId),
    /// In a buffer of the plan.
    Slot(usize),
    /// It is not computed.
    Nowhere,
}

/// When a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Forward,
    /// Only losses need it.
    Loss,
    Never,
}

/// What is decided about a node.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "facts of which each may hold without the others")]
pub(crate) struct PlannedNode {
    pub(crate) rows: Rows,
    pub(crate) width: usize,
    pub(crate) place: Place,
    pub(crate) phase: Phase,
    /// When it runs if the program is cut in time.
    pub(crate) stage: Stage,
    /// The buffer of its gradient.
    pub(crate) gradient: Option<usize>,
    /// Where all its steps are kept beyond their piece, if the program is cut in time.
    pub(crate) kept: Option<usize>,
    /// Where the gradients of all its steps are kept.
    pub(crate) kept_gradient: Option<usize>,
    /// Whether its gradient is asked for.
    pub(crate) wanted: bool,
    /// Whether losses send it a gradient.
    pub(crate) judged: bool,
    /// Whether it passes gradients on.
    pub(crate) backward: bool,
    /// Whether the gradients of its states are kept.
    pub(crate) states: bool,
    /// How it writes to the gradient of each input (or final state); none where that is not
    /// wanted.
    pub(crate) passes: Vec<Option<Write>>,
}

/// What is computed a second time on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recompute {
    Nothing,
    /// The gates of recurrent layers, in pieces.
    Gates(Pieces),
    /// All values over steps, in pieces.
    Steps(Pieces),
}

impl Recompute {
    pub(crate) fn pieces(self) -> Option<Pieces> {
        match self {
            Self::Nothing => None,
            Self::Gates(pieces) | Self::Steps(pieces) => Some(pieces),
        }
    }

    /// Whether values over steps live only in their piece.
    pub(crate) fn cuts_steps(self) -> bool {
        matches!(self, Self::Steps(_))
    }
}

/// How a walk over steps is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pieces {
    /// Most rows of a piece.
    pub(crate) rows: usize,
    /// Most pieces.
    pub(crate) count: usize,
}

/// What is decided about a program.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<PlannedNode>,
    /// Nodes in the order in which they run.
    pub(crate) schedule: Vec<usize>,
    /// How many of them run before the losses.
    pub(crate) forward: usize,
    /// How each loss writes to the gradient of its prediction.
    pub(crate) losses: Vec<Option<Write>>,
    /// Length of each buffer.
    pub(crate) slots: Vec<usize>,
    /// Length of each buffer of what outlives its piece.
    pub(crate) kept: Vec<usize>,
    /// What is computed twice.
    pub(crate) recompute: Recompute,
    /// Whether gradients of parameters are wanted.
    pub(crate) parameters: bool,
    /// Which parameters are needed transposed.
    pub(crate) transposed: Vec<bool>,
}

impl Plan {
    pub(crate) fn new(program: &Program, capacity: &Capacity, keep: &Keep) -> Result<Self, Error> {
        capacity.check(program)?;
        let plan = match keep {
            Keep::Nothing => Self::of(program, capacity, &[], Recompute::Nothing),
            Keep::Gradients(wanted) => Self::of(program, capacity, wanted, Recompute::Nothing),
            Keep::Within { bytes, wanted } => budget::plan(program, capacity, wanted, *bytes)?,
        };
        let buffers = plan.slots.iter().chain(&plan.kept);
        let bytes = buffers.fold(0_usize, |sum, size| sum.saturating_add(size.saturating_mul(4)));
        limits::check("plan", "the number of bytes of a plan", bytes, limits::PLAN_BYTES)?;
        Ok(plan)
    }

    /// The plan that recomputes so much.
    pub(crate) fn of(
        program: &Program,
        capacity: &Capacity,
        wanted: &[Wanted],
        recompute: Recompute,
    ) -> Self {
        let mut draft = Draft::new(program, wanted, recompute);
        draft.find_phases();
        draft.find_gradients();
        draft.find_passes();
        draft.plan.slots = draft.find_slots(capacity);
        if recompute.cuts_steps() {
            draft.find_kept(capacity);
        }
        draft.plan
    }

    /// The rows that buffers of a value hold at most.
    pub(crate) fn most_rows(&self, rows: Rows, capacity: &Capacity) -> usize {
        match (rows, self.recompute) {
            (Rows::Steps(_), Recompute::Steps(pieces)) => pieces.rows,
            _ => capacity.of(rows),
        }
    }

    /// The positions in the schedule of one stage.
    pub(crate) fn stage(&self, stage: Stage) -> std::ops::Range<usize> {
        let of = |at: &usize| self.nodes[*at].stage;
        let start = self.schedule.partition_point(|at| of(at) < stage);
        start..self.schedule.partition_point(|at| of(at) <= stage)
    }
}

/// A plan that is being made.
struct Draft<'a> {
    program: &'a Program,
    wanted: &'a [Wanted],
    plan: Plan,
    /// Whether a gradient at the node is of use: a parameter or a wanted value lies before it.
    useful: Vec<bool>,
    /// Whether a gradient arrives at the node.
    reached: Vec<bool>,
}

/// The name of a gradient that is written: a node's own, or a final state's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrival {
    Own = 0,
    FinalHidden = 1,
    FinalCell = 2,
}

impl<'a> Draft<'a> {
    fn new(program: &'a Program, wanted: &'a [Wanted], recompute: Recompute) -> Self {
        let stages = cut::stages(program);
        let nodes = program.nodes().iter().zip(stages).map(|(node, stage)| PlannedNode {
            rows: node.rows,
            width: node.width,
            place: Place::Nowhere,
            phase: Phase::Never,
            stage,
            gradient: None,
            kept: None,
            kept_gradient: None,
            wanted: false,
            judged: false,
            backward: false,
            states: false,
            passes: vec![None; node.inputs.len()],
        });
        let plan = Plan {
            nodes: nodes.collect(),
            schedule: Vec::new(),
            forward: 0,
            losses: vec![None; program.losses().len()],
            slots: Vec::new(),
            kept: Vec::new(),
            recompute,
            parameters: wanted.contains(&Wanted::Parameters),
            transposed: vec![false; program.params().len()],
        };
        let count = program.nodes().len();
        Self { program, wanted, plan, useful: vec![false; count], reached: vec![false; count] }
    }

    fn is_wanted(&self, node: usize) -> bool {
        self.wanted.iter().any(|wanted| matches!(wanted, Wanted::Of(v) if v.index() == node))
    }

    fn are_states_wanted(&self, node: usize) -> bool {
        let recurrent = matches!(self.program.nodes()[node].op, Op::Recurrent(_));
        let asks = |wanted: &Wanted| matches!(wanted, Wanted::States(v) if v.index() == node);
        recurrent && self.wanted.iter().any(asks)
    }

    /// Outputs and wanted values run in the forward pass, what only losses need after it.
    fn find_phases(&mut self) {
        let mut forward: Vec<Value> =
            self.program.outputs().iter().map(|(_, value)| *value).collect();
        forward.extend(self.wanted.iter().filter_map(|wanted| match wanted {
            Wanted::Of(value) => Some(*value),
            Wanted::Parameters | Wanted::States(_) => None,
        }));
        let losses = self.program.losses().iter();
        let after: Vec<Value> = losses
            .flat_map(|term| [Some(term.prediction), Some(term.target), term.weight])
            .flatten()
            .collect();
        self.mark(forward, Phase::Forward);
        self.mark(after, Phase::Loss);
        let nodes = &self.plan.nodes;
        let of = |phase: Phase| (0..nodes.len()).filter(move |&n| nodes[n].phase == phase);
        let mut schedule: Vec<usize> = of(Phase::Forward).chain(of(Phase::Loss)).collect();
        if self.plan.recompute.cuts_steps() {
            schedule.sort_by_key(|&node| nodes[node].stage);
        }
        self.plan.forward = of(Phase::Forward).count();
        self.plan.schedule = schedule;
    }

    fn mark(&mut self, mut open: Vec<Value>, phase: Phase) {
        while let Some(value) = open.pop() {
            let node = &mut self.plan.nodes[value.index()];
            if node.phase == Phase::Never {
                node.phase = phase;
                open.extend_from_slice(&self.program.node(value).inputs);
            }
        }
    }

    fn route(&self, node: usize, k: usize) -> Route {
        let planned = &self.program.nodes()[node];
        planned.op.operation().route(&self.program.parts(), &planned.inputs, k)
    }

    fn find_gradients(&mut self) {
        let nodes = self.program.nodes();
        for (index, node) in nodes.iter().enumerate() {
            let trained = self.plan.parameters && node.op.operation().param().is_some();
            let before = node.inputs.iter().enumerate().any(|(k, input)| {
                self.useful[input.index()] && self.route(index, k) != Route::Nowhere
            });
            let wanted = self.is_wanted(index) || self.are_states_wanted(index);
            self.useful[index] = trained || before || wanted;
        }
        for term in self.program.losses() {
            let prediction = term.prediction.index();
            self.reached[prediction] = self.useful[prediction];
        }
        for index in (0..nodes.len()).rev() {
            if !self.reached[index] {
                continue;
            }
            for (k, input) in nodes[index].inputs.iter().enumerate() {
                if self.useful[input.index()] && self.route(index, k) != Route::Nowhere {
                    self.reached[input.index()] = true;
                }
            }
        }
    }

    /// First contributions overwrite, later ones add.
    fn find_passes(&mut self) {
        let nodes = self.program.nodes();
        let mut written = vec![[false; 3]; nodes.len()];
        let mut arrive = |node: usize, at: Arrival| {
            let before = std::mem::replace(&mut written[node][at as usize], true);
            Some(if before { Write::Accumulate } else { Write::Overwrite })
        };
        for (loss, term) in self.program.losses().iter().enumerate() {
            let prediction = term.prediction.index();
            if self.reached[prediction] {
                self.plan.losses[loss] = arrive(prediction, Arrival::Own);
            }
        }
        for &index in self.plan.schedule.iter().rev() {
            if !self.reached[index] {
                continue;
            }
            let mut passes_any = false;
            for (k, input) in nodes[index].inputs.iter().enumerate() {
                let at = match self.route(index, k) {
                    Route::Input => Arrival::Own,
                    Route::FinalHidden => Arrival::FinalHidden,
                    Route::FinalCell => Arrival::FinalCell,
                    Route::Nowhere => continue,
                };
                if self.useful[input.index()] {
                    self.plan.nodes[index].passes[k] = arrive(input.index(), at);
                    passes_any = true;
                }
            }
            let param = nodes[index].op.operation().param();
            let states = self.are_states_wanted(index);
            let node = &mut self.plan.nodes[index];
            node.states = states;
            node.backward = passes_any || states || (self.plan.parameters && param.is_some());
            let recurrent = matches!(nodes[index].op, Op::Recurrent(_));
            if let Some(param) = param
                && node.backward
                && (recurrent || node.passes.iter().any(Option::is_some))
            {
                self.plan.transposed[param.index()] = true;
            }
        }
        for (index, written) in written.iter().enumerate() {
            // A number for now; the buffer is found next.
            self.plan.nodes[index].gradient = written[Arrival::Own as usize].then_some(0);
        }
    }

    /// Gives every value and gradient a buffer for the time in which it is needed.
    fn find_slots(&mut self, capacity: &Capacity) -> Vec<usize> {
        let nodes = self.program.nodes();
        let scheduled = self.plan.schedule.len();
        let losses = self.plan.losses.len();
        let end = 2 * scheduled + losses;
        let mut position = vec![0; nodes.len()];
        for (at, &node) in self.plan.schedule.iter().enumerate() {
            position[node] = at;
        }
        let backward_at = |node: usize| end - 1 - position[node];

        let mut last_read = position.clone();
        let mut gradient_from = vec![usize::MAX; nodes.len()];
        for &index in &self.plan.schedule {
            let (node, planned) = (&nodes[index], &self.plan.nodes[index]);
            for (k, &input) in node.inputs.iter().enumerate() {
                read(&mut last_read, input, position[index]);
                if planned.passes[k].is_some() {
                    let first = &mut gradient_from[input.index()];
                    *first = (*first).min(backward_at(index));
                }
            }
            if planned.backward {
                let reads = node.op.operation().reads();
                if matches!(reads, Reads::Inputs | Reads::InputsAndOutput) {
                    for &input in &node.inputs {
                        read(&mut last_read, input, backward_at(index));
                    }
                }
                if matches!(reads, Reads::Output | Reads::InputsAndOutput) {
                    last_read[index] = last_read[index].max(backward_at(index));
                }
            }
        }
        for (loss, term) in self.program.losses().iter().enumerate() {
            let at = scheduled + loss;
            for value in
                [Some(term.prediction), Some(term.target), term.weight].into_iter().flatten()
            {
                read(&mut last_read, value, at);
            }
            if self.plan.losses[loss].is_some() {
                let first = &mut gradient_from[term.prediction.index()];
                *first = (*first).min(at);
            }
        }
        for (_, output) in self.program.outputs() {
            last_read[output.index()] = end;
        }

        let size = |index: usize| {
            let rows = self.plan.most_rows(nodes[index].rows, capacity);
            rows.saturating_mul(stride(nodes[index].width))
        };
        let sizes: Vec<usize> = (0..nodes.len()).map(size).collect();
        // Between pieces of the steps all that is not over steps has to stay.
        let cuts = self.plan.recompute.cuts_steps();
        let life = |index: usize, from: usize, until: usize| {
            if cuts && nodes[index].rows == Rows::Sequences {
                (0, usize::MAX)
            } else {
                (from, until)
            }
        };
        let mut requests: Vec<Request> = Vec::new();
        for &index in &self.plan.schedule {
            if let Op::Input(input) = &nodes[index].op {
                self.plan.nodes[index].place = Place::Input(input.input);
            } else {
                let until = if self.is_wanted(index) { end } else { last_read[index] };
                let (from, until) = life(index, position[index], until);
                let (kind, size) = (Kind::Value, sizes[index]);
                requests.push(Request { from, until, node: index, kind, size });
            }
            if self.plan.nodes[index].gradient.is_some() {
                let until = if self.is_wanted(index) { end } else { backward_at(index) };
                let (from, until) = life(index, gradient_from[index], until);
                let (kind, size) = (Kind::Gradient, sizes[index]);
                requests.push(Request { from, until, node: index, kind, size });
            }
        }
        requests.sort_by_key(|request| (request.from, request.node, request.kind as u8));
        let mut slots = Slots::default();
        for request in requests {
            let slot = slots.take(request.from, request.until, request.size);
            let node = &mut self.plan.nodes[request.node];
            match request.kind {
                Kind::Value => node.place = Place::Slot(slot),
                Kind::Gradient => node.gradient = Some(slot),
            }
        }
        slots.sizes()
    }

    /// Gives room to what outlives its piece: outputs, wanted values, and what losses are made of.
    fn find_kept(&mut self, capacity: &Capacity) {
        let mut values: Vec<Value> = self.program.outputs().iter().map(|(_, v)| *v).collect();
        let mut gradients = Vec::new();
        for wanted in self.wanted {
            if let Wanted::Of(value) = wanted {
                values.push(*value);
                gradients.push(*value);
                self.plan.nodes[value.index()].wanted = true;
            }
        }
        for (term, passes) in self.program.losses().iter().zip(&self.plan.losses) {
            values.extend([Some(term.prediction), Some(term.target), term.weight].iter().flatten());
            if passes.is_some() {
                gradients.push(term.prediction);
                self.plan.nodes[term.prediction.index()].judged = true;
            }
        }
        let Plan { nodes, kept, .. } = &mut self.plan;
        let mut room = |node: &PlannedNode| {
            kept.push(capacity.of(node.rows).saturating_mul(stride(node.width)));
            Some(kept.len() - 1)
        };
        let over_steps = |node: &PlannedNode| node.stage == Stage::Steps;
        for value in values {
            let node = &mut nodes[value.index()];
            let computed = matches!(node.place, Place::Slot(_));
            if over_steps(node) && computed && node.kept.is_none() {
                node.kept = room(node);
            }
        }
        for value in gradients {
            let node = &mut nodes[value.index()];
            if over_steps(node) && node.gradient.is_some() && node.kept_gradient.is_none() {
                node.kept_gradient = room(node);
            }
        }
    }
}

/// Notes that a value is read at a moment.
fn read(last_read: &mut [usize], value: Value, at: usize) {
    last_read[value.index()] = last_read[value.index()].max(at);
}

#[derive(Clone, Copy)]
enum Kind {
    Value,
    Gradient,
}

/// A buffer wanted for a time.
struct Request {
    from: usize,
    until: usize,
    node: usize,
    kind: Kind,
    size: usize,
}
