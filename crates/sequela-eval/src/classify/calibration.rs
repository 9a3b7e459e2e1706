//! Whether probabilities come true.

use super::{check_weights, same_length, weight};
use crate::Error;
use crate::error::{place, row};
use crate::newton::Problem;

/// Rows of similar probability, and how many of them were cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationGroup {
    /// Mean probability.
    pub expected: f64,
    /// Share of cases.
    pub observed: f64,
    /// Number of rows.
    pub rows: usize,
}

/// The rows, sorted by probability and cut into up to `groups` of about the same size; equal
/// probabilities are never parted, so that there may be fewer.
///
/// # Errors
/// [`Error::Shape`] for another number of labels, [`Error::Value`] for a probability that is not
/// a number.
///
/// # Example
/// ```
/// use sequela_eval::classify::calibration;
/// let groups = calibration(&[0.1, 0.3, 0.6, 0.8], &[false, false, true, true], 2)?;
/// assert_eq!((groups[0].observed, groups[1].observed), (0.0, 1.0));
/// assert!((groups[1].expected - 0.7).abs() < 1e-15);
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn calibration(
    probabilities: &[f64],
    labels: &[bool],
    groups: usize,
) -> Result<Vec<CalibrationGroup>, Error> {
    grouped(probabilities, labels, groups).map(|(groups, _)| groups)
}

/// The groups, and to which of them each row belongs.
pub(super) fn grouped(
    probabilities: &[f64],
    labels: &[bool],
    groups: usize,
) -> Result<(Vec<CalibrationGroup>, Vec<usize>), Error> {
    same_length("the list of probabilities", probabilities.len(), labels.len())?;
    if let Some(at) = probabilities.iter().position(|p| p.is_nan()) {
        let (what, fault) = ("the probability", "not a number");
        return Err(Error::Value { location: row(at), what, fault });
    }
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
    let (mut found, mut start) = (Vec::new(), 0);
    let mut group_of = vec![0; labels.len()];
    let groups = groups.max(1);
    for group in 1..=groups {
        let mut end = (order.len() * group / groups).max(start);
        let tied = |end: usize| probabilities[order[end]] <= probabilities[order[end - 1]];
        while end > start && end < order.len() && tied(end) {
            end += 1;
        }
        if end == start {
            continue;
        }
        let members = &order[start..end];
        let count = members.len() as f64;
        let cases = members.iter().filter(|&&row| labels[row]).count() as f64;
        for &row in members {
            group_of[row] = found.len();
        }
        let sum: f64 = members.iter().map(|&row| probabilities[row]).sum();
        found.push(CalibrationGroup {
            expected: sum / count,
            observed: cases / count,
            rows: members.len(),
        });
        start = end;
    }
    Ok((found, group_of))
}

/// The straight line through the log odds that says how probabilities are off.
///
/// **Source** Cox, Biometrika 45 (1958) 562; Van Calster, `McLernon`, van Smeden, Wynants and
/// Steyerberg, BMC Medicine 17 (2019) 230.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationLine {
    /// What has to be added to the log odds, as they are, so that as many cases are expected as
    /// there are (calibration in the large): above 0 where risks are told too low.
    pub intercept: f64,
    /// What the log odds have to be multiplied by, with an intercept of its own: below 1 where
    /// high risks are told too high and low ones too low.
    pub slope: f64,
}

/// The line of rows as they are, and its way for others: what is prepared once.
#[derive(Debug, Clone)]
pub(crate) struct LineFit {
    log_odds: Vec<f64>,
    labels: Vec<bool>,
    start: [f64; 3],
    /// What the lines of the start say of each row: the moved one, and the turned one.
    told: Vec<[f64; 2]>,
}

/// A row that counts, ready for many steps.
struct Counted {
    log_odds: f64,
    label: f64,
    weight: f64,
    told: [f64; 2],
}

impl LineFit {
    pub(crate) fn new(probabilities: &[f64], labels: &[bool]) -> Self {
        let log_odds = probabilities.iter().map(|&p| log_odds_of(p)).collect();
        let fit =
            Self { log_odds, labels: labels.to_vec(), start: [0.0, 1.0, 0.0], told: Vec::new() };
        fit.telling()
    }

    /// With what its start says of each row, so that the first step of every draw needs no
    /// exponential.
    fn telling(mut self) -> Self {
        let [first, slope, intercept] = self.start;
        let both = |&z: &f64| [said(1.0, z, first), said(slope, z, intercept)];
        self.told = self.log_odds.iter().map(both).collect();
        self
    }

    /// Intercept and slope for these weights; NaN where there is none.
    pub(crate) fn line(&self, weights: Option<&[f64]>) -> CalibrationLine {
        let plain = Problem { weights, ..Problem::new(&self.log_odds, 1, &self.labels).exact() };
        let mut found = CalibrationLine { intercept: f64::NAN, slope: f64::NAN };
        let counted = self.counted(weights);
        let Some(spread) = spread(&counted) else { return found };
        let moved = Problem { rows: &[], width: 0, offsets: Some(&self.log_odds), ..plain };
        let [first, slope, intercept] = self.start;
        // Draws lie near all rows, where Newton's steps need no loss to guide them.
        let near = self.near(&counted, [1.0, first], Moved::Intercept);
        found.intercept = near.map_or_else(|| moved.fit_from(vec![first])[0], |line| line[1]);
        if spread == Spread::Overlap {
            let near = self.near(&counted, [slope, intercept], Moved::Both);
            found.slope =
                near.map_or_else(|| plain.fit_from(vec![slope, intercept])[0], |line| line[0]);
        }
        found
    }

    /// Slope and intercept by whole steps of Newton's method from a start that is near, to where
    /// [`Problem::exact`] ends; none where a step does not come nearer.
    fn near(&self, rows: &[Counted], start: [f64; 2], moved: Moved) -> Option<[f64; 2]> {
        let [mut slope, mut intercept] = start;
        let enough = EXACT * (1.0 + self.labels.len() as f64);
        let mut before = f64::INFINITY;
        for step in 0..STEPS {
            let [gz, g1, hzz, hz, h1] = match step {
                0 => derivatives(rows, |row| row.told[moved as usize]),
                _ => derivatives(rows, |row| said(slope, row.log_odds, intercept)),
            };
            let steepest = match moved {
                Moved::Intercept => g1.abs(),
                Moved::Both => g1.abs().max(gz.abs()),
            };
            if steepest < enough {
                return Some([slope, intercept]);
            }
            if steepest >= before || steepest.is_nan() {
                return None;
            }
            before = steepest;
            let determinant = match moved {
                Moved::Intercept => h1,
                Moved::Both => hzz * h1 - hz * hz,
            };
            if determinant <= 0.0 {
                return None;
            }
            if moved == Moved::Intercept {
                intercept -= g1 / h1;
            } else {
                slope -= (h1 * gz - hz * g1) / determinant;
                intercept -= (hzz * g1 - hz * gz) / determinant;
            }
        }
        None
    }

    /// The rows that count.
    fn counted(&self, weights: Option<&[f64]>) -> Vec<Counted> {
        let mut rows = Vec::with_capacity(self.labels.len());
        let each = self.log_odds.iter().zip(&self.labels).zip(&self.told);
        for (at, ((&log_odds, &label), &told)) in each.enumerate() {
            let weight = weight(weights, at);
            if weight > 0.0 {
                rows.push(Counted { log_odds, label: f64::from(u8::from(label)), weight, told });
            }
        }
        rows
    }

    /// The same, whose next fits start from here.
    pub(crate) fn started(mut self) -> Self {
        let CalibrationLine { intercept, slope } = self.line(None);
        if slope.is_finite() {
            let plain = Problem::new(&self.log_odds, 1, &self.labels).exact();
            let line = plain.fit_from(vec![slope, 0.0]);
            self.start = [intercept, line[0], line[1]];
        }
        self.telling()
    }

    /// The intercept that goes with the slope of all rows; NaN where they have no slope.
    pub(crate) fn own_intercept(&self) -> f64 {
        if self.line(None).slope.is_nan() { f64::NAN } else { self.start[2] }
    }
}

/// What a line says of log odds.
fn said(slope: f64, log_odds: f64, intercept: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-(slope * log_odds + intercept)))
}

/// Gradient and curvature of the loss of a line that says `p` of rows: of slope and intercept, then
/// of both squared and their product, as z z, z, 1.
fn derivatives(rows: &[Counted], p: impl Fn(&Counted) -> f64) -> [f64; 5] {
    let mut sums = [0.0; 5];
    for row in rows {
        let (p, z) = (p(row), row.log_odds);
        let error = row.weight * (p - row.label);
        let bend = row.weight * p * (1.0 - p);
        let terms = [error * z, error, bend * z * z, bend * z, bend];
        sums.iter_mut().zip(terms).for_each(|(sum, one)| *sum += one);
    }
    sums
}

/// Whether cases and controls can have a line; none where one of them is not there.
fn spread(rows: &[Counted]) -> Option<Spread> {
    let mut ends = [[f64::INFINITY, -f64::INFINITY]; 2];
    for row in rows {
        let ends = &mut ends[usize::from(row.label > 0.5)];
        *ends = [ends[0].min(row.log_odds), ends[1].max(row.log_odds)];
    }
    let [control, case] = ends;
    if case[0] > case[1] || control[0] > control[1] {
        return None;
    }
    let apart = case[0] >= control[1] || control[0] >= case[1];
    Some(if apart { Spread::Apart } else { Spread::Overlap })
}

/// Which of slope and intercept are looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moved {
    Intercept,
    Both,
}

#[derive(Debug, PartialEq)]
enum Spread {
    /// Cases and controls share a range of log odds.
    Overlap,
    /// A threshold parts them: no finite slope is best.
    Apart,
}

/// Intercept and slope of logistic recalibration of the probabilities of a case.
///
/// Probabilities are held within 2^-52 of 0 and 1. The slope is NaN where all cases have higher
/// (or all lower) probabilities than all controls, or all the same: no finite slope is best.
///
/// # Errors
/// [`Error::Shape`] and [`Error::Value`] for lists of different lengths, a probability outside
/// 0..=1 or a bad weight; [`Error::OneClass`] where cases or controls have no weight.
///
/// # Example
/// ```
/// use sequela_eval::classify::calibration_line;
/// let (p, died) = ([0.2, 0.2, 0.2, 0.2, 0.8, 0.8, 0.8, 0.8], [true, false, false, false, true, true, true, false]);
/// let line = calibration_line(&p, &died, None)?;
/// assert!(line.intercept.abs() < 1e-9);
/// // Told 0.2 and 0.8, came true 0.25 and 0.75.
/// assert!((line.slope - 3.0_f64.ln() / 4.0_f64.ln()).abs() < 1e-9);
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn calibration_line(
    probabilities: &[f64],
    labels: &[bool],
    weights: Option<&[f64]>,
) -> Result<CalibrationLine, Error> {
    check(probabilities, labels, weights)?;
    let line = LineFit::new(probabilities, labels).line(weights);
    if line.intercept.is_nan() {
        return Err(Error::OneClass { location: place("labels"), metric: "the calibration line" });
    }
    Ok(line)
}

/// The expected calibration error: rows in ten bins of equal width, the mean over rows of how far
/// the observed share of a bin is from its mean probability.
///
/// # Errors
/// As [`calibration_line`]; [`Error::Nothing`] without weight.
///
/// **Source** Naeini, Cooper and Hauskrecht, AAAI 2015; bins as Guo, Pleiss, Sun and Weinberger,
/// ICML 2017, of the case's probability.
///
/// # Example
/// ```
/// use sequela_eval::classify::expected_calibration_error;
/// let error = expected_calibration_error(&[0.15, 0.15, 0.85], &[false, true, true], None)?;
/// assert!((error - (2.0 * 0.35 + 0.15) / 3.0).abs() < 1e-15);
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn expected_calibration_error(
    probabilities: &[f64],
    labels: &[bool],
    weights: Option<&[f64]>,
) -> Result<f64, Error> {
    check(probabilities, labels, weights)?;
    let (mut excess, mut total) = ([0.0; BINS], 0.0);
    for (at, (&p, &label)) in probabilities.iter().zip(labels).enumerate() {
        let v = weight(weights, at);
        excess[bin(p)] += v * (f64::from(u8::from(label)) - p);
        total += v;
    }
    if total > 0.0 {
        return Ok(excess.iter().map(|e| e.abs()).sum::<f64>() / total);
    }
    Err(Error::Nothing { location: place("classification") })
}

/// The bin of a probability: `[0, 0.1), [0.1, 0.2) ... [0.9, 1]`.
pub(super) fn bin(p: f64) -> usize {
    (1..BINS).filter(|&k| p >= k as f64 / BINS as f64).count()
}

fn check(probabilities: &[f64], labels: &[bool], weights: Option<&[f64]>) -> Result<(), Error> {
    same_length("the list of probabilities", probabilities.len(), labels.len())?;
    check_weights(weights, labels.len())?;
    super::probability::check_probabilities(probabilities, 1)
}

/// The log odds of a probability, held within 2^-52 of 0 and 1.
pub(crate) fn log_odds_of(p: f64) -> f64 {
    let p = p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    libm::log(p) - libm::log1p(-p)
}

/// The slope of the loss, for each row, at which a line is found: that of [`Problem::exact`].
const EXACT: f64 = 1e-14;
/// Steps that are tried without a look at the loss.
const STEPS: usize = 12;
/// Bins of the expected calibration error.
pub(super) const BINS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_stay_together_and_no_row_is_lost() {
        let probabilities = [0.2, 0.2, 0.2, 0.2, 0.2, 0.9, 0.9];
        let labels = [true, false, false, false, false, true, true];
        let groups = calibration(&probabilities, &labels, 3).unwrap();
        let rows: Vec<usize> = groups.iter().map(|group| group.rows).collect();
        assert_eq!(rows, [5, 2]);
        assert!((groups[0].observed - 0.2).abs() < 1e-15);
        assert!(calibration(&[], &[], 10).unwrap().is_empty());
        assert!(calibration(&[0.1], &[], 10).is_err());
        assert!(calibration(&[f64::NAN], &[true], 10).is_err());
    }

    #[test]
    fn a_line_needs_both_classes_and_overlap() {
        let line = |p: &[f64], label: &[bool]| calibration_line(p, label, None);
        assert!(matches!(line(&[0.2, 0.3], &[true, true]), Err(Error::OneClass { .. })));
        assert!(line(&[0.2, 1.3], &[true, false]).is_err());
        let apart = line(&[0.2, 0.3, 0.9], &[false, false, true]).unwrap();
        assert!(apart.slope.is_nan() && apart.intercept.is_finite());
        let constant = line(&[0.3; 4], &[false, false, true, true]).unwrap();
        assert!(constant.slope.is_nan() && (constant.intercept + log_odds_of(0.3)).abs() < 1e-9);
        assert!((log_odds_of(0.0) + 36.04).abs() < 0.01 && log_odds_of(1.0) > 36.0);
        assert!(expected_calibration_error(&[], &[], None).is_err());
        assert_eq!([0.0, 0.1, 0.3, 0.95, 1.0].map(bin), [0, 1, 3, 9, 9]);
    }
}
