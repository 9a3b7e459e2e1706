//! Recordings of EDF and records of WFDB as sequences.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what is wrong")]

use std::path::{Path, PathBuf};

use sequela_core::{Channel, Limits, Sequence, Steps};
use sequela_data::load::{Owners, SignalOptions, Subjects, edf, signal_summary, wfdb_signals};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

fn seconds() -> SignalOptions {
    SignalOptions { every_seconds: Some(1.0), ..SignalOptions::default() }
}

fn named(channels: &[(&str, &str)]) -> Vec<Channel> {
    channels
        .iter()
        .map(|(name, unit)| Channel { name: (*name).into(), unit: (*unit).into() })
        .collect()
}

/// Rows of values, NaN where one is missing.
fn rows(sequence: &Sequence) -> Vec<Vec<f32>> {
    let Steps::Numeric { values, observed, features } = &sequence.steps else { unreachable!() };
    let cell = |(&value, &seen): (&f32, &bool)| if seen { value } else { f32::NAN };
    let cells: Vec<f32> = values.iter().zip(observed).map(cell).collect();
    cells.chunks(*features).map(<[f32]>::to_vec).collect()
}

/// The means of NumPy, six steps of three channels.
fn expected() -> Vec<Vec<f64>> {
    let text = include_str!("../../../testdata/edf/steps.csv");
    text.lines().map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect()
}

fn close(found: &[f32], expected: &[f64]) -> bool {
    found.iter().zip(expected).all(|(&a, &b)| (f64::from(a) - b).abs() <= 1e-6 * b.abs().max(1.0))
}

#[test]
fn steps_are_the_means_of_numpy_and_gaps_are_missing() {
    let limits = Limits::default();
    let night = edf(&testdata("edf/night.edf"), &seconds(), &limits).unwrap();
    let units: Vec<&str> = night.schema().channels().iter().map(|c| c.unit.as_str()).collect();
    assert_eq!(units, ["uV", "L/min", "%"]);
    let found = rows(&night.sequences()[0]);
    assert_eq!(found.len(), 6);
    assert!(found.iter().zip(expected()).all(|(a, b)| close(a, &b)));
    assert_eq!(night.subjects()[0].as_str(), "night");
    assert!(
        night.notes().iter().any(|note| note.starts_with("4 annotations")),
        "{:?}",
        night.notes()
    );
    let gaps = edf(&testdata("edf/gaps.edf"), &seconds(), &limits).unwrap();
    let found = rows(&gaps.sequences()[0]);
    assert_eq!(found.len(), 106);
    assert!(found[3..103].iter().flatten().all(|value| value.is_nan()));
    assert!(found[103..].iter().zip(&expected()[3..]).all(|(a, b)| close(a, b)));
}

#[test]
fn samples_are_steps_of_chosen_signals() {
    let path = testdata("edf/gaps.edf");
    let options = SignalOptions { channels: named(&[("SpO2", "")]), ..SignalOptions::default() };
    let cohort = edf(&path, &options, &Limits::default()).unwrap();
    let hours = cohort.sequences()[0].times.clone().unwrap();
    let found: Vec<f64> = hours.iter().map(|hours| (hours * 3600.0).round()).collect();
    assert_eq!(found, [0.0, 1.0, 2.0, 103.0, 104.0, 105.0]);
    assert_eq!(cohort.schema().channels()[0].unit, "%");
    let told = edf(&path, &SignalOptions::default(), &Limits::default()).unwrap_err().to_string();
    assert!(told.contains("it has 32 Hz, and EEG Fpz-Cz has 100 Hz; give the seconds"), "{told}");
    let wrong = SignalOptions { channels: named(&[("SpO2", "mV")]), ..seconds() };
    let told = edf(&path, &wrong, &Limits::default()).unwrap_err().to_string();
    assert!(told.contains("field SpO2: its unit is %, not mV"), "{told}");
    let few = Limits { steps: 200, ..Limits::default() };
    let told = edf(&path, &seconds(), &few).unwrap_err().to_string();
    assert!(told.contains("over 200 values, gaps counted"), "{told}");
}

#[test]
fn recordings_of_one_patient_are_one_subject() {
    let path = testdata("cli/input");
    let cohort = edf(&path, &seconds(), &Limits::default()).unwrap();
    let who: Vec<&str> = cohort.sequences().iter().map(|s| s.subject.as_str()).collect();
    assert_eq!(who, ["bed1", "bed2", "bed1"]);
    assert!(cohort.notes().iter().any(|note| note.starts_with("3 recordings are of 2 patients")));
    assert!(!format!("{cohort:?}").contains("Harry"));
    let apart = SignalOptions { owners: Owners::Files, ..seconds() };
    assert_eq!(edf(&path, &apart, &Limits::default()).unwrap().subjects().len(), 3);
}

#[test]
fn records_of_wfdb_are_read_by_the_names_of_their_signals() {
    let path = testdata("cli/input");
    let options =
        SignalOptions { channels: named(&[("V5", "mV"), ("II", "")]), ..SignalOptions::default() };
    let read = |records: &[String]| {
        wfdb_signals(&path, records, (&options, Subjects::Records), &Limits::default())
    };
    let cohort = read(&[]).unwrap();
    let sequence = &cohort.sequences()[0];
    assert_eq!((sequence.id.as_str(), sequence.len(), sequence.missing()), ("ecg", 720, 10));
    assert_eq!(cohort.schema().channels()[1].unit, "mV");
    assert!((rows(sequence)[0][0] - 0.5).abs() < 1e-4);
    let told = read(&["100".to_owned()]).unwrap_err().to_string();
    assert!(told.contains("there is no record 100 in it"), "{told}");
    let summary = signal_summary(&path.join("ecg.hea"), &Limits::default()).unwrap();
    assert_eq!((summary.channels[1].samples, summary.channels[1].missing), (710, 10));
}
