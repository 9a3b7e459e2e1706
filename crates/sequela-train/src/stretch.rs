//! A stretch of forecasts to be looked at.

use sequela_eval::picture::{ForecastLine, ForecastLines};
use sequela_kernels::Context;

use crate::Error;
use crate::model::Model;
use crate::predict::forecasts;
use crate::prepare::Prepared;
use crate::series::{Example, Examples};

/// Truth and forecasts of some hundred consecutive steps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stretch {
    /// Steps ahead.
    horizon: usize,
    /// Minutes, or steps where the record has no times.
    times: Vec<f64>,
    timed: bool,
    truth: Vec<f64>,
    /// Name and forecasts for each time.
    lines: Vec<(String, Vec<f64>)>,
    trained_on: bool,
}

impl Stretch {
    /// The middle of the record on which the model errs as on half of all judged records more and
    /// on half less: neither a good nor a bad day. `judged` are its forecasts for all windows.
    pub(crate) fn typical(
        model: &Model,
        name: &str,
        prepared: &Prepared,
        judged: &[f32],
        context: &mut Context,
    ) -> Result<Self, Error> {
        let (encoder, test) = (&prepared.encoder, &prepared.test);
        let count = encoder.horizons.len();
        // Near horizons hide behind the truth, far ones say little.
        let k = count / 2;
        let horizon = encoder.horizons[k];
        let at = typical_series(test, encoder.length, (k, horizon), judged);
        let record = &test.series[at];
        let part = prepared.judged();
        let plan = encoder.plan(1).without_targets(part)?;
        let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let windows: Vec<Example> = plan
            .list
            .iter()
            .filter(|w| w.sequence == at && w.last() + horizon < record.len())
            .map(|w| Example { series: narrow(w.sequence), start: narrow(w.start) })
            .collect();
        let skip = windows.len().saturating_sub(SHOWN) / 2;
        let shown = &windows[skip..windows.len().min(skip + SHOWN)];
        let due = |w: &Example| w.start as usize + encoder.length - 1 + horizon;
        let (Some(first), Some(last)) = (shown.first().map(due), shown.last().map(due)) else {
            return Err(Error::data("test", "there is no window to show", "report this as a bug"));
        };
        let examples = Examples { windows: shown.to_vec(), ..test.clone() };
        let mut named = vec![(name.to_owned(), forecasts(model, part, &examples, context)?)];
        let baselines = model.baselines(&examples);
        named.extend(baselines.into_iter().filter(|(name, _)| name == "persistence"));
        let lines = named.into_iter().map(|(name, forecasts)| {
            let mut line = vec![f64::NAN; last - first + 1];
            for (window, forecasts) in shown.iter().zip(forecasts.chunks_exact(count)) {
                line[due(window) - first] = f64::from(forecasts[k]);
            }
            (name, line)
        });
        let times = part.sequences()[at].times.as_ref();
        Ok(Self {
            horizon,
            times: (first..=last)
                .map(|step| times.map_or(step as f64, |times| times[step] * 60.0))
                .collect(),
            timed: times.is_some(),
            truth: (first..=last)
                .map(|step| record.truth(step).map_or(f64::NAN, f64::from))
                .collect(),
            lines: lines.collect(),
            trained_on: prepared.judged_on_training,
        })
    }

    /// The picture.
    pub(crate) fn to_svg(&self, model: &Model) -> Result<String, Error> {
        let study = &model.manifest().study;
        let step = study.data.step();
        let ahead = if self.horizon == 1 { step.to_owned() } else { format!("{step}s") };
        let names: Vec<String> = self
            .lines
            .iter()
            .map(|(name, _)| format!("{name}, {} {ahead} ahead", self.horizon))
            .collect();
        let lines: Vec<ForecastLine<'_>> = names
            .iter()
            .zip(&self.lines)
            .map(|(name, (_, values))| ForecastLine { name, values })
            .collect();
        let target = model.target();
        let quantity = target.name.replace('_', " ");
        let quantity = match target.unit.as_str() {
            "" => quantity,
            unit => format!("{quantity} ({unit})"),
        };
        let kind = if self.trained_on { "trained on" } else { "not trained on" };
        Ok(ForecastLines {
            title: &format!("{}: a record that was {kind}", study.study.name),
            time: &if self.timed { "time (min)".to_owned() } else { format!("{step}s") },
            quantity: &quantity,
            times: &self.times,
            truth: &self.truth,
            forecasts: &lines,
            band: None,
        }
        .to_svg()?)
    }
}

/// The series with the median error at one horizon.
fn typical_series(
    test: &Examples,
    length: usize,
    (k, horizon): (usize, usize),
    judged: &[f32],
) -> usize {
    let count = judged.len() / test.windows.len().max(1);
    let mut errors = vec![(0.0, 0_u32); test.series.len()];
    for (window, forecasts) in test.windows.iter().zip(judged.chunks_exact(count.max(1))) {
        let at = window.series as usize;
        let due = window.start as usize + length - 1 + horizon;
        if let Some(truth) = test.series[at].truth(due) {
            errors[at].0 += (f64::from(truth) - f64::from(forecasts[k])).abs();
            errors[at].1 += 1;
        }
    }
    let mut ranked: Vec<usize> = (0..errors.len()).filter(|&at| errors[at].1 > 0).collect();
    let mean = |at: usize| errors[at].0 / f64::from(errors[at].1);
    ranked.sort_by(|&a, &b| mean(a).total_cmp(&mean(b)).then(a.cmp(&b)));
    ranked.get(ranked.len() / 2).copied().unwrap_or(0)
}

/// Windows shown.
const SHOWN: usize = 200;
