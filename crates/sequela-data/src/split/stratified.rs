//! A split by subject in which every part has about the same share of each class.

use std::collections::BTreeMap;

use sequela_core::{Location, SubjectId};

use super::{Fractions, Part, Split, check, gather, share_of, shuffled_subjects};
use crate::{Cohort, Error};

/// A split of the subjects at random, by shares, within each class.
///
/// A class with too few subjects for all parts goes to training first, then to the test, then to
/// tuning. Subjects without a class form one of their own.
///
/// **Determinism** a function of the subjects' names, their classes, the fractions and the seed.
///
/// # Errors
/// [`Error::Request`] for shares outside 0 to 1 or that leave nothing for training;
/// [`Error::Unfit`] where a part that is wanted gets no subject.
///
/// # Example
/// ```
/// use std::collections::BTreeMap;
/// use sequela_core::{Sequence, SubjectId};
/// use sequela_data::split::{Fractions, by_subject_within_classes};
/// use sequela_data::{Cohort, heart_rate};
/// let subjects: Vec<SubjectId> = (0..20).map(|n| SubjectId::new(format!("p{n:02}"))).collect();
/// let series = |who: &SubjectId| Sequence::numeric(who.as_str(), who.clone(), 1, &[60.0]);
/// let cohort = subjects.iter().map(series).collect::<Result<Vec<_>, _>>()?;
/// let cohort = Cohort::new(heart_rate::schema(), cohort, "by hand")?;
/// // One in four is ill, in each part.
/// let classes: BTreeMap<SubjectId, &str> = subjects.iter().enumerate()
///     .map(|(n, who)| (who.clone(), if n % 4 == 0 { "ill" } else { "well" })).collect();
/// let split =
///     by_subject_within_classes(&cohort, &classes, Fractions { tune: 0.2, test: 0.2 }, 1)?;
/// let ill = |part: &[usize]| part.iter().filter(|&&at| at % 4 == 0).count();
/// assert_eq!((ill(&split.train), ill(&split.tune), ill(&split.test)), (3, 1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn by_subject_within_classes(
    cohort: &Cohort,
    classes: &BTreeMap<SubjectId, &str>,
    fractions: Fractions,
    seed: u64,
) -> Result<Split, Error> {
    check(fractions)?;
    let mut members: BTreeMap<Option<&str>, Vec<SubjectId>> = BTreeMap::new();
    for subject in shuffled_subjects(cohort, seed) {
        members.entry(classes.get(&subject).copied()).or_default().push(subject);
    }
    let mut part_of = BTreeMap::new();
    for subjects in members.into_values() {
        let spare = subjects.len().saturating_sub(1);
        let test = share_of(fractions.test, subjects.len()).min(spare);
        let tune = share_of(fractions.tune, subjects.len()).min(spare - test);
        for (rank, subject) in subjects.into_iter().enumerate() {
            let part = match rank {
                rank if rank < test => Part::Test,
                rank if rank < test + tune => Part::Tune,
                _ => Part::Train,
            };
            part_of.insert(subject, part);
        }
    }
    let split = gather(cohort, &part_of);
    let lacks = |wanted: f64, part: &[usize]| wanted > 0.0 && part.is_empty();
    if split.train.is_empty()
        || lacks(fractions.tune, &split.tune)
        || lacks(fractions.test, &split.test)
    {
        return Err(Error::unfit(
            Location::file(cohort.source()),
            format!(
                "{} subjects in their classes are too few for the parts of the split",
                part_of.len()
            ),
            "give more subjects of each class, or name fewer parts",
        ));
    }
    Ok(split)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::Sequence;

    fn parts(sizes: &[(&str, usize)], fractions: Fractions) -> Result<[Vec<String>; 3], Error> {
        let mut classes = BTreeMap::new();
        let mut sequences = Vec::new();
        for (class, count) in sizes {
            for number in 0..*count {
                let who = SubjectId::new(format!("{class}{number}"));
                sequences.push(Sequence::numeric(who.as_str(), who.clone(), 1, &[1.0])?);
                classes.insert(who, *class);
            }
        }
        let cohort = Cohort::new(crate::heart_rate::schema(), sequences, "by hand")?;
        let split = by_subject_within_classes(&cohort, &classes, fractions, 7)?;
        super::super::check_leakage(&cohort, &split)?;
        let names = |part: &[usize]| -> Vec<String> {
            part.iter().map(|&at| cohort.sequences()[at].id.clone()).collect()
        };
        Ok([names(&split.train), names(&split.tune), names(&split.test)])
    }

    #[test]
    fn rare_classes_are_trained_on_first() {
        let fractions = Fractions { tune: 0.2, test: 0.2 };
        let parts = parts(&[("a", 10), ("b", 1), ("c", 2), ("d", 3)], fractions).unwrap();
        let counts = |part: &[String]| ["a", "b", "c", "d"].map(|c| count(part, c));
        assert_eq!(counts(&parts[0]), [6, 1, 1, 1]);
        assert_eq!(counts(&parts[1]), [2, 0, 0, 1]);
        assert_eq!(counts(&parts[2]), [2, 0, 1, 1]);
    }

    fn count(part: &[String], class: &str) -> usize {
        part.iter().filter(|name| name.starts_with(class)).count()
    }

    #[test]
    fn a_part_that_nobody_is_left_for_is_refused() {
        let fractions = Fractions { tune: 0.2, test: 0.2 };
        assert!(parts(&[("a", 1), ("b", 1)], fractions).is_err());
        assert!(parts(&[("a", 2), ("b", 2)], fractions).is_err());
        let none = Fractions { tune: 0.0, test: 0.0 };
        assert_eq!(parts(&[("a", 1), ("b", 1)], none).unwrap()[0].len(), 2);
    }
}
