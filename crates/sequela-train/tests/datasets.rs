//! The studies that come with the program, on real data: what they promise must come out.

#![allow(clippy::panic, clippy::expect_used, reason = "this is a test")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use sequela_core::{Limits, Sequence, Steps};
use sequela_data::testing::DataSetTests;
use sequela_eval::classify::Figure;
use sequela_formats::archive::Archive;
use sequela_train::{
    Evaluation, Model, Options, Outcome, Override, Study, classify, read_input, train,
};

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
    tests.run("physionet2019", "sepsis is told hour by hour", |path| {
        let place = format!("data.path={:?}", path.to_string_lossy());
        let changes = [
            "split.fold=1",
            "ensemble={ members = 1, trees = false }",
            "train.epochs=2",
            "evaluate.replicates=100",
            "evaluate.baselines={ logistic = [0.1], trees = [] }",
            place.as_str(),
        ];
        let changes = changes.map(|change| Override::parse(change).expect("a change"));
        let study = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../studies/sepsis-hourly.toml");
        let study = Study::load(&study, &changes).expect("the study");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let outcome = train(&study, &folder.path().join("run"), &Options::default(), &mut |_| {});
        let Ok(Outcome::Finished(report)) = outcome else { panic!("{outcome:?}") };
        let judged = report.evaluation.classes().expect("classes");
        let of = |classifier: usize, figure: Figure| {
            let scores = &judged.classifiers[classifier].scores;
            let score = scores.iter().find(|score| score.figure == figure).expect("the figure");
            score.estimate.expect("its value").value
        };
        assert_eq!((judged.subjects, judged.step.as_deref()), (2000, Some("hour")));
        assert!(of(0, Figure::Auroc) > 0.78, "{}", judged.text());
        assert!(of(0, Figure::Utility) > 0.22, "{}", judged.text());
        assert!(of(0, Figure::Auroc) > of(2, Figure::Auroc), "{}", judged.text());
        // Of the same bits, whatever comes later.
        let model = Model::load(&report.model, &Limits::default()).expect("the model");
        let people = read_input(path, &model, &Limits::default()).expect("the patients");
        let some: Vec<Sequence> = people.into_iter().take(20).collect();
        let answers =
            |some: &[Sequence]| classify(&model, some, &Options::default()).expect("answers");
        let whole = answers(&some);
        let short: Vec<Sequence> = some.iter().map(|sequence| first(sequence, 8)).collect();
        for row in answers(&short).rows {
            let same =
                whole.rows.iter().find(|other| other.subject == row.subject && other.at == row.at);
            assert_eq!(same.map(|same| &same.probabilities), Some(&row.probabilities));
        }
    });
    tests.finish()
}

/// The first steps of a sequence.
fn first(sequence: &Sequence, steps: usize) -> Sequence {
    let Steps::Numeric { values, features, observed } = &sequence.steps else { panic!("numbers") };
    let cells = (steps * features).min(values.len());
    let seen = values[..cells].iter().zip(observed);
    let values: Vec<f32> =
        seen.map(|(&value, &seen)| if seen { value } else { f32::NAN }).collect();
    let short = Sequence::numeric(&sequence.id, sequence.subject.clone(), *features, &values);
    let times = sequence.times.as_ref().map(|times| times[..cells / features].to_vec());
    short.and_then(|short| short.with_times(times.unwrap_or_default())).expect("a sequence")
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
