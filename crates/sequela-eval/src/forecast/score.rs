//! MAE, RMSE, bias, skill and MASE of forecasts.

use std::collections::BTreeMap;

use sequela_core::SubjectId;

use super::truth::{Scored, Truth};
use crate::Error;
use crate::bootstrap::{Bootstrap, Estimate, Interval, Units};
use crate::error::place;

/// How far a forecaster is off at one horizon, in the units of the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HorizonScore {
    /// Steps ahead.
    pub horizon: usize,
    /// Targets scored.
    pub targets: usize,
    /// Subjects that they come from.
    pub subjects: usize,
    /// Mean absolute error.
    pub mae: Estimate,
    /// Root of the mean squared error.
    pub rmse: Estimate,
    /// Mean of prediction minus truth: positive where the forecaster is too high.
    pub bias: Estimate,
}

/// How two forecasters differ at one horizon, on the same targets and the same draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HorizonComparison {
    /// Steps ahead.
    pub horizon: usize,
    /// MAE of the model minus MAE of the baseline; negative where the model is better.
    pub mae_difference: Estimate,
    /// RMSE of the model minus RMSE of the baseline.
    pub rmse_difference: Estimate,
    /// 1 - MAE of the model / MAE of the baseline: 0 no gain, 1 perfect, negative worse.
    pub skill: Estimate,
}

/// MAE, RMSE and bias at each horizon, with intervals by subject.
///
/// **Shapes** `prediction: (N, K)` row by row, as `truth` was filled.
///
/// **Cost** O(N K) plus replicates x subjects for each horizon.
///
/// # Errors
/// [`Error::Shape`] for another number of predictions, [`Error::Value`] for one that is not
/// finite where the target is known, [`Error::Nothing`] for a horizon without targets.
///
/// # Example
/// See the [crate](crate) page.
pub fn score(
    truth: &Truth,
    prediction: &[f32],
    bootstrap: &Bootstrap,
) -> Result<Vec<HorizonScore>, Error> {
    truth.check(prediction)?;
    each_column(truth, |horizon, scored, units| {
        let sums = UnitSums::new(scored, units, |target| error(target, prediction));
        let whole = sums.whole.figures();
        let intervals = bootstrap.intervals(units, |drawn| sums.of(drawn).figures());
        let [mae, rmse, bias] = estimates(whole, intervals);
        Ok(HorizonScore {
            horizon,
            targets: scored.len(),
            subjects: subjects(scored),
            mae,
            rmse,
            bias,
        })
    })
}

/// The paired differences between a model and a baseline at each horizon.
///
/// **Shapes** as for [`score`], both forecasters.
///
/// # Errors
/// As for [`score`]; [`Error::Undefined`] where the baseline has no error at all, so that there
/// is no skill over it.
///
/// # Example
/// See the [crate](crate) page.
pub fn compare(
    truth: &Truth,
    model: &[f32],
    baseline: &[f32],
    bootstrap: &Bootstrap,
) -> Result<Vec<HorizonComparison>, Error> {
    truth.check(model)?;
    truth.check(baseline)?;
    each_column(truth, |horizon, scored, units| {
        let ours = UnitSums::new(scored, units, |target| error(target, model));
        let theirs = UnitSums::new(scored, units, |target| error(target, baseline));
        let figures = |ours: Sums, theirs: Sums| {
            let ([mae, rmse, _], [base_mae, base_rmse, _]) = (ours.figures(), theirs.figures());
            [mae - base_mae, rmse - base_rmse, 1.0 - mae / base_mae]
        };
        let whole = figures(ours.whole, theirs.whole);
        if !whole[2].is_finite() {
            return Err(Error::Undefined {
                location: place(format!("horizon {horizon}")),
                metric: "skill",
                why: "the baseline has no error",
            });
        }
        let intervals =
            bootstrap.intervals(units, |drawn| figures(ours.of(drawn), theirs.of(drawn)));
        let [mae_difference, rmse_difference, skill] = estimates(whole, intervals);
        Ok(HorizonComparison { horizon, mae_difference, rmse_difference, skill })
    })
}

/// The mean absolute scaled error at each horizon: each error is divided by its subject's own
/// scale ([`naive_scale`] of the part that the forecaster was fitted on or has seen).
///
/// Below 1 the forecaster errs less than one-step persistence does on that part.
///
/// # Errors
/// As for [`score`]; [`Error::Undefined`] where a subject has no scale or one that is not
/// positive.
///
/// # Example
/// ```
/// use std::collections::BTreeMap;
/// use sequela_core::SubjectId;
/// use sequela_eval::bootstrap::Bootstrap;
/// use sequela_eval::forecast::{Truth, mase, naive_scale};
/// let p01 = SubjectId::new("p01");
/// let seen = [Some(70.0), Some(72.0), None, Some(71.0), Some(75.0)];
/// let scales = BTreeMap::from([(p01.clone(), naive_scale(&seen, 1).expect("two pairs"))]);
/// let mut truth = Truth::new(&[1]);
/// truth.push(&p01, &[Some(76.0)])?;
/// let scaled = mase(&truth, &[74.5], &scales, &Bootstrap::default())?;
/// assert_eq!(scaled[0].value, 0.5); // 1.5 beside a mean step of (2 + 4) / 2
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn mase(
    truth: &Truth,
    prediction: &[f32],
    scales: &BTreeMap<SubjectId, f64>,
    bootstrap: &Bootstrap,
) -> Result<Vec<Estimate>, Error> {
    truth.check(prediction)?;
    let scale_of: Vec<Option<f64>> = truth
        .subjects()
        .iter()
        .map(|subject| scales.get(subject).copied().filter(|s| s.is_finite() && *s > 0.0))
        .collect();
    each_column(truth, |_, scored, units| {
        let without = scored.iter().find(|target| scale_of[target.subject as usize].is_none());
        if let Some(target) = without {
            return Err(Error::Undefined {
                location: place(format!("subject number {}", target.subject)),
                metric: "the scaled error",
                why: "the subject has no positive scale",
            });
        }
        let sums = UnitSums::new(scored, units, |target| {
            error(target, prediction) / scale_of[target.subject as usize].unwrap_or(f64::NAN)
        });
        let [mae, ..] = sums.whole.figures();
        let [interval] = bootstrap.intervals(units, |drawn| [sums.of(drawn).figures()[0]]);
        Ok(Estimate { value: mae, interval })
    })
}

/// The mean absolute change of a series over `lag` steps, the scale of [`mase`]; `lag` 1 is
/// persistence, a whole day's steps the seasonal form.
///
/// **Missing data** pairs with a hole are left out; `None` where no pair is left.
pub fn naive_scale(series: &[Option<f32>], lag: usize) -> Option<f64> {
    let pairs = series.iter().zip(series.iter().skip(lag));
    let (mut sum, mut count) = (0.0, 0_u32);
    for (before, after) in pairs {
        if let (Some(before), Some(after)) = (before, after) {
            sum += (f64::from(*after) - f64::from(*before)).abs();
            count += 1;
        }
    }
    (count > 0).then(|| sum / f64::from(count))
}

fn each_column<T>(
    truth: &Truth,
    mut figure: impl FnMut(usize, &[Scored], &Units) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let columns = truth.horizons().iter().enumerate();
    columns
        .map(|(column, &horizon)| {
            let scored = truth.column(column);
            if scored.is_empty() {
                return Err(Error::Nothing { location: place(format!("horizon {horizon}")) });
            }
            let of_row: Vec<u32> = scored.iter().map(|target| target.subject).collect();
            figure(horizon, &scored, &Units::new(&of_row, horizon))
        })
        .collect()
}

fn error(target: &Scored, prediction: &[f32]) -> f64 {
    f64::from(prediction[target.at]) - target.truth
}

fn subjects(scored: &[Scored]) -> usize {
    let mut numbers: Vec<u32> = scored.iter().map(|target| target.subject).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.len()
}

fn estimates(values: [f64; 3], intervals: [Interval; 3]) -> [Estimate; 3] {
    std::array::from_fn(|i| Estimate { value: values[i], interval: intervals[i] })
}

/// Weighted sums that every figure here is a function of.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    weight: f64,
    absolute: f64,
    square: f64,
    signed: f64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.weight += other.weight;
        self.absolute += other.absolute;
        self.square += other.square;
        self.signed += other.signed;
    }

    /// MAE, RMSE, bias.
    fn figures(&self) -> [f64; 3] {
        let mean = |sum: f64| sum / self.weight;
        [mean(self.absolute), libm::sqrt(mean(self.square)), mean(self.signed)]
    }
}

/// The sums of each unit that the bootstrap draws, so that a replicate costs a sum over units.
struct UnitSums {
    units: Vec<Sums>,
    whole: Sums,
}

impl UnitSums {
    fn new(scored: &[Scored], units: &Units, error: impl Fn(&Scored) -> f64) -> Self {
        let rows: Vec<Sums> = scored
            .iter()
            .map(|target| {
                let (weight, error) = (target.weight, error(target));
                Sums {
                    weight,
                    absolute: weight * error.abs(),
                    square: weight * error * error,
                    signed: weight * error,
                }
            })
            .collect();
        let total = |rows: &mut dyn Iterator<Item = &Sums>| {
            rows.fold(Sums::default(), |mut total, row| {
                total.add(row);
                total
            })
        };
        let whole = total(&mut rows.iter());
        let of_unit = |unit| total(&mut units.rows(unit).iter().map(|&row| &rows[row]));
        Self { units: (0..units.len()).map(of_unit).collect(), whole }
    }

    fn of(&self, drawn: &[usize]) -> Sums {
        drawn.iter().fold(Sums::default(), |mut total, &unit| {
            total.add(&self.units[unit]);
            total
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> SubjectId {
        SubjectId::new(name)
    }

    #[test]
    fn missing_targets_and_zero_weights_are_left_out() {
        let mut truth = Truth::new(&[1]);
        truth.push(&id("a"), &[Some(1.0)]).unwrap();
        truth.push(&id("a"), &[None]).unwrap();
        truth.push(&id("b"), &[Some(f32::NAN)]).unwrap();
        truth.push_weighted(&id("c"), 0.0, &[Some(100.0)]).unwrap();
        truth.push_weighted(&id("d"), 3.0, &[Some(5.0)]).unwrap();
        let scores = score(&truth, &[2.0, f32::NAN, 0.0, 0.0, 4.0], &Bootstrap::default()).unwrap();
        let only = scores[0];
        assert_eq!((only.targets, only.subjects), (2, 2));
        assert!((only.mae.value - 1.0).abs() < 1e-15);
        assert!((only.bias.value - (1.0 - 3.0) / 4.0).abs() < 1e-15);
    }

    #[test]
    fn bad_input_is_refused_with_its_row() {
        let mut truth = Truth::new(&[1, 2]);
        assert!(matches!(truth.push(&id("a"), &[Some(1.0)]), Err(Error::Shape { .. })));
        assert!(truth.push_weighted(&id("a"), -1.0, &[None, None]).is_err());
        truth.push(&id("a"), &[Some(1.0), None]).unwrap();
        truth.push(&id("a"), &[Some(1.0), None]).unwrap();
        let none = Bootstrap::default();
        assert!(matches!(score(&truth, &[0.0; 3], &none), Err(Error::Shape { .. })));
        let error = score(&truth, &[0.0, 0.0, f32::NAN, 0.0], &none).unwrap_err();
        assert_eq!(error.to_string(), "input, field row 1: the prediction is not finite");
        let error = score(&truth, &[0.0; 4], &none).unwrap_err();
        assert!(error.to_string().contains("horizon 2"), "{error}");
        assert!(!error.hint().is_empty());
    }

    #[test]
    fn a_forecaster_beside_itself_differs_by_exactly_nothing() {
        let mut truth = Truth::new(&[1]);
        for person in 0_u8..12 {
            truth.push(&id(&person.to_string()), &[Some(f32::from(person))]).unwrap();
        }
        let model: Vec<f32> = (0_u8..12).map(|p| f32::from(p) + 1.5).collect();
        let only = compare(&truth, &model, &model, &Bootstrap::default()).unwrap()[0];
        assert_eq!(only.mae_difference.interval.bounds(), Some((0.0, 0.0)));
        assert_eq!(only.skill.interval.bounds(), Some((0.0, 0.0)));
        let exact: Vec<f32> = (0_u8..12).map(f32::from).collect();
        assert!(matches!(
            compare(&truth, &model, &exact, &Bootstrap::default()),
            Err(Error::Undefined { .. })
        ));
    }

    #[test]
    fn the_naive_scale_skips_holes() {
        assert_eq!(naive_scale(&[Some(1.0), None, Some(4.0)], 1), None);
        assert_eq!(naive_scale(&[Some(1.0), None, Some(4.0)], 2), Some(3.0));
    }
}
