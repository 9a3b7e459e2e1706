//! A classifier beside its baselines, on people that it has not seen.

use std::fmt::Write as _;

use sequela_data::Cohort;
use sequela_eval::bootstrap::Bootstrap;
use sequela_eval::classify::{
    Answers, ClassDifference, ClassScore, Figure, Truth, difference_table, is_stratified,
    score_table, verdicts,
};
use sequela_eval::table::Table;
use sequela_kernels::Context;
use serde_json::{Value, json};

use super::cases::{Asked, Cases};
use super::predict::{network_probabilities, probabilities};
use super::{ClassMetric, Classes};
use crate::evaluation::estimate;
use crate::judged::notes_list;
use crate::model::Model;
use crate::predict::Options;
use crate::study::Study;
use crate::{Error, network};

/// Figures of a classifier and of its baselines on the same subjects.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassEvaluation {
    /// What is told.
    pub label: String,
    /// The classes; of two the second is the case.
    pub classes: Vec<String>,
    /// How many judged series are of each.
    pub counts: Vec<usize>,
    /// Subjects judged.
    pub subjects: usize,
    /// What each judged row is called, where it is a step of a series and not all of it.
    pub step: Option<String>,
    /// The model, then the baselines.
    pub classifiers: Vec<Classifier>,
    /// What has to be known to read the figures.
    pub notes: Vec<String>,
}

/// Figures of one classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    /// Its name.
    pub name: String,
    /// Every figure.
    pub scores: Vec<ClassScore>,
    /// The model less this baseline; none for the model itself.
    pub model_against: Option<Vec<ClassDifference>>,
    /// The probability of the second of two classes from which on it is chosen.
    pub threshold: Option<f64>,
}

/// A classifier that is to be judged: its name, what it says, and its threshold.
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) answers: Answers,
    pub(super) threshold: Option<f64>,
}

impl ClassEvaluation {
    /// Judges candidates, the model first, on so many threads.
    pub(super) fn judge(
        classes: &Classes,
        cases: &Cases,
        candidates: &[Candidate],
        study: &Study,
        threads: usize,
    ) -> Result<Self, Error> {
        let truth = truth(classes, cases)?;
        let replicates = study.evaluate.replicates;
        let bootstrap = Bootstrap { replicates, threads, ..Bootstrap::default() };
        let answers: Vec<&Answers> = candidates.iter().map(|one| &one.answers).collect();
        // All in one pass over the draws.
        let found = verdicts(&truth, &answers, &bootstrap)?;
        let classifiers =
            candidates.iter().zip(found).enumerate().map(|(at, (one, verdict))| Classifier {
                name: one.name.clone(),
                scores: verdict.scores,
                model_against: (at > 0).then_some(verdict.first_less_this),
                threshold: one.threshold,
            });
        let classifiers = classifiers.collect();
        let mut subjects = truth.subjects().to_vec();
        subjects.sort_unstable();
        subjects.dedup();
        Ok(Self {
            label: classes.label.clone(),
            classes: classes.names.clone(),
            counts: cases.counts(classes.count()),
            subjects: subjects.len(),
            step: cases.steps.is_some().then(|| study.data.step().to_owned()),
            classifiers,
            notes: if is_stratified(&truth) { vec![RARE_NOTE.into()] } else { Vec::new() },
        })
    }

    /// What the figures are about: the second of two classes, or all of more.
    pub fn case(&self) -> String {
        match self.classes.as_slice() {
            [_, case] => format!("{} = {case}", self.label),
            _ => format!("{}, mean over classes", self.label),
        }
    }

    /// Every figure, classifier by classifier.
    pub fn table(&self) -> Table {
        let rows: Vec<(&str, &[ClassScore])> =
            self.classifiers.iter().map(|c| (c.name.as_str(), c.scores.as_slice())).collect();
        score_table(&rows, &self.case())
    }

    /// The model less each baseline, of figures that judge probabilities.
    pub fn differences(&self) -> Table {
        let model = self.classifiers.first().map_or("model", |model| model.name.as_str());
        let told: Vec<(&str, Vec<ClassDifference>)> = self
            .classifiers
            .iter()
            .filter_map(|c| {
                let all = c.model_against.as_deref()?.iter();
                let told = all.filter(|difference| Figure::COMPARED.contains(&difference.figure));
                Some((c.name.as_str(), told.copied().collect()))
            })
            .collect();
        let rows: Vec<(&str, &[ClassDifference])> =
            told.iter().map(|(name, differences)| (*name, differences.as_slice())).collect();
        difference_table(&rows, &format!("{model} less"))
    }

    /// Whether the model ranks subjects better than every baseline.
    pub fn is_best(&self) -> bool {
        let auroc = |classifier: &Classifier| {
            let found = classifier.scores.iter().find(|score| score.figure == Figure::Auroc);
            found.and_then(|score| score.estimate).map(|estimate| estimate.value)
        };
        let Some((model, baselines)) = self.classifiers.split_first() else { return false };
        let Some(model) = auroc(model) else { return false };
        baselines.iter().all(|baseline| auroc(baseline).is_none_or(|other| model > other))
    }

    /// Who was judged: `800 subjects: 689 survived, 111 died`.
    pub fn judged(&self) -> String {
        let each = self.classes.iter().zip(&self.counts);
        let each: Vec<String> = each.map(|(class, count)| format!("{count} {class}")).collect();
        let subjects = match &self.step {
            None => format!("{} subjects", self.subjects),
            Some(step) => {
                let steps: usize = self.counts.iter().sum();
                format!("{steps} {step}s of {} subjects", self.subjects)
            }
        };
        format!("{subjects}, {}: {}", self.label, each.join(", "))
    }

    /// Both tables and the notes, for a terminal.
    pub fn text(&self) -> String {
        let mut text =
            format!("{}\n\n{}\n{}", self.judged(), self.table().text(), self.differences().text());
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }

    /// Both tables and the notes, as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# {} of subjects that the model was not trained on\n\n{}.\n\n{}\n\
             ## The model less each baseline\n\n\
             Paired, on the same subjects and the same draws of them.\n\n{}",
            self.label,
            self.judged(),
            self.table().markdown(),
            self.differences().markdown()
        );
        text.push_str(&notes_list(&self.notes));
        text
    }

    /// All figures as JSON.
    pub fn to_json(&self) -> String {
        let classifiers: Vec<Value> = self.classifiers.iter().map(classifier_json).collect();
        let value = json!({
            "label": self.label,
            "classes": self.classes,
            "counts": self.counts,
            "subjects": self.subjects,
            "rows_are": self.step.as_deref().map_or("series", |step| step),
            "classifiers": classifiers,
            "notes": self.notes,
        });
        let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The figures that a model file keeps.
    pub(super) fn metrics(&self) -> Vec<ClassMetric> {
        let all =
            self.classifiers.iter().flat_map(|c| c.scores.iter().map(move |score| (c, score)));
        all.map(|(classifier, score)| ClassMetric {
            classifier: classifier.name.clone(),
            figure: score.figure.key().to_owned(),
            value: score.estimate.map(|estimate| estimate.value),
            interval: score
                .estimate
                .and_then(|estimate| estimate.interval.bounds())
                .map(|(low, high)| [low, high]),
        })
        .collect()
    }
}

fn classifier_json(classifier: &Classifier) -> Value {
    let figures: serde_json::Map<String, Value> = classifier
        .scores
        .iter()
        .map(|score| (score.figure.key().to_owned(), score.estimate.as_ref().map(estimate).into()))
        .collect();
    let against = classifier.model_against.as_ref().map(|list| {
        list.iter()
            .map(|d| (d.figure.key().to_owned(), d.estimate.as_ref().map(estimate).into()))
            .collect::<serde_json::Map<String, Value>>()
    });
    json!({
        "name": classifier.name,
        "threshold": classifier.threshold,
        "figures": figures,
        "model_less_this": against,
    })
}

pub(super) const RARE_NOTE: &str =
    "a class has fewer than 20 subjects: intervals draw subjects within their class";

pub(super) fn truth(classes: &Classes, cases: &Cases) -> Result<Truth, Error> {
    let mut truth = Truth::new(classes.count());
    for (row, class) in cases.class.iter().enumerate() {
        let subject = cases.subject(row);
        let Some(class) = class else {
            return Err(Error::data(
                subject.as_str(),
                "the class of the series is not known",
                "judge series that have a class",
            ));
        };
        truth.push(subject, *class)?;
    }
    if let Some(steps) = &cases.steps {
        truth = truth.of_steps(steps.clone())?;
    }
    Ok(truth)
}

/// What the frequencies of the classes are called among the classifiers.
pub(super) const PREVALENCE: &str = "prevalence";

/// Everyone who is judged beside each other: the model, the frequencies of the classes, and the
/// logistic regression that the model file keeps.
pub(super) fn candidates(
    model: &Model,
    classes: &Classes,
    cases: &Cases,
    context: &mut Context,
) -> Result<Vec<Candidate>, Error> {
    let candidate = |name: &str, probabilities: Vec<f64>, threshold: Option<f64>| {
        let decisions = classes.decide(&probabilities, threshold);
        let answers = Answers { probabilities, decisions };
        Candidate { name: name.to_owned(), answers, threshold }
    };
    let wide = |said: Vec<f32>| said.into_iter().map(f64::from).collect::<Vec<f64>>();
    let name = network::name(&model.manifest().study);
    let said = wide(probabilities(model, classes, cases, context)?);
    let mut all = Vec::new();
    if classes.share.is_some() {
        all.push(candidate(&format!("{name} + trees"), said, classes.threshold));
        let networks = wide(network_probabilities(model, classes, cases, context)?);
        all.push(candidate(&name, networks, classes.network_threshold));
    } else {
        all.push(candidate(&name, said, classes.threshold));
    }
    all.push(candidate(PREVALENCE, classes.frequencies.repeat(cases.len()), None));
    if let Some(known) = &classes.logistic {
        let probabilities = known.probabilities(cases, &model.manifest().encoder);
        all.push(candidate("logistic regression", probabilities, known.threshold));
    }
    if let Some(known) = &classes.trees {
        all.push(candidate("boosted trees", known.probabilities(cases), known.threshold));
    }
    Ok(all)
}

/// Judges a classifier on the series of a part that have a class.
pub(crate) fn judge(
    model: &Model,
    part: &Cohort,
    options: &Options<'_>,
) -> Result<ClassEvaluation, Error> {
    let classes = model.classes()?;
    let manifest = model.manifest();
    let cases = Cases::of(part, &manifest.encoder, Asked::known(&manifest.study))?;
    let mut context = Context::new(options.threads.max(1))?;
    let candidates = candidates(model, classes, &cases, &mut context)?;
    ClassEvaluation::judge(classes, &cases, &candidates, &manifest.study, context.threads())
}
