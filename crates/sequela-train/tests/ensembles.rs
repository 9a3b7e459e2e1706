//! Networks and trees that answer together.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::ward::{ward_study, write_ward};
use common::{assert_same_files, finish};
use sequela_core::Limits;
use sequela_eval::classify::Figure;
use sequela_train::{Event, Model, Options, Outcome, classify, read_input, resume, train};

const TOGETHER: [&str; 3] =
    ["ensemble={ members = 3, trees = true }", "train.epochs=3", "evaluate.replicates=100"];

#[test]
fn members_and_trees_answer_together() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 150, 2);
    let run = folder.path().join("run");
    let report = finish(&ward_study(folder.path(), &TOGETHER), &run);
    let evaluation = report.evaluation.classes().unwrap();
    let names: Vec<&str> = evaluation.classifiers.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        ["3 GRU + trees", "3 GRU", "prevalence", "logistic regression", "boosted trees"]
    );
    let auroc = |classifier: usize| {
        let scores = &evaluation.classifiers[classifier].scores;
        scores.iter().find(|s| s.figure == Figure::Auroc).unwrap().estimate.unwrap().value
    };
    assert!(auroc(0) > 0.85 && auroc(4) > 0.8, "{}", evaluation.text());

    // The file holds all of them, and says with them what was judged.
    let model = Model::load(&report.model, &Limits::default()).unwrap();
    let classes = model.classes().unwrap();
    assert!(classes.share.is_some() && classes.trees.as_ref().unwrap().trees() > 0);
    assert_eq!(model.others().len(), 2);
    let weights = [model.parameters().flat(), model.others()[0].flat(), model.others()[1].flat()];
    assert!(weights[0] != weights[1] && weights[1] != weights[2]);
    let table = folder.path().join("ward.csv");
    let series = read_input(&table, &model, &Limits::default()).unwrap();
    let all = classify(&model, &series, &Options::default()).unwrap();
    // Alone or among others.
    let one = classify(&model, &series[7..8], &Options::default()).unwrap();
    assert_eq!(one.rows[0], all.rows[7]);
    assert!(all.rows.iter().all(|row| (row.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5));

    // The first member is the network that trains alone.
    let alone = finish(&ward_study(folder.path(), &TOGETHER[1..]), &folder.path().join("alone"));
    let alone = Model::load(&alone.model, &Limits::default()).unwrap();
    assert_eq!(alone.parameters().flat(), model.parameters().flat());
    assert!(alone.others().is_empty() && alone.classes().unwrap().share.is_none());
}

#[test]
fn an_ensemble_that_was_stopped_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 60, 2);
    let study = ward_study(folder.path(), &TOGETHER);
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    finish(&study, &whole);
    let stop = AtomicBool::new(false);
    let options = Options { stop: Some(&stop), ..Options::default() };
    let mut member_now = 1;
    let outcome = train(&study, &parts, &options, &mut |event| match event {
        Event::Member { member, .. } => member_now = *member,
        Event::Epoch { epoch: 1, .. } if member_now == 2 => stop.store(true, Ordering::Relaxed),
        _ => {}
    });
    assert!(matches!(outcome.unwrap(), Outcome::Stopped(_)));
    assert!(!parts.join("model.safetensors").exists());
    let outcome = resume(&parts, &Options::default(), &mut |_| {}).unwrap();
    assert!(matches!(outcome, Outcome::Finished(_)));
    for inside in ["member-2", "member-3"] {
        assert_same_files(&whole.join(inside), &parts.join(inside));
    }
    for file in ["model.safetensors", "evaluation.json"] {
        #[allow(clippy::disallowed_methods, reason = "a test compares small files")]
        let bytes = |run: &std::path::Path| std::fs::read(run.join(file)).unwrap();
        assert_eq!(bytes(&whole), bytes(&parts), "{file}");
    }
}

const IN_TURN: [&str; 5] = [
    "ensemble={ members = 6, turns = 3, trees = true }",
    "split.fractions={ tune = 0.0, test = 0.3 }",
    "train.epochs=3",
    "train.replicate=0.5",
    "scale.kind=standard_log",
];

#[test]
fn networks_tuned_in_turn_judge_everybody_and_go_on_after_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 150, 2);
    let study = ward_study(folder.path(), &IN_TURN);
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let mut sizes = None;
    let outcome = train(&study, &whole, &Options::default(), &mut |event| {
        if let Event::Prepared { train, tune, test, .. } = event {
            sizes = Some([train.subjects, tune.subjects, test.subjects]);
        }
    });
    let Outcome::Finished(report) = outcome.unwrap() else { panic!("it was not stopped") };
    assert_eq!(sizes, Some([105, 0, 45]));
    let evaluation = report.evaluation.classes().unwrap();
    let auroc = |classifier: usize| {
        let scores = &evaluation.classifiers[classifier].scores;
        scores.iter().find(|s| s.figure == Figure::Auroc).unwrap().estimate.unwrap().value
    };
    assert!(auroc(0) > 0.85 && auroc(3) > 0.8 && auroc(4) > 0.8, "{}", evaluation.text());
    assert!(report.tune_loss.is_some());
    let model = Model::load(&report.model, &Limits::default()).unwrap();
    let classes = model.classes().unwrap();
    assert!(classes.share.is_some() && classes.threshold.is_some(), "{classes:?}");
    assert!(classes.network_threshold.is_some() && classes.logistic.is_some());
    assert_eq!(model.others().len(), 5);
    let told = model.describe();
    assert!(told.contains("scaled by (ln heart_rate"), "{told}");

    // Stopped in the fourth network, and on other threads.
    let stop = AtomicBool::new(false);
    let options = Options { stop: Some(&stop), threads: 2, ..Options::default() };
    let mut member_now = 1;
    let outcome = train(&study, &parts, &options, &mut |event| match event {
        Event::Member { member, .. } => member_now = *member,
        Event::Epoch { epoch: 1, .. } if member_now == 4 => stop.store(true, Ordering::Relaxed),
        _ => {}
    });
    assert!(matches!(outcome.unwrap(), Outcome::Stopped(_)));
    let outcome = resume(&parts, &Options::default(), &mut |_| {}).unwrap();
    assert!(matches!(outcome, Outcome::Finished(_)));
    assert_same_files(&whole.join("member-4"), &parts.join("member-4"));
    for file in ["model.safetensors", "evaluation.json"] {
        #[allow(clippy::disallowed_methods, reason = "a test compares small files")]
        let bytes = |run: &std::path::Path| std::fs::read(run.join(file)).unwrap();
        assert_eq!(bytes(&whole), bytes(&parts), "{file}");
    }
}

#[test]
fn turns_that_do_not_come_out_are_refused() {
    use sequela_train::{Override, Study};
    let parse = |changes: &[&str]| {
        let changes: Vec<Override> =
            changes.iter().map(|change| Override::parse(change).unwrap()).collect();
        Study::parse(common::ward::WARD, "ward.toml".as_ref(), &changes)
    };
    for (changes, field, what) in [
        (vec!["ensemble={ members = 4, turns = 3 }"], "ensemble.members", "equally often"),
        (vec!["ensemble={ members = 3, turns = 1 }"], "ensemble.turns", "between 2 and"),
        (vec!["ensemble={ members = 3, turns = 3 }"], "ensemble.turns", "a tuning part beside"),
        (vec!["train.replicate=1.0"], "train.replicate", "[0, 1)"),
        (vec!["train.replicate=0.5", "model.pooling=mean"], "train.replicate", "last state"),
        (vec!["train.replicate=0.5", "model.directions=both"], "train.replicate", "last state"),
    ] {
        let text = parse(&changes).unwrap_err().to_string();
        assert!(text.contains(field) && text.contains(what), "{text}");
    }
    // Without a word about the tuning part there is none.
    let text = common::ward::WARD.replace("fractions = { tune = 0.2, test = 0.3 }", "folds = 3");
    let change = Override::parse("ensemble={ members = 3, turns = 3 }").unwrap();
    let study = Study::parse(&text, "ward.toml".as_ref(), &[change]).unwrap();
    assert!(study.split.fractions.tune.abs() < 1e-12);
    // What a study of before says is what it said.
    assert!(!parse(&[]).unwrap().to_toml().contains("replicate ="));
    assert!(!parse(&[]).unwrap().to_toml().contains("turns"));
}

#[test]
fn other_architectures_classify_too() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 90, 2);
    for (change, name) in
        [("model={ kind = \"retain\" }", "RETAIN"), ("model.directions=both", "bidirectional GRU")]
    {
        let run = folder.path().join(name.replace(' ', "-"));
        let report = finish(&ward_study(folder.path(), &[change, "train.epochs=8"]), &run);
        let evaluation = report.evaluation.classes().unwrap();
        assert_eq!(evaluation.classifiers[0].name, name);
        let scores = &evaluation.classifiers[0].scores;
        let auroc = scores.iter().find(|s| s.figure == Figure::Auroc).unwrap().estimate.unwrap();
        assert!(auroc.value > 0.75, "{name}: {}", evaluation.text());
    }
}
