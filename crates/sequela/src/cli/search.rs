//! `sequela search`: better settings for a study.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sequela_train::{
    Options, Report, SearchEvent, SearchOutcome, SearchReport, Study, resume_search, search,
    trials_table,
};
use serde_json::{Value, json};

use super::console::{Console, Voice};
use super::failure::{Failure, Outcome};
use super::progress::{Progress as RunProgress, duration};
use super::run::{fresh_folder, program, tell_report};
use super::signal::stop_flag;
use super::train::{folder_name, overrides};

/// Look for better settings, by the tuning part alone.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The study says what to try:

  [search]
  method = \"halving\"        # give up the worse ones early; or \"random\": train each to its end
  trials = 16
  [search.space]
  \"train.rate\" = { from = 1e-4, to = 1e-2, scale = \"log\" }
  \"model.hidden\" = [32, 64, 128]

Trials are compared by their tuning loss; the test part is not looked at. As many run at once as
--threads says, which changes no number. The folder gets best.toml, search.md, search.json and
search.svg. Ctrl-C leaves checkpoints; --resume goes on from them with the same numbers.

Of a cross-validation (split.folds) each fold searches among its own training part, trains with what it
found, and is judged on its test part; the folder holds what a cross-validation by train holds, and
the settings that each fold chose. train takes such a study as it is, without the search.

Examples:
  sequela search study.toml --out search
  sequela train search/best.toml
  sequela search --resume search")]
pub(crate) struct Search {
    /// The study (TOML) with a [search] section
    #[arg(required_unless_present = "resume")]
    study: Option<PathBuf>,
    /// Another value for a field of the study, e.g. search.trials=30; may be repeated
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The same seed tries the same settings (study.seed)
    #[arg(long)]
    seed: Option<u64>,
    /// Folder to make for the search [default: runs/NAME-search, numbered where it is there already]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the interrupted search in this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["study", "set", "seed", "out"])]
    resume: Option<PathBuf>,
}

impl Search {
    /// Searches and tells.
    pub(crate) fn run(&self, threads: usize, console: Console) -> Result<Outcome, Failure> {
        let stop = stop_flag()?;
        let options = Options { threads, stop: Some(&stop), ..Options::default() };
        let mut progress = Progress::new(console, &stop);
        let mut observer = |event: &SearchEvent<'_>| progress.hear(event);
        let outcome = match (&self.resume, &self.study) {
            (Some(folder), _) => resume_search(folder, &options, &mut observer),
            (None, study) => {
                let path = study.as_deref().unwrap_or(Path::new("study.toml"));
                let study = Study::load(path, &overrides(&self.set, self.seed)?)?;
                let folder = self.out.clone().unwrap_or_else(|| {
                    let name = format!("{}-search", folder_name(&study.study.name));
                    fresh_folder(&Path::new("runs").join(name))
                });
                search(&study, &folder, &options, &mut observer)
            }
        };
        let seconds = progress.finish()?;
        match outcome? {
            SearchOutcome::Judged(report) => tell_judged(&report, console),
            SearchOutcome::Finished(report) => tell(&report, seconds, console),
            SearchOutcome::Stopped(folder) => tell_stopped(&folder, console),
        }
    }
}

fn tell(report: &SearchReport, seconds: f64, console: Console) -> Result<Outcome, Failure> {
    if console.is_json() {
        let best = &report.trials[0];
        Console::print_json(&json!({ "event": "finished", "folder": report.folder,
            "best": report.best, "trial": best.number, "values": values(&best.values),
            "tune_loss": best.best.map(|best| best.0), "files": report.files }))?;
        return Ok(Outcome::Done);
    }
    Console::print(format!("\n{}", trials_table(&report.trials, 10).text()))?;
    console.say(&format!(
        "{} trials in {}; everything is in {}\n\
         the lowest of many tuning losses flatters: judge these settings on people not used here\n\
         next: look at search.svg there, then: {} train {}",
        report.trials.len(),
        duration(seconds),
        report.folder.display(),
        program(),
        report.best.display()
    ));
    Ok(Outcome::Done)
}

fn tell_judged(report: &Report, console: Console) -> Result<Outcome, Failure> {
    let outcome = tell_report(report, console)?;
    console.say(&format!(
        "everything is in {}\nthe settings of each fold are in evaluation.md there",
        report.folder.display()
    ));
    Ok(outcome)
}

fn tell_stopped(folder: &Path, console: Console) -> Result<Outcome, Failure> {
    if console.is_json() {
        Console::print_json(&json!({ "event": "stopped", "folder": folder }))?;
    } else {
        Console::tell(&format!(
            "stopped; go on with the same results as if never stopped:\n    {} search --resume {}",
            program(),
            folder.display()
        ));
    }
    Ok(Outcome::Stopped)
}

fn values(values: &[(String, String)]) -> Value {
    values
        .iter()
        .map(|(field, value)| (field.clone(), Value::from(value.trim_matches('"'))))
        .collect()
}

/// The listener of a search: a bar over the epochs of all rounds, and a line for each trial.
struct Progress<'a> {
    console: Console,
    stop: &'a AtomicBool,
    /// Of the training of folds that have searched.
    run: Option<RunProgress<'a>>,
    start: Instant,
    bar: ProgressBar,
    /// The best loss of the round.
    best: f64,
}

impl<'a> Progress<'a> {
    fn new(console: Console, stop: &'a AtomicBool) -> Self {
        let bar = Self::bar(console);
        Self { console, stop, run: None, start: Instant::now(), bar, best: f64::INFINITY }
    }

    fn bar(console: Console) -> ProgressBar {
        let seen = console.voice() == Voice::Bars;
        let target = if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{bar:24} {percent:>3} %  {msg}, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(None, target).with_style(style)
    }

    fn hear(&mut self, event: &SearchEvent<'_>) {
        match event {
            SearchEvent::Fold { fold, folds } => {
                self.bar.finish_and_clear();
                self.bar = Self::bar(self.console);
                self.say(&format!("\nsearch in fold {fold} of {folds}"));
            }
            SearchEvent::Run(event) => {
                let (console, stop) = (self.console, self.stop);
                let run = self.run.get_or_insert_with(|| {
                    self.bar.finish_and_clear();
                    RunProgress::new(console, stop)
                });
                run.hear(event);
            }
            SearchEvent::Round { round, rounds, trials, epochs, epochs_in_all } => {
                self.best = f64::INFINITY;
                self.bar.set_length(*epochs_in_all);
                self.bar.set_message(format!("round {round} of {rounds}"));
                let plural = if *trials == 1 { "" } else { "s" };
                self.say(&format!(
                    "round {round} of {rounds}: {trials} trial{plural} up to epoch {epochs}"
                ));
            }
            SearchEvent::Epoch => self.bar.inc(1),
            SearchEvent::Trial { number, best, values } => {
                let values: Vec<String> =
                    values.iter().map(|(field, value)| format!("{field} = {value}")).collect();
                let end = match best {
                    Some((loss, epoch)) => {
                        let first = if *loss < self.best { "  best so far" } else { "" };
                        self.best = self.best.min(*loss);
                        format!("tuning {loss:.5} at epoch {epoch}{first}")
                    }
                    None => "the loss did not stay finite".to_owned(),
                };
                self.say(&format!("  trial {number:>3}  {}  {end}", values.join("  ")));
            }
            _ => {}
        }
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| self.console.say(line));
    }

    /// Ends the bar; the seconds since the start.
    fn finish(self) -> Result<f64, Failure> {
        self.bar.finish_and_clear();
        self.run.map_or(Ok(()), RunProgress::finish)?;
        Ok(self.start.elapsed().as_secs_f64())
    }
}
