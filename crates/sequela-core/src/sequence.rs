//! One subject's sequence: the value that every reader makes and every model is fed from.

use crate::{Error, Location};

/// Who a sequence belongs to. Splits are made from these and from nothing else.
///
/// # Example
/// ```
/// use sequela_core::SubjectId;
/// assert_eq!(SubjectId::new("p01").as_str(), "p01");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectId(String);

impl SubjectId {
    /// An identifier from its text.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The steps of a sequence.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Steps {
    /// Measured values.
    Numeric {
        /// `(T, F)` row by row; what is not observed holds 0 and must not be read as a value.
        values: Vec<f32>,
        /// `(T, F)`: whether each value was observed and finite.
        observed: Vec<bool>,
        /// F.
        features: usize,
    },
    /// Symbols of a vocabulary, `(T)`.
    Tokens(Vec<u32>),
}

impl Steps {
    /// Number of steps, T.
    pub fn len(&self) -> usize {
        match self {
            Self::Numeric { values, features, .. } => {
                if *features == 0 {
                    0
                } else {
                    values.len() / features
                }
            }
            Self::Tokens(tokens) => tokens.len(),
        }
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is to be predicted about a sequence.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Target {
    /// Nothing beyond the sequence itself (forecasting, generation).
    #[default]
    Itself,
    /// One of K classes.
    Class(u32),
    /// Several yes/no labels, each of which may be unknown.
    Labels(Vec<Option<bool>>),
    /// Real values, each of which may be unknown.
    Values(Vec<Option<f32>>),
    /// One class for each step, each of which may be unknown.
    PerStep(Vec<Option<u32>>),
    /// Time to an event in hours, and whether it was seen (otherwise censored).
    Event {
        /// Hours from the start of observation.
        time: f64,
        /// False if censored at `time`.
        observed: bool,
    },
}

/// One sequence of one subject.
///
/// In memory every value is finite or masked, and times never go backwards; nothing downstream
/// checks again.
///
/// # Example
/// ```
/// use sequela_core::{Sequence, SubjectId};
/// let hr = Sequence::numeric("p01/a", SubjectId::new("p01"), 1, &[70.0, f32::NAN, 72.0])?;
/// assert_eq!(hr.len(), 3);
/// assert_eq!(hr.missing(), 1);
/// # Ok::<(), sequela_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// Name of the record, unique in its data set.
    pub id: String,
    /// Whose it is.
    pub subject: SubjectId,
    /// Hours, one for each step, where the record has them; never decreasing.
    pub times: Option<Vec<f64>>,
    /// The steps.
    pub steps: Steps,
    /// Values that do not change over the sequence; missing ones are `None`.
    pub statics: Vec<Option<f32>>,
    /// What is to be predicted.
    pub target: Target,
}

impl Sequence {
    /// A sequence of measured values, `(T, F)` row by row; NaN and infinities become missing.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] where `values` is not a whole number of steps.
    pub fn numeric(
        id: impl Into<String>,
        subject: SubjectId,
        features: usize,
        values: &[f32],
    ) -> Result<Self, Error> {
        let id = id.into();
        if features == 0 || !values.len().is_multiple_of(features) {
            return Err(Error::Inconsistent {
                location: Location::default().field(id),
                what: format!("{} values are not whole steps of {features}", values.len()),
            });
        }
        let observed: Vec<bool> = values.iter().map(|value| value.is_finite()).collect();
        let values =
            values.iter().map(|&value| if value.is_finite() { value } else { 0.0 }).collect();
        Ok(Self {
            id,
            subject,
            times: None,
            steps: Steps::Numeric { values, observed, features },
            statics: Vec::new(),
            target: Target::Itself,
        })
    }

    /// The same sequence with the hour of each step.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] where the number of times is not T, or a time is not finite or
    /// goes backwards; the message names the step.
    pub fn with_times(mut self, times: Vec<f64>) -> Result<Self, Error> {
        let fault = if times.len() == self.len() {
            times
                .iter()
                .position(|time| !time.is_finite())
                .map(|step| format!("the time of step {step} is not a finite number"))
                .or_else(|| {
                    times
                        .windows(2)
                        .position(|pair| pair[1] < pair[0])
                        .map(|step| format!("time goes backwards at step {}", step + 1))
                })
        } else {
            Some(format!("{} times for {} steps", times.len(), self.len()))
        };
        if let Some(what) = fault {
            return Err(Error::Inconsistent { location: Location::default().field(self.id), what });
        }
        self.times = Some(times);
        Ok(self)
    }

    /// Number of steps, T.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Number of missing values.
    pub fn missing(&self) -> usize {
        match &self.steps {
            Steps::Numeric { observed, .. } => observed.iter().filter(|seen| !**seen).count(),
            Steps::Tokens(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_go_backwards_are_refused_with_the_step() {
        let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &[1.0, 2.0, 3.0]).unwrap();
        let error = sequence.with_times(vec![0.0, 2.0, 1.0]).unwrap_err();
        assert!(error.to_string().contains("backwards at step 2"), "{error}");
    }

    #[test]
    fn infinities_become_missing() {
        let sequence =
            Sequence::numeric("a", SubjectId::new("p"), 2, &[1.0, f32::INFINITY]).unwrap();
        assert_eq!(sequence.missing(), 1);
    }

    #[test]
    fn broken_steps_are_refused() {
        assert!(Sequence::numeric("a", SubjectId::new("p"), 2, &[1.0]).is_err());
    }
}
