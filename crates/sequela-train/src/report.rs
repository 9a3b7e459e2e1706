//! The files of a finished run: model, figures, pictures, and a page that says what is what.

use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location};
use sequela_eval::bootstrap::Estimate;
use sequela_eval::picture::{BarSeries, ErrorBars, LossCurve, Scale};
use sequela_formats::durable;
use sequela_formats::log::read_lines;

use crate::evaluation::Evaluation;
use crate::fit::EpochMetrics;
use crate::model::Model;
use crate::run::{CHECKPOINT, METRICS, MODEL, STUDY, TIMING};
use crate::stretch::Stretch;
use crate::{Error, Event, Observer};

/// What pictures are drawn from.
pub(crate) struct Pictures<'a> {
    pub(crate) history: &'a [EpochMetrics],
    pub(crate) stretch: &'a Stretch,
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
    put("forecast.svg", pictures.stretch.to_svg(model)?.as_bytes())?;
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
}

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
        .map(|f| {
            // Orders and seasons stand in the tables; a legend has one line.
            let name = f.name.split(" (").next().unwrap_or_default();
            let name =
                if name == "seasonal mean" { "season" } else { name.trim_end_matches(" net") };
            (name, chosen.iter().map(|&k| f.scores[k].mae).collect())
        })
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
