//! The demonstrations, made short.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may fail loudly")]

mod common;

use common::Bench;
use serde_json::Value;

const SHORT: [&str; 6] =
    ["--set", "data.subjects=6", "--set", "data.hours=0.3", "--set", "train.epochs=2"];

#[test]
fn the_demonstration_leaves_a_model_pictures_and_a_table() {
    let bench = Bench::empty();
    let shown = bench.run(&[&["demo", "heart-rate"][..], &SHORT].concat());
    assert_eq!(shown.code, 0, "{}", shown.err);
    for said in ["mean absolute error in bpm", "LSTM against", "persistence", "feed-forward net"] {
        assert!(shown.out.contains(said), "{said}: {}", shown.out);
    }
    let folder = bench.path("demo-heart-rate");
    for file in ["forecast.svg", "loss.svg", "errors.svg", "evaluation.md", "model.safetensors"] {
        assert!(folder.join(file).is_file(), "{file}");
        assert!(shown.err.contains(file), "{file}: {}", shown.err);
    }
    let svg = std::fs::read_to_string(folder.join("forecast.svg")).unwrap();
    assert!(svg.contains("<svg") && svg.contains("truth") && svg.contains("persistence"));

    // What it suggests can be done.
    let simulate = ["data", "simulate", "heart-rate", "--subjects", "2", "--hours", "0.2"];
    let simulated = bench.run(&[&simulate[..], &["--out", "fresh.csv"]].concat());
    assert_eq!(simulated.code, 0, "{}", simulated.err);
    let words = ["predict", "demo-heart-rate/model.safetensors", "fresh.csv"];
    let forecast = bench.run(&words);
    assert_eq!((forecast.code, forecast.out.lines().count()), (0, 1 + 2 * 3), "{}", forecast.err);

    // A second one is put beside the first; another seed is another model.
    let again = bench.run(&[&["demo", "heart-rate", "--quiet"][..], &SHORT].concat());
    assert_eq!((again.code, &again.out), (0, &shown.out));
    let model = |folder: &str| bench.read(&format!("{folder}/model.safetensors"));
    assert!(model("demo-heart-rate") == model("demo-heart-rate-2"));
    let other = ["demo", "heart-rate", "--quiet", "--seed", "9", "--out", "other"];
    assert_eq!(bench.run(&[&other[..], &SHORT].concat()).code, 0);
    assert!(model("demo-heart-rate") != model("other"));
}

#[test]
fn the_article_says_what_can_be_reached() {
    let bench = Bench::empty();
    let shown = bench.run(&["demo", "heart-rate", "--data", "article"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.contains("No model can beat the mean by much"), "{}", shown.out);
    assert!(shown.out.contains("102.76"), "{}", shown.out);
    assert!(shown.out.contains("still on its way"), "{}", shown.out);

    let long = ["--set", "train.epochs=200", "--json"];
    let shown = bench.run(&[&["demo", "heart-rate", "--data", "article"][..], &long].concat());
    let finished: Value = serde_json::from_str(shown.out.lines().last().unwrap()).unwrap();
    let (loss, mean) = (&finished["train_loss"], &finished["best_possible"]["mse_of_the_mean"]);
    let ratio = loss.as_f64().unwrap() / mean.as_f64().unwrap();
    assert!((ratio - 1.0).abs() < 0.01, "{ratio}");
}
