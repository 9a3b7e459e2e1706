//! `sequela demo`: the main job on built-in data, from nothing to a judged forecast.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use sequela_train::{Report, Study};

use super::article::Honesty;
use super::console::Console;
use super::failure::{Failure, Outcome};
use super::run::{Job, fresh_folder, machine, program, run, tell_report};
use super::train::overrides;

/// Arguments of `sequela demo`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  sequela demo heart-rate
  sequela demo heart-rate --data article
  sequela demo heart-rate --seed 1 --out demo-1"
)]
pub(crate) struct Demo {
    /// What to show
    what: Shown,
    /// The data to learn from
    #[arg(long, value_enum, default_value_t = Source::Simulated)]
    data: Source,
    /// The same seed gives the same model
    #[arg(long)]
    seed: Option<u64>,
    /// Another value for a field of the study, e.g. train.epochs=5; may be repeated
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// Folder to make [default: demo-heart-rate or demo-article, numbered where it is there already]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shown {
    /// Forecast the heart rate, judged on people that the model has not seen
    HeartRate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    /// Simulated people: rest, breathing, time of day, exercise, ectopic beats, gaps
    Simulated,
    /// The series of the article: random numbers with a step in the middle, from which little can be learnt
    Article,
}

impl Demo {
    /// Trains, judges and tells what to look at.
    pub(crate) fn run(&self, threads: usize, console: Console) -> Result<Outcome, Failure> {
        let Shown::HeartRate = self.what;
        let (builtin, folder) = match self.data {
            Source::Simulated => ("simulated", "demo-heart-rate"),
            Source::Article => ("article", "demo-article"),
        };
        let mut set = vec![EVERY_STEP.to_owned()];
        set.extend(self.set.iter().cloned());
        let study = Study::builtin(builtin, &overrides(&set, self.seed)?)?;
        let folder = self.out.clone().unwrap_or_else(|| fresh_folder(Path::new(folder)));
        let Some(report) = run(&Job::New(&study, &folder), threads, console)? else {
            return Ok(Outcome::Stopped);
        };
        let honesty = (self.data == Source::Article).then(Honesty::of_the_series);
        if console.is_json() {
            let mut value = machine(&report);
            if let Some(honesty) = honesty {
                value["best_possible"] = honesty.machine();
            }
            Console::print_json(&value)?;
            return Ok(Outcome::Done);
        }
        let outcome = tell_report(&report, console)?;
        if let Some(honesty) = honesty {
            Console::print(format!("\n{}", honesty.text(report.train_loss)))?;
        }
        console.say(&next(&report, self.data));
        Ok(outcome)
    }
}

/// What to look at and what to do next.
fn next(report: &Report, data: Source) -> String {
    let (folder, model, sequela) = (report.folder.display(), report.model.display(), program());
    let mut lines = vec![String::new(), format!("Look at, in {folder}:")];
    let there = |file: &str| report.files.iter().any(|path| path.ends_with(file));
    lines.extend(
        FILES
            .iter()
            .filter(|(file, _)| there(file))
            .map(|(file, what)| format!("  {file:<18} {what}")),
    );
    lines.push(String::new());
    if data == Source::Simulated {
        lines.push("Next, forecast from fresh data, then train on your own:".to_owned());
        lines.push(format!("  {sequela} data simulate heart-rate --seed 7 --out fresh.csv"));
        lines.push(format!("  {sequela} predict {model} fresh.csv"));
    }
    if data == Source::Article {
        lines.push("Next, train on your own data:".to_owned());
    }
    lines.push(format!("  {sequela} init YOUR.csv > study.toml && {sequela} train study.toml"));
    lines.join("\n")
}

/// The picture is drawn from the forecasts that are judged: it needs one for each step.
const EVERY_STEP: &str = "evaluate.stride=1";

const FILES: [(&str, &str); 6] = [
    ("forecast.svg", "the forecast against what happened"),
    ("errors.svg", "the errors beside the baselines'"),
    ("loss.svg", "the loss, epoch by epoch"),
    ("evaluation.md", "the table above"),
    ("model.safetensors", "the model: what predict takes"),
    ("README.md", "what every file is"),
];
