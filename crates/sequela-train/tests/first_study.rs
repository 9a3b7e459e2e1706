//! What `init` writes runs as it is, whatever the data are.
#![allow(clippy::unwrap_used, reason = "helpers and tables of tests")]

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use common::ward::put;
use sequela_core::{Class, Limits, Random};
use sequela_formats::meds::{NewEvent, write_labels, write_shard};
use sequela_train::{FirstLabels, Options, Override, Study, init_study, train};

/// The first study of some data, trained for an epoch.
fn first(path: &Path, labels: &FirstLabels) -> String {
    let text = init_study(path, labels, &Limits::default()).unwrap();
    let short = ["train.epochs=1", "evaluate.replicates=0"];
    let short = short.map(|change| Override::parse(change).unwrap());
    let study = Study::parse(&text, path, &short).unwrap();
    let run = tempfile::tempdir().unwrap();
    train(&study, &run.path().join("run"), &Options::default(), &mut |_| {}).unwrap();
    text
}

fn labels(file: Option<PathBuf>, column: Option<&str>) -> FirstLabels {
    FirstLabels { file, column: column.map(str::to_owned) }
}

/// A ward of forty patients, ten hours each, its last columns the class of the patient, that of the
/// hour and a number; and the classes of patients in a table of their own.
fn ward(folder: &Path) -> (PathBuf, PathBuf) {
    let random = Random::new(5, 9);
    let mut rows = String::from("patient,hour,heart_rate,died,alarm,bed\n");
    let mut outcomes = String::from("patient,died,note\n");
    for patient in 0..40_u64 {
        let died = ["no", "yes"][usize::from(patient % 3 == 0)];
        let _ = writeln!(outcomes, "p{patient},{died},x");
        for hour in 0..10_u64 {
            let rate = 80.0 + 10.0 * random.normal(patient * 100 + hour);
            let alarm = u8::from(rate + 10.0 * random.normal(patient * 100 + hour + 5000) > 90.0);
            let _ = writeln!(
                rows,
                "p{patient},{hour},{rate:.1},{died},{alarm},{}",
                patient * 10 + hour
            );
        }
    }
    let (table, second) = (folder.join("ward.csv"), folder.join("outcomes.csv"));
    put(&table, rows);
    put(&second, outcomes);
    (table, second)
}

#[test]
fn tables_are_forecast_or_told_classes_of() {
    let folder = tempfile::tempdir().unwrap();
    let (table, outcomes) = ward(folder.path());
    // Windows fit into stays of ten hours.
    let forecast = first(&table, &labels(None, None));
    assert!(
        forecast.contains("length = 5 ") && forecast.contains("horizons = [1, 5] "),
        "{forecast}"
    );
    let subjects = first(&table, &labels(None, Some("died")));
    assert!(subjects.contains("task = \"classify\"") && subjects.contains("[\"no\", \"yes\"]"));
    let steps = first(&table, &labels(None, Some("alarm")));
    assert!(steps.contains("task = \"label\"") && !steps.contains("pooling"), "{steps}");
    // The column of classes is no measurement.
    assert!(!steps.contains("{ name = \"alarm\""), "{steps}");
    let second = first(&table, &labels(Some(outcomes.clone()), Some("died")));
    assert!(second.contains("outcomes.csv"), "{second}");

    let refused = |labels: &FirstLabels, wanted: &str| {
        let error = init_study(&table, labels, &Limits::default()).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert_eq!(error.class(), Class::Input, "{error}");
    };
    refused(&labels(Some(outcomes.clone()), None), "the table has patient, died, note");
    refused(&labels(Some(outcomes), Some("note")), "does not have two different words");
    let untimed = folder.path().join("untimed.csv");
    put(&untimed, "patient,at,alarm\np1,0,0\np1,1,1\np2,0,0\n");
    refused(&labels(Some(untimed), Some("alarm")), "that of the series is hour");
    refused(&labels(None, Some("bed")), "the column bed has 400 different words");
    refused(&labels(None, Some("dead")), "field dead: there is no such column");
}

#[test]
fn measurements_of_a_long_table_come_to_a_grid() {
    let folder = tempfile::tempdir().unwrap();
    let random = Random::new(6, 9);
    let mut rows = String::from("subject_id,minutes,name,value,unit\n");
    let mut outcomes = String::from("subject_id,died\n");
    for patient in 0..40_u64 {
        let _ = writeln!(outcomes, "{patient},{}", u8::from(patient % 3 == 0));
        for at in 0..20_u64 {
            let value = 5.0 + random.normal(patient * 100 + at);
            let _ = writeln!(rows, "{patient},{},lactate,{value:.2},mmol/L", at * 90);
        }
    }
    rows.push_str("7,5,troponin,1.5,ng/mL\n");
    let (table, second) = (folder.path().join("labs.csv"), folder.path().join("outcomes.csv"));
    put(&table, rows);
    put(&second, outcomes);
    let text = first(&table, &labels(None, None));
    assert!(text.contains("every_seconds = 3600 "), "{text}");
    assert!(text.contains("# left out: troponin (few subjects have it)"), "{text}");
    // The only other column is taken.
    let text = first(&table, &labels(Some(second), None));
    assert!(text.contains("task = \"classify\"") && text.contains("name = \"died\""), "{text}");
}

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

#[test]
fn layouts_say_themselves_what_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (events, data) = (folder.path().join("meds"), folder.path().join("meds/data"));
    std::fs::create_dir_all(&data).unwrap();
    std::fs::create_dir_all(events.join("metadata")).unwrap();
    let event = |subject: i64, hour: i64| NewEvent {
        subject,
        time: Some(hour * HOUR),
        code: "HR",
        value: 70.0 + (subject % 7) as f32,
    };
    let all = (0..60).flat_map(|subject| (0..5).map(move |hour| event(subject, hour))).collect();
    put(&data.join("0.parquet"), write_shard(all));
    let error = init_study(&events, &FirstLabels::default(), &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("name a Parquet file of labels"), "{error}");
    std::fs::create_dir_all(events.join("labels")).unwrap();
    let cases: Vec<(i64, i64, bool)> =
        (0..60).map(|subject| (subject, 4 * HOUR, subject % 2 == 0)).collect();
    put(&events.join("labels/labels.parquet"), write_labels(&cases));
    let text = first(&events, &FirstLabels::default());
    assert!(text.contains("kind = \"meds\"") && text.contains("[\"false\", \"true\"]"), "{text}");
}

#[test]
fn classes_of_an_array_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.npy");
    let error = init_study(&file, &labels(None, Some("died")), &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("classes are told of tables, stays and MEDS"), "{error}");
}
