//! Decisions: the confusion matrix and what is read off it.

use crate::Error;
use crate::error::{place, row};

/// Weighted counts of (true class, decided class).
///
/// # Example
/// ```
/// use sequela_eval::classify::Confusion;
/// let mut confusion = Confusion::new(2);
/// for (truth, decision) in [(1, 1), (1, 0), (0, 0), (0, 0)] {
///     confusion.add(truth, decision, 1.0)?;
/// }
/// assert_eq!(confusion.count(1, 0), 1.0);
/// assert_eq!(confusion.accuracy()?, 0.75);
/// assert_eq!(confusion.sensitivity(1), Some(0.5));
/// # Ok::<(), sequela_eval::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<f64>,
}

impl Confusion {
    /// An empty matrix for classes `0..classes`.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0.0; classes * classes] }
    }

    /// A matrix of these weights, `(K, K)` by true class; too few are 0.
    pub(super) fn of(classes: usize, mut counts: Vec<f64>) -> Self {
        counts.resize(classes * classes, 0.0);
        Self { classes, counts }
    }

    /// Counts one decision `weight` times.
    ///
    /// # Errors
    /// [`Error::Value`] for a class outside `0..classes` or a weight that is negative or not
    /// finite.
    pub fn add(&mut self, truth: u32, decision: u32, weight: f64) -> Result<(), Error> {
        let (truth, decision) = (truth as usize, decision as usize);
        let fault = |what, fault| Err(Error::Value { location: row(0), what, fault });
        if truth >= self.classes || decision >= self.classes {
            return fault("the class", "not among the classes of the matrix");
        }
        if !(weight.is_finite() && weight >= 0.0) {
            return fault("the weight", "negative or not finite");
        }
        self.counts[truth * self.classes + decision] += weight;
        Ok(())
    }

    /// Number of classes, K.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The weight of class `truth` decided as `decision`; 0 outside the matrix.
    pub fn count(&self, truth: usize, decision: usize) -> f64 {
        if truth >= self.classes || decision >= self.classes {
            return 0.0;
        }
        self.counts[truth * self.classes + decision]
    }

    /// The share of decisions that are right.
    ///
    /// # Errors
    /// [`Error::Nothing`] where nothing was counted.
    pub fn accuracy(&self) -> Result<f64, Error> {
        let right: f64 = (0..self.classes).map(|class| self.count(class, class)).sum();
        ratio(right, self.counts.iter().sum())
            .ok_or_else(|| Error::Nothing { location: place("accuracy") })
    }

    /// Cohen's kappa: how far truth and decision agree beyond what they would by chance; 1 where
    /// always. `None` where nothing was counted, or all is of one class and decided so.
    ///
    /// **Source** Cohen, Educational and Psychological Measurement 20 (1960) 37.
    ///
    /// # Example
    /// ```
    /// use sequela_eval::classify::Confusion;
    /// let mut confusion = Confusion::new(2);
    /// for (truth, decision, weight) in [(0, 0, 20.0), (0, 1, 5.0), (1, 0, 10.0), (1, 1, 15.0)] {
    ///     confusion.add(truth, decision, weight)?;
    /// }
    /// assert!((confusion.kappa().unwrap_or(0.0) - 0.4).abs() < 1e-15);
    /// # Ok::<(), sequela_eval::Error>(())
    /// ```
    pub fn kappa(&self) -> Option<f64> {
        let classes = 0..self.classes;
        let all: f64 = self.counts.iter().sum();
        let right: f64 = classes.clone().map(|class| self.count(class, class)).sum();
        let of = |class: usize| -> f64 { classes.clone().map(|k| self.count(class, k)).sum() };
        let as_it = |class: usize| -> f64 { classes.clone().map(|k| self.count(k, class)).sum() };
        let by_chance: f64 = classes.clone().map(|class| of(class) * as_it(class)).sum();
        // Both sides times the square of the weight, so that whole numbers stay whole.
        ratio(right * all - by_chance, all * all - by_chance)
    }

    /// The share of a class that was found (sensitivity, recall); `None` where the class never
    /// occurs.
    pub fn sensitivity(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), (0..self.classes).map(|k| self.count(class, k)).sum())
    }

    /// The share of the other classes that was not taken for this one; `None` where no other
    /// class occurs.
    pub fn specificity(&self, class: usize) -> Option<f64> {
        let others = || (0..self.classes).filter(move |&truth| truth != class);
        let all = others().flat_map(|truth| (0..self.classes).map(move |k| (truth, k)));
        let kept = all.clone().filter(|&(_, decision)| decision != class);
        let sum = |cells: &mut dyn Iterator<Item = (usize, usize)>| {
            cells.map(|(truth, decision)| self.count(truth, decision)).sum::<f64>()
        };
        ratio(sum(&mut kept.into_iter()), sum(&mut all.into_iter()))
    }

    /// The share of decisions for a class that are right (precision, positive predictive value);
    /// `None` where it was never decided.
    pub fn precision(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), (0..self.classes).map(|k| self.count(k, class)).sum())
    }

    /// The harmonic mean of sensitivity and precision; `None` where the class neither occurs nor
    /// is decided.
    pub fn f1(&self, class: usize) -> Option<f64> {
        let both = (0..self.classes).map(|k| self.count(class, k) + self.count(k, class)).sum();
        ratio(2.0 * self.count(class, class), both)
    }
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_counted_is_no_accuracy() {
        assert!(matches!(Confusion::new(3).accuracy(), Err(Error::Nothing { .. })));
        assert_eq!(Confusion::new(3).sensitivity(1), None);
        assert_eq!(Confusion::new(3).f1(7), None);
    }

    #[test]
    fn strangers_are_refused() {
        let mut confusion = Confusion::new(2);
        assert!(confusion.add(2, 0, 1.0).is_err());
        assert!(confusion.add(0, 2, 1.0).is_err());
        assert!(confusion.add(0, 0, -1.0).is_err());
        assert_eq!(confusion, Confusion::new(2));
    }
}
