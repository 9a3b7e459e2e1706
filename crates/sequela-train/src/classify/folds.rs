//! The folds of a cross-validation, judged one by one and all together.

use std::fmt::Write as _;
use std::path::Path;

use sequela_eval::classify::{ClassScore, Figure};
use sequela_eval::table::{Align, Table, number};
use sequela_kernels::Context;
use serde_json::{Value, json};

use super::cases::Cases;
use super::evaluation::{Candidate, ClassEvaluation, PREVALENCE, candidates};
use super::prepare::Classification;
use super::{Classes, finish};
use crate::Error;
use crate::model::Model;
use crate::report::{README, RunFile};
use crate::run::{MODEL, STUDY};
use crate::study::Study;

/// Figures of a cross-validation.
///
/// Each subject was judged once, by the model of the fold that had never seen it. Pooled figures
/// are of all subjects together, intervals by subject as ever; they also hold what the folds'
/// probabilities differ in, so that a pooled AUROC may lie below the mean of the folds'.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldEvaluation {
    /// All subjects together.
    pub pooled: ClassEvaluation,
    /// Each fold alone.
    pub folds: Vec<ClassEvaluation>,
}

impl FoldEvaluation {
    /// A figure of every classifier in every fold, with mean and standard deviation over the folds.
    pub fn table(&self, figure: Figure) -> Table {
        let title = format!("{} by fold", figure.name());
        let names = self.pooled.classifiers.iter().map(|c| (c.name.as_str(), Align::Right));
        let columns = [(title.as_str(), Align::Left), ("subjects", Align::Right)];
        let mut table = Table::new(&columns.into_iter().chain(names).collect::<Vec<_>>());
        let mut values = vec![Vec::new(); self.pooled.classifiers.len()];
        for (at, fold) in self.folds.iter().enumerate() {
            let mut row = vec![(at + 1).to_string(), fold.subjects.to_string()];
            for (values, pooled) in values.iter_mut().zip(&self.pooled.classifiers) {
                let scores = fold.classifiers.iter().find(|c| c.name == pooled.name);
                let estimate = scores.and_then(|c| find(&c.scores, figure));
                values.extend(estimate.map(|estimate| estimate.value));
                row.push(estimate.map_or_else(
                    || "undefined".to_owned(),
                    |estimate| table.figure(&estimate, DECIMALS),
                ));
            }
            table.row(row);
        }
        let row = values.iter().map(|values| mean_and_deviation(values));
        table.row(["mean (deviation)".to_owned(), String::new()].into_iter().chain(row));
        table
    }

    /// The figures that are told of each fold.
    fn told(&self) -> impl Iterator<Item = Figure> {
        let has = |figure| {
            self.pooled.classifiers.first().is_some_and(|c| find(&c.scores, figure).is_some())
        };
        FIGURES.into_iter().filter(move |figure| *figure != Figure::Utility || has(*figure))
    }

    /// Pooled tables, then those of the folds, for a terminal.
    pub fn text(&self) -> String {
        let mut text = self.pooled.text();
        for figure in self.told() {
            let _ = write!(text, "\n{}", self.table(figure).text());
        }
        text
    }

    /// The same as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = self.pooled.markdown();
        let _ = write!(
            text,
            "\n## The {} folds\n\nEach judged on its own subjects, whom its model and its choices have not \
             seen.\n",
            self.folds.len()
        );
        for figure in self.told() {
            let _ = write!(text, "\n{}", self.table(figure).markdown());
        }
        text
    }

    /// All figures as JSON: those pooled, and under `folds` those of each.
    pub fn to_json(&self) -> String {
        let parsed = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
        let mut value: Value = parsed(&self.pooled.to_json());
        let folds: Vec<Value> = self.folds.iter().map(|fold| parsed(&fold.to_json())).collect();
        if let Value::Object(object) = &mut value {
            object.insert("folds".into(), json!(folds));
        }
        let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// What the models of the folds say, of subject after subject.
#[derive(Default)]
pub(crate) struct Pool {
    cases: Cases,
    candidates: Vec<Candidate>,
    folds: Vec<ClassEvaluation>,
    classes: Option<Classes>,
}

impl Pool {
    /// Adds a fold that was trained: what its model file says of its test part.
    pub(crate) fn add(
        &mut self,
        data: &Classification,
        model: &Model,
        evaluation: ClassEvaluation,
        context: &mut Context,
    ) -> Result<(), Error> {
        let classes = model.classes()?;
        if let Some(before) = &self.classes
            && before.names != classes.names
        {
            return Err(Error::data(
                "data.label",
                "the training parts of the folds do not have the same classes",
                "name them: classes = [...] in data.label",
            ));
        }
        let found = candidates(model, classes, &data.test, context)?;
        if self.classes.is_none() {
            self.candidates = found;
            self.classes = Some(classes.clone());
        } else {
            // A baseline that a fold lacks is not judged.
            self.candidates.retain(|known| found.iter().any(|new| new.name == known.name));
            for known in &mut self.candidates {
                let Some(new) = found.iter().find(|new| new.name == known.name) else { continue };
                known.answers.probabilities.extend(&new.answers.probabilities);
                known.answers.decisions.extend(&new.answers.decisions);
            }
        }
        // Every fold decided by a threshold of its own.
        self.candidates.iter_mut().for_each(|candidate| candidate.threshold = None);
        self.cases.append(&data.test);
        self.folds.push(evaluation);
        Ok(())
    }

    /// Judges all folds together; the evaluation and the picture of it.
    pub(crate) fn judge(mut self, study: &Study) -> Result<(FoldEvaluation, String), Error> {
        let Some(classes) = self.classes else {
            return Err(Error::data("split.folds", "no fold was judged", "report this as a bug"));
        };
        // The folds' frequencies differ by chance, and against the subjects that are left for the
        // test: of all subjects together there is one frequency.
        for candidate in self.candidates.iter_mut().filter(|c| c.name == PREVALENCE) {
            let classes = classes.count();
            let probabilities = &mut candidate.answers.probabilities;
            for class in 0..classes {
                let of_class = || probabilities.iter().skip(class).step_by(classes);
                let mean = of_class().sum::<f64>() / (of_class().count() as f64).max(1.0);
                probabilities.iter_mut().skip(class).step_by(classes).for_each(|p| *p = mean);
            }
        }
        let mut pooled = ClassEvaluation::judge(&classes, &self.cases, &self.candidates, study)?;
        pooled.notes.push(format!(
            "cross-validation: {} folds by {}; each subject was judged once, by a model that \
             was neither trained nor tuned on it",
            self.folds.len(),
            study.split.group.as_deref().unwrap_or("subject")
        ));
        for note in self.folds.iter().flat_map(|fold| &fold.notes) {
            // What differs from fold to fold stands in the folds' own pages.
            let common = self.folds.iter().all(|fold| fold.notes.contains(note));
            if common && !pooled.notes.contains(note) {
                pooled.notes.push(note.clone());
            }
        }
        let name = format!("{}, all folds", study.study.name);
        let picture = finish::picture(&name, &classes, &self.cases, &self.candidates)?;
        Ok((FoldEvaluation { pooled, folds: self.folds }, picture))
    }
}

/// The files of a cross-validation.
pub(crate) fn files(study: &Study, evaluation: &FoldEvaluation, picture: String) -> Vec<RunFile> {
    vec![
        ("evaluation.json", evaluation.to_json().into_bytes()),
        ("evaluation.md", evaluation.markdown().into_bytes()),
        ("classes.svg", picture.into_bytes()),
        (README, page(study, evaluation).into_bytes()),
    ]
}

/// The folder of a fold, from 1.
pub(crate) fn folder(run: &Path, fold: usize) -> std::path::PathBuf {
    run.join(format!("fold-{fold}"))
}

fn page(study: &Study, evaluation: &FoldEvaluation) -> String {
    let folds = evaluation.folds.len();
    let by = study.split.group.as_deref().unwrap_or("subject");
    format!(
        "# {}\n\nA cross-validation of sequela {} in {folds} folds by {by}.\n\n| file | what |\n\
         |---|---|\n\
         | `{STUDY}` | the study as it was run, every field |\n\
         | `evaluation.md`, `evaluation.json` | figures of all subjects together and of each fold |\n\
         | `classes.svg` | ROC curves and calibration of model and baselines, all subjects together |\n\
         | `fold-1` to `fold-{folds}` | a run each, with its `{MODEL}` and its own page |\n\n\
         `sequela train --resume .` goes on with folds that were stopped.\n\n{}",
        study.study.name,
        env!("CARGO_PKG_VERSION"),
        evaluation.pooled.table().markdown(),
    )
}

fn find(scores: &[ClassScore], figure: Figure) -> Option<sequela_eval::bootstrap::Estimate> {
    scores.iter().find(|score| score.figure == figure).and_then(|score| score.estimate)
}

fn mean_and_deviation(values: &[f64]) -> String {
    let count = values.len() as f64;
    if values.len() < 2 {
        return String::new();
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    let deviation = libm::sqrt(squares / (count - 1.0));
    format!("{} ({})", number(mean, DECIMALS), number(deviation, DECIMALS))
}

const FIGURES: [Figure; 3] = [Figure::Auroc, Figure::Auprc, Figure::Utility];
const DECIMALS: usize = 3;
