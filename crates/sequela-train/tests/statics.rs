//! What does not change is told once, beside the steps, and nothing else is changed by it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::fmt::Write as _;
use std::path::Path;

use common::finish;
use common::ward::{put, text, ward_study, write_ward};
use sequela_core::Limits;
use sequela_nn::InputKind;
use sequela_train::{
    Error, Model, Options, Override, Study, classify, export_onnx, read_input, read_labelled,
};

const VALUES: &str =
    "data.values=[{ name = \"heart_rate\" }, { name = \"lactate\" }, { name = \"age\" }]";
const STATICS: &str = "window.statics=[\"age\"]";

/// A ward with ages: those who deteriorate are older; `age` tells what stands in a row.
fn write_aged(folder: &Path, age: impl Fn(u64, u64) -> String) {
    write_ward(folder, 90, 2);
    let mut rows = String::new();
    for (at, line) in text(&folder.join("ward.csv")).lines().enumerate() {
        let mut cells = line.split(',');
        let number = |cell: Option<&str>| {
            cell.unwrap_or_default().trim_start_matches('p').parse::<u64>().unwrap_or(0)
        };
        let (who, hour) = (number(cells.next()), number(cells.next()));
        let cell = if at == 0 { "age".to_owned() } else { age(who, hour) };
        let _ = writeln!(rows, "{line},{cell}");
    }
    put(&folder.join("ward.csv"), rows);
}

fn years(who: u64) -> u64 {
    40 + who * 7 % 30 + if who.is_multiple_of(3) { 12 } else { 0 }
}

/// Known in the first row, not at all of every seventh patient.
fn sometimes(who: u64, hour: u64) -> String {
    if hour == 0 && who % 7 != 3 { years(who).to_string() } else { String::new() }
}

#[test]
fn a_static_is_fed_once_and_answers_do_not_hang_on_who_else_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    write_aged(folder.path(), sometimes);
    let changes = [VALUES, STATICS, "train.epochs=4", "window.summaries=[\"mean\", \"share\"]"];
    let run = folder.path().join("run");
    finish(&ward_study(folder.path(), &changes), &run);
    let path = run.join("model.safetensors");
    let model = Model::load(&path, &Limits::default()).unwrap();
    let program = model.program();
    // Two channels with mask, gap and two summaries at each step; value and presence of one beside.
    let input = |name: &str| {
        let found = program.inputs().iter().find(|input| input.name == name).unwrap();
        match found.kind {
            InputKind::Numeric { width } => width,
            InputKind::Ids { .. } => panic!("{name} holds symbols"),
        }
    };
    assert_eq!((input("x"), input("statics")), (2 * 5, 2));
    assert_eq!(model.manifest().encoder.statics, [2]);

    let ward = folder.path().join("ward.csv");
    let people = read_input(&ward, &model, &Limits::default()).unwrap();
    let all = classify(&model, &people, &Options::default()).unwrap();
    for (at, row) in all.rows.iter().enumerate().step_by(11) {
        let alone = classify(&model, &people[at..=at], &Options::default()).unwrap();
        assert_eq!(alone.rows[0].probabilities, row.probabilities);
    }
    // Another age is another answer; the same age in another of the rows is not.
    let asked = |age: &dyn Fn(u64, u64) -> String| {
        let folder = tempfile::tempdir().unwrap();
        write_aged(folder.path(), age);
        let labels = folder.path().join("outcomes.csv");
        let ward = folder.path().join("ward.csv");
        let people = read_labelled(&ward, Some(&labels), &model, &Limits::default()).unwrap();
        let told = classify(&model, &people, &Options::default()).unwrap();
        told.rows.into_iter().map(|row| row.probabilities).collect::<Vec<_>>()
    };
    let as_it_is = asked(&sometimes);
    let later = |who: u64, hour: u64| if hour == 1 { sometimes(who, 0) } else { String::new() };
    assert_eq!(asked(&later), as_it_is);
    let older = |who: u64, hour: u64| match sometimes(who, hour).parse::<u64>() {
        Ok(years) => (years + 20).to_string(),
        Err(_) => String::new(),
    };
    let moved = asked(&older);
    for (who, (one, other)) in as_it_is.iter().zip(&moved).enumerate() {
        assert_eq!(one == other, who % 7 == 3, "{who}");
    }

    let error = export_onnx(&model).unwrap_err().to_string();
    assert!(error.contains("not written as ONNX yet"), "{error}");
}

#[test]
fn without_steps_that_tell_anything_the_static_still_does() {
    let folder = tempfile::tempdir().unwrap();
    // Patients whose age alone tells who is worse.
    write_aged(folder.path(), |who, _| if who.is_multiple_of(3) { "80" } else { "50" }.to_owned());
    let changes = [
        VALUES,
        STATICS,
        "audit.allow=[\"age\"]",
        "evaluate.baselines={ logistic = [], trees = [] }",
    ];
    let report = finish(&ward_study(folder.path(), &changes), &folder.path().join("run"));
    let scores = &report.evaluation.classes().unwrap().classifiers[0].scores;
    let auroc = scores[0].estimate.unwrap().value;
    assert!(auroc > 0.98, "{auroc}");
}

#[test]
fn what_is_no_static_is_refused() {
    let refused = |age: &dyn Fn(u64, u64) -> String, change: &str| {
        let folder = tempfile::tempdir().unwrap();
        write_aged(folder.path(), age);
        let study = ward_study(folder.path(), &[VALUES, change, "train.epochs=1"]);
        let out = folder.path().join("run");
        let error = sequela_train::train(&study, &out, &Options::default(), &mut |_| {});
        assert!(!out.exists());
        error.unwrap_err().to_string()
    };
    let grows = |who: u64, hour: u64| (years(who) + hour).to_string();
    let error = refused(&grows, STATICS);
    assert!(error.contains("window.statics[0]: age changes within"), "{error}");
    let error = refused(&sometimes, "window.statics=[\"agee\"]");
    assert!(error.contains("there is no channel agee; did you mean \"age\"?"), "{error}");

    let parse = |changes: &[&str]| -> Result<Study, Error> {
        let changes: Vec<Override> =
            changes.iter().map(|change| Override::parse(change).unwrap()).collect();
        Study::parse(common::ward::WARD, "ward.toml".as_ref(), &changes)
    };
    let error = parse(&[VALUES, "window.statics=[\"age\", \"age\"]"]).unwrap_err().to_string();
    assert!(error.contains("window.statics[1]: it is named twice"), "{error}");
    let error = parse(&[
        STATICS,
        "study.task=\"label\"",
        "model.pooling=\"none\"",
        "data.label={ name = \"outcome\" }",
    ]);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("told at every step, before it may have been recorded"), "{error}");
    let forecast =
        Study::parse(common::SMALL, "small.toml".as_ref(), &[Override::parse(STATICS).unwrap()]);
    let error = forecast.unwrap_err().to_string();
    assert!(error.contains("window.statics: it is for classes"), "{error}");
}
