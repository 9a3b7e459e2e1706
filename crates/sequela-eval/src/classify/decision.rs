//! Whether acting on a model does more good than harm: decision curves.

use super::{check_weights, same_length, weight};
use crate::Error;
use crate::error::place;

/// What acting on a model is worth at one threshold, in cases found for each row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NetBenefit {
    /// The probability from which on one acts: whoever acts at 0.1 takes nine false alarms for one
    /// case found.
    pub threshold: f64,
    /// Acting on the model.
    pub model: f64,
    /// Acting on everybody; acting on nobody is worth 0.
    pub all: f64,
}

/// The net benefit at each threshold: `TP / N - FP / N x t / (1 - t)`.
///
/// # Errors
/// [`Error::Shape`] and [`Error::Value`] for lists of different lengths, a probability or a
/// threshold that is none (a threshold lies between 0 and 1, both excluded) or a bad weight;
/// [`Error::Nothing`] without weight.
///
/// **Source** Vickers and Elkin, Medical Decision Making 26 (2006) 565.
///
/// # Example
/// ```
/// use sequela_eval::classify::decision_curve;
/// let curve = decision_curve(&[0.1, 0.6, 0.7, 0.2], &[false, false, true, false], None, &[0.5])?;
/// assert_eq!((curve[0].model, curve[0].all), (0.25 - 0.25, 0.25 - 0.75));
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn decision_curve(
    probabilities: &[f64],
    labels: &[bool],
    weights: Option<&[f64]>,
    thresholds: &[f64],
) -> Result<Vec<NetBenefit>, Error> {
    same_length("the list of probabilities", probabilities.len(), labels.len())?;
    check_weights(weights, labels.len())?;
    super::probability::check_probabilities(probabilities, 1)?;
    let (mut cases, mut total) = (0.0, 0.0);
    for (at, &label) in labels.iter().enumerate() {
        let v = weight(weights, at);
        cases += if label { v } else { 0.0 };
        total += v;
    }
    if total <= 0.0 {
        return Err(Error::Nothing { location: place("decision curve") });
    }
    let at = |threshold: f64| {
        if !(threshold > 0.0 && threshold < 1.0) {
            let (what, fault) = ("the threshold", "not between 0 and 1");
            return Err(Error::Value { location: place("decision curve"), what, fault });
        }
        let harm = threshold / (1.0 - threshold);
        let (mut found, mut false_alarms) = (0.0, 0.0);
        for (at, (&p, &label)) in probabilities.iter().zip(labels).enumerate() {
            if p >= threshold {
                *(if label { &mut found } else { &mut false_alarms }) += weight(weights, at);
            }
        }
        let model = found / total - false_alarms / total * harm;
        let all = cases / total - (total - cases) / total * harm;
        Ok(NetBenefit { threshold, model, all })
    };
    thresholds.iter().map(|&threshold| at(threshold)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acting_on_all_at_the_prevalence_is_worth_nothing() {
        let (p, label) = ([0.3, 0.9, 0.2, 0.4], [false, true, false, false]);
        let curve = decision_curve(&p, &label, None, &[0.25, 0.01]).unwrap();
        assert!(curve[0].all.abs() < 1e-15 && curve[1].all > 0.24);
        assert!((curve[1].model - curve[1].all).abs() < 1e-15);
        for wrong in [0.0, 1.0, f64::NAN] {
            assert!(decision_curve(&p, &label, None, &[wrong]).is_err());
        }
        assert!(decision_curve(&[], &[], None, &[0.5]).is_err());
        assert!(decision_curve(&p, &label, Some(&[0.0; 4]), &[0.5]).is_err());
    }
}
