//! Forecasts that a model must beat to be of use: persistence, mean, seasonal mean and
//! autoregression, fitted on the training part and judged on the same windows.

use serde::{Deserialize, Serialize};

use crate::autoregression::Autoregression;
use crate::encode::{Encoder, narrow};
use crate::series::{Example, Examples};

/// What the baselines know; kept in the model file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineNumbers {
    /// Mean of the target over the training part.
    pub mean: f64,
    /// Steps of a season, where there is one.
    pub season: Option<usize>,
    /// Coefficients of the autoregression, where there is one.
    pub autoregression: Option<Autoregression>,
}

/// The season that a study asks for, and the highest order of its autoregression.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) season: usize,
    pub(crate) order: usize,
}

impl BaselineNumbers {
    /// Fits all of them.
    pub(crate) fn fit(
        encoder: &Encoder,
        train: &Examples,
        tune: &Examples,
        wanted: Wanted,
    ) -> Self {
        let (mut sum, mut count) = (0.0, 0_u64);
        for series in &train.series {
            for step in 0..series.len() {
                if let Some(value) = series.truth(step) {
                    sum += f64::from(value);
                    count += 1;
                }
            }
        }
        let mean = sum / count.max(1) as f64;
        let season = match wanted.season {
            0 => find_season(train, mean),
            steps => Some(steps),
        };
        let order = wanted.order.min(encoder.length);
        let autoregression =
            (order > 0).then(|| Autoregression::fit(encoder, (train, tune), mean, order)).flatten();
        Self { mean, season, autoregression }
    }

    /// Names and forecasts, `(N, K)` each, for the windows of a part.
    pub(crate) fn forecasts(
        &self,
        encoder: &Encoder,
        examples: &Examples,
    ) -> Vec<(String, Vec<f32>)> {
        let last_of = |example: &Example| example.start as usize + encoder.length - 1;
        let each = |forecast: &dyn Fn(&Example, usize) -> f64| -> Vec<f32> {
            let mut out = Vec::with_capacity(examples.windows.len() * encoder.horizons.len());
            for example in &examples.windows {
                out.extend((0..encoder.horizons.len()).map(|k| narrow(forecast(example, k))));
            }
            out
        };
        let persistence = each(&|example, _| {
            let series = &examples.series[example.series as usize];
            series.last_seen(example.start as usize, last_of(example)).map_or(self.mean, f64::from)
        });
        let mut all = vec![
            ("persistence".to_owned(), persistence),
            ("mean".to_owned(), each(&|_, _| self.mean)),
        ];
        if let Some(season) = self.season {
            let forecast = each(&|example, k| {
                let series = &examples.series[example.series as usize];
                let last = last_of(example);
                let due = last + encoder.horizons[k];
                let ahead = (due - last).div_ceil(season);
                let (mut sum, mut count) = (0.0, 0_u32);
                let past = (ahead..ahead + SEASONS)
                    .map_while(|back| due.checked_sub(season.saturating_mul(back)));
                for value in past.filter_map(|step| series.truth(step)) {
                    sum += f64::from(value);
                    count += 1;
                }
                if count == 0 { self.mean } else { sum / f64::from(count) }
            });
            all.push((format!("seasonal mean ({season})"), forecast));
        }
        if let Some(model) = &self.autoregression {
            let forecast = each(&|example, k| {
                let series = &examples.series[example.series as usize];
                model.forecast(k, |lag| {
                    last_of(example)
                        .checked_sub(lag)
                        .filter(|&step| step >= example.start as usize)
                        .and_then(|step| series.last_seen(example.start as usize, step))
                        .map_or(0.0, |value| f64::from(value) - self.mean)
                }) + self.mean
            });
            all.push((format!("autoregression ({})", model.order), forecast));
        }
        all
    }
}

/// The lag of the highest peak of the autocorrelation over all training series; none where no
/// peak stands out.
///
/// A lag is a peak where no neighbour within a tenth of it is higher; lag 1 is none.
fn find_season(train: &Examples, mean: f64) -> Option<usize> {
    let longest = train.series.iter().map(|series| series.len() / 3).max()?.min(LONGEST_SEASON);
    let mut products = vec![0.0; longest + 1];
    let mut squares = vec![0.0; longest + 1];
    for series in &train.series {
        let values: Vec<f64> = (0..series.len())
            .map(|step| series.truth(step).map_or(0.0, |value| f64::from(value) - mean))
            .collect();
        let own = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let values: Vec<f64> = values.iter().map(|value| value - own).collect();
        for lag in 0..=longest.min(values.len() / 3) {
            let pairs = values.iter().zip(&values[lag..]);
            let (mut product, mut square) = (0.0, 0.0);
            for (a, b) in pairs {
                product += a * b;
                square += 0.5 * (a * a + b * b);
            }
            products[lag] += product;
            squares[lag] += square;
        }
    }
    let correlation: Vec<f64> = products
        .iter()
        .zip(&squares)
        .map(|(product, square)| if *square > 0.0 { product / square } else { 0.0 })
        .collect();
    let is_peak = |&lag: &usize| {
        let reach = (lag / 10).max(1);
        let mut around = lag - reach..=(lag + reach).min(longest);
        lag + reach <= longest && around.all(|other| correlation[other] <= correlation[lag])
    };
    let lags = (2..=longest).filter(is_peak).filter(|&lag| correlation[lag] > CLEAR);
    lags.max_by(|&a, &b| correlation[a].total_cmp(&correlation[b]).then(b.cmp(&a)))
}

/// Seasons looked back at.
const SEASONS: usize = 30;
/// Steps of the longest season that is looked for.
const LONGEST_SEASON: usize = 1500;
/// Correlation from which a season is one.
const CLEAR: f64 = 0.3;

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::{Channel, Schema, Sequence, SubjectId};
    use sequela_data::Cohort;
    use sequela_data::scaling::{Scaler, ScalingMethod};

    fn parts(values: &[f32], length: usize, horizons: &[usize]) -> (Encoder, Examples) {
        let schema = Schema::new(vec![Channel { name: "hr".into(), unit: "bpm".into() }]);
        let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, values).unwrap();
        let cohort = Cohort::new(schema, vec![sequence], "test").unwrap();
        let encoder = Encoder {
            scaler: Scaler::fit(&cohort, ScalingMethod::Standard).unwrap(),
            target: 0,
            length,
            horizons: horizons.to_vec(),
            output: crate::study::TargetKind::Value,
            changes: vec![],
            inputs: crate::study::InputKind::Values,
            missing: crate::study::Missing::Carry,
            indicators: vec![],
            summaries: vec![],
            clip: None,
            statics: Vec::new(),
            longest_gap_hours: None,
            most_missing: 1.0,
            envelope: None,
        };
        let examples = encoder.examples(&cohort, 1).unwrap();
        (encoder, examples)
    }

    #[test]
    fn a_season_is_found_and_forecast_from_the_past() {
        let values: Vec<f32> =
            (0_u16..240).map(|t| 70.0 + f32::from(t % 12) + f32::from((t * 7) % 3) * 0.1).collect();
        let (encoder, examples) = parts(&values, 24, &[1, 13]);
        let wanted = Wanted { season: 0, order: 0 };
        let numbers = BaselineNumbers::fit(&encoder, &examples, &Examples::default(), wanted);
        assert_eq!(numbers.season, Some(12));
        let forecasts = numbers.forecasts(&encoder, &examples);
        let (name, seasonal) = &forecasts[2];
        assert_eq!(name, "seasonal mean (12)");
        // The first window sees steps 0..24; step 24 has phase 0, step 36 too.
        assert!((seasonal[0] - 70.1).abs() < 0.2 && (seasonal[1] - 70.1).abs() < 0.2);
    }

    #[test]
    fn noise_has_no_season() {
        let random = sequela_core::Random::new(1, 1);
        let values: Vec<f32> = (0..600).map(|t| narrow(random.normal(t))).collect();
        let (_, examples) = parts(&values, 10, &[1]);
        assert_eq!(find_season(&examples, 0.0), None);
    }
}
