//! Calibration, recalibration, decision curves and the scores of two challenges against
//! scikit-learn, `NumPy` and the challenge's own scorer (`testdata/eval/make_judging.py`).
#![allow(clippy::unwrap_used, reason = "a test; helpers outside #[test] functions unwrap too")]

mod common;

use common::{Oracle, close, integer};
use sequela_core::SubjectId;
use sequela_eval::bootstrap::Bootstrap;
use sequela_eval::classify::{
    Answers, Confusion, Figure, Ranking, Recalibration, RecalibrationRule, SepsisUtility,
    ThresholdRule, Truth, calibration_line, compare, decision_curve, expected_calibration_error,
    is_stratified, score,
};

const NUMBERS: &str = include_str!("../../../testdata/eval/judging.txt");

fn plain(oracle: &Oracle, name: &str) -> Vec<f64> {
    oracle.plain(name).to_vec()
}

#[test]
fn calibration_and_decisions_with_ties_and_weights() {
    let oracle = Oracle::load(NUMBERS);
    let label: Vec<bool> = plain(&oracle, "label").iter().map(|&x| x > 0.5).collect();
    let thresholds = plain(&oracle, "thresholds");
    for case in ["smooth", "ties", "weights"] {
        let (p, w) = (oracle.list(case, "probability"), oracle.list(case, "weight"));
        let line = calibration_line(p, &label, Some(w)).unwrap();
        let theirs = oracle.list(case, "line");
        close(line.intercept, theirs[0], "intercept");
        close(line.slope, theirs[1], "slope");
        let error = expected_calibration_error(p, &label, Some(w)).unwrap();
        close(error, oracle.one(case, "ece"), "expected calibration error");
        let found = Ranking::new(p, &label).unwrap().sensitivity_at(0.95, Some(w)).unwrap();
        close(found, oracle.one(case, "sensitivity_at_95"), "sensitivity");
        let curve = decision_curve(p, &label, Some(w), &thresholds).unwrap();
        for (at, point) in curve.iter().enumerate() {
            close(point.model, oracle.list(case, "net_benefit")[at], "net benefit");
            close(point.all, oracle.list(case, "net_benefit_all")[at], "net benefit of all");
        }
        let mut confusion = Confusion::new(2);
        for ((&p, &label), &w) in p.iter().zip(&label).zip(w) {
            confusion.add(u32::from(label), u32::from(p >= 0.4), w).unwrap();
        }
        let event_1 = confusion.sensitivity(1).unwrap().min(confusion.precision(1).unwrap());
        close(event_1, oracle.one(case, "event_1"), "event 1");
    }
    let p = oracle.list("smooth", "probability");
    let theirs = plain(&oracle, "precision_recall");
    let curve = Ranking::new(p, &label).unwrap().precision_recall();
    assert_eq!(curve.len() * 2, theirs.len());
    for ((recall, precision), theirs) in curve.into_iter().zip(theirs.chunks(2)) {
        close(recall, theirs[0], "recall");
        close(precision, theirs[1], "precision");
    }
}

#[test]
fn figures_within_classes_where_one_is_rare() {
    let oracle = Oracle::load(NUMBERS);
    let mut truth = Truth::new(2);
    let mut answers = Answers::default();
    let rows = oracle.whole("rare", "subjects").into_iter().zip(oracle.whole("rare", "truth"));
    for ((subject, class), &p) in rows.zip(oracle.list("rare", "probability")) {
        truth.push(&SubjectId::new(subject.to_string()), class).unwrap();
        answers.probabilities.extend([1.0 - p, p]);
    }
    answers.decisions = oracle.whole("rare", "decided");
    assert!(is_stratified(&truth));
    let ends = |figure: Figure, replicates: u32| {
        let bootstrap = Bootstrap { replicates, ..Bootstrap::default() };
        let scores = score(&truth, &answers, &bootstrap).unwrap();
        let score = scores.iter().find(|score| score.figure == figure).unwrap();
        score.estimate.unwrap().interval.bounds().unwrap()
    };
    for (figure, name, replicates) in [
        (Figure::Auroc, "auroc", 2000),
        (Figure::Event1, "event_1", 2000),
        (Figure::CalibrationSlope, "slope", 200),
    ] {
        let ((low, high), theirs) = (ends(figure, replicates), oracle.list("rare", name));
        close(low, theirs[0], name);
        close(high, theirs[1], name);
    }
    let none = compare(&truth, &answers, &answers, &Bootstrap::default()).unwrap();
    assert_eq!(none.len(), Figure::ALL.len() - 5);
    assert!(none.iter().all(|d| d.estimate.unwrap().value.abs() < 1e-15));
}

#[test]
fn the_threshold_of_event_1_is_the_best() {
    let oracle = Oracle::load(NUMBERS);
    let label: Vec<bool> = plain(&oracle, "label").iter().map(|&x| x > 0.5).collect();
    let p = oracle.list("smooth", "probability");
    let threshold = ThresholdRule::Event1.choose(p, &label).unwrap().unwrap();
    let mut confusion = Confusion::new(2);
    for (&p, &label) in p.iter().zip(&label) {
        confusion.add(u32::from(label), u32::from(p >= threshold), 1.0).unwrap();
    }
    let reached = confusion.sensitivity(1).unwrap().min(confusion.precision(1).unwrap());
    close(reached, plain(&oracle, "best_event_1")[0], "event 1");
}

#[test]
fn recalibrations_are_those_of_scikit_learn() {
    let oracle = Oracle::load(NUMBERS);
    let both = |p: &[f64]| -> Vec<f64> { p.iter().flat_map(|&p| [1.0 - p, p]).collect() };
    let (said, truth) = (both(oracle.list("again", "probability")), oracle.whole("again", "label"));
    let fit = |rule: RecalibrationRule| rule.fit(&said, 2, &truth).unwrap().unwrap();
    let mapped = |map: &Recalibration, name: &str| {
        for (&p, &theirs) in oracle.list("again", "new").iter().zip(oracle.list("again", name)) {
            let mut row = [1.0 - p, p];
            map.apply(&mut row);
            close(row[1], theirs, name);
            close(row[0], 1.0 - theirs, name);
        }
    };
    let platt = fit(RecalibrationRule::Platt);
    let Recalibration::Platt { slope, intercept } = &platt else { panic!("{platt:?}") };
    close(*slope, oracle.list("again", "platt")[0], "slope");
    close(*intercept, oracle.list("again", "platt")[1], "intercept");
    mapped(&platt, "platt_new");
    mapped(&fit(RecalibrationRule::Isotonic), "isotonic_new");
    for (case, classes) in [("again", 2), ("three", 3)] {
        let (said, truth) = match classes {
            2 => (said.clone(), truth.clone()),
            _ => (oracle.list(case, "probability").to_vec(), oracle.whole(case, "truth")),
        };
        let map = RecalibrationRule::Temperature.fit(&said, classes, &truth).unwrap().unwrap();
        let Recalibration::Temperature { temperature } = map else { panic!("{map:?}") };
        close(temperature, oracle.one(case, "temperature"), "temperature");
    }
}

#[test]
fn the_utility_of_sepsis_warnings_is_that_of_the_challenge() {
    let oracle = Oracle::load(NUMBERS);
    let (labels, warnings) = (oracle.flags("sepsis", "labels"), oracle.flags("sepsis", "warnings"));
    let (mut utility, mut start) = (SepsisUtility::default(), 0);
    for (patient, &length) in oracle.list("sepsis", "lengths").iter().enumerate() {
        let end = start + integer(length) as usize;
        let who = SubjectId::new(patient.to_string());
        utility.push(&who, &labels[start..end], &warnings[start..end]).unwrap();
        start = end;
    }
    let estimate = utility.estimate(&Bootstrap::default()).unwrap();
    close(estimate.value, oracle.one("sepsis", "utility"), "utility");
    let (low, high) = estimate.interval.bounds().unwrap();
    close(low, oracle.list("sepsis", "interval")[0], "lower end");
    close(high, oracle.list("sepsis", "interval")[1], "upper end");
}
