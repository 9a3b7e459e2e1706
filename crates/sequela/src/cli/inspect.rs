//! `sequela inspect`: what is inside a model file or a study's program.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sequela_core::Limits;
use sequela_train::{Model, Study};
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
    /// Show a model file's study, channels, errors and origin
    Model {
        /// A model file, or the folder of a run
        file: PathBuf,
    },
    /// Show the operations that a study's model is made of: shapes, parameters, bytes
    Program {
        /// The study (TOML)
        study: PathBuf,
        /// Another value for a field of the study; may be repeated
        #[arg(long, value_name = "FIELD=VALUE")]
        set: Vec<String>,
    },
}

impl Inspect {
    /// Shows what was asked for.
    pub(crate) fn run(&self, console: Console) -> Result<Outcome, Failure> {
        match &self.what {
            What::Model { file } => {
                let model = Model::load(&model_file(file), &Limits::default())?;
                if console.is_json() {
                    let manifest = serde_json::to_value(model.manifest()).unwrap_or_default();
                    Console::print_json(
                        &json!({ "digest": model.digest(), "manifest": manifest }),
                    )?;
                } else {
                    Console::print(model.describe())?;
                }
            }
            What::Program { study, set } => {
                let study = Study::load(study, &overrides(set, None)?)?;
                todo!("{}", study.digest());
            }
        }
        Ok(Outcome::Done)
    }
}
