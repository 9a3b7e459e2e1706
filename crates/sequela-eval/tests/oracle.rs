//! Every metric and interval against scikit-learn and `NumPy` (`testdata/eval/make_eval.py`).
#![allow(clippy::unwrap_used, reason = "a test; helpers outside #[test] functions unwrap too")]

mod common;

use std::collections::BTreeMap;

use common::{Oracle, close, integer, same};
use sequela_core::SubjectId;
use sequela_eval::bootstrap::{Bootstrap, Interval};
use sequela_eval::classify::{
    self, Answers, Confusion, Figure, Ranking, ThresholdRule, brier, calibration, log_loss,
    log_loss_classes,
};
use sequela_eval::forecast::{Truth, compare, mase, score};

const NUMBERS: &str = include_str!("../../../testdata/eval/eval.txt");

/// The figures of the file, in its order; those of calibration have a file of their own.
const FIGURES: [Figure; 10] = [
    Figure::Auroc,
    Figure::Auprc,
    Figure::Brier,
    Figure::LogLoss,
    Figure::ObservedLessExpected,
    Figure::Accuracy,
    Figure::Sensitivity,
    Figure::Specificity,
    Figure::Precision,
    Figure::F1,
];

fn forecast_case(case: &str) -> Vec<Interval> {
    let oracle = Oracle::load(NUMBERS);
    let subjects: Vec<SubjectId> =
        oracle.whole(case, "subjects").iter().map(|s| SubjectId::new(s.to_string())).collect();
    let horizons: Vec<usize> =
        oracle.whole(case, "horizons").iter().map(|&horizon| horizon as usize).collect();
    let mut truth = Truth::new(&horizons);
    let values = oracle.narrow(case, "truth");
    let rows = values.chunks(horizons.len()).zip(oracle.list(case, "weights"));
    for ((row, &weight), subject) in rows.zip(&subjects) {
        let row: Vec<Option<f32>> = row.iter().map(|&value| Some(value)).collect();
        truth.push_weighted(subject, weight, &row).unwrap();
    }
    let (model, baseline) = (oracle.narrow(case, "model"), oracle.narrow(case, "baseline"));
    let seed = u64::from(integer(oracle.one(case, "seed")));
    let bootstrap = Bootstrap { seed, ..Bootstrap::default() };
    let scales: BTreeMap<SubjectId, f64> = oracle
        .list(case, "scales")
        .iter()
        .enumerate()
        .map(|(subject, &scale)| (SubjectId::new(subject.to_string()), scale))
        .collect();

    let scores = score(&truth, &model, &bootstrap).unwrap();
    let differences = compare(&truth, &model, &baseline, &bootstrap).unwrap();
    let scaled = mase(&truth, &model, &scales, &bootstrap).unwrap();
    for ((score, difference), scaled) in scores.iter().zip(&differences).zip(&scaled) {
        let at = |name: &str| format!("{name}/{}", score.horizon);
        same(&score.mae, &oracle, case, &at("mae"));
        same(&score.rmse, &oracle, case, &at("rmse"));
        same(&score.bias, &oracle, case, &at("bias"));
        same(&difference.mae_difference, &oracle, case, &at("mae_difference"));
        same(&difference.rmse_difference, &oracle, case, &at("rmse_difference"));
        same(&difference.skill, &oracle, case, &at("skill"));
        same(scaled, &oracle, case, &at("mase"));
    }
    scores.iter().map(|score| score.mae.interval).collect()
}

#[test]
fn forecasts_of_several_people() {
    let intervals = forecast_case("people");
    assert!(matches!(intervals[0], Interval::Subjects { subjects: 7, .. }), "{intervals:?}");
    assert!(matches!(intervals[2], Interval::Subjects { subjects: 6, .. }), "{intervals:?}");
}

#[test]
fn forecasts_of_one_person() {
    let intervals = forecast_case("one");
    assert!(matches!(intervals[0], Interval::Time { block: 5, .. }), "{intervals:?}");
    assert!(matches!(intervals[1], Interval::Time { block: 8, .. }), "{intervals:?}");
}

#[test]
fn binary_metrics_with_ties_and_weights() {
    let oracle = Oracle::load(NUMBERS);
    for case in ["smooth", "ties", "weights", "rare", "pair"] {
        let probability = oracle.list(case, "probability");
        let label = oracle.flags(case, "label");
        let weight = Some(oracle.list(case, "weight"));
        let ranking = Ranking::new(probability, &label).unwrap();
        close(ranking.auroc(weight).unwrap(), oracle.one(case, "auroc"), case);
        close(ranking.average_precision(weight).unwrap(), oracle.one(case, "auprc"), case);
        close(brier(probability, &label, weight).unwrap(), oracle.one(case, "brier"), case);
        close(log_loss(probability, &label, weight).unwrap(), oracle.one(case, "log_loss"), case);
    }
}

#[test]
fn an_auroc_with_its_interval_by_subject() {
    let oracle = Oracle::load(NUMBERS);
    let subjects: Vec<SubjectId> =
        oracle.whole("smooth", "subjects").iter().map(|s| SubjectId::new(s.to_string())).collect();
    let label = oracle.flags("smooth", "label");
    let ranking = Ranking::new(oracle.list("smooth", "probability"), &label).unwrap();
    let bootstrap = Bootstrap { seed: 5, ..Bootstrap::default() };
    let auroc = bootstrap.estimate(&subjects, |weights| ranking.auroc(Some(weights)).ok()).unwrap();
    let (low, high) = auroc.interval.bounds().unwrap();
    let theirs = oracle.list("smooth", "auroc_interval");
    close(low, theirs[0], "lower end");
    close(high, theirs[1], "upper end");
}

#[test]
fn decisions_and_probabilities_of_several_classes() {
    let oracle = Oracle::load(NUMBERS);
    let (truth, decided) = (oracle.whole("classes", "truth"), oracle.whole("classes", "decided"));
    let weight = oracle.list("classes", "weight");
    let loss =
        log_loss_classes(oracle.list("classes", "probability"), 4, &truth, Some(weight)).unwrap();
    close(loss, oracle.one("classes", "log_loss"), "log loss");
    let mut confusion = Confusion::new(4);
    for ((&truth, &decided), &weight) in truth.iter().zip(&decided).zip(weight) {
        confusion.add(truth, decided, weight).unwrap();
    }
    close(confusion.accuracy().unwrap(), oracle.one("classes", "accuracy"), "accuracy");
    for class in 0..4 {
        let at = |name: &str| oracle.list("classes", name)[class];
        close(confusion.sensitivity(class).unwrap(), at("sensitivity"), "sensitivity");
        close(confusion.precision(class).unwrap(), at("precision"), "precision");
        close(confusion.specificity(class).unwrap(), at("specificity"), "specificity");
        close(confusion.f1(class).unwrap(), at("f1"), "f1");
        for decision in 0..4 {
            let theirs = oracle.list("classes", "confusion")[4 * class + decision];
            close(confusion.count(class, decision), theirs, "confusion");
        }
    }
}

fn whole(case: &str, classes: usize) -> (classify::Truth, [Answers; 2]) {
    let oracle = Oracle::load(NUMBERS);
    let mut truth = classify::Truth::new(classes);
    for (subject, class) in
        oracle.whole("whole", "subjects").iter().zip(oracle.whole(case, "truth"))
    {
        truth.push(&SubjectId::new(subject.to_string()), class).unwrap();
    }
    let answers = ["model", "other"].map(|name| Answers {
        probabilities: oracle.list(case, name).to_vec(),
        decisions: oracle.whole(case, &format!("{name}/decided")),
    });
    (truth, answers)
}

#[test]
fn whole_classifiers_and_their_paired_differences() {
    let oracle = Oracle::load(NUMBERS);
    for (case, classes) in [("whole2", 2), ("whole3", 3)] {
        let (truth, [model, other]) = whole(case, classes);
        let scores = classify::score(&truth, &model, &Bootstrap::default()).unwrap();
        let differences = classify::compare(&truth, &model, &other, &Bootstrap::default()).unwrap();
        let theirs = oracle.list(case, "figures");
        for (figure, theirs) in FIGURES.into_iter().zip(theirs) {
            let ours = scores.iter().find(|score| score.figure == figure);
            match ours {
                Some(ours) => close(ours.estimate.unwrap().value, *theirs, figure.key()),
                None => assert!(theirs.is_nan(), "{case}: {}", figure.key()),
            }
        }
        for (figure, difference) in Figure::COMPARED.into_iter().take(4).zip(&differences) {
            let score = scores.iter().find(|score| score.figure == figure).unwrap();
            same(&score.estimate.unwrap(), &oracle, case, figure.key());
            let name = format!("{}/difference", figure.key());
            same(&difference.estimate.unwrap(), &oracle, case, &name);
        }
        for figure in [Figure::Kappa, Figure::Accuracy] {
            let Some(score) = scores.iter().find(|score| score.figure == figure) else {
                assert_eq!((figure, classes), (Figure::Kappa, 2));
                continue;
            };
            same(&score.estimate.unwrap(), &oracle, case, figure.key());
            let difference = differences.iter().find(|found| found.figure == figure).unwrap();
            let name = format!("{}/difference", figure.key());
            same(&difference.estimate.unwrap(), &oracle, case, &name);
        }
        // Three in one pass are what two and two are.
        let all = classify::verdicts(&truth, &[&model, &other, &model], &Bootstrap::default());
        let all = all.unwrap();
        assert_eq!((&all[0].scores, &all[1].first_less_this), (&scores, &differences));
        assert!(all[2].first_less_this.iter().all(|d| d.estimate.unwrap().value.abs() < 1e-15));
    }
}

#[test]
fn intervals_of_decision_curves_and_of_calibrated_groups() {
    let oracle = Oracle::load(NUMBERS);
    let (truth, [model, _]) = whole("whole2", 2);
    let p = model.of(1, 2);
    let thresholds = oracle.list("whole2", "thresholds");
    let usual = Bootstrap::default();
    let (curve, intervals) =
        classify::decision_curve_spread(&truth, (1, &p), thresholds, &usual).unwrap();
    let (groups, of_groups) = classify::calibration_spread(&truth, (1, &p), 8, &usual).unwrap();
    let ours = curve.iter().map(|point| point.model).zip(intervals);
    let observed = groups.iter().map(|group| group.observed).zip(of_groups);
    for (name, ours) in
        [("net_benefit", ours.collect::<Vec<_>>()), ("observed", observed.collect())]
    {
        let theirs = oracle.list("whole2", name);
        assert_eq!(theirs.len(), 3 * ours.len());
        for ((value, interval), theirs) in ours.into_iter().zip(theirs.chunks(3)) {
            let (low, high) = interval.bounds().unwrap();
            close(value, theirs[0], name);
            close(low, theirs[1], name);
            close(high, theirs[2], name);
        }
    }
}

#[test]
fn thresholds_curves_and_calibration_of_two_classes() {
    let oracle = Oracle::load(NUMBERS);
    let (truth, [model, _]) = whole("whole2", 2);
    let (probability, label) = (model.of(1, 2), truth.is(1));
    for (rule, name) in [(ThresholdRule::Youden, "youden"), (ThresholdRule::F1, "best_f1")] {
        let threshold = rule.choose(&probability, &label).unwrap().unwrap();
        let mut confusion = Confusion::new(2);
        for (&p, &label) in probability.iter().zip(&label) {
            confusion.add(u32::from(label), u32::from(p >= threshold), 1.0).unwrap();
        }
        let reached = match rule {
            ThresholdRule::F1 => confusion.f1(1).unwrap(),
            _ => confusion.sensitivity(1).unwrap() + confusion.specificity(1).unwrap() - 1.0,
        };
        close(reached, oracle.one("whole2", name), name);
    }
    let curve = Ranking::new(&probability, &label).unwrap().curve();
    let theirs = oracle.list("whole2", "roc");
    assert_eq!(curve.len() * 2, theirs.len());
    for (point, theirs) in curve.iter().zip(theirs.chunks(2)) {
        close(point.false_alarms, theirs[0], "false alarms");
        close(point.sensitivity, theirs[1], "sensitivity");
    }
    // 240 rows without ties in 8 groups: the groups of scikit-learn's quantiles.
    let groups = calibration(&probability, &label, 8).unwrap();
    for (group, theirs) in groups.iter().zip(oracle.list("whole2", "calibration").chunks(2)) {
        close(group.observed, theirs[0], "observed");
        close(group.expected, theirs[1], "expected");
    }
}
