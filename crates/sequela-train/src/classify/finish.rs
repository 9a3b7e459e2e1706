//! The end of a classifier's training: threshold, baselines, figures, pictures.

use std::path::PathBuf;

use sequela_eval::classify::{
    CalibrationGroup, Ranking, RecalibrationRule, RocPoint, ThresholdRule, calibration,
};
use sequela_eval::picture::{ClassifierLine, ClassifierPicture};

use sequela_data::Cohort;

use super::Classes;
use super::cases::Cases;
use super::dossier::{Dossier, Flow, Judging, NUMBERS, PREDICTIONS, REPORT};
use super::evaluation::{Candidate, ClassEvaluation, candidates};
use super::held::{Held, Training};
use super::predict::{answer, blend};
use super::prepare::Classification;
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
    let training = Training {
        study,
        encoder: &data.encoder,
        train: &data.train,
        tune: &data.tune,
        turns: data.turns.as_ref(),
    };
    let held = training.held((&mut classes, &model), &mut fit.context, observer)?;
    if classes.logistic.is_none() && !study.evaluate.baselines.logistic.is_empty() {
        notes.push("there are too many channels for a logistic regression beside it".into());
    }
    if study.ensemble.trees && classes.trees.is_some() {
        choose_share(&mut classes, &held);
    }
    if let Some(rule) = study.evaluate.recalibrate {
        recalibrate(&mut classes, rule, &held)?;
    }
    if classes.recalibration.is_none() && study.evaluate.recalibrate.is_some() {
        notes.push("the tuning part does not have all classes: nothing is recalibrated".into());
    }
    choose_thresholds(&mut classes, study.evaluate.threshold, &held)?;
    if classes.count() == 2 && classes.threshold.is_none() {
        notes.push(
            "the tuning part does not have both classes: the more probable class is chosen".into(),
        );
    }
    let windows = data.test.series.len();
    observer(&Event::Evaluating { windows, task: study.study.task });
    let candidates = candidates(&model, &classes, &data.test, &mut fit.context)?;
    let threads = fit.context.threads();
    let mut evaluation = ClassEvaluation::judge(&classes, &data.test, &candidates, study, threads)?;
    evaluation.notes.splice(0..0, notes);
    classes.metrics = evaluation.metrics();
    let picture = picture(&study.study.name, &classes, &data.test, &candidates)?;
    let model = model.with_classes(classes.clone());
    let mut all = files(&model, &evaluation, trained, picture);
    all.insert(1, Overlap::file(&model.manifest().provenance, &data.parts));
    let people = if data.judged_on_training { &data.parts.train } else { &data.parts.test };
    let dossier = Dossier {
        study,
        each: vec![Judging { model: &model, classes: &classes, people }],
        folds: None,
        cases: &data.test,
        candidates: &candidates,
        evaluation: &evaluation,
        flow: flow(data),
        overlap: None,
        threads,
    };
    // The page that names the others comes last.
    let last = all.len().saturating_sub(1);
    all.splice(last..last, dossier.files()?);
    let files = report::write(trained.folder, all, observer)?;
    Ok((Judged::Classes(evaluation), files))
}

/// What the networks count for beside the trees: of eleven shares that with the lowest log loss on
/// those held out; a half where there is none.
fn choose_share(classes: &mut Classes, held: &Held) {
    let networks = wide(&held.networks);
    let mut best = (f64::INFINITY, 0.5);
    for tenths in 0..=10_u8 {
        let share = f64::from(tenths) / 10.0;
        let both = blend(&networks, &held.trees, share, classes.count());
        if let Some(loss) = held.cases.log_loss(&both, classes.count())
            && loss < best.0
        {
            best = (loss, share);
        }
    }
    classes.share = Some(best.1);
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
    ];
    match &data.turns {
        Some(turns) => boxes.push((
            format!(
                "tuned on (early stopping, threshold, recalibration): all of them, each by those of \
                 {} that were trained on other parts",
                turns.count()
            ),
            None,
        )),
        None => boxes.push(part(
            "tuned on (early stopping, threshold, recalibration)",
            tune,
            &data.tune,
        )),
    }
    if data.judged_on_training {
        boxes.push(("judged: those trained on".into(), None));
    } else {
        boxes.push(part("judged", test, &data.test));
    }
    Flow { boxes }
}

/// The map that makes probabilities come true, from those held out.
fn recalibrate(classes: &mut Classes, rule: RecalibrationRule, held: &Held) -> Result<(), Error> {
    let Some(truth) = held.cases.class.iter().copied().collect::<Option<Vec<u32>>>() else {
        return Ok(());
    };
    let said = wide(&answer(classes, held.networks.clone(), &held.trees));
    classes.recalibration = rule.fit(&said, classes.count(), &truth)?;
    Ok(())
}

/// The thresholds of two classes, of the model and of the baselines, from those held out.
fn choose_thresholds(classes: &mut Classes, rule: ThresholdRule, held: &Held) -> Result<(), Error> {
    if classes.count() != 2 {
        return Ok(());
    }
    let is_case = held.cases.is(1);
    let choose = |probabilities: &[f64]| -> Result<Option<f64>, Error> {
        let case: Vec<f64> = probabilities.iter().skip(1).step_by(2).copied().collect();
        Ok(match &held.cases.steps {
            Some(steps) => rule.choose_of_steps(&case, &is_case, &steps.gains)?,
            None => rule.choose(&case, &is_case)?,
        })
    };
    classes.threshold = choose(&wide(&answer(classes, held.networks.clone(), &held.trees)))?;
    if classes.share.is_some() {
        classes.network_threshold = choose(&wide(&held.networks))?;
    }
    if let Some(known) = &mut classes.trees {
        known.threshold = choose(&held.trees)?;
    }
    if let Some(known) = &mut classes.logistic {
        known.threshold = choose(&held.logistic)?;
    }
    Ok(())
}

fn wide(said: &[f32]) -> Vec<f64> {
    said.iter().map(|&p| f64::from(p)).collect()
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
