//! The folds of a cross-validation, judged one by one and all together.

use std::fmt::Write as _;
use std::path::Path;

use sequela_data::Cohort;
use sequela_eval::classify::{ClassScore, Figure};
use sequela_eval::table::{Align, Table, number};
use sequela_kernels::Context;
use serde_json::{Value, json};

use super::cases::Cases;
use super::dossier::{Dossier, Flow, Judging, NUMBERS, PREDICTIONS, REPORT};
use super::evaluation::{Candidate, ClassEvaluation, PREVALENCE, candidates};
use super::finish;
use super::prepare::Classification;
use crate::model::Model;
use crate::report::{README, RunFile};
use crate::run::{MODEL, STUDY};
use crate::study::Study;
use crate::{Error, network};

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
    /// The settings that each fold chose; none where all have those of the study.
    pub chosen: Vec<ChosenSettings>,
}

/// The settings that a search inside a fold came to.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenSettings {
    /// The fold, from 1.
    pub fold: usize,
    /// Settings that were tried.
    pub trials: usize,
    /// The trial that was best, from 1; 1 is the study as it is.
    pub trial: u64,
    /// Searched fields and their values, as TOML.
    pub values: Vec<(String, String)>,
    /// Its tuning loss.
    pub tune_loss: Option<f64>,
    /// The epoch of that loss, from 1.
    pub epoch: Option<u64>,
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
    pub(super) fn told(&self) -> impl Iterator<Item = Figure> {
        let has = |figure| {
            self.pooled.classifiers.first().is_some_and(|c| find(&c.scores, figure).is_some())
        };
        FIGURES.into_iter().filter(move |figure| *figure != Figure::Utility || has(*figure))
    }

    /// The settings of each fold, where the folds chose them.
    pub fn settings(&self) -> Option<Table> {
        let first = self.chosen.first()?;
        let mut columns = vec![("settings by fold", Align::Left)];
        columns.extend(first.values.iter().map(|(field, _)| (field.as_str(), Align::Right)));
        columns.extend(["trial", "of", "tuning loss", "at epoch"].map(|name| (name, Align::Right)));
        let mut table = Table::new(&columns);
        for one in &self.chosen {
            let mut row = vec![one.fold.to_string()];
            row.extend(one.values.iter().map(|(_, value)| value.trim_matches('"').to_owned()));
            row.extend([one.trial.to_string(), one.trials.to_string()]);
            row.push(one.tune_loss.map_or_else(String::new, |loss| number(loss, 5)));
            row.push(one.epoch.map_or_else(String::new, |epoch| epoch.to_string()));
            table.row(row);
        }
        if self.chosen.iter().any(|one| one.trial == 1) {
            table.note("trial 1 is the study as it is");
        }
        Some(table)
    }

    /// Pooled tables, then those of the folds, for a terminal.
    pub fn text(&self) -> String {
        let mut text = self.pooled.text();
        if let Some(settings) = self.settings() {
            let _ = write!(text, "\n{}", settings.text());
        }
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
        if let Some(settings) = self.settings() {
            let _ = write!(
                text,
                "\n## Settings\n\nEach fold searched among its own training subjects, by its own \
                 tuning part.\n\n{}",
                settings.markdown()
            );
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
            if !self.chosen.is_empty() {
                let each = self.chosen.iter().map(chosen_json);
                object.insert("settings".into(), each.collect());
            }
        }
        let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text.push('\n');
        text
    }
}

fn chosen_json(one: &ChosenSettings) -> Value {
    let values = one.values.iter();
    let values = values.map(|(field, value)| (field.clone(), value.trim_matches('"').into()));
    json!({ "fold": one.fold, "trials": one.trials, "trial": one.trial,
        "values": values.collect::<serde_json::Map<String, Value>>(),
        "tune_loss": one.tune_loss, "best_epoch": one.epoch })
}

/// What the models of the folds say, of subject after subject.
pub(crate) struct Pool {
    /// What networks are called that are not of the same kind in all folds.
    alias: Option<&'static str>,
    cases: Cases,
    candidates: Vec<Candidate>,
    folds: Vec<ClassEvaluation>,
    /// The model of each fold with those whom it was judged on.
    models: Vec<(Model, Cohort)>,
    /// Subjects in the data, those without a class too.
    read: usize,
    /// Threads that judge.
    threads: usize,
}

/// What a cross-validation comes to.
pub(crate) struct PooledFolds {
    pub(crate) evaluation: FoldEvaluation,
    pub(crate) files: Vec<RunFile>,
}

impl Pool {
    /// Nothing yet; these are the studies of the folds to come.
    pub(crate) fn new(studies: &[Study]) -> Self {
        let first = studies.first().map(network::name);
        let differ = studies.iter().any(|study| Some(network::name(study)) != first);
        Self {
            alias: differ.then_some(CHOSEN),
            cases: Cases::default(),
            candidates: Vec::new(),
            folds: Vec::new(),
            models: Vec::new(),
            read: 0,
            threads: 1,
        }
    }

    /// Adds a fold that was trained: what its model file says of its test part.
    pub(crate) fn add(
        &mut self,
        data: &Classification,
        model: Model,
        mut evaluation: ClassEvaluation,
        context: &mut Context,
    ) -> Result<(), Error> {
        let classes = model.classes()?;
        if let Some((before, _)) = self.models.first()
            && before.classes()?.names != classes.names
        {
            return Err(Error::data(
                "data.label",
                "the training parts of the folds do not have the same classes",
                "name them: classes = [...] in data.label",
            ));
        }
        let mut found = candidates(&model, classes, &data.test, context)?;
        if let Some(alias) = self.alias {
            let own = network::name(&model.manifest().study);
            let names = found.iter_mut().map(|candidate| &mut candidate.name);
            for name in names.chain(evaluation.classifiers.iter_mut().map(|c| &mut c.name)) {
                if let Some(rest) = name.strip_prefix(&own) {
                    *name = format!("{alias}{rest}");
                }
            }
        }
        if self.models.is_empty() {
            self.candidates = found;
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
        self.models.push((model, data.parts.test.clone()));
        self.read = data.read;
        self.threads = context.threads();
        Ok(())
    }

    /// Judges all folds together, with the files of it.
    pub(crate) fn judge(
        mut self,
        study: &Study,
        chosen: &[ChosenSettings],
    ) -> Result<PooledFolds, Error> {
        let Some((model, _)) = self.models.first() else {
            return Err(Error::data("split.folds", "no fold was judged", "report this as a bug"));
        };
        let classes = model.classes()?;
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
        let mut pooled =
            ClassEvaluation::judge(classes, &self.cases, &self.candidates, study, self.threads)?;
        pooled.notes.push(format!(
            "cross-validation: {} folds by {}; each subject was judged once, by a model that \
             was neither trained nor tuned on it",
            self.folds.len(),
            study.split.group.as_deref().unwrap_or("subject")
        ));
        if !chosen.is_empty() {
            pooled.notes.push(
                "each fold chose its settings by a search among its own training subjects".into(),
            );
        }
        for note in self.folds.iter().flat_map(|fold| &fold.notes) {
            // What differs from fold to fold stands in the folds' own pages.
            let common = self.folds.iter().all(|fold| fold.notes.contains(note));
            if common && !pooled.notes.contains(note) {
                pooled.notes.push(note.clone());
            }
        }
        let name = format!("{}, all folds", study.study.name);
        let picture = finish::picture(&name, classes, &self.cases, &self.candidates)?;
        let (chosen, folds) = (chosen.to_vec(), std::mem::take(&mut self.folds));
        let evaluation = FoldEvaluation { pooled, folds, chosen };
        let each = self
            .models
            .iter()
            .map(|(model, people)| Ok(Judging { model, classes: model.classes()?, people }));
        let dossier = Dossier {
            study,
            each: each.collect::<Result<_, Error>>()?,
            folds: Some(&evaluation),
            cases: &self.cases,
            candidates: &self.candidates,
            evaluation: &evaluation.pooled,
            flow: self.flow(study, &evaluation),
            overlap: None,
            threads: self.threads,
        };
        let mut files = vec![
            ("evaluation.json", evaluation.to_json().into_bytes()),
            ("evaluation.md", evaluation.markdown().into_bytes()),
            ("classes.svg", picture.into_bytes()),
        ];
        files.extend(dossier.files()?);
        files.push((README, page(study, &evaluation).into_bytes()));
        Ok(PooledFolds { evaluation, files })
    }

    /// Who was read, who was left out, and how the others were parted.
    fn flow(&self, study: &Study, evaluation: &FoldEvaluation) -> Flow {
        let (known, label) = (evaluation.pooled.subjects, &evaluation.pooled.label);
        let left_out = self.read.saturating_sub(known);
        let without = (left_out > 0).then(|| format!("{left_out} without {label} left out"));
        let by = study.split.group.as_deref().unwrap_or("subject");
        Flow {
            boxes: vec![
                (format!("read: {} subjects", self.read), without),
                (format!("with {label}: {known} subjects"), None),
                (
                    format!("parted into {} folds by {by}", evaluation.folds.len()),
                    Some("each fold is judged by a model of the others".into()),
                ),
                (format!("judged: {}", evaluation.pooled.judged()), None),
            ],
        }
    }
}

/// The folder of a fold, from 1.
pub(crate) fn folder(run: &Path, fold: usize) -> std::path::PathBuf {
    run.join(format!("fold-{fold}"))
}

fn page(study: &Study, evaluation: &FoldEvaluation) -> String {
    let folds = evaluation.folds.len();
    let by = study.split.group.as_deref().unwrap_or("subject");
    let (command, searched) = if evaluation.chosen.is_empty() {
        ("train", "")
    } else {
        ("search", "; its `search` holds what it tried")
    };
    format!(
        "# {}\n\nA cross-validation of sequela {} in {folds} folds by {by}.\n\n| file | what |\n\
         |---|---|\n\
         | `{STUDY}` | the study as it was run, every field |\n\
         | `evaluation.md`, `evaluation.json` | figures of all subjects together and of each fold |\n\
         | `{REPORT}` | everything about the judgement on one page, for people; open it in a browser |\n\
         | `{NUMBERS}` | its numbers, for machines |\n\
         | `{PREDICTIONS}` | what was said of whom by which fold: names the subjects |\n\
         | `classes.svg` | ROC curves and calibration of model and baselines, all subjects together |\n\
         | `fold-1` to `fold-{folds}` | a run each, with its `{MODEL}` and its own page{searched} |\n\n\
         `sequela {command} --resume .` goes on with folds that were stopped.\n\n{}",
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

/// What networks of several kinds are called together.
const CHOSEN: &str = "network chosen in each fold";
const FIGURES: [Figure; 3] = [Figure::Auroc, Figure::Auprc, Figure::Utility];
const DECIMALS: usize = 3;
