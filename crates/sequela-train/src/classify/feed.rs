//! Whole series of any length, batch after batch.

use sequela_core::Random;
use sequela_nn::{Batch, Capacity, Program};

use super::cases::Cases;
use crate::Error;
use crate::encode::{Encoder, narrow};
use crate::feed::{Carry, Feed, ORDER, Order, Ports};

/// Where the class of a series is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Told {
    /// In its rows: at its end, or at each of its steps what is known there.
    Rows,
    /// At each of its steps, which share this much of the weight; the last one has the rest.
    EveryStep(f64),
}

/// Series, each from zero state, with the class of each of its rows as a target and the weight of
/// that class as the weight of the row: 0 where the class is not known.
pub(crate) struct SeriesFeed<'a> {
    encoder: &'a Encoder,
    cases: &'a Cases,
    weights: &'a [f64],
    ports: Ports,
    told: Told,
    batch: usize,
    most: usize,
    order: Order,
    list: Vec<u32>,
    lengths: Vec<usize>,
    identities: Vec<u64>,
    rows: Vec<f32>,
    targets: Vec<f32>,
    row_weights: Vec<f32>,
}

impl<'a> SeriesFeed<'a> {
    pub(crate) fn new(
        (encoder, cases): (&'a Encoder, &'a Cases),
        weights: &'a [f64],
        ports: Ports,
        batch: usize,
        order: Order,
    ) -> Self {
        Self {
            encoder,
            cases,
            weights,
            ports,
            told: Told::Rows,
            batch: batch.min(cases.series.len()).max(1),
            most: usize::MAX,
            order,
            list: (0..u32::try_from(cases.series.len()).unwrap_or(u32::MAX)).collect(),
            lengths: Vec::new(),
            identities: Vec::new(),
            rows: Vec::new(),
            targets: Vec::new(),
            row_weights: Vec::new(),
        }
    }

    /// With the class of a series told like this.
    pub(crate) fn telling(mut self, told: Told) -> Self {
        self.told = told;
        self
    }

    /// Of these series alone, by position.
    pub(crate) fn among(mut self, series: Vec<u32>) -> Self {
        self.batch = self.batch.min(series.len()).max(1);
        self.list = series;
        self
    }

    /// At most so many series in one epoch.
    pub(crate) fn at_most(mut self, series: Option<usize>) -> Self {
        self.most = series.unwrap_or(usize::MAX);
        self
    }

    fn count(&self) -> usize {
        self.list.len().min(self.most)
    }

    /// The series of batch `step`, by position.
    pub(crate) fn members(&self, step: u64) -> &[u32] {
        let start = usize::try_from(step).unwrap_or(usize::MAX).saturating_mul(self.batch);
        let end = start.saturating_add(self.batch).min(self.count());
        self.list.get(start..end).unwrap_or(&[])
    }

    /// Writes targets and weights of a series: one, or one for each step.
    fn answer(&mut self, series: usize) {
        if let Told::EveryStep(share) = self.told {
            return self.answer_at_every_step(series, share);
        }
        let span = &self.cases.spans[series];
        let is_steps = self.cases.steps.is_some();
        let count = if is_steps { span.len() } else { 1 };
        for list in [&mut self.targets, &mut self.row_weights] {
            list.clear();
            list.resize(count, 0.0);
        }
        for row in self.cases.rows_of(series) {
            let Some(class) = self.cases.class[row] else { continue };
            let at = if is_steps { self.cases.place(row).1 - span.start } else { 0 };
            // Classes are few, so that f32 holds them.
            self.targets[at] = narrow(f64::from(class));
            self.row_weights[at] = narrow(self.weights.get(class as usize).copied().unwrap_or(0.0));
        }
    }
}

impl SeriesFeed<'_> {
    /// Writes the class of a whole series as the target of each of its steps, with weights that
    /// add up to that of the class.
    fn answer_at_every_step(&mut self, series: usize, share: f64) {
        let steps = self.cases.spans[series].len();
        let class = self.cases.rows_of(series).next().and_then(|row| self.cases.class[row]);
        let weight = class.and_then(|class| self.weights.get(class as usize)).copied();
        let weight = weight.unwrap_or(0.0);
        self.targets.clear();
        self.targets.resize(steps, narrow(f64::from(class.unwrap_or(0))));
        self.row_weights.clear();
        self.row_weights.resize(steps, narrow(weight * share / steps.max(1) as f64));
        if let Some(last) = self.row_weights.last_mut() {
            *last = narrow(weight * (share / steps.max(1) as f64 + 1.0 - share));
        }
    }
}

impl Feed for SeriesFeed<'_> {
    fn begin(&mut self, epoch: u64) {
        if let Order::Shuffled(seed) = self.order {
            self.list.sort_unstable();
            Random::new(seed, ORDER.wrapping_add(epoch)).shuffle(&mut self.list);
        }
    }

    fn steps(&self) -> u64 {
        self.count().div_ceil(self.batch) as u64
    }

    fn fill(&mut self, step: u64, batch: &mut Batch) -> Result<Carry, Error> {
        let members = self.members(step).to_vec();
        self.lengths.clear();
        self.lengths.extend(members.iter().map(|&at| self.cases.spans[at as usize].len()));
        match self.ports.layout {
            Some(layout) => batch.set_lengths(layout, &self.lengths)?,
            None => batch.set_sequences(members.len())?,
        }
        for (b, &member) in members.iter().enumerate() {
            let at = member as usize;
            let span = self.cases.spans[at].clone();
            self.rows.clear();
            let series = &self.cases.series[at];
            self.encoder.rows(series, span.start, span.clone(), &mut self.rows);
            batch.write(self.ports.x, b, &self.rows)?;
            if let Some(statics) = self.ports.statics {
                self.rows.clear();
                self.encoder.still(series, span, &mut self.rows);
                batch.write(statics, b, &self.rows)?;
            }
            self.answer(at);
            batch.write(self.ports.target, b, &self.targets)?;
            batch.write(self.ports.weight, b, &self.row_weights)?;
        }
        self.identities.clear();
        self.identities.extend(members.iter().map(|&at| u64::from(at)));
        batch.set_identities(&self.identities)?;
        Ok(Carry::Fresh)
    }

    fn subjects(&self) -> usize {
        self.identities.len()
    }

    fn capacity(&self, program: &Program) -> Capacity {
        // However they are shuffled, a batch has no more steps than that of the longest series.
        let mut lengths: Vec<usize> = self.cases.spans.iter().map(std::ops::Range::len).collect();
        lengths.sort_unstable();
        let steps = lengths.iter().rev().take(self.batch).sum::<usize>().max(1);
        Capacity::uniform(program, self.batch, steps)
    }

    fn carries(&self) -> bool {
        false
    }
}
