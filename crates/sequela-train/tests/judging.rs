//! Recalibration, envelope, report and comparison, from a study to files and back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers and tables of tests")]

mod common;

use std::path::Path;

use common::finish;
use common::ward::{text, ward_study, write_ward};
use sequela_core::{Limits, Sequence, Steps, SubjectId};
use sequela_train::{
    Error, Met, Model, Options, Overlap, Predictions, Report, classify, read_input, read_labelled,
    report_classes,
};

fn run(folder: &Path, name: &str, changes: &[&str]) -> (Report, Model) {
    let report = finish(&ward_study(folder, changes), &folder.join(name));
    let model = Model::load(&report.model, &Limits::default()).unwrap();
    (*report, model)
}

fn people(folder: &Path, model: &Model) -> Vec<Sequence> {
    let (table, outcomes) = (folder.join("ward.csv"), folder.join("outcomes.csv"));
    read_labelled(&table, Some(&outcomes), model, &Limits::default()).unwrap()
}

#[test]
fn recalibrated_probabilities_are_the_same_bits_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 120, 2);
    let (_, plain) = run(folder.path(), "plain", &[]);
    let options = Options::default();
    for rule in ["platt", "isotonic", "temperature"] {
        let change = format!("evaluate.recalibrate={rule}");
        let (report, model) = run(folder.path(), rule, &[&change]);
        let map = model.classes().unwrap().recalibration.clone().unwrap();
        assert!(model.describe().contains(&format!("recalibrated {}", map.words())));
        let people = people(folder.path(), &model);
        let before = classify(&plain, &people, &options).unwrap();
        let after = classify(&model, &people, &options).unwrap();
        for (at, (before, after)) in before.rows.iter().zip(&after.rows).enumerate() {
            let mut row: Vec<f64> = before.probabilities.iter().map(|&p| f64::from(p)).collect();
            map.apply(&mut row);
            for (mapped, found) in row.iter().zip(&after.probabilities) {
                assert!((mapped - f64::from(*found)).abs() < 1e-7, "{rule}, {at}");
            }
            if at < 10 {
                let alone = classify(&model, &people[at..=at], &options).unwrap();
                assert_eq!(&alone.rows[0], after);
            }
        }
        // What the run says of its test part is what the model file says of the same people.
        let kept = text(&report.folder.join("predictions.csv"));
        let whole = Predictions::of_model(&model, &people, &options).unwrap().to_csv();
        let whole = String::from_utf8(whole).unwrap();
        assert_eq!(kept.lines().count(), 37);
        assert!(kept.lines().all(|line| whole.lines().any(|other| other == line)));
    }
    let study = ward_study(folder.path(), &["evaluate.recalibrate=\"platt\""]);
    assert!(study.to_toml().contains("recalibrate = \"platt\""));
}

#[test]
fn a_channel_in_another_unit_is_told_to_be_outside() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 120, 2);
    let (_, model) = run(folder.path(), "run", &[]);
    let input = read_input(&folder.path().join("ward.csv"), &model, &Limits::default()).unwrap();
    let inside = |sequences: &[Sequence]| {
        let told = classify(&model, sequences, &Options::default()).unwrap();
        let placings = told.rows.iter().map(|row| row.placing.clone().unwrap());
        let outside: Vec<String> =
            placings.filter(|placing| !placing.is_inside()).map(|placing| placing.why()).collect();
        (told, outside)
    };
    let (told, outside) = inside(&input);
    assert!(outside.len() < 12, "{outside:?}");
    let table = String::from_utf8(told.to_csv()).unwrap();
    assert!(table.starts_with(
        "subject,probability of stable,probability of worse,outcome,missing,envelope,outside\n"
    ));
    assert!(told.to_json().contains("\"envelope\":\"inside\""));
    // Beats a second where beats a minute are meant.
    let wrong: Vec<Sequence> = input
        .iter()
        .map(|sequence| {
            let mut sequence = sequence.clone();
            if let Steps::Numeric { values, .. } = &mut sequence.steps {
                values.iter_mut().step_by(2).for_each(|rate| *rate /= 60.0);
            }
            sequence
        })
        .collect();
    let (_, outside) = inside(&wrong);
    assert_eq!(outside.len(), input.len());
    assert!(outside[0].contains("heart_rate: lower than in training ("), "{}", outside[0]);
}

#[test]
fn the_report_holds_everything_and_nothing_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 120, 2);
    let changes =
        ["evaluate.subgroups=[\"lactate:2\"]", "study.name=\"<script>alert(1)</script>\""];
    let (report, model) = run(folder.path(), "run", &changes);
    let page = text(&report.folder.join("report.html"));
    for part in [
        "Participants",
        "read: 120 subjects",
        "trained on: 60 subjects",
        "below 2",
        "Decision curve",
        "heart_rate",
        "TRIPOD+AI",
        "To be filled in by the authors.",
        "Model card",
        model.digest(),
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(
        !page.contains("<script") && !page.contains("src=") && page.matches("<svg").count() == 4
    );
    let outside: Vec<&str> = page.matches("http").collect();
    // The name of the format of the pictures, which is no address that is asked.
    assert_eq!(outside.len(), 1 + page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
    let numbers: serde_json::Value =
        serde_json::from_str(&text(&report.folder.join("report.json"))).unwrap();
    assert_eq!(numbers["evaluation"]["subjects"], 36);
    assert_eq!(numbers["tripod_ai"].as_array().unwrap().len(), 52);
    assert_eq!(numbers["missing"].as_array().unwrap().len(), 2);
    // No subject is named in either.
    assert!(!page.contains("p000") && !numbers.to_string().contains("p000"));

    let by = ["heart_rat".to_owned()];
    let people = people(folder.path(), &model);
    let overlap = Overlap::find(&report.model, &model, &people, &Limits::default()).unwrap();
    let error = report_classes(&model, &people, &by, &overlap, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("did you mean \"heart_rate\"?"), "{error}");
    let by = ["heart_rate:80".to_owned()];
    let again = report_classes(&model, &people, &by, &overlap, &Options::default()).unwrap();
    assert!(again.html.contains("80 and above") && again.evaluation.subjects == 120);
    let warning = "of 120 subjects the model was trained on 60, tuned on 24, tested on 36: figures of \
                   people that a model was made with are not figures of new people";
    assert_eq!(overlap.warning().as_deref(), Some(warning));
    assert!(again.html.contains("Warning: not all of these people are new to the model"));
    let numbers: serde_json::Value = serde_json::from_str(&again.json).unwrap();
    assert_eq!(
        (&numbers["people"]["met"]["trained_on"], &numbers["people"]["warning"]),
        (&60.into(), &warning.into())
    );
}

#[test]
fn people_that_a_model_was_made_with_are_known_again_by_its_run_alone() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 120, 2);
    let (report, model) = run(folder.path(), "run", &[]);
    let (other, _) = run(folder.path(), "other", &["study.seed=9"]);
    let everyone = people(folder.path(), &model);
    let limits = Limits::default();
    let find = |path: &Path, people: &[Sequence]| Overlap::find(path, &model, people, &limits);
    // Nobody is named beside the model, and nobody is known in it.
    let parts = report.folder.join("parts.json");
    assert!(!text(&parts).contains("p000"));
    let bytes = common::files(&report.folder).remove("model.safetensors").unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("p000"));

    // The people of the test part are those whose answers the run keeps.
    let kept = text(&report.folder.join("predictions.csv"));
    let is_tested = |s: &&Sequence| kept.contains(&format!("{},", s.subject.as_str()));
    let tested: Vec<Sequence> = everyone.iter().filter(is_tested).cloned().collect();
    let met = find(&report.model, &tested).unwrap();
    assert_eq!(met.met, Ok(Met { trained_on: 0, tuned_on: 0, tested_on: 36 }));
    let note = "of 36 subjects the model was trained on 0, tuned on 0, tested on 36; people are told \
                apart by name";
    assert_eq!((met.warning(), met.note().as_deref()), (None, Some(note)));
    // Others are new, whatever they measure.
    let mut strangers = everyone.clone();
    for (at, stranger) in strangers.iter_mut().enumerate() {
        stranger.subject = SubjectId::new(format!("x{at}"));
        stranger.id = format!("x{at}");
    }
    strangers.push(everyone[0].clone());
    let one = find(&report.model, &strangers[..120]).unwrap();
    assert_eq!(
        (one.subjects, one.met),
        (120, Ok(Met { trained_on: 0, tuned_on: 0, tested_on: 0 }))
    );
    assert_eq!(find(&report.model, &strangers).unwrap().subjects, 121);

    // Away from its run, or beside the parts of another split, it is not known.
    let away = folder.path().join("model.safetensors");
    let unknown = find(&away, &tested).unwrap();
    let note = "it is not known whether the model was trained on any of the 36 subjects: there is no \
                parts.json beside the model file";
    assert_eq!((unknown.warning(), unknown.note().as_deref()), (None, Some(note)));
    let unknown = find(&other.model, &tested).unwrap();
    assert!(unknown.note().unwrap().ends_with("is that of another model"));
    for (bad, place) in [("{\"train\":", "parts.json"), ("{\"people\":[]}", "unknown field")] {
        sequela_formats::durable::write_atomic(&parts, bad.as_bytes()).unwrap();
        let error = find(&report.model, &tested).unwrap_err();
        assert!(
            matches!(error, Error::Integrity { .. }) && error.to_string().contains(place),
            "{error}"
        );
    }
}

#[test]
fn two_models_are_compared_on_the_same_people_only() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 120, 2);
    let (one, model) = run(folder.path(), "one", &[]);
    let (two, other) = run(folder.path(), "two", &["train.epochs=1"]);
    let read = |report: &Report| {
        Predictions::read(&report.folder.join("predictions.csv"), &Limits::default()).unwrap()
    };
    let comparison = read(&one).named("one").compare(&read(&two), 200).unwrap();
    assert_eq!((comparison.subjects, comparison.counts.as_slice()), (36, &[24, 12][..]));
    assert!(comparison.differences[0].estimate.unwrap().value > 0.0, "{}", comparison.text());
    assert!(comparison.flips.is_none());
    let people = people(folder.path(), &model);
    let of = |model: &Model| Predictions::of_model(model, &people, &Options::default()).unwrap();
    let whole = of(&model).compare(&of(&other), 200).unwrap();
    assert!(whole.flips.is_some() && whole.differences.len() == 15);
    let error = of(&model).compare(&read(&two), 200).unwrap_err().to_string();
    assert!(
        error.contains("84 of 120 are in the first only, 0 of 36 in the second only"),
        "{error}"
    );
}
