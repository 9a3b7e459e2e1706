//! Series in the form that windows are cut from.

/// A sequence, scaled, with what is needed to find the last value seen.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// `(T, F)`, 0 where missing.
    pub(crate) scaled: Vec<f32>,
    /// `(T, F)`: the last step at which each channel was observed; [`NEVER`] before the first.
    pub(crate) seen: Vec<u32>,
    /// The target channel in its unit, `(T)`.
    pub(crate) raw: Vec<f32>,
    /// F.
    pub(crate) features: usize,
    /// Position of the target channel.
    pub(crate) target: usize,
    /// Whether nothing is missing.
    pub(crate) whole: bool,
}

/// No step: a channel that was not observed yet.
pub(crate) const NEVER: u32 = u32::MAX;

impl Series {
    /// Forgets all steps.
    pub(crate) fn clear(&mut self) {
        self.scaled.clear();
        self.seen.clear();
        self.raw.clear();
        self.whole = true;
    }

    /// Number of steps, T.
    pub(crate) fn len(&self) -> usize {
        self.raw.len()
    }

    /// The target at a step, where it was observed.
    pub(crate) fn truth(&self, step: usize) -> Option<f32> {
        let seen = *self.seen.get(step * self.features + self.target)?;
        (seen as usize == step).then(|| self.raw[step])
    }

    /// The last target seen in `start..=last`.
    pub(crate) fn last_seen(&self, start: usize, last: usize) -> Option<f32> {
        let seen = self.seen[last * self.features + self.target];
        (seen != NEVER && seen as usize >= start).then(|| self.raw[seen as usize])
    }

    /// Mean of the targets observed in `start..=last`.
    pub(crate) fn mean(&self, start: usize, last: usize) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0_u32);
        for value in (start..=last).filter_map(|step| self.truth(step)) {
            sum += f64::from(value);
            count += 1;
        }
        (count > 0).then(|| sum / f64::from(count))
    }

    /// The share of missing values in `start..=last`.
    pub(crate) fn missing_share(&self, start: usize, last: usize) -> f64 {
        if self.whole {
            return 0.0;
        }
        let cells = start * self.features..(last + 1) * self.features;
        let count = cells.len();
        let missing =
            cells.filter(|&cell| self.seen[cell] as usize != cell / self.features).count();
        missing as f64 / count as f64
    }
}

/// Windows of the series of one part of the data.
#[derive(Debug, Clone, Default)]
pub(crate) struct Examples {
    pub(crate) series: Vec<Series>,
    /// Number of the subject of each series.
    pub(crate) subject: Vec<usize>,
    /// Number of subjects.
    pub(crate) subjects: usize,
    pub(crate) windows: Vec<Example>,
}

/// One window: which series, from which step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Example {
    pub(crate) series: u32,
    pub(crate) start: u32,
}
