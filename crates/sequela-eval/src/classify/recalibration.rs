//! Probabilities made to come true: a map from what a network says to what was observed.
//!
//! Fit it on subjects that the network was not trained on; the ranking stays (temperature, Platt)
//! or only loses distinctions (isotonic).
//!
//! **Source** Guo, Pleiss, Sun and Weinberger, ICML 2017 (temperature); Platt, *Advances in Large
//! Margin Classifiers*, 1999 (with his targets, which are not quite 0 and 1); Zadrozny and Elkan,
//! KDD 2002, and Barlow and Brunk, JASA 67 (1972) 140 (isotonic).

use serde::{Deserialize, Serialize};

use super::calibration::log_odds_of;
use super::{probability::check_probabilities, same_length};
use crate::Error;
use crate::error::place;
use crate::newton::Problem;

/// Which map is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecalibrationRule {
    /// Log probabilities divided by one number, for any number of classes.
    Temperature,
    /// A straight line through the log odds of the second of two classes.
    Platt,
    /// Any rising function of the probability of the second of two classes; needs many subjects.
    Isotonic,
}

/// A fitted map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Recalibration {
    /// Log probabilities divided by `temperature`, made to add up to 1 again.
    Temperature {
        /// Above 1 where the network was too sure.
        temperature: f64,
    },
    /// New log odds = `slope` x log odds + `intercept`.
    Platt {
        /// Below 1 where the network was too sure.
        slope: f64,
        /// Above 0 where its risks were too low.
        intercept: f64,
    },
    /// A line from point to point, level before the first and after the last.
    Isotonic {
        /// Probabilities that the network says, rising.
        from: Vec<f64>,
        /// What becomes of them, never falling.
        to: Vec<f64>,
    },
}

impl RecalibrationRule {
    /// Whether it is for two classes only.
    pub fn needs_two_classes(self) -> bool {
        self != Self::Temperature
    }

    /// The map for rows of probabilities and their classes; none where a class does not occur.
    ///
    /// **Shapes** `probabilities: (N, K)` row by row, `truth: (N)`. **Cost** linear in N for each
    /// of a few steps; isotonic sorts.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::Value`] for what is not one row of probabilities and one
    /// class in `0..K` for each row; [`Error::Undefined`] for more than two classes where
    /// [`RecalibrationRule::needs_two_classes`].
    ///
    /// # Example
    /// ```
    /// use sequela_eval::classify::{Recalibration, RecalibrationRule};
    /// // Said 0.9 and 0.1, came true in three of four.
    /// let said = [0.1, 0.9, 0.9, 0.1].repeat(4);
    /// let truth = [1, 0, 1, 0, 1, 0, 0, 1];
    /// let map = RecalibrationRule::Temperature.fit(&said, 2, &truth)?.expect("both classes");
    /// let mut row = [0.1, 0.9];
    /// map.apply(&mut row);
    /// assert!((row[1] - 0.75).abs() < 1e-9);
    /// # Ok::<(), sequela_eval::Error>(())
    /// ```
    pub fn fit(
        self,
        probabilities: &[f64],
        classes: usize,
        truth: &[u32],
    ) -> Result<Option<Recalibration>, Error> {
        same_length("the table of probabilities", probabilities.len(), classes * truth.len())?;
        check_probabilities(probabilities, classes.max(1))?;
        let place = || place("recalibration");
        if truth.iter().any(|&class| class as usize >= classes) {
            let (what, fault) = ("the class", "not among the classes");
            return Err(Error::Value { location: place(), what, fault });
        }
        if self.needs_two_classes() && classes != 2 {
            let (metric, why) = ("recalibration", "it is for two classes");
            return Err(Error::Undefined { location: place(), metric, why });
        }
        let occurs = |class: usize| truth.iter().any(|&found| found as usize == class);
        if !(0..classes).all(occurs) {
            return Ok(None);
        }
        let cases: Vec<f64> = probabilities.iter().skip(1).step_by(classes).copied().collect();
        let is_case: Vec<bool> = truth.iter().map(|&class| class == 1).collect();
        Ok(match self {
            Self::Temperature => temperature(probabilities, classes, truth),
            Self::Platt => platt(&cases, &is_case),
            Self::Isotonic => Some(isotonic(&cases, &is_case)),
        })
    }
}

impl Recalibration {
    /// Maps one row of probabilities, of all classes, in place.
    ///
    /// **Determinism** the same bits wherever it runs.
    pub fn apply(&self, row: &mut [f64]) {
        let case = match (self, &*row) {
            (Self::Temperature { temperature }, _) => {
                let logs: Vec<f64> = row.iter().map(|&p| log_of(p) / temperature).collect();
                softmax(&logs, row);
                return;
            }
            (Self::Platt { slope, intercept }, [_, case]) => {
                sigmoid(slope * log_odds_of(*case) + intercept)
            }
            (Self::Isotonic { from, to }, [_, case]) => along(from, to, *case),
            _ => return,
        };
        row[0] = 1.0 - case;
        row[1] = case;
    }

    /// Whether the numbers of a file can be used for so many classes.
    pub fn is_sound(&self, classes: usize) -> bool {
        match self {
            Self::Temperature { temperature } => temperature.is_finite() && *temperature > 0.0,
            Self::Platt { slope, intercept } => {
                classes == 2 && slope.is_finite() && intercept.is_finite()
            }
            Self::Isotonic { from, to } => {
                let share = |p: &f64| (0.0..=1.0).contains(p);
                classes == 2
                    && !from.is_empty()
                    && from.len() == to.len()
                    && from.iter().chain(to).all(share)
                    && from.windows(2).all(|pair| pair[0] < pair[1])
                    && to.windows(2).all(|pair| pair[0] <= pair[1])
            }
        }
    }

    /// It in words: `Platt: log odds x 0.912 + 0.034`.
    pub fn words(&self) -> String {
        match self {
            Self::Temperature { temperature } => format!("temperature {temperature:.3}"),
            Self::Platt { slope, intercept } => {
                let sign = if *intercept < 0.0 { '-' } else { '+' };
                format!("Platt: log odds x {slope:.3} {sign} {:.3}", intercept.abs())
            }
            Self::Isotonic { from, .. } => format!("isotonic, through {} points", from.len()),
        }
    }
}

/// 1 / T of the least log loss, by Newton's method: the log loss is convex in it.
fn temperature(probabilities: &[f64], classes: usize, truth: &[u32]) -> Option<Recalibration> {
    let logs: Vec<f64> = probabilities.iter().map(|&p| log_of(p)).collect();
    let mut inverse = 1.0_f64;
    let (mut scaled, mut row) = (vec![0.0; classes], vec![0.0; classes]);
    for _ in 0..ITERATIONS {
        let (mut slope, mut bend) = (0.0, 0.0);
        for (logs, &class) in logs.chunks_exact(classes).zip(truth) {
            scaled.iter_mut().zip(logs).for_each(|(scaled, log)| *scaled = log * inverse);
            softmax(&scaled, &mut row);
            let mean: f64 = row.iter().zip(logs).map(|(p, log)| p * log).sum();
            let square: f64 = row.iter().zip(logs).map(|(p, log)| p * log * log).sum();
            slope += mean - logs[class as usize];
            bend += square - mean * mean;
        }
        if bend <= 0.0 || slope.abs() < 1e-15 * truth.len() as f64 {
            break;
        }
        // Held within a factor of four a step, so that it neither leaps nor changes its sign.
        inverse = (inverse - slope / bend).clamp(inverse / 4.0, inverse * 4.0);
    }
    let temperature = 1.0 / inverse;
    (temperature.is_finite() && (1e-6..1e6).contains(&temperature))
        .then_some(Recalibration::Temperature { temperature })
}

fn platt(cases: &[f64], is_case: &[bool]) -> Option<Recalibration> {
    let count = is_case.iter().filter(|case| **case).count() as f64;
    let controls = is_case.len() as f64 - count;
    // Each row counts partly as a case and partly as a control.
    let (high, low) = ((count + 1.0) / (count + 2.0), 1.0 / (controls + 2.0));
    let log_odds: Vec<f64> = cases.iter().map(|&p| log_odds_of(p)).collect();
    let rows = [log_odds.as_slice(), log_odds.as_slice()].concat();
    let share = |case: &bool| if *case { high } else { low };
    let weights: Vec<f64> =
        is_case.iter().map(share).chain(is_case.iter().map(|c| 1.0 - share(c))).collect();
    let sides: Vec<bool> = (0..rows.len()).map(|at| at < is_case.len()).collect();
    let weights = Some(weights.as_slice());
    let line = Problem { weights, ..Problem::new(&rows, 1, &sides).exact() };
    let line = line.fit_from(vec![1.0, 0.0]);
    let sound = line.iter().all(|number| number.is_finite());
    sound.then(|| Recalibration::Platt { slope: line[0], intercept: line[1] })
}

/// Pools neighbours that fall (pool adjacent violators), and keeps the ends of each pool.
fn isotonic(cases: &[f64], is_case: &[bool]) -> Recalibration {
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by(|&a, &b| cases[a].total_cmp(&cases[b]));
    // Pools: first and last probability, rows, cases. Equal probabilities are one.
    let mut pools: Vec<(f64, f64, f64, f64)> = Vec::new();
    for row in order {
        let (p, hit) = (cases[row], f64::from(u8::from(is_case[row])));
        match pools.last_mut() {
            Some(last) if last.1 >= p => {
                last.2 += 1.0;
                last.3 += hit;
            }
            _ => pools.push((p, p, 1.0, hit)),
        }
    }
    let mut kept: Vec<(f64, f64, f64, f64)> = Vec::with_capacity(pools.len());
    for pool in pools {
        kept.push(pool);
        while let [.., a, b] = kept[..] {
            if a.3 * b.2 < b.3 * a.2 {
                break;
            }
            kept.truncate(kept.len() - 2);
            kept.push((a.0, b.1, a.2 + b.2, a.3 + b.3));
        }
    }
    let (mut from, mut to) = (Vec::new(), Vec::new());
    for (first, last, rows, hits) in kept {
        from.push(first);
        to.push(hits / rows);
        if last > first {
            from.push(last);
            to.push(hits / rows);
        }
    }
    Recalibration::Isotonic { from, to }
}

fn along(from: &[f64], to: &[f64], p: f64) -> f64 {
    let after = from.partition_point(|&x| x <= p);
    match (after.checked_sub(1), from.get(after)) {
        (None, _) => to.first().copied().unwrap_or(p),
        (Some(last), None) => to[last],
        (Some(before), Some(&next)) => {
            let share = (p - from[before]) / (next - from[before]);
            to[before] + share * (to[after] - to[before])
        }
    }
}

fn log_of(p: f64) -> f64 {
    libm::log(p.max(f64::EPSILON))
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-z))
}

fn softmax(logs: &[f64], row: &mut [f64]) {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for (p, log) in row.iter_mut().zip(logs) {
        *p = libm::exp(log - most);
    }
    let sum: f64 = row.iter().sum();
    for p in row {
        *p /= sum;
    }
}

const ITERATIONS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_fitted_is_refused_or_none() {
        use RecalibrationRule::{Isotonic, Platt, Temperature};
        for rule in [Temperature, Platt, Isotonic] {
            assert_eq!(rule.fit(&[0.5, 0.5, 0.2, 0.8], 2, &[1, 1]).unwrap(), None);
            assert!(rule.fit(&[0.5, 0.5], 2, &[2]).is_err());
            assert!(rule.fit(&[0.5], 2, &[0]).is_err());
            assert!(rule.fit(&[0.5, f64::NAN], 2, &[0]).is_err());
        }
        assert!(Platt.fit(&[0.2, 0.3, 0.5], 3, &[0]).is_err());
        // Perfectly parted: Platt's targets keep the line finite.
        let parted = Platt.fit(&[0.8, 0.2, 0.1, 0.9], 2, &[0, 1]).unwrap().unwrap();
        assert!(parted.is_sound(2) && !parted.is_sound(3), "{parted:?}");
    }

    #[test]
    fn maps_keep_probabilities_probabilities() {
        let isotonic =
            Recalibration::Isotonic { from: vec![0.2, 0.4, 0.6], to: vec![0.1, 0.1, 0.9] };
        assert!(isotonic.is_sound(2));
        for (p, expected) in [(0.0, 0.1), (0.3, 0.1), (0.5, 0.5), (0.6, 0.9), (1.0, 0.9)] {
            let mut row = [1.0 - p, p];
            isotonic.apply(&mut row);
            assert!((row[1] - expected).abs() < 1e-12 && (row[0] + row[1] - 1.0).abs() < 1e-15);
        }
        let warm = Recalibration::Temperature { temperature: 2.0 };
        let mut row = [0.0, 1.0, 0.0];
        warm.apply(&mut row);
        assert!(row.iter().sum::<f64>() - 1.0 < 1e-12 && row[1] > 0.99);
        let line = Recalibration::Platt { slope: 0.5, intercept: -0.25 };
        assert_eq!(line.words(), "Platt: log odds x 0.500 - 0.250");
        for bad in [
            Recalibration::Temperature { temperature: 0.0 },
            Recalibration::Isotonic { from: vec![], to: vec![] },
            Recalibration::Isotonic { from: vec![0.2, 0.2], to: vec![0.1, 0.1] },
            Recalibration::Isotonic { from: vec![0.2, 0.3], to: vec![0.2, 0.1] },
            Recalibration::Platt { slope: f64::NAN, intercept: 0.0 },
        ] {
            assert!(!bad.is_sound(2), "{bad:?}");
        }
    }
}
