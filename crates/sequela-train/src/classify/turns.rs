//! A committee: every network is tuned on another part of the people that are trained on, and all of
//! them are judged, for all that is chosen afterwards, on the parts that they have not seen.
//!
//! ```text
//! people trained on --dealt within classes--> part 1 | part 2 | ... | part K
//! network m: trained on all but part (m - 1) mod K + 1, stopped by the loss on that part
//! blend, threshold, recalibration: from what is said of each part by those not trained on it
//! ```
//!
//! Nobody is kept from training for good, and all choices rest on everybody instead of on a few.
//! Scales alone are those of everybody: they know no class.
//!
//! **Source** Krogh and Vedelsby 1995, Advances in Neural Information Processing Systems 7, 231
//! (ensembles by cross-validation); Parmanto, Munro and Doyle 1996 (cross-validation committees); Wolpert
//! 1992, Neural Networks 5, 241 (choices from what is said of those who were held out).

use std::collections::BTreeMap;

use sequela_core::{SubjectId, Target};
use sequela_data::Cohort;
use sequela_data::split::{Folds, folds};

use super::cases::Cases;
use crate::Error;
use crate::study::Study;

/// Which series of the training part are in which of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turns {
    /// For each part the positions of its series.
    parts: Vec<Vec<u32>>,
    /// Series of all parts together.
    series: usize,
}

impl Turns {
    /// The parts of a study, of which none has people of another; none where it has no turns.
    pub(super) fn deal(study: &Study, train: &Cohort) -> Result<Option<Self>, Error> {
        let Some(count) = study.ensemble.turns else { return Ok(None) };
        let mut highest: BTreeMap<SubjectId, u32> = BTreeMap::new();
        for sequence in train.sequences() {
            let class = match &sequence.target {
                Target::Class(class) => *class,
                Target::PerStep(classes) => classes.iter().flatten().max().copied().unwrap_or(0),
                _ => 0,
            };
            let before = highest.entry(sequence.subject.clone()).or_default();
            *before = class.max(*before);
        }
        let words: BTreeMap<u32, String> =
            highest.values().map(|class| (*class, class.to_string())).collect();
        let classes = highest.into_iter().map(|(who, class)| (who, words[&class].as_str()));
        // Another deal than that of the folds outside.
        let seed = study.study.seed.wrapping_add(DEAL);
        let dealt = folds(train, &classes.collect(), Folds { count, tune: 0.0 }, seed)?;
        let narrow = |at: &usize| u32::try_from(*at).unwrap_or(u32::MAX);
        let parts = dealt.iter().map(|fold| {
            let mut part: Vec<u32> = fold.test.iter().map(narrow).collect();
            part.sort_unstable();
            part
        });
        Ok(Some(Self { parts: parts.collect(), series: train.len() }))
    }

    /// How many there are, K.
    pub(super) fn count(&self) -> usize {
        self.parts.len()
    }

    /// The part that a member of an ensemble, from 1, is tuned on: from 0.
    pub(super) fn of(&self, member: usize) -> usize {
        member.saturating_sub(1) % self.count()
    }

    /// The series of a part.
    pub(super) fn held(&self, turn: usize) -> &[u32] {
        &self.parts[turn]
    }

    /// The series of all other parts.
    pub(super) fn others(&self, turn: usize) -> Vec<u32> {
        let mut is_held = vec![false; self.series];
        for &at in &self.parts[turn] {
            is_held[at as usize] = true;
        }
        let all = 0..u32::try_from(self.series).unwrap_or(u32::MAX);
        all.filter(|&at| !is_held[at as usize]).collect()
    }

    /// Who is trained on and who is tuned on in a turn.
    pub(super) fn cases(&self, train: &Cases, turn: usize) -> (Cases, Cases) {
        (train.part(&self.others(turn)), train.part(self.held(turn)))
    }
}

/// `tuned on 960`, or how those trained on were tuned on.
pub(super) fn tuned_words(study: &Study, subjects: usize) -> String {
    match study.ensemble.turns {
        Some(turns) => {
            format!("of whom each network was tuned on another of {turns} parts")
        }
        None => format!("tuned on {subjects}"),
    }
}

/// What the seed of the deal is away from that of the study.
const DEAL: u64 = 0x7475_726e_0000_0001;

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::Sequence;
    use sequela_data::heart_rate;

    fn cohort() -> Cohort {
        // Two series of each subject, one subject in five a case.
        let series = (0..60_u32).map(|n| {
            let who = SubjectId::new(format!("p{:02}", n / 2));
            let mut one = Sequence::numeric(format!("s{n:02}"), who, 1, &[60.0]).unwrap();
            one.target = Target::Class(u32::from(n / 2 % 5 == 0));
            one
        });
        Cohort::new(heart_rate::schema(), series.collect(), "by hand").unwrap()
    }

    fn study(turns: usize) -> Study {
        let mut study = Study::builtin("simulated", &[]).unwrap();
        study.ensemble.turns = Some(turns);
        study
    }

    #[test]
    fn everybody_is_held_out_once_with_all_series_and_each_part_has_cases() {
        let cohort = cohort();
        let turns = Turns::deal(&study(3), &cohort).unwrap().unwrap();
        let mut seen = vec![0; 60];
        for turn in 0..3 {
            let (held, others) = (turns.held(turn), turns.others(turn));
            assert_eq!(held.len() + others.len(), 60);
            for &at in held {
                seen[at as usize] += 1;
            }
            let who = |at: &u32| cohort.sequences()[*at as usize].subject.clone();
            assert!(held.iter().all(|at| !others.iter().map(who).any(|other| other == who(at))));
            let cases = held.iter().filter(|at| **at / 2 % 5 == 0).count();
            assert_eq!((held.len(), cases), (20, 4));
        }
        assert!(seen.iter().all(|&times| times == 1));
        assert_eq!([1, 2, 3, 4, 6].map(|member| turns.of(member)), [0, 1, 2, 0, 2]);
    }

    #[test]
    fn the_deal_hangs_on_the_seed_alone() {
        let cohort = cohort();
        let mut study = study(5);
        let one = Turns::deal(&study, &cohort).unwrap();
        assert_eq!(one, Turns::deal(&study, &cohort).unwrap());
        study.study.seed += 1;
        assert_ne!(one, Turns::deal(&study, &cohort).unwrap());
        study.ensemble.turns = None;
        assert_eq!(Turns::deal(&study, &cohort).unwrap(), None);
    }
}
