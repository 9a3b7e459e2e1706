//! A run: a folder that holds a study, its training, the model, and how well it does.

use std::path::{Path, PathBuf};
use std::time::Instant;

use sequela_core::Location;
use sequela_formats::durable;
use sequela_formats::lock::RunLock;
use sequela_kernels::Isa;
use sequela_nn::Tensor;

use crate::checkpoint::Belongs;
use crate::classify::Classification;
use crate::cross::{self, Cross};
use crate::fit::{End, Fit};
use crate::judged::Judged;
use crate::predict::Options;
use crate::sink::RunSink;
use crate::study::Study;
use crate::task::{self, Trainable, Trained};
use crate::{Error, Event, Observer, report, search, source};

/// How a call ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Everything is done.
    Finished(Box<Report>),
    /// It was stopped, and can go on.
    Stopped(Stopped),
}

/// A finished run.
#[derive(Debug, Clone)]
pub struct Report {
    /// The run folder.
    pub folder: PathBuf,
    /// The model file; of a cross-validation that of its first fold.
    pub model: PathBuf,
    /// How well it does.
    pub evaluation: Judged,
    /// Epochs made, by all folds together.
    pub epochs: u64,
    /// The epoch whose weights the model has.
    pub best_epoch: u64,
    /// Training loss of the last epoch; of a cross-validation the mean over its folds.
    pub train_loss: f64,
    /// Tuning loss of the best epoch; of a cross-validation the mean over its folds.
    pub tune_loss: Option<f64>,
    /// Time that this call took.
    pub seconds: f64,
    /// Files of the run folder.
    pub files: Vec<PathBuf>,
}

/// A run that was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The run folder.
    pub folder: PathBuf,
    /// Epochs made.
    pub epoch: u64,
    /// Steps made of the next one.
    pub step: u64,
    /// What it goes on from.
    pub checkpoint: PathBuf,
}

/// Trains and judges the model of a study, in a new folder; of a study with folds a model for
/// each, in folders `fold-1`, `fold-2` ... inside it.
///
/// **Determinism** a function of the study and the data; threads, stops and the machine make no
/// difference to any file but `timing.jsonl`. A study that asks for bf16 has
/// none of this. **Cost** see the events.
///
/// # Errors
/// [`Error::Folder`] where the folder holds a run already; [`Error::Network`] where the precision
/// cannot be had; what loading, splitting, training and
/// writing give. Files written before an error stay whole.
pub fn train(
    study: &Study,
    folder: &Path,
    options: &Options<'_>,
    observer: &mut Observer<'_>,
) -> Result<Outcome, Error> {
    let start = Instant::now();
    refuse_a_run(folder, &folder.join(STUDY))?;
    // Before anything is made: a study that cannot run leaves nothing behind.
    if let Some(folds) = cross::folds(study) {
        let first = Classification::new(&cross::fold_of(study, 1), &options.limits)?;
        check_precision(&first, study)?;
        let (study, _lock) = begin(study, folder)?;
        let folds = cross::folds_of(&study, folds);
        return plain((&study, folds), folder, options, start).go(first, observer);
    }
    let prepared = task::prepare(study, &options.limits)?;
    check_precision(prepared.as_ref(), study)?;
    let (study, _lock) = begin(study, folder)?;
    Run { study: &study, folder, options, start }.go(prepared.as_ref(), observer)
}

/// Goes on with a run that was stopped, or makes a finished one's files anew.
///
/// # Errors
/// [`Error::Folder`] where the folder holds no run, or study or data have changed since;
/// [`Error::Integrity`] where the checkpoint is damaged; and as [`train`].
pub fn resume(
    folder: &Path,
    options: &Options<'_>,
    observer: &mut Observer<'_>,
) -> Result<Outcome, Error> {
    let start = Instant::now();
    let named = folder.join(STUDY);
    if !durable::exists(&named)? {
        return Err(Error::Folder {
            location: Location::file(folder).into(),
            what: "there is no run in this folder".into(),
            hint: "name the folder of a run, which has a study.toml".into(),
        });
    }
    let study = Study::load(&named, &[])?;
    let _lock = RunLock::acquire(folder)?;
    durable::sweep(folder)?;
    if let Some(folds) = cross::folds(&study) {
        if search::is_nested(folder)? {
            return Err(Error::Folder {
                location: Location::file(folder).into(),
                what: "the folds in this folder search for their settings".into(),
                hint: "go on with them by sequela search --resume".into(),
            });
        }
        let first = Classification::new(&cross::fold_of(&study, 1), &options.limits)?;
        let folds = cross::folds_of(&study, folds);
        return plain((&study, folds), folder, options, start).go(first, observer);
    }
    let prepared = task::prepare(&study, &options.limits)?;
    check_precision(prepared.as_ref(), &study)?;
    Run { study: &study, folder, options, start }.go(prepared.as_ref(), observer)
}

/// All folds of a study with its own settings.
fn plain<'a>(
    (study, studies): (&'a Study, Vec<Study>),
    folder: &'a Path,
    options: &'a Options<'a>,
    start: Instant,
) -> Cross<'a> {
    Cross { study, folder, options, studies, chosen: Vec::new(), start }
}

/// Makes the folder of a run and its study file, and locks it.
fn begin(study: &Study, folder: &Path) -> Result<(Study, RunLock), Error> {
    durable::create_dir(folder)?;
    let lock = RunLock::acquire(folder)?;
    // Another process may have made a run here since, and have ended.
    refuse_a_run(folder, &folder.join(STUDY))?;
    durable::sweep(folder)?;
    let study = placed(study)?;
    durable::write_atomic(&folder.join(STUDY), study.to_toml().as_bytes())?;
    Ok((study, lock))
}

/// Refuses a folder that holds a run.
pub(crate) fn refuse_a_run(folder: &Path, named: &Path) -> Result<(), Error> {
    if !durable::exists(named)? {
        return Ok(());
    }
    Err(Error::Folder {
        location: Location::file(folder).into(),
        what: "the folder holds a run already".into(),
        hint: "go on with it by --resume, or choose another folder".into(),
    })
}

/// Refuses a precision that this machine or a layer of the network cannot compute in: a run of
/// bf16 is neither begun nor gone on with in f32.
pub(crate) fn check_precision(data: &dyn Trainable, study: &Study) -> Result<(), Error> {
    let isa = Isa::from_environment()?;
    Ok(data.program().check_precision(study.train.precision, isa)?)
}

/// The study with paths that do not depend on where its file lies.
pub(crate) fn placed(study: &Study) -> Result<Study, Error> {
    let mut study = study.clone();
    let base = std::mem::take(&mut study.base);
    if let Some(path) = study.data.path_mut() {
        place(path, &base, "data.path")?;
    }
    if let Some(path) = study.data.label_file_mut() {
        place(path, &base, "data.label.file")?;
    }
    Ok(study)
}

/// Makes the path of a field absolute; what is found among the data sets keeps its short name.
fn place(path: &mut PathBuf, base: &Path, field: &str) -> Result<(), Error> {
    let found = source::find(path, base, field)?;
    let among_sets = path.is_relative() && !base.join(&*path).exists() && !path.exists();
    if !among_sets {
        *path = std::path::absolute(&found).unwrap_or(found);
    }
    Ok(())
}

/// One training, in a folder that is there.
pub(crate) struct Run<'a> {
    pub(crate) study: &'a Study,
    pub(crate) folder: &'a Path,
    pub(crate) options: &'a Options<'a>,
    pub(crate) start: Instant,
}

impl Run<'_> {
    /// Trains from where the folder's checkpoint is, judges, and writes the files.
    pub(crate) fn go(
        &self,
        prepared: &dyn Trainable,
        observer: &mut Observer<'_>,
    ) -> Result<Outcome, Error> {
        let study = self.study;
        let threads = task::threads(prepared, study, self.options.threads);
        let (mut feed, mut judge) = prepared.member(study, 1)?;
        let seed = study.study.seed;
        let mut fit = Fit::new(prepared.program(), &study.train, seed, feed.as_ref(), threads)?;
        let [train, tune, test] = prepared.sizes();
        observer(&Event::Prepared {
            name: &study.study.name,
            task: study.study.task,
            train,
            tune,
            test,
            parameters: fit.parameters.count(),
            bytes: fit.bytes(),
            threads,
            steps: feed.steps(),
        });
        let belongs = Belongs { study: study.digest(), data: prepared.fingerprint() };
        let mut sink = RunSink::open(self.folder, belongs, &mut fit)?;
        if fit.progress.steps > 0 {
            let (epoch, step) = (fit.progress.epoch, fit.progress.step);
            observer(&Event::Resumed { epoch, step });
        }
        let end = fit.run(feed.as_mut(), &mut judge, &mut sink, self.options.stop, observer)?;
        if end == End::Stopped {
            return Ok(self.stopped(&fit));
        }
        sink.sync()?;
        let mut others = Vec::new();
        for member in 2..=study.ensemble.members {
            observer(&Event::Member { member, members: study.ensemble.members });
            match self.member(prepared, member, threads, observer)? {
                Ok(weights) => others.push(weights),
                Err(stopped) => return Ok(Outcome::Stopped(stopped)),
            }
        }
        let history = report::history(&self.folder.join(METRICS))?;
        let epochs = [fit.progress.epoch, fit.progress.best.map_or(fit.progress.epoch, |b| b.0)];
        let epochs = match fit.best {
            Some(_) => epochs,
            None => [epochs[0]; 2],
        };
        fit.keep_best()?;
        let trained = Trained {
            study,
            folder: self.folder,
            options: self.options,
            history: &history,
            epochs,
            others: &others,
        };
        let Some((evaluation, files)) = prepared.finish(&trained, &mut fit, observer)? else {
            return Ok(self.stopped(&fit));
        };
        let last = history.last();
        Ok(Outcome::Finished(Box::new(Report {
            folder: self.folder.to_owned(),
            model: self.folder.join(MODEL),
            evaluation,
            epochs: epochs[0],
            best_epoch: epochs[1],
            train_loss: last.map_or(f64::NAN, |line| line.train_loss),
            tune_loss: fit.progress.best.map(|(_, loss)| loss),
            seconds: self.start.elapsed().as_secs_f64(),
            files,
        })))
    }

    /// Trains another member of an ensemble, in a folder of its own; its weights, or where it
    /// stopped.
    fn member(
        &self,
        prepared: &dyn Trainable,
        member: usize,
        threads: usize,
        observer: &mut Observer<'_>,
    ) -> Result<Result<Vec<Tensor>, Stopped>, Error> {
        let mut study = self.study.clone();
        // Seeds of members lie far apart: those of the next study are others.
        study.study.seed = study.study.seed.wrapping_add(member as u64 * MEMBER_SEEDS);
        let folder = self.folder.join(format!("member-{member}"));
        durable::create_dir(&folder)?;
        let (mut feed, mut judge) = prepared.member(&study, member)?;
        let seed = study.study.seed;
        let mut fit = Fit::new(prepared.program(), &study.train, seed, feed.as_ref(), threads)?;
        let belongs = Belongs { study: study.digest(), data: prepared.fingerprint() };
        let mut sink = RunSink::open(&folder, belongs, &mut fit)?;
        let end = fit.run(feed.as_mut(), &mut judge, &mut sink, self.options.stop, observer)?;
        if end == End::Stopped {
            let stopped = Stopped {
                folder: self.folder.to_owned(),
                epoch: fit.progress.epoch,
                step: fit.progress.step,
                checkpoint: folder.join(CHECKPOINT),
            };
            return Ok(Err(stopped));
        }
        sink.sync()?;
        fit.keep_best()?;
        Ok(Ok(fit.parameters.tensors()))
    }

    fn stopped(&self, fit: &Fit<'_>) -> Outcome {
        Outcome::Stopped(Stopped {
            folder: self.folder.to_owned(),
            epoch: fit.progress.epoch,
            step: fit.progress.step,
            checkpoint: self.folder.join(CHECKPOINT),
        })
    }
}

/// How far apart the seeds of the members of an ensemble are.
const MEMBER_SEEDS: u64 = 0x9e37_79b9_7f4a_7c15;
/// The study as it was run.
pub(crate) const STUDY: &str = "study.toml";
/// One line for each epoch.
pub(crate) const METRICS: &str = "metrics.jsonl";
/// How long each epoch took.
pub(crate) const TIMING: &str = "timing.jsonl";
/// The state of the run.
pub(crate) const CHECKPOINT: &str = "checkpoint.safetensors";
/// The model file.
pub(crate) const MODEL: &str = "model.safetensors";
