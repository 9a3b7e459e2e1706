//! Errors of forecasts, horizon by horizon, with intervals by subject and beside a baseline.
//!
//! The truth is collected once ([`Truth`]); each forecaster is then a flat slice of predictions
//! over the same rows, so that two of them are compared on the same targets and the same draws.
//!
//! **Missing data** a target that was not observed is left out for every forecaster alike; a
//! prediction that is not finite where the target is known is an error, never a hole.
//!
//! **Source** Hyndman and Koehler, "Another look at measures of forecast accuracy", 2006.

mod score;
mod tables;
mod truth;

pub use score::{HorizonComparison, HorizonScore, compare, mase, naive_scale, score};
pub use tables::{difference_table, score_table};
pub use truth::Truth;
