//! Parts that are other places or later times, not draws of the same people.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::fmt::Write as _;
use std::path::Path;

use common::finish;
use common::ward::{put, text, ward_study, write_ward};
use sequela_train::{ClassEvaluation, Judged, Override, Report, Study};

const SITES: &str = "data.values=[{ name = \"heart_rate\" }, { name = \"site\" }]";
const QUICK: [&str; 2] = ["train.epochs=2", "evaluate.replicates=50"];

/// Ninety patients in three hospitals, the later the higher their number: 40, 30 and 20 of them.
fn hospitals(folder: &Path) {
    write_ward(folder, 90, 2);
    let table = folder.join("ward.csv");
    let mut out = String::from("patient,hour,heart_rate,lactate,site\n");
    for line in text(&table).lines().skip(1) {
        let (who, rest) = line.split_once(',').unwrap();
        let (hour, rest) = rest.split_once(',').unwrap();
        let number: usize = who[1..].parse().unwrap();
        let site = [40, 70].iter().filter(|&&end| number >= end).count() + 1;
        let hour = hour.parse::<usize>().unwrap() + 24 * number;
        let _ = writeln!(out, "{who},{hour},{rest},{site}");
    }
    put(&table, out);
}

fn study(folder: &Path, changes: &[&str]) -> Study {
    let mut all = QUICK.to_vec();
    all.extend(changes);
    ward_study(folder, &all)
}

fn judged(report: &Report) -> &ClassEvaluation {
    report.evaluation.classes().unwrap()
}

fn refusal(folder: &Path, changes: &[&str]) -> String {
    let changes: Vec<Override> =
        changes.iter().map(|change| Override::parse(change).unwrap()).collect();
    let parsed = Study::parse(common::ward::WARD, &folder.join("ward.toml"), &changes);
    match parsed {
        Err(error) => error.to_string(),
        Ok(study) => {
            let out = folder.join("refused");
            sequela_train::train(&study, &out, &sequela_train::Options::default(), &mut |_| {})
                .unwrap_err()
                .to_string()
        }
    }
}

#[test]
fn a_hospital_is_tested_by_a_model_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    hospitals(folder.path());
    let by = ["split.by=group", "split.group=site", "split.test=[\"3\"]", SITES];
    let report = finish(&study(folder.path(), &by), &folder.path().join("run"));
    assert_eq!(judged(&report).subjects, 20);
    let notes = judged(&report).notes.join("; ");
    assert!(
        notes.contains("tested are the 20 subjects with site 3; none was trained on"),
        "{notes}"
    );

    let named = ["split.tune=[\"2\"]"];
    let report =
        finish(&study(folder.path(), &[&by[..], &named].concat()), &folder.path().join("named"));
    assert_eq!(judged(&report).subjects, 20);
}

#[test]
fn each_hospital_is_tested_once_by_folds() {
    let folder = tempfile::tempdir().unwrap();
    hospitals(folder.path());
    let by = ["split.by=group", "split.group=site", "split.folds=3", SITES];
    let by = [&by[..], &["split.fractions={ tune = 0.2, test = 0.0 }"]].concat();
    let report = finish(&study(folder.path(), &by), &folder.path().join("run"));
    let Judged::Folds(folds) = &report.evaluation else { panic!("no folds") };
    let sizes: Vec<usize> = folds.folds.iter().map(|fold| fold.subjects).collect();
    assert_eq!((sizes, folds.pooled.subjects), (vec![40, 30, 20], 90));
    let notes = folds.pooled.notes.join("; ");
    assert!(notes.contains("3 folds by site; each subject was judged once"), "{notes}");
}

#[test]
fn who_came_last_is_tested() {
    let folder = tempfile::tempdir().unwrap();
    hospitals(folder.path());
    let by = ["split.by=start", "split.fractions={ tune = 0.2, test = 0.2 }"];
    let report = finish(&study(folder.path(), &by), &folder.path().join("run"));
    assert_eq!(judged(&report).subjects, 18);
    let notes = judged(&report).notes.join("; ");
    assert!(notes.contains("tested are the 18 subjects who came last"), "{notes}");
}

#[test]
fn parts_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    hospitals(folder.path());
    let told = |changes: &[&str]| refusal(folder.path(), &[changes, &[SITES][..]].concat());
    let cases: [(&[&str], &str); 7] = [
        (&["split.by=group"], "split.group: nothing says which group"),
        (&["split.group=site"], "split.group: it is for by = \"group\""),
        (&["split.by=group", "split.group=site"], "split.test: nothing says which groups"),
        (
            &["split.by=group", "split.group=site", "split.test=[\"9\"]"],
            "split.test: there is no group 9 of site; the groups are 1, 2, 3",
        ),
        (
            &["split.by=group", "split.group=sight", "split.test=[\"1\"]"],
            "the model has no channel sight",
        ),
        (
            &[
                "split.by=group",
                "split.group=site",
                "split.test=[\"1\"]",
                "split.tune=[\"2\", \"3\"]",
            ],
            "nobody is left to train on",
        ),
        (&["split.by=start", "split.test=[\"p001\"]"], "who came when says already"),
    ];
    for (changes, expected) in cases {
        let error = told(changes);
        assert!(error.contains(expected), "{changes:?}: {error}");
    }
}
