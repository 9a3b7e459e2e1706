//! Intervals by subject around curves: net benefit at each threshold, observed shares of groups.
//!
//! Both are sums over the cases and controls in bins of the probability. These are counted once
//! for each subject, so that a draw of subjects adds up counts and looks at no row.

use super::calibration::{CalibrationGroup, grouped};
use super::score::units;
use super::{NetBenefit, Truth, decision_curve, same_length};
use crate::Error;
use crate::bootstrap::{Bootstrap, Interval, Units};

/// The decision curve of a class, and the interval of the net benefit of the model at each
/// threshold.
///
/// The intervals are pointwise, over the same draws of subjects as all other figures.
///
/// # Errors
/// As [`decision_curve`](super::decision_curve); [`Error::Shape`] for another number of
/// probabilities than rows.
///
/// **Cost** rows, and for each replicate the subjects' distinct bins.
///
/// # Example
/// ```
/// use sequela_core::SubjectId;
/// use sequela_eval::bootstrap::Bootstrap;
/// use sequela_eval::classify::{Truth, decision_curve_spread};
/// let mut truth = Truth::new(2);
/// let mut p = Vec::new();
/// for n in 0..60 {
///     truth.push(&SubjectId::new(n.to_string()), u32::from(n % 3 == 0))?;
///     p.push(if n % 3 == 0 { 0.6 } else { 0.2 });
/// }
/// let (curve, intervals) = decision_curve_spread(&truth, (1, &p), &[0.5], &Bootstrap::default())?;
/// let (low, high) = intervals[0].bounds().expect("many subjects");
/// assert!(low < curve[0].model && curve[0].model < high);
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn decision_curve_spread(
    truth: &Truth,
    (class, probabilities): (usize, &[f64]),
    thresholds: &[f64],
    bootstrap: &Bootstrap,
) -> Result<(Vec<NetBenefit>, Vec<Interval>), Error> {
    let labels = truth.is(class);
    let curve = decision_curve(probabilities, &labels, None, thresholds)?;
    // Where each threshold stands among them all, the lowest first.
    let mut order: Vec<usize> = (0..thresholds.len()).collect();
    order.sort_by(|&a, &b| thresholds[a].total_cmp(&thresholds[b]));
    let sorted: Vec<f64> = order.iter().map(|&at| thresholds[at]).collect();
    // The bin of a row: how many thresholds it reaches.
    let bins: Vec<usize> =
        probabilities.iter().map(|p| sorted.partition_point(|threshold| p >= threshold)).collect();
    let units = units(truth);
    let binned = Binned::new(&units, (&bins, sorted.len() + 1), &labels);
    // Each thread adds up in sums of its own.
    let net_benefit = |sums: &mut Sums, drawn: &[usize], net: &mut [f64]| {
        let total = binned.add(drawn, sums);
        let (mut found, mut false_alarms) = (0.0, 0.0);
        for at in (0..sorted.len()).rev() {
            let [controls, cases] = sums.0[at + 1];
            found += cases;
            false_alarms += controls;
            let harm = sorted[at] / (1.0 - sorted[at]);
            net[order[at]] = found / total - false_alarms / total * harm;
        }
    };
    let intervals = bootstrap.intervals_shared(&units, sorted.len(), || {
        let mut sums = Sums::new(sorted.len() + 1);
        move |drawn: &[usize], net: &mut [f64]| net_benefit(&mut sums, drawn, net)
    });
    Ok((curve, intervals))
}

/// Groups of similar probability as [`calibration`](super::calibration()) makes them, and the
/// interval of the observed share of each.
///
/// The groups stay what they are on all rows; subjects are drawn. A group that too many draws
/// leave empty has no interval.
///
/// # Errors
/// As [`calibration`](super::calibration()).
///
/// **Cost** as [`decision_curve_spread`].
///
/// # Example
/// ```
/// use sequela_core::SubjectId;
/// use sequela_eval::bootstrap::Bootstrap;
/// use sequela_eval::classify::{Truth, calibration_spread};
/// let mut truth = Truth::new(2);
/// let mut p = Vec::new();
/// for n in 0..100 {
///     truth.push(&SubjectId::new(n.to_string()), u32::from(n % 4 == 0))?;
///     p.push(0.25);
/// }
/// let (groups, intervals) = calibration_spread(&truth, (1, &p), 10, &Bootstrap::default())?;
/// assert_eq!((groups.len(), groups[0].observed), (1, 0.25));
/// let (low, high) = intervals[0].bounds().expect("many subjects");
/// assert!(low > 0.1 && low < 0.25 && high > 0.25 && high < 0.4);
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn calibration_spread(
    truth: &Truth,
    (class, probabilities): (usize, &[f64]),
    groups: usize,
    bootstrap: &Bootstrap,
) -> Result<(Vec<CalibrationGroup>, Vec<Interval>), Error> {
    let labels = truth.is(class);
    same_length("the list of probabilities", probabilities.len(), labels.len())?;
    let (groups, bins) = grouped(probabilities, &labels, groups)?;
    let units = units(truth);
    let binned = Binned::new(&units, (&bins, groups.len()), &labels);
    let observed = |sums: &mut Sums, drawn: &[usize], shares: &mut [f64]| {
        binned.add(drawn, sums);
        for (share, [controls, cases]) in shares.iter_mut().zip(&sums.0) {
            let all = controls + cases;
            *share = if all > 0.0 { cases / all } else { f64::NAN };
        }
    };
    let intervals = bootstrap.intervals_shared(&units, groups.len(), || {
        let mut sums = Sums::new(groups.len());
        move |drawn: &[usize], shares: &mut [f64]| observed(&mut sums, drawn, shares)
    });
    Ok((groups, intervals))
}

/// Controls and cases in each bin.
struct Sums(Vec<[f64; 2]>);

impl Sums {
    fn new(bins: usize) -> Self {
        Self(vec![[0.0; 2]; bins])
    }
}

/// Controls and cases of each unit in the bins where it has any.
struct Binned {
    /// Where the entries of each unit end.
    ends: Vec<usize>,
    entries: Vec<(u32, [f64; 2])>,
}

impl Binned {
    fn new(units: &Units, (bins, count): (&[usize], usize), labels: &[bool]) -> Self {
        let (mut ends, mut entries) = (Vec::with_capacity(units.len()), Vec::new());
        let mut own = vec![[0.0; 2]; count];
        let mut used: Vec<usize> = Vec::new();
        for unit in 0..units.len() {
            for &row in units.rows(unit) {
                let cell = &mut own[bins[row]];
                if cell[0] + cell[1] < 0.5 {
                    used.push(bins[row]);
                }
                cell[usize::from(labels[row])] += 1.0;
            }
            used.sort_unstable();
            for bin in used.drain(..) {
                let counts = std::mem::take(&mut own[bin]);
                entries.push((u32::try_from(bin).unwrap_or(u32::MAX), counts));
            }
            ends.push(entries.len());
        }
        Self { ends, entries }
    }

    /// Sums over the units that were drawn; how many rows there are. Counts are whole numbers, so
    /// that their order does not matter.
    fn add(&self, drawn: &[usize], sums: &mut Sums) -> f64 {
        sums.0.fill([0.0; 2]);
        for &unit in drawn {
            let start = unit.checked_sub(1).map_or(0, |before| self.ends[before]);
            for (bin, [controls, cases]) in &self.entries[start..self.ends[unit]] {
                let sum = &mut sums.0[*bin as usize];
                sum[0] += controls;
                sum[1] += cases;
            }
        }
        sums.0.iter().map(|[controls, cases]| controls + cases).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::{Random, SubjectId};

    /// Rows of patients with several each, some tied.
    fn rows() -> (Truth, Vec<f64>) {
        let random = Random::new(5, 9);
        let (mut truth, mut p) = (Truth::new(2), Vec::new());
        for row in 0..400_u64 {
            let who = SubjectId::new((row % 70).to_string());
            let case = random.below(row, 4) == 0;
            truth.push(&who, u32::from(case)).unwrap();
            let more = if case { 0.2 } else { 0.0 };
            p.push(libm::round((0.7 * random.uniform(1000 + row) + more) * 20.0) / 20.0);
        }
        (truth, p)
    }

    #[test]
    fn intervals_are_those_of_curves_that_are_drawn_row_by_row() {
        let (truth, p) = rows();
        let labels = truth.is(1);
        let bootstrap = Bootstrap { replicates: 300, ..Bootstrap::default() };
        // In any order, one of them on the value of a row.
        let thresholds = [0.5, 0.1, 0.3, 0.25];
        let (curve, intervals) =
            decision_curve_spread(&truth, (1, &p), &thresholds, &bootstrap).unwrap();
        for (at, threshold) in thresholds.into_iter().enumerate() {
            let slow = bootstrap.estimate(truth.subjects(), |weights| {
                let point = decision_curve(&p, &labels, Some(weights), &[threshold]).ok()?;
                Some(point[0].model)
            });
            let slow = slow.unwrap();
            assert!((slow.value - curve[at].model).abs() < 1e-12);
            let ends = slow.interval.bounds().zip(intervals[at].bounds());
            let ((a, b), (c, d)) = ends.unwrap();
            assert!((a - c).abs() < 1e-12 && (b - d).abs() < 1e-12, "{a} {c} {b} {d}");
        }
    }

    #[test]
    fn odd_curves_have_no_intervals() {
        let (truth, p) = rows();
        let none = Bootstrap { replicates: 0, ..Bootstrap::default() };
        let (groups, intervals) = calibration_spread(&truth, (1, &p), 10, &none).unwrap();
        assert_eq!(groups.len(), intervals.len());
        assert!(intervals.iter().all(|interval| *interval == Interval::None));
        let usual = Bootstrap::default();
        assert!(calibration_spread(&truth, (1, &p[1..]), 10, &usual).is_err());
        assert!(decision_curve_spread(&truth, (1, &p), &[0.0], &usual).is_err());
        let (_, empty) = decision_curve_spread(&truth, (1, &p), &[], &usual).unwrap();
        assert!(empty.is_empty());
    }
}
