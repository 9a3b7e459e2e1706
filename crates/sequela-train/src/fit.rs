//! The training loop.
//!
//! Everything that decides about later steps is in [`Progress`], the weights and the optimiser,
//! so that a checkpoint of these three is the whole state of a run.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use sequela_core::Location;
use sequela_kernels::Context;
use sequela_nn::{
    Batch, Clip, Gradients, Keep, Mode, Optimiser, Parameters, Program, Runner, Wanted,
};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Snapshot;
use crate::feed::{Carry, Feed};
use crate::judge::Judge;
use crate::schedule::{Moment, ScheduleState};
use crate::study::{KeepWeights, Memory, Train};
use crate::{Error, Event, Observer};

/// Where a run is, and what it has seen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Epochs made.
    pub(crate) epoch: u64,
    /// Steps made of the next epoch.
    pub(crate) step: u64,
    /// Steps made in all.
    pub(crate) steps: u64,
    /// Sums over the steps of this epoch.
    loss: f64,
    weight: f64,
    norm: f64,
    /// State of the schedule.
    schedule: ScheduleState,
    /// The best epoch (from 1) and its loss.
    pub(crate) best: Option<(u64, f64)>,
    /// Epochs since then.
    waited: u64,
    /// Whether nothing is left to do.
    pub(crate) finished: bool,
}

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// The epoch, from 1.
    pub epoch: u64,
    /// Mean loss over its batches, each before its update.
    pub train_loss: f64,
    /// Loss on the tuning part after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune_loss: Option<f64>,
    /// Step size of its last step.
    pub rate: f32,
    /// Mean norm of its gradients before clipping.
    pub gradient_norm: f64,
}

/// What a loop writes to while it runs.
pub(crate) trait Sink {
    /// Takes the line of an epoch.
    fn epoch(&mut self, metrics: &EpochMetrics, seconds: f64) -> Result<(), Error>;
    /// Saves a checkpoint; where to.
    fn checkpoint(&mut self, snapshot: &Snapshot) -> Result<&Path, Error>;
    /// Bytes of all lines so far.
    fn length(&self) -> u64;
    /// The last checkpoint that was saved.
    fn last(&self) -> Option<&Path>;
}

/// A network in training.
pub(crate) struct Fit<'a> {
    pub(crate) train: &'a Train,
    pub(crate) seed: u64,
    pub(crate) context: Context,
    pub(crate) parameters: Parameters,
    pub(crate) optimiser: Optimiser,
    pub(crate) progress: Progress,
    /// Weights of the best epoch.
    pub(crate) best: Option<Vec<f32>>,
    gradients: Gradients,
    runner: Runner,
    batch: Batch,
}

/// How a loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Finished,
    Stopped,
}

impl<'a> Fit<'a> {
    /// A network with its first weights.
    pub(crate) fn new(
        program: &Program,
        train: &'a Train,
        seed: u64,
        feed: &dyn Feed,
        threads: usize,
    ) -> Result<Self, Error> {
        let capacity = feed.capacity(program);
        let context = Context::new(threads)?;
        let wanted = vec![Wanted::Parameters];
        let keep = match train.memory {
            Some(memory) => Keep::Within { bytes: memory.bytes(), wanted },
            None => Keep::Gradients(wanted),
        };
        let runner = Runner::new(program, &capacity, &keep).map_err(over_budget)?;
        let runner = runner.with_precision(train.precision, &context)?;
        let mut batch = Batch::new(program, &capacity)?;
        batch.set_mode(Mode::Train);
        let parameters = Parameters::new(program, seed)?;
        Ok(Self {
            train,
            seed,
            context,
            optimiser: Optimiser::new(train.optimiser, &parameters)?,
            gradients: Gradients::new(&parameters),
            parameters,
            progress: Progress::default(),
            best: None,
            runner,
            batch,
        })
    }

    /// Bytes of values, gradients and workspaces.
    pub(crate) fn bytes(&self) -> u64 {
        self.runner.bytes()
    }

    /// Trains from where [`Progress`] says to the end, or until `stop` is set.
    pub(crate) fn run(
        &mut self,
        feed: &mut dyn Feed,
        judge: &mut Option<Judge<'_>>,
        sink: &mut dyn Sink,
        stop: Option<&AtomicBool>,
        observer: &mut Observer<'_>,
    ) -> Result<End, Error> {
        let mut pace = Pace::new();
        // Where states are carried, a run can only go on from a batch that starts afresh.
        let mut snapshot = None;
        while !self.progress.finished {
            let steps = feed.steps();
            feed.begin(self.progress.epoch);
            while self.progress.step < steps {
                let carry = feed.fill(self.progress.step, &mut self.batch)?;
                if feed.carries() && carry == Carry::Fresh {
                    snapshot = Some(Snapshot::take(self, sink.length()));
                }
                let (loss, rate) = self.step(carry, feed, steps, sink)?;
                if pace.is_due() {
                    observer(&Event::Step {
                        epoch: self.progress.epoch + 1,
                        epochs: self.train.epochs,
                        step: self.progress.step,
                        steps,
                        loss,
                        rate,
                        seconds_left: pace.left(self.steps_left(steps)),
                    });
                }
                let stopped = stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
                let every = self.train.checkpoint.steps;
                let due = every > 0 && self.progress.steps.is_multiple_of(every);
                if stopped || (due && self.progress.step < steps) {
                    let latest = Snapshot::take(self, sink.length());
                    let saved = snapshot.as_ref().unwrap_or(&latest);
                    save(saved, sink, observer)?;
                }
                if stopped {
                    return Ok(End::Stopped);
                }
            }
            self.end_epoch(steps, judge, sink, &mut pace, observer)?;
            snapshot = None;
            let every = self.train.checkpoint.epochs;
            let due = every > 0 && self.progress.epoch.is_multiple_of(every);
            if due || self.progress.finished {
                save(&Snapshot::take(self, sink.length()), sink, observer)?;
            }
        }
        Ok(End::Finished)
    }

    fn steps_left(&self, steps: u64) -> u64 {
        (self.train.epochs * steps).saturating_sub(self.progress.steps)
    }

    /// Makes one step with the batch that was filled; the mean loss of the epoch so far, and the
    /// step size.
    fn step(
        &mut self,
        carry: Carry,
        feed: &dyn Feed,
        steps: u64,
        sink: &dyn Sink,
    ) -> Result<(f64, f32), Error> {
        let progress = &mut self.progress;
        if feed.carries() && carry == Carry::Fresh {
            self.runner.forget_states();
        }
        self.batch.set_random(self.seed, progress.steps);
        let loss = self.runner.train(
            &mut self.context,
            &self.parameters,
            &self.batch,
            &mut self.gradients,
        )?;
        let norm = self.gradients.clip(&mut self.context, self.train.clip);
        let fault = if loss.is_finite() { "gradient" } else { "loss" };
        if !loss.is_finite() || !norm.is_finite() {
            let checkpoint = sink.last().map(Path::to_owned);
            let saved = checkpoint.as_ref().map_or_else(String::new, |path| {
                format!(" (the last good checkpoint is {})", path.display())
            });
            return Err(Error::NotFinite {
                epoch: progress.epoch + 1,
                batch: progress.step + 1,
                subjects: feed.subjects(),
                what: fault,
                checkpoint,
                hint: format!(
                    "lower train.rate or set train.clip = {{ norm = 1.0 }} and train anew{saved}"
                ),
            });
        }
        let now = Moment {
            step: progress.steps,
            steps: self.train.epochs * steps,
            epoch: progress.epoch,
        };
        let rate = self.train.rate * self.train.schedule.share(&progress.schedule, now);
        self.optimiser.update(&mut self.context, &mut self.parameters, &self.gradients, rate)?;
        if feed.carries() {
            self.runner.carry_states()?;
        }
        let weight = self.runner.weights().first().copied().unwrap_or(0.0);
        progress.loss += loss * weight;
        progress.weight += weight;
        progress.norm += norm;
        progress.step += 1;
        progress.steps += 1;
        Ok((progress.loss / progress.weight.max(f64::MIN_POSITIVE), rate))
    }

    /// The loss of every step up to the end, without checkpoints and judgements.
    #[cfg(test)]
    pub(crate) fn record(
        &mut self,
        feed: &mut dyn Feed,
        losses: &mut Vec<f64>,
    ) -> Result<(), Error> {
        let steps = feed.steps();
        for epoch in 0..self.train.epochs {
            feed.begin(epoch);
            for step in 0..steps {
                let carry = feed.fill(step, &mut self.batch)?;
                let before = (self.progress.loss, self.progress.weight);
                self.step(carry, feed, steps, &crate::sink::Nowhere)?;
                let (sum, weight) =
                    (self.progress.loss - before.0, self.progress.weight - before.1);
                losses.push(sum / weight);
            }
            (self.progress.loss, self.progress.weight) = (0.0, 0.0);
        }
        Ok(())
    }

    /// Makes `steps` steps without checkpoints and judgements; `seen` is told the norm of each
    /// one's gradients before clipping, and whether they were cut.
    pub(crate) fn advance(
        &mut self,
        feed: &mut dyn Feed,
        steps: u64,
        seen: &mut dyn FnMut(f64, bool),
    ) -> Result<(), Error> {
        let of_epoch = feed.steps();
        feed.begin(self.progress.epoch);
        for _ in 0..steps {
            if self.progress.step >= of_epoch {
                self.progress.epoch += 1;
                self.progress.step = 0;
                feed.begin(self.progress.epoch);
            }
            let carry = feed.fill(self.progress.step, &mut self.batch)?;
            self.progress.norm = 0.0;
            self.step(carry, feed, of_epoch, &crate::sink::Nowhere)?;
            let norm = self.progress.norm;
            let cut = match self.train.clip {
                Clip::Off => false,
                Clip::Norm(limit) => norm > f64::from(limit),
                Clip::Value(limit) => self.gradients.flat().iter().any(|g| g.abs() >= limit),
            };
            seen(norm, cut);
        }
        Ok(())
    }

    fn end_epoch(
        &mut self,
        steps: u64,
        judge: &mut Option<Judge<'_>>,
        sink: &mut dyn Sink,
        pace: &mut Pace,
        observer: &mut Observer<'_>,
    ) -> Result<(), Error> {
        let tune_loss = match judge {
            Some(judge) => Some(judge.loss(&mut self.context, &self.parameters)?),
            None => None,
        };
        let progress = &mut self.progress;
        let last = Moment {
            step: progress.steps.saturating_sub(1),
            steps: self.train.epochs * steps,
            epoch: progress.epoch,
        };
        let metrics = EpochMetrics {
            epoch: progress.epoch + 1,
            train_loss: progress.loss / progress.weight.max(f64::MIN_POSITIVE),
            tune_loss,
            rate: self.train.rate * self.train.schedule.share(&progress.schedule, last),
            gradient_norm: progress.norm / steps.max(1) as f64,
        };
        let judged = tune_loss.unwrap_or(metrics.train_loss);
        self.train.schedule.observe(&mut progress.schedule, judged);
        let best = tune_loss.is_some() && progress.best.is_none_or(|(_, loss)| judged < loss);
        progress.epoch += 1;
        if best {
            progress.best = Some((progress.epoch, judged));
            progress.waited = 0;
            if self.train.keep == KeepWeights::Best {
                self.best.get_or_insert_default().clear();
                self.best.get_or_insert_default().extend_from_slice(self.parameters.flat());
            }
        } else {
            progress.waited += 1;
        }
        (progress.step, progress.loss, progress.weight, progress.norm) = (0, 0.0, 0.0, 0.0);
        let out_of_patience = tune_loss.is_some()
            && self.train.patience.is_some_and(|patience| progress.waited >= patience);
        progress.finished = progress.epoch >= self.train.epochs || out_of_patience;
        let seconds = pace.epoch();
        sink.epoch(&metrics, seconds)?;
        let (epoch, finished) = (progress.epoch, progress.finished);
        let left = if finished { 0.0 } else { pace.left(self.steps_left(steps)) };
        observer(&Event::Epoch {
            epoch,
            epochs: self.train.epochs,
            train_loss: metrics.train_loss,
            tune_loss,
            rate: metrics.rate,
            gradient_norm: metrics.gradient_norm,
            best,
            seconds,
            seconds_left: left,
        });
        if out_of_patience && epoch < self.train.epochs {
            let best_epoch = self.progress.best.map_or(epoch, |(epoch, _)| epoch);
            observer(&Event::EarlyStop { epoch, best_epoch });
        }
        Ok(())
    }

    /// Puts the weights that are to be kept in place of the last ones.
    pub(crate) fn keep_best(&mut self) -> Result<(), Error> {
        if let Some(best) = self.best.take() {
            self.parameters.set_flat(&best)?;
        }
        Ok(())
    }
}

/// Says of a budget that is too small what the study should say instead.
fn over_budget(error: sequela_nn::Error) -> Error {
    let sequela_nn::Error::Budget { needed, budget, why, .. } = error else {
        return error.into();
    };
    let least = Memory::of(needed).rounded_up();
    Error::Study {
        location: Location::default().field("train.memory").into(),
        what: format!("{} is too little{why}", Memory::of(budget)),
        hint: format!(
            "write memory = \"{least}\" or more, or make train.batch, the window or the model smaller"
        ),
    }
}

fn save(
    snapshot: &Snapshot,
    sink: &mut dyn Sink,
    observer: &mut Observer<'_>,
) -> Result<(), Error> {
    let (epoch, step) = (snapshot.progress.epoch, snapshot.progress.step);
    let path = sink.checkpoint(snapshot)?;
    observer(&Event::Checkpoint { path, epoch, step });
    Ok(())
}

/// How fast a run goes. Never part of what is saved.
struct Pace {
    start: Instant,
    told: Instant,
    epoch: Instant,
    steps: u64,
}

impl Pace {
    fn new() -> Self {
        let now = Instant::now();
        Self { start: now, told: now, epoch: now, steps: 0 }
    }

    /// Counts a step; whether it should be told.
    fn is_due(&mut self) -> bool {
        self.steps += 1;
        // A look at the clock costs as much as a small layer: not at every step.
        if !self.steps.is_multiple_of(8) || self.told.elapsed().as_millis() < 100 {
            return false;
        }
        self.told = Instant::now();
        true
    }

    fn left(&self, steps: u64) -> f64 {
        self.start.elapsed().as_secs_f64() / self.steps.max(1) as f64 * steps as f64
    }

    fn epoch(&mut self) -> f64 {
        let seconds = self.epoch.elapsed().as_secs_f64();
        self.epoch = Instant::now();
        seconds
    }
}
