//! Rounds of successive halving (Jamieson and Talwalkar 2016, *Non-stochastic best arm
//! identification and hyperparameter optimization*, AISTATS).

use crate::study::{Search, SearchMethod};

/// One round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round {
    /// Trials in it.
    pub(super) trials: usize,
    /// Epochs up to which they are trained.
    pub(super) epochs: u64,
}

/// The rounds for so many trials, the last of so many epochs.
pub(super) fn plan(search: &Search, epochs: u64, trials: usize) -> Vec<Round> {
    if search.method == SearchMethod::Random {
        return vec![Round { trials, epochs }];
    }
    let share = usize::try_from(search.reduce).unwrap_or(usize::MAX);
    let mut counts = vec![trials];
    let mut last = trials;
    while last > 1 {
        last = (last / share).max(1);
        counts.push(last);
    }
    let mut budgets = vec![epochs];
    match search.epochs {
        Some(first) => {
            budgets.clear();
            let mut budget = first;
            while budget < epochs && budgets.len() + 1 < counts.len() {
                budgets.push(budget);
                budget = budget.saturating_mul(search.reduce);
            }
            budgets.push(epochs);
        }
        None => {
            while budgets.len() < counts.len() && budgets[0] > 1 {
                budgets.insert(0, budgets[0].div_ceil(search.reduce));
            }
        }
    }
    counts.into_iter().zip(budgets).map(|(trials, epochs)| Round { trials, epochs }).collect()
}

/// Epochs of all rounds together.
pub(super) fn epochs(rounds: &[Round]) -> u64 {
    let mut before = 0;
    let new = rounds.iter().map(|round| {
        let new = (round.epochs - before) * round.trials as u64;
        before = round.epochs;
        new
    });
    new.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(search: &Search, epochs: u64, trials: usize) -> Vec<(usize, u64)> {
        plan(search, epochs, trials).iter().map(|round| (round.trials, round.epochs)).collect()
    }

    #[test]
    fn each_round_has_a_share_of_the_trials_and_a_multiple_of_the_epochs() {
        let search = Search::default();
        assert_eq!(of(&search, 20, 16), [(16, 3), (5, 7), (1, 20)]);
        assert_eq!(of(&search, 27, 27), [(27, 1), (9, 3), (3, 9), (1, 27)]);
        assert_eq!(epochs(&plan(&search, 27, 27)), 27 + 9 * 2 + 3 * 6 + 18);
        let given = Search { epochs: Some(5), ..search.clone() };
        assert_eq!(of(&given, 20, 16), [(16, 5), (5, 15), (1, 20)]);
        let random = Search { method: SearchMethod::Random, ..search };
        assert_eq!(of(&random, 20, 16), [(16, 20)]);
    }

    #[test]
    fn few_trials_or_epochs_make_few_rounds_and_the_last_is_whole() {
        let search = Search::default();
        for (epochs, trials) in [(1, 1), (1, 16), (2, 5), (100, 2), (3, 1000)] {
            let rounds = of(&search, epochs, trials);
            assert_eq!((rounds[0].0, rounds[rounds.len() - 1].1), (trials, epochs));
            assert!(rounds.windows(2).all(|pair| pair[0].1 < pair[1].1), "{rounds:?}");
        }
    }
}
