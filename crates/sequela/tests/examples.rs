//! The examples run, in a folder of their own.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::path::PathBuf;
use std::process::Command;

/// Runs an example; cargo builds the examples of a package with its tests, beside them.
fn run(name: &str) -> String {
    let tests = std::env::current_exe().unwrap();
    let folder: PathBuf = tests.parent().and_then(|deps| deps.parent()).unwrap().join("examples");
    let work = tempfile::tempdir().unwrap();
    let output = Command::new(folder.join(name)).current_dir(work.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn train_lstm_learns_the_waves() {
    let text = run("train_lstm");
    let last = text.lines().last().unwrap();
    let figures: Vec<f64> = last
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [.., network, persistence] = figures[..] else { panic!("{last}") };
    assert!(network < persistence / 10.0, "{last}");
}

#[test]
fn forecast_series_forecasts_for_each_patient() {
    let text = run("forecast_series");
    assert!(text.contains("p8: ["), "{text}");
}
