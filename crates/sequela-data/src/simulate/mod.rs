//! Data made by programs, for demonstrations and tests: never mistake them for a patient's.

pub mod article;
mod heart_rate;
mod logarithm;

pub use heart_rate::{HeartRateSimulation, SimulatedSteps};
