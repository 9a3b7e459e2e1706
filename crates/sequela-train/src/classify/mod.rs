//! `task = "classify"` and `task = "label"`: one class for each subject, told from its series, or one
//! for each step, told from it and those before.
//!
//! ```text
//! table of series + classes --labels--> cohort with a class for each subject
//!     --split within classes--> train | tune | test --encode, weigh--> SeriesFeed --> Fit
//!     --> probabilities --threshold from tune--> decisions --> ClassEvaluation beside baselines
//! ```
//!
//! Everything that differs between rows of a loss goes through one number, the weight of the row:
//! 0 where the class is not known, else the weight of its class. Several labels would be more columns
//! of the same two inputs, target and weight.
//!
//! **Steps** a class of each step has more rows of the same: what is judged is a row
//! ([`cases`]), be it a series or one of its steps, which sees nothing after it. Parts, draws of the
//! bootstrap and folds are of subjects either way. Whatever would look ahead is refused by the study.
//!
//! **Class weights and probabilities** a network that is trained with weights `w_k` learns
//! probabilities of a population in which class k is `w_k` times as frequent. They are divided by
//! `w_k` again (and made to add up to 1), so that a probability means what it says in the population
//! that was trained on.
//! **Source** Saerens, Latinne and Decaestecker, Neural Computation 14 (2002) 21; Elkan, IJCAI
//! 2001, theorem 2.

mod audit;
mod cases;
mod comparison;
mod dossier;
mod dossier_page;
mod evaluation;
mod feed;
mod finish;
mod folds;
mod groups;
mod held;
mod labels;
mod logistic;
mod numbers;
mod parts;
mod predict;
mod predictions;
mod prepare;
mod steps;
mod summary;
#[cfg(test)]
mod tests;
mod trees;
mod turns;

pub use comparison::Comparison;
pub use dossier::{ClassReport, report_classes};
pub use evaluation::{ClassEvaluation, Classifier};
pub use labels::read_labelled;
pub use logistic::LogisticRegression;
pub use numbers::{ClassMetric, Classes};
pub use predict::{Classified, ClassifiedRow, StepAt, classify};
pub use predictions::Predictions;
pub use trees::BoostedTrees;

pub(crate) use evaluation::judge;
pub use folds::{ChosenSettings, FoldEvaluation};
pub(crate) use folds::{Pool, PooledFolds, folder as fold_folder};
pub(crate) use labels::MOST_CLASSES;
pub(crate) use numbers::Sees;
pub(crate) use prepare::Classification;
