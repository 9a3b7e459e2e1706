//! A model beside its baselines, on people that it has not seen.

use std::fmt::Write as _;

use sequela_core::Sequence;
use sequela_data::Cohort;
use sequela_eval::bootstrap::{Bootstrap, Estimate};
use sequela_eval::forecast::{
    HorizonComparison, HorizonScore, Truth, compare, difference_table, score, score_table,
};
use sequela_eval::table::Table;
use sequela_kernels::Context;
use serde_json::{Value, json};

use crate::Error;
use crate::encode::Encoder;
use crate::judged::{Judged, notes_list};
use crate::model::{Metric, Model};
use crate::predict::{Options, forecasts};
use crate::series::Examples;

/// Errors of a model and of its baselines on the same windows.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Name of what is forecast.
    pub channel: String,
    /// Its unit.
    pub unit: String,
    /// What one step is called.
    pub step: String,
    /// Steps ahead.
    pub horizons: Vec<usize>,
    /// The model, then the baselines.
    pub forecasters: Vec<Forecaster>,
    /// What has to be known to read the figures.
    pub notes: Vec<String>,
}

/// Errors of one forecaster.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecaster {
    /// Its name.
    pub name: String,
    /// One for each horizon.
    pub scores: Vec<HorizonScore>,
    /// The model less this baseline; none for the model itself, and where the baseline makes no
    /// error at all.
    pub model_against: Option<Vec<HorizonComparison>>,
}

impl Evaluation {
    /// Judges forecasts, the model's first.
    pub(crate) fn judge(
        truth: &Truth,
        named: &[(String, Vec<f32>)],
        replicates: u32,
        about: (&str, &str, &str),
    ) -> Result<Self, Error> {
        let bootstrap = Bootstrap { replicates, ..Bootstrap::default() };
        let mut forecasters = Vec::with_capacity(named.len());
        for (at, (name, forecasts)) in named.iter().enumerate() {
            forecasters.push(Forecaster {
                name: name.clone(),
                scores: score(truth, forecasts, &bootstrap)?,
                model_against: match at {
                    0 => None,
                    _ => compare(truth, &named[0].1, forecasts, &bootstrap).ok(),
                },
            });
        }
        let (channel, unit, step) = about;
        Ok(Self {
            channel: channel.to_owned(),
            unit: unit.to_owned(),
            step: step.to_owned(),
            horizons: truth.horizons().to_vec(),
            forecasters,
            notes: Vec::new(),
        })
    }

    /// Errors, horizon by horizon.
    pub fn table(&self) -> Table {
        let rows: Vec<(&str, &[HorizonScore])> =
            self.forecasters.iter().map(|f| (f.name.as_str(), f.scores.as_slice())).collect();
        score_table(&rows, &self.unit, &self.step)
    }

    /// The model less each baseline, horizon by horizon.
    pub fn differences(&self) -> Table {
        let rows: Vec<(&str, &[HorizonComparison])> = self
            .forecasters
            .iter()
            .filter_map(|f| Some((f.name.as_str(), f.model_against.as_deref()?)))
            .collect();
        difference_table(&rows, &self.unit, &self.step)
    }

    /// Both tables and the notes, for a terminal.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}", self.table().text(), self.differences().text());
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }

    /// Both tables and the notes, as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# {} on data that the model was not trained on\n\n{}\n## The model less each baseline\n\n\
             Paired, on the same windows and the same draws of subjects; negative where the model \
             is better.\n\n{}",
            self.channel,
            self.table().markdown(),
            self.differences().markdown()
        );
        text.push_str(&notes_list(&self.notes));
        text
    }

    /// All figures as JSON.
    pub fn to_json(&self) -> String {
        let forecasters: Vec<Value> = self.forecasters.iter().map(forecaster_json).collect();
        let value = json!({
            "channel": self.channel,
            "unit": self.unit,
            "step": self.step,
            "horizons": self.horizons,
            "forecasters": forecasters,
            "notes": self.notes,
        });
        let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The figures that a model file keeps.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for forecaster in &self.forecasters {
            metrics.extend(forecaster.scores.iter().map(|score| Metric {
                forecaster: forecaster.name.clone(),
                horizon: score.horizon,
                mae: score.mae.value,
                rmse: score.rmse.value,
            }));
        }
        metrics
    }
}

fn forecaster_json(forecaster: &Forecaster) -> Value {
    let scores: Vec<Value> = forecaster
        .scores
        .iter()
        .map(|score| {
            json!({
                "horizon": score.horizon,
                "targets": score.targets,
                "subjects": score.subjects,
                "mae": estimate(&score.mae),
                "rmse": estimate(&score.rmse),
                "bias": estimate(&score.bias),
            })
        })
        .collect();
    let against = forecaster.model_against.as_ref().map(|list| {
        list.iter()
            .map(|difference| {
                json!({
                    "horizon": difference.horizon,
                    "mae_difference": estimate(&difference.mae_difference),
                    "rmse_difference": estimate(&difference.rmse_difference),
                    "skill": estimate(&difference.skill),
                })
            })
            .collect::<Vec<_>>()
    });
    json!({ "name": forecaster.name, "scores": scores, "model_against": against })
}

pub(crate) fn estimate(estimate: &Estimate) -> Value {
    let bounds = estimate.interval.bounds().map(|(low, high)| [low, high]);
    json!({ "value": estimate.value, "interval_95": bounds })
}

/// What happened after every window of a part.
pub(crate) fn truth(encoder: &Encoder, part: &Cohort, examples: &Examples) -> Result<Truth, Error> {
    let mut truth = Truth::new(&encoder.horizons);
    let mut row = Vec::with_capacity(encoder.horizons.len());
    for example in &examples.windows {
        let at = example.series as usize;
        let last = example.start as usize + encoder.length - 1;
        row.clear();
        let series = &examples.series[at];
        row.extend(encoder.horizons.iter().map(|&horizon| series.truth(last + horizon)));
        truth.push(&part.sequences()[at].subject, &row)?;
    }
    Ok(truth)
}

/// Judges a model file on series, beside the baselines that are kept in it. A classifier needs
/// series with a class, which [`read_labelled`](crate::read_labelled) gives them.
///
/// # Errors
/// [`Error::Load`] or [`Error::Data`] where no window has a target or no series a class;
/// [`Error::Judge`] where a horizon has none.
pub fn evaluate(
    model: &Model,
    sequences: &[Sequence],
    options: &Options<'_>,
) -> Result<Judged, Error> {
    let part = model.cohort(sequences)?;
    if model.manifest().classes.is_some() {
        return crate::classify::judge(model, &part, options).map(Judged::Classes);
    }
    forecaster(model, &part, options).map(Judged::Forecasts)
}

fn forecaster(model: &Model, part: &Cohort, options: &Options<'_>) -> Result<Evaluation, Error> {
    let manifest = model.manifest();
    let examples = manifest.encoder.examples(part, manifest.study.evaluate.stride)?;
    let mut context = Context::new(options.threads.max(1))?;
    let mut named = vec![(
        crate::network::name(&manifest.study),
        forecasts(model, part, &examples, &mut context)?,
    )];
    named.extend(model.baselines(&examples));
    let truth = truth(&manifest.encoder, part, &examples)?;
    let about =
        (model.target().name.as_str(), model.target().unit.as_str(), manifest.study.data.step());
    Evaluation::judge(&truth, &named, manifest.study.evaluate.replicates, about)
}
