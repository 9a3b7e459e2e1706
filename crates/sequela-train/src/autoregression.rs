//! Autoregression by least squares, one equation for each horizon:
//! `y[t+h] - m = c0 + c1 (y[t] - m) + ... + cp (y[t-p+1] - m)`.
//!
//! The normal equations are kept for the highest order; the Cholesky factor of a lower order is
//! its leading block, so that one factorisation serves every order. The order is the one with
//! the least squared error on the tuning part, or by the Bayesian information criterion
//! (Schwarz 1978) where there is none.

use serde::{Deserialize, Serialize};

use crate::encode::Encoder;
use crate::series::{Example, Examples};

/// Coefficients for each horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Autoregression {
    /// Lags, p.
    pub order: usize,
    /// For each horizon: the constant, then the coefficient of each lag, nearest first.
    pub coefficients: Vec<Vec<f64>>,
}

impl Autoregression {
    /// Fits orders 1 to `highest` and keeps the best; none where no window has a target.
    pub(crate) fn fit(
        encoder: &Encoder,
        (train, tune): (&Examples, &Examples),
        mean: f64,
        highest: usize,
    ) -> Option<Self> {
        let horizons = encoder.horizons.len();
        let mut systems: Vec<System> = (0..horizons).map(|_| System::new(highest + 1)).collect();
        let mut rows = Rows::new(encoder, mean, highest);
        for example in evenly(&train.windows) {
            rows.read(train, example);
            for (k, system) in systems.iter_mut().enumerate() {
                if let Some(target) = rows.target(train, example, k) {
                    system.add(&rows.row, target);
                }
            }
        }
        let factors: Vec<Factor> = systems.iter().map(System::factor).collect::<Option<_>>()?;
        let by_order = |order: usize| -> Vec<Vec<f64>> {
            factors.iter().map(|factor| factor.solve(order + 1)).collect()
        };
        let candidates: Vec<Vec<Vec<f64>>> = (1..=highest).map(by_order).collect();
        let mut errors = vec![0.0; highest];
        for example in evenly(&tune.windows) {
            rows.read(tune, example);
            for k in 0..horizons {
                let Some(target) = rows.target(tune, example, k) else { continue };
                // Horizons count alike: each error is in the units of its training spread.
                let spread = systems[k].mean_square();
                for (error, candidate) in errors.iter_mut().zip(&candidates) {
                    *error += (target - dot(&candidate[k], &rows.row)).powi(2) / spread;
                }
            }
        }
        if tune.windows.is_empty() {
            for (order, error) in (1..=highest).zip(&mut errors) {
                let criteria = systems
                    .iter()
                    .zip(&factors)
                    .map(|(system, factor)| system.criterion(factor, order));
                *error = criteria.sum();
            }
        }
        let best = (0..highest).min_by(|&a, &b| errors[a].total_cmp(&errors[b]))?;
        Some(Self { order: best + 1, coefficients: candidates.into_iter().nth(best)? })
    }

    /// The forecast of horizon `k` less the mean; `lagged` gives the value so many steps back,
    /// less the mean.
    pub(crate) fn forecast(&self, k: usize, lagged: impl Fn(usize) -> f64) -> f64 {
        let coefficients = &self.coefficients[k];
        let lags = coefficients[1..].iter().enumerate();
        lags.fold(coefficients[0], |sum, (lag, coefficient)| sum + coefficient * lagged(lag))
    }
}

/// At most [`MOST`] of the windows, evenly chosen.
fn evenly(windows: &[Example]) -> impl Iterator<Item = Example> + '_ {
    windows.iter().copied().step_by(windows.len().div_ceil(MOST).max(1))
}

/// The regressors of one window after another.
struct Rows<'a> {
    encoder: &'a Encoder,
    mean: f64,
    row: Vec<f64>,
}

impl<'a> Rows<'a> {
    fn new(encoder: &'a Encoder, mean: f64, highest: usize) -> Self {
        Self { encoder, mean, row: vec![1.0; highest + 1] }
    }

    fn read(&mut self, examples: &Examples, example: Example) {
        let series = &examples.series[example.series as usize];
        let start = example.start as usize;
        let last = start + self.encoder.length - 1;
        for (lag, value) in self.row[1..].iter_mut().enumerate() {
            let seen = series.last_seen(start, last - lag);
            *value = seen.map_or(0.0, |seen| f64::from(seen) - self.mean);
        }
    }

    fn target(&self, examples: &Examples, example: Example, k: usize) -> Option<f64> {
        let series = &examples.series[example.series as usize];
        let last = example.start as usize + self.encoder.length - 1;
        series.truth(last + self.encoder.horizons[k]).map(|truth| f64::from(truth) - self.mean)
    }
}

/// Normal equations: `X^T X`, `X^T y`, `y^T y`.
#[derive(Debug, Clone)]
struct System {
    size: usize,
    /// Lower triangle, row by row.
    gram: Vec<f64>,
    moments: Vec<f64>,
    square: f64,
    count: f64,
}

impl System {
    fn new(size: usize) -> Self {
        Self {
            size,
            gram: vec![0.0; size * size],
            moments: vec![0.0; size],
            square: 0.0,
            count: 0.0,
        }
    }

    fn add(&mut self, row: &[f64], target: f64) {
        for (i, &a) in row.iter().enumerate() {
            let line = &mut self.gram[i * self.size..][..=i];
            for (sum, &b) in line.iter_mut().zip(row) {
                *sum += a * b;
            }
            self.moments[i] += a * target;
        }
        self.square += target * target;
        self.count += 1.0;
    }

    fn mean_square(&self) -> f64 {
        (self.square / f64::max(self.count, 1.0)).max(f64::MIN_POSITIVE)
    }

    /// Cholesky; a direction in which the data do not vary gets the coefficient 0.
    fn factor(&self) -> Option<Factor> {
        if self.count < 1.0 {
            return None;
        }
        let n = self.size;
        let mut lower = vec![0.0; n * n];
        let mut solution = vec![0.0; n];
        for i in 0..n {
            for j in 0..i {
                let sum = (0..j)
                    .fold(self.gram[i * n + j], |sum, k| sum - lower[i * n + k] * lower[j * n + k]);
                let pivot = lower[j * n + j];
                lower[i * n + j] = if pivot > 0.0 { sum / pivot } else { 0.0 };
            }
            let whole = self.gram[i * n + i];
            let rest = (0..i).fold(whole, |sum, k| sum - lower[i * n + k].powi(2));
            // What is left of a column that the others explain is rounding alone.
            let pivot = if rest > whole * NEGLIGIBLE { libm::sqrt(rest) } else { 0.0 };
            lower[i * n + i] = pivot;
            let sum = (0..i).fold(self.moments[i], |sum, k| sum - lower[i * n + k] * solution[k]);
            solution[i] = if pivot > 0.0 { sum / pivot } else { 0.0 };
        }
        Some(Factor { size: n, lower, forward: solution })
    }

    /// The Bayesian information criterion of an order.
    fn criterion(&self, factor: &Factor, order: usize) -> f64 {
        let explained: f64 = factor.forward[..=order].iter().map(|z| z * z).sum();
        let residual = (self.square - explained).max(self.square * NEGLIGIBLE);
        let terms = (order + 1) as f64;
        self.count * libm::log(f64::max(residual / self.count, f64::MIN_POSITIVE))
            + terms * libm::log(self.count)
    }
}

/// `L` and `L^-1 X^T y`.
struct Factor {
    size: usize,
    lower: Vec<f64>,
    forward: Vec<f64>,
}

impl Factor {
    /// The coefficients of the first `terms` columns.
    fn solve(&self, terms: usize) -> Vec<f64> {
        let mut solution = self.forward[..terms].to_vec();
        for i in (0..terms).rev() {
            let sum = (i + 1..terms)
                .fold(solution[i], |sum, k| sum - self.lower[k * self.size + i] * solution[k]);
            let pivot = self.lower[i * self.size + i];
            solution[i] = if pivot > 0.0 { sum / pivot } else { 0.0 };
        }
        solution
    }
}

fn dot(coefficients: &[f64], row: &[f64]) -> f64 {
    coefficients.iter().zip(row).fold(0.0, |sum, (a, b)| sum + a * b)
}

/// Windows that are fitted on, at most.
const MOST: usize = 200_000;
/// The share of a column below which what is left of it is rounding.
const NEGLIGIBLE: f64 = 1e-12;

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::{Channel, Limits, Schema, Sequence, SubjectId};
    use sequela_data::Cohort;
    use sequela_data::scaling::{Scaler, ScalingMethod};
    use serde::Deserialize;
    use std::path::Path;

    #[derive(Deserialize)]
    struct Oracle {
        length: usize,
        horizons: Vec<usize>,
        highest: usize,
        train: Vec<Vec<f32>>,
        tune: Vec<f32>,
        mean: f64,
        order: usize,
        coefficients: Vec<Vec<f64>>,
    }

    fn oracle() -> Oracle {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/train/autoregression.json");
        let bytes = sequela_formats::bounded::read(&path, &Limits::default()).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn cohort(series: &[Vec<f32>]) -> Cohort {
        let schema = Schema::new(vec![Channel { name: "hr".into(), unit: "bpm".into() }]);
        let sequences = series.iter().enumerate().map(|(at, values)| {
            let id = at.to_string();
            Sequence::numeric(&id, SubjectId::new(&id), 1, values).unwrap()
        });
        Cohort::new(schema, sequences.collect(), "test").unwrap()
    }

    fn encoder(length: usize, horizons: &[usize], train: &Cohort) -> Encoder {
        Encoder {
            scaler: Scaler::fit(train, ScalingMethod::Standard).unwrap(),
            target: 0,
            length,
            horizons: horizons.to_vec(),
            output: crate::study::TargetKind::Value,
            changes: vec![],
            inputs: crate::study::InputKind::Values,
            missing: crate::study::Missing::Carry,
            indicators: vec![],
            summaries: vec![],
            clip: None,
            statics: Vec::new(),
            longest_gap_hours: None,
            most_missing: 1.0,
            envelope: None,
        }
    }

    #[test]
    fn order_and_coefficients_are_numpys() {
        let oracle = oracle();
        let (train, tune) = (cohort(&oracle.train), cohort(&[oracle.tune]));
        let encoder = encoder(oracle.length, &oracle.horizons, &train);
        let parts = (encoder.examples(&train, 1).unwrap(), encoder.examples(&tune, 1).unwrap());
        let fitted =
            Autoregression::fit(&encoder, (&parts.0, &parts.1), oracle.mean, oracle.highest)
                .unwrap();
        assert_eq!(fitted.order, oracle.order);
        for (ours, theirs) in fitted.coefficients.iter().zip(&oracle.coefficients) {
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert!((ours - theirs).abs() < 1e-10, "{ours} {theirs}");
            }
        }
    }

    #[test]
    fn a_constant_series_is_forecast_by_its_mean() {
        let data = cohort(&[vec![70.0; 40]]);
        let encoder = encoder(5, &[1], &data);
        let examples = encoder.examples(&data, 1).unwrap();
        let nothing = Examples::default();
        let fitted = Autoregression::fit(&encoder, (&examples, &nothing), 70.0, 3).unwrap();
        assert_eq!(fitted.order, 1);
        assert!(fitted.coefficients[0].iter().all(|&c| c.abs() < 1e-12), "{fitted:?}");
    }
}
