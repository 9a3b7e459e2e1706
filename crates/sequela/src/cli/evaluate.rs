//! `sequela evaluate`: a model's errors beside those of the baselines.

use std::path::{Path, PathBuf};

use clap::Args;
use sequela_core::Limits;
use sequela_train::{Model, Options, evaluate, read_input};

use super::console::Console;
use super::errors;
use super::failure::{Failure, Outcome};

/// Arguments of `sequela evaluate`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit code 1 says that at no horizon the model is better than the best baseline.

Examples:
  sequela evaluate run ward-b.csv
  sequela evaluate run/model.safetensors ward-b.csv --json")]
pub(crate) struct Evaluate {
    /// A model file, or the folder of a run
    model: PathBuf,
    /// Data to judge it on: people it has not seen
    file: PathBuf,
}

impl Evaluate {
    /// Judges and tells.
    pub(crate) fn run(&self, threads: usize, console: Console) -> Result<Outcome, Failure> {
        let limits = Limits::default();
        let model = Model::load(&model_file(&self.model), &limits)?;
        let sequences = read_input(&self.file, &model, &limits)?;
        let options = Options { threads, ..Options::default() };
        let evaluation = evaluate(&model, &sequences, &options)
            .map_err(|error| Failure::from(error).in_file(&self.file))?;
        if console.is_json() {
            Console::print(format!("{}\n", evaluation.to_json().trim_end()))?;
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

/// The model file that a path means: itself, or that of a run's folder.
pub(crate) fn model_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("model.safetensors") } else { path.to_owned() }
}
