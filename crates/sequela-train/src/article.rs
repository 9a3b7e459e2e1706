//! The article's program, exactly: two LSTM layers of 50 on a series of noise with one step.
//!
//! `x = series[:-1]`, `y = series[1:]`, `LSTM(50, return_sequences) -> LSTM(50) -> Dense(1)`,
//! Keras's initialisation, Adam with its defaults, mean squared error, 100 epochs, batches of 32,
//! shuffled, raw values. [`Study::builtin`] `("article")` is the same as a study; this module runs
//! it without a folder.

use sequela_core::Limits;

use crate::fit::{EpochMetrics, Fit, Sink};
use crate::prepare::Prepared;
use crate::study::{Override, Study};
use crate::{Error, checkpoint};

/// The loss of each epoch: mean over its windows, each before its batch's update, as Keras
/// reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// One for each epoch.
    pub losses: Vec<f64>,
}

/// The series, number for number that of `NumPy`.
pub fn series() -> Vec<f64> {
    sequela_data::simulate::article::series()
}

/// Trains the program from the first weights of a seed.
///
/// # Errors
/// Those of training; none is expected.
///
/// # Example
/// ```
/// let curve = sequela_train::article::run(0, 2, 1)?;
/// assert!(curve.losses[1] < curve.losses[0]);
/// # Ok::<(), sequela_train::Error>(())
/// ```
pub fn run(seed: u64, epochs: u64, threads: usize) -> Result<Curve, Error> {
    let study = study(seed, epochs)?;
    let prepared = Prepared::new(&study, &Limits::default())?;
    let mut feed = prepared.feed(&study)?;
    let threads = prepared.threads(&study, threads);
    let mut fit = Fit::new(&prepared.program, &study.train, seed, feed.as_ref(), threads)?;
    let mut curve = Curve { losses: Vec::new() };
    fit.run(feed.as_mut(), &mut None, &mut curve, None, &mut |_| {})?;
    Ok(curve)
}

fn study(seed: u64, epochs: u64) -> Result<Study, Error> {
    let seed = Override::parse(&format!("study.seed={seed}"))?;
    let epochs = Override::parse(&format!("train.epochs={epochs}"))?;
    Study::builtin("article", &[seed, epochs])
}

impl Sink for Curve {
    fn epoch(&mut self, metrics: &EpochMetrics, _seconds: f64) -> Result<(), Error> {
        self.losses.push(metrics.train_loss);
        Ok(())
    }

    fn checkpoint(&mut self, _snapshot: &checkpoint::Snapshot) -> Result<&std::path::Path, Error> {
        Ok(std::path::Path::new(""))
    }

    fn length(&self) -> u64 {
        0
    }

    fn last(&self) -> Option<&std::path::Path> {
        None
    }
}
