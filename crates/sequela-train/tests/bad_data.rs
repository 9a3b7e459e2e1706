//! Data that cannot be trained on: one line with place and remedy, the exit code of its class,
//! and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::format_push_string, reason = "helpers and tables of tests")]

mod common;

use common::small;
use sequela_train::{FirstLabels, Options, init_study, train};

/// The message for a table, and its exit code.
fn refusal(csv: &str, changes: &[&str]) -> (String, u8) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    #[allow(clippy::disallowed_methods, reason = "a test makes its data")]
    std::fs::write(&file, csv).unwrap();
    let data = format!(
        "data={{ kind = \"csv\", path = {:?}, subject = \"who\", time = {{ name = \"t\" }}, values = [{{ name = \"hr\" }}] }}",
        file.to_str().unwrap()
    );
    let changes = [&[data.as_str()], changes].concat();
    let run = folder.path().join("run");
    let error = train(&small(&changes), &run, &Options::default(), &mut |_| {}).unwrap_err();
    assert!(!run.exists(), "a run that could not begin left a folder");
    (error.to_string(), error.class().exit_code())
}

fn table(subjects: u32, rows: u32) -> String {
    let mut text = String::from("who,t,hr\n");
    for subject in 0..subjects {
        for row in 0..rows {
            text.push_str(&format!("p{subject},{row},{}\n", 60 + (row * 7 + subject) % 30));
        }
    }
    text
}

#[test]
fn each_fault_is_told() {
    let good = table(6, 60);
    let cases: [(String, &[&str], &str, u8); 9] = [
        (
            good.replace("who,t,hr", "who,t,heartrate"),
            &[],
            "a.csv:1, field hr: there is no such column",
            3,
        ),
        (good.replacen("p0,5,", "p0,5,fast", 1), &[], "a.csv:7, field hr", 3),
        (good.replacen("p0,5,", "p0,2,", 1), &[], "a.csv:7, field t: the time goes backwards", 3),
        (String::new(), &[], "a.csv", 3),
        ("who,t,hr\n".into(), &[], "the table has a header but no row", 3),
        (table(6, 10), &[], "need 16", 3),
        (table(1, 60), &[], "write by = \"time\" in [split]", 3),
        (table(6, 60), &["split.train=[\"p0\"]", "split.test=[\"p0\"]"], "p0 is in both", 3),
        (table(6, 60), &["split.test=[\"nobody\"]"], "there is no subject nobody", 3),
    ];
    for (csv, changes, expected, code) in cases {
        let (message, found) = refusal(&csv, changes);
        assert!(message.contains(expected), "{message}\n  {expected}");
        assert_eq!(found, code, "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_file_that_is_not_there_says_where_it_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let study =
        small(&["data={ kind = \"csv\", path = \"gone.csv\", values = [{ name = \"hr\" }] }"]);
    let error = train(&study, &folder.path().join("run"), &Options::default(), &mut |_| {});
    let message = error.unwrap_err().to_string();
    assert!(message.contains("gone.csv") && message.contains("SEQUELA_DATA"), "{message}");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_with_batch_and_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let study = small(&["train.rate=1e38", "train.clip=off", "train.optimiser.kind=sgd"]);
    let error = train(&study, &path, &Options::default(), &mut |_| {}).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("epoch 1, batch "), "{message}");
    assert!(message.contains("is not a finite number; lower train.rate"), "{message}");
    assert_eq!(error.class().exit_code(), 3);
    assert!(!path.join("model.safetensors").exists());
    assert!(path.join("study.toml").exists());
}

#[test]
fn a_folder_with_a_run_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let study = small(&["train.epochs=1"]);
    train(&study, folder.path(), &Options::default(), &mut |_| {}).unwrap();
    let before = common::files(folder.path());
    let error = train(&study, folder.path(), &Options::default(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("holds a run already"), "{error}");
    assert_eq!(error.class().exit_code(), 4);
    assert!(before == common::files(folder.path()));
}

#[test]
fn a_first_study_runs_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let limits = sequela_core::Limits::default();
    for (name, csv, by) in [
        ("many.csv", table(6, 120).replace("who,t,", "patient,time_s,"), "by = \"subject\""),
        (
            "odd \"name\".csv",
            table(1, 400).replace("who,t,", "patient id,time (s),"),
            "by = \"time\"",
        ),
        ("plain.csv", table(1, 400).replace("who,t,hr", "note,t_s,hr (bpm)"), "by = \"time\""),
    ] {
        let file = folder.path().join(name);
        #[allow(clippy::disallowed_methods, reason = "a test makes its data")]
        std::fs::write(&file, csv).unwrap();
        let text = init_study(&file, &FirstLabels::default(), &limits).unwrap();
        assert!(text.contains(by), "{text}");
        let change = |text: &str| sequela_train::Override::parse(text).unwrap();
        let changes =
            [change("train.epochs=1"), change("window.horizons=[1]"), change("window.length=20")];
        let study = sequela_train::Study::parse(&text, &file, &changes).unwrap();
        train(&study, &folder.path().join(format!("run-{name}")), &Options::default(), &mut |_| {})
            .unwrap();
    }
}
