//! `sequela train`: a study in, a judged model in a folder out.

use std::path::{Path, PathBuf};

use clap::Args;
use sequela_train::{Override, Study};

use super::console::Console;
use super::failure::{Failure, Outcome};
use super::run::{Job, fresh_folder, program, run, tell_report};

/// Arguments of `sequela train`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_long_help = "\
The folder holds: model.safetensors (what predict and evaluate take), evaluation.md and .json (errors
beside the baselines), forecast.svg, loss.svg and errors.svg (of a classifier classes.svg and
loss.svg), metrics.jsonl (one line an epoch), study.toml (what was run) and README.md (what is what).
Of a cross-validation (split.folds) it holds a folder like that for each fold, and what all are worth
together.

Ctrl-C once writes a checkpoint and ends with exit code 130; --resume goes on from there with the same
numbers as if nothing had happened. A second Ctrl-C ends at once, at the last checkpoint.

Examples:
  sequela train study.toml --out run
  sequela train study.toml --set train.epochs=5 --set model.hidden=32
  sequela train --resume run"
)]
pub(crate) struct Train {
    /// The study (TOML); `sequela init FILE` writes a first one
    #[arg(required_unless_present = "resume")]
    study: Option<PathBuf>,
    /// Another value for a field of the study, e.g. train.epochs=5; may be repeated
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The same seed gives the same model (study.seed)
    #[arg(long)]
    seed: Option<u64>,
    /// Folder to make for the run [default: runs/NAME, numbered where it is there already]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the interrupted run in this folder
    #[arg(long, value_name = "RUN", conflicts_with_all = ["study", "set", "seed", "out"])]
    resume: Option<PathBuf>,
}

impl Train {
    /// Trains, judges and tells.
    pub(crate) fn run(&self, threads: usize, console: Console) -> Result<Outcome, Failure> {
        let report = match (&self.resume, &self.study) {
            (Some(folder), _) => run(&Job::Resume(folder), threads, console)?,
            (None, study) => {
                let path = study.as_deref().unwrap_or(Path::new("study.toml"));
                let study = Study::load(path, &overrides(&self.set, self.seed)?)?;
                let folder = self.out.clone().unwrap_or_else(|| {
                    fresh_folder(&Path::new("runs").join(folder_name(&study.study.name)))
                });
                run(&Job::New(&study, &folder), threads, console)?
            }
        };
        let Some(report) = report else { return Ok(Outcome::Stopped) };
        let outcome = tell_report(&report, console)?;
        let model = report.model.display();
        console.say(&format!(
            "everything is in {}\nnext: look at {} there, then: {} predict {model} FILE",
            report.folder.display(),
            if report.evaluation.classes().is_some() { "classes.svg" } else { "forecast.svg" },
            program()
        ));
        Ok(outcome)
    }
}

/// The fields that the arguments change.
pub(crate) fn overrides(set: &[String], seed: Option<u64>) -> Result<Vec<Override>, Failure> {
    let seed = seed.map(|seed| format!("study.seed={seed}"));
    let all = set.iter().chain(&seed).map(|text| Override::parse(text));
    Ok(all.collect::<Result<_, _>>()?)
}

/// A study's name as the name of a folder.
pub(crate) fn folder_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let name: String = name.chars().map(safe).take(64).collect();
    if name.is_empty() { "run".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::folder_name;

    #[test]
    fn a_name_cannot_lead_out_of_the_folder() {
        assert_eq!(folder_name("../a b"), "---a-b");
        assert_eq!(folder_name(""), "run");
    }
}
