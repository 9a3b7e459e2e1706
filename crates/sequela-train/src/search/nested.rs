//! A search inside each fold of a cross-validation.
//!
//! Settings that were chosen on everybody have seen everybody. Here each fold searches among its
//! own training patients, by its own tuning part, trains with what it found, and is judged on
//! patients that neither the search nor the training has seen: the figures are of the whole way
//! from a space of settings to a model, not of one lucky setting.
//! **Source** Varma and Simon, BMC Bioinformatics 7 (2006) 91; Cawley and Talbot, JMLR 11 (2010)
//! 2079.

use std::path::{Path, PathBuf};
use std::time::Instant;

use sequela_core::Location;
use sequela_formats::lock::RunLock;
use sequela_formats::{bounded, durable};
use serde_json::Value;

use super::show::{BEST, NUMBERS, PAGE};
use super::{SearchEvent, SearchOutcome, Searching};
use crate::classify::{ChosenSettings, Classification, fold_folder};
use crate::cross::{Cross, fold_of};
use crate::predict::Options;
use crate::run::{Outcome, STUDY, check_precision};
use crate::study::Study;
use crate::task::Trainable as _;
use crate::{Error, Event};

/// A search in each fold, and what it comes to.
pub(super) struct Nested<'a> {
    pub(super) study: &'a Study,
    pub(super) folder: &'a Path,
    pub(super) options: &'a Options<'a>,
    pub(super) folds: usize,
}

impl Nested<'_> {
    /// Refuses a study that cannot run, before anything is made.
    pub(super) fn check(&self) -> Result<(), Error> {
        let first = fold_of(self.study, 1);
        Searching::new(&first, self.folder, self.options)?;
        check_precision(&Classification::new(&first, &self.options.limits)?, &first)
    }

    /// Searches in each fold, then trains and judges all of them.
    pub(super) fn go(
        &self,
        observer: &mut dyn FnMut(&SearchEvent<'_>),
    ) -> Result<SearchOutcome, Error> {
        let start = Instant::now();
        let (mut studies, mut chosen) = (Vec::new(), Vec::new());
        let all = Classification::new(&fold_of(self.study, 1), &self.options.limits)?;
        let data = all.fingerprint();
        drop(all);
        for fold in 1..=self.folds {
            observer(&SearchEvent::Fold { fold, folds: self.folds });
            let Some((study, settings)) = self.search(fold, &data, observer)? else {
                return Ok(SearchOutcome::Stopped(self.folder.to_owned()));
            };
            studies.push(study);
            chosen.push(settings);
        }
        let first = Classification::new(&studies[0], &self.options.limits)?;
        let (study, folder, options) = (self.study, self.folder, self.options);
        let cross = Cross { study, folder, options, studies, chosen, start };
        let mut told = |event: &Event<'_>| observer(&SearchEvent::Run(event));
        Ok(match cross.go(first, &mut told)? {
            Outcome::Finished(report) => SearchOutcome::Judged(report),
            Outcome::Stopped(_) => SearchOutcome::Stopped(self.folder.to_owned()),
        })
    }

    /// The settings that a fold chooses; none where it was stopped.
    fn search(
        &self,
        fold: usize,
        data: &str,
        observer: &mut dyn FnMut(&SearchEvent<'_>),
    ) -> Result<Option<(Study, ChosenSettings)>, Error> {
        let study = fold_of(self.study, fold);
        let folder = inside(self.folder, fold);
        durable::create_dir(&folder)?;
        let _lock = RunLock::acquire(&folder)?;
        durable::sweep(&folder)?;
        let (named, text) = (folder.join(STUDY), study.to_toml());
        let of_data = folder.join(DATA);
        if durable::exists(&of_data)? && !same(&of_data, data, self.options)? {
            return Err(Error::Folder {
                location: Location::file(&of_data).into(),
                what: "the search of this fold was of other data".into(),
                hint: "give the data back that it was begun with, or search in another folder"
                    .into(),
            });
        }
        durable::write_atomic(&of_data, data.as_bytes())?;
        // The page is written last: where it is, the search is done.
        if !(durable::exists(&folder.join(PAGE))? && same(&named, &text, self.options)?) {
            durable::write_atomic(&named, text.as_bytes())?;
            if let SearchOutcome::Stopped(_) =
                Searching::new(&study, &folder, self.options)?.go(observer)?
            {
                return Ok(None);
            }
        }
        let mut best = Study::load(&folder.join(BEST), &[])?;
        best.base.clone_from(&study.base);
        Ok(Some((best, read(&folder.join(NUMBERS), fold, self.options)?)))
    }
}

/// SHA-256 of series and classes that a fold searched with: who is in which fold hangs on them.
const DATA: &str = "data.sha256";

/// Where a fold searches.
fn inside(folder: &Path, fold: usize) -> PathBuf {
    fold_folder(folder, fold).join("search")
}

/// Whether a folder holds a cross-validation whose folds search.
pub(crate) fn is_nested(folder: &Path) -> Result<bool, Error> {
    Ok(durable::exists(&inside(folder, 1))?)
}

/// Refuses to go on by a search with folds that were trained as the study is.
pub(super) fn refuse_plain_folds(folder: &Path) -> Result<(), Error> {
    if is_nested(folder)? || !durable::exists(&fold_folder(folder, 1))? {
        return Ok(());
    }
    Err(Error::Folder {
        location: Location::file(folder).into(),
        what: "the folds in this folder were trained without a search".into(),
        hint: "go on with them by sequela train --resume".into(),
    })
}

fn same(path: &Path, text: &str, options: &Options<'_>) -> Result<bool, Error> {
    Ok(durable::exists(path)? && bounded::read(path, &options.limits)? == text.as_bytes())
}

/// The settings of the best trial, as the search wrote them.
fn read(path: &Path, fold: usize, options: &Options<'_>) -> Result<ChosenSettings, Error> {
    let bytes = bounded::read(path, &options.limits)?;
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let trials = value["trials"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(best) = trials.first() else {
        return Err(Error::Folder {
            location: Location::file(path).into(),
            what: "the file holds no trial".into(),
            hint: "delete the folder of this search: it is made anew".into(),
        });
    };
    let values = best["values"].as_object().into_iter().flatten();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(ChosenSettings {
        fold,
        trials: trials.len(),
        trial: best["trial"].as_u64().unwrap_or_default(),
        values: values.map(|(field, value)| (field.clone(), word(value))).collect(),
        tune_loss: best["tune_loss"].as_f64(),
        epoch: best["best_epoch"].as_u64(),
    })
}
