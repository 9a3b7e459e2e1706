//! `sequela init`: a first study for a file.

use std::path::PathBuf;

use clap::Args;
use sequela_core::Limits;
use sequela_train::{FirstLabels, init_study};
use serde_json::json;

use super::console::Console;
use super::failure::{Failure, Outcome};

/// Arguments of `sequela init`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The columns are guessed from the header and the first rows: look at the guess before training. Without labels the
study forecasts the first channel; with labels it tells the class of each subject, or of each step where the classes
of a subject's rows differ. The challenges of PhysioNet have labels of their own.

Examples:
  sequela init ward.csv > study.toml
  sequela init ward.csv --label died > study.toml
  sequela init labs.parquet --labels outcomes.csv > study.toml
  sequela init physionet2012/set-a.tar.gz > study.toml
  sequela init meds --labels meds/labels/death.parquet > study.toml
  sequela init mitbih_ds1.tar.xz > study.toml")]
pub(crate) struct Init {
    /// A table (.csv, also gzipped, .parquet, .xlsx), a .npy array, EDF or BDF, a folder or archive of WFDB
    /// records or of the PhysioNet challenges 2012 and 2019, or a folder of MEDS
    file: PathBuf,
    /// A second table, with the class of each subject (or, with times, of each step)
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The column of classes, of that table or of the first
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
}

impl Init {
    /// Prints the study.
    pub(crate) fn run(&self, console: Console) -> Result<Outcome, Failure> {
        let labels = FirstLabels { file: self.labels.clone(), column: self.label.clone() };
        let study = init_study(&self.file, &labels, &Limits::default())?;
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
