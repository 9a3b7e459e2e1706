//! `sequela evaluate`: a model's errors beside those of the baselines.

use std::path::{Path, PathBuf};

use clap::Args;
use sequela_core::Limits;
use sequela_train::{Evaluation, Model, Options, evaluate, read_input};

use super::console::Console;
use super::failure::{Failure, Outcome};

/// Arguments of `sequela evaluate`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit code 1 says that the model beats no baseline at any horizon.

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
        let evaluation = evaluate(&model, &sequences, &options)?;
        if console.is_json() {
            Console::print(format!("{}\n", evaluation.to_json().trim_end()))?;
        } else {
            Console::print(evaluation.text())?;
        }
        if beats_a_baseline(&evaluation) {
            return Ok(Outcome::Done);
        }
        console.say("finding: the model beats no baseline at any horizon on these data");
        Ok(Outcome::Findings)
    }
}

/// The model file that a path means: itself, or that of a run's folder.
pub(crate) fn model_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("model.safetensors") } else { path.to_owned() }
}

/// Whether the first forecaster (the model) has the lowest mean absolute error anywhere.
fn beats_a_baseline(evaluation: &Evaluation) -> bool {
    let Some((model, baselines)) = evaluation.forecasters.split_first() else { return false };
    model.scores.iter().enumerate().any(|(horizon, score)| {
        let others = baselines.iter().filter_map(|baseline| baseline.scores.get(horizon));
        others.into_iter().all(|other| score.mae.value < other.mae.value)
    })
}
