//! The files of a finished run: model, figures, pictures, and a page that says what is what.

use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location};
use sequela_eval::bootstrap::Estimate;
use sequela_eval::picture::{BarSeries, ErrorBars, LossCurve, Scale};
use sequela_eval::table::Table;
use sequela_formats::durable;
use sequela_formats::log::read_lines;
use sequela_nn::Loss;

use crate::evaluation::Evaluation;
use crate::fit::EpochMetrics;
use crate::model::Model;
use crate::overlap::PARTS;
use crate::run::{CHECKPOINT, METRICS, MODEL, STUDY, TIMING};
use crate::stretch::Stretch;
use crate::study::Study;
use crate::task::Trained;
use crate::{Error, Event, Observer};

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

/// A file of the run folder and its bytes.
pub(crate) type RunFile = (&'static str, Vec<u8>);

/// Writes all files of a finished run, each wholly or not at all; the page that names the others
/// comes last.
pub(crate) fn write(
    folder: &Path,
    files: Vec<RunFile>,
    observer: &mut Observer<'_>,
) -> Result<Vec<PathBuf>, Error> {
    let mut written = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let path = folder.join(name);
        durable::write_atomic(&path, &bytes)?;
        observer(&Event::Wrote { path: &path });
        written.push(path);
    }
    Ok(written)
}

/// The files of a forecaster's run.
pub(crate) fn forecast_files(
    model: &Model,
    evaluation: &Evaluation,
    trained: &Trained<'_>,
    stretch: &Stretch,
) -> Result<Vec<RunFile>, Error> {
    let page = Page {
        figures: ("errors of the model and its baselines, with intervals", &evaluation.table()),
        pictures: &[
            ("errors.svg", "the errors of the model and its baselines"),
            ("forecast.svg", "a stretch of forecasts beside what happened"),
        ],
        usage: ("Forecast other series", "series.csv"),
        notes: &evaluation.notes,
    };
    Ok(vec![
        (MODEL, model.to_bytes()),
        ("evaluation.json", evaluation.to_json().into_bytes()),
        ("evaluation.md", evaluation.markdown().into_bytes()),
        ("loss.svg", loss(trained).into_bytes()),
        ("forecast.svg", stretch.to_svg(model)?.into_bytes()),
        ("errors.svg", errors(evaluation)?.into_bytes()),
        (README, page.markdown(model).into_bytes()),
    ])
}

/// The picture of the losses.
pub(crate) fn loss(trained: &Trained<'_>) -> String {
    let study = trained.study;
    let train: Vec<f64> = trained.history.iter().map(|line| line.train_loss).collect();
    let tune: Vec<f64> = trained.history.iter().filter_map(|line| line.tune_loss).collect();
    let falls = |losses: &[f64]| match (losses.first(), losses.last()) {
        (Some(first), Some(last)) => *last > 0.0 && first / last > 20.0,
        _ => false,
    };
    LossCurve {
        title: &format!("{}: loss", study.study.name),
        loss: &loss_name(study),
        train: &train,
        tune: &tune,
        best_epoch: usize::try_from(trained.epochs[1]).ok().filter(|_| !tune.is_empty()),
        scale: if falls(&train) { Scale::Log } else { Scale::Linear },
    }
    .to_svg()
}

/// The loss and its unit, for an axis.
pub(crate) fn loss_name(study: &Study) -> String {
    let name = match study.train.loss {
        Loss::MeanAbsolute => "mean absolute error",
        Loss::Huber { .. } => "Huber loss",
        Loss::Pinball { .. } => "pinball loss",
        Loss::CrossEntropy { .. } | Loss::BinaryCrossEntropy { .. } => "cross-entropy (nats)",
        _ => "mean squared error",
    };
    let scaled = study.scale.kind != sequela_data::scaling::ScalingMethod::Identity;
    if study.study.task.tells_classes() {
        let weighted = if study.train.class_weights.is_none() { "" } else { ", class-weighted" };
        format!("{name}{weighted}")
    } else if scaled {
        format!("{name} (scaled)")
    } else {
        name.to_owned()
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

/// What the page of a run says beyond what all runs have.
pub(crate) struct Page<'a> {
    /// What the figures are, and the table of them.
    pub(crate) figures: (&'a str, &'a Table),
    /// Pictures beside that of the losses.
    pub(crate) pictures: &'a [(&'a str, &'a str)],
    /// What else the model can be used for, and on what.
    pub(crate) usage: (&'a str, &'a str),
    pub(crate) notes: &'a [String],
}

impl Page<'_> {
    /// The page that says what is what.
    pub(crate) fn markdown(&self, model: &Model) -> String {
        let study = &model.manifest().study;
        let notes = self.notes.iter().fold(String::new(), |text, note| text + "- " + note + "\n");
        let pictures = self
            .pictures
            .iter()
            .fold(String::new(), |text, (file, what)| text + &format!("| `{file}` | {what} |\n"));
        let ((figures, table), (usage, file)) = (self.figures, self.usage);
        format!(
            "# {}\n\nA run of sequela {}: {}\n\n| file | what |\n|---|---|\n\
             | `{STUDY}` | the study as it was run, every field |\n\
             | `{MODEL}` | the model: weights, scales, schema, figures; `sequela inspect model {MODEL}` shows them |\n\
             | `{PARTS}` | who was trained, tuned and tested on, as digests of names, for `sequela evaluate` to know them again |\n\
             | `evaluation.md`, `evaluation.json` | {figures} |\n\
             {pictures}\
             | `loss.svg` | the losses of the training |\n\
             | `{METRICS}` | losses, step size and gradient norm of each epoch; the same bytes on every machine |\n\
             | `{TIMING}` | how long each epoch took |\n\
             | `{CHECKPOINT}` | the state of the training: `sequela train --resume .` goes on from it |\n\n\
             {usage}:\n\n```\nsequela predict {MODEL} {file}\n```\n\n{}\n{}",
            study.study.name,
            model.manifest().provenance.sequela,
            crate::network::name(study),
            table.markdown(),
            notes,
        )
    }
}

/// The page that says what is what.
pub(crate) const README: &str = "README.md";
