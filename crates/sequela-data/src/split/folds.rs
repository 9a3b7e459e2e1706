//! Cross-validation by subject: everyone is judged once, by a model that has never seen them.

use std::collections::BTreeMap;

use sequela_core::{Location, SubjectId};
use serde::{Deserialize, Serialize};

use super::{Part, Split, gather, share_of, shuffled_subjects};
use crate::{Cohort, Error};

/// How many folds, and how much of the rest of each is kept for tuning.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Folds {
    /// Number of folds, K.
    pub count: usize,
    /// The share of the subjects outside the test part of a fold that its choices (stopping,
    /// strengths, thresholds) are made on; may be 0.
    pub tune: f64,
}

/// K splits in which each subject is tested exactly once, each with about the same share of every
/// class in every part.
///
/// Within a fold, tuning subjects come from those that are not tested there: choices are nested
/// inside the training side. Test parts differ in size by one subject at most. Subjects without
/// a class form one of their own; no class at all is one class.
///
/// **Determinism** a function of the subjects' names, their classes, the folds and the seed.
///
/// # Errors
/// [`Error::Request`] for fewer than 2 folds or a share outside 0 to 1; [`Error::Unfit`] for fewer
/// subjects than folds, or where a fold is left without a part that is wanted.
///
/// # Example
/// ```
/// use std::collections::BTreeMap;
/// use sequela_core::{Sequence, SubjectId};
/// use sequela_data::split::{Folds, check_leakage, folds};
/// use sequela_data::{Cohort, heart_rate};
/// let subjects: Vec<SubjectId> = (0..20).map(|n| SubjectId::new(format!("p{n:02}"))).collect();
/// let series = |who: &SubjectId| Sequence::numeric(who.as_str(), who.clone(), 1, &[60.0]);
/// let cohort = subjects.iter().map(series).collect::<Result<Vec<_>, _>>()?;
/// let cohort = Cohort::new(heart_rate::schema(), cohort, "by hand")?;
/// // One in four is ill.
/// let classes: BTreeMap<SubjectId, &str> = subjects.iter().enumerate()
///     .map(|(n, who)| (who.clone(), if n % 4 == 0 { "ill" } else { "well" })).collect();
/// let five = folds(&cohort, &classes, Folds { count: 5, tune: 0.25 }, 1)?;
/// for fold in &five {
///     check_leakage(&cohort, fold)?;
///     assert_eq!((fold.train.len(), fold.tune.len(), fold.test.len()), (12, 4, 4));
///     assert_eq!(fold.test.iter().filter(|&&at| at % 4 == 0).count(), 1);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn folds(
    cohort: &Cohort,
    classes: &BTreeMap<SubjectId, &str>,
    folds: Folds,
    seed: u64,
) -> Result<Vec<Split>, Error> {
    let Folds { count, tune } = folds;
    if count < 2 {
        return Err(Error::request("folds", "there must be at least 2", "ask for 5 or 10"));
    }
    if !(0.0..1.0).contains(&tune) {
        return Err(Error::request(
            "split.fractions",
            "the share for tuning must be at least 0 and below 1",
            "leave a share for training",
        ));
    }
    let mut members: BTreeMap<Option<&str>, Vec<SubjectId>> = BTreeMap::new();
    let subjects = shuffled_subjects(cohort, seed);
    let total = subjects.len();
    for subject in subjects {
        members.entry(classes.get(&subject).copied()).or_default().push(subject);
    }
    // Dealt like cards, on and on over the classes, so that no fold gets the first of each.
    let mut hands = Vec::with_capacity(total);
    let mut dealt = 0;
    for subjects in members.into_values() {
        let first = hands.len();
        for subject in subjects {
            hands.push((subject, dealt % count, first));
            dealt += 1;
        }
    }
    let split = |fold: usize| gather(cohort, &parts(&hands, fold, folds));
    let all: Vec<Split> = (0..count).map(split).collect();
    let lacks = |fold: &Split| {
        fold.test.is_empty() || fold.train.is_empty() || (tune > 0.0 && fold.tune.is_empty())
    };
    if total < count || all.iter().any(lacks) {
        return Err(Error::unfit(
            Location::file(cohort.source()),
            format!("{total} subjects are too few for {count} folds and their parts"),
            "ask for fewer folds, or give more subjects of each class",
        ));
    }
    Ok(all)
}

/// Who is where in one fold. A hand is a subject, the fold that tests it, and where its class
/// begins.
fn parts(
    hands: &[(SubjectId, usize, usize)],
    fold: usize,
    Folds { count, tune }: Folds,
) -> BTreeMap<SubjectId, Part> {
    let mut part_of = BTreeMap::new();
    for class in hands.chunk_by(|one, other| one.2 == other.2) {
        // Beginning with the fold that is tested next: other people tune in every fold.
        let mut rest: Vec<&(SubjectId, usize, usize)> =
            class.iter().filter(|(_, tested, _)| *tested != fold).collect();
        rest.sort_by_key(|(_, tested, _)| (*tested + count - fold - 1) % count);
        let tuning = share_of(tune, rest.len()).min(rest.len().saturating_sub(1));
        for (subject, tested, _) in class {
            if *tested == fold {
                part_of.insert(subject.clone(), Part::Test);
            }
        }
        for (rank, (subject, ..)) in rest.into_iter().enumerate() {
            let part = if rank < tuning { Part::Tune } else { Part::Train };
            part_of.insert(subject.clone(), part);
        }
    }
    part_of
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::Sequence;

    #[test]
    fn everyone_is_tested_once_and_tuned_on_by_turns() {
        let mut classes = BTreeMap::new();
        let mut sequences = Vec::new();
        for (class, count) in [("a", 31), ("b", 7), ("c", 1)] {
            for number in 0..count {
                let who = SubjectId::new(format!("{class}{number}"));
                sequences.push(Sequence::numeric(who.as_str(), who.clone(), 1, &[1.0]).unwrap());
                classes.insert(who, class);
            }
        }
        let cohort = Cohort::new(crate::heart_rate::schema(), sequences, "by hand").unwrap();
        let all = folds(&cohort, &classes, Folds { count: 4, tune: 0.2 }, 3).unwrap();
        let mut tested = vec![0; cohort.len()];
        let mut tuned = vec![0; cohort.len()];
        for fold in &all {
            super::super::check_leakage(&cohort, fold).unwrap();
            assert_eq!(fold.train.len() + fold.tune.len() + fold.test.len(), cohort.len());
            assert!((9..=10).contains(&fold.test.len()), "{fold:?}");
            let of_b = |part: &[usize]| part.iter().filter(|&&at| (31..38).contains(&at)).count();
            assert!((1..=2).contains(&of_b(&fold.test)) && of_b(&fold.tune) == 1, "{fold:?}");
            fold.test.iter().for_each(|&at| tested[at] += 1);
            fold.tune.iter().for_each(|&at| tuned[at] += 1);
        }
        assert!(tested.iter().all(|&times| times == 1));
        assert!(tuned.iter().all(|&times| times <= 1), "{tuned:?}");
    }
}
