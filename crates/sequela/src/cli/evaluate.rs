//! `sequela evaluate`: a model's errors beside those of the baselines.

use std::path::{Path, PathBuf};

use clap::Args;
use sequela_core::Limits;
use sequela_train::{Model, Options, evaluate, read_input};
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
exit code 1 says that at no horizon the model is better than the best baseline.

Examples:
  sequela evaluate run
  sequela evaluate run ward-b.csv
  sequela evaluate run/model.safetensors ward-b.csv --json")]
pub(crate) struct Evaluate {
    /// A model file, or the folder of a run
    model: PathBuf,
    /// Data to judge it on: people it has not seen [default: show the errors kept in the model file]
    file: Option<PathBuf>,
}

impl Evaluate {
    /// Judges and tells.
    pub(crate) fn run(&self, threads: usize, console: Console) -> Result<Outcome, Failure> {
        let limits = Limits::default();
        let model = Model::load(&model_file(&self.model), &limits)?;
        let Some(file) = &self.file else { return show(&model, console) };
        let sequences = read_input(file, &model, &limits)?;
        let options = Options { threads, ..Options::default() };
        let evaluation = evaluate(&model, &sequences, &options)
            .map_err(|error| Failure::from(error).in_file(file))?;
        if console.is_json() {
            Console::print_json(&parsed(&evaluation.to_json()))?;
        } else {
            Console::print(errors::text(&evaluation))?;
        }
        if errors::is_best_somewhere(&evaluation) {
            return Ok(Outcome::Done);
        }
        console
            .say("finding: at no horizon is the model better than the best baseline on these data");
        Ok(Outcome::Findings)
    }
}

/// Shows the errors that a model file keeps.
fn show(model: &Model, console: Console) -> Result<Outcome, Failure> {
    let manifest = model.manifest();
    if console.is_json() {
        let metrics = serde_json::to_value(&manifest.metrics).unwrap_or_default();
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
