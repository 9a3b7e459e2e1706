//! The same mathematics as the kernels, naive and in f64: the oracle of this crate and of the
//! reference interpreter of programs.
//!
//! Nothing here is fast, and nothing here was derived by hand: cells are written as in their
//! papers on [`tape::Var`], and the tape differentiates them.

pub mod cells;
pub mod tape;

pub use cells::{CellWeights, Trace, run};
