//! Blocks of samples, one behind the other, to the steps of a sequence.

use std::path::Path;

use sequela_core::{Limits, Location, Sequence, SubjectId};

use crate::Error;

/// Cells of a grid that any recording may have, and more for each of its samples: two samples with years
/// between them are no reason to hold the years.
const GAPS: u64 = 1 << 22;
const GAPS_OF_SAMPLE: u64 = 1000;

/// Samples that begin at one time.
pub(super) struct Part<'a> {
    /// Samples in a second.
    pub(super) frequency: f64,
    /// NaN where one is missing.
    pub(super) values: &'a [f64],
}

/// Puts together one sequence.
pub(super) struct Assembler<'a> {
    path: &'a Path,
    features: usize,
    every: Option<f64>,
    limit: u64,
    /// Samples that were added: what lies between them may not be boundless.
    samples: u64,
    first: f64,
    /// Sum and number of the samples of each channel in each step, or NaN in place of the sum.
    sums: Vec<f64>,
    counts: Vec<u32>,
    values: Vec<f32>,
    times: Vec<f64>,
    seen: bool,
}

impl<'a> Assembler<'a> {
    /// For a recording of so many channels; `every` is the seconds of a step.
    pub(super) fn new(
        path: &'a Path,
        features: usize,
        every: Option<f64>,
        limits: &Limits,
    ) -> Self {
        Self {
            path,
            features,
            every,
            limit: limits.steps,
            samples: 0,
            first: 0.0,
            sums: Vec::new(),
            counts: Vec::new(),
            values: Vec::new(),
            times: Vec::new(),
            seen: false,
        }
    }

    /// Adds samples of every channel that begin `onset` seconds after the start of the recording.
    pub(super) fn add(&mut self, onset: f64, parts: &[Part<'_>]) -> Result<(), Error> {
        if !std::mem::replace(&mut self.seen, true) {
            self.first = onset;
        }
        match self.every {
            Some(every) => parts.iter().enumerate().try_for_each(|(channel, part)| {
                self.add_to_bins(onset - self.first, every, channel, part)
            }),
            None => self.add_steps(onset, parts),
        }
    }

    fn add_to_bins(
        &mut self,
        onset: f64,
        every: f64,
        channel: usize,
        part: &Part<'_>,
    ) -> Result<(), Error> {
        // A sample at the border of two steps begins the later one, whatever rounding says.
        let bin = |at: f64| (at / every + 1e-9).floor();
        let last = bin(onset + part.values.len().saturating_sub(1) as f64 / part.frequency);
        let cells = (last + 1.0) * self.features as f64;
        if !(last >= 0.0 && cells <= self.limit as f64) {
            return Err(self.too_long());
        }
        self.samples += part.values.len() as u64;
        if cells > (GAPS + GAPS_OF_SAMPLE * self.samples) as f64 {
            return Err(Error::unfit(
                Location::file(self.path),
                "there is next to nothing in it but gaps",
                "give more seconds to a step (every_seconds), or part it where the gaps are",
            ));
        }
        let cells = index(cells);
        if cells > self.counts.len() {
            self.sums.resize(cells, 0.0);
            self.counts.resize(cells, 0);
        }
        for (number, value) in part.values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let step = index(bin(onset + number as f64 / part.frequency));
            let cell = step * self.features + channel;
            self.sums[cell] += value;
            self.counts[cell] += 1;
        }
        Ok(())
    }

    fn add_steps(&mut self, onset: f64, parts: &[Part<'_>]) -> Result<(), Error> {
        let steps = parts.iter().map(|part| part.values.len()).min().unwrap_or(0);
        if ((self.times.len() + steps) * self.features) as u64 > self.limit {
            return Err(self.too_long());
        }
        let frequency = parts.first().map_or(1.0, |part| part.frequency);
        for step in 0..steps {
            self.times.push((onset + step as f64 / frequency) / 3600.0);
            #[allow(clippy::cast_possible_truncation, reason = "values are kept in f32")]
            self.values.extend(parts.iter().map(|part| part.values[step] as f32));
        }
        Ok(())
    }

    fn too_long(&self) -> Error {
        Error::unfit(
            Location::file(self.path),
            format!("it has over {} values, gaps counted", self.limit),
            "choose fewer signals, or give more seconds to a step (every_seconds)",
        )
    }

    /// The sequence. The time of a step is that of its end where it is a mean, else that of its
    /// sample; hours from the start of the recording.
    pub(super) fn finish(mut self, id: &str, subject: SubjectId) -> Result<Sequence, Error> {
        if let Some(every) = self.every {
            #[allow(clippy::cast_possible_truncation, reason = "values are kept in f32")]
            let mean = |(sum, &count): (&f64, &u32)| {
                if count == 0 { f32::NAN } else { (sum / f64::from(count)) as f32 }
            };
            self.values = self.sums.iter().zip(&self.counts).map(mean).collect();
            let steps = self.values.len() / self.features.max(1);
            let end = |step: usize| (self.first + step as f64 * every) / 3600.0;
            self.times = (1..=steps).map(end).collect();
        }
        let sequence = Sequence::numeric(id, subject, self.features, &self.values)?;
        Ok(sequence.with_times(self.times)?)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers hold it against the limit first"
)]
fn index(step: f64) -> usize {
    step as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::Steps;

    /// When it begins, the samples of both channels, and their rates.
    type Block<'a> = (f64, [&'a [f64]; 2], [f64; 2]);

    fn sequence(every: Option<f64>, blocks: &[Block<'_>]) -> Sequence {
        let mut assembler = Assembler::new("a".as_ref(), 2, every, &Limits::default());
        for (onset, values, rates) in blocks {
            let part = |at: usize| Part { frequency: rates[at], values: values[at] };
            assembler.add(*onset, &[part(0), part(1)]).unwrap();
        }
        assembler.finish("a", SubjectId::new("a")).unwrap()
    }

    #[test]
    fn steps_are_means_and_gaps_are_missing() {
        let blocks: [Block<'_>; 2] = [
            (10.0, [&[1.0, 3.0, 5.0, f64::NAN], &[7.0, 8.0]], [2.0, 1.0]),
            (14.0, [&[2.0, 4.0], &[9.0]], [2.0, 1.0]),
        ];
        let found = sequence(Some(1.0), &blocks);
        let Steps::Numeric { values, observed, .. } = &found.steps else { unreachable!() };
        assert_eq!(values, &[2.0, 7.0, 5.0, 8.0, 0.0, 0.0, 0.0, 0.0, 3.0, 9.0]);
        let missing: Vec<usize> = (0..10).filter(|&at| !observed[at]).collect();
        assert_eq!(missing, [4, 5, 6, 7]);
        let seconds: Vec<f64> =
            found.times.unwrap().iter().map(|hours| (hours * 3600.0).round()).collect();
        assert_eq!(seconds, [11.0, 12.0, 13.0, 14.0, 15.0]);
    }

    #[test]
    fn borders_are_not_moved_by_rounding() {
        let tenths: Vec<f64> = (0..1000).map(f64::from).collect();
        let found = sequence(Some(0.3), &[(0.0, [&tenths, &tenths], [10.0, 10.0])]);
        let Steps::Numeric { values, .. } = &found.steps else { unreachable!() };
        assert!((0..333).all(|at| (values[2 * at] - (3 * at + 1) as f32).abs() < 1e-3));
    }

    #[test]
    fn samples_are_steps_where_nothing_else_is_asked() {
        let block: Block<'_> = (1.0, [&[1.0, 2.0], &[3.0, f64::NAN]], [4.0; 2]);
        let found = sequence(None, &[block]);
        assert_eq!((found.len(), found.missing()), (2, 1));
        assert!((found.times.unwrap()[1] * 3600.0 - 1.25).abs() < 1e-9);
    }

    #[test]
    fn a_gap_of_ages_is_refused() {
        let mut assembler = Assembler::new("a".as_ref(), 1, Some(1.0), &Limits::default());
        // A month between two samples is a gap; three years are not worth their memory.
        for (onset, is_refused) in [(0.0, false), (2.6e6, false), (9.9e7, true), (1e300, true)] {
            let part = Part { frequency: 1.0, values: &[1.0] };
            let result = assembler.add(onset, &[part]);
            assert_eq!(result.is_err(), is_refused, "{onset}");
        }
    }
}
