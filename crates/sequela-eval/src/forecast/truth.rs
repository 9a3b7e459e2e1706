//! What really happened, for every window and horizon.

use std::collections::BTreeMap;

use sequela_core::SubjectId;

use crate::Error;
use crate::error::row;

/// The targets of a forecast: N rows (one for each window, in time order within a subject) by
/// K horizons.
///
/// # Example
/// ```
/// use sequela_core::SubjectId;
/// use sequela_eval::forecast::Truth;
/// let mut truth = Truth::new(&[1, 30]);
/// truth.push(&SubjectId::new("p01"), &[Some(71.0), None])?;
/// assert_eq!((truth.rows(), truth.subjects().len()), (1, 1));
/// # Ok::<(), sequela_eval::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Truth {
    horizons: Vec<usize>,
    names: Vec<SubjectId>,
    numbers: BTreeMap<SubjectId, u32>,
    subject_of_row: Vec<u32>,
    weights: Vec<f64>,
    values: Vec<Option<f32>>,
}

/// One scored target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scored {
    pub(crate) subject: u32,
    pub(crate) weight: f64,
    pub(crate) truth: f64,
    /// Index into a flat `(N, K)` slice of predictions.
    pub(crate) at: usize,
}

impl Truth {
    /// No rows yet; `horizons` are steps ahead, one for each column.
    pub fn new(horizons: &[usize]) -> Self {
        Self { horizons: horizons.to_vec(), ..Self::default() }
    }

    /// Adds a window of `subject`; `values` holds one target for each horizon.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of targets than of horizons.
    pub fn push(&mut self, subject: &SubjectId, values: &[Option<f32>]) -> Result<(), Error> {
        self.push_weighted(subject, 1.0, values)
    }

    /// Adds a window that counts `weight` times.
    ///
    /// **Missing data** a target that is not finite counts as not observed.
    ///
    /// # Errors
    /// [`Error::Shape`] as for [`Truth::push`]; [`Error::Value`] for a weight that is negative
    /// or not finite.
    pub fn push_weighted(
        &mut self,
        subject: &SubjectId,
        weight: f64,
        values: &[Option<f32>],
    ) -> Result<(), Error> {
        let location = row(self.rows());
        if values.len() != self.horizons.len() {
            let (found, expected) = (values.len(), self.horizons.len());
            return Err(Error::Shape { location, what: "the row of targets", found, expected });
        }
        if !(weight.is_finite() && weight >= 0.0) {
            let fault = "negative or not finite";
            return Err(Error::Value { location, what: "the weight", fault });
        }
        let number = if let Some(&number) = self.numbers.get(subject) {
            number
        } else {
            let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
            self.numbers.insert(subject.clone(), number);
            self.names.push(subject.clone());
            number
        };
        self.subject_of_row.push(number);
        self.weights.push(weight);
        self.values.extend(values.iter().map(|value| value.filter(|value| value.is_finite())));
        Ok(())
    }

    /// Number of windows, N.
    pub fn rows(&self) -> usize {
        self.subject_of_row.len()
    }

    /// Steps ahead of each column, K.
    pub fn horizons(&self) -> &[usize] {
        &self.horizons
    }

    /// The subjects, in order of first appearance.
    pub fn subjects(&self) -> &[SubjectId] {
        &self.names
    }

    /// Refuses predictions of another size, or not finite where the target is known.
    pub(crate) fn check(&self, prediction: &[f32]) -> Result<(), Error> {
        if prediction.len() != self.values.len() {
            return Err(Error::Shape {
                location: crate::error::place("forecast"),
                what: "the prediction",
                found: prediction.len(),
                expected: self.values.len(),
            });
        }
        let fault = self
            .values
            .iter()
            .zip(prediction)
            .position(|(truth, prediction)| truth.is_some() && !prediction.is_finite());
        match fault {
            Some(at) => Err(Error::Value {
                location: row(at / self.horizons.len()),
                what: "the prediction",
                fault: "not finite",
            }),
            None => Ok(()),
        }
    }

    /// The targets of a column that are observed and weigh something, in row order.
    pub(crate) fn column(&self, column: usize) -> Vec<Scored> {
        let width = self.horizons.len();
        (0..self.rows())
            .filter(|&row| self.weights[row] > 0.0)
            .filter_map(|row| {
                let at = row * width + column;
                self.values[at].map(|truth| Scored {
                    subject: self.subject_of_row[row],
                    weight: self.weights[row],
                    truth: f64::from(truth),
                    at,
                })
            })
            .collect()
    }
}
