//! Proper scores of probabilities.

use super::{check_weights, same_length, weight};
use crate::Error;
use crate::error::{place, row};

/// The Brier score: the weighted mean of (probability - outcome) squared; 0 is perfect.
///
/// # Errors
/// [`Error::Value`] for a probability outside 0..=1 or a bad weight, [`Error::Shape`] for lists
/// of different lengths, [`Error::Nothing`] without weight.
///
/// **Source** Brier, Monthly Weather Review 78 (1950) 1.
///
/// # Example
/// ```
/// use sequela_eval::classify::brier;
/// assert!((brier(&[0.8, 0.3], &[true, false], None)? - 0.065).abs() < 1e-15);
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn brier(
    probabilities: &[f64],
    labels: &[bool],
    weights: Option<&[f64]>,
) -> Result<f64, Error> {
    binary(probabilities, labels, weights, |probability, label| {
        let error = probability - f64::from(u8::from(label));
        error * error
    })
}

/// The log loss (binary cross-entropy, in nats), probabilities held within 2^-52 of 0 and 1 so
/// that a wrong certainty is dear but finite (36.04).
///
/// # Errors
/// As for [`brier`].
///
/// # Example
/// ```
/// use sequela_eval::classify::log_loss;
/// assert!((log_loss(&[0.5], &[true], None)? - std::f64::consts::LN_2).abs() < 1e-15);
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn log_loss(
    probabilities: &[f64],
    labels: &[bool],
    weights: Option<&[f64]>,
) -> Result<f64, Error> {
    binary(probabilities, labels, weights, |probability, label| {
        surprise(if label { probability } else { 1.0 - probability })
    })
}

/// The multi-class log loss in nats, held as in [`log_loss`].
///
/// **Shapes** `probabilities: (N, K)` row by row, `truth: (N)` with classes in `0..K`.
///
/// # Errors
/// As for [`brier`]; [`Error::Value`] also for a class outside `0..K` and for a row that does
/// not add up to 1 within 1e-4.
///
/// # Example
/// ```
/// use sequela_eval::classify::log_loss_classes;
/// let loss = log_loss_classes(&[0.5, 0.25, 0.25], 3, &[0], None)?;
/// assert!((loss - std::f64::consts::LN_2).abs() < 1e-15);
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn log_loss_classes(
    probabilities: &[f64],
    classes: usize,
    truth: &[u32],
    weights: Option<&[f64]>,
) -> Result<f64, Error> {
    several((probabilities, classes), truth, weights, |row, class| surprise(row[class]))
}

/// The multi-class Brier score: the weighted mean of the squared distance between the
/// probabilities and the class that came true; from 0 to 2, and for two classes twice
/// [`brier`].
///
/// **Shapes** as for [`log_loss_classes`].
///
/// # Errors
/// As for [`log_loss_classes`].
///
/// # Example
/// ```
/// use sequela_eval::classify::brier_classes;
/// let score = brier_classes(&[0.5, 0.25, 0.25], 3, &[0], None)?;
/// assert_eq!(score, 0.25 + 0.0625 + 0.0625);
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn brier_classes(
    probabilities: &[f64],
    classes: usize,
    truth: &[u32],
    weights: Option<&[f64]>,
) -> Result<f64, Error> {
    several((probabilities, classes), truth, weights, |row, class| {
        let error = |k: usize| row[k] - f64::from(u8::from(k == class));
        (0..row.len()).map(|k| error(k) * error(k)).sum()
    })
}

fn several(
    (probabilities, classes): (&[f64], usize),
    truth: &[u32],
    weights: Option<&[f64]>,
    score: impl Fn(&[f64], usize) -> f64,
) -> Result<f64, Error> {
    same_length("the table of probabilities", probabilities.len(), classes * truth.len())?;
    check_weights(weights, truth.len())?;
    check_probabilities(probabilities, classes.max(1))?;
    let (mut sum, mut total) = (0.0, 0.0);
    for (at, (&class, row_of)) in truth.iter().zip(probabilities.chunks(classes.max(1))).enumerate()
    {
        let fault = |what, fault| Err(Error::Value { location: row(at), what, fault });
        if (row_of.iter().sum::<f64>() - 1.0).abs() > 1e-4 {
            return fault("the row of probabilities", "not a whole: it does not add up to 1");
        }
        if class as usize >= row_of.len() {
            return fault("the class", "not among the classes of the table");
        }
        sum += weight(weights, at) * score(row_of, class as usize);
        total += weight(weights, at);
    }
    mean(sum, total)
}

fn binary(
    probabilities: &[f64],
    labels: &[bool],
    weights: Option<&[f64]>,
    score: impl Fn(f64, bool) -> f64,
) -> Result<f64, Error> {
    same_length("the list of probabilities", probabilities.len(), labels.len())?;
    check_weights(weights, labels.len())?;
    check_probabilities(probabilities, 1)?;
    let (mut sum, mut total) = (0.0, 0.0);
    for (at, (&probability, &label)) in probabilities.iter().zip(labels).enumerate() {
        sum += weight(weights, at) * score(probability, label);
        total += weight(weights, at);
    }
    mean(sum, total)
}

pub(super) fn check_probabilities(probabilities: &[f64], width: usize) -> Result<(), Error> {
    match probabilities.iter().position(|p| !(0.0..=1.0).contains(p)) {
        Some(at) => Err(Error::Value {
            location: row(at / width),
            what: "the probability",
            fault: "not between 0 and 1",
        }),
        None => Ok(()),
    }
}

pub(super) fn surprise(probability: f64) -> f64 {
    -libm::log(probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON))
}

fn mean(sum: f64, total: f64) -> Result<f64, Error> {
    if total > 0.0 {
        return Ok(sum / total);
    }
    Err(Error::Nothing { location: place("classification") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_probability_is_refused_with_its_row() {
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let error = brier(&[0.5, bad], &[true, true], None).unwrap_err();
            assert!(error.to_string().contains("row 1"), "{error}");
        }
        assert!(matches!(log_loss(&[], &[], None), Err(Error::Nothing { .. })));
        assert!(matches!(brier(&[0.5], &[true], Some(&[0.0])), Err(Error::Nothing { .. })));
        assert!(matches!(brier(&[0.5], &[], None), Err(Error::Shape { .. })));
    }

    #[test]
    fn certainty_that_is_wrong_is_finite() {
        let loss = log_loss(&[0.0], &[true], None).unwrap();
        assert!((loss - 36.043_653_389_117_15).abs() < 1e-10, "{loss}");
    }

    #[test]
    fn a_table_of_classes_is_checked() {
        assert!(log_loss_classes(&[0.5, 0.4], 2, &[0], None).is_err());
        assert!(log_loss_classes(&[0.5, 0.5], 2, &[2], None).is_err());
        assert!(matches!(log_loss_classes(&[], 0, &[], None), Err(Error::Nothing { .. })));
    }
}
