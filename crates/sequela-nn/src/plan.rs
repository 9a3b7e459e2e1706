//! Where every value and gradient lives, decided once for all batches within a capacity.
//!
//! Time runs over the forward pass, the losses and the backward pass; a buffer is used again as
//! soon as what it holds is not read any more. The first gradient that arrives at a value
//! overwrites, later ones add, and a value that nobody asks the gradient of has none.

use crate::Op;
use crate::error::{Error, batch_error};
use crate::limits;
use crate::operation::{Reads, Route};
use crate::program::{InputId, Program, Rows, Value};
use crate::slots::Slots;
use sequela_kernels::{Write, stride};

/// The largest batch that is planned for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// Most sequences, B.
    pub sequences: usize,
    /// Most packed rows (the sum of all lengths), for each layout of the program.
    pub rows: Vec<usize>,
}

impl Capacity {
    /// The same number of rows in every layout.
    pub fn uniform(program: &Program, sequences: usize, rows: usize) -> Self {
        Self { sequences, rows: vec![rows; program.layouts().len()] }
    }

    pub(crate) fn of(&self, rows: Rows) -> usize {
        match rows {
            Rows::Sequences => self.sequences,
            Rows::Steps(layout) => self.rows.get(layout.index()).copied().unwrap_or(0),
        }
    }

    pub(crate) fn check(&self, program: &Program) -> Result<(), Error> {
        if self.rows.len() != program.layouts().len() {
            let what = format!("{} of {} layouts", self.rows.len(), program.layouts().len());
            return Err(batch_error("capacity", what));
        }
        limits::check("capacity", "the number of sequences", self.sequences, 1 << 30)?;
        for &rows in &self.rows {
            limits::check("capacity", "the number of rows", rows, 1 << 31)?;
        }
        Ok(())
    }
}

/// What a plan keeps beyond the outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// Nothing: inference, and losses without gradients.
    Nothing,
    /// What the gradients of these need.
    Gradients(Vec<Wanted>),
}

/// A gradient that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wanted {
    /// Those of all parameters.
    Parameters,
    /// That of one value, an input's among them. Of a recurrent node it is what arrives at the
    /// output; what comes back from later steps is in [`Wanted::States`].
    Of(Value),
    /// The whole gradient of every state of a recurrent node: `dL/dh_t`, and `dL/dc_t` of an LSTM,
    /// read by [`crate::Runner::state_gradient`].
    States(Value),
}

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
pub(crate) struct PlannedNode {
    pub(crate) rows: Rows,
    pub(crate) width: usize,
    pub(crate) place: Place,
    pub(crate) phase: Phase,
    /// The buffer of its gradient.
    pub(crate) gradient: Option<usize>,
    /// Whether it passes gradients on.
    pub(crate) backward: bool,
    /// Whether the gradients of its states are kept.
    pub(crate) states: bool,
    /// How it writes to the gradient of each input (or final state); none where that is not
    /// wanted.
    pub(crate) passes: Vec<Option<Write>>,
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
    /// Whether gradients of parameters are wanted.
    pub(crate) parameters: bool,
    /// Which parameters are needed transposed.
    pub(crate) transposed: Vec<bool>,
}

impl Plan {
    pub(crate) fn new(program: &Program, capacity: &Capacity, keep: &Keep) -> Result<Self, Error> {
        capacity.check(program)?;
        let wanted: &[Wanted] = match keep {
            Keep::Nothing => &[],
            Keep::Gradients(wanted) => wanted,
        };
        let mut draft = Draft::new(program, wanted);
        draft.find_phases();
        draft.find_gradients();
        draft.find_passes();
        let slots = draft.find_slots(capacity);
        let bytes =
            slots.iter().fold(0_usize, |sum, size| sum.saturating_add(size.saturating_mul(4)));
        limits::check("plan", "the number of bytes of a plan", bytes, limits::PLAN_BYTES)?;
        draft.plan.slots = slots;
        Ok(draft.plan)
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
    fn new(program: &'a Program, wanted: &'a [Wanted]) -> Self {
        let nodes = program.nodes().iter().map(|node| PlannedNode {
            rows: node.rows,
            width: node.width,
            place: Place::Nowhere,
            phase: Phase::Never,
            gradient: None,
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
        let schedule: Vec<usize> = of(Phase::Forward).chain(of(Phase::Loss)).collect();
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
            capacity.of(nodes[index].rows).saturating_mul(stride(nodes[index].width))
        };
        let mut requests: Vec<Request> = Vec::new();
        for &index in &self.plan.schedule {
            if let Op::Input(input) = &nodes[index].op {
                self.plan.nodes[index].place = Place::Input(input.input);
            } else {
                let until = if self.is_wanted(index) { end } else { last_read[index] };
                let from = position[index];
                requests.push(Request {
                    from,
                    until,
                    node: index,
                    kind: Kind::Value,
                    size: size(index),
                });
            }
            if self.plan.nodes[index].gradient.is_some() {
                let until = if self.is_wanted(index) { end } else { backward_at(index) };
                let from = gradient_from[index];
                requests.push(Request {
                    from,
                    until,
                    node: index,
                    kind: Kind::Gradient,
                    size: size(index),
                });
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
