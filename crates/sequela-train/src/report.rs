//! The files of a finished run: model, figures, pictures, and a page that says what is what.

use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location};
use sequela_eval::bootstrap::Estimate;
use sequela_eval::picture::{BarSeries, ErrorBars, ForecastLine, ForecastLines, LossCurve, Scale};
use sequela_formats::durable;
use sequela_formats::log::read_lines;

use crate::evaluation::Evaluation;
use crate::fit::EpochMetrics;
use crate::model::Model;
use crate::prepare::Prepared;
use crate::run::{CHECKPOINT, METRICS, MODEL, STUDY, TIMING};
use crate::{Error, Event, Observer};

/// What pictures are drawn from.
pub(crate) struct Pictures<'a> {
    pub(crate) prepared: &'a Prepared,
    pub(crate) history: &'a [EpochMetrics],
    pub(crate) named: &'a [(String, Vec<f32>)],
    pub(crate) model: &'a Model,
    pub(crate) best: u64,
}

/// The lines of `metrics.jsonl`.
pub(crate) fn history(path: &Path) -> Result<Vec<EpochMetrics>, Error> {
    let lines = read_lines(path, &Limits::default())?.lines;
    (1_u64..)
        .zip(&lines)
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|_| {
                Error::integrity(Location::file(path).line(number), "the line cannot be read")
            })
        })
        .collect()
}

/// Writes all files of a finished run, each wholly or not at all; the page that names the others
/// comes last.
pub(crate) fn write(
    folder: &Path,
    model: &Model,
    evaluation: &Evaluation,
    pictures: &Pictures<'_>,
    observer: &mut Observer<'_>,
) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    let mut put = |name: &str, bytes: &[u8]| -> Result<(), Error> {
        let path = folder.join(name);
        durable::write_atomic(&path, bytes)?;
        observer(&Event::Wrote { path: &path });
        files.push(path);
        Ok(())
    };
    put(MODEL, &model.to_bytes())?;
    put("evaluation.json", evaluation.to_json().as_bytes())?;
    put("evaluation.md", evaluation.markdown().as_bytes())?;
    put("loss.svg", pictures.loss().as_bytes())?;
    put("forecast.svg", pictures.forecast()?.as_bytes())?;
    put("errors.svg", errors(evaluation)?.as_bytes())?;
    put("README.md", page(model, evaluation).as_bytes())?;
    Ok(files)
}

impl Pictures<'_> {
    fn loss(&self) -> String {
        let study = &self.model.manifest().study;
        let train: Vec<f64> = self.history.iter().map(|line| line.train_loss).collect();
        let tune: Vec<f64> = self.history.iter().filter_map(|line| line.tune_loss).collect();
        let falls = |losses: &[f64]| match (losses.first(), losses.last()) {
            (Some(first), Some(last)) => *last > 0.0 && first / last > 20.0,
            _ => false,
        };
        let name = match study.train.loss {
            sequela_nn::Loss::MeanAbsolute => "mean absolute error",
            sequela_nn::Loss::Huber { .. } => "Huber loss",
            sequela_nn::Loss::Pinball { .. } => "pinball loss",
            _ => "mean squared error",
        };
        let scaled = study.scale.kind != sequela_data::scaling::ScalingMethod::Identity;
        let name = if scaled { format!("{name} (scaled)") } else { name.to_owned() };
        LossCurve {
            title: &format!("{}: loss", study.study.name),
            loss: &name,
            train: &train,
            tune: &tune,
            best_epoch: usize::try_from(self.best).ok().filter(|_| !tune.is_empty()),
            scale: if falls(&train) { Scale::Log } else { Scale::Linear },
        }
        .to_svg()
    }

    /// A stretch of the first judged record, forecast at the furthest horizon that fits.
    fn forecast(&self) -> Result<String, Error> {
        let (prepared, encoder) = (self.prepared, &self.prepared.encoder);
        let count = encoder.horizons.len();
        // The middle horizon: near ones hide behind the truth, far ones say little.
        let k = count / 2;
        let horizon = encoder.horizons[k];
        let windows = &prepared.test.windows;
        let series = windows.first().map_or(0, |w| w.series);
        let of_series: Vec<usize> =
            (0..windows.len()).filter(|&at| windows[at].series == series).collect();
        let skip = of_series.len().saturating_sub(SHOWN) / 2;
        let shown = &of_series[skip..of_series.len().min(skip + SHOWN)];
        let due = |at: usize| windows[at].start as usize + encoder.length - 1 + horizon;
        let (Some(&first), Some(&last)) = (shown.first(), shown.last()) else {
            return Err(Error::data("test", "there is no window to show", "report this as a bug"));
        };
        let steps: Vec<usize> = (due(first)..=due(last)).collect();
        let record = &prepared.test.series[series as usize];
        let value = |step: usize| record.truth(step).map_or(f64::NAN, f64::from);
        let truth: Vec<f64> = steps.iter().map(|&step| value(step)).collect();
        let line = |forecasts: &[f32]| -> Vec<f64> {
            let mut line = vec![f64::NAN; steps.len()];
            for &at in shown {
                line[due(at) - due(first)] = f64::from(forecasts[at * count + k]);
            }
            line
        };
        let sequence = &prepared.judged().sequences()[series as usize];
        let step = self.model.manifest().study.data.step();
        let minutes = sequence.times.is_some();
        let times: Vec<f64> = steps
            .iter()
            .map(|&step| match &sequence.times {
                Some(times) => times[step] * 60.0,
                None => step as f64,
            })
            .collect();
        let ahead = if horizon == 1 { step.to_owned() } else { format!("{step}s") };
        let shown_names =
            |wanted: &str| self.named.iter().find(|(name, _)| name.starts_with(wanted));
        let mut lines = vec![(self.named[0].0.clone(), line(&self.named[0].1))];
        for wanted in ["persistence", "autoregression"] {
            if let Some((name, forecasts)) = shown_names(wanted) {
                lines.push((name.clone(), line(forecasts)));
            }
        }
        let lines: Vec<(String, Vec<f64>)> = lines
            .into_iter()
            .map(|(name, line)| (format!("{name}, {horizon} {ahead} ahead"), line))
            .collect();
        let target = self.model.target();
        let quantity = match target.unit.as_str() {
            "" => target.name.clone(),
            unit => format!("{} ({unit})", target.name.replace('_', " ")),
        };
        let kind = if prepared.judged_on_training { "trained on" } else { "not trained on" };
        Ok(ForecastLines {
            title: &format!("{}: a record that was {kind}", self.model.manifest().study.study.name),
            time: &if minutes { "time (min)".to_owned() } else { format!("{step}s") },
            quantity: &quantity,
            times: &times,
            truth: &truth,
            forecasts: &lines
                .iter()
                .map(|(name, values)| ForecastLine { name, values })
                .collect::<Vec<_>>(),
            band: None,
        }
        .to_svg()?)
    }
}

/// Windows shown in the picture of forecasts.
const SHOWN: usize = 300;

fn errors(evaluation: &Evaluation) -> Result<String, Error> {
    // More groups than this cannot be read: the first, the last and some between.
    let all = evaluation.horizons.len();
    let chosen: Vec<usize> =
        if all <= 6 { (0..all).collect() } else { (0..6).map(|i| i * (all - 1) / 5).collect() };
    let groups: Vec<String> = chosen
        .iter()
        .map(|&k| match evaluation.horizons[k] {
            1 => format!("1 {}", evaluation.step),
            horizon => format!("{horizon} {}s", evaluation.step),
        })
        .collect();
    let figures: Vec<(&str, Vec<Estimate>)> = evaluation
        .forecasters
        .iter()
        .map(|f| (f.name.as_str(), chosen.iter().map(|&k| f.scores[k].mae).collect()))
        .collect();
    let figure = if evaluation.unit.is_empty() {
        "mean absolute error".to_owned()
    } else {
        format!("mean absolute error ({})", evaluation.unit)
    };
    Ok(ErrorBars {
        title: &format!("{}: errors of model and baselines", evaluation.channel.replace('_', " ")),
        groups: &groups.iter().map(String::as_str).collect::<Vec<_>>(),
        horizon: "forecast horizon",
        figure: &figure,
        series: &figures
            .iter()
            .map(|(name, figures)| BarSeries { name, figures })
            .collect::<Vec<_>>(),
    }
    .to_svg()?)
}

fn page(model: &Model, evaluation: &Evaluation) -> String {
    let study = &model.manifest().study;
    let notes = evaluation.notes.iter().fold(String::new(), |text, note| text + "- " + note + "\n");
    format!(
        "# {}\n\nA run of sequela {}: {}\n\n| file | what |\n|---|---|\n\
         | `{STUDY}` | the study as it was run, every field |\n\
         | `{MODEL}` | the model: weights, scales, schema, figures; `sequela inspect model {MODEL}` shows them |\n\
         | `evaluation.md`, `evaluation.json` | errors of the model and its baselines, with intervals |\n\
         | `errors.svg`, `forecast.svg`, `loss.svg` | pictures: errors, a stretch of forecasts, the training |\n\
         | `{METRICS}` | losses, step size and gradient norm of each epoch; the same bytes on every machine |\n\
         | `{TIMING}` | how long each epoch took |\n\
         | `{CHECKPOINT}` | the state of the training: `sequela train --resume .` goes on from it |\n\n\
         Forecast other series:\n\n```\nsequela predict {MODEL} series.csv\n```\n\n{}\n{}",
        study.study.name,
        model.manifest().provenance.sequela,
        crate::network::name(study),
        evaluation.table().markdown(),
        notes,
    )
}
