//! AUROC and average precision.

use super::{check_weights, same_length, weight};
use crate::Error;
use crate::error::{place, row};

/// Cases and controls sorted by score once, so that a bootstrap replicate costs one walk.
///
/// # Example
/// ```
/// use sequela_eval::classify::Ranking;
/// let ranking = Ranking::new(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true])?;
/// assert_eq!(ranking.auroc(None)?, 0.75);
/// assert!((ranking.average_precision(None)? - 5.0 / 6.0).abs() < 1e-15);
/// # Ok::<(), sequela_eval::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ranking {
    /// Rows, highest score first.
    order: Vec<usize>,
    /// Whether the row at this rank has the same score as the one before.
    tied: Vec<bool>,
    labels: Vec<bool>,
    /// The scores, highest first, each once.
    distinct: Vec<f64>,
}

/// What comes of calling every row a case whose score is at least `score`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RocPoint {
    /// The score.
    pub score: f64,
    /// The share of cases that is found.
    pub sensitivity: f64,
    /// The share of controls that is taken for cases: 1 - specificity.
    pub false_alarms: f64,
}

impl Ranking {
    /// Sorts rows by score; a higher score means more likely a case (`true`).
    ///
    /// **Cost** O(N log N).
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of scores than labels, [`Error::Value`] for a score
    /// that is not a number.
    pub fn new(scores: &[f64], labels: &[bool]) -> Result<Self, Error> {
        same_length("the list of scores", scores.len(), labels.len())?;
        if let Some(at) = scores.iter().position(|score| score.is_nan()) {
            let (what, fault) = ("the score", "not a number");
            return Err(Error::Value { location: row(at), what, fault });
        }
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        // Sorted, so "not above" is "equal"; -0 and 0 tie although total_cmp tells them apart.
        let tied: Vec<bool> = (0..order.len())
            .map(|rank| rank > 0 && scores[order[rank - 1]] <= scores[order[rank]])
            .collect();
        let first = order.iter().zip(&tied).filter(|(_, tied)| !**tied);
        let distinct = first.map(|(&row, _)| scores[row]).collect();
        Ok(Self { order, tied, labels: labels.to_vec(), distinct })
    }

    /// The area under the ROC curve: the chance that a case has a higher score than a control,
    /// ties counted half.
    ///
    /// **Cost** O(N).
    ///
    /// # Errors
    /// [`Error::OneClass`] where cases or controls have no weight; [`Error::Value`] and
    /// [`Error::Shape`] for weights that are negative, not finite or too few.
    ///
    /// **Source** Hanley and `McNeil`, Radiology 143 (1982) 29.
    pub fn auroc(&self, weights: Option<&[f64]>) -> Result<f64, Error> {
        check_weights(weights, self.labels.len())?;
        let (mut cases, mut controls, mut area) = (0.0, 0.0, 0.0);
        self.each_score(weights, |new_cases, new_controls| {
            area += new_controls * (cases + new_cases / 2.0);
            cases += new_cases;
            controls += new_controls;
        });
        if cases > 0.0 && controls > 0.0 {
            return Ok(area / (cases * controls));
        }
        Err(Error::OneClass { location: place("labels"), metric: "AUROC" })
    }

    /// The average precision: precision at each score, weighted by the recall gained there, the
    /// step form of the area under the precision-recall curve (AUPRC).
    ///
    /// A useless ranking has the prevalence here, not one half.
    ///
    /// # Errors
    /// As for [`Ranking::auroc`].
    pub fn average_precision(&self, weights: Option<&[f64]>) -> Result<f64, Error> {
        check_weights(weights, self.labels.len())?;
        let (mut cases, mut controls, mut sum) = (0.0, 0.0, 0.0);
        self.each_score(weights, |new_cases, new_controls| {
            cases += new_cases;
            controls += new_controls;
            if new_cases > 0.0 {
                sum += new_cases * (cases / (cases + controls));
            }
        });
        if cases > 0.0 && controls > 0.0 {
            return Ok(sum / cases);
        }
        Err(Error::OneClass { location: place("labels"), metric: "average precision" })
    }

    /// The ROC curve: a point for each score, the highest first, after one where nobody is decided
    /// to be a case; both shares are NaN where their class does not occur.
    ///
    /// # Example
    /// ```
    /// use sequela_eval::classify::Ranking;
    /// let curve = Ranking::new(&[0.1, 0.4, 0.8], &[false, true, true])?.curve();
    /// let shares: Vec<(f64, f64)> =
    ///     curve.iter().map(|point| (point.false_alarms, point.sensitivity)).collect();
    /// assert_eq!(shares, [(0.0, 0.0), (0.0, 0.5), (0.0, 1.0), (1.0, 1.0)]);
    /// # Ok::<(), sequela_eval::Error>(())
    /// ```
    pub fn curve(&self) -> Vec<RocPoint> {
        let all_cases = self.labels.iter().filter(|label| **label).count() as f64;
        let all_controls = self.labels.len() as f64 - all_cases;
        let (mut cases, mut controls) = (0.0, 0.0);
        let mut scores = self.distinct.iter();
        let mut points = Vec::with_capacity(self.distinct.len() + 1);
        self.each_score(None, |new_cases, new_controls| {
            cases += new_cases;
            controls += new_controls;
            // The first visit comes before any row.
            let score =
                if points.is_empty() { f64::INFINITY } else { *scores.next().unwrap_or(&0.0) };
            let (sensitivity, false_alarms) = (cases / all_cases, controls / all_controls);
            points.push(RocPoint { score, sensitivity, false_alarms });
        });
        points
    }

    /// The highest share of cases that is found while at least `specificity` of the controls are
    /// left alone; no threshold is chosen by it that could be used on others.
    ///
    /// # Errors
    /// As for [`Ranking::auroc`].
    ///
    /// # Example
    /// ```
    /// use sequela_eval::classify::Ranking;
    /// let ranking = Ranking::new(&[0.9, 0.8, 0.7, 0.1], &[true, false, true, false])?;
    /// assert_eq!(ranking.sensitivity_at(0.95, None)?, 0.5);
    /// assert_eq!(ranking.sensitivity_at(0.5, None)?, 1.0);
    /// # Ok::<(), sequela_eval::Error>(())
    /// ```
    pub fn sensitivity_at(&self, specificity: f64, weights: Option<&[f64]>) -> Result<f64, Error> {
        check_weights(weights, self.labels.len())?;
        let (mut all_cases, mut all_controls) = (0.0, 0.0);
        self.each_score(weights, |new_cases, new_controls| {
            all_cases += new_cases;
            all_controls += new_controls;
        });
        if all_cases <= 0.0 || all_controls <= 0.0 {
            return Err(Error::OneClass { location: place("labels"), metric: "sensitivity" });
        }
        // A share that is allowed but for roundings is allowed.
        let most = (1.0 - specificity + 1e-12) * all_controls;
        let (mut cases, mut controls, mut best) = (0.0, 0.0, 0.0);
        self.each_score(weights, |new_cases, new_controls| {
            cases += new_cases;
            controls += new_controls;
            if controls <= most {
                best = cases / all_cases;
            }
        });
        Ok(best)
    }

    /// The precision-recall curve: recall and precision at each score, the highest first.
    ///
    /// # Example
    /// ```
    /// use sequela_eval::classify::Ranking;
    /// let ranking = Ranking::new(&[0.9, 0.8, 0.1], &[true, false, true])?;
    /// assert_eq!(ranking.precision_recall(), [(0.5, 1.0), (0.5, 0.5), (1.0, 2.0 / 3.0)]);
    /// # Ok::<(), sequela_eval::Error>(())
    /// ```
    pub fn precision_recall(&self) -> Vec<(f64, f64)> {
        let all_cases = self.labels.iter().filter(|label| **label).count() as f64;
        let all_controls = self.labels.len() as f64 - all_cases;
        let points = self.curve().into_iter().skip(1).map(|point| {
            let (found, false_alarms) =
                (point.sensitivity * all_cases, point.false_alarms * all_controls);
            (point.sensitivity, found / (found + false_alarms))
        });
        points.collect()
    }

    /// The rows, highest score first: position, whether it is a case, and whether it has the score
    /// of the one before.
    pub(super) fn ranked(&self) -> impl Iterator<Item = (usize, bool, bool)> {
        self.order.iter().zip(&self.tied).map(|(&row, &tied)| (row, self.labels[row], tied))
    }

    /// Calls `visit` with the weight of cases and of controls at each score, highest first.
    fn each_score(&self, weights: Option<&[f64]>, mut visit: impl FnMut(f64, f64)) {
        let (mut cases, mut controls) = (0.0, 0.0);
        for (&row, &tied) in self.order.iter().zip(&self.tied) {
            if !tied {
                visit(cases, controls);
                (cases, controls) = (0.0, 0.0);
            }
            if self.labels[row] {
                cases += weight(weights, row);
            } else {
                controls += weight(weights, row);
            }
        }
        visit(cases, controls);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_class_has_no_ranking() {
        let ranking = Ranking::new(&[0.1, 0.2], &[true, true]).unwrap();
        assert!(matches!(ranking.auroc(None), Err(Error::OneClass { .. })));
        assert!(matches!(ranking.average_precision(None), Err(Error::OneClass { .. })));
        let ranking = Ranking::new(&[0.1, 0.2], &[true, false]).unwrap();
        assert!(matches!(ranking.auroc(Some(&[1.0, 0.0])), Err(Error::OneClass { .. })));
        assert!(matches!(Ranking::new(&[], &[]).unwrap().auroc(None), Err(Error::OneClass { .. })));
    }

    #[test]
    fn both_zeros_tie_and_infinities_rank() {
        let labels = [true, false, true, false];
        let ranking =
            Ranking::new(&[0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY], &labels).unwrap();
        assert!((ranking.auroc(None).unwrap() - 3.5 / 4.0).abs() < 1e-15);
        assert!(Ranking::new(&[f64::NAN], &[true]).is_err());
        assert!(ranking.auroc(Some(&[1.0])).is_err());
        assert!(ranking.auroc(Some(&[1.0, 1.0, f64::NAN, 1.0])).is_err());
    }

    #[test]
    fn all_tied_is_one_half_and_prevalence() {
        let ranking = Ranking::new(&[0.3; 5], &[true, false, false, false, false]).unwrap();
        assert!((ranking.auroc(None).unwrap() - 0.5).abs() < 1e-15);
        assert!((ranking.average_precision(None).unwrap() - 0.2).abs() < 1e-15);
    }
}
