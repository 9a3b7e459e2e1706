//! `sequela evaluate`: a model's errors beside those of the baselines.

use std::path::{Path, PathBuf};

use clap::Args;
use sequela_core::{Class, Limits};
use sequela_train::{Model, Options, evaluate, read_input, read_labelled};
use serde_json::json;

use super::console::Console;
use super::errors;
use super::failure::{Failure, Outcome};
use super::run::parsed;

/// Arguments of `sequela evaluate`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Without FILE it shows the errors that the model file keeps: those on the test part of its study, from
the end of training. With FILE it judges the model anew, with intervals over the subjects of FILE, and
exit code 1 says that at no horizon the model is better than the best baseline, or that a baseline's
AUROC is not lower than that of a classifier.

A classifier is judged by the classes of the subjects in FILE: a column of the name that its study
gives, in FILE itself or in the table named by --labels.

Examples:
  sequela evaluate run
  sequela evaluate run ward-b.csv
  sequela evaluate run/model.safetensors ward-b.csv --json
  sequela evaluate run stays-b.csv --labels outcomes-b.csv")]
pub(crate) struct Evaluate {
    /// A model file, or the folder of a run
    model: PathBuf,
    /// Data to judge it on: people it has not seen [default: show the errors kept in the model file]
    file: Option<PathBuf>,
    /// Table with the class of each subject, for a classifier [default: FILE itself]
    #[arg(long, value_name = "FILE", requires = "file")]
    labels: Option<PathBuf>,
}

impl Evaluate {
    /// Judges and tells.
    pub(crate) fn run(&self, threads: usize, console: Console) -> Result<Outcome, Failure> {
        let limits = Limits::default();
        let model = Model::load(&model_file(&self.model), &limits)?;
        let Some(file) = &self.file else { return show(&model, console) };
        let sequences = match (&model.manifest().classes, &self.labels) {
            (Some(_), labels) => read_labelled(file, labels.as_deref(), &model, &limits)?,
            (None, None) => read_input(file, &model, &limits)?,
            (None, Some(_)) => {
                return Err(Failure::new(
                    Class::Usage,
                    "--labels: the model forecasts, it tells no classes",
                    "leave it out: a forecast is judged by what came after it",
                ));
            }
        };
        let options = Options { threads, ..Options::default() };
        let evaluation = evaluate(&model, &sequences, &options)
            .map_err(|error| Failure::from(error).in_file(file))?;
        if console.is_json() {
            Console::print_json(&parsed(&evaluation.to_json()))?;
        } else {
            Console::print(errors::judged(&evaluation))?;
        }
        let Some(finding) = errors::finding(&evaluation) else { return Ok(Outcome::Done) };
        console.say(&format!("finding: {finding} on these data"));
        Ok(Outcome::Findings)
    }
}

/// Shows the errors that a model file keeps.
fn show(model: &Model, console: Console) -> Result<Outcome, Failure> {
    let manifest = model.manifest();
    if console.is_json() {
        let metrics = match &manifest.classes {
            Some(classes) => serde_json::to_value(&classes.metrics),
            None => serde_json::to_value(&manifest.metrics),
        };
        let metrics = metrics.unwrap_or_default();
        Console::print_json(&json!({ "study": manifest.study.study.name, "metrics": metrics }))?;
    } else {
        Console::print(errors::kept(model))?;
    }
    Ok(Outcome::Done)
}

/// The model file that a path means: itself, or that of a run's folder.
pub(crate) fn model_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("model.safetensors") } else { path.to_owned() }
}
