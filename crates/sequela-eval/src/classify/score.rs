//! All figures of a classifier, with intervals by subject.
//!
//! A draw of subjects is judged from sums of each subject ([`drawn`](super::drawn)); where rows are
//! many for a subject, as steps of series are, the calibration line of a draw is one step of
//! Newton's method. Blocks of one subject are judged row by row.

use super::calibration::LineFit;
use super::drawn::{Drawn, Line, Parts, StepSums};
use super::figure::{FIGURES, Figure};
use super::{
    Answers, Confusion, Ranking, Truth, brier, brier_classes, expected_calibration_error,
    log_loss_classes,
};
use crate::Error;
use crate::bootstrap::{Bootstrap, Estimate, Interval, RARE_SUBJECTS, Units, group};
use crate::error::place;

/// A figure of a classifier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScore {
    /// Which one.
    pub figure: Figure,
    /// Its value and interval; none where it is not defined, like the precision of who never
    /// raises an alarm.
    pub estimate: Option<Estimate>,
}

/// A figure of one classifier less that of another, on the same draws of subjects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassDifference {
    /// Which one.
    pub figure: Figure,
    /// The difference; none where one of them is not defined.
    pub estimate: Option<Estimate>,
}

/// Every figure of a classifier.
///
/// **Cost** replicates x rows x classes.
///
/// # Errors
/// [`Error::Nothing`] without rows; [`Error::Shape`] and [`Error::Value`] for answers that are not
/// one row of probabilities and one decision for each row of the truth.
///
/// # Example
/// ```
/// use sequela_core::SubjectId;
/// use sequela_eval::bootstrap::Bootstrap;
/// use sequela_eval::classify::{Answers, Figure, Truth, score};
/// let mut truth = Truth::new(2);
/// for (patient, class) in [("a", 0), ("b", 1), ("c", 0), ("d", 1)] {
///     truth.push(&SubjectId::new(patient), class)?;
/// }
/// let answers = Answers {
///     probabilities: vec![0.9, 0.1, 0.6, 0.4, 0.65, 0.35, 0.2, 0.8],
///     decisions: vec![0, 0, 0, 1],
/// };
/// let scores = score(&truth, &answers, &Bootstrap::default())?;
/// assert_eq!(scores[0].figure, Figure::Auroc);
/// assert_eq!(scores[0].estimate.map(|estimate| estimate.value), Some(1.0));
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn score(
    truth: &Truth,
    answers: &Answers,
    bootstrap: &Bootstrap,
) -> Result<Vec<ClassScore>, Error> {
    let found = verdicts(truth, &[answers], bootstrap)?;
    Ok(found.into_iter().next().map_or_else(Vec::new, |verdict| verdict.scores))
}

/// What is told of one of several classifiers.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Every figure.
    pub scores: Vec<ClassScore>,
    /// The first classifier less this one, every figure; none of the first itself.
    pub first_less_this: Vec<ClassDifference>,
}

/// Every figure of several classifiers, and what the first has more of it than each other, on the
/// same draws of subjects.
///
/// **Cost** replicates x rows x classes x classifiers: each draw of each classifier is judged once.
///
/// # Errors
/// As [`score`].
///
/// # Example
/// ```
/// use sequela_core::SubjectId;
/// use sequela_eval::bootstrap::Bootstrap;
/// use sequela_eval::classify::{Answers, Truth, verdicts};
/// let mut truth = Truth::new(2);
/// for (patient, class) in [("a", 0), ("b", 1), ("c", 0), ("d", 1)] {
///     truth.push(&SubjectId::new(patient), class)?;
/// }
/// let told = |p: [f64; 4]| Answers {
///     probabilities: p.iter().flat_map(|p| [1.0 - p, *p]).collect(),
///     decisions: vec![0; 4],
/// };
/// let (good, bad) = (told([0.1, 0.8, 0.3, 0.7]), told([0.5; 4]));
/// let all = verdicts(&truth, &[&good, &bad], &Bootstrap::default())?;
/// assert!(all[0].first_less_this.is_empty());
/// assert_eq!(all[1].first_less_this[0].estimate.map(|auroc| auroc.value), Some(0.5));
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn verdicts(
    truth: &Truth,
    answers: &[&Answers],
    bootstrap: &Bootstrap,
) -> Result<Vec<Verdict>, Error> {
    let scorers: Vec<Scorer<'_>> =
        answers.iter().map(|answers| Scorer::new(truth, answers)).collect::<Result<_, _>>()?;
    let all = vec![1.0; truth.rows()];
    let values: Vec<[f64; FIGURES]> = scorers.iter().map(|scorer| scorer.figures(&all)).collect();
    let intervals = intervals(truth, &scorers, bootstrap);
    let wanted: Vec<Figure> = match scorers.first() {
        Some(scorer) => Figure::ALL.into_iter().filter(|&figure| scorer.has(figure)).collect(),
        None => Vec::new(),
    };
    let each = values.iter().enumerate().map(|(at, value)| {
        let (own, less) = (2 * at * FIGURES, (2 * at + 1) * FIGURES);
        let scores = wanted.iter().map(|&figure| {
            let column = figure.index();
            let estimate = estimate(value[column], intervals[own + column]);
            ClassScore { figure, estimate }
        });
        let differences = wanted.iter().filter(|_| at > 0).map(|&figure| {
            let column = figure.index();
            let difference = values[0][column] - value[column];
            let estimate = estimate(difference, intervals[less + column]);
            ClassDifference { figure, estimate }
        });
        Verdict { scores: scores.collect(), first_less_this: differences.collect() }
    });
    Ok(each.collect())
}

/// One classifier less another, every figure, on the same draws of subjects.
///
/// # Errors
/// As [`score`].
pub fn compare(
    truth: &Truth,
    answers: &Answers,
    other: &Answers,
    bootstrap: &Bootstrap,
) -> Result<Vec<ClassDifference>, Error> {
    let found = verdicts(truth, &[answers, other], bootstrap)?;
    Ok(found.into_iter().nth(1).map_or_else(Vec::new, |verdict| verdict.first_less_this))
}

fn estimate(value: f64, interval: Interval) -> Option<Estimate> {
    (!value.is_nan()).then_some(Estimate { value, interval })
}

/// What is drawn of the rows: subjects, within their classes where one is rare.
pub(super) fn units(truth: &Truth) -> Units {
    let units = Units::new(&group(truth.subjects()), 1);
    let Some(ranks) = rare(truth) else { return units };
    let rank = |&row: &usize| ranks[truth.class()[row] as usize];
    units.stratified(|rows| rows.iter().map(rank).min().unwrap_or(0))
}

/// Of each scorer the intervals of its figures, then of those of the first less its own.
fn intervals(truth: &Truth, scorers: &[Scorer<'_>], bootstrap: &Bootstrap) -> Vec<Interval> {
    let units = units(truth);
    let wanted = 2 * FIGURES * scorers.len();
    let write = |figures: &[[f64; FIGURES]], values: &mut [f64]| {
        for (own, values) in figures.iter().zip(values.chunks_exact_mut(2 * FIGURES)) {
            let (scores, less) = values.split_at_mut(FIGURES);
            scores.copy_from_slice(own);
            let pairs = figures[0].iter().zip(own);
            less.iter_mut().zip(pairs).for_each(|(less, (first, own))| *less = first - own);
        }
    };
    if units.are_subjects() {
        let many = truth.rows() >= MANY_ROWS * units.len();
        let line = if many { Line::OneStep } else { Line::Exact };
        let all: Vec<Drawn<'_>> =
            scorers.iter().map(|scorer| Drawn::new(scorer, &units, line)).collect();
        let judge = |weights: &mut [f64], drawn: &[usize], values: &mut [f64]| {
            weights.fill(0.0);
            for &unit in drawn {
                weights[unit] += 1.0;
            }
            let figures: Vec<_> = all.iter().map(|one| one.figures(weights)).collect();
            write(&figures, values);
        };
        return bootstrap.intervals_shared(&units, wanted, || {
            let mut weights = vec![0.0; units.len()];
            move |drawn: &[usize], values: &mut [f64]| judge(&mut weights, drawn, values)
        });
    }
    let judge = |weights: &mut [f64], drawn: &[usize], values: &mut [f64]| {
        weights.fill(0.0);
        for &row in drawn.iter().flat_map(|&unit| units.rows(unit)) {
            weights[row] += 1.0;
        }
        let figures: Vec<_> = scorers.iter().map(|scorer| scorer.figures(weights)).collect();
        write(&figures, values);
    };
    bootstrap.intervals_shared(&units, wanted, || {
        let mut weights = vec![0.0; truth.rows()];
        move |drawn: &[usize], values: &mut [f64]| judge(&mut weights, drawn, values)
    })
}

/// Rows of a subject, on average, from which on the calibration line of a draw is one step from
/// that of all rows.
const MANY_ROWS: usize = 4;

/// Whether subjects are drawn within their classes, because a class is rare
/// ([`RARE_SUBJECTS`](crate::bootstrap::RARE_SUBJECTS)).
pub fn is_stratified(truth: &Truth) -> bool {
    rare(truth).is_some()
}

/// The rank of each class, the rarest first, where one is rare: a subject is drawn among those
/// whose rarest class is the same.
fn rare(truth: &Truth) -> Option<Vec<u32>> {
    let counts = truth.subjects_of_each();
    let present = || counts.iter().filter(|&&count| count > 0);
    if present().count() < 2 || present().all(|&count| count >= RARE_SUBJECTS) {
        return None;
    }
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|&class| counts[class]);
    let mut ranks = vec![0; counts.len()];
    for (rank, class) in (0..).zip(order) {
        ranks[class] = rank;
    }
    Some(ranks)
}

/// What is prepared once for all replicates.
pub(super) struct Scorer<'a> {
    pub(super) truth: &'a Truth,
    pub(super) answers: &'a Answers,
    /// Of the case, or of each class against the rest.
    pub(super) rankings: Vec<Ranking>,
    /// Probability of the case and whether it is one, for two classes.
    pub(super) case: Option<Case>,
}

/// The second of two classes.
pub(super) struct Case {
    pub(super) probability: Vec<f64>,
    pub(super) label: Vec<bool>,
    pub(super) line: LineFit,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(truth: &'a Truth, answers: &'a Answers) -> Result<Self, Error> {
        if truth.rows() == 0 {
            return Err(Error::Nothing { location: place("classification") });
        }
        // Both functions look at every row: what passes them needs no look later.
        let classes = truth.classes();
        log_loss_classes(&answers.probabilities, classes, truth.class(), None)?;
        super::same_length("the list of decisions", answers.decisions.len(), truth.rows())?;
        let mut all = Confusion::new(classes);
        for (&class, &decision) in truth.class().iter().zip(&answers.decisions) {
            all.add(class, decision, 1.0)?;
        }
        let ranked = if classes == 2 { 1..2 } else { 0..classes };
        let rankings = ranked
            .map(|class| Ranking::new(&answers.of(class, classes), &truth.is(class)))
            .collect::<Result<_, _>>()?;
        let case = (classes == 2).then(|| {
            let (probability, label) = (answers.of(1, 2), truth.is(1));
            let line = LineFit::new(&probability, &label).started();
            Case { probability, label, line }
        });
        Ok(Self { truth, answers, rankings, case })
    }

    fn has(&self, figure: Figure) -> bool {
        let known = match figure {
            Figure::Utility => self.truth.steps().is_some_and(|steps| !steps.gains.is_empty()),
            Figure::AlarmsPerDay => self.truth.steps().is_some_and(|steps| steps.days.is_some()),
            figure => !figure.is_of_steps() || self.truth.steps().is_some(),
        };
        let fits = match self.case {
            Some(_) => !figure.needs_more_classes(),
            None => !figure.needs_two_classes(),
        };
        known && fits
    }

    /// The figures of [`Figure::COMPARED`]; NaN where one is not defined.
    fn probabilistic(&self, weights: &[f64]) -> [f64; 4] {
        let mean = |figure: &dyn Fn(&Ranking) -> Result<f64, Error>| {
            let all: f64 = self.rankings.iter().map(|r| figure(r).unwrap_or(f64::NAN)).sum();
            all / self.rankings.len() as f64
        };
        let weights = Some(weights);
        let (p, classes) = (&self.answers.probabilities, self.truth.classes());
        let brier = match &self.case {
            Some(case) => brier(&case.probability, &case.label, weights),
            None => brier_classes(p, classes, self.truth.class(), weights),
        };
        let log_loss = log_loss_classes(p, classes, self.truth.class(), weights);
        [
            mean(&|ranking| ranking.auroc(weights)),
            mean(&|ranking| ranking.average_precision(weights)),
            brier.unwrap_or(f64::NAN),
            log_loss.unwrap_or(f64::NAN),
        ]
    }

    pub(super) fn figures(&self, weights: &[f64]) -> [f64; FIGURES] {
        let [auroc, auprc, brier, log_loss] = self.probabilistic(weights);
        let classes = self.truth.classes();
        let mut confusion = Confusion::new(classes);
        let rows = self.truth.class().iter().zip(&self.answers.decisions).zip(weights);
        for ((&class, &decision), &weight) in rows {
            // Classes and decisions were looked at when the scorer was made.
            let _ = confusion.add(class, decision, weight);
        }
        let at_95: f64 = self
            .rankings
            .iter()
            .map(|ranking| ranking.sensitivity_at(0.95, Some(weights)).unwrap_or(f64::NAN))
            .sum();
        let at_95 = at_95 / self.rankings.len() as f64;
        let calibration = self.calibration(weights);
        let steps = self.steps(weights);
        let ranks = [auroc, auprc, at_95];
        Parts { ranks, errors: [brier, log_loss], calibration, confusion, steps }.figures()
    }

    /// Utility, subjects found, subjects alarmed without a case, alarms per day; NaN where the rows
    /// are not steps, or subjects are drawn in pieces.
    fn steps(&self, weights: &[f64]) -> [f64; 4] {
        let Some(steps) = self.truth.steps() else { return [f64::NAN; 4] };
        let units = Units::new(&group(self.truth.subjects()), 1);
        let mut sums = StepSums::default();
        if units.are_subjects() {
            for unit in 0..units.len() {
                let rows = units.rows(unit);
                let weight = rows.first().map_or(0.0, |&row| weights[row]);
                sums.add(weight, &StepSums::of(self, steps, rows));
            }
        } else {
            let rows: Vec<usize> = (0..self.truth.rows()).collect();
            sums.add(1.0, &StepSums::of(self, steps, &rows));
        }
        sums.figures(steps.days)
    }

    /// Observed less expected, calibration intercept, slope and error of two classes.
    fn calibration(&self, weights: &[f64]) -> [f64; 4] {
        let Some(Case { probability, label, line }) = &self.case else { return [f64::NAN; 4] };
        let (mut sum, mut total) = (0.0, 0.0);
        for ((&p, &label), &weight) in probability.iter().zip(label).zip(weights) {
            sum += weight * (f64::from(u8::from(label)) - p);
            total += weight;
        }
        let error = expected_calibration_error(probability, label, Some(weights));
        let line = line.line(Some(weights));
        [sum / total, line.intercept, line.slope, error.unwrap_or(f64::NAN)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::SubjectId;

    #[test]
    fn what_is_not_defined_has_no_value_and_no_interval() {
        let mut truth = Truth::new(2);
        for patient in 0..20_u32 {
            truth.push(&SubjectId::new(patient.to_string()), u32::from(patient < 3)).unwrap();
        }
        let answers = Answers { probabilities: [0.85, 0.15].repeat(20), decisions: vec![0; 20] };
        let scores = score(&truth, &answers, &Bootstrap::default()).unwrap();
        let of = |figure: Figure| scores.iter().find(|s| s.figure == figure).unwrap().estimate;
        assert!(of(Figure::Precision).is_none());
        assert!((of(Figure::Auroc).unwrap().value - 0.5).abs() < 1e-15);
        assert!(of(Figure::ObservedLessExpected).unwrap().value.abs() < 1e-15);
        assert!(of(Figure::Brier).unwrap().interval.bounds().is_some());
        let same = compare(&truth, &answers, &answers, &Bootstrap::default()).unwrap();
        assert_eq!(same.len(), FIGURES - 5);
        assert!(same[2].estimate.unwrap().value.abs() < 1e-15);
    }

    #[test]
    fn any_number_of_threads_makes_the_same_figures() {
        // Subjects of a row or two, and one subject alone, whose blocks are drawn.
        for patients in [60, 1] {
            let mut truth = Truth::new(2);
            let mut answers = Answers::default();
            for row in 0..90_u32 {
                let who = SubjectId::new((row % patients).to_string());
                truth.push(&who, u32::from(row % 4 == 0)).unwrap();
                let p = f64::from(row * 7 % 31 + row % 4) / 40.0;
                answers.probabilities.extend([1.0 - p, p]);
                answers.decisions.push(u32::from(p > 0.5));
            }
            let of = |threads: usize| {
                let bootstrap = Bootstrap { replicates: 101, threads, ..Bootstrap::default() };
                verdicts(&truth, &[&answers, &answers], &bootstrap).unwrap()
            };
            let one = of(1);
            assert!(one[0].scores[0].estimate.unwrap().interval.bounds().is_some());
            for threads in [0, 2, 3, 7, 200] {
                assert_eq!(of(threads), one, "{threads}");
            }
        }
    }

    #[test]
    fn answers_of_another_size_are_refused() {
        let mut truth = Truth::new(3);
        truth.push(&SubjectId::new("a"), 2).unwrap();
        let wrong = |probabilities: &[f64], decisions: &[u32]| {
            let answers =
                Answers { probabilities: probabilities.to_vec(), decisions: decisions.to_vec() };
            score(&truth, &answers, &Bootstrap::default()).is_err()
        };
        assert!(!wrong(&[0.2, 0.3, 0.5], &[2]));
        assert!(wrong(&[0.2, 0.3], &[2]));
        assert!(wrong(&[0.2, 0.3, 0.5], &[]));
        assert!(wrong(&[0.2, 0.3, 0.5], &[3]));
        assert!(wrong(&[0.2, 0.3, 0.1], &[2]));
        let none = score(&Truth::new(2), &Answers::default(), &Bootstrap::default());
        assert!(matches!(none, Err(Error::Nothing { .. })));
    }
}
