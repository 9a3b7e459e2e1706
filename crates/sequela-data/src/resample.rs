//! Irregular times to a regular grid.

use sequela_core::{Limits, Location, Sequence};
use serde::{Deserialize, Serialize};

use crate::gaps::check_hours;
use crate::scaling::numeric;
use crate::{Cohort, Error};

/// A regular grid of times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Hours of one bin.
    pub step_hours: f64,
    /// Empty bins after an observed one that take over its value; 0 leaves them missing.
    #[serde(default)]
    pub carry_forward: usize,
}

/// The sequence on a grid: each bin holds the mean of the values observed in it.
///
/// The first bin begins at the first time; bin `i` covers `[start + i step, start + (i + 1)
/// step)` and its time is that of its end, when all of it is known. Statics and targets that do
/// not go by step stay; targets by step are dropped, for they have no mean.
///
/// **Missing data** an empty bin is missing; with [`Grid::carry_forward`] it repeats the last
/// observed value of its channel, from the past only. **Cost** linear in values and bins.
///
/// # Errors
/// [`Error::Unfit`] where the sequence has no times or is not numeric, or the grid would have
/// more than `limits.steps` bins; [`Error::Request`] for a step that is not positive.
///
/// # Example
/// ```
/// use sequela_core::{Limits, Sequence, Steps, SubjectId};
/// use sequela_data::resample::{Grid, resample};
/// let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &[1.0, 3.0, 8.0])?
///     .with_times(vec![0.0, 0.5, 2.25])?;
/// let grid = Grid { step_hours: 1.0, carry_forward: 0 };
/// let regular = resample(&sequence, &grid, &Limits::default())?;
/// let Steps::Numeric { values, observed, .. } = &regular.steps else { unreachable!() };
/// assert_eq!((values.as_slice(), observed.as_slice()), (&[2.0, 0.0, 8.0][..], &[true, false, true][..]));
/// # Ok::<(), sequela_data::Error>(())
/// ```
pub fn resample(sequence: &Sequence, grid: &Grid, limits: &Limits) -> Result<Sequence, Error> {
    check_hours("resample.step_hours", grid.step_hours)?;
    let place = || Location::default().field(sequence.id.as_str());
    let (Some((values, observed, features)), Some(times)) = (numeric(sequence), &sequence.times)
    else {
        return Err(Error::unfit(
            place(),
            "the sequence has no times or holds symbols",
            "name the time column, or leave the steps as they are",
        ));
    };
    let start = times.first().copied().unwrap_or(0.0);
    let last_bin = times.last().map_or(0.0, |last| ((last - start) / grid.step_hours).floor());
    if last_bin >= limits.steps as f64 {
        return Err(Error::unfit(
            place(),
            format!("the grid would have over {} steps", limits.steps),
            "take a longer step, or cut the sequence at its gaps",
        ));
    }
    let bins = if times.is_empty() { 0 } else { bin_of(last_bin) + 1 };
    let mut sums = vec![0.0_f64; bins * features];
    let mut counts = vec![0_u32; bins * features];
    for (step, &time) in times.iter().enumerate() {
        let bin = bin_of(((time - start) / grid.step_hours).floor());
        for channel in 0..features {
            let from = step * features + channel;
            if observed[from] {
                sums[bin * features + channel] += f64::from(values[from]);
                counts[bin * features + channel] += 1;
            }
        }
    }
    let means = means_carried(&sums, &counts, features, grid.carry_forward);
    let ends = (1..=bins).map(|bin| start + bin as f64 * grid.step_hours).collect();
    let mut regular =
        Sequence::numeric(sequence.id.as_str(), sequence.subject.clone(), features, &means)?
            .with_times(ends)?;
    regular.statics.clone_from(&sequence.statics);
    if !matches!(sequence.target, sequela_core::Target::PerStep(_)) {
        regular.target = sequence.target.clone();
    }
    Ok(regular)
}

/// The cohort with every sequence on a grid.
///
/// # Errors
/// As [`resample`].
pub fn resample_all(cohort: &Cohort, grid: &Grid, limits: &Limits) -> Result<Cohort, Error> {
    let sequences = cohort
        .sequences()
        .iter()
        .map(|sequence| resample(sequence, grid, limits))
        .collect::<Result<_, _>>()?;
    Ok(cohort.with_sequences(sequences).with_note(format!("means of {} hours", grid.step_hours)))
}

/// The means of the bins, empty ones filled from the past where allowed, else NaN.
fn means_carried(sums: &[f64], counts: &[u32], features: usize, carry: usize) -> Vec<f32> {
    let mut last: Vec<Option<(usize, f32)>> = vec![None; features];
    sums.iter()
        .zip(counts)
        .enumerate()
        .map(|(cell, (&sum, &count))| {
            let (bin, channel) = (cell / features, cell % features);
            if count > 0 {
                #[allow(clippy::cast_possible_truncation, reason = "values are kept in f32")]
                let mean = (sum / f64::from(count)) as f32;
                last[channel] = Some((bin, mean));
                return mean;
            }
            last[channel].filter(|(seen, _)| bin - seen <= carry).map_or(f32::NAN, |(_, v)| v)
        })
        .collect()
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bins are counted from the first time and were held against the limit"
)]
fn bin_of(bin: f64) -> usize {
    bin as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::{Steps, SubjectId};

    fn values(sequence: &Sequence) -> Vec<f32> {
        let Steps::Numeric { values, observed, .. } = &sequence.steps else { unreachable!() };
        values.iter().zip(observed).map(|(&v, &seen)| if seen { v } else { -1.0 }).collect()
    }

    fn grid(carry_forward: usize) -> Grid {
        Grid { step_hours: 1.0, carry_forward }
    }

    #[test]
    fn carrying_forward_stops_at_its_limit() {
        let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &[5.0, 7.0])
            .unwrap()
            .with_times(vec![10.0, 14.0])
            .unwrap();
        let limits = Limits::default();
        let at = |carry| values(&resample(&sequence, &grid(carry), &limits).unwrap());
        assert_eq!(at(0), [5.0, -1.0, -1.0, -1.0, 7.0]);
        assert_eq!(at(2), [5.0, 5.0, 5.0, -1.0, 7.0]);
        let regular = resample(&sequence, &grid(0), &limits).unwrap();
        assert_eq!(regular.times.unwrap(), [11.0, 12.0, 13.0, 14.0, 15.0]);
    }

    #[test]
    fn a_grid_over_the_limit_is_refused_before_it_is_made() {
        let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &[5.0, 7.0])
            .unwrap()
            .with_times(vec![0.0, 1e300])
            .unwrap();
        assert!(resample(&sequence, &grid(0), &Limits::default()).is_err());
        let no_times = Sequence::numeric("a", SubjectId::new("p"), 1, &[5.0]).unwrap();
        assert!(resample(&no_times, &grid(0), &Limits::default()).is_err());
        let zero = Grid { step_hours: 0.0, carry_forward: 0 };
        assert!(resample(&sequence, &zero, &Limits::default()).is_err());
    }

    #[test]
    fn empty_sequences_stay_empty() {
        let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &[])
            .unwrap()
            .with_times(vec![])
            .unwrap();
        assert!(resample(&sequence, &grid(1), &Limits::default()).unwrap().is_empty());
    }
}
