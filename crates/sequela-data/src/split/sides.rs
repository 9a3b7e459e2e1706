//! Splits whose test part is another place or another time, not a draw of the same people.

use std::collections::{BTreeMap, BTreeSet};

use sequela_core::{Location, SubjectId};

use super::{Fractions, Part, Split, by_subject_within_classes, check, gather, share_of};
use crate::{Cohort, Error};

/// A split that tests exactly these subjects (those of a hospital, of a ward), and tunes on a
/// share of the others, drawn within their classes.
///
/// **Determinism** a function of the subjects' names, their classes, the share and the seed.
///
/// # Errors
/// [`Error::Unfit`] where no subject is tested, or none is left for training or for the tuning that is
/// wanted; [`Error::Request`] for a share outside 0 to 1.
///
/// # Example
/// ```
/// use std::collections::{BTreeMap, BTreeSet};
/// use sequela_core::{Sequence, SubjectId};
/// use sequela_data::split::of_tested;
/// use sequela_data::{Cohort, heart_rate};
/// let subjects: Vec<SubjectId> = (0..10).map(|n| SubjectId::new(format!("p{n}"))).collect();
/// let series = |who: &SubjectId| Sequence::numeric(who.as_str(), who.clone(), 1, &[60.0]);
/// let cohort = subjects.iter().map(series).collect::<Result<Vec<_>, _>>()?;
/// let cohort = Cohort::new(heart_rate::schema(), cohort, "two hospitals")?;
/// let other_hospital: BTreeSet<SubjectId> = subjects[..4].iter().cloned().collect();
/// let split = of_tested(&cohort, &other_hospital, (&BTreeMap::new(), 0.2), 1)?;
/// assert_eq!(split.test, [0, 1, 2, 3]);
/// assert_eq!((split.train.len(), split.tune.len()), (5, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn of_tested(
    cohort: &Cohort,
    tested: &BTreeSet<SubjectId>,
    (classes, tune): (&BTreeMap<SubjectId, &str>, f64),
    seed: u64,
) -> Result<Split, Error> {
    let all = cohort.sequences().iter().enumerate();
    let (test, rest): (Vec<usize>, Vec<usize>) =
        all.map(|(at, _)| at).partition(|&at| tested.contains(&cohort.sequences()[at].subject));
    if test.is_empty() || rest.is_empty() {
        let what =
            if test.is_empty() { "nobody is to be tested" } else { "everybody is to be tested" };
        return Err(Error::unfit(
            Location::file(cohort.source()),
            what,
            "name a group that some subjects belong to, and others do not",
        ));
    }
    let others = cohort.select(&rest);
    let split = by_subject_within_classes(&others, classes, Fractions { tune, test: 0.0 }, seed)?;
    let back = |positions: &[usize]| positions.iter().map(|&at| rest[at]).collect();
    Ok(Split { train: back(&split.train), tune: back(&split.tune), test })
}

/// A split by when subjects came: the earliest are trained on, later ones tuned on, the last tested.
///
/// A subject came when the first step of its first record was. Of subjects that came at the same
/// time the order is that of their names, and they may stand in two parts.
///
/// # Errors
/// [`Error::Request`] for wrong shares; [`Error::Unfit`] where a series has no times, all subjects
/// came at the same time (their times count from their own start), or too few are left for a part.
///
/// # Example
/// ```
/// use sequela_core::{Sequence, SubjectId};
/// use sequela_data::split::{Fractions, by_start};
/// use sequela_data::{Cohort, heart_rate};
/// let came = |who: &str, hour: f64| {
///     Sequence::numeric(who, SubjectId::new(who), 1, &[60.0])?.with_times(vec![hour])
/// };
/// let cohort = vec![came("a", 300.0)?, came("b", 100.0)?, came("c", 200.0)?];
/// let cohort = Cohort::new(heart_rate::schema(), cohort, "a year")?;
/// let split = by_start(&cohort, Fractions { tune: 0.33, test: 0.33 })?;
/// assert_eq!((split.train, split.tune, split.test), (vec![1], vec![2], vec![0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn by_start(cohort: &Cohort, fractions: Fractions) -> Result<Split, Error> {
    check(fractions)?;
    let mut came: BTreeMap<&SubjectId, f64> = BTreeMap::new();
    for sequence in cohort.sequences() {
        let Some(&first) = sequence.times.as_ref().and_then(|times| times.first()) else {
            return Err(Error::unfit(
                cohort.place(sequence),
                "it has no times, so that nothing says when the subject came",
                "name the column of times, or split by subject",
            ));
        };
        let known = came.entry(&sequence.subject).or_insert(first);
        *known = known.min(first);
    }
    let mut order: Vec<(&SubjectId, f64)> = came.into_iter().collect();
    order.sort_by(|one, other| one.1.total_cmp(&other.1));
    let count = order.len();
    let (tune, test) = (share_of(fractions.tune, count), share_of(fractions.test, count));
    let Some(train) = count.checked_sub(tune + test).filter(|&train| train > 0) else {
        return Err(Error::unfit(
            Location::file(cohort.source()),
            format!("{count} subjects are too few for the parts of the split"),
            "give more subjects, or name fewer parts",
        ));
    };
    if order.first().map(|first| first.1) >= order.last().map(|last| last.1) && count > 1 {
        return Err(Error::unfit(
            Location::file(cohort.source()),
            "all subjects came at the same time: their times count from their own start",
            "give dates, or split by subject",
        ));
    }
    let part_of = order.into_iter().enumerate().map(|(rank, (subject, _))| {
        let part = match rank {
            rank if rank < train => Part::Train,
            rank if rank < train + tune => Part::Tune,
            _ => Part::Test,
        };
        (subject.clone(), part)
    });
    Ok(gather(cohort, &part_of.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::Sequence;

    fn cohort(came: &[(&str, f64)]) -> Cohort {
        let of = |&(who, hour): &(&str, f64)| {
            let id = format!("{who} at {hour}");
            let steps = Sequence::numeric(id, SubjectId::new(who), 1, &[1.0, 2.0]).unwrap();
            steps.with_times(vec![hour, hour + 1.0]).unwrap()
        };
        let sequences = came.iter().map(of).collect();
        Cohort::new(crate::heart_rate::schema(), sequences, "ward").unwrap()
    }

    #[test]
    fn the_first_record_says_when_a_subject_came() {
        let records = [("a", 9.0), ("b", 5.0), ("a", 1.0), ("c", 7.0), ("d", 8.0)];
        let split = by_start(&cohort(&records), Fractions { tune: 0.25, test: 0.25 }).unwrap();
        assert_eq!((split.train, split.tune, split.test), (vec![0, 1, 2], vec![3], vec![4]));
    }

    #[test]
    fn what_cannot_be_ordered_is_refused() {
        let fractions = Fractions { tune: 0.2, test: 0.2 };
        let told = |cohort: &Cohort| by_start(cohort, fractions).unwrap_err().to_string();
        assert!(told(&cohort(&[("a", 0.0), ("b", 0.0), ("c", 0.0)])).contains("at the same time"));
        assert!(told(&cohort(&[("a", 0.0), ("b", 1.0)])).contains("too few"));
        let plain = Sequence::numeric("x", SubjectId::new("x"), 1, &[1.0]).unwrap();
        let plain = Cohort::new(crate::heart_rate::schema(), vec![plain], "ward").unwrap();
        assert!(told(&plain).contains("no times"));
    }

    #[test]
    fn a_test_group_of_nobody_or_everybody_is_refused() {
        let cohort = cohort(&[("a", 0.0), ("b", 1.0), ("c", 2.0)]);
        let with = |names: &[&str]| {
            let tested = names.iter().map(|name| SubjectId::new(*name)).collect();
            of_tested(&cohort, &tested, (&BTreeMap::new(), 0.3), 1)
        };
        assert!(with(&["z"]).unwrap_err().to_string().contains("nobody"));
        assert!(with(&["a", "b", "c"]).unwrap_err().to_string().contains("everybody"));
        let split = with(&["b"]).unwrap();
        super::super::check_leakage(&cohort, &split).unwrap();
        assert_eq!((split.test, split.tune.len(), split.train.len()), (vec![1], 1, 1));
    }
}
