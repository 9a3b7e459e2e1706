//! The other baseline that a recurrent network has to beat: gradient-boosted trees on summaries.
//!
//! Second-order boosting of regression trees on the log loss, each tree grown from the leaf that
//! gains most, splits found on histograms of at most 64 quantiles, missing values on the side that
//! gains more. One thread, sums in one order, randomness by the counter-based generator: the same
//! trees on every machine.
//!
//! **Source** Friedman, Annals of Statistics 29 (2001) 1189; Chen and Guestrin, KDD 2016 (gain,
//! missing values); Ke et al., 2017, `LightGBM` (growing by leaves). `docs/adr/0016` says why not a crate.

mod bins;
mod features;
mod grow;
mod tree;

use sequela_core::Random;
use sequela_eval::classify::log_loss_classes;
use serde::{Deserialize, Serialize};

use super::cases::{Cases, Sample};
use super::numbers::Sees;
use bins::Bins;
use features::features;
use grow::{Caution, Grower, Slopes};
use tree::Tree;

/// Gradient-boosted trees on twelve summaries of each channel: with more than two classes those of
/// each class against the rest, whose probabilities are made to add up to 1.
///
/// How many trees and of how many leaves is chosen on the tuning part. Class weights play no part.
/// Many steps are fitted by a sample of them, in which those of rare classes are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoostedTrees {
    /// Leaves of a tree at most: the number that did best on the tuning part; of several parts
    /// the largest.
    pub leaves: usize,
    /// Of the second of two classes, or of each class.
    forests: Vec<Forest>,
    /// The probability of the second of two classes from which on it is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

/// Log odds as a sum of trees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Forest {
    /// Log odds before any tree.
    start: f64,
    trees: Vec<Tree>,
}

impl BoostedTrees {
    /// Grows trees of each number of leaves and keeps those with the lowest log loss on the tuning
    /// part; none where there are no numbers of leaves or too many channels.
    pub(in crate::classify) fn fit(
        (train, tune): (&Cases, &Cases),
        classes: usize,
        leaves: &[usize],
        seed: u64,
    ) -> Option<Self> {
        let sample = train.sample(MOST_ROWS, seed);
        let rows = if leaves.is_empty() { Vec::new() } else { features(train, &sample.rows) };
        let width = rows.len() / sample.rows.len().max(1);
        if width == 0 || width > MOST || leaves.is_empty() {
            return None;
        }
        let bins = Bins::new(&rows, width);
        let caution = match train.steps {
            Some(_) => Caution::of_steps(sample.rows.len()),
            None => Caution::SERIES,
        };
        let tuned = tune.sample(MOST_ROWS, seed);
        let held = features(tune, &tuned.rows);
        let judged: Vec<usize> = if classes == 2 { vec![1] } else { (0..classes).collect() };
        let mut best: Option<(f64, Self)> = None;
        for &leaves in leaves {
            let grow = |&class: &usize| {
                let chosen = |cases: &Cases, sample: &Sample| {
                    let is_class = cases.is(class);
                    sample.rows.iter().map(|&row| is_class[row]).collect::<Vec<bool>>()
                };
                let weights = sample.weights.as_deref();
                let told = Told { is_case: &chosen(train, &sample), weights };
                let is_case = chosen(tune, &tuned);
                let known = Told { is_case: &is_case, weights: tuned.weights.as_deref() };
                boost(&Grower::new(&bins, leaves, caution), told, (&held, known), seed)
            };
            let model =
                Self { leaves, forests: judged.iter().map(grow).collect(), threshold: None };
            let loss = model.loss(tune, &tuned, &held, classes).unwrap_or(0.0);
            if best.as_ref().is_none_or(|(lowest, _)| loss < *lowest) {
                best = Some((loss, model));
            }
        }
        best.map(|(_, model)| model)
    }

    /// Several that answer together: the log odds of a class are the mean of what each says; none
    /// of none.
    pub(in crate::classify) fn together(members: Vec<Self>) -> Option<Self> {
        let count = members.len() as f64;
        let mut members = members.into_iter();
        let mut all = members.next()?;
        for member in members {
            all.leaves = all.leaves.max(member.leaves);
            for (forest, other) in all.forests.iter_mut().zip(member.forests) {
                forest.start += other.start;
                forest.trees.extend(other.trees);
            }
        }
        for forest in &mut all.forests {
            forest.start /= count;
            forest.trees.iter_mut().for_each(|tree| tree.divide(count));
        }
        Some(all)
    }

    fn loss(&self, tune: &Cases, tuned: &Sample, held: &[f32], classes: usize) -> Option<f64> {
        let truth = tuned.rows.iter().map(|&row| tune.class[row]);
        let truth: Vec<u32> = truth.collect::<Option<_>>()?;
        let width = held.len() / tuned.rows.len().max(1);
        let said = self.of_rows(held, width);
        log_loss_classes(&said, classes, &truth, tuned.weights.as_deref()).ok()
    }

    /// The probability of each class, `(N, K)`.
    pub(in crate::classify) fn probabilities(&self, cases: &Cases) -> Vec<f64> {
        let mut all = Vec::with_capacity(cases.len() * self.forests.len().max(2));
        let rows: Vec<usize> = (0..cases.len()).collect();
        for rows in rows.chunks(ROWS_AT_ONCE) {
            let seen = features(cases, rows);
            all.extend(self.of_rows(&seen, seen.len() / rows.len()));
        }
        all
    }

    fn of_rows(&self, rows: &[f32], width: usize) -> Vec<f64> {
        let mut all = Vec::new();
        for row in rows.chunks_exact(width.max(1)) {
            let each: Vec<f64> =
                self.forests.iter().map(|forest| sigmoid(forest.log_odds(row))).collect();
            if let [case] = each[..] {
                all.extend([1.0 - case, case]);
            } else {
                let sum: f64 = each.iter().sum::<f64>().max(f64::MIN_POSITIVE);
                all.extend(each.iter().map(|p| p / sum));
            }
        }
        all
    }

    /// How many trees there are.
    pub fn trees(&self) -> usize {
        self.forests.iter().map(|forest| forest.trees.len()).sum()
    }

    /// Whether the trees of a file fit so many channels and classes.
    pub(in crate::classify) fn is_sound(&self, sees: Sees, classes: usize) -> bool {
        let wanted = if classes == 2 { 1 } else { classes };
        self.forests.len() == wanted
            && self.forests.iter().all(|forest| {
                forest.start.is_finite()
                    && forest.trees.iter().all(|tree| tree.is_sound(features::width(sees)))
            })
    }
}

impl Forest {
    fn log_odds(&self, row: &[f32]) -> f64 {
        self.trees.iter().fold(self.start, |sum, tree| sum + f64::from(tree.value(row)))
    }
}

/// Which rows are cases, and what each counts for.
#[derive(Clone, Copy)]
struct Told<'a> {
    is_case: &'a [bool],
    weights: Option<&'a [f64]>,
}

impl Told<'_> {
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// The weight of the cases, and of all rows.
    fn totals(&self) -> (f64, f64) {
        let each = self.is_case.iter().enumerate();
        each.fold((0.0, 0.0), |(cases, all), (row, &case)| {
            let weight = self.weight(row);
            (cases + if case { weight } else { 0.0 }, all + weight)
        })
    }
}

/// Trees for one class against the rest, as many as the tuning part bears.
fn boost(
    grower: &Grower<'_>,
    told: Told<'_>,
    (held, known): (&[f32], Told<'_>),
    seed: u64,
) -> Forest {
    let (is_case, held_case) = (told.is_case, known.is_case);
    let count = is_case.len();
    let (cases, total) = told.totals();
    let share = ((cases + 0.5) / (total + 1.0)).clamp(1e-6, 1.0 - 1e-6);
    let start = libm::log(share / (1.0 - share));
    let mut odds = vec![start; count];
    let mut held_odds = vec![start; held_case.len()];
    let mut slopes = vec![Slopes::default(); count];
    let mut grower = grower.clone();
    let bins = grower.bins;
    let mut forest = Forest { start, trees: Vec::new() };
    let mut best = (log_loss(&held_odds, known), 0);
    // Without a tuning part there is nothing to stop by: few trees are safe.
    let most = if held_case.is_empty() { UNTUNED } else { TREES };
    while forest.trees.len() < most && forest.trees.len() < best.1 + PATIENCE {
        for (row, slope) in slopes.iter_mut().enumerate() {
            let (p, weight) = (sigmoid(odds[row]), told.weight(row));
            let first = p - f64::from(u8::from(is_case[row]));
            *slope = Slopes { first: weight * first, second: weight * p * (1.0 - p) };
        }
        let number = forest.trees.len() as u64;
        let random = Random::new(seed, STREAM.wrapping_add(number));
        let Some(tree) = grower.grow(&slopes, random) else { break };
        for (row, odds) in odds.iter_mut().enumerate() {
            *odds += f64::from(tree.value_of(bins, row));
        }
        if !held_case.is_empty() {
            for (odds, row) in held_odds.iter_mut().zip(held.chunks_exact(bins.width)) {
                *odds += f64::from(tree.value(row));
            }
            let loss = log_loss(&held_odds, known);
            if loss < best.0 {
                best = (loss, forest.trees.len() + 1);
            }
        }
        forest.trees.push(tree);
    }
    if !held_case.is_empty() {
        forest.trees.truncate(best.1);
    }
    forest
}

fn log_loss(odds: &[f64], known: Told<'_>) -> f64 {
    let each = odds.iter().zip(known.is_case).enumerate().map(|(row, (&odds, &case))| {
        let against = if case { -odds } else { odds };
        // ln(1 + e^x) without overflow.
        known.weight(row) * (libm::fmax(against, 0.0) + libm::log1p(libm::exp(-against.abs())))
    });
    each.sum::<f64>() / libm::fmax(known.totals().1, 1.0)
}

fn sigmoid(odds: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-odds))
}

/// Trees at most.
const TREES: usize = 1500;
/// Trees where there is no tuning part.
const UNTUNED: usize = 100;
/// Trees without a better tuning loss after which no more are grown.
const PATIENCE: usize = 60;
/// Summaries at most.
const MOST: usize = 20_000;
/// Rows that trees are grown on, and chosen by, at most.
pub(super) const MOST_ROWS: usize = 60_000;
/// Rows that are told at once.
const ROWS_AT_ONCE: usize = 4096;
/// The random stream of the first tree.
const STREAM: u64 = 0x7472_0001 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of three numbers; the class hangs on an exclusive or of two, which no line tells, and
    /// on whether the third is missing.
    fn table(count: u64) -> (Vec<f32>, Vec<bool>) {
        let random = Random::new(5, 9);
        let (mut rows, mut is_case) = (Vec::new(), Vec::new());
        for row in 0..count {
            let [a, b] = [0, 1].map(|k| random.normal(row * 8 + k));
            let missing = random.below(row * 8 + 2, 4) == 0;
            #[allow(clippy::cast_possible_truncation, reason = "features are f32")]
            rows.extend([a as f32, b as f32, if missing { f32::NAN } else { 1.0 }]);
            is_case.push(((a > 0.0) != (b > 0.2)) || missing);
        }
        (rows, is_case)
    }

    #[test]
    fn trees_learn_what_no_line_can() {
        let (rows, is_case) = table(1500);
        let (held, held_case) = table(3000);
        let (held, held_case) = (&held[4500..], &held_case[1500..]);
        let bins = Bins::new(&rows, 3);
        let known = Told { is_case: held_case, weights: None };
        let told = Told { is_case: &is_case, weights: None };
        let grower = Grower::new(&bins, 8, Caution::SERIES);
        let forest = boost(&grower, told, (held, known), 1);
        let right = held.chunks_exact(3).zip(held_case);
        let right = right.filter(|(row, case)| (forest.log_odds(row) > 0.0) == **case).count();
        assert!(right as f64 > 0.97 * held_case.len() as f64, "{right} of {}", held_case.len());
        // The binned rows take the same way down as the numbers.
        for tree in &forest.trees {
            for (row, numbers) in rows.chunks_exact(3).enumerate() {
                assert_eq!(tree.value_of(&bins, row).to_bits(), tree.value(numbers).to_bits());
            }
        }
        assert_eq!(forest, boost(&grower, told, (held, known), 1));
        // A row that counts twice is two rows.
        let weights: Vec<f64> = (0..1500).map(|row| f64::from(1 + row % 2)).collect();
        let weighed = Told { is_case: &is_case, weights: Some(&weights) };
        assert!((weighed.totals().1 - 2250.0).abs() < 1e-9 && weighed.totals().0 > told.totals().0);
        assert_ne!(forest, boost(&grower, weighed, (held, known), 1));
        let text = serde_json::to_string(&forest).unwrap();
        assert_eq!(serde_json::from_str::<Forest>(&text).unwrap(), forest);
    }

    #[test]
    fn several_say_the_mean_of_what_each_says() {
        let (rows, is_case) = table(600);
        let bins = Bins::new(&rows, 3);
        let none = Told { is_case: &[], weights: None };
        let grow = |leaves: usize, seed: u64| {
            let grower = Grower::new(&bins, leaves, Caution::SERIES);
            let told = Told { is_case: &is_case, weights: None };
            let forest = boost(&grower, told, (&[], none), seed);
            BoostedTrees { leaves, forests: vec![forest], threshold: None }
        };
        let members = vec![grow(4, 1), grow(8, 2), grow(4, 3)];
        let both = BoostedTrees::together(members.clone()).unwrap();
        let trees: usize = members.iter().map(BoostedTrees::trees).sum();
        assert!(trees > 100);
        assert_eq!((both.leaves, both.trees()), (8, trees));
        for row in rows.chunks_exact(3).take(100) {
            let each = members.iter().map(|member| member.forests[0].log_odds(row));
            let mean = each.sum::<f64>() / 3.0;
            assert!((both.forests[0].log_odds(row) - mean).abs() < 1e-5);
        }
        assert_eq!(BoostedTrees::together(Vec::new()), None);
    }

    #[test]
    fn nothing_to_learn_is_the_prevalence() {
        let bins = Bins::new(&[1.0; 100], 1);
        let is_case: Vec<bool> = (0..100).map(|row| row % 4 == 0).collect();
        let told = Told { is_case: &is_case, weights: None };
        let none = Told { is_case: &[], weights: None };
        let grower = Grower::new(&bins, 8, Caution::SERIES);
        let forest = boost(&grower, told, (&[], none), 1);
        assert!(forest.trees.is_empty());
        assert!((sigmoid(forest.log_odds(&[1.0])) - 0.25).abs() < 0.01);
    }
}
