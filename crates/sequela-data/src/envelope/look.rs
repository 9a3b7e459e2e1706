//! What a sequence looks like.

use sequela_core::{Sequence, Steps, quantile};

/// What one sequence looks like, or a part of it.
pub(super) struct Look {
    pub(super) steps: usize,
    /// Share of cells that are missing.
    pub(super) missing: f64,
    /// The middle distance of its steps in hours.
    pub(super) interval: Option<f64>,
    pub(super) channels: Vec<ChannelLook>,
}

/// What one channel of it looks like.
pub(super) struct ChannelLook {
    /// Steps at which it was observed.
    pub(super) count: usize,
    /// The middle of its values; NaN where there are none.
    pub(super) middle: f64,
    /// Share of the steps at which it was observed.
    pub(super) share: f64,
}

impl Look {
    /// The look of a whole sequence; none where it has no steps of numbers.
    pub(super) fn of(sequence: &Sequence) -> Option<Self> {
        let Steps::Numeric { values, observed, features } = &sequence.steps else { return None };
        Self::of_cells((values, observed), *features, sequence.times.as_deref())
    }

    /// The look of so many columns of cells, of which some were observed; none of no cells.
    pub(super) fn of_cells(
        (values, observed): (&[f32], &[bool]),
        features: usize,
        times: Option<&[f64]>,
    ) -> Option<Self> {
        let steps = observed.len().checked_div(features).filter(|steps| *steps > 0)?;
        let channel = |at: usize| {
            let column = values.iter().zip(observed).skip(at).step_by(features);
            let seen: Vec<f64> =
                column.filter(|(_, seen)| **seen).map(|(value, _)| f64::from(*value)).collect();
            let (count, share) = (seen.len(), seen.len() as f64 / steps as f64);
            ChannelLook { count, middle: median(seen).unwrap_or(f64::NAN), share }
        };
        let interval = times
            .and_then(|times| median(times.windows(2).map(|pair| pair[1] - pair[0]).collect()));
        let missing = observed.iter().filter(|seen| !**seen).count() as f64 / observed.len() as f64;
        Some(Self { steps, missing, interval, channels: (0..features).map(channel).collect() })
    }
}

/// The middle of some values; none of no values.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    quantile(&values, 0.5)
}
