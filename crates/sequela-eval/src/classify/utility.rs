//! The score of the PhysioNet/CinC Challenge 2019: what hourly warnings of sepsis are worth.
//!
//! A warning in an hour of somebody who becomes septic earns up to 1, most six hours before the
//! clinical onset, from twelve hours before to three hours after; silence from six hours before to
//! three after costs up to 2; a warning to somebody who never does costs 0.05. Hours later than
//! three after the onset count nothing. In the labels 1 begins six hours before the onset. The sum
//! over all hours and patients is brought to 1 for the best possible warnings and to 0 for none.
//!
//! **Source** Reyna, Josef, Jeter, Shashikumar, Westover, Nemati, Clifford and Sharma, Critical
//! Care Medicine 48 (2020) 210; the published scorer, `evaluate_sepsis_score.py` of
//! physionetchallenges/evaluation-2019, is the oracle of the test.

use sequela_core::SubjectId;

use crate::Error;
use crate::bootstrap::{Bootstrap, Estimate};
use crate::error::{place, row};

/// Utilities of patients: of the warnings given, of the best ones, and of none.
///
/// # Example
/// ```
/// use sequela_core::SubjectId;
/// use sequela_eval::classify::SepsisUtility;
/// let mut utility = SepsisUtility::default();
/// utility.push(&SubjectId::new("a"), &[false, false, true, true], &[true, true, true, true])?;
/// assert_eq!(utility.normalised(None), Some(1.0));
/// utility.push(&SubjectId::new("b"), &[false; 10], &[true; 10])?;
/// assert!(utility.normalised(None) < Some(1.0));
/// # Ok::<(), sequela_eval::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct SepsisUtility {
    subjects: Vec<SubjectId>,
    given: Vec<f64>,
    best: Vec<f64>,
    none: Vec<f64>,
}

impl SepsisUtility {
    /// Appends a patient: for each hour whether it is labelled septic and whether it was warned.
    ///
    /// # Errors
    /// [`Error::Shape`] for lists of different lengths.
    pub fn push(
        &mut self,
        subject: &SubjectId,
        labels: &[bool],
        warnings: &[bool],
    ) -> Result<(), Error> {
        if labels.len() != warnings.len() {
            return Err(Error::Shape {
                location: row(self.subjects.len()),
                what: "the list of warnings",
                found: warnings.len(),
                expected: labels.len(),
            });
        }
        let onset = onset(labels);
        let sum = |warned: &dyn Fn(usize) -> bool| -> f64 {
            (0..labels.len()).map(|hour| worth(hour, onset, warned(hour))).sum()
        };
        self.subjects.push(subject.clone());
        self.given.push(sum(&|hour| warnings[hour]));
        self.best.push(sum(&|hour| is_best(hour, onset)));
        self.none.push(sum(&|_| false));
        Ok(())
    }

    /// The normalised utility; `weights` says how often each patient counts. None where nobody
    /// becomes septic early enough to be warned.
    pub fn normalised(&self, weights: Option<&[f64]>) -> Option<f64> {
        let (mut given, mut best) = (0.0, 0.0);
        for (at, none) in self.none.iter().enumerate() {
            let weight = weights.map_or(1.0, |weights| weights.get(at).copied().unwrap_or(0.0));
            given += weight * (self.given[at] - none);
            best += weight * (self.best[at] - none);
        }
        (best > 0.0).then(|| given / best)
    }

    /// The normalised utility with its interval by patient.
    ///
    /// # Errors
    /// As [`Bootstrap::estimate`].
    pub fn estimate(&self, bootstrap: &Bootstrap) -> Result<Estimate, Error> {
        bootstrap.estimate(&self.subjects, |weights| self.normalised(Some(weights)))
    }

    /// For each hour of a patient what a warning is worth more than silence, and what of that the
    /// best possible warnings earn: the normalised utility of any warnings is the sum of the first
    /// over the hours that are warned, by the sum of the second over all.
    ///
    /// # Example
    /// ```
    /// use sequela_eval::classify::SepsisUtility;
    /// assert_eq!(SepsisUtility::gains(&[false; 2]), [[-0.05, 0.0]; 2]);
    /// // Six hours before the onset, the best of times.
    /// assert_eq!(SepsisUtility::gains(&[true; 2])[0], [1.0, 1.0]);
    /// ```
    pub fn gains(labels: &[bool]) -> Vec<[f64; 2]> {
        let onset = onset(labels);
        let gain = |hour| {
            let gain = worth(hour, onset, true) - worth(hour, onset, false);
            [gain, if is_best(hour, onset) { gain } else { 0.0 }]
        };
        (0..labels.len()).map(gain).collect()
    }

    /// The probability from which on hours are to be warned so that the utility of these patients
    /// is highest; choose it on patients that are not judged. None where nothing can be chosen.
    ///
    /// # Errors
    /// [`Error::Shape`] for lists of different lengths; [`Error::Value`] for a probability that is
    /// not a number.
    pub fn choose_threshold(patients: &[(&[bool], &[f64])]) -> Result<Option<f64>, Error> {
        let mut gains: Vec<(f64, f64)> = Vec::new();
        for (at, (labels, probabilities)) in patients.iter().enumerate() {
            if labels.len() != probabilities.len() {
                let (found, expected) = (probabilities.len(), labels.len());
                let what = "the list of probabilities";
                return Err(Error::Shape { location: row(at), what, found, expected });
            }
            let each = probabilities.iter().zip(Self::gains(labels));
            gains.extend(each.map(|(&p, [gain, _])| (p, gain)));
        }
        Self::choose_by_gains(gains)
    }

    /// The threshold of highest utility, of probabilities and what a warning gains with each.
    pub(super) fn choose_by_gains(mut gains: Vec<(f64, f64)>) -> Result<Option<f64>, Error> {
        if gains.iter().any(|(p, _)| p.is_nan()) {
            let (what, fault) = ("the probability", "not a number");
            return Err(Error::Value { location: place("utility"), what, fault });
        }
        gains.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut sum, mut best) = (0.0, None);
        for (at, &(p, gain)) in gains.iter().enumerate() {
            sum += gain;
            let next = gains.get(at + 1).map_or(0.0, |next| next.0);
            if next < p && best.is_none_or(|(highest, _)| sum > highest) {
                best = Some((sum, f64::midpoint(p, next)));
            }
        }
        Ok(best.map(|(_, threshold)| threshold))
    }
}

/// The hour of the clinical onset: six after the first hour labelled septic.
fn onset(labels: &[bool]) -> Option<f64> {
    labels.iter().position(|label| *label).map(|first| first as f64 - OPTIMAL)
}

/// What a warning, or silence, is worth in an hour.
fn worth(hour: usize, onset: Option<f64>, warned: bool) -> f64 {
    let Some(onset) = onset else { return if warned { FALSE_ALARM } else { 0.0 } };
    let since = hour as f64 - onset;
    if since > LATE {
        return 0.0;
    }
    match (warned, since <= OPTIMAL) {
        (true, true) => ((since - EARLY) / (OPTIMAL - EARLY)).max(FALSE_ALARM),
        (true, false) => (LATE - since) / (LATE - OPTIMAL),
        (false, true) => 0.0,
        (false, false) => MISSED * (since - OPTIMAL) / (LATE - OPTIMAL),
    }
}

/// Whether the best possible warnings warn in an hour.
fn is_best(hour: usize, onset: Option<f64>) -> bool {
    onset.is_some_and(|onset| (EARLY..=LATE).contains(&(hour as f64 - onset)))
}

/// Hours from the onset: where a warning begins to earn, earns most, and earns nothing any more.
const EARLY: f64 = -12.0;
const OPTIMAL: f64 = -6.0;
const LATE: f64 = 3.0;
const FALSE_ALARM: f64 = -0.05;
const MISSED: f64 = -2.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_the_best_of_all() {
        let septic: Vec<bool> = (0..30).map(|hour| hour >= 20).collect();
        let rising: Vec<f64> = (0..30).map(|hour| f64::from(hour) / 40.0).collect();
        let (well, flat) = ([false; 12], [0.3; 12]);
        let patients = [(septic.as_slice(), rising.as_slice()), (well.as_slice(), flat.as_slice())];
        let chosen = SepsisUtility::choose_threshold(&patients).unwrap().unwrap();
        let at = |threshold: f64| {
            let mut utility = SepsisUtility::default();
            for (labels, probabilities) in &patients {
                let warnings: Vec<bool> = probabilities.iter().map(|&p| p >= threshold).collect();
                utility.push(&SubjectId::new("x"), labels, &warnings).unwrap();
            }
            utility.normalised(None).unwrap()
        };
        let best = (0..200).map(|k| at(f64::from(k) / 200.0)).fold(f64::MIN, f64::max);
        assert!((at(chosen) - best).abs() < 1e-12, "{chosen}");
        assert_eq!(SepsisUtility::choose_threshold(&[]).unwrap(), None);
        assert!(SepsisUtility::choose_threshold(&[(&[true], &[f64::NAN])]).is_err());
    }

    #[test]
    fn nobody_septic_has_no_utility() {
        let mut utility = SepsisUtility::default();
        utility.push(&SubjectId::new("a"), &[false; 3], &[false; 3]).unwrap();
        assert_eq!(utility.normalised(None), None);
        assert!(utility.push(&SubjectId::new("a"), &[false; 3], &[]).is_err());
    }
}
