//! Against scikit-learn, `NumPy` and PyTorch (`testdata/train/make_classify.py`).

#![allow(clippy::unwrap_used, reason = "a test fails where a number is missing")]

use std::path::Path;

use sequela_core::{Channel, Schema, Sequence, SubjectId, Target};
use sequela_data::Cohort;
use sequela_kernels::Context;
use sequela_nn::{
    Batch, Builder, Head, Keep, Loss, LossTerm, Mode, Parameters, Pool, PoolKind, Rows, Runner,
    Scalar, Wanted,
};
use serde_json::Value;

use super::LogisticRegression;
use super::cases::{Asked, Cases};
use super::feed::{SeriesFeed, Told};
use super::numbers::{Sees, balanced};
use super::summary::summaries;
use crate::encode::{Encoder, narrow};
use crate::feed::{Feed as _, Order, Ports};
use crate::judge::Judge;
use crate::network::{CLASS, classifier, classifier_in_training};
use crate::study::Study;

const STUDY: &str = r#"
study = { name = "oracle", task = "classify" }
scale = { kind = "identity" }
model = { kind = "sequence" }
[data]
kind = "csv"
path = "none.csv"
subject = "who"
values = [{ name = "a" }, { name = "b" }, { name = "c" }]
label = { name = "class" }
"#;

fn facts() -> Value {
    serde_json::from_str(include_str!("../../../../testdata/train/classify.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()
}

fn flat(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().flat_map(numbers).collect()
}

fn classes(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Series of `width` channels, row by row, each with its class.
fn cohort(series: &Value, classes: &[u32], width: usize) -> Cohort {
    let channels = (0..width).map(|k| Channel { name: k.to_string(), unit: String::new() });
    let sequences = series.as_array().unwrap().iter().zip(classes).enumerate();
    let sequences = sequences.map(|(at, (series, class))| {
        let values: Vec<f32> = flat(series).into_iter().map(narrow).collect();
        let name = format!("s{at:03}");
        let sequence = Sequence::numeric(&name, SubjectId::new(&name), width, &values).unwrap();
        Sequence { target: Target::Class(*class), ..sequence }
    });
    Cohort::new(Schema::new(channels.collect()), sequences.collect(), "the oracle").unwrap()
}

fn close(ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len());
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let alike = (ours - theirs).abs() <= tolerance * theirs.abs().max(1.0);
        assert!(alike || (ours.is_nan() && theirs.is_nan()), "{at}: {ours} against {theirs}");
    }
}

#[test]
fn summaries_and_regressions_are_those_of_numpy_and_scikit_learn() {
    let facts = facts();
    let study = Study::parse(STUDY, Path::new("oracle.toml"), &[]).unwrap();
    for name in ["two", "three"] {
        let of = |list: &str| -> Vec<u32> {
            let merge = |class: u32| if name == "two" { class.min(1) } else { class };
            classes(&facts[list]).into_iter().map(merge).collect()
        };
        let count = if name == "two" { 2 } else { 3 };
        let train = cohort(&facts["train"], &of("classes"), 3);
        let encoder = Encoder::fit(&study, &train, 0).unwrap();
        let train = Cases::of(&train, &encoder, Asked::Series).unwrap();
        let tune =
            Cases::of(&cohort(&facts["tune"], &of("tune_classes"), 3), &encoder, Asked::Series)
                .unwrap();
        close(
            &summaries(&train, &(0..train.len()).collect::<Vec<_>>()),
            &flat(&facts["summaries"]),
            1e-12,
        );
        close(&balanced(&train.counts(count)), &numbers(&facts[name]["balanced"]), 1e-15);

        let strengths = numbers(&facts["strengths"]);
        let model =
            LogisticRegression::fit((&train, &tune), &encoder, count, &strengths, 0).unwrap();
        close(&model.centre, &numbers(&facts["centre"]), 1e-12);
        close(&model.spread, &numbers(&facts["spread"]), 1e-12);
        close(&[model.strength], &[facts[name]["strength"].as_f64().unwrap()], 0.0);
        close(&model.weights.concat(), &flat(&facts[name]["weights"]), 1e-8);
        let ours = model.probabilities(&tune, &encoder);
        close(&ours, &flat(&facts[name]["probabilities"]), 1e-9);
        let sees = |channels: usize| Sees::Series { channels };
        assert!(model.is_sound(sees(3), count) && !model.is_sound(sees(2), count));
    }
}

/// Loss and its gradient where the network says its input: what the feed makes of classes and
/// weights, and what the loss makes of that.
fn weighted(
    logits: &Value,
    width: usize,
    class: &[u32],
    weights: &[f64],
    loss: Loss,
) -> [Vec<f64>; 2] {
    let head = Head { name: CLASS.into(), outputs: width, loss: loss.clone() };
    let mut builder = Builder::new();
    let steps = builder.layout("steps");
    let x = builder.input("x", Rows::Steps(steps), width).unwrap();
    let prediction = builder.add(Pool { kind: PoolKind::Sum }, &[x]).unwrap();
    let target = builder.input("target.class", Rows::Sequences, head.target_width()).unwrap();
    let weight = builder.input("weight.class", Rows::Sequences, 1).unwrap();
    let (weight, scale) = (Some(weight), Scalar::Fixed(1.0));
    builder.loss(LossTerm { kind: loss, prediction, target, weight, scale });
    builder.output(CLASS, prediction);
    let program = builder.finish().unwrap();

    let study = Study::parse(STUDY, Path::new("oracle.toml"), &[]).unwrap();
    let cohort = cohort(logits, class, width);
    let encoder = Encoder::fit(&study, &cohort, 0).unwrap();
    let cases = Cases::of(&cohort, &encoder, Asked::Series).unwrap();
    let ports = Ports::find(&program, CLASS).unwrap();
    let mut feed = SeriesFeed::new((&encoder, &cases), weights, ports, class.len(), Order::Given);
    let capacity = feed.capacity(&program);
    let keep = Keep::Gradients(vec![Wanted::Of(prediction)]);
    let mut runner = Runner::new(&program, &capacity, &keep).unwrap();
    let mut batch = Batch::new(&program, &capacity).unwrap();
    batch.set_mode(Mode::Train);
    feed.fill(0, &mut batch).unwrap();
    let parameters = Parameters::new(&program, 0).unwrap();
    let mut gradients = sequela_nn::Gradients::new(&parameters);
    let mut context = Context::new(1).unwrap();
    let value = runner.train(&mut context, &parameters, &batch, &mut gradients).unwrap();
    let gradient = runner.gradient(prediction, &batch).unwrap();
    let rows = (0..class.len()).flat_map(|b| gradient.row(b).iter().map(|&x| f64::from(x)));
    [vec![value], rows.collect()]
}

#[test]
fn class_weights_reach_the_loss_as_in_pytorch() {
    let facts = &facts()["losses"];
    let logits: Value = facts["logits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| Value::from(vec![row.clone()]))
        .collect();
    let (class, weights) = (classes(&facts["classes"]), numbers(&facts["weights"]));
    let loss = Loss::CrossEntropy { class_weights: Vec::new() };
    let [value, slope] = weighted(&logits, 3, &class, &weights, loss);
    close(&value, &[facts["cross_entropy"].as_f64().unwrap()], 1e-6);
    close(&slope, &flat(&facts["cross_entropy_gradient"]), 1e-6);

    let odds: Value = facts["odds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|x| Value::from(vec![Value::from(vec![x.clone()])]))
        .collect();
    let (class, weights) = (classes(&facts["binary"]), numbers(&facts["pair"]));
    let loss = Loss::BinaryCrossEntropy { positive_weight: Vec::new() };
    let [value, slope] = weighted(&odds, 1, &class, &weights, loss);
    close(&value, &[facts["binary_cross_entropy"].as_f64().unwrap()], 1e-6);
    close(&slope, &numbers(&facts["binary_cross_entropy_gradient"]), 1e-6);
}

#[test]
fn a_class_told_at_every_step_is_the_loss_of_all_beginnings() {
    let text = format!("{STUDY}[train]\nreplicate = 0.3\n");
    let study = Study::parse(&text, Path::new("oracle.toml"), &[]).unwrap();
    let number = |at: usize| f64::from(u8::try_from(at * 37 % 19).unwrap()) / 9.0 - 1.0;
    let series: Vec<Vec<Vec<f64>>> = [4, 2, 5]
        .map(|steps| {
            (0..steps).map(|t| (0..3).map(|k| number(steps + 3 * t + k)).collect()).collect()
        })
        .to_vec();
    let json = |series: &[Vec<Vec<f64>>]| serde_json::to_value(series).unwrap();
    let all = cohort(&json(&series), &[1, 0, 1], 3);
    let encoder = Encoder::fit(&study, &all, 0).unwrap();
    let plain = classifier(&study, &encoder, 2).unwrap();
    let stepwise = classifier_in_training(&study, &encoder, 2).unwrap();
    let parameters = Parameters::new(&plain, 7).unwrap();
    // The same weights serve both.
    assert_eq!(parameters.flat(), Parameters::new(&stepwise, 7).unwrap().flat());
    let mut context = Context::new(1).unwrap();
    let mut at_the_end = |cohort: &Cohort| {
        let cases = Cases::of(cohort, &encoder, Asked::Series).unwrap();
        let ports = Ports::find(&plain, CLASS).unwrap();
        let feed = SeriesFeed::new((&encoder, &cases), &[1.0; 2], ports, 8, Order::Given);
        Judge::new(&plain, Box::new(feed)).unwrap().loss(&mut context, &parameters).unwrap()
    };
    let (mut wanted, end) = (0.0, at_the_end(&all));
    for (one, class) in series.iter().zip([1, 0, 1]) {
        for steps in 1..=one.len() {
            let beginning = cohort(&json(&[one[..steps].to_vec()]), &[class], 3);
            let share = if steps == one.len() { 0.7 } else { 0.0 } + 0.3 / one.len() as f64;
            wanted += share * at_the_end(&beginning) / 3.0;
        }
    }
    let cases = Cases::of(&all, &encoder, Asked::Series).unwrap();
    for (share, wanted) in [(0.3, wanted), (0.0, end)] {
        let ports = Ports::find(&stepwise, CLASS).unwrap();
        let feed = SeriesFeed::new((&encoder, &cases), &[1.0; 2], ports, 8, Order::Given);
        let feed = Box::new(feed.telling(Told::EveryStep(share)));
        let loss = Judge::new(&stepwise, feed).unwrap().loss(&mut context, &parameters).unwrap();
        assert!((loss - wanted).abs() < 1e-6, "{loss} {wanted}");
    }
}
