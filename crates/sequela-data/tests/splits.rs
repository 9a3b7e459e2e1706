//! Splits by lists, and the messages of refused ones.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use sequela_core::{Sequence, SubjectId};
use sequela_data::split::{
    Folds, Fractions, Split, SubjectLists, by_lists, by_subject, by_time, check_leakage, folds,
};
use sequela_data::{Cohort, heart_rate::schema};

fn cohort(subjects: &[&str]) -> Cohort {
    let sequences = subjects
        .iter()
        .enumerate()
        .map(|(i, s)| {
            Sequence::numeric(format!("r{i}"), SubjectId::new(*s), 1, &[1.0; 10]).unwrap()
        })
        .collect();
    Cohort::new(schema(), sequences, "ward").unwrap()
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn lists_put_all_records_of_a_subject_into_one_part() {
    let cohort = cohort(&["a", "b", "a", "c"]);
    let lists = SubjectLists { test: names(&["a"]), ..SubjectLists::default() };
    let split = by_lists(&cohort, &lists).unwrap();
    assert_eq!((split.train.as_slice(), split.test.as_slice()), (&[1, 3][..], &[0, 2][..]));
    let lists = SubjectLists { train: names(&["b"]), test: names(&["a"]), tune: vec![] };
    assert_eq!(by_lists(&cohort, &lists).unwrap().train, [1]);
}

#[test]
fn lists_that_cannot_be_are_refused() {
    let cohort = cohort(&["a", "b"]);
    let refuse = |train: &[&str], test: &[&str]| {
        let lists = SubjectLists { train: names(train), tune: vec![], test: names(test) };
        by_lists(&cohort, &lists).unwrap_err().to_string()
    };
    assert_eq!(
        refuse(&["a"], &["a"]),
        "subject a is in both train and test; keep each subject in one part"
    );
    assert!(refuse(&[], &["x"]).contains("field split.test: there is no subject x"));
    assert!(refuse(&[], &["a", "b"]).contains("no subject is left for training"));
}

#[test]
fn too_few_subjects_and_wrong_shares() {
    let one = cohort(&["a", "a"]);
    let error = by_subject(&one, Fractions::default(), 1).unwrap_err();
    assert!(error.to_string().contains("1 subjects are too few"), "{error}");
    assert_eq!(error.class().exit_code(), 3);
    for fractions in [
        Fractions { tune: 0.5, test: 0.5 },
        Fractions { tune: -0.1, test: 0.5 },
        Fractions { tune: f64::NAN, test: 0.1 },
    ] {
        assert_eq!(by_subject(&one, fractions, 1).unwrap_err().class().exit_code(), 2);
        assert_eq!(by_time(&one, fractions, 1).unwrap_err().class().exit_code(), 2);
    }
    for count in [1, 2] {
        assert!(folds(&one, &BTreeMap::new(), Folds { count, tune: 0.0 }, 1).is_err());
    }
    assert!(by_time(&one, Fractions::default(), 100).is_err());
}

#[test]
fn a_split_of_other_data_is_found_out() {
    let split = Split { train: vec![0], tune: vec![], test: vec![7] };
    let error = check_leakage(&cohort(&["a", "b"]), &split).unwrap_err();
    assert!(error.to_string().contains("position 7 is not in the cohort"), "{error}");
}
