//! Models that see one window from zero state: the last window is run anew at every step.

use sequela_kernels::Context;
use sequela_nn::{Batch, Capacity, InputId, Keep, LayoutId, Runner, Value};

use crate::Error;
use crate::feed::Ports;
use crate::judge::Net;
use crate::series::Series;

use super::engine::Step;
use super::subjects::{Memory, Widths};

/// Windows on their way, and the network that runs them.
///
/// Of each subject the last L steps are kept as they came, in a ring of `(L, F)`.
#[derive(Debug)]
pub(super) struct Windows {
    runner: Runner,
    batch: Batch,
    ports: (LayoutId, InputId, Value),
    /// L and F.
    shape: (usize, usize),
    /// Windows run at once.
    together: usize,
    /// The window of the step at hand, in the form that rows are made from.
    series: Series,
    /// Rows of the queued windows, `(N, L, width)`.
    rows: Vec<f32>,
    /// Number in the queue and anchor of each.
    queued: Vec<(usize, f32)>,
    outputs: Vec<f32>,
}

impl Windows {
    pub(super) fn new(net: &Net<'_>, context: &Context, together: usize) -> Result<Self, Error> {
        let (encoder, program) = (net.encoder, net.program);
        let (layout, x) = Ports::of_steps(program)?;
        let together = together.min(MOST).min((ROWS / encoder.length.max(1)).max(1));
        let capacity =
            Capacity::uniform(program, together, together.saturating_mul(encoder.length));
        Ok(Self {
            runner: Runner::new(program, &capacity, &Keep::Nothing)?
                .with_precision(net.precision, context)?,
            batch: Batch::new(program, &capacity)?,
            ports: (layout, x, net.output()?),
            shape: (encoder.length, encoder.scaler.channels.len()),
            together,
            series: encoder.empty(encoder.length),
            rows: Vec::new(),
            queued: Vec::new(),
            outputs: Vec::new(),
        })
    }

    pub(super) fn widths(&self) -> Widths {
        Widths { floats: self.shape.0 * self.shape.1, ..Widths::default() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.queued.len() >= self.together
    }

    pub(super) fn queue(
        &mut self,
        net: &Net<'_>,
        memory: &mut Memory<'_>,
        step: &Step<'_>,
    ) -> bool {
        let (length, features) = self.shape;
        let ring = &mut *memory.floats;
        if step.begins {
            *memory.steps = 0;
        }
        // The ring turns once in L steps.
        let at = usize::try_from(*memory.steps % length as u64).unwrap_or(0);
        ring[at * features..(at + 1) * features].copy_from_slice(step.values);
        *memory.steps += 1;
        if *memory.steps < length as u64 || ring.iter().all(|value| !value.is_finite()) {
            return false;
        }
        self.series.clear();
        let (newer, older) = ring.split_at((at + 1) * features);
        for row in older.chunks_exact(features).chain(newer.chunks_exact(features)) {
            net.encoder.push(&mut self.series, row, |channel| row[channel].is_finite());
        }
        net.encoder.rows(&self.series, 0, 0..length, &mut self.rows);
        self.queued.push((step.at, net.encoder.anchor(&self.series, 0, length - 1)));
        true
    }

    pub(super) fn run(
        &mut self,
        net: &Net<'_>,
        context: &mut Context,
        forecasts: &mut [f32],
    ) -> Result<(), Error> {
        let (layout, x, output) = self.ports;
        let (length, horizons) = (self.shape.0, net.encoder.horizons.len());
        let width = length * net.encoder.width();
        let lengths = vec![length; self.together];
        let rows = self.rows.chunks(self.together * width);
        for (queued, rows) in self.queued.chunks(self.together).zip(rows) {
            self.batch.set_lengths(layout, &lengths[..queued.len()])?;
            for (b, rows) in rows.chunks_exact(width).enumerate() {
                self.batch.write(x, b, rows)?;
            }
            self.runner.forward(context, net.parameters, &self.batch)?;
            for (b, &(at, anchor)) in queued.iter().enumerate() {
                self.runner.read(output, &self.batch, b, &mut self.outputs);
                // Of a network that answers at every step, the last answer.
                let last = self.outputs.len() - horizons * net.quantiles.0;
                let to = &mut forecasts[at * horizons..(at + 1) * horizons];
                net.decode_from(anchor, &self.outputs[last..], to);
            }
        }
        self.queued.clear();
        self.rows.clear();
        Ok(())
    }
}

/// Windows run at once at most: more need memory and are no faster.
const MOST: usize = crate::judge::BATCH;
/// Steps of all windows that are run at once: long windows are run a few at a time.
const ROWS: usize = 1 << 16;
