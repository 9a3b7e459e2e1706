//! From a study to a program: the model, and the feed-forward baseline.

use sequela_data::load::{SEPSIS, Stays};
use sequela_formats::physionet::COLUMNS;
use sequela_kernels::activation::Activation;
use sequela_kernels::linear::Bias;
use sequela_nn::{
    Activate, Architecture, Builder, CellKind, Directions, Features, Head, Initial, Interface,
    Linear, Loss, LossTerm, ParamKind, ParamSpec, Pooling, Program, Rows, Scalar,
};

use crate::Error;
use crate::encode::Encoder;
use crate::feed::Form;
use crate::statics;
use crate::study::{Data, Indicator, Study, Task};

/// The name of a forecaster's only head.
pub(crate) const HEAD: &str = "forecast";
/// The name of a classifier's only head.
pub(crate) const CLASS: &str = "class";

/// The program of a study's forecaster.
pub(crate) fn model(study: &Study, encoder: &Encoder) -> Result<Program, Error> {
    build(study, (encoder.moving(), encoder.static_width()), forecast_head(study))
}

/// The program of a study's classifier.
pub(crate) fn classifier(
    study: &Study,
    encoder: &Encoder,
    classes: usize,
) -> Result<Program, Error> {
    build(study, (encoder.moving(), encoder.static_width()), class_head(study, classes))
}

/// The program that a study's classifier is trained by: with the same weights, one that answers at
/// every step where the class is told at every step.
pub(crate) fn classifier_in_training(
    study: &Study,
    encoder: &Encoder,
    classes: usize,
) -> Result<Program, Error> {
    let mut study = study.clone();
    if study.train.replicate > 0.0
        && let Architecture::Sequence(model) = &mut study.model
    {
        model.pooling = Pooling::None;
    }
    classifier(&study, encoder, classes)
}

/// The program of a study as far as it is known without its data: a study that does not name its
/// classes has two.
///
/// # Errors
/// [`Error::Network`] for settings that do not go together.
pub fn outline(study: &Study) -> Result<Program, Error> {
    let (channels, classes) = match &study.data {
        Data::Csv(data) => {
            let named = data.label.as_ref().map_or(0, |label| label.classes.len());
            (data.values.len(), named.max(2))
        }
        Data::Physionet2012(_) => (Stays::CHANNELS, Stays::CLASSES.len()),
        Data::Meds(data) => {
            (data.frequent.unwrap_or(data.channels.len()), data.classes.len().max(2))
        }
        Data::Physionet2019(_) => (COLUMNS.len(), SEPSIS.1.len()),
        _ => (1, 2),
    };
    let head = match study.study.task {
        Task::Classify | Task::Label => class_head(study, classes),
        _ => forecast_head(study),
    };
    let statics = study.window.statics.len();
    build(study, (channels.saturating_sub(statics), statics::EACH * statics), head)
}

fn forecast_head(study: &Study) -> Head {
    let outputs = study.window.horizons.len();
    Head { name: HEAD.into(), outputs, loss: study.train.loss.clone() }
}

/// One output for each class, or, for a binary loss, one for the second of two.
fn class_head(study: &Study, classes: usize) -> Head {
    let loss = study.train.loss.clone();
    let outputs = if matches!(loss, Loss::BinaryCrossEntropy { .. }) { 1 } else { classes };
    Head { name: CLASS.into(), outputs, loss }
}

/// The form of an input row, as [`Encoder::rows`] writes it.
fn features(study: &Study, channels: usize) -> Features {
    let told = study.indicators();
    let width = channels * (1 + told.len() + study.window.summaries.len());
    let column = |indicator: Indicator| {
        told.iter().position(|found| *found == indicator).map(|at| channels * (1 + at))
    };
    match (column(Indicator::Observed), column(Indicator::Since)) {
        (Some(observed), Some(since)) if study.fades() => {
            Features::Measured { width, channels, observed, since }
        }
        _ => Features::Numeric { width },
    }
}

fn build(study: &Study, (channels, statics): (usize, usize), head: Head) -> Result<Program, Error> {
    Ok(study.model.build(&Interface {
        features: features(study, channels),
        second: None,
        statics,
        heads: vec![head],
        horizon: 0,
    })?)
}

/// How the model takes a window.
pub(crate) fn form(study: &Study) -> Form {
    match &study.model {
        Architecture::Sequence(model) if model.pooling == Pooling::None => Form::EveryStep,
        _ => Form::Sequence,
    }
}

/// Outputs for each horizon, and which of them is the forecast: the median, or the only one.
pub(crate) fn quantiles(loss: &Loss) -> (usize, usize) {
    match loss {
        Loss::Pinball { quantiles } => {
            let distance = |q: f32| (q - 0.5).abs();
            let middle = (0..quantiles.len())
                .min_by(|&a, &b| distance(quantiles[a]).total_cmp(&distance(quantiles[b])));
            (quantiles.len(), middle.unwrap_or(0))
        }
        _ => (1, 0),
    }
}

/// What the model is called in tables.
pub(crate) fn name(study: &Study) -> String {
    let model = match &study.model {
        Architecture::Sequence(model) => model,
        Architecture::Retain(_) => return several(study, "RETAIN".into()),
        _ => return several(study, "model".into()),
    };
    let cell = match model.cell {
        CellKind::Elman => "Elman",
        CellKind::Lstm => "LSTM",
        CellKind::Gru => "GRU",
        CellKind::GruD => "GRU-D",
        CellKind::MinGru => "minGRU",
        CellKind::MinLstm => "minLSTM",
        CellKind::Lru => "LRU",
    };
    let one = match model.directions {
        Directions::Forward => cell.into(),
        Directions::Both => format!("bidirectional {cell}"),
    };
    several(study, one)
}

/// The name of several alike.
fn several(study: &Study, one: String) -> String {
    match study.ensemble.members {
        0 | 1 => one,
        members => format!("{members} {one}"),
    }
}

/// A feed-forward net on the whole window as one row.
pub(crate) fn feed_forward(
    study: &Study,
    encoder: &Encoder,
    hidden: &[usize],
) -> Result<Program, Error> {
    let mut builder = Builder::new();
    let mut width = encoder.length * encoder.width();
    let mut value = builder.input("x", Rows::Sequences, width)?;
    let outputs = encoder.horizons.len();
    let (quantiles, _) = quantiles(&study.train.loss);
    for (layer, &units) in hidden.iter().chain(&[outputs * quantiles]).enumerate() {
        let kind = ParamKind::Linear { inputs: width, outputs: units, bias: Bias::Trained };
        let name = if layer == hidden.len() { "head".into() } else { format!("layer{layer}") };
        let param = builder.param(ParamSpec { name, kind, initial: Initial::Keras });
        value = builder.add(Linear { param }, &[value])?;
        if layer < hidden.len() {
            value = builder.add(Activate { kind: Activation::Relu }, &[value])?;
        }
        width = units;
    }
    let target = builder.input(&format!("target.{HEAD}"), Rows::Sequences, outputs)?;
    let weight = builder.input(&format!("weight.{HEAD}"), Rows::Sequences, outputs)?;
    builder.loss(LossTerm {
        kind: study.train.loss.clone(),
        prediction: value,
        target,
        weight: Some(weight),
        scale: Scalar::Fixed(1.0),
    });
    builder.output(HEAD, value);
    Ok(builder.finish()?)
}
