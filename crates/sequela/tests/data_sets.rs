//! The program on public data sets, where they are on this machine.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

mod common;

use std::path::Path;
use std::process::ExitCode;

use common::{Bench, Ran, ran, testdata};
use sequela_data::testing::DataSetTests;
use serde_json::Value;

fn main() -> ExitCode {
    let mut tests = DataSetTests::new();
    tests.run("mitbih", "patients_not_seen_are_forecast_better_than_by_persistence", |folder| {
        let bench = Bench::empty();
        let study = testdata().join("../../studies/heart-rate-mitbih.toml");
        let study = study.to_str().unwrap();
        let trained = run(&bench, folder, &["train", study, "--out", "run", "--json"]);
        assert_eq!(trained.code, 0, "{}", trained.err);
        let finished: Value = serde_json::from_str(trained.out.lines().last().unwrap()).unwrap();
        let persistence = &finished["evaluation"]["forecasters"][1];
        assert_eq!(persistence["name"], "persistence");
        for (at, horizon) in [(1, 5), (2, 30)] {
            let difference = &persistence["model_against"][at];
            assert_eq!(difference["horizon"], horizon);
            let high = difference["mae_difference"]["interval_95"][1].as_f64().unwrap();
            assert!(high < 0.0, "at {horizon} beats the interval reaches {high}");
        }
        let archive = folder.join("mitbih_ds1.tar.xz");
        let archive = archive.to_str().unwrap();
        let forecasts = run(&bench, folder, &["predict", "run/model.safetensors", archive]);
        assert_eq!((forecasts.code, forecasts.out.lines().count()), (0, 1 + 22 * 3));
    });
    tests.run("heart_rate", "intervals_become_a_study_that_trains", |folder| {
        let bench = Bench::empty();
        let array = folder.join("pyhrv_nni_long.npy");
        let array = array.to_str().unwrap();
        let described = run(&bench, folder, &["data", "describe", array]);
        assert!(described.out.contains("4684 steps in all"), "{}", described.out);
        let study = run(&bench, folder, &["init", array]);
        assert_eq!(study.code, 0, "{}", study.err);
        bench.write("study.toml", &study.out);
        let words = ["train", "study.toml", "--out", "run", "--set", "train.epochs=1"];
        let trained = run(&bench, folder, &words);
        assert_eq!(trained.code, 0, "{}", trained.err);
        let forecast = run(&bench, folder, &["predict", "run/model.safetensors", array]);
        assert_eq!((forecast.code, forecast.out.lines().count()), (0, 1 + 3), "{}", forecast.err);
    });
    tests.run(
        "physionet2012",
        "who_dies_in_hospital_is_told_better_than_by_prevalence",
        |folder| {
            let bench = Bench::empty();
            let study = testdata().join("../../studies/icu-mortality.toml");
            let study = study.to_str().unwrap();
            let fewer = ["--set", "train.epochs=4", "--set", "evaluate.replicates=200"];
            let words = [&["train", study, "--out", "run", "--quiet"], &fewer[..]].concat();
            let trained = run(&bench, folder, &words);
            assert_eq!(trained.code, 0, "{}", trained.err);
            let other = folder.join("set-b.tar.gz");
            let other = other.to_str().unwrap();
            let judged = run(&bench, folder, &["evaluate", "run", other, "--json"]);
            assert!(judged.code < 2, "{}", judged.err);
            let judged: Value = serde_json::from_str(&judged.out).unwrap();
            assert_eq!(
                (&judged["subjects"], &judged["counts"][1]),
                (&Value::from(4000), &Value::from(568))
            );
            let figure = |classifier: usize, name: &str| {
                judged["classifiers"][classifier]["figures"][name]["interval_95"][0]
                    .as_f64()
                    .unwrap()
            };
            assert!(figure(0, "auroc") > 0.8 && figure(2, "auroc") > 0.83, "{judged}");
            let gain = &judged["classifiers"][1]["model_less_this"]["brier"]["interval_95"][1];
            assert!(gain.as_f64().unwrap() < 0.0, "{judged}");
        },
    );
    tests.finish()
}

/// Runs the program where it sees the data sets.
fn run(bench: &Bench, folder: &Path, words: &[&str]) -> Ran {
    ran(bench.command().args(words).env("SEQUELA_DATA", folder.parent().unwrap()))
}
