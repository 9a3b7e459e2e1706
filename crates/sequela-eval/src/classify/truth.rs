//! What was true of each row, and what a classifier said.

use sequela_core::SubjectId;

use crate::Error;
use crate::error::row;

/// The class of each row, and whose row it is.
///
/// # Example
/// ```
/// use sequela_core::SubjectId;
/// use sequela_eval::classify::Truth;
/// let mut truth = Truth::new(2);
/// truth.push(&SubjectId::new("a"), 1)?;
/// assert_eq!(truth.rows(), 1);
/// assert!(truth.push(&SubjectId::new("b"), 2).is_err());
/// # Ok::<(), sequela_eval::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    classes: usize,
    subjects: Vec<SubjectId>,
    class: Vec<u32>,
    steps: Option<StepTruth>,
}

/// What is known of rows that are the steps of series: a decision for the second class is an alarm.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepTruth {
    /// Days that a row stands for, where it is known.
    pub days: Option<f64>,
    /// What an alarm is worth in each row, and what of it the best alarms earn
    /// ([`SepsisUtility::gains`](super::SepsisUtility::gains)); empty where that is not known.
    pub gains: Vec<[f64; 2]>,
}

impl Truth {
    /// No row yet, of `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, subjects: Vec::new(), class: Vec::new(), steps: None }
    }

    /// Appends a row.
    ///
    /// # Errors
    /// [`Error::Value`] for a class outside `0..classes`.
    pub fn push(&mut self, subject: &SubjectId, class: u32) -> Result<(), Error> {
        if class as usize >= self.classes {
            return Err(Error::Value {
                location: row(self.class.len()),
                what: "the class",
                fault: "not among the classes",
            });
        }
        self.subjects.push(subject.clone());
        self.class.push(class);
        Ok(())
    }

    /// The same rows, which are steps of series.
    ///
    /// # Errors
    /// [`Error::Shape`] for gains of another number of rows; [`Error::Value`] for days that are
    /// not above 0, or a gain that is not finite.
    pub fn of_steps(mut self, steps: StepTruth) -> Result<Self, Error> {
        if !steps.gains.is_empty() {
            super::same_length("the list of gains", steps.gains.len(), self.rows())?;
        }
        if let Some(at) = steps.gains.iter().position(|gain| !gain.iter().all(|g| g.is_finite())) {
            return Err(Error::Value { location: row(at), what: "the gain", fault: "not finite" });
        }
        if steps.days.is_some_and(|days| !(days > 0.0 && days.is_finite())) {
            let (what, fault) = ("the days of a step", "not above 0");
            return Err(Error::Value { location: row(0), what, fault });
        }
        self.steps = Some(steps);
        Ok(self)
    }

    /// What is known of the rows as steps, where they are steps.
    pub fn steps(&self) -> Option<&StepTruth> {
        self.steps.as_ref()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.class.len()
    }

    /// Number of classes, K.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Whose each row is.
    pub fn subjects(&self) -> &[SubjectId] {
        &self.subjects
    }

    /// The class of each row.
    pub fn class(&self) -> &[u32] {
        &self.class
    }

    /// The rows at these positions, in this order.
    ///
    /// # Errors
    /// [`Error::Value`] for a position past the end.
    pub fn select(&self, rows: &[usize]) -> Result<Self, Error> {
        let mut part = Self::new(self.classes);
        for &at in rows {
            let (Some(subject), Some(&class)) = (self.subjects.get(at), self.class.get(at)) else {
                let (what, fault) = ("the position", "past the last row");
                return Err(Error::Value { location: row(at), what, fault });
            };
            part.push(subject, class)?;
        }
        if let Some(StepTruth { days, gains }) = &self.steps {
            let gains = rows.iter().filter_map(|&at| gains.get(at)).copied().collect();
            part.steps = Some(StepTruth { days: *days, gains });
        }
        Ok(part)
    }

    /// Number of subjects.
    pub fn subject_count(&self) -> usize {
        let mut subjects: Vec<&SubjectId> = self.subjects.iter().collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects.len()
    }

    /// How many subjects have a row of each class.
    pub fn subjects_of_each(&self) -> Vec<usize> {
        let mut pairs: Vec<(u32, &SubjectId)> =
            self.class.iter().copied().zip(&self.subjects).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let count = |class: usize| pairs.iter().filter(|(of, _)| *of as usize == class).count();
        (0..self.classes).map(count).collect()
    }

    /// Whether each row is of this class.
    pub fn is(&self, class: usize) -> Vec<bool> {
        self.class.iter().map(|&found| found as usize == class).collect()
    }
}

/// What a classifier says about the rows of a [`Truth`].
///
/// **Shapes** `probabilities: (N, K)` row by row, `decisions: (N)`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answers {
    /// The probability of each class.
    pub probabilities: Vec<f64>,
    /// The class that was chosen.
    pub decisions: Vec<u32>,
}

impl Answers {
    /// The answers to the rows at these positions; positions past the end are left out.
    #[must_use]
    pub fn select(&self, rows: &[usize], classes: usize) -> Self {
        let probabilities = rows
            .iter()
            .filter_map(|&row| self.probabilities.get(row * classes..(row + 1) * classes));
        Self {
            probabilities: probabilities.flatten().copied().collect(),
            decisions: rows.iter().filter_map(|&row| self.decisions.get(row)).copied().collect(),
        }
    }

    /// The probability of one class in each row, of `classes` classes.
    pub fn of(&self, class: usize, classes: usize) -> Vec<f64> {
        self.probabilities.iter().skip(class).step_by(classes.max(1)).copied().collect()
    }
}
