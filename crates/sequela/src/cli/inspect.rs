//! `sequela inspect`: what is inside a model file, a study's program, its gradients.

mod gradients;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sequela_core::Limits;
use sequela_nn::Capacity;
use sequela_train::{Model, Study, outline};
use serde_json::json;

use super::console::Console;
use super::evaluate::model_file;
use super::failure::{Failure, Outcome};
use super::train::overrides;

/// Arguments of `sequela inspect`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Inspect {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show a model file's study, channels, weights, errors and origin
    Model {
        /// A model file, or the folder of a run
        file: PathBuf,
    },
    /// Show the operations of a model: inputs, shapes, weights, bytes
    #[command(after_long_help = "\
The data of the study are not read: series that are read whole are taken to have 100 steps, classes
that the study does not name to be two. Bytes are those of a whole training batch.

Examples:
  sequela inspect program study.toml
  sequela inspect program study.toml --set model.hidden=128
  sequela inspect program run/model.safetensors")]
    Program {
        /// A study (TOML), a model file, or the folder of a run
        study: PathBuf,
        /// Another value for a field of the study; may be repeated
        #[arg(long, value_name = "FIELD=VALUE")]
        set: Vec<String>,
    },
    /// Show how far back gradients reach through Elman, LSTM and GRU cells, on a study's data
    Gradients(gradients::Gradients),
}

impl Inspect {
    /// Shows what was asked for.
    pub(crate) fn run(&self, threads: usize, console: Console) -> Result<Outcome, Failure> {
        match &self.what {
            What::Model { file } => show_model(file, console),
            What::Program { study, set } => show_program(study, set, console),
            What::Gradients(gradients) => gradients.run(threads, console),
        }?;
        Ok(Outcome::Done)
    }
}

fn show_model(file: &Path, console: Console) -> Result<(), Failure> {
    let model = Model::load(&model_file(file), &Limits::default())?;
    if !console.is_json() {
        return Console::print(model.describe());
    }
    let manifest = serde_json::to_value(model.manifest()).unwrap_or_default();
    Console::print_json(&json!({ "digest": model.digest(), "manifest": manifest }))
}

fn show_program(path: &Path, set: &[String], console: Console) -> Result<(), Failure> {
    let is_model = path.is_dir() || path.extension().is_some_and(|e| e == "safetensors");
    let (study, program) = if is_model {
        let model = Model::load(&model_file(path), &Limits::default())?;
        (model.manifest().study.clone(), model.program().clone())
    } else {
        let study = Study::load(path, &overrides(set, None)?)?;
        let program = outline(&study)?;
        (study, program)
    };
    if console.is_json() {
        let program = serde_json::to_value(&program).unwrap_or_default();
        return Console::print_json(&json!({ "study": study.study.name, "program": program }));
    }
    let batch = study.train.batch;
    let steps = match study.train.truncate.unwrap_or(study.window.length) {
        0 => WHOLE,
        steps => steps,
    };
    let capacity = Capacity::uniform(&program, batch, batch.saturating_mul(steps));
    Console::print(format!(
        "{}: batches of {batch} sequences of up to {steps} steps\n\n{}",
        study.study.name,
        program.table(&capacity)?
    ))
}

/// Steps of a series that is read whole, for the size of a batch.
const WHOLE: usize = 100;
