//! From a probability to a decision between two classes.

use serde::{Deserialize, Serialize};

use super::Ranking;
use crate::Error;
use crate::error::place;

/// How the threshold of a two-class decision is chosen.
///
/// Choose it on subjects that the figures are not taken from: a threshold that fits its own test
/// set makes sensitivity and specificity too good.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ThresholdRule {
    /// The highest sensitivity + specificity - 1 (Youden 1950).
    #[default]
    Youden,
    /// The highest F1: the harmonic mean of sensitivity and precision.
    F1,
    /// The highest of the lower of sensitivity and precision: the score of event 1 of the
    /// PhysioNet/CinC Challenge 2012 (Silva, Moody, Scott, Celi and Mark 2012).
    Event1,
    /// The highest normalised utility of hourly warnings of sepsis
    /// ([`SepsisUtility`](super::SepsisUtility)); for the steps of series only.
    SepsisUtility,
    /// This probability.
    Fixed(f64),
}

impl ThresholdRule {
    /// The probability from which on a row is decided to be a case; `None` where cases or controls
    /// are missing and nothing can be chosen.
    ///
    /// It lies in the middle between two neighbouring probabilities, so that a rounding does not
    /// turn a decision; of several that are equally good it is the highest.
    ///
    /// # Errors
    /// As [`Ranking::new`].
    ///
    /// # Example
    /// ```
    /// use sequela_eval::classify::ThresholdRule;
    /// let (probability, ill) = ([0.1, 0.2, 0.6, 0.7], [false, false, true, true]);
    /// assert_eq!(ThresholdRule::Youden.choose(&probability, &ill)?, Some(0.4));
    /// assert_eq!(ThresholdRule::Youden.choose(&probability, &[true; 4])?, None);
    /// # Ok::<(), sequela_eval::Error>(())
    /// ```
    pub fn choose(self, probabilities: &[f64], labels: &[bool]) -> Result<Option<f64>, Error> {
        match self {
            Self::Fixed(threshold) => return Ok(Some(threshold)),
            Self::SepsisUtility => {
                let (what, fault) =
                    ("the rule", "of the hours of series, which are not known here");
                return Err(Error::Value { location: place("threshold"), what, fault });
            }
            _ => {}
        }
        let cases = labels.iter().filter(|label| **label).count() as f64;
        let controls = labels.len() as f64 - cases;
        if cases < 1.0 || controls < 1.0 {
            return Ok(None);
        }
        let mut best: Option<(f64, f64)> = None;
        let curve = Ranking::new(probabilities, labels)?.curve();
        for (at, point) in curve.iter().enumerate() {
            let (found, false_alarms) = (point.sensitivity * cases, point.false_alarms * controls);
            let merit = match self {
                Self::F1 => 2.0 * found / (cases + found + false_alarms),
                Self::Event1 if found + false_alarms > 0.0 => {
                    point.sensitivity.min(found / (found + false_alarms))
                }
                Self::Event1 => 0.0,
                Self::Youden | Self::SepsisUtility | Self::Fixed(_) => {
                    point.sensitivity - point.false_alarms
                }
            };
            if best.is_none_or(|(highest, _)| merit > highest) {
                let below = curve.get(at + 1).map_or(0.0, |next| next.score);
                let score = point.score.min(1.0);
                best = Some((merit, f64::midpoint(score, below)));
            }
        }
        Ok(best.map(|(_, threshold)| threshold))
    }

    /// As [`ThresholdRule::choose`] for the steps of series, of which the gain of an alarm is known
    /// ([`SepsisUtility::gains`](super::SepsisUtility::gains)).
    ///
    /// # Errors
    /// As [`ThresholdRule::choose`]; [`Error::Shape`] for another number of gains.
    pub fn choose_of_steps(
        self,
        probabilities: &[f64],
        labels: &[bool],
        gains: &[[f64; 2]],
    ) -> Result<Option<f64>, Error> {
        if self != Self::SepsisUtility {
            return self.choose(probabilities, labels);
        }
        super::same_length("the list of gains", gains.len(), probabilities.len())?;
        if !labels.contains(&true) {
            return Ok(None);
        }
        let gains = probabilities.iter().zip(gains).map(|(&p, gain)| (p, gain[0])).collect();
        super::SepsisUtility::choose_by_gains(gains)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the thresholds are exact")]
mod tests {
    use super::*;

    #[test]
    fn rules_differ_where_cases_are_few() {
        let probability = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05];
        let label = [true, false, false, true, false, false, false, false, false, false];
        let choose = |rule: ThresholdRule| rule.choose(&probability, &label).unwrap().unwrap();
        assert_eq!(choose(ThresholdRule::Youden), 0.55);
        assert_eq!(choose(ThresholdRule::F1), f64::midpoint(0.9, 0.8));
        assert_eq!(choose(ThresholdRule::Fixed(0.25)), 0.25);
        // Both found with two false alarms: the lower of 1 and 1/2; one found alone: of 1/2 and 1.
        assert_eq!(choose(ThresholdRule::Event1), f64::midpoint(0.9, 0.8));
    }

    #[test]
    fn where_nothing_is_told_apart_nobody_is_a_case() {
        let threshold = ThresholdRule::Youden.choose(&[0.3; 4], &[true, false, false, false]);
        assert!(threshold.unwrap().unwrap() > 0.3);
        let all = ThresholdRule::Youden.choose(&[0.0, 0.0, 1.0], &[true, false, true]);
        assert!((0.0..=1.0).contains(&all.unwrap().unwrap()));
        assert!(ThresholdRule::Youden.choose(&[f64::NAN, 0.1], &[true, false]).is_err());
    }
}
