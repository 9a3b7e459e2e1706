//! Runs programs on the processor: forward, losses, backward.

use crate::Op;
use crate::batch::Batch;
use crate::error::{Error, order_error};
use crate::loss::{Evaluated, Operands};
use crate::operation::{Backward, Forward, Opened, Values};
use crate::parameters::{Gradients, Parameters};
use crate::pieces::StepsInPieces;
use crate::plan::{Capacity, Keep, Phase, Place, Plan, Recompute};
use crate::program::{InputId, Program, Rows, Scalar, Value};
use crate::state::{NodeState, Recurrence, states};
use crate::transposes::Transposes;
use sequela_core::Location;
use sequela_kernels::recurrent::StatePart;
use sequela_kernels::{Buffer, Context, Matrix, MatrixMut, Precision};

/// A program with the memory that batches within one capacity need.
///
/// **Determinism** the same bits for any number of threads and any instruction set, and for a
/// sequence alone or in any batch. **Cost** after the first call nothing is allocated.
///
/// # Example
/// ```
/// use sequela_kernels::{Context, linear::Bias};
/// use sequela_nn::{
///     Batch, Builder, Capacity, Initial, Keep, Linear, ParamKind, ParamSpec, Parameters, Rows, Runner,
/// };
/// let mut builder = Builder::new();
/// let x = builder.input("x", Rows::Sequences, 2)?;
/// let kind = ParamKind::Linear { inputs: 2, outputs: 1, bias: Bias::Trained };
/// let head = builder.param(ParamSpec { name: "head".into(), kind, initial: Initial::Zeros });
/// let y = builder.add(Linear { param: head }, &[x])?;
/// builder.output("y", y);
/// let program = builder.finish()?;
///
/// let capacity = Capacity::uniform(&program, 4, 0);
/// let mut runner = Runner::new(&program, &capacity, &Keep::Nothing)?;
/// let parameters = Parameters::new(&program, 1)?;
/// let mut batch = Batch::new(&program, &capacity)?;
/// batch.set_sequences(1)?;
/// batch.write(program.input("x").unwrap(), 0, &[1.0, 2.0])?;
/// runner.forward(&mut Context::new(1)?, &parameters, &batch)?;
/// assert_eq!(runner.value(y, &batch).row(0), [0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Runner {
    pub(crate) program: Program,
    pub(crate) plan: Plan,
    pub(crate) buffers: Vec<Buffer>,
    pub(crate) states: Vec<NodeState>,
    transposes: Transposes,
    /// Values and gradients of all steps, where the buffers hold one piece of them.
    pub(crate) kept: Vec<Buffer>,
    /// The piece of the steps in work, where the program is cut.
    pub(crate) piece: Option<Box<StepsInPieces>>,
    /// Inputs that have to be written before forward, and before losses.
    needed: [Vec<InputId>; 2],
    losses: Vec<f64>,
    weights: Vec<f64>,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Nothing,
    /// Outputs are there, but what losses compare them with was not written.
    Predicted,
    /// Everything that losses need is there.
    Ready,
    /// Gradients of the losses are there.
    Judged,
}

impl Runner {
    /// Plans a program and takes the memory for it.
    ///
    /// # Errors
    /// [`Error::Limit`] or [`Error::Batch`] where the capacity does not fit.
    pub fn new(program: &Program, capacity: &Capacity, keep: &Keep) -> Result<Self, Error> {
        Self::with_recurrence(program, capacity, keep, Recurrence::WholeSequences)
    }

    /// The same runner, whose recurrent layers compute their products in this precision; all else
    /// stays f32.
    ///
    /// **Determinism** none of it across processors in bf16; see [`Precision`]. Passes then take
    /// no more threads than `context` has.
    ///
    /// # Errors
    /// [`Error::Configuration`] as [`Program::check_precision`].
    pub fn with_precision(
        mut self,
        precision: Precision,
        context: &Context,
    ) -> Result<Self, Error> {
        self.program.check_precision(precision, context.isa())?;
        let whole = self.plan.recompute == Recompute::Nothing;
        let states = self.plan.nodes.iter().any(|planned| planned.states);
        if precision != Precision::F32 && (!whole || states) {
            return Err(Error::Configuration {
                location: Location::default().field("precision"),
                what: "bf16 goes back through whole sequences, and keeps no gradients of states"
                    .into(),
                hint: "leave precision = \"f32\", or give more memory",
            });
        }
        let states = self.states.into_iter();
        let states = states.map(|state| state.with_precision(precision, context));
        self.states = states.collect::<Result<_, _>>()?;
        self.progress = Progress::Nothing;
        Ok(self)
    }

    pub(crate) fn with_recurrence(
        program: &Program,
        capacity: &Capacity,
        keep: &Keep,
        recurrence: Recurrence,
    ) -> Result<Self, Error> {
        let plan = Plan::new(program, capacity, keep)?;
        let states = states(program, &plan, capacity, recurrence)?;
        let transposed = program
            .params()
            .iter()
            .zip(&plan.transposed)
            .map(|(spec, needed)| if *needed { spec.transposed_len() } else { 0 });
        let needed = [Phase::Forward, Phase::Loss].map(|phase| needed(program, &plan, phase));
        Ok(Self {
            buffers: plan.slots.iter().map(|&size| Buffer::new(size)).collect(),
            kept: plan.kept.iter().map(|&size| Buffer::new(size)).collect(),
            piece: StepsInPieces::new(program, &plan, capacity)?.map(Box::new),
            states,
            transposes: Transposes::new(transposed),
            needed,
            losses: vec![0.0; program.losses().len()],
            weights: vec![0.0; program.losses().len()],
            progress: Progress::Nothing,
            program: program.clone(),
            plan,
        })
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Bytes of values, gradients, workspaces, transposed weights, and of states kept for a
    /// second walk.
    pub fn bytes(&self) -> u64 {
        let buffers = self.buffers.iter().chain(&self.kept).map(|buffer| buffer.len() * 4);
        let states = self.states.iter().map(NodeState::bytes);
        let piece = self.piece.as_ref().map_or(0, |piece| piece.bytes());
        (self.transposes.bytes() + buffers.chain(states).sum::<usize>() + piece) as u64
    }

    /// The most pieces in which steps are walked over, within a budget; 1 where all is kept.
    pub fn pieces(&self) -> usize {
        self.plan.recompute.pieces().map_or(1, |pieces| pieces.count)
    }

    /// Computes the outputs, and what the losses need if their inputs were written too.
    ///
    /// # Errors
    /// [`Error::Batch`] for an input that was not written or layouts of different numbers of
    /// sequences, [`Error::Kernel`] where a worker broke.
    pub fn forward(
        &mut self,
        context: &mut Context,
        parameters: &Parameters,
        batch: &Batch,
    ) -> Result<(), Error> {
        self.progress = Progress::Nothing;
        batch.check_layouts()?;
        for &input in &self.needed[0] {
            batch.check_fresh(input)?;
        }
        let ready = self.needed[1].iter().all(|&input| batch.is_fresh(input));
        if let Some(mut piece) = self.piece.take() {
            let result = self.forward_in_pieces(&mut piece, context, parameters, (batch, ready));
            self.piece = Some(piece);
            result?;
        } else {
            let count = if ready { self.plan.schedule.len() } else { self.plan.forward };
            for at in 0..count {
                self.run_node(self.plan.schedule[at], context, parameters, batch)?;
            }
        }
        self.progress = if ready { Progress::Ready } else { Progress::Predicted };
        Ok(())
    }

    pub(crate) fn run_node(
        &mut self,
        index: usize,
        context: &mut Context,
        parameters: &Parameters,
        batch: &Batch,
    ) -> Result<(), Error> {
        let planned = &self.plan.nodes[index];
        let Place::Slot(slot) = planned.place else { return Ok(()) };
        let node = &self.program.nodes()[index];
        let mut buffer = std::mem::take(&mut self.buffers[slot]);
        let mut call = Forward {
            context,
            parts: self.program.parts(),
            node: index,
            rows: planned.rows,
            inputs: &node.inputs,
            values: Values { nodes: &self.plan.nodes, buffers: &self.buffers, batch },
            params: parameters,
            states: &mut self.states,
            output: MatrixMut::new(&mut buffer, batch.rows(planned.rows), planned.width),
        };
        let result = node.op.operation().forward(&mut call);
        self.buffers[slot] = buffer;
        result
    }

    /// The program's loss: the sum of all terms times their scales; leaves their gradients.
    ///
    /// # Errors
    /// [`Error::Order`] without a forward pass before it, [`Error::Batch`] where targets or
    /// weights were not written or a class is unknown.
    pub fn loss(&mut self, batch: &Batch) -> Result<f64, Error> {
        match self.progress {
            Progress::Ready | Progress::Judged => {}
            Progress::Nothing => {
                return Err(order_error("loss", "a forward pass has to come first"));
            }
            Progress::Predicted => {
                for &input in &self.needed[1] {
                    batch.check_fresh(input)?;
                }
                return Err(order_error("loss", "the targets were written after the forward pass"));
            }
        }
        let mut total = 0.0;
        for index in 0..self.losses.len() {
            let scale = match self.program.losses()[index].scale {
                Scalar::Fixed(scale) => scale,
                Scalar::Input(scalar) => batch.scalar(scalar),
            };
            let evaluated = self.evaluate(index, f64::from(scale), batch)?;
            self.losses[index] = evaluated.loss;
            self.weights[index] = evaluated.weight;
            total += f64::from(scale) * evaluated.loss;
        }
        self.progress = Progress::Judged;
        Ok(total)
    }

    fn evaluate(&mut self, index: usize, scale: f64, batch: &Batch) -> Result<Evaluated, Error> {
        let term = &self.program.losses()[index];
        let planned = &self.plan.nodes[term.prediction.index()];
        let form = (batch.rows(planned.rows), planned.width);
        let mut opened = match (self.plan.losses[index], planned.kept_gradient, planned.gradient) {
            (Some(write), Some(kept), _) => Some(Opened::take(&mut self.kept, kept, form, write)),
            (Some(write), None, Some(slot)) => {
                Some(Opened::take(&mut self.buffers, slot, form, write))
            }
            _ => None,
        };
        let operands = Operands {
            prediction: self.value(term.prediction, batch),
            target: self.value(term.target, batch),
            weight: term.weight.map(|weight| self.value(weight, batch)),
        };
        let weight = term.kind.weigh(&operands);
        let divisor = match weight {
            Ok(weight) if term.kind.is_mean() => weight,
            _ => 1.0,
        };
        // Nothing to learn from: neither a loss nor a gradient.
        let over = if divisor == 0.0 { 0.0 } else { 1.0 / divisor };
        let mut sum = 0.0;
        if weight.is_ok() {
            match &mut opened {
                Some(opened) => opened.rows_mut(|row, gradient| {
                    sum += term.kind.row(&operands, row, scale * over, gradient);
                }),
                None => {
                    for row in 0..operands.prediction.rows() {
                        sum += term.kind.row(&operands, row, 0.0, &mut []);
                    }
                }
            }
        }
        if let Some(opened) = opened {
            let kept = self.plan.nodes[term.prediction.index()].kept_gradient.is_some();
            opened.put_back(if kept { &mut self.kept } else { &mut self.buffers });
        }
        Ok(Evaluated { loss: sum * over, weight: weight? })
    }

    /// Each term of the loss, before its scale.
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }

    /// The sum of the weights of each term: what to weigh by when losses of batches are averaged.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Adds the gradients of the loss to `gradients`, and leaves those of wanted values.
    ///
    /// # Errors
    /// [`Error::Order`] without a loss before it, [`Error::Kernel`] where a worker broke.
    pub fn backward(
        &mut self,
        context: &mut Context,
        parameters: &Parameters,
        batch: &Batch,
        gradients: &mut Gradients,
    ) -> Result<(), Error> {
        if self.progress != Progress::Judged {
            return Err(order_error("backward", "a forward pass and a loss have to come first"));
        }
        self.progress = Progress::Nothing;
        if let Some(mut piece) = self.piece.take() {
            let result = self.backward_in_pieces(&mut piece, context, parameters, batch, gradients);
            self.piece = Some(piece);
            return result;
        }
        for at in (0..self.plan.schedule.len()).rev() {
            self.back_node(self.plan.schedule[at], context, parameters, batch, gradients)?;
        }
        Ok(())
    }

    pub(crate) fn back_node(
        &mut self,
        index: usize,
        context: &mut Context,
        parameters: &Parameters,
        batch: &Batch,
        gradients: &mut Gradients,
    ) -> Result<(), Error> {
        let planned = &self.plan.nodes[index];
        if !planned.backward {
            return Ok(());
        }
        let node = &self.program.nodes()[index];
        let dy_buffer =
            planned.gradient.map(|slot| (slot, std::mem::take(&mut self.buffers[slot])));
        let rows = batch.rows(planned.rows);
        let mut call = Backward {
            context,
            parts: self.program.parts(),
            node: index,
            rows: planned.rows,
            inputs: &node.inputs,
            nodes: &self.plan.nodes,
            buffers: &mut self.buffers,
            batch,
            params: parameters,
            transposes: &mut self.transposes,
            states: &mut self.states,
            gradients: self.plan.parameters.then_some(gradients),
            dy: dy_buffer.as_ref().map(|(_, buffer)| Matrix::new(buffer, rows, planned.width)),
        };
        let result = node.op.operation().backward(&mut call);
        if let Some((slot, buffer)) = dy_buffer {
            self.buffers[slot] = buffer;
        }
        result
    }

    /// One whole pass: clears `gradients`, then forward, loss and backward. The loss.
    ///
    /// # Errors
    /// What the three return.
    pub fn train(
        &mut self,
        context: &mut Context,
        parameters: &Parameters,
        batch: &Batch,
        gradients: &mut Gradients,
    ) -> Result<f64, Error> {
        self.forward(context, parameters, batch)?;
        let loss = self.loss(batch)?;
        gradients.clear();
        self.backward(context, parameters, batch, gradients)?;
        Ok(loss)
    }

    /// A value after a forward pass: an output, an input, or a wanted value. Others may have
    /// been overwritten since.
    ///
    /// # Panics
    /// If the value is not computed by this plan.
    pub fn value<'a>(&'a self, value: Value, batch: &'a Batch) -> Matrix<'a> {
        let planned = &self.plan.nodes[value.index()];
        if let Some(kept) = planned.kept {
            return Matrix::new(&self.kept[kept], batch.rows(planned.rows), planned.width);
        }
        Values { nodes: &self.plan.nodes, buffers: &self.buffers, batch }.get(value)
    }

    /// The gradient of a wanted value after a backward pass; none where the loss does not depend
    /// on it.
    pub fn gradient<'a>(&'a self, value: Value, batch: &Batch) -> Option<Matrix<'a>> {
        let planned = &self.plan.nodes[value.index()];
        let buffer = match planned.kept_gradient {
            Some(kept) => &self.kept[kept],
            None => &self.buffers[planned.gradient?],
        };
        Some(Matrix::new(buffer, batch.rows(planned.rows), planned.width))
    }

    /// `dL/dh_t` or `dL/dc_t` of every step of a recurrent node after a backward pass, `(rows, H)` in
    /// packed order: all of it, what arrives at the output and what comes back from later steps.
    /// Of an LSTM, h has what comes by the gates, c what comes by the cell. None where
    /// [`crate::Wanted::States`] was not asked for, no loss depends on the node, or it has no such
    /// state.
    ///
    /// **Source** Werbos 1990, *Backpropagation through time*, Proc. IEEE 78(10).
    pub fn state_gradient<'a>(
        &'a self,
        value: Value,
        part: StatePart,
        batch: &Batch,
    ) -> Option<Matrix<'a>> {
        let planned = self.plan.nodes.get(value.index()).filter(|planned| planned.states)?;
        let NodeState::Batch(state) = &self.states[value.index()] else { return None };
        let (workspace, rows) = (&state.workspace, planned.rows);
        let has_part = part == StatePart::Hidden || workspace.shape().has_cell_state();
        has_part.then(|| workspace.state_gradient(part, batch.layout_of(rows)))
    }

    /// Replaces `out` by the rows of sequence `b` of a value, in time order.
    ///
    /// # Panics
    /// If the value is not computed by this plan, or there is no such sequence.
    pub fn read(&self, value: Value, batch: &Batch, b: usize, out: &mut Vec<f32>) {
        out.clear();
        let matrix = self.value(value, batch);
        match self.program.node(value).rows {
            Rows::Sequences => out.extend_from_slice(matrix.row(b)),
            Rows::Steps(layout) => {
                let rank = batch.ranks(layout)[b] as usize;
                let layout = batch.layout(layout);
                for t in 0..layout.lengths()[rank] as usize {
                    out.extend_from_slice(matrix.row(layout.row(t, rank)));
                }
            }
        }
    }
}

/// The inputs that nodes of a phase read and earlier phases do not.
fn needed(program: &Program, plan: &Plan, phase: Phase) -> Vec<InputId> {
    let nodes = program.nodes().iter().zip(&plan.nodes);
    nodes
        .filter(|(_, planned)| planned.phase == phase)
        .filter_map(|(node, _)| match &node.op {
            Op::Input(op) => Some(op.input),
            Op::Embedding(op) => Some(op.ids),
            _ => None,
        })
        .collect()
}
