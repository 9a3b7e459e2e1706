//! What is told of a classifier.

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
    /// Cohen's kappa of truth and decision, agreement beyond that of chance; more than two classes
    /// only.
    Kappa,
    /// Normalised utility of the warnings of sepsis ([`SepsisUtility`](super::SepsisUtility)); of
    /// steps whose gains are known only.
    Utility,
    /// Share of the subjects with a case who are warned at a step that is one; of the steps of
    /// series, two classes only.
    SubjectsFound,
    /// Share of the subjects without a case who are ever warned; likewise.
    SubjectsAlarmed,
    /// Warnings for a day of a subject; likewise, where it is known how long a step is.
    AlarmsPerDay,
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
        Self::Kappa,
        Self::Utility,
        Self::SubjectsFound,
        Self::SubjectsAlarmed,
        Self::AlarmsPerDay,
    ];

    /// The figures that judge probabilities rather than decisions, and the utility that some data
    /// have: told first of the differences of a model from its baselines.
    pub const COMPARED: [Self; 5] =
        [Self::Auroc, Self::Auprc, Self::Brier, Self::LogLoss, Self::Utility];

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
            Self::Kappa => "kappa",
            Self::Utility => "normalised_utility",
            Self::SubjectsFound => "subjects_found",
            Self::SubjectsAlarmed => "subjects_without_case_alarmed",
            Self::AlarmsPerDay => "alarms_per_day",
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
            Self::Kappa => "Cohen's kappa",
            Self::Utility => "normalised utility",
            Self::SubjectsFound => "subjects with a case found",
            Self::SubjectsAlarmed => "subjects without a case alarmed",
            Self::AlarmsPerDay => "alarms per subject-day",
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
    pub(super) fn needs_two_classes(self) -> bool {
        self.aim().is_some()
            || self.is_of_steps()
            || matches!(self, Self::CalibrationError | Self::Event1)
    }

    /// Whether it is for more than two classes only.
    pub(super) fn needs_more_classes(self) -> bool {
        self == Self::Kappa
    }

    /// Whether it is of decisions rather than of probabilities.
    pub fn is_of_decisions(self) -> bool {
        self.index() >= Self::Accuracy.index()
    }

    /// Whether it is of the steps of series only.
    pub(super) fn is_of_steps(self) -> bool {
        self.index() >= Self::Utility.index()
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }
}

/// How many there are.
pub(super) const FIGURES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_in_the_order_of_their_list() {
        for (at, figure) in Figure::ALL.into_iter().enumerate() {
            assert_eq!(figure.index(), at);
            assert_eq!(Figure::from_key(figure.key()), Some(figure));
        }
        for (at, figure) in Figure::COMPARED.into_iter().take(4).enumerate() {
            assert_eq!(figure.index(), at);
            assert!(!figure.is_of_decisions() && Figure::Utility.is_of_decisions());
        }
    }
}
