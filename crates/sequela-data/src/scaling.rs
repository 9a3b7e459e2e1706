//! Bringing each channel to about zero mean and unit spread.
//!
//! Fitted on training sequences only and kept in the model file, so that training and prediction
//! scale alike.

use sequela_core::{Sequence, Steps};
use serde::{Deserialize, Serialize};

use crate::{Cohort, Error};

/// How centre and spread are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScalingMethod {
    /// Mean and standard deviation.
    #[default]
    Standard,
    /// Median and interquartile range / 1.349 (which is the standard deviation of a normal
    /// distribution): far values hardly matter.
    Robust,
    /// Centre 0 and spread 1: values stay as they are.
    Identity,
}

/// Centre and spread of one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelScale {
    /// Name of the channel.
    pub name: String,
    /// What is subtracted, in the channel's unit.
    pub centre: f64,
    /// What is divided by, in the channel's unit; 1 for a constant or unobserved channel.
    pub spread: f64,
    /// Observed values that these were measured on.
    pub observed: u64,
}

/// The scale of every channel of a schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaler {
    /// One for each channel, in the order of the schema.
    pub channels: Vec<ChannelScale>,
}

impl Scaler {
    /// The scale of the observed values of a cohort; give it the training part only.
    ///
    /// **Missing data** masked values are not looked at. **Determinism** sums in f64 in the order
    /// of the cohort. **Cost** linear for [`ScalingMethod::Standard`]; a sort of all values for
    /// [`ScalingMethod::Robust`].
    ///
    /// # Errors
    /// [`Error::Unfit`] where a sequence is not numeric.
    ///
    /// # Example
    /// ```
    /// use sequela_core::{Sequence, SubjectId};
    /// use sequela_data::{Cohort, heart_rate, scaling::{Scaler, ScalingMethod}};
    /// let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &[60.0, 80.0, f32::NAN])?;
    /// let cohort = Cohort::new(heart_rate::schema(), vec![sequence], "by hand")?;
    /// let scaler = Scaler::fit(&cohort, ScalingMethod::Standard)?;
    /// assert_eq!((scaler.channels[0].centre, scaler.channels[0].spread), (70.0, 10.0));
    /// assert_eq!(scaler.unscale(0, scaler.scale(0, 85.0)), 85.0);
    /// # Ok::<(), sequela_data::Error>(())
    /// ```
    pub fn fit(cohort: &Cohort, method: ScalingMethod) -> Result<Self, Error> {
        if let Some(sequence) = cohort.sequences().iter().find(|s| numeric(s).is_none()) {
            return Err(Error::unfit(
                cohort.place(sequence),
                "the sequence holds symbols, not numbers",
                "scale numeric sequences only",
            ));
        }
        let channels = cohort
            .schema()
            .channels()
            .iter()
            .enumerate()
            .map(|(index, channel)| {
                let values = || observed_values(cohort, index);
                let observed = values().count() as u64;
                let (centre, spread) = match method {
                    ScalingMethod::Standard => moments(values()),
                    ScalingMethod::Robust => quartiles(values().collect()),
                    ScalingMethod::Identity => (0.0, 1.0),
                };
                // Below the resolution of f32 around its centre a channel is constant.
                let constant = spread <= centre.abs() * f64::from(f32::EPSILON);
                let spread = if constant || !spread.is_finite() { 1.0 } else { spread };
                ChannelScale { name: channel.name.clone(), centre, spread, observed }
            })
            .collect();
        Ok(Self { channels })
    }

    /// The scaled form of a value of a channel; of a channel that is not there, the value.
    pub fn scale(&self, channel: usize, value: f32) -> f32 {
        let Some(scale) = self.channels.get(channel) else { return value };
        narrow((f64::from(value) - scale.centre) / scale.spread)
    }

    /// The value, in the channel's unit, of a scaled value.
    pub fn unscale(&self, channel: usize, scaled: f32) -> f32 {
        let Some(scale) = self.channels.get(channel) else { return scaled };
        narrow(f64::from(scaled) * scale.spread + scale.centre)
    }
}

/// Values, mask and number of channels of a numeric sequence.
pub(crate) fn numeric(sequence: &Sequence) -> Option<(&[f32], &[bool], usize)> {
    match &sequence.steps {
        Steps::Numeric { values, observed, features } => Some((values, observed, *features)),
        _ => None,
    }
}

fn observed_values(cohort: &Cohort, channel: usize) -> impl Iterator<Item = f64> {
    cohort.sequences().iter().filter_map(numeric).flat_map(move |(values, observed, features)| {
        values
            .iter()
            .zip(observed)
            .skip(channel)
            .step_by(features.max(1))
            .filter(|(_, seen)| **seen)
            .map(|(value, _)| f64::from(*value))
    })
}

/// Mean and standard deviation (of the values themselves, not estimated from a sample), by
/// Welford's updates, which lose no digits where the mean is large.
fn moments(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let before = value - mean;
        mean += before / count;
        squares += before * (value - mean);
    }
    if count > 0.0 { (mean, (squares / count).sqrt()) } else { (0.0, 1.0) }
}

/// Median and interquartile range / 1.349, quantiles interpolated linearly as in `NumPy`.
fn quartiles(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| sequela_core::quantile(&values, share);
    match (at(0.25), at(0.5), at(0.75)) {
        (Some(low), Some(median), Some(high)) => (median, (high - low) / 1.349),
        _ => (0.0, 1.0),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "values are kept in f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "constants and defaults are exact")]
mod tests {
    use super::*;
    use sequela_core::{Channel, Schema, SubjectId};

    fn cohort(features: usize, rows: &[&[f32]]) -> Cohort {
        let names = (0..features).map(|i| Channel { name: format!("c{i}"), unit: String::new() });
        let sequences = rows
            .iter()
            .enumerate()
            .map(|(i, row)| {
                Sequence::numeric(i.to_string(), SubjectId::new("p"), features, row).unwrap()
            })
            .collect();
        Cohort::new(Schema::new(names.collect()), sequences, "test").unwrap()
    }

    #[test]
    fn channels_are_measured_apart_over_all_sequences() {
        let nan = f32::NAN;
        let data = cohort(3, &[&[1.0, 7.0, nan, 2.0, 7.0, nan], &[3.0, 7.0, nan, nan, 7.0, nan]]);
        let scaler = Scaler::fit(&data, ScalingMethod::Standard).unwrap();
        let [first, constant, never] = scaler.channels.as_slice() else { unreachable!() };
        assert_eq!((first.centre, first.observed), (2.0, 3));
        assert!((first.spread - (2.0_f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!((constant.centre, constant.spread), (7.0, 1.0));
        assert_eq!((never.centre, never.spread, never.observed), (0.0, 1.0, 0));
    }

    #[test]
    fn a_constant_channel_of_inexact_values_is_constant() {
        let data = cohort(1, &[&[0.1; 1000]]);
        let scaler = Scaler::fit(&data, ScalingMethod::Standard).unwrap();
        assert_eq!(scaler.channels[0].spread, 1.0);
    }

    #[test]
    fn quartiles_as_numpy_has_them() {
        // numpy.percentile([1, 2, 4, 8, 16, 32], [25, 50, 75]) = [2.5, 6, 14]
        let (median, spread) = quartiles(vec![32.0, 1.0, 16.0, 2.0, 8.0, 4.0]);
        assert_eq!((median, spread), (6.0, 11.5 / 1.349));
        assert_eq!(quartiles(vec![]), (0.0, 1.0));
    }

    #[test]
    fn a_scaler_of_other_channels_leaves_values() {
        let scaler = Scaler { channels: vec![] };
        assert_eq!((scaler.scale(0, 5.0), scaler.unscale(3, 5.0)), (5.0, 5.0));
    }
}
