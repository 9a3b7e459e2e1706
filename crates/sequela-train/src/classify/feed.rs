//! Whole series of any length, batch after batch.

use sequela_core::Random;
use sequela_nn::{Batch, Capacity, Program};

use super::cases::Cases;
use crate::Error;
use crate::encode::{Encoder, narrow};
use crate::feed::{Carry, Feed, ORDER, Order, Ports};

/// Series, each from zero state, with the class of each of its rows as a target and the weight of
/// that class as the weight of the row: 0 where the class is not known.
pub(crate) struct SeriesFeed<'a> {
    encoder: &'a Encoder,
    cases: &'a Cases,
    weights: &'a [f64],
    ports: Ports,
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

    /// At most so many series in one epoch.
    pub(crate) fn at_most(mut self, series: Option<usize>) -> Self {
        self.most = series.unwrap_or(usize::MAX);
        self
    }

    fn count(&self) -> usize {
        self.cases.series.len().min(self.most)
    }

    /// The series of batch `step`, by position.
    pub(crate) fn members(&self, step: u64) -> &[u32] {
        let start = usize::try_from(step).unwrap_or(usize::MAX).saturating_mul(self.batch);
        let end = start.saturating_add(self.batch).min(self.count());
        self.list.get(start..end).unwrap_or(&[])
    }

    /// Writes targets and weights of a series: one, or one for each step.
    fn answer(&mut self, series: usize) {
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
            self.encoder.rows(&self.cases.series[at], span.start, span, &mut self.rows);
            self.answer(at);
            batch.write(self.ports.x, b, &self.rows)?;
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
