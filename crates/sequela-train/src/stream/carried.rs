//! Models whose state is carried over whole stretches: one step of the network for each step.

use sequela_kernels::Context;
use sequela_nn::{Batch, Capacity, InputId, Keep, LayoutId, Runner, Value};

use crate::Error;
use crate::encode::narrow;
use crate::feed::Ports;
use crate::indicate::{Gaps, indicate};
use crate::judge::Net;
use crate::study::{InputKind, Missing, TargetKind};

use super::engine::Step;
use super::subjects::{Memory, Subjects, Widths};

/// Steps on their way, and the network that takes them.
///
/// Of each subject are kept: the states of its layers, the last value seen of each channel,
/// scaled, and the last target in its unit (`floats`); after how many steps each channel was last
/// seen, and any of them (`counts`).
#[derive(Debug)]
pub(super) struct Carried {
    runner: Runner,
    batch: Batch,
    ports: (LayoutId, InputId, Value),
    /// Numbers of the layers' states, and F.
    shape: (usize, usize),
    /// Columns of a row.
    width: usize,
    /// Subjects stepped at once.
    together: usize,
    ones: Vec<usize>,
    /// Rows of the queued steps, `(N, width)`.
    rows: Vec<f32>,
    /// After how many steps each channel of the step in work was last seen before it.
    before: Vec<u64>,
    queued: Vec<Queued>,
    /// Places in `queued`, in the order in which they are taken.
    order: Vec<usize>,
    /// For each wave its steps so far.
    waves: Vec<usize>,
}

/// A queued step.
#[derive(Debug, Clone, Copy)]
struct Queued {
    at: usize,
    slot: usize,
    /// Steps of the same subject that are queued before it.
    wave: usize,
    /// Whether its subject begins anew.
    begins: bool,
    /// What its forecasts are counted from; `None` where it gets none.
    anchor: Option<f32>,
}

impl Carried {
    pub(super) fn new(net: &Net<'_>, context: &Context, together: usize) -> Result<Self, Error> {
        let (encoder, program) = (net.encoder, net.program);
        program.streams()?;
        if encoder.inputs == InputKind::Relative || encoder.output == TargetKind::Level {
            return Err(Error::data(
                "window",
                "inputs or targets that look at a whole window cannot go from step to step",
                "train with inputs = \"values\" and target = \"change\", or without truncate",
            ));
        }
        let (layout, x) = Ports::of_steps(program)?;
        let capacity = Capacity::uniform(program, together, together);
        let runner = Runner::new(program, &capacity, &Keep::Nothing)?;
        let mut runner = runner.with_precision(net.precision, context)?;
        Ok(Self {
            shape: (runner.state_width(), encoder.scaler.channels.len()),
            runner,
            batch: Batch::new(program, &capacity)?,
            ports: (layout, x, net.output()?),
            width: encoder.width(),
            together,
            ones: vec![1; together],
            rows: Vec::new(),
            before: Vec::new(),
            queued: Vec::new(),
            order: Vec::new(),
            waves: Vec::new(),
        })
    }

    pub(super) fn widths(&self) -> Widths {
        let (state, features) = self.shape;
        Widths { floats: state + features + 1, counts: features + 1, ..Widths::default() }
    }

    pub(super) fn queue(
        &mut self,
        net: &Net<'_>,
        memory: &mut Memory<'_>,
        step: &Step<'_>,
    ) -> bool {
        let (encoder, (state, features)) = (net.encoder, self.shape);
        // What comes after the last target is not this engine's.
        let (scaled, raw) = memory.floats[state..].split_at_mut(features);
        if step.begins {
            // The layers' states are still needed by the steps that are queued before this one.
            *memory.steps = 0;
            memory.counts.fill(0);
        }
        let (seen, any) = memory.counts.split_at_mut(features);
        *memory.steps += 1;
        let now = *memory.steps;
        self.before.clear();
        self.before.extend_from_slice(seen);
        for (channel, &value) in step.values.iter().enumerate() {
            if value.is_finite() {
                scaled[channel] = encoder.scaler.scale(channel, value);
                seen[channel] = now;
                any[0] = now;
            }
        }
        let target = step.values[encoder.target];
        if target.is_finite() {
            raw[0] = target;
        }
        for (&value, &seen) in scaled.iter().zip(seen.iter()) {
            let known = match encoder.missing {
                Missing::Carry => seen != 0,
                Missing::Centre => seen == now,
            };
            self.rows.push(if known { value } else { 0.0 });
        }
        for indicator in &encoder.indicators {
            for (&seen, &before) in seen.iter().zip(&self.before) {
                let gap = |seen: u64| (seen != 0).then(|| now - seen);
                let gaps = Gaps { now: gap(seen), before: gap(before) };
                self.rows.push(indicate(*indicator, gaps, now));
            }
        }
        let length = encoder.length as u64;
        let is_answered = now >= length && any[0] != 0 && now - any[0] < length;
        let anchor = (seen[encoder.target] != 0).then_some(raw[0]);
        let anchor = anchor.unwrap_or_else(|| narrow(encoder.centre()));
        self.queued.push(Queued {
            at: step.at,
            slot: step.slot,
            wave: *memory.queued as usize,
            begins: step.begins,
            anchor: is_answered.then_some(anchor),
        });
        *memory.queued += 1;
        is_answered
    }

    pub(super) fn run(
        &mut self,
        net: &Net<'_>,
        context: &mut Context,
        subjects: &mut Subjects,
        forecasts: &mut [f32],
    ) -> Result<(), Error> {
        self.sort_into_waves();
        let order = std::mem::take(&mut self.order);
        let mut rest = order.as_slice();
        let mut taken = Ok(());
        while let Some(&first) = rest.first() {
            // One step of each subject at a time: a chunk ends where the next wave begins.
            let wave = self.queued[first].wave;
            let same = |&&place: &&usize| self.queued[place].wave == wave;
            let count = rest.iter().take(self.together).take_while(same).count();
            let (chunk, after) = rest.split_at(count);
            taken = taken.and_then(|()| self.step(net, context, subjects, (chunk, forecasts)));
            rest = after;
        }
        for queued in self.queued.drain(..) {
            *subjects.memory(queued.slot).queued = 0;
        }
        self.order = order;
        self.rows.clear();
        taken
    }

    /// Orders the queue by wave, then as it came.
    fn sort_into_waves(&mut self) {
        self.waves.clear();
        for queued in &self.queued {
            if self.waves.len() <= queued.wave + 1 {
                self.waves.resize(queued.wave + 2, 0);
            }
            self.waves[queued.wave + 1] += 1;
        }
        for wave in 1..self.waves.len() {
            self.waves[wave] += self.waves[wave - 1];
        }
        self.order.clear();
        self.order.resize(self.queued.len(), 0);
        for (place, queued) in self.queued.iter().enumerate() {
            self.order[self.waves[queued.wave]] = place;
            self.waves[queued.wave] += 1;
        }
    }

    /// Takes one step of different subjects.
    fn step(
        &mut self,
        net: &Net<'_>,
        context: &mut Context,
        subjects: &mut Subjects,
        (chunk, forecasts): (&[usize], &mut [f32]),
    ) -> Result<(), Error> {
        let (layout, x, output) = self.ports;
        let (state, horizons) = (self.shape.0, net.encoder.horizons.len());
        self.batch.set_lengths(layout, &self.ones[..chunk.len()])?;
        self.runner.start_states(chunk.len());
        for (b, &place) in chunk.iter().enumerate() {
            self.batch.write(x, b, &self.rows[place * self.width..(place + 1) * self.width])?;
            let queued = self.queued[place];
            if !queued.begins {
                let memory = subjects.memory(queued.slot);
                self.runner.write_state(b, &memory.floats[..state])?;
            }
        }
        self.runner.forward(context, net.parameters, &self.batch)?;
        self.runner.carry_states()?;
        let outputs = self.runner.value(output, &self.batch);
        for (b, &place) in chunk.iter().enumerate() {
            let Queued { at, anchor: Some(anchor), .. } = self.queued[place] else { continue };
            let row = outputs.row(self.batch.row_of(layout, b, 0));
            net.decode_from(anchor, row, &mut forecasts[at * horizons..(at + 1) * horizons]);
        }
        for (b, &place) in chunk.iter().enumerate() {
            let memory = subjects.memory(self.queued[place].slot);
            self.runner.read_state(b, &mut memory.floats[..state])?;
        }
        Ok(())
    }
}
