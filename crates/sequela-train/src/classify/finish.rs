//! The end of a classifier's training: threshold, baselines, figures, pictures.

use std::path::PathBuf;

use sequela_eval::classify::{CalibrationGroup, Ranking, RocPoint, calibration, log_loss_classes};
use sequela_eval::picture::{ClassifierLine, ClassifierPicture};

use sequela_data::Cohort;

use super::cases::Cases;
use super::dossier::{Dossier, Flow, NUMBERS, PREDICTIONS, REPORT};
use super::evaluation::{Candidate, ClassEvaluation, candidates};
use super::predict::{blend, network_probabilities, probabilities};
use super::prepare::Classification;
use super::{BoostedTrees, Classes, LogisticRegression};
use crate::fit::Fit;
use crate::judged::Judged;
use crate::model::{Manifest, Model, channels, provenance, without_folders};
use crate::overlap::Overlap;
use crate::report::{self, Page, README, RunFile};
use crate::run::MODEL;
use crate::task::Trained;
use crate::{Error, Event, Observer};

/// Judges a trained classifier beside its baselines and writes its files.
pub(super) fn finish(
    data: &Classification,
    trained: &Trained<'_>,
    fit: &mut Fit<'_>,
    observer: &mut Observer<'_>,
) -> Result<(Judged, Vec<PathBuf>), Error> {
    let study = trained.study;
    let mut classes = data.classes.clone();
    let manifest = Manifest {
        study: without_folders(study),
        schema: channels(&data.cohort),
        encoder: data.encoder.clone(),
        baselines: None,
        classes: Some(classes.clone()),
        provenance: provenance(data, trained, &data.parts.train),
        metrics: Vec::new(),
        imported: None,
    };
    let model = Model::new(manifest, &fit.parameters.tensors())?.with_others(trained.others)?;
    let mut notes = notes(data);
    observer(&Event::Baseline { name: "prevalence, logistic regression" });
    let strengths = &study.evaluate.baselines.logistic;
    let parts = (&data.train, &data.tune);
    let seed = study.study.seed;
    classes.logistic =
        LogisticRegression::fit(parts, &data.encoder, classes.count(), strengths, seed);
    if classes.logistic.is_none() && !strengths.is_empty() {
        notes.push("there are too many channels for a logistic regression beside it".into());
    }
    let leaves = &study.evaluate.baselines.trees;
    if !leaves.is_empty() {
        observer(&Event::Baseline { name: "boosted trees" });
    }
    classes.trees = BoostedTrees::fit(parts, classes.count(), leaves, seed);
    if study.ensemble.trees {
        choose_share(&mut classes, &model, data, fit)?;
    }
    recalibrate(&mut classes, &model, data, fit)?;
    if classes.recalibration.is_none() && study.evaluate.recalibrate.is_some() {
        notes.push("the tuning part does not have all classes: nothing is recalibrated".into());
    }
    choose_thresholds(&mut classes, &model, data, fit)?;
    if classes.count() == 2 && classes.threshold.is_none() {
        notes.push(
            "the tuning part does not have both classes: the more probable class is chosen".into(),
        );
    }
    let windows = data.test.series.len();
    observer(&Event::Evaluating { windows, task: study.study.task });
    let candidates = candidates(&model, &classes, &data.test, &mut fit.context)?;
    let mut evaluation = ClassEvaluation::judge(&classes, &data.test, &candidates, study)?;
    evaluation.notes.splice(0..0, notes);
    classes.metrics = evaluation.metrics();
    let picture = picture(&study.study.name, &classes, &data.test, &candidates)?;
    let model = model.with_classes(classes.clone());
    let mut all = files(&model, &evaluation, trained, picture);
    all.insert(1, Overlap::file(&model.manifest().provenance, &data.parts));
    let dossier = Dossier {
        model: &model,
        classes: &classes,
        people: if data.judged_on_training { &data.parts.train } else { &data.parts.test },
        cases: &data.test,
        candidates: &candidates,
        evaluation: &evaluation,
        flow: flow(data),
        overlap: None,
    };
    // The page that names the others comes last.
    let last = all.len().saturating_sub(1);
    all.splice(last..last, dossier.files()?);
    let files = report::write(trained.folder, all, observer)?;
    Ok((Judged::Classes(evaluation), files))
}

/// What the networks count for beside the trees: of eleven shares that with the lowest log loss on
/// the tuning part; a half where there is none.
fn choose_share(
    classes: &mut Classes,
    model: &Model,
    data: &Classification,
    fit: &mut Fit<'_>,
) -> Result<(), Error> {
    let Some(trees) = &classes.trees else { return Ok(()) };
    let networks = network_probabilities(model, classes, &data.tune, &mut fit.context)?;
    let networks: Vec<f64> = networks.iter().map(|&p| f64::from(p)).collect();
    let trees = trees.probabilities(&data.tune);
    let truth: Option<Vec<u32>> = data.tune.class.iter().copied().collect();
    let mut best = (f64::INFINITY, 0.5);
    for tenths in 0..=10_u8 {
        let share = f64::from(tenths) / 10.0;
        let both = blend(&networks, &trees, share, classes.count());
        let truth = truth.as_deref().unwrap_or_default();
        if let Ok(loss) = log_loss_classes(&both, classes.count(), truth, None)
            && loss < best.0
        {
            best = (loss, share);
        }
    }
    classes.share = Some(best.1);
    Ok(())
}

/// Who was read, who was left out, and into which parts the others went.
fn flow(data: &Classification) -> Flow {
    let [train, tune, test] = [&data.parts.train, &data.parts.tune, &data.parts.test];
    let known = train.subjects().len() + tune.subjects().len() + test.subjects().len();
    let left_out = data.read.saturating_sub(known);
    let part = |name: &str, part: &Cohort, cases: &Cases| {
        let each = data.classes.names.iter().zip(cases.counts(data.classes.names.len()));
        let each: Vec<String> = each.map(|(name, count)| format!("{count} {name}")).collect();
        (
            format!("{name}: {} subjects, {} series", part.subjects().len(), part.len()),
            Some(each.join(", ")),
        )
    };
    let without =
        (left_out > 0).then(|| format!("{left_out} without {} left out", data.classes.label));
    let mut boxes = vec![
        (format!("read: {} subjects", data.read), without),
        (format!("with {}: {known} subjects", data.classes.label), None),
        part("trained on", train, &data.train),
        part("tuned on (early stopping, threshold, recalibration)", tune, &data.tune),
    ];
    if data.judged_on_training {
        boxes.push(("judged: those trained on".into(), None));
    } else {
        boxes.push(part("judged", test, &data.test));
    }
    Flow { boxes }
}

/// The map that makes probabilities come true, from the tuning part.
fn recalibrate(
    classes: &mut Classes,
    model: &Model,
    data: &Classification,
    fit: &mut Fit<'_>,
) -> Result<(), Error> {
    let Some(rule) = model.manifest().study.evaluate.recalibrate else { return Ok(()) };
    let Some(truth) = data.tune.class.iter().copied().collect::<Option<Vec<u32>>>() else {
        return Ok(());
    };
    let said = probabilities(model, classes, &data.tune, &mut fit.context)?;
    let said: Vec<f64> = said.iter().map(|&p| f64::from(p)).collect();
    classes.recalibration = rule.fit(&said, classes.count(), &truth)?;
    Ok(())
}

/// The thresholds of two classes, of the model and of the regression, from the tuning part.
fn choose_thresholds(
    classes: &mut Classes,
    model: &Model,
    data: &Classification,
    fit: &mut Fit<'_>,
) -> Result<(), Error> {
    if classes.count() != 2 {
        return Ok(());
    }
    let rule = model.manifest().study.evaluate.threshold;
    let is_case = data.tune.is(1);
    let choose = |probabilities: &[f64]| -> Result<Option<f64>, Error> {
        let case: Vec<f64> = probabilities.iter().skip(1).step_by(2).copied().collect();
        Ok(match &data.tune.steps {
            Some(steps) => rule.choose_of_steps(&case, &is_case, &steps.gains)?,
            None => rule.choose(&case, &is_case)?,
        })
    };
    let network = probabilities(model, classes, &data.tune, &mut fit.context)?;
    let network: Vec<f64> = network.iter().map(|&p| f64::from(p)).collect();
    classes.threshold = choose(&network)?;
    if classes.share.is_some() {
        let alone = network_probabilities(model, classes, &data.tune, &mut fit.context)?;
        classes.network_threshold =
            choose(&alone.iter().map(|&p| f64::from(p)).collect::<Vec<f64>>())?;
    }
    if let Some(known) = &mut classes.trees {
        known.threshold = choose(&known.probabilities(&data.tune))?;
    }
    if let Some(known) = &mut classes.logistic {
        known.threshold = choose(&known.probabilities(&data.tune, &data.encoder))?;
    }
    Ok(())
}

fn files(
    model: &Model,
    evaluation: &ClassEvaluation,
    trained: &Trained<'_>,
    picture: String,
) -> Vec<RunFile> {
    let page = Page {
        figures: ("figures of the model and its baselines, with intervals", &evaluation.table()),
        pictures: &[
            (
                REPORT,
                "everything about the judgement on one page, for people; open it in a browser",
            ),
            (NUMBERS, "its numbers, for machines"),
            (PREDICTIONS, "what was said of whom: names the subjects that were judged"),
            ("classes.svg", "ROC curves and calibration of model and baselines"),
        ],
        usage: ("Classify other subjects", "patients.csv"),
        notes: &evaluation.notes,
    };
    vec![
        (MODEL, model.to_bytes()),
        ("evaluation.json", evaluation.to_json().into_bytes()),
        ("evaluation.md", evaluation.markdown().into_bytes()),
        ("loss.svg", report::loss(trained).into_bytes()),
        ("classes.svg", picture.into_bytes()),
        (README, page.markdown(model).into_bytes()),
    ]
}

/// What one line of the picture is drawn from.
struct Curves<'a> {
    name: &'a str,
    roc: Vec<RocPoint>,
    decision: Option<(f64, f64)>,
    calibration: Vec<CalibrationGroup>,
}

/// ROC and calibration: of every classifier for two classes, of every class of the model for more.
pub(super) fn picture(
    name: &str,
    classes: &Classes,
    cases: &Cases,
    candidates: &[Candidate],
) -> Result<String, Error> {
    let count = classes.count();
    let wanted: Vec<(&str, &Candidate, usize)> = if count == 2 {
        candidates.iter().map(|candidate| (candidate.name.as_str(), candidate, 1)).collect()
    } else {
        let each = classes.names.iter().enumerate().take(MOST_LINES);
        each.map(|(class, name)| (name.as_str(), &candidates[0], class)).collect()
    };
    let mut curves: Vec<Curves<'_>> = Vec::with_capacity(wanted.len());
    for (name, candidate, class) in wanted {
        let (probability, truth) = (candidate.answers.of(class, count), cases.is(class));
        let curve = Ranking::new(&probability, &truth)?.curve();
        // The decision's own point lies on the curve: where its threshold cuts it.
        let decision = candidate.threshold.map(|threshold| {
            let point = curve.iter().rfind(|point| point.score >= threshold);
            point.map_or((0.0, 0.0), |point| (point.sensitivity, point.false_alarms))
        });
        let calibration = calibration(&probability, &truth, GROUPS)?;
        curves.push(Curves { name, roc: curve, decision, calibration });
    }
    let lines: Vec<ClassifierLine<'_>> = curves
        .iter()
        .map(|curves| ClassifierLine {
            name: curves.name,
            roc: &curves.roc,
            decision: curves.decision,
            calibration: &curves.calibration,
        })
        .collect();
    let case = if count == 2 { classes.names[1].as_str() } else { "the class" };
    let case = if count == 2 { format!("{} = {case}", classes.label) } else { case.to_owned() };
    let title = format!("{name}: ROC and calibration");
    Ok(ClassifierPicture { title: &title, case: &case, lines: &lines }.to_svg())
}

fn notes(data: &Classification) -> Vec<String> {
    let mut notes = data.notes.clone();
    if data.judged_on_training {
        notes.push(
            "no test part was kept apart: the figures are of the very subjects that were trained on"
                .into(),
        );
    }
    if data.classes.weights.iter().any(|&weight| (weight - 1.0).abs() > 0.0) {
        let each = data.classes.names.iter().zip(&data.classes.weights);
        let each: Vec<String> = each.map(|(name, weight)| format!("{name} {weight:.3}")).collect();
        notes.push(format!(
            "class weights in training ({}) are taken out of the probabilities",
            each.join(", ")
        ));
    }
    notes
}

/// Groups of a calibration curve.
const GROUPS: usize = 10;
/// Classes drawn at most.
const MOST_LINES: usize = 7;
