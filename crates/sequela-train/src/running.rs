//! Running numbers of a window: what there is to say of the values of each channel so far.

use crate::encode::{Encoder, narrow};
use crate::series::Series;
use crate::study::Summary;

/// What there is to say of the values of a window so far.
pub(crate) struct SoFar {
    steps: f64,
    channels: Vec<Running>,
}

/// The same of one channel.
#[derive(Clone, Copy, Default)]
struct Running {
    count: f64,
    sum: f64,
    first: f32,
    low: f32,
    high: f32,
}

impl SoFar {
    /// After these steps; costs nothing where nothing is asked.
    pub(crate) fn new(encoder: &Encoder, series: &Series, steps: std::ops::Range<usize>) -> Self {
        let width = if encoder.summaries.is_empty() { 0 } else { series.features };
        let mut so_far = Self { steps: 0.0, channels: vec![Running::default(); width] };
        for step in steps {
            so_far.see(encoder, series, step);
        }
        so_far
    }

    /// Takes in a step.
    pub(crate) fn see(&mut self, encoder: &Encoder, series: &Series, step: usize) {
        self.steps += 1.0;
        for (channel, running) in self.channels.iter_mut().enumerate() {
            let cell = step * series.features + channel;
            if series.seen[cell] as usize != step {
                continue;
            }
            let value = encoder.believed(series.scaled[cell]);
            if running.count < 0.5 {
                (running.first, running.low, running.high) = (value, value, value);
            }
            running.count += 1.0;
            running.sum += f64::from(value);
            (running.low, running.high) = (running.low.min(value), running.high.max(value));
        }
    }

    /// Appends what is wanted of every channel, one summary after the other.
    pub(crate) fn push(&self, encoder: &Encoder, out: &mut Vec<f32>) {
        for summary in &encoder.summaries {
            let moving = self.channels.iter().enumerate().filter(|(at, _)| encoder.moves(*at));
            out.extend(moving.map(|(_, running)| match summary {
                Summary::Mean => narrow(running.sum / running.count.max(1.0)),
                Summary::Lowest => running.low,
                Summary::Highest => running.high,
                Summary::First => running.first,
                Summary::Share => narrow(running.count / self.steps),
            }));
        }
    }
}
