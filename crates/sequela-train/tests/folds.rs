//! Cross-validation and the leakage audit, with canaries.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::ward::{put, shuffle_outcomes, text, ward_study, write_ward};
use common::{assert_same_files, finish, finish_with};
use sequela_core::Limits;
use sequela_eval::classify::Figure;
use sequela_train::{
    ClassEvaluation, Event, FoldEvaluation, Judged, Model, Options, Outcome, Predictions, Report,
    resume, train,
};

const FOLDS: [&str; 4] = [
    "split.folds=3",
    "split.fractions={ tune = 0.25 }",
    "train.epochs=4",
    "evaluate.replicates=300",
];

fn folds(report: &Report) -> &FoldEvaluation {
    match &report.evaluation {
        Judged::Folds(evaluation) => evaluation,
        other => panic!("{other:?}"),
    }
}

fn auroc(evaluation: &ClassEvaluation, classifier: usize) -> (f64, f64, f64) {
    let scores = &evaluation.classifiers[classifier].scores;
    let estimate = scores.iter().find(|s| s.figure == Figure::Auroc).unwrap().estimate.unwrap();
    let (low, high) = estimate.interval.bounds().unwrap();
    (estimate.value, low, high)
}

#[test]
fn everyone_is_judged_once_by_a_model_that_has_not_seen_them() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 90, 2);
    let study = ward_study(folder.path(), &FOLDS);
    let run = folder.path().join("run");
    let mut told = Vec::new();
    let report = finish_with(&study, &run, &Options::default(), &mut |event| {
        if let Event::Fold { fold, folds } = event {
            told.push((*fold, *folds));
        }
    });
    assert_eq!(told, [(1, 3), (2, 3), (3, 3)]);
    let evaluation = folds(&report);
    assert_eq!((evaluation.pooled.subjects, evaluation.folds.len()), (90, 3));
    assert!(evaluation.folds.iter().all(|fold| fold.subjects == 30 && fold.counts == [20, 10]));
    assert!(auroc(&evaluation.pooled, 0).0 > 0.8, "{}", evaluation.text());
    let names: Vec<&str> = evaluation.pooled.classifiers.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names[..2], ["GRU", "prevalence"]);
    assert!(names.contains(&"logistic regression"));
    let notes = evaluation.pooled.notes.join("; ");
    assert!(notes.contains("3 folds by subject; each subject was judged once"), "{notes}");
    assert!(text(&run.join("evaluation.md")).contains("mean (deviation)"));
    let json: serde_json::Value =
        serde_json::from_str(&text(&run.join("evaluation.json"))).unwrap();
    assert_eq!(json["folds"].as_array().unwrap().len(), 3);

    // Each fold has its own training part, and so its own scales.
    let model = |fold: usize| {
        let path = run.join(format!("fold-{fold}/model.safetensors"));
        Model::load(&path, &Limits::default()).unwrap()
    };
    let digests: BTreeSet<String> =
        (1..=3).map(|fold| model(fold).manifest().provenance.training_data.clone()).collect();
    assert_eq!(digests.len(), 3);

    // A fold alone is the same run.
    let alone = ward_study(folder.path(), &[&FOLDS[..], &["split.fold=2"]].concat());
    finish(&alone, &folder.path().join("alone"));
    assert_same_files(&run.join("fold-2"), &folder.path().join("alone"));
}

#[test]
fn a_stopped_cross_validation_goes_on_as_if_it_never_had() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 60, 2);
    let study = ward_study(folder.path(), &FOLDS);
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    finish(&study, &whole);
    let stop = AtomicBool::new(false);
    let options = Options { stop: Some(&stop), ..Options::default() };
    let mut fold_now = 0;
    let outcome = train(&study, &parts, &options, &mut |event| match event {
        Event::Fold { fold, .. } => fold_now = *fold,
        Event::Epoch { epoch: 2, .. } if fold_now == 2 => stop.store(true, Ordering::Relaxed),
        _ => {}
    });
    let Outcome::Stopped(stopped) = outcome.unwrap() else { panic!("it was not stopped") };
    assert_eq!(stopped.folder, parts);
    assert!(!parts.join("fold-3").exists());
    let outcome = resume(&parts, &Options::default(), &mut |_| {}).unwrap();
    let Outcome::Finished(report) = outcome else { panic!("it was stopped") };
    assert_eq!(report.epochs, 12);
    for inside in ["fold-1", "fold-2", "fold-3"] {
        assert_same_files(&whole.join(inside), &parts.join(inside));
    }
    for file in ["evaluation.json", "evaluation.md", "classes.svg", "study.toml", "README.md"]
        .into_iter()
        .chain(["report.html", "report.json", "predictions.csv"])
    {
        assert_eq!(text(&whole.join(file)), text(&parts.join(file)), "{file}");
    }
}

#[test]
fn what_was_said_of_whom_is_pooled_and_two_cross_validations_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    for classes in [2, 3] {
        let inside = folder.path().join(classes.to_string());
        std::fs::create_dir(&inside).unwrap();
        write_ward(&inside, 90, classes);
        let run = |name: &str, changes: &[&str]| {
            let study = ward_study(&inside, &[&FOLDS[..], changes].concat());
            let folder = inside.join(name);
            (finish(&study, &folder), folder)
        };
        let said = |folder: &Path| Predictions::of_run(folder, &Limits::default()).unwrap();
        let (report, one) = run("one", &["evaluate.subgroups=[\"lactate:1.5,2.5\"]"]);
        let table = text(&one.join("predictions.csv"));
        let mut lines = table.lines();
        let header = lines.next().unwrap();
        if classes == 2 {
            assert_eq!(header, "subject_id,prediction_time,fold,y_true,probability");
        } else {
            assert!(header.starts_with("subject_id,prediction_time,fold,y_true,probability of "));
        }
        let who: BTreeSet<&str> = lines.filter_map(|line| line.split(',').next()).collect();
        assert_eq!((who.len(), table.lines().count()), (90, 91));
        // In each fold's own table are those whom the pooled one says it judged, with the same words.
        for fold in 1..=3 {
            let own = text(&one.join(format!("fold-{fold}/predictions.csv")));
            for line in own.lines().skip(1) {
                let (who, rest) = line.split_once(',').unwrap();
                let (time, rest) = rest.split_once(',').unwrap();
                let line = format!("{who},{time},{fold},{rest}");
                assert!(table.lines().any(|found| found == line), "{line}");
            }
        }

        // Judged again from the table: the pooled figures, of decisions too.
        let again = said(&one).compare(&said(&one), 50).unwrap();
        let model = &folds(&report).pooled.classifiers[0];
        for (judged, pooled) in again.scores[0].iter().zip(&model.scores) {
            assert_eq!(judged.figure, pooled.figure);
            let value =
                |score: &sequela_eval::classify::ClassScore| score.estimate.map(|e| e.value);
            let (judged, pooled) = (value(judged), value(pooled));
            let near = judged.zip(pooled).is_none_or(|(a, b)| (a - b).abs() < 1e-5);
            assert!(near && judged.is_some() == pooled.is_some(), "{judged:?} {pooled:?}");
        }
        assert!(!again.told_apart() && again.flips.iter().flatten().sum::<usize>() == 0);

        // Other settings in the same folds, and in others.
        let (_, two) = run("two", &["model.hidden=4", "train.epochs=1"]);
        let comparison = said(&one).compare(&said(&two), 200).unwrap();
        assert!(!comparison.notes.join(";").contains("folds"), "{:?}", comparison.notes);
        assert_eq!(comparison.counts.iter().sum::<usize>(), 90);
        let shown = comparison.text();
        assert_eq!(shown.contains("Cohen's kappa"), classes == 3, "{shown}");
        assert_eq!(shown.contains(" stable, "), classes == 3, "{shown}");
        let (_, other) = run("other", &["study.seed=6", "train.epochs=1"]);
        let notes = said(&one).compare(&said(&other), 50).unwrap().notes.join("; ");
        assert!(notes.contains("parted people into folds differently"), "{notes}");

        // The page and its numbers.
        let page = text(&one.join("report.html"));
        for part in
            ["Participants", "parted into 3 folds by subject", "The folds", "fold 2: sha256"]
        {
            assert!(page.contains(part), "{part}");
        }
        let json: serde_json::Value =
            serde_json::from_str(&text(&one.join("report.json"))).unwrap();
        assert_eq!(json["evaluation"]["folds"].as_array().unwrap().len(), 3);
        let groups = json["subgroups"].as_array().unwrap();
        let subjects: u64 = groups.iter().map(|group| group["subjects"].as_u64().unwrap()).sum();
        assert_eq!(subjects, 90);
        assert_eq!(json["envelope"]["judged"], 90);
    }
}

#[test]
fn labels_of_chance_are_worth_a_half() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 150, 2);
    shuffle_outcomes(folder.path(), 4);
    let report = finish(&ward_study(folder.path(), &FOLDS), &folder.path().join("run"));
    let evaluation = folds(&report);
    for classifier in [0, 2] {
        let (value, low, high) = auroc(&evaluation.pooled, classifier);
        assert!(low < 0.5 && high > 0.5, "{value} ({low} to {high})");
    }
}

/// The message of a ward that is refused, and its exit code.
fn refusal(changes: &[&str], change: impl Fn(&Path)) -> (String, u8) {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 150, 2);
    change(folder.path());
    let study = ward_study(folder.path(), changes);
    let error = train(&study, &folder.path().join("run"), &Options::default(), &mut |_| {});
    assert!(!folder.path().join("run").exists());
    let error = error.unwrap_err();
    (error.to_string(), error.class().exit_code())
}

/// Adds a column to the ward's table.
fn add_column(folder: &Path, name: &str, cell: impl Fn(&str, usize) -> String) {
    let path = folder.join("ward.csv");
    let outcomes = text(&folder.join("outcomes.csv"));
    let word = |who: &str| outcomes.lines().find_map(|line| line.strip_prefix(who)?.get(1..));
    let table = text(&path);
    let rows: Vec<String> = table
        .lines()
        .enumerate()
        .map(|(row, line)| {
            let who = line.split(',').next().unwrap_or_default();
            let cell = || cell(word(who).unwrap_or_default(), row);
            let cell = if row == 0 { name.to_owned() } else { cell() };
            format!("{line},{cell}")
        })
        .collect();
    put(&path, rows.join("\n"));
}

const WITH_COLUMN: &str =
    "data.values=[{ name = \"heart_rate\" }, { name = \"lactate\" }, { name = \"later\" }]";

#[test]
fn a_channel_from_after_the_outcome_is_found() {
    // By its values, and by being there at all.
    let value = |word: &str, row: usize| format!("{}", usize::from(word == "worse") * 50 + row % 7);
    let there = |word: &str, _: usize| String::from(if word == "worse" { "1" } else { "" });
    let found = [
        refusal(&[WITH_COLUMN], |folder| add_column(folder, "later", value)),
        refusal(&[WITH_COLUMN], |folder| add_column(folder, "later", there)),
        refusal(&[WITH_COLUMN, FOLDS[0], FOLDS[1]], |folder| add_column(folder, "later", there)),
    ];
    for ((message, code), what) in found.iter().zip(["mean", "share observed", "share observed"]) {
        let expected = format!(
            "later: its {what} alone tells the class worse (AUROC 1.000 on the training part): it \
             looks like something that is known only afterwards; take it out of data.values"
        );
        assert!(message.contains(&expected), "{message}");
        assert_eq!(*code, 3);
    }
    // Where the study says that it is known in time, it passes, and the report says so.
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 150, 2);
    add_column(folder.path(), "later", value);
    let changes = [WITH_COLUMN, "audit.allow=[\"later\"]", "train.epochs=1"];
    let report = finish(&ward_study(folder.path(), &changes), &folder.path().join("run"));
    let notes = report.evaluation.classes().unwrap().notes.join("; ");
    assert!(notes.contains("no single number tells the class (later were not"), "{notes}");
}

#[test]
fn a_patient_under_a_second_name_is_found() {
    let copy = |folder: &Path| {
        for file in ["ward.csv", "outcomes.csv"] {
            let path = folder.join(file);
            let table = text(&path);
            let again: Vec<String> =
                table.lines().skip(1).map(|line| line.replacen('p', "q", 1)).collect();
            put(&path, format!("{table}{}\n", again.join("\n")));
        }
    };
    // Short records are not compared: nobody here has 16 observed values but a few.
    let (message, code) = refusal(&["split.folds=5", FOLDS[1]], copy);
    assert!(message.contains("holds the same values as"), "{message}");
    assert!(message.contains("give both the same subject, or take one out"), "{message}");
    assert_eq!(code, 3);
}

#[test]
fn folds_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 12, 2);
    let parse = |changes: &[&str]| -> String {
        let changes: Vec<_> =
            changes.iter().map(|change| sequela_train::Override::parse(change).unwrap()).collect();
        let study = sequela_train::Study::parse(common::ward::WARD, "ward.toml".as_ref(), &changes);
        study.unwrap_err().to_string()
    };
    for (changes, expected) in [
        (&["split.folds=1"][..], "split.folds: it is not between 2 and 100"),
        (&["split.folds=3", "split.fractions={ tune = 0.2 }", "split.fold=4"], "no such fold"),
        (&["split.fold=1"], "split.fold: there are no folds"),
        (&["split.folds=3"], "split.fractions.test: the folds say already who is tested"),
    ] {
        let message = parse(changes);
        assert!(message.contains(expected), "{message}");
    }
    let changes = ["split.folds=20", "split.fractions={ tune = 0.2 }"];
    let study = ward_study(folder.path(), &changes);
    let error = train(&study, &folder.path().join("r"), &Options::default(), &mut |_| {});
    let error = error.unwrap_err().to_string();
    assert!(error.contains("too few for 20 folds"), "{error}");
}
