//! What each task brings to a run: its data, its batches, and how it ends.

mod forecast;

use std::path::{Path, PathBuf};

use sequela_core::Limits;
use sequela_nn::{Program, Tensor};

use crate::classify::Classification;
use crate::event::Part;
use crate::feed::Feed;
use crate::fit::{EpochMetrics, Fit};
use crate::judge::Judge;
use crate::judged::Judged;
use crate::predict::Options;
use crate::prepare::Prepared;
use crate::study::{Study, Task};
use crate::{Error, Observer};

pub(crate) use forecast::finish as finish_forecast;

/// What a network is trained on, and what measures its tuning loss where something does.
pub(crate) type Fed<'a> = (Box<dyn Feed + 'a>, Option<Judge<'a>>);

/// A study with its data, ready to be trained.
pub(crate) trait Trainable {
    /// The network.
    fn program(&self) -> &Program;
    /// Sizes of training, tuning and test part.
    fn sizes(&self) -> [Part; 3];
    /// SHA-256 of all data.
    fn fingerprint(&self) -> String;
    /// The batches that the model is trained on.
    fn feed(&self, study: &Study) -> Result<Box<dyn Feed + '_>, Error>;
    /// What measures the tuning loss, where there is a tuning part.
    fn judge(&self, study: &Study) -> Result<Option<Judge<'_>>, Error>;
    /// Batches and tuning loss of a member of an ensemble, from 1.
    fn member(&self, study: &Study, _member: usize) -> Result<Fed<'_>, Error> {
        Ok((self.feed(study)?, self.judge(study)?))
    }
    /// Steps of all sequences of a batch together, about.
    fn rows(&self, study: &Study) -> usize;
    /// Judges the trained network and writes the files of the run; none where it was stopped.
    fn finish(
        &self,
        trained: &Trained<'_>,
        fit: &mut Fit<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<Option<(Judged, Vec<PathBuf>)>, Error>;
}

/// A training that came to its end.
pub(crate) struct Trained<'a> {
    pub(crate) study: &'a Study,
    pub(crate) folder: &'a Path,
    pub(crate) options: &'a Options<'a>,
    /// The lines of its log.
    pub(crate) history: &'a [EpochMetrics],
    /// Epochs made, and the one whose weights are kept.
    pub(crate) epochs: [u64; 2],
    /// Weights of the other members of an ensemble.
    pub(crate) others: &'a [Vec<Tensor>],
}

/// Loads, splits and scales what a study asks for.
pub(crate) fn prepare(study: &Study, limits: &Limits) -> Result<Box<dyn Trainable>, Error> {
    Ok(match study.study.task {
        Task::Classify | Task::Label => Box::new(Classification::new(study, limits)?),
        // Other tasks are refused where the study is read.
        _ => Box::new(Prepared::new(study, limits)?),
    })
}

/// Threads: those wanted, or for 0 as many as the work of one step is worth.
pub(crate) fn threads(data: &dyn Trainable, study: &Study, wanted: usize) -> usize {
    if wanted > 0 {
        return wanted;
    }
    let weights: usize = data.program().params().iter().map(sequela_nn::ParamSpec::count).sum();
    if data.rows(study).saturating_mul(weights) < WORTH_THREADS {
        return 1;
    }
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Multiplications of one forward pass from which a second thread is worth its handoffs.
const WORTH_THREADS: usize = 40_000_000;
