//! What a model is fed at each step: scaled values, gaps filled from the past, masks beside them.

use sequela_core::{Location, Sequence};
use serde::{Deserialize, Serialize};

use crate::gaps::hours_since_observed;
use crate::scaling::{Scaler, numeric};
use crate::{Cohort, Error};

/// What stands beside the values in every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extra {
    /// F columns: 1 where the channel was observed, 0 where its value was filled in.
    Mask,
    /// F columns: hours since the channel was last observed before the step.
    HoursSinceObserved,
}

/// The inputs and targets of one sequence.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PreparedSequence {
    /// `(T, width)` row by row.
    pub inputs: Vec<f32>,
    /// `(T, K)` row by row: the scaled values of the target channels; 0 where not observed.
    pub targets: Vec<f32>,
    /// `(T, K)`: whether each target was observed.
    pub observed: Vec<bool>,
}

/// The inputs and targets of a cohort.
///
/// Each value is scaled; a missing one repeats the last observed value of its channel in the
/// same sequence, or is 0 (the centre of the scale) where there is none yet. Only the past fills
/// a gap, so no window sees ahead.
///
/// # Example
/// ```
/// use sequela_core::{Sequence, SubjectId};
/// use sequela_data::{Cohort, heart_rate};
/// use sequela_data::inputs::{Extra, Prepared};
/// use sequela_data::scaling::{Scaler, ScalingMethod};
/// let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &[60.0, f32::NAN, 80.0])?;
/// let cohort = Cohort::new(heart_rate::schema(), vec![sequence], "by hand")?;
/// let scaler = Scaler::fit(&cohort, ScalingMethod::Standard)?;
/// let prepared = Prepared::new(&cohort, &scaler, &[Extra::Mask], &[0])?;
/// assert_eq!(prepared.width, 2);
/// assert_eq!(prepared.sequences[0].inputs, [-1.0, 1.0, -1.0, 0.0, 1.0, 1.0]);
/// assert_eq!(prepared.sequences[0].observed, [true, false, true]);
/// # Ok::<(), sequela_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prepared {
    /// Columns of an input row: F values, then F for each extra.
    pub width: usize,
    /// Columns of a target row, K.
    pub target_width: usize,
    /// One for each sequence of the cohort, in its order.
    pub sequences: Vec<PreparedSequence>,
}

impl Prepared {
    /// Prepares every sequence of a cohort; `targets` are positions of channels.
    ///
    /// # Errors
    /// [`Error::Unfit`] where a sequence holds symbols, the scaler was fitted on other channels,
    /// or a target channel is not there.
    pub fn new(
        cohort: &Cohort,
        scaler: &Scaler,
        extras: &[Extra],
        targets: &[usize],
    ) -> Result<Self, Error> {
        let features = cohort.schema().len();
        let same = |(scale, channel): (&crate::scaling::ChannelScale, &sequela_core::Channel)| {
            scale.name == channel.name
        };
        if scaler.channels.len() != features
            || !scaler.channels.iter().zip(cohort.schema().channels()).all(same)
        {
            return Err(Error::unfit(
                Location::file(cohort.source()),
                "the scale was fitted on other channels",
                "give the channels that the model was trained on, in their order",
            ));
        }
        if targets.iter().any(|&channel| channel >= features) {
            return Err(Error::unfit(
                Location::file(cohort.source()),
                format!("a target is over the last of {features} channels"),
                "count channels from 0",
            ));
        }
        let sequences = cohort
            .sequences()
            .iter()
            .map(|sequence| prepare(sequence, scaler, extras, targets))
            .collect::<Result<_, _>>()?;
        Ok(Self { width: features * (1 + extras.len()), target_width: targets.len(), sequences })
    }
}

fn prepare(
    sequence: &Sequence,
    scaler: &Scaler,
    extras: &[Extra],
    targets: &[usize],
) -> Result<PreparedSequence, Error> {
    let Some((values, observed, features)) = numeric(sequence) else {
        return Err(Error::unfit(
            Location::default().field(sequence.id.as_str()),
            "the sequence holds symbols, not numbers",
            "give numeric sequences",
        ));
    };
    let gaps = if extras.contains(&Extra::HoursSinceObserved) {
        hours_since_observed(sequence)?
    } else {
        Vec::new()
    };
    let mut last = vec![0.0_f32; features];
    let steps = sequence.len();
    let mut prepared = PreparedSequence {
        inputs: Vec::with_capacity(steps * features * (1 + extras.len())),
        targets: Vec::with_capacity(steps * targets.len()),
        observed: Vec::with_capacity(steps * targets.len()),
    };
    for step in 0..steps {
        let cells = step * features..(step + 1) * features;
        for (channel, cell) in cells.clone().enumerate() {
            if observed[cell] {
                last[channel] = scaler.scale(channel, values[cell]);
            }
        }
        prepared.inputs.extend_from_slice(&last);
        for extra in extras {
            match extra {
                Extra::Mask => {
                    let mask =
                        observed[cells.clone()].iter().map(|&seen| f32::from(u8::from(seen)));
                    prepared.inputs.extend(mask);
                }
                Extra::HoursSinceObserved => {
                    prepared.inputs.extend_from_slice(&gaps[cells.clone()]);
                }
            }
        }
        for &channel in targets {
            let seen = observed[step * features + channel];
            prepared.observed.push(seen);
            prepared.targets.push(if seen { last[channel] } else { 0.0 });
        }
    }
    Ok(prepared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heart_rate::schema;
    use crate::scaling::ScalingMethod;
    use sequela_core::SubjectId;

    #[test]
    fn filling_takes_nothing_from_the_future_or_from_others() {
        let nan = f32::NAN;
        let make = |id: &str, values: &[f32]| {
            Sequence::numeric(id, SubjectId::new(id), 1, values)
                .unwrap()
                .with_times((0..values.len()).map(|hour| hour as f64).collect())
                .unwrap()
        };
        let sequences = vec![make("a", &[nan, 5.0, nan]), make("b", &[nan, 7.0])];
        let cohort = Cohort::new(schema(), sequences, "t").unwrap();
        let scaler = Scaler::fit(&cohort, ScalingMethod::Identity).unwrap();
        let extras = [Extra::HoursSinceObserved];
        let prepared = Prepared::new(&cohort, &scaler, &extras, &[0]).unwrap();
        assert_eq!(prepared.sequences[0].inputs, [0.0, 0.0, 5.0, 1.0, 5.0, 1.0]);
        assert_eq!(prepared.sequences[1].inputs, [0.0, 0.0, 7.0, 1.0]);
        assert_eq!(prepared.sequences[0].targets, [0.0, 5.0, 0.0]);
        assert!(Prepared::new(&cohort, &scaler, &[], &[1]).is_err());
        let other = Scaler { channels: vec![] };
        assert!(Prepared::new(&cohort, &other, &[], &[0]).is_err());
    }
}
