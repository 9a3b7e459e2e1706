//! The baseline that a recurrent network has to beat: a logistic regression on summaries, or of
//! steps on what the network is told at each.

use serde::{Deserialize, Serialize};

use sequela_eval::classify::log_loss_classes;
use sequela_eval::newton::{self, Problem};

use super::cases::{Cases, Sample};
use super::numbers::Sees;
use super::summary::{EACH, regressors};
use crate::encode::Encoder;

/// A logistic regression on mean, last, lowest, highest value and share observed of each channel; of
/// steps on the row that the network is told at each. Many steps are fitted by a sample of them, in
/// which those of rare classes are kept.
///
/// Summaries are brought to mean 0 and deviation 1 over the training part; one that does not exist
/// (of a channel that was never observed) is its mean. With more than two classes there is one
/// regression for each class against the rest, and their probabilities are made to add up to 1
/// (scikit-learn's `OneVsRestClassifier`). Class weights play no part in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogisticRegression {
    /// Mean of each summary over the training part.
    pub centre: Vec<f64>,
    /// Its standard deviation; 1 where it is constant.
    pub spread: Vec<f64>,
    /// Weights of the summaries, the intercept last: of the second of two classes, or one row for
    /// each class.
    pub weights: Vec<Vec<f64>>,
    /// The strength C that did best on the tuning part.
    pub strength: f64,
    /// The probability of the second of two classes from which on it is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

impl LogisticRegression {
    /// Fits one for each strength and keeps that with the lowest log loss on the tuning part; of
    /// none or too many summaries there is no regression.
    pub(super) fn fit(
        (train, tune): (&Cases, &Cases),
        encoder: &Encoder,
        classes: usize,
        strengths: &[f64],
        seed: u64,
    ) -> Option<Self> {
        let sample = train.sample(MOST_ROWS, seed);
        let mut rows = regressors(train, encoder, &sample.rows);
        let width = rows.len() / sample.rows.len().max(1);
        if width == 0 || width > MOST {
            return None;
        }
        let (centre, spread) = moments(&rows, width);
        let tuned = tune.sample(MOST_ROWS, seed);
        standardise(&mut rows, &centre, &spread);
        let judged: Vec<usize> = if classes == 2 { vec![1] } else { (0..classes).collect() };
        let mut best: Option<(f64, Self)> = None;
        for &strength in strengths {
            let fit = |&class: &usize| {
                let is_class = train.is(class);
                let is_case: Vec<bool> = sample.rows.iter().map(|&row| is_class[row]).collect();
                let weights = sample.weights.as_deref();
                Problem { weights, strength, ..Problem::new(&rows, width, &is_case) }.fit()
            };
            let weights = judged.iter().map(fit).collect();
            let (centre, spread) = (centre.clone(), spread.clone());
            let model = Self { centre, spread, weights, strength, threshold: None };
            let loss = model.loss(tune, encoder, &tuned, classes);
            // Without a tuning part the usual strength is as good as any.
            let loss = loss.unwrap_or_else(|| libm::log(strength).abs());
            if best.as_ref().is_none_or(|(lowest, _)| loss < *lowest) {
                best = Some((loss, model));
            }
        }
        best.map(|(_, model)| model)
    }

    fn loss(&self, tune: &Cases, encoder: &Encoder, tuned: &Sample, classes: usize) -> Option<f64> {
        let truth = tuned.rows.iter().map(|&row| tune.class[row]);
        let truth: Vec<u32> = truth.collect::<Option<_>>()?;
        let said = self.of_rows(regressors(tune, encoder, &tuned.rows));
        log_loss_classes(&said, classes, &truth, tuned.weights.as_deref()).ok()
    }

    /// The probability of each class, `(N, K)`.
    pub(super) fn probabilities(&self, cases: &Cases, encoder: &Encoder) -> Vec<f64> {
        let mut all = Vec::with_capacity(cases.len() * self.weights.len().max(2));
        let rows: Vec<usize> = (0..cases.len()).collect();
        for rows in rows.chunks(ROWS_AT_ONCE) {
            all.extend(self.of_rows(regressors(cases, encoder, rows)));
        }
        all
    }

    fn of_rows(&self, mut rows: Vec<f64>) -> Vec<f64> {
        standardise(&mut rows, &self.centre, &self.spread);
        let mut all = Vec::new();
        for row in rows.chunks_exact(self.centre.len().max(1)) {
            let each = self
                .weights
                .iter()
                .map(|weights| 1.0 / (1.0 + libm::exp(-newton::log_odds(weights, row))));
            let each: Vec<f64> = each.collect();
            if let [case] = each[..] {
                all.extend([1.0 - case, case]);
            } else {
                let sum: f64 = each.iter().sum::<f64>().max(f64::MIN_POSITIVE);
                all.extend(each.iter().map(|p| p / sum));
            }
        }
        all
    }

    /// Whether the numbers of a file fit what there is to see and so many classes: the summaries
    /// of so many channels, or what a network is told of steps.
    pub(super) fn is_sound(&self, sees: Sees, classes: usize) -> bool {
        let width = match sees {
            Sees::Series { channels } => channels * EACH,
            Sees::Steps { width, .. } => width,
        };
        let finite = |list: &[f64], length: usize| {
            list.len() == length && list.iter().all(|number| number.is_finite())
        };
        let rows = if classes == 2 { 1 } else { classes };
        finite(&self.centre, width)
            && finite(&self.spread, width)
            && self.spread.iter().all(|spread| *spread > 0.0)
            && self.weights.len() == rows
            && self.weights.iter().all(|weights| finite(weights, width + 1))
    }
}

/// Mean and deviation of each column, over the values that there are.
fn moments(rows: &[f64], width: usize) -> (Vec<f64>, Vec<f64>) {
    let column = |k: usize| rows.iter().skip(k).step_by(width).copied().filter(|x| !x.is_nan());
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let (mut sum, mut count) = (0.0, 0.0);
        for value in values {
            sum += value;
            count += 1.0;
        }
        if count > 0.0 { sum / count } else { 0.0 }
    };
    let centre: Vec<f64> = (0..width).map(|k| mean(&mut column(k))).collect();
    let spread = centre.iter().enumerate().map(|(k, centre)| {
        let squares = mean(&mut column(k).map(|x| (x - centre) * (x - centre)));
        let spread = libm::sqrt(squares);
        // What is constant but for roundings stays near 0.
        if spread > 1e-9 * (1.0 + centre.abs()) { spread } else { 1.0 }
    });
    let spread = spread.collect();
    (centre, spread)
}

fn standardise(rows: &mut [f64], centre: &[f64], spread: &[f64]) {
    for row in rows.chunks_exact_mut(centre.len().max(1)) {
        for ((x, centre), spread) in row.iter_mut().zip(centre).zip(spread) {
            *x = if x.is_nan() { 0.0 } else { (*x - centre) / spread };
        }
    }
}

/// Summaries at most: a solution costs the cube of them.
const MOST: usize = 1500;
/// Rows that it is fitted on at most.
pub(super) const MOST_ROWS: usize = 24_000;
/// Rows that are told at once.
const ROWS_AT_ONCE: usize = 4096;
