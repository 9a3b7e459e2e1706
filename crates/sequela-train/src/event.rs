//! What a run tells while it goes on.

use std::path::Path;

use crate::study::Task;

/// Sizes of one part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    /// People.
    pub subjects: usize,
    /// Records.
    pub sequences: usize,
    /// Windows with a target; series with a class.
    pub windows: usize,
}

/// Something that happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Data are loaded and the network is built.
    Prepared {
        /// Name of the study.
        name: &'a str,
        /// What is to be predicted.
        task: Task,
        /// Training part.
        train: Part,
        /// Tuning part.
        tune: Part,
        /// Test part.
        test: Part,
        /// Numbers that are trained.
        parameters: usize,
        /// Bytes of values, gradients and workspaces.
        bytes: u64,
        /// Threads.
        threads: usize,
        /// Steps of an epoch.
        steps: u64,
    },
    /// A fold of a cross-validation is begun or gone on with.
    Fold {
        /// The fold, from 1.
        fold: usize,
        /// All of them.
        folds: usize,
    },
    /// Another member of an ensemble is trained.
    Member {
        /// The member, from 2.
        member: usize,
        /// All of them.
        members: usize,
    },
    /// The run goes on from a checkpoint.
    Resumed {
        /// Epochs made.
        epoch: u64,
        /// Steps made of the next one.
        step: u64,
    },
    /// A step was made; told about ten times a second.
    Step {
        /// The epoch, from 1.
        epoch: u64,
        /// Epochs of the run.
        epochs: u64,
        /// The step in the epoch, from 1.
        step: u64,
        /// Steps of an epoch.
        steps: u64,
        /// Mean loss of the epoch so far.
        loss: f64,
        /// Step size.
        rate: f32,
        /// Time left, at the present speed.
        seconds_left: f64,
    },
    /// An epoch was made.
    Epoch {
        /// The epoch, from 1.
        epoch: u64,
        /// Epochs of the run.
        epochs: u64,
        /// Mean loss over its batches, each before its update.
        train_loss: f64,
        /// Loss on the tuning part after it.
        tune_loss: Option<f64>,
        /// Step size of its last step.
        rate: f32,
        /// Mean norm of its gradients before clipping.
        gradient_norm: f64,
        /// Whether its weights are the best so far.
        best: bool,
        /// Time that it took.
        seconds: f64,
        /// Time left, at the present speed.
        seconds_left: f64,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// The file.
        path: &'a Path,
        /// Epochs made.
        epoch: u64,
        /// Steps made of the next one.
        step: u64,
    },
    /// Training ends early: the tuning loss has not become better for long enough.
    EarlyStop {
        /// Epochs made.
        epoch: u64,
        /// The epoch whose weights are kept.
        best_epoch: u64,
    },
    /// A baseline is being fitted.
    Baseline {
        /// Its name.
        name: &'a str,
    },
    /// Model and baselines are being judged.
    Evaluating {
        /// Windows or series that they are judged on.
        windows: usize,
        /// What is to be predicted.
        task: Task,
    },
    /// A file of the run folder was written.
    Wrote {
        /// The file.
        path: &'a Path,
    },
}

/// Is told every [`Event`] of a run.
pub type Observer<'a> = dyn FnMut(&Event<'_>) + 'a;
