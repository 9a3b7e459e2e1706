//! Parting a cohort into training, tuning and test data: by subject, never by row.
//!
//! There is no function that splits windows. A single subject's series can only be split by
//! time, which [`by_time`] does under its own name and with a gap, because it answers another
//! question: how well a model forecasts *this* person later on.

mod folds;
mod sides;
mod stratified;

use std::collections::BTreeMap;

use sequela_core::{Location, Random, SubjectId};
use serde::{Deserialize, Serialize};

pub use folds::{Folds, folds};
pub use sides::{by_start, of_tested};
pub use stratified::by_subject_within_classes;

use crate::cohort::slice;
use crate::{Cohort, Error, streams};

/// Shares of the subjects (or of the time) that are not for training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fractions {
    /// Share for choosing between models.
    pub tune: f64,
    /// Share for the final judgement.
    pub test: f64,
}

impl Default for Fractions {
    fn default() -> Self {
        Self { tune: 0.15, test: 0.15 }
    }
}

/// Subjects of each part, named one by one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubjectLists {
    /// For training; where it is empty, all subjects that are named nowhere else.
    pub train: Vec<String>,
    /// For choosing between models.
    pub tune: Vec<String>,
    /// For the final judgement.
    pub test: Vec<String>,
}

/// Positions of sequences in a cohort, part by part. No subject is in two parts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Split {
    /// For training.
    pub train: Vec<usize>,
    /// For choosing between models; may be empty.
    pub tune: Vec<usize>,
    /// For the final judgement; may be empty.
    pub test: Vec<usize>,
}

impl Split {
    /// The three cohorts.
    pub fn parts(&self, cohort: &Cohort) -> Parts {
        Parts {
            train: cohort.select(&self.train),
            tune: cohort.select(&self.tune),
            test: cohort.select(&self.test),
        }
    }
}

/// The cohorts of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// For training.
    pub train: Cohort,
    /// For choosing between models; may be empty.
    pub tune: Cohort,
    /// For the final judgement; may be empty.
    pub test: Cohort,
}

/// A split of the subjects at random, by shares.
///
/// A share above 0 gets at least one subject.
///
/// **Determinism** a function of the subjects' names, the fractions and the seed.
///
/// # Errors
/// [`Error::Request`] for shares outside 0 to 1 or that leave nothing for training;
/// [`Error::Unfit`] where there are too few subjects for the parts wanted.
///
/// # Example
/// ```
/// use sequela_data::simulate::HeartRateSimulation;
/// use sequela_data::split::{Fractions, by_subject, check_leakage};
/// let cohort = HeartRateSimulation { subjects: 6, hours: 0.02, ..Default::default() }.run()?;
/// let split = by_subject(&cohort, Fractions { tune: 0.2, test: 0.2 }, 1)?;
/// assert_eq!((split.train.len(), split.tune.len(), split.test.len()), (4, 1, 1));
/// check_leakage(&cohort, &split)?;
/// # Ok::<(), sequela_data::Error>(())
/// ```
pub fn by_subject(cohort: &Cohort, fractions: Fractions, seed: u64) -> Result<Split, Error> {
    check(fractions)?;
    let subjects = shuffled_subjects(cohort, seed);
    let share = |fraction: f64| share_of(fraction, subjects.len());
    let (tune, test) = (share(fractions.tune), share(fractions.test));
    if tune + test >= subjects.len() {
        return Err(Error::unfit(
            Location::file(cohort.source()),
            format!("{} subjects are too few for the parts of the split", subjects.len()),
            "give more subjects, name fewer parts, or split one subject's series by time",
        ));
    }
    let mut part_of = BTreeMap::new();
    for (rank, subject) in subjects.into_iter().enumerate() {
        let part = match rank {
            rank if rank < test => Part::Test,
            rank if rank < test + tune => Part::Tune,
            _ => Part::Train,
        };
        part_of.insert(subject, part);
    }
    Ok(gather(cohort, &part_of))
}

/// A split by lists of subjects.
///
/// # Errors
/// [`Error::Leakage`] for a subject in two lists; [`Error::Unfit`] for one that is not in the
/// cohort, or where nothing is left for training.
pub fn by_lists(cohort: &Cohort, lists: &SubjectLists) -> Result<Split, Error> {
    let known = cohort.subjects();
    let mut part_of: BTreeMap<SubjectId, Part> = BTreeMap::new();
    for (names, part) in
        [(&lists.train, Part::Train), (&lists.tune, Part::Tune), (&lists.test, Part::Test)]
    {
        for name in names {
            let subject = SubjectId::new(name);
            if !known.contains(&subject) {
                return Err(Error::unfit(
                    Location::default().field(format!("split.{}", part.name())),
                    format!("there is no subject {name}"),
                    "check its name against those of the data",
                ));
            }
            if let Some(&other) = part_of.get(&subject)
                && other != part
            {
                return Err(leakage(&subject, other, part));
            }
            part_of.insert(subject, part);
        }
    }
    if lists.train.is_empty() {
        for subject in known {
            part_of.entry(subject).or_insert(Part::Train);
        }
    }
    let split = gather(cohort, &part_of);
    if split.train.is_empty() {
        return Err(Error::unfit(
            Location::default().field("split.train"),
            "no subject is left for training",
            "name fewer subjects for the other parts",
        ));
    }
    Ok(split)
}

/// Earlier steps for training, later ones for tuning, the last for testing, within each sequence.
///
/// For a single subject, or for models of known people: subjects stand on all sides. `gap` steps
/// between the parts belong to none; give it the reach of a window
/// ([`WindowPlan::reach`](crate::windows::WindowPlan::reach)), so that no test input is near a
/// training target.
///
/// # Errors
/// [`Error::Request`] for wrong shares; [`Error::Unfit`] where a sequence is too short to leave
/// each part wanted at least one step.
pub fn by_time(cohort: &Cohort, fractions: Fractions, gap: usize) -> Result<Parts, Error> {
    check(fractions)?;
    let (mut train, mut tune, mut test) = (Vec::new(), Vec::new(), Vec::new());
    for sequence in cohort.sequences() {
        let steps = sequence.len();
        let (tune_steps, test_steps) =
            (share_of(fractions.tune, steps), share_of(fractions.test, steps));
        let gaps = gap * (usize::from(tune_steps > 0) + usize::from(test_steps > 0));
        let Some(train_steps) =
            steps.checked_sub(gaps + tune_steps + test_steps).filter(|&steps| steps > 0)
        else {
            return Err(Error::unfit(
                cohort.place(sequence),
                format!("{steps} steps are too few for a split by time with gaps of {gap}"),
                "give a longer series, a shorter window or smaller shares",
            ));
        };
        train.push(slice(sequence, 0..train_steps));
        if tune_steps > 0 {
            let start = train_steps + gap;
            tune.push(slice(sequence, start..start + tune_steps));
        }
        if test_steps > 0 {
            test.push(slice(sequence, steps - test_steps..steps));
        }
    }
    Ok(Parts {
        train: cohort.with_sequences(train),
        tune: cohort.with_sequences(tune),
        test: cohort.with_sequences(test),
    })
}

/// Refuses a split in which a subject stands on two sides.
///
/// # Errors
/// [`Error::Leakage`] naming the first such subject; [`Error::Unfit`] for a position that is not
/// in the cohort.
pub fn check_leakage(cohort: &Cohort, split: &Split) -> Result<(), Error> {
    let mut part_of: BTreeMap<&SubjectId, Part> = BTreeMap::new();
    for (positions, part) in
        [(&split.train, Part::Train), (&split.tune, Part::Tune), (&split.test, Part::Test)]
    {
        for &at in positions {
            let Some(sequence) = cohort.sequences().get(at) else {
                return Err(Error::unfit(
                    Location::default().field(format!("split.{}", part.name())),
                    format!("position {at} is not in the cohort"),
                    "make the split from the same data",
                ));
            };
            match part_of.insert(&sequence.subject, part) {
                Some(other) if other != part => {
                    return Err(leakage(&sequence.subject, other, part));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Train,
    Tune,
    Test,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Tune => "tune",
            Self::Test => "test",
        }
    }
}

fn leakage(subject: &SubjectId, first: Part, second: Part) -> Error {
    Error::Leakage {
        subject: subject.clone(),
        first: first.name(),
        second: second.name(),
        hint: "keep each subject in one part".to_owned(),
    }
}

fn check(fractions: Fractions) -> Result<(), Error> {
    let in_range = |share: f64| (0.0..1.0).contains(&share);
    if in_range(fractions.tune) && in_range(fractions.test) && fractions.tune + fractions.test < 1.0
    {
        Ok(())
    } else {
        Err(Error::request(
            "split.fractions",
            "the shares for tuning and testing must be at least 0 and together below 1",
            "leave a share for training",
        ))
    }
}

/// The nearest whole share of `count`; at least one where any is wanted.
fn share_of(fraction: f64, count: usize) -> usize {
    if fraction <= 0.0 {
        return 0;
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive share of a count is at most that count"
    )]
    let share = (fraction * count as f64).round() as usize;
    share.max(1)
}

/// As [`by_subject`] with 10 % for tuning and 10 % for testing, of sorted subjects that are no cohort yet: how many are
/// tested, then how many are tuned on, and the shuffled subjects. Fewer than three are all for training.
pub(crate) fn shuffled_tenths<T>(mut subjects: Vec<T>, seed: u64) -> (usize, usize, Vec<T>) {
    Random::new(seed, streams::SPLIT).shuffle(&mut subjects);
    let tenth = if subjects.len() < 3 { 0 } else { share_of(0.1, subjects.len()) };
    (tenth, tenth, subjects)
}

fn shuffled_subjects(cohort: &Cohort, seed: u64) -> Vec<SubjectId> {
    // Sorted first: the order of files must not matter.
    let mut subjects = cohort.subjects();
    Random::new(seed, streams::SPLIT).shuffle(&mut subjects);
    subjects
}

fn gather(cohort: &Cohort, part_of: &BTreeMap<SubjectId, Part>) -> Split {
    let mut split = Split::default();
    for (at, sequence) in cohort.sequences().iter().enumerate() {
        match part_of.get(&sequence.subject) {
            Some(Part::Train) => split.train.push(at),
            Some(Part::Tune) => split.tune.push(at),
            Some(Part::Test) => split.test.push(at),
            None => {}
        }
    }
    split
}
