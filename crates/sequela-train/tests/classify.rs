//! One class for each subject, from a study to the model file and back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers and tables of tests")]

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::ward::{put, shuffle_outcomes, text, ward_study, write_ward};
use common::{assert_same_files, files, finish};
use sequela_core::{Limits, Sequence, Steps};
use sequela_eval::bootstrap::Estimate;
use sequela_eval::classify::Figure;
use sequela_train::{
    ClassEvaluation, Error, Event, Model, Options, Outcome, PredictRows, Report, classify,
    evaluate, predict, read_input, read_labelled, resume, train,
};

fn evaluation(report: &Report) -> &ClassEvaluation {
    report.evaluation.classes().unwrap()
}

fn figure(evaluation: &ClassEvaluation, classifier: usize, figure: Figure) -> Estimate {
    let scores = &evaluation.classifiers[classifier].scores;
    scores.iter().find(|score| score.figure == figure).unwrap().estimate.unwrap()
}

fn load(report: &Report) -> Model {
    Model::load(&report.model, &Limits::default()).unwrap()
}

#[test]
fn a_trained_classifier_tells_what_it_was_judged_by() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 120, 2);
    let report = finish(&ward_study(folder.path(), &[]), &folder.path().join("run"));
    let judged = evaluation(&report);
    assert_eq!(
        (judged.classes.as_slice(), judged.subjects),
        (&["stable", "worse"].map(String::from)[..], 36)
    );
    assert_eq!(judged.counts, [24, 12]);
    let names: Vec<&str> = judged.classifiers.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["GRU", "prevalence", "logistic regression", "boosted trees"]);
    assert!(figure(judged, 0, Figure::Auroc).value > 0.85, "{}", judged.text());
    assert!((figure(judged, 1, Figure::Auroc).value - 0.5).abs() < 1e-12);
    // The weights of the classes are not in the probabilities.
    let calibration = figure(judged, 0, Figure::ObservedLessExpected);
    assert!(calibration.value.abs() < 0.1, "{calibration:?}");

    // The same from the file: probabilities, threshold, baselines, to the bit.
    let model = load(&report);
    let classes = model.classes().unwrap();
    let balanced = [60.0 / 80.0, 60.0 / 40.0];
    for (weight, expected) in classes.weights.iter().zip(balanced) {
        assert!((weight - expected).abs() < 1e-12, "{:?}", classes.weights);
    }
    let table = folder.path().join("ward.csv");
    let outcomes = folder.path().join("outcomes.csv");
    let all = read_labelled(&table, Some(&outcomes), &model, &Limits::default()).unwrap();
    let test = test_part(&all, folder.path());
    let again = evaluate(&model, &test, &Options::default()).unwrap();
    let again = again.classes().unwrap();
    assert_eq!(again.classifiers, judged.classifiers);
    assert_eq!(classes.metrics.len(), 4 * (Figure::ALL.len() - 5));
    let copy = folder.path().join("copy.safetensors");
    model.save(&copy).unwrap();
    assert_eq!(Model::load(&copy, &Limits::default()).unwrap().digest(), model.digest());

    // Alone, among others and on threads the same bits.
    let together = classify(&model, &all, &Options::default()).unwrap();
    let two = Options { threads: 2, ..Options::default() };
    assert_eq!(together, classify(&model, &all, &two).unwrap());
    for (sequence, row) in all.iter().zip(&together.rows).take(20) {
        let alone = classify(&model, std::slice::from_ref(sequence), &Options::default()).unwrap();
        assert_eq!(&alone.rows[0], row);
        let chosen = f64::from(row.probabilities[1]) >= classes.threshold.unwrap();
        assert_eq!(row.decision, usize::from(chosen));
    }
    let described = model.describe();
    for part in
        ["tells        outcome from the whole series", "class        worse: 33.33 %", "decides"]
    {
        assert!(described.contains(part), "{described}");
    }
    let csv = String::from_utf8(together.to_csv()).unwrap();
    assert!(csv.starts_with(
        "subject,probability of stable,probability of worse,outcome,missing,envelope,outside\np000,"
    ));
}

/// The test part again: the split is a function of subjects, classes and seed.
fn test_part(all: &[Sequence], folder: &Path) -> Vec<Sequence> {
    let outcomes = text(&folder.join("outcomes.csv"));
    let words = outcomes.lines().skip(1).filter_map(|line| line.split_once(','));
    let words = words.map(|(who, word)| (sequela_core::SubjectId::new(who), word)).collect();
    let schema = sequela_core::Schema::new(
        ["heart_rate", "lactate"]
            .map(|name| sequela_core::Channel { name: name.into(), unit: String::new() })
            .to_vec(),
    );
    let cohort = sequela_data::Cohort::new(schema, all.to_vec(), "ward").unwrap();
    let fractions = sequela_data::split::Fractions { tune: 0.2, test: 0.3 };
    let split =
        sequela_data::split::by_subject_within_classes(&cohort, &words, fractions, 5).unwrap();
    split.test.iter().map(|&at| all[at].clone()).collect()
}

#[test]
fn a_run_that_was_stopped_anywhere_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 60, 2);
    let study = ward_study(folder.path(), &["train.epochs=4", "train.checkpoint.steps=1"]);
    let whole = folder.path().join("whole");
    finish(&study, &whole);
    for steps in [0, 1, 2, 4, 5] {
        let path = folder.path().join(steps.to_string());
        let (stop, made) = (AtomicBool::new(steps == 0), AtomicU64::new(0));
        let options = Options { stop: Some(&stop), threads: 2, ..Options::default() };
        let outcome = train(&study, &path, &options, &mut |event| {
            if matches!(event, Event::Checkpoint { .. })
                && made.fetch_add(1, Ordering::Relaxed) >= steps
            {
                stop.store(true, Ordering::Relaxed);
            }
        });
        assert!(matches!(outcome.unwrap(), Outcome::Stopped(_)), "{steps}");
        let outcome = resume(&path, &Options::default(), &mut |_| {}).unwrap();
        assert!(matches!(outcome, Outcome::Finished(_)));
        assert_same_files(&whole, &path);
    }
    // An outcome that has changed since is not trained on with old weights.
    let (stop, path) = (AtomicBool::new(true), folder.path().join("changed"));
    let options = Options { stop: Some(&stop), ..Options::default() };
    train(&study, &path, &options, &mut |_| {}).unwrap();
    let outcomes = folder.path().join("outcomes.csv");
    put(&outcomes, text(&outcomes).replace("stable", "steady"));
    let error = resume(&path, &Options::default(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("the data have changed"), "{error}");
}

#[test]
fn shuffled_outcomes_cannot_be_told() {
    let mut far = 0;
    for seed in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        write_ward(folder.path(), 150, 2);
        shuffle_outcomes(folder.path(), seed);
        let report = finish(&ward_study(folder.path(), &[]), &folder.path().join("run"));
        for classifier in [0, 2] {
            let auroc = figure(evaluation(&report), classifier, Figure::Auroc);
            let (low, high) = auroc.interval.bounds().unwrap();
            far += u32::from(low > 0.5 || high < 0.5);
            assert!((auroc.value - 0.5).abs() < 0.25, "{auroc:?}");
        }
    }
    // Each interval misses one half once in twenty times or a little oftener.
    assert!(far <= 1, "{far} of 6 intervals miss one half");
}

#[test]
fn nothing_is_learnt_from_tuning_and_test_subjects() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 60, 2);
    // Three epochs without a tuning loss to choose by: the weights see training subjects only.
    let changes = ["train.epochs=3", "train.keep=last", "evaluate.baselines.logistic=[1.0]"];
    let study = ward_study(folder.path(), &changes);
    let first = finish(&study, &folder.path().join("first"));
    let model = load(&first);
    let table = folder.path().join("ward.csv");
    let outcomes = folder.path().join("outcomes.csv");
    let all = read_labelled(&table, Some(&outcomes), &model, &Limits::default()).unwrap();
    let test = test_part(&all, folder.path());
    let changed: Vec<String> = text(&table)
        .lines()
        .map(|line| {
            let of_test = test.iter().any(|s| line.starts_with(&format!("{},", s.id)));
            if of_test { line.replace(",0,", ",0,2") } else { line.to_owned() }
        })
        .collect();
    put(&table, changed.join("\n") + "\n");
    let second = load(&finish(&study, &folder.path().join("second")));
    let (one, other) = (model.manifest(), second.manifest());
    assert_ne!(one.provenance.data, other.provenance.data);
    assert_eq!(one.provenance.training_data, other.provenance.training_data);
    assert_eq!(one.encoder, other.encoder);
    assert_eq!(model.parameters().flat(), second.parameters().flat());
    let (one, other) = (model.classes().unwrap(), second.classes().unwrap());
    assert_eq!((&one.logistic, one.threshold), (&other.logistic, other.threshold));
    assert_ne!(one.metrics, other.metrics);
}

#[test]
fn only_the_last_steps_are_read_where_the_study_says_so() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 60, 2);
    let changes = ["window.length=4", "train.epochs=2"];
    let report = finish(&ward_study(folder.path(), &changes), &folder.path().join("run"));
    let model = load(&report);
    let table = folder.path().join("ward.csv");
    let series = read_input(&table, &model, &Limits::default()).unwrap();
    let long = series.iter().find(|sequence| sequence.len() > 6).unwrap();
    let Steps::Numeric { values, observed, .. } = &long.steps else { panic!() };
    let tail: Vec<f32> = values
        .iter()
        .zip(observed)
        .map(|(value, seen)| if *seen { *value } else { f32::NAN })
        .skip(values.len() - 8)
        .collect();
    let cut = Sequence::numeric("cut", long.subject.clone(), 2, &tail).unwrap();
    let both = classify(&model, &[long.clone(), cut], &Options::default()).unwrap();
    assert_eq!(both.rows[0].probabilities, both.rows[1].probabilities);
    assert_eq!((both.rows[0].steps, both.rows[1].steps), (4, 4));
}

#[test]
fn other_forms_of_classes_and_losses_train_too() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 108, 3);
    let three =
        finish(&ward_study(folder.path(), &["train.epochs=8"]), &folder.path().join("three"));
    let judged = evaluation(&three);
    assert_eq!(judged.classes, ["better", "stable", "worse"]);
    assert!(figure(judged, 0, Figure::Auroc).value > 0.7, "{}", judged.text());
    assert!(load(&three).classes().unwrap().threshold.is_none());
    assert!(judged.classifiers[2].scores.iter().all(|s| s.figure != Figure::ObservedLessExpected));

    let binary = ward_study(folder.path(), &["train.loss.kind=binary_cross_entropy"]);
    let refused = train(&binary, &folder.path().join("r"), &Options::default(), &mut |_| {});
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("is for two classes, and there are 3; write loss"), "{message}");

    let chosen = ward_study(folder.path(), &["evaluate.threshold=f1"]);
    let refused = train(&chosen, &folder.path().join("t"), &Options::default(), &mut |_| {});
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("evaluate.threshold: a threshold is for two classes"), "{message}");
    assert!(!folder.path().join("t").exists());

    write_ward(folder.path(), 90, 2);
    let changes = [
        "train.loss.kind=binary_cross_entropy",
        "train.class_weights={ worse = 4.0 }",
        "data.label.classes=[\"worse\", \"stable\"]",
        "evaluate.threshold={ fixed = 0.25 }",
    ];
    let binary = finish(&ward_study(folder.path(), &changes), &folder.path().join("binary"));
    let classes = load(&binary).classes().unwrap().clone();
    assert_eq!(classes.names, ["worse", "stable"]);
    assert_eq!((classes.weights.as_slice(), classes.threshold), (&[4.0, 1.0][..], Some(0.25)));
    assert!(figure(evaluation(&binary), 0, Figure::Auroc).value > 0.8);

    // In one table, the class in every row; without a tuning and a test part.
    let (table, outcomes) =
        (text(&folder.path().join("ward.csv")), text(&folder.path().join("outcomes.csv")));
    let word = |who: &str| outcomes.lines().find_map(|l| l.strip_prefix(who)).unwrap_or_default();
    let joined: Vec<String> = table
        .lines()
        .map(|line| format!("{line}{}", word(line.split(',').next().unwrap_or_default())))
        .collect();
    let inside = folder.path().join("inside.csv");
    put(&inside, joined.join("\n"));
    let changes = [
        "data.path=inside.csv",
        "data.label={ name = \"outcome\" }",
        "split.fractions={ tune = 0.0, test = 0.0 }",
        "train.epochs=2",
    ];
    let study = ward_study(folder.path(), &changes);
    let whole = finish(&study, &folder.path().join("whole"));
    let notes = evaluation(&whole).notes.join("; ");
    assert!(
        notes.contains("no test part") && notes.contains("tuning part does not have"),
        "{notes}"
    );
    let labelled = read_labelled(&inside, None, &load(&whole), &Limits::default()).unwrap();
    assert_eq!(labelled.len(), 90);
    assert!(files(&folder.path().join("whole")).contains_key("classes.svg"));
}

#[test]
fn models_of_another_task_are_told_so() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 60, 2);
    let changes = ["train.epochs=1"];
    let classifier = load(&finish(&ward_study(folder.path(), &changes), &folder.path().join("c")));
    let series =
        read_input(&folder.path().join("ward.csv"), &classifier, &Limits::default()).unwrap();
    let error = predict(&classifier, &series, PredictRows::Last, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("it does not forecast"), "{error}");
    let error = evaluate(&classifier, &series, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("the class of the series is not known"), "{error}");
    let forecaster = load(&finish(&common::small(&["train.epochs=1"]), &folder.path().join("f")));
    let error = classify(&forecaster, &series, &Options::default()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

/// The message of a study that is refused after some changes to it and to its tables.
fn refusal(changes: &[&str], change: impl Fn(&Path)) -> (String, u8) {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 30, 2);
    change(folder.path());
    let study = ward_study(folder.path(), changes);
    let error = train(&study, &folder.path().join("run"), &Options::default(), &mut |_| {});
    let error = error.unwrap_err();
    assert!(!folder.path().join("run").exists());
    (error.to_string(), error.class().exit_code())
}

/// Changes of the study and of its tables, part of the message, exit code.
type Case<'a> = (&'a [&'a str], Box<dyn Fn(&Path)>, &'a str, u8);

#[test]
fn tables_that_cannot_be_meant_are_refused_before_anything_is_made() {
    let nothing = |_: &Path| {};
    let outcomes =
        |text: &'static str| move |folder: &Path| put(&folder.join("outcomes.csv"), text);
    let edit = |from: &'static str, to: &'static str| {
        move |folder: &Path| {
            let path = folder.join("outcomes.csv");
            put(&path, text(&path).replace(from, to));
        }
    };
    let cases: Vec<Case<'_>> = vec![
        (
            &["data.label.name=outcom"],
            Box::new(nothing),
            "outcomes.csv:1, field outcom: there is no such column; did you mean \"outcome\"?",
            3,
        ),
        (&["data.label.file=none.csv"], Box::new(nothing), "check data.label.file", 4),
        (
            &[],
            Box::new(edit("p003", "p004")),
            "outcomes.csv:6, field outcome: the class differs from that of an earlier row",
            3,
        ),
        (
            &[],
            Box::new(edit("\np", "\nq")),
            "field outcome: no subject of the series has a class here; check that both write",
            3,
        ),
        (
            &[],
            Box::new(edit("stable", "worse")),
            "data.label: all training subjects are of one class",
            3,
        ),
        (&[], Box::new(outcomes("patient,outcome\n")), "the table has a header but no row", 3),
        (
            &[],
            Box::new(outcomes("patient,outcome\np001,a\np002,b\n")),
            "2 subjects in their classes are too few",
            3,
        ),
        (
            &["train.class_weights={ wors = 2.0 }"],
            Box::new(nothing),
            "field train.class_weights.wors: there is no such class; did you mean \"worse\"?",
            2,
        ),
        (
            &["data.label.classes=[\"stable\", \"better\"]"],
            Box::new(nothing),
            "part are of class worse, which is not among data.label.classes; add it there",
            3,
        ),
        (
            &["data.label.classes=[\"stable\", \"worse\", \"better\"]"],
            Box::new(nothing),
            "nothing in the training part is of class better; take it out",
            3,
        ),
        (
            &["split.train=[\"p001\", \"p002\", \"p003\"]", "split.test=[\"p004\", \"p005\"]"],
            Box::new(edit("p004,stable", "p004,odd")),
            "1 subjects of the test part are of class odd, which no training subject has",
            3,
        ),
        (
            &["split.train=[\"p001\"]", "split.test=[\"p001\"]"],
            Box::new(nothing),
            "subject p001 is in both train and test",
            3,
        ),
    ];
    for (changes, change, expected, code) in cases {
        let (message, found) = refusal(changes, change);
        assert!(message.contains(expected), "{message}\n  {expected}");
        assert_eq!(found, code, "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}
