//! The studies that come with the program, on real data: what they promise must come out.

#![allow(clippy::panic, clippy::expect_used, reason = "this is a test")]

use std::path::Path;
use std::process::ExitCode;

use sequela_data::testing::DataSetTests;
use sequela_train::{Evaluation, Options, Outcome, Override, Study, train};

fn main() -> ExitCode {
    let mut tests = DataSetTests::new();
    tests.run("mitbih/mitbih_ds1.tar.xz", "patients never seen are forecast better", |path| {
        let evaluation = run("mitbih", path);
        let persistence = named(&evaluation, "persistence");
        for horizon in [5, 30] {
            let gain = persistence.iter().find(|gain| gain.horizon == horizon);
            let gain = gain.unwrap_or_else(|| panic!("no horizon {horizon}"));
            // Better beyond chance: the whole interval by patient lies below 0.
            assert!(gain.mae_difference.interval.is_below(0.0), "{gain:?}");
            assert!(gain.skill.value > 0.1, "{gain:?}");
        }
        let scores = &evaluation.forecasters[0].scores;
        assert!(scores.iter().all(|score| score.subjects == 7), "{scores:?}");
    });
    tests.run("heart_rate/pyhrv_nni_long.npy", "one person's later beats are forecast", |path| {
        let evaluation = run("nni", path);
        let persistence = named(&evaluation, "persistence");
        assert!(persistence[1].skill.value > 0.1 && persistence[2].skill.value > 0.1);
        assert!(evaluation.notes.iter().any(|note| note.contains("by time")));
    });
    tests.finish()
}

/// Runs a built-in study on the file that was found.
fn run(name: &str, path: &Path) -> Evaluation {
    let place = format!("data.path={:?}", path.to_string_lossy());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let study = Override::parse(&place)
        .and_then(|place| Study::builtin(name, &[place]))
        .unwrap_or_else(|error| panic!("{error}"));
    match train(&study, &folder.path().join("run"), &Options::default(), &mut |_| {}) {
        Ok(Outcome::Finished(report)) => report.evaluation.forecasts().expect("a forecast").clone(),
        other => panic!("{other:?}"),
    }
}

/// The model less a baseline.
fn named<'a>(
    evaluation: &'a Evaluation,
    name: &str,
) -> &'a [sequela_eval::forecast::HorizonComparison] {
    let found = evaluation.forecasters.iter().find(|forecaster| forecaster.name == name);
    found.and_then(|forecaster| forecaster.model_against.as_deref()).unwrap_or_default()
}
