//! The studies that come with the program, on real data: what they promise must come out.

#![allow(clippy::panic, clippy::expect_used, reason = "this is a test")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use sequela_core::Limits;
use sequela_data::testing::DataSetTests;
use sequela_formats::archive::Archive;
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
    tests.run("mitbih/mitbih_ds1.tar.xz", "100,000 steps of ECG are trained on", |path| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let csv = folder.path().join("ecg.csv");
        write_ecg(path, &csv);
        // By pieces whose state is carried, and exactly, within what one hundredth would take.
        for changes in [
            &["train.truncate=1000", "window.length=360", "train.epochs=2"][..],
            &["train.memory=\"128MiB\"", "window.length=99982", "train.epochs=6"],
        ] {
            let place = format!("data.path={:?}", csv.to_string_lossy());
            let changes = changes.iter().copied().chain([place.as_str()]);
            let changes: Vec<Override> =
                changes.map(|change| Override::parse(change).expect("a change")).collect();
            let study = Study::parse(ECG, Path::new("ecg.toml"), &changes);
            let study = study.unwrap_or_else(|error| panic!("{error}"));
            let run = folder.path().join(study.window.length.to_string());
            let outcome = train(&study, &run, &Options::default(), &mut |_| {});
            let Ok(Outcome::Finished(report)) = outcome else { panic!("{outcome:?}") };
            let evaluation = report.evaluation.forecasts().expect("forecasts");
            let against = named(evaluation, "mean");
            assert!(against[0].skill.value > 0.0, "{against:?}");
        }
    });
    tests.finish()
}

/// Four patients' ECG, 278 seconds each at 360 Hz, 50 ms ahead.
const ECG: &str = r#"
[study]
name = "ecg"
task = "forecast"
seed = 1

[data]
kind = "csv"
path = "ecg.csv"
subject = "record"
values = [{ name = "mlii", unit = "mV" }]
step = "sample"

[window]
length = 360
horizons = [18]

[split]
by = "subject"
fractions = { tune = 0.25, test = 0.25 }

[model]
kind = "sequence"
cell = "gru"
hidden = 16
pooling = "none"

[train]
batch = 2
rate = 1e-2
clip = { norm = 1.0 }

[evaluate]
replicates = 0
stride = 997
baselines = { autoregression = 0 }
"#;

/// Writes 100,000 samples of the first lead of four records: WFDB's format 212, two samples of 12
/// bits in three bytes.
fn write_ecg(archive: &Path, csv: &Path) {
    let mut text = String::from("record,mlii\n");
    let mut archive = Archive::open(archive, &Limits::default()).expect("an archive");
    let mut left = 4;
    while let Some(entry) = archive.next_file().expect("an entry") {
        let name = entry.name;
        let Some(record) = name.strip_suffix(".dat").filter(|_| left > 0) else { continue };
        let record = record.rsplit('/').next().unwrap_or(record).to_owned();
        left -= 1;
        let bytes = archive.content(8 << 20).expect("a signal file");
        for pair in bytes.chunks_exact(3).take(100_000) {
            let raw = i32::from(pair[0]) | (i32::from(pair[1]) & 0x0F) << 8;
            let signed = if raw >= 2048 { raw - 4096 } else { raw };
            let _ = writeln!(text, "{record},{}", f64::from(signed - 1024) / 200.0);
        }
    }
    assert_eq!(left, 0);
    #[allow(clippy::disallowed_methods, reason = "a temporary file of a test")]
    std::fs::write(csv, text).expect("a temporary file");
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
