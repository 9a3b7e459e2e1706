//! Logistic regression with an L2 penalty, by Newton's method.
//!
//! Minimises `|w|^2 / 2 + C sum_n ln(1 + exp(-s_n (w x_n + b)))`, s = 1 for cases and -1 for
//! controls, as scikit-learn's `LogisticRegression` does; the intercept b is not penalised. The
//! function is convex, and strictly so in w: there is one answer, whatever the way to it.
//!
//! **Source** Hastie, Tibshirani and Friedman, *The Elements of Statistical Learning*, 2nd ed.,
//! section 4.4.1. **Determinism** sums in f64 in the order of the rows.

/// The weights of a fitted regression, the intercept last.
pub(super) fn fit(rows: &[f64], width: usize, is_case: &[bool], strength: f64) -> Vec<f64> {
    let mut weights = vec![0.0; width + 1];
    let problem = Problem { rows, width, is_case, strength };
    let mut loss = problem.loss(&weights);
    for _ in 0..ITERATIONS {
        let (gradient, mut curvature) = problem.derivatives(&weights);
        let steepest = gradient.iter().fold(0.0, |most: f64, slope| most.max(slope.abs()));
        if steepest < TOLERANCE * (1.0 + strength * is_case.len() as f64) {
            break;
        }
        let Some(step) = solve(&mut curvature, gradient) else { break };
        // A full step is nearly always right; where it is not, half of it, and so on.
        let mut share = 1.0;
        let next = loop {
            let next: Vec<f64> = weights.iter().zip(&step).map(|(w, s)| w - share * s).collect();
            let reached = problem.loss(&next);
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

/// The log odds of a row.
pub(super) fn log_odds(weights: &[f64], row: &[f64]) -> f64 {
    let products = weights.iter().zip(row).map(|(w, x)| w * x);
    products.sum::<f64>() + weights.last().copied().unwrap_or(0.0)
}

struct Problem<'a> {
    rows: &'a [f64],
    width: usize,
    is_case: &'a [bool],
    strength: f64,
}

impl Problem<'_> {
    fn row(&self, at: usize) -> &[f64] {
        &self.rows[at * self.width..(at + 1) * self.width]
    }

    fn loss(&self, weights: &[f64]) -> f64 {
        let penalty: f64 = weights[..self.width].iter().map(|w| w * w).sum();
        let surprises = self.is_case.iter().enumerate().map(|(at, &case)| {
            let z = log_odds(weights, self.row(at));
            let z = if case { -z } else { z };
            z.max(0.0) + libm::log1p(libm::exp(-z.abs()))
        });
        penalty / 2.0 + self.strength * surprises.sum::<f64>()
    }

    /// The gradient and the lower triangle of the curvature, row by row.
    fn derivatives(&self, weights: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let size = self.width + 1;
        let mut gradient = weights.to_vec();
        gradient[self.width] = 0.0;
        let mut curvature = vec![0.0; size * size];
        for k in 0..self.width {
            curvature[k * size + k] = 1.0;
        }
        let mut with_one = vec![1.0; size];
        for (at, &case) in self.is_case.iter().enumerate() {
            let row = self.row(at);
            let p = 1.0 / (1.0 + libm::exp(-log_odds(weights, row)));
            let error = self.strength * (p - f64::from(u8::from(case)));
            let bend = self.strength * p * (1.0 - p);
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
/// Largest slope, for each unit of weight of the data, at which a minimum is reached.
const TOLERANCE: f64 = 1e-10;

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
