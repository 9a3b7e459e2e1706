//! `sequela compare`: two classifiers on the same people.

use std::path::{Path, PathBuf};

use clap::Args;
use sequela_core::{Class, Limits};
use sequela_train::{Model, Options, Predictions, read_labelled};

use super::console::Console;
use super::evaluate::model_file;
use super::failure::{Failure, Outcome};
use super::run::parsed;

/// Arguments of `sequela compare`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Each of ONE and TWO is the folder of a run or of a cross-validation, whose predictions.csv is taken, or a
table with columns subject_id, prediction_time, y_true (0 or 1) and probability, whatever program wrote
it; of more than two classes y_true is a name, and each has a column \"probability of NAME\". With --on
both are models (or folders of runs), which are judged on the people of that file.

Differences are paired: ONE less TWO on the same people and the same draws of them, with a 95 % interval
by subject. Other people, times or outcomes in one than in the other are refused. Figures of decisions
need the thresholds that models keep. Exit code 1 says that an interval of a difference lies wholly to
one side of 0.

Examples:
  sequela compare gru lstm
  sequela compare gru/predictions.csv nomogram.csv
  sequela compare new old --on stays-b.csv --labels outcomes-b.csv")]
pub(crate) struct Compare {
    /// Folder of a run, model file with --on, or table of predictions
    one: PathBuf,
    /// What it is set against
    two: PathBuf,
    /// Judge both models on the people of this file
    #[arg(long, value_name = "FILE")]
    on: Option<PathBuf>,
    /// Table with the class of each subject [default: the file of --on itself]
    #[arg(long, value_name = "FILE", requires = "on")]
    labels: Option<PathBuf>,
    /// Draws of the bootstrap; 0 for no intervals
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(..=100_000))]
    replicates: u32,
}

impl Compare {
    /// Compares and tells.
    pub(crate) fn run(&self, threads: usize, console: Console) -> Result<Outcome, Failure> {
        let one = self.predictions(&self.one, threads)?;
        let two = self.predictions(&self.two, threads)?;
        let comparison = one.compare(&two, self.replicates)?;
        if console.is_json() {
            Console::print_json(&parsed(&comparison.to_json()))?;
        } else {
            Console::print(comparison.text())?;
        }
        if !comparison.told_apart() {
            return Ok(Outcome::Done);
        }
        console.say("finding: an interval of a difference lies wholly to one side of 0");
        Ok(Outcome::Findings)
    }

    fn predictions(&self, path: &Path, threads: usize) -> Result<Predictions, Failure> {
        let limits = Limits::default();
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        if let Some(file) = &self.on {
            let model = Model::load(&model_file(path), &limits)?;
            let people = read_labelled(file, self.labels.as_deref(), &model, &limits)?;
            let options = Options { threads, ..Options::default() };
            let found = Predictions::of_model(&model, &people, &options)
                .map_err(|error| Failure::from(error).in_file(file))?;
            return Ok(found.named(name));
        }
        if !path.is_dir() {
            if path.extension().is_some_and(|end| end == "safetensors") {
                return Err(Failure::new(
                    Class::Usage,
                    format!("{}: a model alone says nothing of anybody", path.display()),
                    "name the people with --on FILE, or the folder of its run",
                ));
            }
            return Ok(Predictions::read(path, &limits)?.named(name));
        }
        Ok(Predictions::of_run(path, &limits)?.named(name))
    }
}
