//! All figures of a classifier, with intervals by subject.

use super::calibration::LineFit;
use super::{
    Answers, Confusion, Ranking, Truth, brier, brier_classes, expected_calibration_error,
    log_loss_classes,
};
use crate::Error;
use crate::bootstrap::{Bootstrap, Estimate, Interval, RARE_SUBJECTS, Units, group};
use crate::error::place;

/// One kind of figure.
///
/// With two classes, rank and decision figures are about the second one, the case. With more,
/// each is the plain mean over the classes, one against the rest (scikit-learn's `macro`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Figure {
    /// Area under the ROC curve.
    Auroc,
    /// Average precision, the area under the precision-recall curve.
    Auprc,
    /// Brier score; with more than two classes summed over them.
    Brier,
    /// Log loss in nats.
    LogLoss,
    /// Share of cases found where 95 % of controls are left alone.
    SensitivityAt95,
    /// How many cases there are less how many were expected, per row; two classes only.
    ObservedLessExpected,
    /// Calibration in the large: what the log odds lack; two classes only.
    CalibrationIntercept,
    /// What the log odds are to be multiplied by; two classes only.
    CalibrationSlope,
    /// Expected calibration error in ten bins; two classes only.
    CalibrationError,
    /// Share of right decisions.
    Accuracy,
    /// Share of cases found.
    Sensitivity,
    /// Share of controls left alone.
    Specificity,
    /// Share of alarms that are cases.
    Precision,
    /// Harmonic mean of sensitivity and precision.
    F1,
    /// The lower of sensitivity and precision of the decisions, 0 where nobody is decided to be a
    /// case; two classes only. With [`ThresholdRule::Event1`](super::ThresholdRule::Event1) the
    /// score of event 1 of the PhysioNet/CinC Challenge 2012.
    Event1,
}

impl Figure {
    /// Every figure, in the order of tables.
    pub const ALL: [Self; FIGURES] = [
        Self::Auroc,
        Self::Auprc,
        Self::Brier,
        Self::LogLoss,
        Self::SensitivityAt95,
        Self::ObservedLessExpected,
        Self::CalibrationIntercept,
        Self::CalibrationSlope,
        Self::CalibrationError,
        Self::Accuracy,
        Self::Sensitivity,
        Self::Specificity,
        Self::Precision,
        Self::F1,
        Self::Event1,
    ];

    /// The figures that judge probabilities rather than decisions, first among the differences of
    /// a model from its baselines.
    pub const COMPARED: [Self; 4] = [Self::Auroc, Self::Auprc, Self::Brier, Self::LogLoss];

    /// Its name for machines.
    pub fn key(self) -> &'static str {
        match self {
            Self::Auroc => "auroc",
            Self::Auprc => "auprc",
            Self::Brier => "brier",
            Self::LogLoss => "log_loss",
            Self::SensitivityAt95 => "sensitivity_at_95_specificity",
            Self::ObservedLessExpected => "observed_less_expected",
            Self::CalibrationIntercept => "calibration_intercept",
            Self::CalibrationSlope => "calibration_slope",
            Self::CalibrationError => "expected_calibration_error",
            Self::Accuracy => "accuracy",
            Self::Sensitivity => "sensitivity",
            Self::Specificity => "specificity",
            Self::Precision => "precision",
            Self::F1 => "f1",
            Self::Event1 => "event_1",
        }
    }

    /// The figure with this name for machines.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|figure| figure.key() == key)
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auroc => "AUROC",
            Self::Auprc => "AUPRC",
            Self::Brier => "Brier score",
            Self::LogLoss => "log loss",
            Self::SensitivityAt95 => "sensitivity at 95 % specificity",
            Self::ObservedLessExpected => "observed - expected",
            Self::CalibrationIntercept => "calibration intercept",
            Self::CalibrationSlope => "calibration slope",
            Self::CalibrationError => "expected calibration error",
            Self::Accuracy => "accuracy",
            Self::Sensitivity => "sensitivity",
            Self::Specificity => "specificity",
            Self::Precision => "precision",
            Self::F1 => "F1",
            Self::Event1 => "min(sensitivity, precision)",
        }
    }

    /// Whether lower is better.
    pub fn is_error(self) -> bool {
        matches!(self, Self::Brier | Self::LogLoss | Self::CalibrationError)
    }

    /// The value that it has for a perfect model, where neither higher nor lower is better.
    pub fn aim(self) -> Option<f64> {
        match self {
            Self::ObservedLessExpected | Self::CalibrationIntercept => Some(0.0),
            Self::CalibrationSlope => Some(1.0),
            _ => None,
        }
    }

    /// Whether it is for two classes only.
    fn needs_two_classes(self) -> bool {
        self.aim().is_some() || matches!(self, Self::CalibrationError | Self::Event1)
    }

    fn index(self) -> usize {
        self as usize
    }
}

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
    let scorer = Scorer::new(truth, answers)?;
    let value = scorer.figures(&vec![1.0; truth.rows()]);
    let intervals = intervals(truth, bootstrap, |weights| scorer.figures(weights));
    let wanted = Figure::ALL.into_iter().filter(|&figure| scorer.has(figure));
    let scores = wanted.map(|figure| {
        let at = figure.index();
        ClassScore { figure, estimate: estimate(value[at], intervals[at]) }
    });
    Ok(scores.collect())
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
    let (one, other) = (Scorer::new(truth, answers)?, Scorer::new(truth, other)?);
    let difference = |weights: &[f64]| {
        let (one, other) = (one.figures(weights), other.figures(weights));
        std::array::from_fn::<f64, FIGURES, _>(|at| one[at] - other[at])
    };
    let value = difference(&vec![1.0; truth.rows()]);
    let intervals = intervals(truth, bootstrap, difference);
    let wanted = Figure::ALL.into_iter().filter(|&figure| one.has(figure));
    let differences = wanted.map(|figure| {
        let at = figure.index();
        ClassDifference { figure, estimate: estimate(value[at], intervals[at]) }
    });
    Ok(differences.collect())
}

fn estimate(value: f64, interval: Interval) -> Option<Estimate> {
    (!value.is_nan()).then_some(Estimate { value, interval })
}

fn intervals<const N: usize>(
    truth: &Truth,
    bootstrap: &Bootstrap,
    statistics: impl Fn(&[f64]) -> [f64; N],
) -> [Interval; N] {
    let mut units = Units::new(&group(truth.subjects()), 1);
    if let Some(ranks) = rare(truth) {
        let rank = |&row: &usize| ranks[truth.class()[row] as usize];
        units = units.stratified(|rows| rows.iter().map(rank).min().unwrap_or(0));
    }
    let mut weights = vec![0.0; truth.rows()];
    bootstrap.intervals(&units, |drawn| {
        weights.fill(0.0);
        for &row in drawn.iter().flat_map(|&unit| units.rows(unit)) {
            weights[row] += 1.0;
        }
        statistics(&weights)
    })
}

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
struct Scorer<'a> {
    truth: &'a Truth,
    answers: &'a Answers,
    /// Of the case, or of each class against the rest.
    rankings: Vec<Ranking>,
    /// Probability of the case and whether it is one, for two classes.
    case: Option<Case>,
}

/// The second of two classes.
struct Case {
    probability: Vec<f64>,
    label: Vec<bool>,
    line: LineFit,
}

impl<'a> Scorer<'a> {
    fn new(truth: &'a Truth, answers: &'a Answers) -> Result<Self, Error> {
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
        self.case.is_some() || !figure.needs_two_classes()
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

    fn figures(&self, weights: &[f64]) -> [f64; FIGURES] {
        let [auroc, auprc, brier, log_loss] = self.probabilistic(weights);
        let classes = self.truth.classes();
        let mut confusion = Confusion::new(classes);
        let rows = self.truth.class().iter().zip(&self.answers.decisions).zip(weights);
        for ((&class, &decision), &weight) in rows {
            // Classes and decisions were looked at when the scorer was made.
            let _ = confusion.add(class, decision, weight);
        }
        let judged = if classes == 2 { 1..2 } else { 0..classes };
        let mean = |figure: &dyn Fn(usize) -> Option<f64>| {
            let count = judged.len() as f64;
            judged.clone().map(|class| figure(class).unwrap_or(f64::NAN)).sum::<f64>() / count
        };
        let at_95: f64 = self
            .rankings
            .iter()
            .map(|ranking| ranking.sensitivity_at(0.95, Some(weights)).unwrap_or(f64::NAN))
            .sum();
        let [excess, intercept, slope, calibration_error] = self.calibration(weights);
        let sensitivity = mean(&|class| confusion.sensitivity(class));
        let precision = mean(&|class| confusion.precision(class));
        // Without an alarm none is right.
        let event_1 = sensitivity.min(if precision.is_nan() { 0.0 } else { precision });
        [
            auroc,
            auprc,
            brier,
            log_loss,
            at_95 / self.rankings.len() as f64,
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
        ]
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

const FIGURES: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::SubjectId;

    #[test]
    fn figures_stand_in_the_order_of_their_list() {
        for (at, figure) in Figure::ALL.into_iter().enumerate() {
            assert_eq!(figure.index(), at);
            assert_eq!(Figure::from_key(figure.key()), Some(figure));
        }
        for (at, figure) in Figure::COMPARED.into_iter().enumerate() {
            assert_eq!(figure.index(), at);
        }
    }

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
        assert_eq!(same.len(), FIGURES);
        assert!(same[2].estimate.unwrap().value.abs() < 1e-15);
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
