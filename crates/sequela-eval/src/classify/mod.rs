//! How good a classifier is: ranking, probabilities and decisions.
//!
//! - [`Ranking`]: AUROC and average precision (AUPRC), ties counted half;
//! - [`brier`], [`log_loss`], [`log_loss_classes`]: are the probabilities right?
//! - [`Confusion`]: accuracy, sensitivity, precision, F1 of decisions;
//! - [`calibration`], [`calibration_line`], [`expected_calibration_error`]: do risks come true?
//!   [`Recalibration`] makes them;
//! - [`decision_curve`]: is acting on them worth it? [`SepsisUtility`]: are hourly warnings?
//! - [`calibration_spread`], [`decision_curve_spread`]: the same curves with intervals by subject;
//! - [`subgroups`]: the same figures for parts of the people;
//! - [`ThresholdRule`]: from a probability to a decision, chosen on other subjects;
//! - [`score`], [`compare`], [`verdicts`]: all of these with intervals by subject, and paired
//!   differences.
//!
//! Every function takes optional row weights, which is also how intervals by subject are made:
//! [`Bootstrap::estimate`](crate::bootstrap::Bootstrap::estimate) hands over a weight for each
//! row. All agree with scikit-learn to 1e-12, ties and weights included.
//!
//! **Missing data** leave out rows whose label is not known; nothing here guesses.
//!
//! # Example
//! ```
//! use sequela_core::SubjectId;
//! use sequela_eval::bootstrap::Bootstrap;
//! use sequela_eval::classify::Ranking;
//! let subjects = ["a", "a", "b", "c", "d", "e"].map(SubjectId::new);
//! let ranking = Ranking::new(
//!     &[0.9, 0.8, 0.7, 0.4, 0.4, 0.1],
//!     &[true, true, false, true, false, false],
//! )?;
//! let auroc = Bootstrap::default()
//!     .estimate(&subjects, |weights| ranking.auroc(Some(weights)).ok())?;
//! assert!((auroc.value - 7.5 / 9.0).abs() < 1e-12);
//! # Ok::<(), sequela_eval::Error>(())
//! ```

mod calibration;
mod confusion;
mod decision;
mod drawn;
mod figure;
mod probability;
mod ranking;
mod recalibration;
mod score;
mod spread;
mod subgroups;
mod tables;
mod threshold;
mod truth;
mod utility;

pub use calibration::{
    CalibrationGroup, CalibrationLine, calibration, calibration_line, expected_calibration_error,
};
pub use confusion::Confusion;
pub use decision::{NetBenefit, decision_curve};
pub use figure::Figure;
pub use probability::{brier, brier_classes, log_loss, log_loss_classes};
pub use ranking::{Ranking, RocPoint};
pub use recalibration::{Recalibration, RecalibrationRule};
pub use score::{ClassDifference, ClassScore, Verdict, compare, is_stratified, score, verdicts};
pub use spread::{calibration_spread, decision_curve_spread};
pub use subgroups::{Least, Subgroup, subgroup_table, subgroups};
pub use tables::{difference_table, score_table};
pub use threshold::ThresholdRule;
pub use truth::{Answers, StepTruth, Truth};
pub use utility::SepsisUtility;

use crate::Error;
use crate::error::{place, row};

/// Refuses an input of another length than the labels.
fn same_length(what: &'static str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Shape { location: place("classification"), what, found, expected })
}

/// Refuses weights that are negative or not finite, or too few of them.
fn check_weights(weights: Option<&[f64]>, rows: usize) -> Result<(), Error> {
    let Some(weights) = weights else { return Ok(()) };
    same_length("the list of weights", weights.len(), rows)?;
    match weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        Some(at) => Err(Error::Value {
            location: row(at),
            what: "the weight",
            fault: "negative or not finite",
        }),
        None => Ok(()),
    }
}

/// The weight of a row: 1 without weights.
fn weight(weights: Option<&[f64]>, row: usize) -> f64 {
    weights.map_or(1.0, |weights| weights[row])
}
