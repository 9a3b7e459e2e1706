//! A forecaster of the signals of recordings: EDF files, WFDB records.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what is wrong")]

mod common;

use std::path::Path;

use common::{files, finish, ward::put};
use sequela_core::{Limits, Random};
use sequela_formats::edf::{Header, Identification, RecordToWrite, Signal, to_edf};
use sequela_train::{Met, Model, Overlap, Study, read_input};

const STUDY: &str = r#"
[study]
name = "signals"
task = "forecast"
seed = 3
[data]
DATA
[window]
length = 12
horizons = [1, 4]
target = "change"
[split]
by = "subject"
fractions = { tune = 0.25, test = 0.25 }
[scale]
kind = "standard"
[model]
kind = "sequence"
cell = "gru"
hidden = 6
layers = 1
[train]
epochs = 3
batch = 32
rate = 1e-2
"#;

fn study(data: &str) -> Study {
    Study::parse(&STUDY.replace("DATA", data), Path::new("s.toml"), &[]).unwrap()
}

/// Four numbers a second that swing around a level.
fn numbers(patient: u64, seconds: u64) -> Vec<i32> {
    let random = Random::new(patient, 5);
    let number = |at: u64| {
        let swing = libm::sin(at as f64 / 15.0 + patient as f64) * 300.0;
        #[allow(clippy::cast_possible_truncation, reason = "these are small numbers")]
        let number = (700.0 + swing + 5.0 * random.normal(at)) as i32;
        number
    };
    (0..4 * seconds).map(number).collect()
}

fn write_edf(folder: &Path, patients: u64) {
    for patient in 0..patients {
        let signal = |label: &str, unit: &str, samples| Signal {
            label: label.into(),
            unit: unit.into(),
            physical: (0.0, 200.0),
            digital: (0, 2000),
            samples,
            ..Signal::default()
        };
        let mut header = Header::new(1.0, vec![signal("HR", "bpm", 4), signal("SpO2", "%", 1)]);
        header.identification = Identification {
            patient: format!("MCH-{patient} F 02-MAY-1951 Canary_{patient}"),
            recording: "Startdate 02-MAR-2002 PSG-1234 Technicus".into(),
            start: Some("2002-03-02T22:15:00".into()),
        };
        let records: Vec<RecordToWrite> = numbers(patient, 120)
            .chunks(4)
            .map(|four| RecordToWrite {
                samples: vec![four.to_vec(), vec![four[0]]],
                ..RecordToWrite::default()
            })
            .collect();
        let name = format!("r{patient}.edf");
        put(&folder.join(&name), to_edf(&header, &records, name.as_ref()).unwrap());
    }
}

#[test]
fn a_folder_of_edf_is_trained_on_and_nobody_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_edf(folder.path(), 8);
    let data = format!(
        "kind = \"edf\"\npath = {:?}\nvalues = [{{ name = \"HR\", unit = \"bpm\" }}, {{ name = \"SpO2\" }}]\n\
         target = \"HR\"\nevery_seconds = 1",
        folder.path()
    );
    let run = folder.path().join("run");
    let report = finish(&study(&data), &run);
    let text = format!("{report:?}");
    let evaluation = report.evaluation.forecasts().unwrap();
    let persistence = evaluation.forecasters.iter().find(|one| one.name == "persistence").unwrap();
    let gains = persistence.model_against.as_deref().unwrap();
    assert!(gains[1].skill.value > 0.2, "{gains:?}");
    // Later, one file of a new patient.
    let model = Model::load(&run.join("model.safetensors"), &Limits::default()).unwrap();
    let sequences = read_input(&folder.path().join("r3.edf"), &model, &Limits::default()).unwrap();
    assert_eq!((sequences.len(), sequences[0].len()), (1, 120));
    // Each is told apart by its own file, too.
    let limits = Limits::default();
    let known = |file: &str| {
        let sequences = read_input(&folder.path().join(file), &model, &limits).unwrap();
        Overlap::find(&run.join("model.safetensors"), &model, &sequences, &limits).unwrap().met
    };
    let met: Vec<Met> = (0..8).map(|at| known(&format!("r{at}.edf")).unwrap()).collect();
    let sum = |of: fn(&Met) -> usize| met.iter().map(of).sum::<usize>();
    assert_eq!((sum(|m| m.trained_on), sum(|m| m.tuned_on), sum(|m| m.tested_on)), (4, 2, 2));
    for (name, bytes) in files(&run) {
        for word in ["Canary", "MCH-", "Technicus", "MAY-1951"] {
            let found = bytes.windows(word.len()).any(|part| part == word.as_bytes());
            assert!(!found && !text.contains("Canary"), "{word} is in {name}");
        }
    }
}

#[test]
fn signals_of_wfdb_records_are_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    for patient in 0..6 {
        let values = numbers(patient, 100);
        let bytes: Vec<u8> =
            values.iter().flat_map(|value| value.to_le_bytes().into_iter().take(2)).collect();
        put(&folder.path().join(format!("w{patient}.dat")), bytes);
        let header =
            format!("w{patient} 1 4 400\nw{patient}.dat 16 10/bpm 16 0 0 0 0 HR\n# Canary\n");
        put(&folder.path().join(format!("w{patient}.hea")), header);
    }
    let data =
        format!("kind = \"wfdb\"\npath = {:?}\nvalues = [{{ name = \"HR\" }}]", folder.path());
    let run = folder.path().join("run");
    finish(&study(&data), &run);
    let model = Model::load(&run.join("model.safetensors"), &Limits::default()).unwrap();
    let one = read_input(&folder.path().join("w2.hea"), &model, &Limits::default()).unwrap();
    assert_eq!(one[0].len(), 400);
    assert!(files(&run).values().all(|bytes| !bytes.windows(6).any(|part| part == b"Canary")));
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_read() {
    let refusal = |data: &str| {
        let text = STUDY.replace("DATA", data);
        Study::parse(&text, Path::new("s.toml"), &[]).unwrap_err().to_string()
    };
    let told = refusal("kind = \"edf\"\npath = \"a.edf\"\nevery_seconds = 0");
    assert!(told.contains("data.every_seconds") && told.contains("s.toml:"), "{told}");
    let told =
        refusal("kind = \"edf\"\npath = \"a\"\nvalues = [{ name = \"HR\" }]\ntarget = \"hr\"");
    assert!(told.contains("it is not among data.values"), "{told}");
    let told = refusal("kind = \"edf\"\npath = \"a\"\nvalues = [{ nam = \"HR\" }]");
    assert!(told.contains("nam"), "{told}");
    let told = refusal("kind = \"wfdb\"\npath = \"a\"\nevery_seconds = 1");
    assert!(told.contains("no signal is named, so a step is a heart beat"), "{told}");
}

#[test]
fn a_second_night_of_a_patient_is_not_new() {
    let folder = tempfile::tempdir().unwrap();
    write_edf(folder.path(), 8);
    // Patient 0 has a second file; in the folder both are one subject.
    #[allow(clippy::disallowed_methods, reason = "a test reads its own small files")]
    let night = std::fs::read(folder.path().join("r0.edf")).unwrap();
    put(&folder.path().join("r0-second.edf"), night);
    let data = format!(
        "kind = \"edf\"\npath = {:?}\nvalues = [{{ name = \"HR\", unit = \"bpm\" }}]\nevery_seconds = 1",
        folder.path()
    );
    let run = folder.path().join("run");
    finish(&study(&data), &run);
    let limits = Limits::default();
    let model = Model::load(&run.join("model.safetensors"), &limits).unwrap();
    let part_of = |file: &str| {
        let sequences = read_input(&folder.path().join(file), &model, &limits).unwrap();
        Overlap::find(&run.join("model.safetensors"), &model, &sequences, &limits).unwrap().met
    };
    let (first, second) = (part_of("r0.edf").unwrap(), part_of("r0-second.edf").unwrap());
    assert_eq!(first, second);
    assert_eq!(first.trained_on + first.tuned_on + first.tested_on, 1);
}
