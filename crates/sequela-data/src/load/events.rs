//! Measurements, each with its time, to steps.

use sequela_core::{Limits, Location, Sequence, SubjectId};

use crate::Error;

/// One measured value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Event {
    pub(super) hours: f64,
    pub(super) channel: usize,
    pub(super) value: f64,
}

/// Which times become steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Timing {
    /// Hours of a step of a grid; without it every time at which anything was measured is a step.
    pub(super) every_hours: Option<f64>,
    /// Where a grid begins; without it at the first event.
    pub(super) origin: Option<f64>,
}

/// Makes sequences, one after another.
#[derive(Debug)]
pub(super) struct Maker {
    features: usize,
    timing: Timing,
    sums: Vec<f64>,
    counts: Vec<u32>,
    /// Values that fell together with an earlier one of their channel and time.
    pub(super) together: u64,
}

impl Maker {
    pub(super) fn new(features: usize, timing: Timing) -> Self {
        Self { features, timing, sums: Vec::new(), counts: Vec::new(), together: 0 }
    }

    /// Has the grids of the next sequences begin at `origin`, or at their first event.
    pub(super) fn begin(&mut self, origin: Option<f64>) {
        self.timing.origin = origin;
    }

    /// The sequence of these events, which are sorted by time. A cell is the mean of what was
    /// measured in it. Times are those of the events or, on a grid, of the end of each step.
    pub(super) fn sequence(
        &mut self,
        id: &str,
        events: &[Event],
        limits: &Limits,
    ) -> Result<Sequence, Error> {
        self.sums.clear();
        self.counts.clear();
        let mut times: Vec<f64> = Vec::new();
        let first = events.first().map_or(0.0, |event| event.hours);
        let origin = self.timing.origin.unwrap_or(first);
        if let (Some(every), Some(last)) = (self.timing.every_hours, events.last())
            && (last.hours - origin) / every >= limits.steps as f64
        {
            return Err(Error::unfit(
                Location::default().field("every_seconds"),
                format!("the grid of a subject would have over {} steps", limits.steps),
                "take a longer step, or cut the series at its gaps",
            ));
        }
        for event in events {
            match self.timing.every_hours {
                // As many as were held against the limit.
                Some(every) => {
                    while times.last().is_none_or(|&end| end <= event.hours) {
                        times.push(origin + (times.len() + 1) as f64 * every);
                    }
                }
                None if times.last().is_none_or(|&last| last < event.hours) => {
                    times.push(event.hours);
                }
                None => {}
            }
            self.sums.resize(times.len() * self.features, 0.0);
            self.counts.resize(times.len() * self.features, 0);
            let cell = (times.len() - 1) * self.features + event.channel;
            self.together += u64::from(self.counts[cell] > 0);
            self.sums[cell] += event.value;
            self.counts[cell] += 1;
        }
        let means: Vec<f32> = self.sums.iter().zip(&self.counts).map(mean).collect();
        let sequence = Sequence::numeric(id, SubjectId::new(id), self.features, &means)?;
        Ok(sequence.with_times(times)?)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "values are kept in f32")]
fn mean((&sum, &count): (&f64, &u32)) -> f32 {
    if count == 0 { f32::NAN } else { (sum / f64::from(count)) as f32 }
}
