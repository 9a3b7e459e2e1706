//! `sequela init`: a first study for a file.

use std::path::PathBuf;

use clap::Args;
use sequela_core::Limits;
use sequela_train::init_study;
use serde_json::json;

use super::console::Console;
use super::failure::{Failure, Outcome};

/// Arguments of `sequela init`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The columns are guessed from the header and the first rows: look at the guess before training.

Examples:
  sequela init ward.csv > study.toml
  sequela init intervals.npy > study.toml
  sequela init mitbih_ds1.tar.xz > study.toml")]
pub(crate) struct Init {
    /// A CSV (also gzipped), a .npy array, or a folder or archive of WFDB records
    file: PathBuf,
}

impl Init {
    /// Prints the study.
    pub(crate) fn run(&self, console: Console) -> Result<Outcome, Failure> {
        let study = init_study(&self.file, &Limits::default())?;
        if console.is_json() {
            Console::print_json(&json!({ "study": study }))?;
        } else {
            Console::print(&study)?;
            console
                .say("next: read the study, save it as study.toml, then: sequela train study.toml");
        }
        Ok(Outcome::Done)
    }
}
