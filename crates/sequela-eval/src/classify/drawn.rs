//! Figures of a draw of subjects from sums of each subject.
//!
//! All figures but ranks and the calibration line are sums over rows, and are added up once for
//! each subject; ranks take one walk over the sorted rows, whose weight is that of their subject.
//! The calibration line of a draw is fitted to its rows or, for rows that are many, is one step of
//! Newton's method from that of all rows: the derivatives there are sums too.
//!
//! **Source** of the one-step bootstrap: Shao and Tu, *The Jackknife and Bootstrap*, 1995, section
//! 8.5. The tests hold every other figure to 1e-12 against a draw judged row by row.

use super::calibration::{LineFit, log_odds_of};
use super::figure::FIGURES;
use super::probability::surprise;
use super::score::Scorer;
use super::truth::StepTruth;
use super::{Confusion, Ranking};
use crate::bootstrap::Units;

/// What figures are put together from.
pub(super) struct Parts {
    /// AUROC, AUPRC, sensitivity at 95 % specificity.
    pub(super) ranks: [f64; 3],
    /// Brier score and log loss.
    pub(super) errors: [f64; 2],
    /// Observed less expected, intercept, slope, calibration error.
    pub(super) calibration: [f64; 4],
    pub(super) confusion: Confusion,
    /// Utility, subjects found, subjects alarmed without a case, alarms per day.
    pub(super) steps: [f64; 4],
}

impl Parts {
    /// In the order of [`Figure::ALL`](super::Figure::ALL).
    pub(super) fn figures(self) -> [f64; FIGURES] {
        let Self { ranks, errors, calibration, confusion, steps } = self;
        let classes = confusion.classes();
        let judged = if classes == 2 { 1..2 } else { 0..classes };
        let mean = |figure: &dyn Fn(usize) -> Option<f64>| {
            let count = judged.len() as f64;
            judged.clone().map(|class| figure(class).unwrap_or(f64::NAN)).sum::<f64>() / count
        };
        let sensitivity = mean(&|class| confusion.sensitivity(class));
        let precision = mean(&|class| confusion.precision(class));
        // Without an alarm none is right.
        let event_1 = sensitivity.min(if precision.is_nan() { 0.0 } else { precision });
        let [excess, intercept, slope, calibration_error] = calibration;
        [
            ranks[0],
            ranks[1],
            errors[0],
            errors[1],
            ranks[2],
            excess,
            intercept,
            slope,
            calibration_error,
            confusion.accuracy().unwrap_or(f64::NAN),
            sensitivity,
            mean(&|class| confusion.specificity(class)),
            precision,
            mean(&|class| confusion.f1(class)),
            if sensitivity.is_nan() { f64::NAN } else { event_1 },
            confusion.kappa().unwrap_or(f64::NAN),
            steps[0],
            steps[1],
            steps[2],
            steps[3],
        ]
    }
}

/// Sums over steps, and over the subjects whose they are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StepSums {
    rows: f64,
    alarms: f64,
    gain: f64,
    best: f64,
    /// Subjects with a case, and those of them who are warned at one.
    with: [f64; 2],
    /// Subjects without a case, and those of them who are ever warned.
    without: [f64; 2],
}

impl StepSums {
    /// Those of the rows of one subject.
    pub(super) fn of(scorer: &Scorer<'_>, steps: &StepTruth, rows: &[usize]) -> Self {
        let (class, decision) = (scorer.truth.class(), &scorer.answers.decisions);
        let mut sums = Self { rows: rows.len() as f64, ..Self::default() };
        let (mut case, mut found, mut warned) = (false, false, false);
        for &row in rows {
            let (is_case, alarm) = (class[row] == 1, decision[row] == 1);
            (case, warned, found) = (case || is_case, warned || alarm, found || (is_case && alarm));
            sums.alarms += f64::from(u8::from(alarm));
            let [gain, best] = steps.gains.get(row).copied().unwrap_or_default();
            sums.gain += if alarm { gain } else { 0.0 };
            sums.best += best;
        }
        let of = |all: bool, some: bool| [f64::from(u8::from(all)), f64::from(u8::from(some))];
        sums.with = of(case, found);
        sums.without = of(!case, !case && warned);
        sums
    }

    pub(super) fn add(&mut self, weight: f64, other: &Self) {
        self.rows += weight * other.rows;
        self.alarms += weight * other.alarms;
        self.gain += weight * other.gain;
        self.best += weight * other.best;
        for at in 0..2 {
            self.with[at] += weight * other.with[at];
            self.without[at] += weight * other.without[at];
        }
    }

    /// Utility, subjects found, subjects alarmed without a case, alarms per day; NaN where one is
    /// not defined.
    pub(super) fn figures(&self, days: Option<f64>) -> [f64; 4] {
        let share = |part: f64, all: f64| if all > 0.0 { part / all } else { f64::NAN };
        [
            share(self.gain, self.best),
            share(self.with[1], self.with[0]),
            share(self.without[1], self.without[0]),
            days.map_or(f64::NAN, |days| share(self.alarms, self.rows * days)),
        ]
    }
}

/// How the calibration line of a draw is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Line {
    /// Fitted to the rows of the draw.
    Exact,
    /// One step of Newton's method from that of all rows.
    OneStep,
}

/// What is added up of each subject.
pub(super) struct Drawn<'a> {
    classes: usize,
    days: Option<f64>,
    has_steps: bool,
    sums: Vec<Sums>,
    /// Counts of (true class, decided class), `(subjects, K K)`.
    confusion: Vec<f64>,
    rankings: Vec<Walk>,
    /// The calibration line of all rows, for two classes: intercept alone, then slope and intercept.
    line: Option<[f64; 3]>,
    /// Where the line is fitted to each draw: all rows, and whose each is.
    fit: Option<(&'a LineFit, Vec<u32>)>,
}

/// Sums over the rows of one subject, or of a draw.
#[derive(Debug, Clone, Default)]
struct Sums {
    rows: f64,
    brier: f64,
    log_loss: f64,
    excess: f64,
    bins: [f64; super::calibration::BINS],
    /// Gradient and curvature of the intercept alone, then of slope and intercept.
    line: [f64; 7],
    steps: StepSums,
}

impl Sums {
    fn add(&mut self, weight: f64, other: &Self) {
        self.rows += weight * other.rows;
        self.brier += weight * other.brier;
        self.log_loss += weight * other.log_loss;
        self.excess += weight * other.excess;
        self.bins.iter_mut().zip(&other.bins).for_each(|(sum, bin)| *sum += weight * bin);
        self.line.iter_mut().zip(&other.line).for_each(|(sum, one)| *sum += weight * one);
        self.steps.add(weight, &other.steps);
    }
}

impl<'a> Drawn<'a> {
    pub(super) fn new(scorer: &'a Scorer<'_>, units: &Units, way: Line) -> Self {
        let truth = scorer.truth;
        let classes = truth.classes();
        let line = scorer.case.as_ref().map(|case| {
            let line = case.line.line(None);
            [line.intercept, line.slope, case.line.own_intercept()]
        });
        let mut unit_of = vec![0_u32; truth.rows()];
        let mut sums = Vec::with_capacity(units.len());
        let mut confusion = vec![0.0; units.len() * classes * classes];
        for (number, unit) in (0_u32..).zip(0..units.len()) {
            let cells = &mut confusion[unit * classes * classes..][..classes * classes];
            let mut sum = Sums::default();
            for &row in units.rows(unit) {
                unit_of[row] = number;
                let (class, decision) = (truth.class()[row], scorer.answers.decisions[row]);
                cells[class as usize * classes + decision as usize] += 1.0;
                sum.add(1.0, &one(scorer, row, line));
            }
            if let Some(steps) = truth.steps() {
                sum.steps = StepSums::of(scorer, steps, units.rows(unit));
            }
            sums.push(sum);
        }
        let rankings = scorer.rankings.iter().map(|one| Walk::new(one, &unit_of)).collect();
        let (days, has_steps) = (truth.steps().and_then(|s| s.days), truth.steps().is_some());
        let exact = scorer.case.as_ref().filter(|_| way == Line::Exact);
        let fit = exact.map(|case| (&case.line, unit_of));
        Self { classes, days, has_steps, sums, confusion, rankings, line, fit }
    }

    /// The figures of subjects that count so often.
    pub(super) fn figures(&self, weights: &[f64]) -> [f64; FIGURES] {
        let mut sums = Sums::default();
        let cells = self.classes * self.classes;
        let mut counts = vec![0.0; cells];
        let each = self.sums.iter().zip(self.confusion.chunks_exact(cells)).zip(weights);
        for ((one, confusion), &weight) in each.filter(|(_, weight)| **weight > 0.0) {
            sums.add(weight, one);
            counts.iter_mut().zip(confusion).for_each(|(sum, count)| *sum += weight * count);
        }
        let mut ranks = [0.0; 3];
        for walk in &self.rankings {
            let found = walk.ranks(weights);
            ranks.iter_mut().zip(found).for_each(|(sum, one)| *sum += one);
        }
        let errors = [sums.brier / sums.rows, sums.log_loss / sums.rows];
        let steps = if self.has_steps { sums.steps.figures(self.days) } else { [f64::NAN; 4] };
        let calibration = self.calibration(&sums, weights);
        Parts {
            ranks: ranks.map(|sum| sum / self.rankings.len() as f64),
            errors,
            calibration,
            confusion: Confusion::of(self.classes, counts),
            steps,
        }
        .figures()
    }

    fn calibration(&self, sums: &Sums, weights: &[f64]) -> [f64; 4] {
        let Some([first, slope, intercept]) = self.line else { return [f64::NAN; 4] };
        let error = sums.bins.iter().map(|bin| bin.abs()).sum::<f64>() / sums.rows;
        let excess = sums.excess / sums.rows;
        if let Some((fit, unit_of)) = &self.fit {
            let of_rows: Vec<f64> = unit_of.iter().map(|&unit| weights[unit as usize]).collect();
            let line = fit.line(Some(&of_rows));
            return [excess, line.intercept, line.slope, error];
        }
        let [g, h, gz, g1, hzz, hz, h1] = sums.line;
        let moved = if h > 0.0 { first + g / h } else { f64::NAN };
        let determinant = hzz * h1 - hz * hz;
        let turned = if determinant > 0.0 && intercept.is_finite() {
            slope + (h1 * gz - hz * g1) / determinant
        } else {
            f64::NAN
        };
        [excess, moved, turned, error]
    }
}

/// What one row adds to the sums of its subject, but for its steps.
fn one(scorer: &Scorer<'_>, row: usize, line: Option<[f64; 3]>) -> Sums {
    let (classes, class) = (scorer.truth.classes(), scorer.truth.class()[row] as usize);
    let told = &scorer.answers.probabilities[row * classes..(row + 1) * classes];
    let mut sums = Sums { rows: 1.0, log_loss: surprise(told[class]), ..Sums::default() };
    let (Some(case), Some([first, slope, intercept])) = (&scorer.case, line) else {
        let error = |k: usize| told[k] - f64::from(u8::from(k == class));
        sums.brier = (0..classes).map(|k| error(k) * error(k)).sum();
        return sums;
    };
    let (p, y) = (case.probability[row], f64::from(u8::from(case.label[row])));
    sums.brier = (y - p) * (y - p);
    sums.excess = y - p;
    sums.bins[super::calibration::bin(p)] = y - p;
    let z = log_odds_of(p);
    let sigmoid = |x: f64| 1.0 / (1.0 + libm::exp(-x));
    let alone = sigmoid(z + first);
    let both = sigmoid(slope * z + intercept);
    let (left, curve) = (y - both, both * (1.0 - both));
    sums.line = [y - alone, alone * (1.0 - alone), left * z, left, curve * z * z, curve * z, curve];
    sums
}

/// The rows of a ranking, highest score first: whose each is, whether it is a case, and whether it
/// has the score of the one before.
struct Walk {
    rows: Vec<u32>,
}

impl Walk {
    fn new(ranking: &Ranking, unit_of: &[u32]) -> Self {
        let rows = ranking.ranked().map(|(row, is_case, tied)| {
            (unit_of[row] << 2) | (u32::from(is_case) << 1) | u32::from(tied)
        });
        Self { rows: rows.collect() }
    }

    /// AUROC, AUPRC and sensitivity at 95 % specificity; NaN without cases or controls.
    fn ranks(&self, weights: &[f64]) -> [f64; 3] {
        let weight = |row: u32| weights[(row >> 2) as usize];
        let mut all = [0.0; 2];
        for &row in &self.rows {
            all[usize::from(row & 2 != 0)] += weight(row);
        }
        let [controls_of_all, cases_of_all] = all;
        if cases_of_all <= 0.0 || controls_of_all <= 0.0 {
            return [f64::NAN; 3];
        }
        let most = (0.05 + 1e-12) * controls_of_all;
        let (mut cases, mut controls, mut area, mut sum) = (0.0, 0.0, 0.0, 0.0);
        let (mut new, mut found) = ([0.0; 2], 0.0);
        let mut visit = |[new_controls, new_cases]: [f64; 2]| {
            area += new_controls * (cases + new_cases / 2.0);
            cases += new_cases;
            controls += new_controls;
            if new_cases > 0.0 {
                sum += new_cases * (cases / (cases + controls));
            }
            if controls <= most {
                found = cases;
            }
        };
        for &row in &self.rows {
            if row & 1 == 0 {
                visit(new);
                new = [0.0; 2];
            }
            new[usize::from(row & 2 != 0)] += weight(row);
        }
        visit(new);
        [area / (cases_of_all * controls_of_all), sum / cases_of_all, found / cases_of_all]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Answers, Figure, SepsisUtility, StepTruth, Truth};
    use super::*;
    use crate::bootstrap::group;
    use sequela_core::{Random, SubjectId};

    /// Hours of patients of whom some become ill.
    fn hours(classes: usize) -> (Truth, Answers) {
        let random = Random::new(3, 1);
        let mut truth = Truth::new(classes);
        let (mut answers, mut gains) = (Answers::default(), Vec::new());
        for patient in 0..60_u64 {
            let who = SubjectId::new(format!("p{patient}"));
            let length = 8 + random.below(patient, 20);
            let ill = patient % 3 == 0;
            let labels: Vec<bool> = (0..length).map(|hour| ill && hour + 6 > length).collect();
            gains.extend(SepsisUtility::gains(&labels));
            for (hour, &label) in (0_u64..).zip(&labels) {
                let at = 1000 + patient * 64 + hour;
                let class = if label { 1 } else { random.below(at, classes as u64 - 1) * 2 };
                truth.push(&who, u32::try_from(class).unwrap()).unwrap();
                // Rounded, so that some scores tie.
                let odds = random.normal(at) + if label { 1.5 } else { 0.0 };
                let p = libm::round(50.0 / (1.0 + libm::exp(1.0 - odds))) / 50.0;
                let rest = (1.0 - p) / (classes - 1) as f64;
                answers.probabilities.extend((0..classes).map(|k| if k == 1 { p } else { rest }));
                answers.decisions.push(u32::from(p > 0.4));
            }
        }
        let days = Some(1.0 / 24.0);
        (truth.of_steps(StepTruth { days, gains }).unwrap(), answers)
    }

    #[test]
    fn sums_of_subjects_are_what_their_rows_say() {
        for classes in [2, 3] {
            let (truth, answers) = hours(classes);
            let scorer = Scorer::new(&truth, &answers).unwrap();
            let units = Units::new(&group(truth.subjects()), 1);
            let ways = [Line::Exact, Line::OneStep];
            let [exact, one_step] = ways.map(|way| Drawn::new(&scorer, &units, way));
            for draw in 0..20_u64 {
                let random = Random::new(draw, 5);
                let of_unit: Vec<f64> =
                    (0..units.len() as u64).map(|unit| random.below(unit, 3) as f64).collect();
                let mut weights = vec![0.0; truth.rows()];
                for (unit, &weight) in of_unit.iter().enumerate() {
                    units.rows(unit).iter().for_each(|&row| weights[row] = weight);
                }
                let slow = scorer.figures(&weights);
                for (fast, line_near) in [(&exact, 1e-12), (&one_step, 0.05)] {
                    let fast = fast.figures(&of_unit);
                    for figure in Figure::ALL {
                        let (fast, slow) = (fast[figure.index()], slow[figure.index()]);
                        let near = match figure {
                            Figure::CalibrationIntercept | Figure::CalibrationSlope => line_near,
                            _ => 1e-12,
                        };
                        let same = fast.is_nan() && slow.is_nan();
                        assert!(same || (fast - slow).abs() < near, "{figure:?}: {fast} {slow}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_utility_of_rows_is_that_of_patients() {
        let (truth, answers) = hours(2);
        let mut utility = SepsisUtility::default();
        let (mut labels, mut warnings) = (Vec::new(), Vec::new());
        for at in 0..truth.rows() {
            labels.push(truth.class()[at] == 1);
            warnings.push(answers.decisions[at] == 1);
            let who = &truth.subjects()[at];
            if truth.subjects().get(at + 1) != Some(who) {
                utility.push(who, &labels, &warnings).unwrap();
                labels.clear();
                warnings.clear();
            }
        }
        let scorer = Scorer::new(&truth, &answers).unwrap();
        let found = scorer.figures(&vec![1.0; truth.rows()])[Figure::Utility.index()];
        assert!((found - utility.normalised(None).unwrap()).abs() < 1e-12);
    }
}
