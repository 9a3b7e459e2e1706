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
    /// Mean and standard deviation, of the logarithms of channels that are never negative and
    /// whose logarithms are less skewed than their values: laboratory values, which reach far up.
    StandardLog,
    /// Centre 0 and spread 1: values stay as they are.
    Identity,
}

/// Centre and spread of one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelScale {
    /// Name of the channel.
    pub name: String,
    /// What is subtracted, in the channel's unit; of logarithms where there is `log`.
    pub centre: f64,
    /// What is divided by, in the channel's unit; 1 for a constant or unobserved channel.
    pub spread: f64,
    /// Where the logarithm is scaled, and not the value itself: how it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogScale>,
    /// Observed values that these were measured on.
    pub observed: u64,
}

impl ChannelScale {
    /// Whether the numbers of a file can be used.
    pub fn is_sound(&self) -> bool {
        self.centre.is_finite()
            && self.spread.is_finite()
            && self.spread > 0.0
            && self.log.is_none_or(LogScale::is_sound)
    }
}

/// `ln(max(x, least) + shift)`: a value below all of training is taken for the least of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogScale {
    /// The lowest value of training, not negative, in the channel's unit.
    pub least: f64,
    /// 0 where that is positive, else the median of the positive values.
    pub shift: f64,
}

impl LogScale {
    /// How the logarithm of these values is taken; none where it is not to be: a value is negative,
    /// all are equal, or logarithms are no less skewed.
    fn of(values: &[f64]) -> Option<Self> {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if !(0.0..f64::INFINITY).contains(&least) || !most.is_finite() || most <= least {
            return None;
        }
        let shift = if least > 0.0 {
            0.0
        } else {
            let mut positive: Vec<f64> = values.iter().copied().filter(|&x| x > 0.0).collect();
            positive.sort_unstable_by(f64::total_cmp);
            sequela_core::quantile(&positive, 0.5)?
        };
        let log = Self { least, shift };
        let logarithms: Vec<f64> = values.iter().map(|&x| log.apply(x)).collect();
        (skewness(&logarithms).abs() < skewness(values).abs()).then_some(log)
    }

    fn apply(self, value: f64) -> f64 {
        libm::log(libm::fmax(value, self.least) + self.shift)
    }

    fn is_sound(self) -> bool {
        let good = |number: f64| number.is_finite() && number >= 0.0;
        good(self.least) && good(self.shift) && self.least + self.shift > 0.0
    }
}

/// The third moment over the cube of the standard deviation.
fn skewness(values: &[f64]) -> f64 {
    let (mean, deviation) = moments(values.iter().copied());
    let cubes: f64 = values.iter().map(|x| libm::pow((x - mean) / deviation, 3.0)).sum();
    cubes / values.len() as f64
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
    /// [`ScalingMethod::Robust`], and a copy of them for [`ScalingMethod::StandardLog`].
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
                let log = match method {
                    ScalingMethod::StandardLog => LogScale::of(&values().collect::<Vec<f64>>()),
                    _ => None,
                };
                let (centre, spread) = match method {
                    ScalingMethod::StandardLog if log.is_some() => {
                        moments(values().map(|x| log.map_or(x, |log| log.apply(x))))
                    }
                    ScalingMethod::Standard | ScalingMethod::StandardLog => moments(values()),
                    ScalingMethod::Robust => quartiles(values().collect()),
                    ScalingMethod::Identity => (0.0, 1.0),
                };
                // Below the resolution of f32 around its centre a channel is constant.
                let constant = spread <= centre.abs() * f64::from(f32::EPSILON);
                let spread = if constant || !spread.is_finite() { 1.0 } else { spread };
                ChannelScale { name: channel.name.clone(), centre, spread, log, observed }
            })
            .collect();
        Ok(Self { channels })
    }

    /// The scaled form of a value of a channel; of a channel that is not there, the value.
    pub fn scale(&self, channel: usize, value: f32) -> f32 {
        let Some(scale) = self.channels.get(channel) else { return value };
        let value = f64::from(value);
        let value = scale.log.map_or(value, |log| log.apply(value));
        narrow((value - scale.centre) / scale.spread)
    }

    /// The value, in the channel's unit, of a scaled value.
    pub fn unscale(&self, channel: usize, scaled: f32) -> f32 {
        let Some(scale) = self.channels.get(channel) else { return scaled };
        let value = f64::from(scaled) * scale.spread + scale.centre;
        narrow(scale.log.map_or(value, |log| libm::exp(value) - log.shift))
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
    fn logarithms_of_what_reaches_far_up_and_values_of_the_rest() {
        // From NumPy: x = [0.5, 1, 2, 4, 40]; ln x has mean 1.01503..., deviation 1.50592...
        let rows =
            [0.5, 0.0, 36.5, 1.0, 1.0, 37.0, 2.0, 0.0, 36.9, 4.0, 3.0, 35.0, 40.0, 60.0, 36.8];
        let data = cohort(3, &[&rows]);
        let scaler = Scaler::fit(&data, ScalingMethod::StandardLog).unwrap();
        let [lactate, urine, temperature] = scaler.channels.as_slice() else { unreachable!() };
        assert_eq!(lactate.log, Some(LogScale { least: 0.5, shift: 0.0 }));
        assert!((lactate.centre - 1.015_034_8).abs() < 1e-6, "{lactate:?}");
        assert!((lactate.spread - 1.505_926_4).abs() < 1e-6, "{lactate:?}");
        // The median of 1, 3 and 60.
        assert_eq!(urine.log, Some(LogScale { least: 0.0, shift: 3.0 }));
        // Its tail is a low one.
        assert_eq!(temperature.log, None);
        let standard = Scaler::fit(&data, ScalingMethod::Standard).unwrap();
        assert_eq!(temperature, &standard.channels[2]);
        for (channel, value) in [(0, 7.0), (1, 0.0), (1, 12.0), (2, 36.0)] {
            let back = scaler.unscale(channel, scaler.scale(channel, value));
            assert!((back - value).abs() < 1e-4, "{back} {value}");
        }
        assert!(scaler.channels.iter().all(ChannelScale::is_sound));
        for bad in [(f64::NAN, 1.0), (0.0, 0.0), (-1.0, 2.0)] {
            let log = Some(LogScale { least: bad.0, shift: bad.1 });
            assert!(!ChannelScale { log, ..lactate.clone() }.is_sound(), "{bad:?}");
        }
        // Below all that was seen: no logarithm of nothing.
        assert_eq!(scaler.scale(0, -3.0), scaler.scale(0, 0.5));
        assert!(scaler.scale(1, -1.0).is_finite());
    }

    #[test]
    fn a_scaler_of_other_channels_leaves_values() {
        let scaler = Scaler { channels: vec![] };
        assert_eq!((scaler.scale(0, 5.0), scaler.unscale(3, 5.0)), (5.0, 5.0));
    }
}
