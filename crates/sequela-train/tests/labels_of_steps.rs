//! A class of each step, from a study to the model file and back; nothing looks ahead.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers and tables of tests")]

mod common;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::ward::{put, text};
use common::{assert_same_files, finish, finish_with};
use sequela_core::{Class, Limits, Random, Sequence, Steps, Target};
use sequela_eval::classify::{Figure, ThresholdRule};
use sequela_train::{
    ClassEvaluation, Error, Event, Judged, Model, Options, Outcome, Overlap, Override, Predictions,
    Report, Study, classify, evaluate, read_input, read_labelled, report_classes, resume, train,
};

const WATCH: &str = r#"
[study]
name = "watch"
task = "label"
seed = 5

[data]
kind = "csv"
path = "watch.csv"
subject = "patient"
time = { name = "hour", format = "hours" }
step = "hour"
values = [{ name = "heart_rate", unit = "bpm" }, { name = "lactate", unit = "mmol/L" }]
label = { name = "ill", classes = ["0", "1"] }

[window]
indicators = ["observed", "gap"]
summaries = ["mean", "highest"]

[split]
fractions = { tune = 0.2, test = 0.3 }

[model]
kind = "sequence"
cell = "gru"
hidden = 8

[train]
epochs = 8
batch = 16
rate = 1e-2
class_weights = "balanced"
clip = { norm = 1.0 }

[evaluate]
threshold = "sepsis_utility"
replicates = 200
baselines = { logistic = [0.1], trees = [4] }
"#;

/// The study beside the table of a folder, after some changes.
fn watch(folder: &Path, changes: &[&str]) -> Study {
    parse(folder, changes).unwrap()
}

fn parse(folder: &Path, changes: &[&str]) -> Result<Study, Error> {
    let changes: Vec<Override> =
        changes.iter().map(|change| Override::parse(change).unwrap()).collect();
    Study::parse(WATCH, &folder.join("watch.toml"), &changes)
}

/// Writes `watch.csv`: every third patient falls ill at some hour, and the heart rate rises from six
/// hours before; some hours have no label.
fn write_watch(folder: &Path, patients: u64) {
    let random = Random::new(78, 1);
    let mut table = String::from("patient,hour,heart_rate,lactate,ill\n");
    for patient in 0..patients {
        let at = patient * 10_000;
        let length = 16 + random.below(at, 20);
        let ill = patient % 3 == 0;
        for hour in 0..length {
            let chance = at + 10 * hour;
            let coming = ill && hour + 8 >= length;
            let rise = if coming { 14.0 + 1.5 * (hour + 8 - length) as f64 } else { 0.0 };
            let rate = 80.0 + rise + 6.0 * random.normal(chance + 1);
            let _ = write!(table, "p{patient:03},{hour},{rate:.1},");
            if random.below(chance + 2, 4) == 0 {
                let _ = write!(table, "{:.2}", 1.5 + 0.4 * random.normal(chance + 3));
            }
            let label = if random.below(chance + 4, 12) == 0 {
                ""
            } else {
                ["0", "1"][usize::from(coming)]
            };
            let _ = writeln!(table, ",{label}");
        }
    }
    put(&folder.join("watch.csv"), table);
}

fn load(report: &Report) -> Model {
    Model::load(&report.model, &Limits::default()).unwrap()
}

/// Whom of some people the model was made with.
fn met(report: &Report, model: &Model, people: &[Sequence]) -> Overlap {
    Overlap::find(&report.model, model, people, &Limits::default()).unwrap()
}

fn value(evaluation: &ClassEvaluation, classifier: usize, figure: Figure) -> (f64, f64, f64) {
    let scores = &evaluation.classifiers[classifier].scores;
    let estimate = scores.iter().find(|score| score.figure == figure).unwrap().estimate.unwrap();
    let (low, high) = estimate.interval.bounds().unwrap_or((f64::NAN, f64::NAN));
    (estimate.value, low, high)
}

#[test]
fn hours_are_told_and_judged_as_they_are_told_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    write_watch(folder.path(), 120);
    let run = folder.path().join("run");
    let report = finish(&watch(folder.path(), &[]), &run);
    let judged = report.evaluation.classes().unwrap();
    let names: Vec<&str> = judged.classifiers.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["GRU", "prevalence", "logistic regression", "boosted trees"]);
    assert_eq!((judged.subjects, judged.step.as_deref()), (36, Some("hour")));
    let told = judged.text();
    assert!(value(judged, 0, Figure::Auroc).0 > 0.85, "{told}");
    let (utility, low, high) = value(judged, 0, Figure::Utility);
    assert!(utility > 0.4 && low < utility && utility < high, "{told}");
    assert!((value(judged, 1, Figure::Utility).0).abs() < 1e-12);
    for figure in [Figure::SubjectsFound, Figure::SubjectsAlarmed, Figure::AlarmsPerDay] {
        assert!(value(judged, 0, figure).0 > 0.0, "{told}");
    }
    let notes = judged.notes.join("; ");
    assert!(notes.contains("steps have no ill: the model sees them, but is neither"), "{notes}");
    assert!(text(&run.join("report.html")).contains("from it and all hours before it"));

    // The same again from the file, on the test part alone.
    let model = load(&report);
    let all = read_labelled(&folder.path().join("watch.csv"), None, &model, &Limits::default());
    let all = all.unwrap();
    let tested = Predictions::read(&run.join("predictions.csv"), &Limits::default()).unwrap();
    let table = String::from_utf8(tested.to_csv()).unwrap();
    let of_test = |sequence: &&Sequence| table.contains(&format!("{},", sequence.subject.as_str()));
    let test: Vec<Sequence> = all.iter().filter(of_test).cloned().collect();
    assert_eq!(test.len(), 36);
    let again = evaluate(&model, &test, &Options::default()).unwrap();
    assert_eq!(again.classes().unwrap().classifiers, judged.classifiers);
    let rows = judged.counts.iter().sum::<usize>();
    assert_eq!(table.lines().count(), rows + 1);
    let by_model = Predictions::of_model(&model, &test, &Options::default()).unwrap();
    assert_eq!(String::from_utf8(by_model.to_csv()).unwrap(), table);
    let none = tested.compare(&by_model, 50).unwrap();
    assert_eq!((none.rows, none.subjects, none.told_apart()), (rows, 36, false));
    // As the study judges, of tables too; the labels that are missing move some hours.
    let tested = tested.decided_from(by_model.threshold).of_study(&model.manifest().study);
    let twice = tested.compare(&by_model, 50).unwrap();
    let of = |figure: Figure| {
        let score = twice.scores[0].iter().find(|score| score.figure == figure).unwrap();
        (score.estimate.unwrap().value, value(judged, 0, figure).0)
    };
    for figure in [Figure::SubjectsFound, Figure::SubjectsAlarmed, Figure::Auroc] {
        let (by_table, by_run) = of(figure);
        assert!((by_table - by_run).abs() < 1e-9, "{figure:?}");
    }
    let (by_table, by_run) = of(Figure::Utility);
    assert!((by_table - by_run).abs() < 0.1, "{by_table} {by_run}");
    let page =
        report_classes(&model, &test, &[], &met(&report, &model, &test), &Options::default())
            .unwrap();
    assert_eq!(page.evaluation.classifiers, judged.classifiers);

    // New patients get an answer for every hour, those without a label too.
    let asked = read_input(&folder.path().join("watch.csv"), &model, &Limits::default()).unwrap();
    let answers = classify(&model, &asked, &Options::default()).unwrap();
    let steps: usize = asked.iter().map(Sequence::len).sum();
    assert_eq!(answers.rows.len(), steps);
    let csv = String::from_utf8(answers.to_csv()).unwrap();
    assert!(csv.starts_with(
        "subject,step,time_h,probability of 0,probability of 1,ill,missing,envelope,outside\np000,0,0,"
    ));
    // Nearly all of those trained on lie inside; whoever has another unit does not, hour by hour.
    let outside = answers.outside().unwrap();
    assert!(outside * 8 < steps, "{outside} of {steps}");
    let mut strange = asked[1].clone();
    if let Steps::Numeric { values, features, .. } = &mut strange.steps {
        values.iter_mut().step_by(*features).for_each(|rate| *rate /= 60.0);
    }
    let told = classify(&model, &[asked[0].clone(), strange], &Options::default()).unwrap();
    for (row, as_before) in told.rows.iter().zip(&answers.rows) {
        let placing = row.placing.as_ref().unwrap();
        let missing = as_before.placing.as_ref().unwrap().missing;
        assert!((placing.missing - missing).abs() < 1e-12);
        if row.subject == asked[1].subject.as_str() {
            assert!(placing.why().contains("heart_rate: lower than in training ("), "{placing:?}");
        }
    }
    assert!(
        told.to_json().contains("\"outside\":[{\"channel\":\"heart_rate\",\"why\":\"lower than")
    );
    let two = Options { threads: 2, ..Options::default() };
    assert_eq!(answers, classify(&model, &asked, &two).unwrap());
    assert!(model.describe().contains("tells        ill of each hour, from it and all before it"));
}

/// The first `steps` of a sequence, the rest as `change` makes it.
fn cut(sequence: &Sequence, steps: usize) -> Sequence {
    let Steps::Numeric { values, observed, features } = &sequence.steps else { panic!() };
    let mut short = sequence.clone();
    short.times = sequence.times.as_ref().map(|times| times[..steps].to_vec());
    short.steps = Steps::Numeric {
        values: values[..steps * features].to_vec(),
        observed: observed[..steps * features].to_vec(),
        features: *features,
    };
    if let Target::PerStep(classes) = &sequence.target {
        short.target = Target::PerStep(classes[..steps].to_vec());
    }
    short
}

/// The same sequence with other values from a step on.
fn changed(sequence: &Sequence, from: usize) -> Sequence {
    let mut other = sequence.clone();
    if let Steps::Numeric { values, observed, features } = &mut other.steps {
        for cell in from * *features..values.len() {
            values[cell] = 1e4 - values[cell];
            observed[cell] = !observed[cell];
        }
    }
    if let Target::PerStep(classes) = &mut other.target {
        classes[from..].iter_mut().for_each(|class| *class = class.map(|class| 1 - class));
    }
    other
}

#[test]
fn no_answer_hangs_on_later_hours() {
    let folder = tempfile::tempdir().unwrap();
    write_watch(folder.path(), 60);
    // Everything that answers: networks, trees, what makes probabilities come true.
    let changes = [
        "ensemble={ members = 2, trees = true }",
        "evaluate.recalibrate=platt",
        "model.layers=2",
        "model.normalise=layer",
        "window.summaries=[\"mean\", \"lowest\", \"highest\", \"first\", \"share\"]",
        "window.clip=3.0",
        "train.epochs=2",
    ];
    let report = finish(&watch(folder.path(), &changes), &folder.path().join("run"));
    let model = load(&report);
    let all = read_input(&folder.path().join("watch.csv"), &model, &Limits::default()).unwrap();
    let whole = classify(&model, &all, &Options::default()).unwrap();
    let answers =
        |sequences: &[Sequence]| classify(&model, sequences, &Options::default()).unwrap();
    let bits = |row: &sequela_train::ClassifiedRow| {
        row.probabilities.iter().map(|p| p.to_bits()).collect::<Vec<u32>>()
    };
    for sequence in all.iter().take(12) {
        let of_whole: Vec<_> =
            whole.rows.iter().filter(|row| row.subject == sequence.subject.as_str()).collect();
        for steps in [1, 2, 7, sequence.len() - 1] {
            for other in [cut(sequence, steps), changed(sequence, steps)] {
                let found = answers(std::slice::from_ref(&other));
                for (row, whole) in found.rows.iter().zip(&of_whole).take(steps) {
                    assert_eq!((bits(row), row.decision), (bits(whole), whole.decision));
                    assert!(row.placing.is_some() && row.placing == whole.placing);
                }
            }
        }
    }
    // The baselines too: what is judged of the first hours does not change.
    let labelled =
        read_labelled(&folder.path().join("watch.csv"), None, &model, &Limits::default()).unwrap();
    let hours = |change: &dyn Fn(&Sequence) -> Sequence| {
        let mut people: Vec<Sequence> = labelled.iter().map(change).collect();
        for sequence in &mut people {
            if let Target::PerStep(classes) = &mut sequence.target {
                classes.iter_mut().skip(10).for_each(|class| *class = None);
            }
        }
        evaluate(&model, &people, &Options::default()).unwrap().classes().unwrap().clone()
    };
    let unit = |sequence: &Sequence| sequence.clone();
    let late = |sequence: &Sequence| changed(sequence, 10);
    let (as_it_is, as_it_might_be) = (hours(&unit), hours(&late));
    assert_eq!(as_it_is.classifiers, as_it_might_be.classifiers);
}

#[test]
fn what_would_look_ahead_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (change, place, wanted) in [
        ("model.directions=both", "model.directions", "told from later ones"),
        ("model.pooling=mean", "model.pooling", "would let it see later ones"),
        ("model={ kind = \"retain\" }", "model.kind", "classes of steps"),
        ("window.length=12", "window.length", "all that came before"),
        ("window.inputs=relative", "window.inputs", "for forecasts"),
        ("data.every_seconds=3600", "data.every_seconds", "one row for each step"),
        ("study.task=regress", "study.task", "\"label\""),
    ] {
        let error = parse(folder.path(), &[change]).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(place) && message.contains(wanted), "{message}");
        assert_eq!(error.class(), Class::Usage, "{message}");
    }
    let untimed = ["data.label.file=\"ill.csv\"", UNTIMED];
    let message = parse(folder.path(), &untimed).unwrap_err().to_string();
    assert!(message.contains("data.label.file: labels of steps in a second table"), "{message}");
    let sepsis = "data={ kind = \"physionet2019\", path = \"x\" }";
    let study = parse(folder.path(), &[sepsis]).unwrap();
    assert_eq!(study.evaluate.threshold, ThresholdRule::SepsisUtility);
    let error = parse(folder.path(), &[sepsis, "study.task=classify"]).unwrap_err().to_string();
    assert!(error.contains("task = \"label\""), "{error}");
    let error = parse(folder.path(), &["study.task=classify"]).unwrap_err().to_string();
    assert!(error.contains("evaluate.threshold: the utility is of hourly warnings"), "{error}");
}

/// The table of the study without a column of times.
const UNTIMED: &str = "data={ kind = \"csv\", path = \"watch.csv\", subject = \"patient\", \
    values = [{ name = \"lactate\" }], label = { name = \"ill\", file = \"ill.csv\" } }";

/// The column of classes of `watch.csv`, with patients and hours, in a table of its own: its rows in
/// another order, those without a class left out.
fn write_labels(folder: &Path) {
    let table = text(&folder.join("watch.csv"));
    let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let mut rows: Vec<String> = table
        .lines()
        .skip(1)
        .map(cells)
        .filter(|row| !row[4].is_empty())
        .map(|row| format!("{},{}.0,{}", row[0], row[1], row[4]))
        .collect();
    rows.reverse();
    put(&folder.join("ill.csv"), format!("patient,hour,ill\n{}\n", rows.join("\n")));
    let bare = table.lines().map(|line| line.rsplit_once(',').unwrap().0);
    let bare: Vec<&str> = bare.collect();
    put(&folder.join("bare.csv"), bare.join("\n"));
}

#[test]
fn labels_in_a_second_table_are_found_by_their_times() {
    let folder = tempfile::tempdir().unwrap();
    write_watch(folder.path(), 45);
    write_labels(folder.path());
    let short = ["train.epochs=2", "evaluate.replicates=0"];
    let one = finish(&watch(folder.path(), &short), &folder.path().join("one"));
    let apart = ["data.path=\"bare.csv\"", "data.label.file=\"ill.csv\""];
    let study = watch(folder.path(), &[&short[..], &apart].concat());
    let two = finish(&study, &folder.path().join("two"));
    assert_eq!(
        one.evaluation.classes().unwrap().classifiers,
        two.evaluation.classes().unwrap().classifiers
    );
    let model = load(&two);
    let (bare, labels) = (folder.path().join("bare.csv"), folder.path().join("ill.csv"));
    let read = |path: &Path, labels: Option<&Path>| {
        read_labelled(path, labels, &model, &Limits::default())
    };
    let found = read(&bare, Some(&labels)).unwrap();
    assert_eq!(found, read(&folder.path().join("watch.csv"), None).unwrap());
    for (from, to) in [("p000,3.0,", "p000,3.5,"), ("p000,3.0,", "p000,4.0,")] {
        put(&labels, text(&labels).replacen(from, to, 1));
        let message = read(&bare, Some(&labels)).unwrap_err().to_string();
        assert!(message.contains("at which it has no step, or two of one time"), "{message}");
        write_labels(folder.path());
    }
}

/// What is done to a table.
type Edit<'a> = &'a dyn Fn(&str) -> String;

#[test]
fn bad_labels_are_refused_with_their_place() {
    let edits: [(&str, Edit<'_>, &str); 5] = [
        (
            "strange",
            &|table| table.replacen(",0\n", ",2\n", 1),
            "field ill: the class is not one of those that are known; write one of 0, 1",
        ),
        (
            "no column",
            &|table| table.replacen("lactate,ill", "lactate,sick", 1),
            "watch.csv:1, field ill: there is no such column",
        ),
        (
            "no label",
            &|table| table.replace(",0\n", ",\n").replace(",1\n", ",\n"),
            "watch.csv, field ill: no step of any subject has a label; fill the column",
        ),
        (
            "one class",
            &|table| table.replace(",1\n", ",0\n"),
            "watch.csv, field ill: all steps are of one class; give steps of at least two classes",
        ),
        (
            "a number",
            &|table| table.replacen("p000,0,", "p000,0,x", 1),
            "watch.csv:2, field heart_rate",
        ),
    ];
    for (what, edit, wanted) in edits {
        let folder = tempfile::tempdir().unwrap();
        write_watch(folder.path(), 30);
        let path = folder.path().join("watch.csv");
        put(&path, edit(&text(&path)));
        let run = folder.path().join("run");
        let study = watch(folder.path(), &[]);
        let error = train(&study, &run, &Options::default(), &mut |_| {}).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(wanted), "{what}: {message}");
        assert_eq!(error.class(), Class::Input, "{what}: {message}");
        assert!(!run.exists(), "{what}");
    }
    // Strangers in a table that a model is judged by.
    let folder = tempfile::tempdir().unwrap();
    write_watch(folder.path(), 45);
    let short = ["train.epochs=1", "evaluate.replicates=0"];
    let model = load(&finish(&watch(folder.path(), &short), &folder.path().join("run")));
    let path = folder.path().join("watch.csv");
    put(&path, text(&path).replacen(",0\n", ",9\n", 1));
    let error = read_labelled(&path, None, &model, &Limits::default()).unwrap_err().to_string();
    assert!(error.contains("field ill: the class is not one of those"), "{error}");
}

#[test]
fn a_stopped_run_goes_on_as_if_it_never_had() {
    let folder = tempfile::tempdir().unwrap();
    write_watch(folder.path(), 60);
    let study = watch(
        folder.path(),
        &["split={ folds = 2, fractions = { tune = 0.3 } }", "train.epochs=3", "model.dropout=0.2"],
    );
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    finish_with(&study, &whole, &Options::default(), &mut |_| {});
    let stop = AtomicBool::new(false);
    let options = Options { stop: Some(&stop), ..Options::default() };
    let outcome = train(&study, &parts, &options, &mut |event| {
        if let Event::Epoch { epoch: 2, .. } = event {
            stop.store(true, Ordering::Relaxed);
        }
    });
    assert!(matches!(outcome.unwrap(), Outcome::Stopped(_)));
    let outcome = resume(&parts, &Options::default(), &mut |_| {}).unwrap();
    let Outcome::Finished(report) = outcome else { panic!("it was stopped") };
    for inside in ["fold-1", "fold-2"] {
        assert_same_files(&whole.join(inside), &parts.join(inside));
    }
    assert_eq!(text(&whole.join("evaluation.json")), text(&parts.join("evaluation.json")));
    let Judged::Folds(folds) = &report.evaluation else { panic!() };
    assert_eq!((folds.pooled.subjects, folds.folds.len()), (60, 2));
    assert!(value(&folds.pooled, 0, Figure::Utility).0 > 0.2, "{}", folds.text());
}

#[test]
fn labels_of_chance_are_worth_a_half() {
    let folder = tempfile::tempdir().unwrap();
    write_watch(folder.path(), 150);
    let path = folder.path().join("watch.csv");
    // Each patient is ill, or not, by chance and from the first hour to the last.
    let random = Random::new(9, 2);
    let mut shuffled = String::from("patient,hour,heart_rate,lactate,ill\n");
    for line in text(&path).lines().skip(1) {
        let patient: u64 = line[1..4].parse().unwrap();
        let (values, _) = line.rsplit_once(',').unwrap();
        let _ = writeln!(shuffled, "{values},{}", random.below(patient, 2));
    }
    put(&path, shuffled);
    let folds = [
        "split={ folds = 3, fractions = { tune = 0.25 } }",
        "train.epochs=3",
        "evaluate.threshold=youden",
    ];
    let report = finish(&watch(folder.path(), &folds), &folder.path().join("run"));
    let judged = report.evaluation.classes().unwrap();
    for classifier in [0, 2, 3] {
        let (found, low, high) = value(judged, classifier, Figure::Auroc);
        assert!(low < 0.5 && high > 0.5, "{found} ({low} to {high})");
    }
}
