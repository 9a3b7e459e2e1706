//! Cross-validation: a run for each fold, in a folder of its own, and all of them judged together.

use std::path::Path;
use std::time::Instant;

use sequela_formats::durable;
use sequela_formats::lock::RunLock;
use sequela_kernels::Context;

use crate::classify::{ChosenSettings, Classification, Pool, PooledFolds, fold_folder};
use crate::judged::Judged;
use crate::model::Model;
use crate::predict::Options;
use crate::run::{Outcome, Report, Run, STUDY, check_precision};
use crate::study::Study;
use crate::{Error, Event, Observer, report};

/// All folds of a study, whose folder and study file are there: folds that are done are judged
/// again, one that was stopped goes on.
pub(crate) struct Cross<'a> {
    pub(crate) study: &'a Study,
    pub(crate) folder: &'a Path,
    pub(crate) options: &'a Options<'a>,
    /// The study of each fold.
    pub(crate) studies: Vec<Study>,
    /// The settings that each chose, where they did.
    pub(crate) chosen: Vec<ChosenSettings>,
    pub(crate) start: Instant,
}

impl Cross<'_> {
    /// Runs the folds one after the other; `first` is the first of them, prepared.
    pub(crate) fn go(
        self,
        first: Classification,
        observer: &mut Observer<'_>,
    ) -> Result<Outcome, Error> {
        let folds = self.studies.len();
        let mut pool = Pool::new(&self.studies);
        let mut reports = Vec::with_capacity(folds);
        let mut context = Context::new(self.options.threads.max(1))?;
        let mut prepared = Some(first);
        for (fold, study) in (1..).zip(&self.studies) {
            let data = match prepared.take() {
                Some(data) => data,
                None => Classification::new(study, &self.options.limits)?,
            };
            observer(&Event::Fold { fold, folds });
            let folder = fold_folder(self.folder, fold);
            let report = match self.run(study, &folder, &data, observer)? {
                Outcome::Finished(report) => report,
                stopped @ Outcome::Stopped(_) => return Ok(self.stopped(stopped)),
            };
            let model = Model::load(&report.model, &self.options.limits)?;
            let Judged::Classes(evaluation) = report.evaluation.clone() else {
                return Err(Error::data(
                    "split.folds",
                    "it has no classes",
                    "report this as a bug",
                ));
            };
            pool.add(&data, model, evaluation, &mut context)?;
            reports.push(report);
        }
        let PooledFolds { evaluation, files } = pool.judge(self.study, &self.chosen)?;
        let files = report::write(self.folder, files, observer)?;
        Ok(Outcome::Finished(Box::new(self.report(Judged::Folds(evaluation), &reports, files))))
    }

    fn run(
        &self,
        study: &Study,
        folder: &Path,
        data: &Classification,
        observer: &mut Observer<'_>,
    ) -> Result<Outcome, Error> {
        check_precision(data, study)?;
        durable::create_dir(folder)?;
        let _lock = RunLock::acquire(folder)?;
        durable::sweep(folder)?;
        let named = folder.join(STUDY);
        if !durable::exists(&named)? {
            durable::write_atomic(&named, study.to_toml().as_bytes())?;
        }
        Run { study, folder, options: self.options, start: Instant::now() }.go(data, observer)
    }

    /// It is the whole that is gone on with, not the fold.
    fn stopped(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Stopped(mut stopped) => {
                self.folder.clone_into(&mut stopped.folder);
                Outcome::Stopped(stopped)
            }
            finished @ Outcome::Finished(_) => finished,
        }
    }

    fn report(
        &self,
        evaluation: Judged,
        reports: &[Box<Report>],
        files: Vec<std::path::PathBuf>,
    ) -> Report {
        let count = reports.len().max(1) as f64;
        let mean = |of: &dyn Fn(&Report) -> f64| {
            reports.iter().map(|report| of(report)).sum::<f64>() / count
        };
        let tuned = reports.iter().all(|report| report.tune_loss.is_some());
        let tune_loss = mean(&|report| report.tune_loss.unwrap_or(0.0));
        Report {
            folder: self.folder.to_owned(),
            model: reports.first().map_or_else(Default::default, |report| report.model.clone()),
            evaluation,
            epochs: reports.iter().map(|report| report.epochs).sum(),
            best_epoch: reports.first().map_or(0, |report| report.best_epoch),
            train_loss: mean(&|report| report.train_loss),
            tune_loss: tuned.then_some(tune_loss),
            seconds: self.start.elapsed().as_secs_f64(),
            files,
        }
    }
}

/// The studies of all folds.
pub(crate) fn folds_of(study: &Study, folds: usize) -> Vec<Study> {
    (1..=folds).map(|fold| fold_of(study, fold)).collect()
}

/// The study of one fold.
pub(crate) fn fold_of(study: &Study, fold: usize) -> Study {
    let mut study = study.clone();
    study.split.fold = Some(fold);
    study
}

/// The folds that a study asks for, where it asks for all.
pub(crate) fn folds(study: &Study) -> Option<usize> {
    study.split.folds.filter(|_| study.split.fold.is_none())
}
