//! Runs a program that is cut in time: piece after piece there, and again piece after piece, from
//! the last, on the way back.
//!
//! The buffers of values over steps hold one piece; a [`Batch`] of that piece stands in for the
//! whole one, so that operations do not know of it. Recurrent layers keep their states at the
//! cuts. What has to outlive its piece is copied to and from buffers for all steps.

use crate::batch::Batch;
use crate::budget::piece_capacity;
use crate::cut::Stage;
use crate::error::Error;
use crate::parameters::{Gradients, Parameters};
use crate::plan::{Capacity, Phase, Place, Plan, Recompute};
use crate::program::{Program, Rows};
use crate::runner::Runner;
use crate::state::NodeState;
use crate::walk::Bounds;
use sequela_kernels::{Buffer, Context, stride};

/// The piece of the steps in work.
#[derive(Debug)]
pub(crate) struct StepsInPieces {
    batch: Batch,
    bounds: Bounds,
    /// Most rows of a piece.
    rows: usize,
    bytes: usize,
    /// Packed row of the whole at which the piece begins.
    offset: usize,
}

/// Which way rows are copied between a piece and what is kept of all steps.
#[derive(Clone, Copy)]
enum Copy {
    ToKept,
    FromKept,
}

impl StepsInPieces {
    /// Memory for one piece, if the plan cuts steps.
    pub(crate) fn new(
        program: &Program,
        plan: &Plan,
        capacity: &Capacity,
    ) -> Result<Option<Self>, Error> {
        let Recompute::Steps(pieces) = plan.recompute else { return Ok(None) };
        let room = piece_capacity(program, capacity, pieces);
        let mut batch = Batch::new(program, &room)?;
        batch.reserve_steps(pieces.rows);
        Ok(Some(Self {
            batch,
            bounds: Bounds::with_capacity(pieces.count),
            rows: pieces.rows,
            bytes: Batch::bytes_for(program, &room),
            offset: 0,
        }))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn take(&mut self, whole: &Batch, layout: Rows, index: usize) {
        let (from, to) = self.bounds.piece(index);
        self.offset = whole.layout_of(layout).offset(from);
        self.batch.take_part(whole, from, to);
    }
}

impl Runner {
    /// The rows of the steps that are cut.
    fn steps(&self) -> Rows {
        let nodes = self.plan.nodes.iter();
        nodes.map(|node| node.rows).find(|rows| *rows != Rows::Sequences).unwrap_or(Rows::Sequences)
    }

    /// Runs all stages; what only losses need is left out unless it is `ready`.
    pub(crate) fn forward_in_pieces(
        &mut self,
        piece: &mut StepsInPieces,
        context: &mut Context,
        parameters: &Parameters,
        (batch, ready): (&Batch, bool),
    ) -> Result<(), Error> {
        let layout = self.steps();
        piece.bounds.assign(batch.layout_of(layout), piece.rows);
        self.run_stage(Stage::Before, context, parameters, (batch, ready))?;
        for index in 0..piece.bounds.count() {
            piece.take(batch, layout, index);
            self.set_piece(index, piece.bounds.count());
            self.run_stage(Stage::Steps, context, parameters, (&piece.batch, ready))?;
            for node in 0..self.plan.nodes.len() {
                let planned = &self.plan.nodes[node];
                if let (Some(kept), Place::Slot(slot)) = (planned.kept, planned.place) {
                    self.copy(node, (slot, kept), piece, Copy::ToKept);
                }
            }
        }
        self.run_stage(Stage::After, context, parameters, (batch, ready))
    }

    pub(crate) fn backward_in_pieces(
        &mut self,
        piece: &mut StepsInPieces,
        context: &mut Context,
        parameters: &Parameters,
        batch: &Batch,
        gradients: &mut Gradients,
    ) -> Result<(), Error> {
        let (layout, count) = (self.steps(), piece.bounds.count());
        self.back_stage(Stage::After, context, parameters, batch, gradients)?;
        for index in (0..count).rev() {
            // The last piece is still there from the way forward.
            if index + 1 < count {
                piece.take(batch, layout, index);
                self.set_piece(index, count);
                self.run_stage(Stage::Steps, context, parameters, (&piece.batch, true))?;
            }
            self.copy_gradients(piece, Copy::FromKept);
            self.back_stage(Stage::Steps, context, parameters, &piece.batch, gradients)?;
            self.copy_gradients(piece, Copy::ToKept);
        }
        self.back_stage(Stage::Before, context, parameters, batch, gradients)
    }

    fn run_stage(
        &mut self,
        stage: Stage,
        context: &mut Context,
        parameters: &Parameters,
        (batch, ready): (&Batch, bool),
    ) -> Result<(), Error> {
        for at in self.plan.stage(stage) {
            let index = self.plan.schedule[at];
            if ready || self.plan.nodes[index].phase == Phase::Forward {
                self.run_node(index, context, parameters, batch)?;
            }
        }
        Ok(())
    }

    fn back_stage(
        &mut self,
        stage: Stage,
        context: &mut Context,
        parameters: &Parameters,
        batch: &Batch,
        gradients: &mut Gradients,
    ) -> Result<(), Error> {
        for at in self.plan.stage(stage).rev() {
            self.back_node(self.plan.schedule[at], context, parameters, batch, gradients)?;
        }
        Ok(())
    }

    /// Tells recurrent layers over steps which piece is in work.
    fn set_piece(&mut self, index: usize, count: usize) {
        for state in &mut self.states {
            if let NodeState::Batch(state) = state
                && let Some(walk) = &mut state.walk
            {
                (walk.index, walk.count) = (index, count);
            }
        }
    }

    /// Copies the gradients that losses left for this piece, or those that are wanted of it.
    fn copy_gradients(&mut self, piece: &StepsInPieces, way: Copy) {
        for node in 0..self.plan.nodes.len() {
            let planned = &self.plan.nodes[node];
            let due = match way {
                Copy::FromKept => planned.judged,
                Copy::ToKept => planned.wanted,
            };
            if due && let (Some(kept), Some(slot)) = (planned.kept_gradient, planned.gradient) {
                self.copy(node, (slot, kept), piece, way);
            }
        }
    }

    fn copy(
        &mut self,
        node: usize,
        (slot, kept): (usize, usize),
        piece: &StepsInPieces,
        way: Copy,
    ) {
        let planned = &self.plan.nodes[node];
        let stride = stride(planned.width);
        let length = piece.batch.rows(planned.rows) * stride;
        let (slot, kept): (&mut Buffer, &mut Buffer) =
            (&mut self.buffers[slot], &mut self.kept[kept]);
        let (slot, kept) = (&mut slot[..length], &mut kept[piece.offset * stride..][..length]);
        match way {
            Copy::ToKept => kept.copy_from_slice(slot),
            Copy::FromKept => slot.copy_from_slice(kept),
        }
    }
}
