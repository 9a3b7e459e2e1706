//! Logistic regression, with or without an L2 penalty, by Newton's method.
//!
//! Minimises `P |w|^2 / 2 + C sum_n v_n ln(1 + exp(-s_n (w x_n + b + o_n)))`, s = 1 for cases and
//! -1 for controls, v the weights of rows and o their offsets; the intercept b is not penalised.
//! With P = 1 that is scikit-learn's `LogisticRegression`, with P = 0 its `penalty=None`. The
//! function is convex: there is one answer, whatever the way to it, but for classes that a line
//! parts without a penalty, whose weights grow until the slope is lost in roundings.
//!
//! **Source** Hastie, Tibshirani and Friedman, *The Elements of Statistical Learning*, 2nd ed.,
//! section 4.4.1. **Determinism** sums in f64 in the order of the rows.

/// A logistic regression to be fitted.
///
/// **Shapes** `rows: (N, width)` row by row; `is_case`, `weights`, `offsets: (N)`.
///
/// # Example
/// ```
/// use sequela_eval::newton::Problem;
/// let rows = [-1.0, 0.5, 0.0, 2.0, 1.0, -0.5];
/// let is_case = [false, true, false, true, false, true];
/// let weights = Problem { penalty: 0.0, ..Problem::new(&rows, 1, &is_case) }.fit();
/// assert_eq!(weights.len(), 2);
/// assert!(weights[0] > 0.0);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// What is known of each row.
    pub rows: &'a [f64],
    /// Numbers in a row.
    pub width: usize,
    /// Which rows are cases.
    pub is_case: &'a [bool],
    /// How often each row counts; once without.
    pub weights: Option<&'a [f64]>,
    /// What is added to the log odds of each row.
    pub offsets: Option<&'a [f64]>,
    /// P: what the square of a weight costs.
    pub penalty: f64,
    /// C: what a row counts against the penalty.
    pub strength: f64,
    /// Largest slope, for each unit of weight of the data, at which the minimum is reached.
    pub tolerance: f64,
}

/// The weights of a regression with penalty 1 and this strength, the intercept last.
pub fn fit(rows: &[f64], width: usize, is_case: &[bool], strength: f64) -> Vec<f64> {
    Problem { strength, ..Problem::new(rows, width, is_case) }.fit()
}

/// The log odds of a row.
pub fn log_odds(weights: &[f64], row: &[f64]) -> f64 {
    let products = weights.iter().zip(row).map(|(w, x)| w * x);
    products.sum::<f64>() + weights.last().copied().unwrap_or(0.0)
}

impl<'a> Problem<'a> {
    /// A regression with penalty 1 and strength 1 in which every row counts once.
    pub fn new(rows: &'a [f64], width: usize, is_case: &'a [bool]) -> Self {
        let (weights, offsets, tolerance) = (None, None, 1e-10);
        Self { rows, width, is_case, weights, offsets, penalty: 1.0, strength: 1.0, tolerance }
    }

    /// The same without a penalty, solved as far as roundings let it: for the few numbers of a
    /// calibration.
    pub(crate) fn exact(self) -> Self {
        Self { penalty: 0.0, tolerance: 1e-14, ..self }
    }

    /// The weights, the intercept last.
    ///
    /// **Cost** iterations x N x width squared, and iterations x width cubed.
    pub fn fit(&self) -> Vec<f64> {
        self.fit_from(vec![0.0; self.width + 1])
    }

    /// As [`Problem::fit`], from weights that are near already.
    pub fn fit_from(&self, start: Vec<f64>) -> Vec<f64> {
        let mut weights = start;
        let mut loss = self.loss(&weights);
        for _ in 0..ITERATIONS {
            let (gradient, mut curvature) = self.derivatives(&weights);
            let steepest = gradient.iter().fold(0.0, |most: f64, slope| most.max(slope.abs()));
            if steepest < self.tolerance * (1.0 + self.strength * self.is_case.len() as f64) {
                break;
            }
            let Some(step) = solve(&mut curvature, gradient.clone()) else { break };
            let gain: f64 = gradient.iter().zip(&step).map(|(g, s)| g * s).sum();
            if gain < UNSEEN * (1.0 + loss) {
                // Too near for the loss to tell; one more step squares what is left.
                weights.iter_mut().zip(&step).for_each(|(w, s)| *w -= s);
                break;
            }
            // A full step is nearly always right; where it is not, half of it, and so on.
            let mut share = 1.0;
            let next = loop {
                let next: Vec<f64> =
                    weights.iter().zip(&step).map(|(w, s)| w - share * s).collect();
                let reached = self.loss(&next);
                if reached < loss {
                    loss = reached;
                    break Some(next);
                }
                share /= 2.0;
                if share < 1e-6 {
                    break None;
                }
            };
            let Some(next) = next else { break };
            weights = next;
        }
        weights
    }

    fn row(&self, at: usize) -> &[f64] {
        &self.rows[at * self.width..(at + 1) * self.width]
    }

    /// Rows that count: position, whether it is a case, weight, offset.
    fn counted(&self) -> impl Iterator<Item = (usize, bool, f64, f64)> {
        let all = self.is_case.iter().enumerate().map(|(at, &case)| {
            let weight = self.weights.map_or(1.0, |weights| weights[at]);
            (at, case, weight, self.offsets.map_or(0.0, |offsets| offsets[at]))
        });
        all.filter(|&(_, _, weight, _)| weight > 0.0)
    }

    fn loss(&self, weights: &[f64]) -> f64 {
        let penalty: f64 = weights[..self.width].iter().map(|w| w * w).sum();
        let surprises = self.counted().map(|(at, case, weight, offset)| {
            let z = log_odds(weights, self.row(at)) + offset;
            let z = if case { -z } else { z };
            weight * (z.max(0.0) + libm::log1p(libm::exp(-z.abs())))
        });
        self.penalty * penalty / 2.0 + self.strength * surprises.sum::<f64>()
    }

    /// The gradient and the lower triangle of the curvature, row by row.
    fn derivatives(&self, weights: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let size = self.width + 1;
        let mut gradient: Vec<f64> = weights.iter().map(|w| self.penalty * w).collect();
        gradient[self.width] = 0.0;
        let mut curvature = vec![0.0; size * size];
        for k in 0..self.width {
            curvature[k * size + k] = self.penalty;
        }
        let mut with_one = vec![1.0; size];
        for (at, case, weight, offset) in self.counted() {
            let row = self.row(at);
            let p = 1.0 / (1.0 + libm::exp(-(log_odds(weights, row) + offset)));
            let error = self.strength * weight * (p - f64::from(u8::from(case)));
            let bend = self.strength * weight * p * (1.0 - p);
            with_one[..self.width].copy_from_slice(row);
            for (i, &x) in with_one.iter().enumerate() {
                gradient[i] += error * x;
                let scaled = bend * x;
                let line = &mut curvature[i * size..=i * size + i];
                for (cell, &other) in line.iter_mut().zip(&with_one) {
                    *cell += scaled * other;
                }
            }
        }
        (gradient, curvature)
    }
}

/// The solution of `A x = b` for a symmetric positive A, whose lower triangle is given and is
/// overwritten by its Cholesky factor; none where A is not positive.
fn solve(a: &mut [f64], mut b: Vec<f64>) -> Option<Vec<f64>> {
    let size = b.len();
    for i in 0..size {
        for j in 0..=i {
            let (before, line) = a.split_at_mut(i * size);
            let other = if i == j { None } else { Some(&before[j * size..=j * size + j]) };
            let known: f64 = match other {
                Some(other) => line[..j].iter().zip(other).map(|(x, y)| x * y).sum(),
                None => line[..j].iter().map(|x| x * x).sum(),
            };
            let rest = line[j] - known;
            line[j] = match other {
                Some(other) => rest / other[j],
                None if rest > 0.0 => libm::sqrt(rest),
                None => return None,
            };
        }
    }
    for i in 0..size {
        let known: f64 = (0..i).map(|j| a[i * size + j] * b[j]).sum();
        b[i] = (b[i] - known) / a[i * size + i];
    }
    for i in (0..size).rev() {
        let known: f64 = (i + 1..size).map(|j| a[j * size + i] * b[j]).sum();
        b[i] = (b[i] - known) / a[i * size + i];
    }
    Some(b)
}

const ITERATIONS: usize = 100;
/// A gain, for each unit of the loss, that drowns in the roundings of the loss.
const UNSEEN: f64 = 1e-13;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_systems_are_solved() {
        // [[4, 2], [2, 3]] x = [2, 5] has x = [-0.5, 2].
        let x = solve(&mut [4.0, 0.0, 2.0, 3.0], vec![2.0, 5.0]).unwrap();
        assert!((x[0] + 0.5).abs() < 1e-15 && (x[1] - 2.0).abs() < 1e-15, "{x:?}");
        assert!(solve(&mut [1.0, 0.0, 2.0, 1.0], vec![1.0, 1.0]).is_none());
    }

    #[test]
    fn without_a_penalised_weight_the_intercept_is_the_log_odds() {
        let weights = fit(&[0.0; 4], 1, &[true, false, false, false], 1.0);
        assert!((weights[1] - libm::log(1.0 / 3.0)).abs() < 1e-9, "{weights:?}");
        assert!(weights[0].abs() < 1e-12);
    }

    #[test]
    fn weights_count_rows_and_offsets_move_the_intercept() {
        let (rows, case) = ([0.3, -1.0, 0.8, 0.1, -0.4], [true, false, true, false, true]);
        let plain = Problem { penalty: 0.0, ..Problem::new(&rows, 1, &case) };
        let often = Problem { weights: Some(&[1.0, 2.0, 1.0, 0.0, 1.0]), ..plain };
        let twice = [0.3, -1.0, -1.0, 0.8, -0.4];
        let twice =
            Problem { penalty: 0.0, ..Problem::new(&twice, 1, &[true, false, false, true, true]) };
        for (a, b) in often.fit().iter().zip(twice.fit()) {
            assert!((a - b).abs() < 1e-7, "{a} {b}");
        }
        let moved = Problem { offsets: Some(&[2.0; 5]), ..plain }.fit();
        let (still, near) = (plain.fit(), plain.fit_from(vec![0.5, 0.2]));
        assert!((moved[1] + 2.0 - still[1]).abs() < 1e-8 && (moved[0] - still[0]).abs() < 1e-8);
        assert!((near[0] - still[0]).abs() < 1e-8);
    }

    #[test]
    fn a_perfect_separation_stays_finite() {
        let weights = fit(&[-1.0, -2.0, 1.0, 2.0], 1, &[false, false, true, true], 1e6);
        assert!(weights.iter().all(|weight| weight.is_finite()), "{weights:?}");
        assert!(weights[0] > 1.0);
        // Far too strong a first step is halved until it helps.
        let rows: Vec<f64> = (0..40).map(|n| f64::from(n) * 50.0).collect();
        let cases: Vec<bool> = (0..40).map(|n| n % 7 == 0 || n > 30).collect();
        assert!(fit(&rows, 1, &cases, 10.0).iter().all(|weight| weight.is_finite()));
    }
}
