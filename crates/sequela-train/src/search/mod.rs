//! A search for better settings, by the tuning part alone.
//!
//! Each setting is a trial: a run of its own in a folder of its own, which is trained in rounds and
//! never judged on the test part. Which settings are tried follows from the study's seed; how many
//! are trained at once changes no number.

mod draw;
mod nested;
mod rounds;
mod show;
mod trial;
mod workers;

use std::path::{Path, PathBuf};

use sequela_core::Location;
use sequela_formats::durable;
use sequela_formats::lock::RunLock;

use crate::predict::Options;
use crate::run::{STUDY, placed, refuse_a_run};
use crate::study::{Search, Study};
use crate::{Error, Event, Report, cross, fit::EpochMetrics};
use draw::Candidate;
pub(crate) use nested::is_nested;
use nested::{Nested, refuse_plain_folds};
use rounds::Round;
pub use show::table as trials_table;
use workers::{Workers, train_round};

/// How a search ended.
#[derive(Debug, Clone)]
pub enum SearchOutcome {
    /// All rounds are done.
    Finished(Box<SearchReport>),
    /// Every fold has searched, trained with what it found, and was judged.
    Judged(Box<Report>),
    /// It was stopped, and can go on: the folder.
    Stopped(PathBuf),
}

/// A finished search.
#[derive(Debug, Clone)]
pub struct SearchReport {
    /// Its folder.
    pub folder: PathBuf,
    /// The trials, the best first.
    pub trials: Vec<Trial>,
    /// The study with the best settings.
    pub best: PathBuf,
    /// Files that were written.
    pub files: Vec<PathBuf>,
}

/// What one setting came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Its number, from 1; 1 is the study as it is.
    pub number: usize,
    /// Searched fields and their values, as TOML.
    pub values: Vec<(String, String)>,
    /// Rounds it was in.
    pub rounds: usize,
    /// Losses of its epochs.
    pub history: Vec<EpochMetrics>,
    /// Its best tuning loss and the epoch, from 1; none where it did not stay finite.
    pub best: Option<(f64, u64)>,
}

/// Something that happened in a search.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum SearchEvent<'a> {
    /// A fold of a cross-validation begins to search.
    Fold {
        /// Its number, from 1.
        fold: usize,
        /// Folds in all.
        folds: usize,
    },
    /// All folds have searched: something of their training.
    Run(&'a Event<'a>),
    /// A round begins.
    Round {
        /// Its number, from 1.
        round: usize,
        /// Rounds in all.
        rounds: usize,
        /// Trials in it.
        trials: usize,
        /// Epochs up to which they are trained.
        epochs: u64,
        /// Epochs that all rounds make together, at most.
        epochs_in_all: u64,
    },
    /// An epoch of a trial was made.
    Epoch,
    /// A trial came to the end of the round.
    Trial {
        /// Its number.
        number: usize,
        /// Its best tuning loss and the epoch; none where it did not stay finite.
        best: Option<(f64, u64)>,
        /// Searched fields and their values.
        values: &'a [(String, String)],
    },
}

/// Tries the settings that a study's `[search]` names, in a new folder.
///
/// Trials are compared by their best tuning loss; the test part is not looked at. The folder gets
/// `best.toml` (the study with the best settings), `search.md`, `search.json`, `search.svg`, and
/// a run folder for each trial.
///
/// With folds (`split.folds` without `split.fold`) each fold searches on its own, in
/// `fold-1/search`, `fold-2/search` ..., trains with the settings that it found, and is judged on
/// its test patients: [`SearchOutcome::Judged`], with the files of a cross-validation by
/// [`crate::train`].
///
/// **Determinism** a function of the study and the data, but for the `timing.jsonl` of trials.
/// **Cost** the epochs of all rounds together; `options.threads` trials at once (0: one for each
/// core), each with its own copy of the data.
///
/// # Errors
/// [`Error::Study`] where there is no `[search]`, or a value is not one for its field;
/// [`Error::Data`] where the split leaves nobody to tune on; and as [`crate::train`], but for a
/// trial whose loss does not stay finite, which comes last.
pub fn search(
    study: &Study,
    folder: &Path,
    options: &Options<'_>,
    observer: &mut dyn FnMut(&SearchEvent<'_>),
) -> Result<SearchOutcome, Error> {
    let named = folder.join(STUDY);
    refuse_a_run(folder, &named)?;
    let study = placed(study)?;
    // Before anything is made: a search that cannot run leaves nothing behind.
    let way = Way::new(&study, folder, options)?;
    if let Way::Nested(nested) = &way {
        nested.check()?;
    }
    durable::create_dir(folder)?;
    let _lock = RunLock::acquire(folder)?;
    refuse_a_run(folder, &named)?;
    durable::sweep(folder)?;
    durable::write_atomic(&named, study.to_toml().as_bytes())?;
    way.go(observer)
}

/// Goes on with a search that was stopped.
///
/// # Errors
/// [`Error::Folder`] where the folder holds none; and as [`search`].
pub fn resume_search(
    folder: &Path,
    options: &Options<'_>,
    observer: &mut dyn FnMut(&SearchEvent<'_>),
) -> Result<SearchOutcome, Error> {
    let named = folder.join(STUDY);
    if !durable::exists(&named)? {
        return Err(Error::Folder {
            location: Location::file(folder).into(),
            what: "there is no search in this folder".into(),
            hint: "name the folder of a search, which has a study.toml".into(),
        });
    }
    let study = Study::load(&named, &[])?;
    let way = Way::new(&study, folder, options)?;
    if let Way::Nested(_) = &way {
        refuse_plain_folds(folder)?;
    }
    let _lock = RunLock::acquire(folder)?;
    durable::sweep(folder)?;
    way.go(observer)
}

/// One search, or one in each fold.
enum Way<'a> {
    One(Searching<'a>),
    Nested(Nested<'a>),
}

impl<'a> Way<'a> {
    fn new(study: &'a Study, folder: &'a Path, options: &'a Options<'a>) -> Result<Self, Error> {
        // Its space is looked at before anything else.
        let one = Searching::new(study, folder, options)?;
        Ok(match cross::folds(study) {
            Some(folds) => Self::Nested(Nested { study, folder, options, folds }),
            None => Self::One(one),
        })
    }

    fn go(&self, observer: &mut dyn FnMut(&SearchEvent<'_>)) -> Result<SearchOutcome, Error> {
        match self {
            Self::One(search) => search.go(observer),
            Self::Nested(nested) => nested.go(observer),
        }
    }
}

/// A search that is going on.
struct Searching<'a> {
    study: &'a Study,
    search: &'a Search,
    folder: &'a Path,
    options: &'a Options<'a>,
    candidates: Vec<Candidate>,
    rounds: Vec<Round>,
}

impl<'a> Searching<'a> {
    fn new(study: &'a Study, folder: &'a Path, options: &'a Options<'a>) -> Result<Self, Error> {
        let Some(search) = &study.search else {
            return Err(Error::Study {
                location: Location::file("study").field("search").into(),
                what: "the study does not say what to search".into(),
                hint: "add [search.space] with \"train.rate\" = { from = 1e-4, to = 1e-2, scale = \"log\" }"
                    .into(),
            });
        };
        let candidates = draw::candidates(study, search)?;
        let rounds = rounds::plan(search, study.train.epochs, candidates.len());
        Ok(Self { study, search, folder, options, candidates, rounds })
    }

    fn go(&self, observer: &mut dyn FnMut(&SearchEvent<'_>)) -> Result<SearchOutcome, Error> {
        let workers = Workers::new(self.options);
        let mut trials: Vec<Trial> = self.candidates.iter().map(Candidate::untried).collect();
        // Places in `trials`, the best first.
        let mut ranking: Vec<usize> = (0..trials.len()).collect();
        for (at, round) in self.rounds.iter().enumerate() {
            let mut going = ranking[..round.trials].to_vec();
            going.sort_unstable();
            observer(&SearchEvent::Round {
                round: at + 1,
                rounds: self.rounds.len(),
                trials: going.len(),
                epochs: round.epochs,
                epochs_in_all: rounds::epochs(&self.rounds),
            });
            let studies: Vec<_> = going
                .iter()
                .map(|&trial| (&self.candidates[trial], self.trial_folder(trial)))
                .collect();
            let Some(histories) = train_round(&workers, &studies, round.epochs, observer)? else {
                return Ok(SearchOutcome::Stopped(self.folder.to_owned()));
            };
            for (&trial, history) in going.iter().zip(histories) {
                trials[trial].rounds = at + 1;
                trials[trial].best = history.as_deref().and_then(best_of);
                trials[trial].history = history.unwrap_or_default();
            }
            ranking.sort_by(|&a, &b| order(&trials[a], &trials[b]));
        }
        let best = &self.candidates[ranking[0]].study;
        let trials: Vec<Trial> = ranking.iter().map(|&trial| trials[trial].clone()).collect();
        if trials[0].best.is_none() {
            return Err(Error::Data {
                location: Location::file(self.folder).into(),
                what: "no trial's loss stayed finite".into(),
                hint: "search smaller step sizes, or set train.clip = { norm = 1.0 }".into(),
            });
        }
        let files = show::files(self.study, self.search, &self.rounds, &trials, best);
        let mut written = Vec::with_capacity(files.len());
        for (name, bytes) in files {
            let path = self.folder.join(name);
            durable::write_atomic(&path, &bytes)?;
            written.push(path);
        }
        Ok(SearchOutcome::Finished(Box::new(SearchReport {
            folder: self.folder.to_owned(),
            trials,
            best: self.folder.join(show::BEST),
            files: written,
        })))
    }

    fn trial_folder(&self, trial: usize) -> PathBuf {
        self.folder.join("trials").join(format!("{:03}", trial + 1))
    }
}

/// The least tuning loss and its epoch.
fn best_of(history: &[EpochMetrics]) -> Option<(f64, u64)> {
    history
        .iter()
        .filter_map(|line| Some((line.tune_loss?, line.epoch)))
        .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
}

/// Who is ahead: those of later rounds, those with the lower loss, those tried first.
fn order(a: &Trial, b: &Trial) -> std::cmp::Ordering {
    let loss = |trial: &Trial| trial.best.map_or(f64::INFINITY, |best| best.0);
    (b.rounds.cmp(&a.rounds)).then(loss(a).total_cmp(&loss(b))).then(a.number.cmp(&b.number))
}
