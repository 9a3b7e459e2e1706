//! Whether probabilities come true.

use super::same_length;
use crate::Error;
use crate::error::row;

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
    same_length("the list of probabilities", probabilities.len(), labels.len())?;
    if let Some(at) = probabilities.iter().position(|p| p.is_nan()) {
        let (what, fault) = ("the probability", "not a number");
        return Err(Error::Value { location: row(at), what, fault });
    }
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
    let (mut found, mut start) = (Vec::new(), 0);
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
        let sum: f64 = members.iter().map(|&row| probabilities[row]).sum();
        found.push(CalibrationGroup {
            expected: sum / count,
            observed: cases / count,
            rows: members.len(),
        });
        start = end;
    }
    Ok(found)
}

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
}
