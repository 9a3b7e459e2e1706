//! `sequela evaluate`: a model's errors beside those of the baselines.

use std::path::{Path, PathBuf};

use clap::Args;
use sequela_core::{Class, Limits, Sequence};
use sequela_formats::durable::{create_dir, sweep, write_atomic};
use sequela_train::{
    Judged, Model, Options, Overlap, evaluate, read_input, read_labelled, report_classes,
};
use serde_json::json;

use super::console::Console;
use super::errors;
use super::failure::{Failure, Outcome};
use super::run::parsed;

/// Arguments of `sequela evaluate`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Without FILE it shows the errors that the model file keeps: those on the test part of its study, from
the end of training. With FILE it judges the model anew, with intervals over the subjects of FILE, and
exit code 1 says that at no horizon the model is better than the best baseline, that a baseline's
AUROC is not lower than that of a classifier, or that the model was trained or tuned on people of
FILE (by parts.json, which its run leaves beside it; without that file it is said not to be known).

With --out it also writes, for a classifier, report.html (one page with figures, pictures, subgroups,
missing data, a model card and the items of TRIPOD+AI; open it in a browser), report.json and
predictions.csv (which names the subjects). --by adds subgroups: a channel, or bands of it.

A classifier is judged by the classes of the subjects in FILE: a column of the name that its study
gives, in FILE itself or in the table named by --labels; a model of steps by that of each row of FILE.

Examples:
  sequela evaluate run
  sequela evaluate run ward-b.csv
  sequela evaluate run/model.safetensors ward-b.csv --json
  sequela evaluate run stays-b.csv --labels outcomes-b.csv
  sequela evaluate run stays-b.csv --labels outcomes-b.csv --out external --by male --by age:45,65,80")]
pub(crate) struct Evaluate {
    /// A model file, or the folder of a run
    model: PathBuf,
    /// Data to judge it on: people it has not seen [default: show the errors kept in the model file]
    file: Option<PathBuf>,
    /// Table with the class of each subject, for a classifier [default: FILE itself]
    #[arg(long, value_name = "FILE", requires = "file")]
    labels: Option<PathBuf>,
    /// Folder for a report on a classifier: report.html, report.json, predictions.csv
    #[arg(long, value_name = "DIR", requires = "file")]
    out: Option<PathBuf>,
    /// Channel that parts people for figures of their own, e.g. male or age:45,65; may be repeated
    #[arg(long, value_name = "CHANNEL[:EDGES]", requires = "out")]
    by: Vec<String>,
}

impl Evaluate {
    /// Judges and tells.
    pub(crate) fn run(&self, threads: usize, console: Console) -> Result<Outcome, Failure> {
        let limits = Limits::default();
        let path = model_file(&self.model);
        let model = Model::load(&path, &limits)?;
        let Some(file) = &self.file else { return show(&model, console) };
        let sequences = match (&model.manifest().classes, &self.labels) {
            (Some(_), labels) => read_labelled(file, labels.as_deref(), &model, &limits)?,
            (None, None) => read_input(file, &model, &limits)?,
            (None, Some(_)) => {
                return Err(Failure::new(
                    Class::Usage,
                    "--labels: the model forecasts, it tells no classes",
                    "leave it out: a forecast is judged by what came after it",
                ));
            }
        };
        let overlap = Overlap::find(&path, &model, &sequences, &limits)?;
        let options = Options { threads, ..Options::default() };
        if let Some(folder) = &self.out {
            return self.report(&model, &sequences, (folder, file), (&overlap, &options), console);
        }
        let mut evaluation = evaluate(&model, &sequences, &options)
            .map_err(|error| Failure::from(error).in_file(file))?;
        if let Some(note) = overlap.note() {
            evaluation.note(note);
        }
        tell(&evaluation, &overlap, console)
    }
}

/// Prints figures, before them whom of the people the model was made with, after them what was found.
fn tell(judged: &Judged, overlap: &Overlap, console: Console) -> Result<Outcome, Failure> {
    let warning = overlap.warning();
    if console.is_json() {
        let mut value = parsed(&judged.to_json());
        value["people"] = overlap.to_value();
        Console::print_json(&value)?;
    } else {
        let first =
            warning.as_ref().map_or_else(String::new, |warning| format!("WARNING: {warning}\n\n"));
        Console::print(first + &errors::judged(judged))?;
    }
    let finding = errors::finding(judged);
    if let Some(finding) = finding {
        console.say(&format!("finding: {finding} on these data"));
    }
    if let Some(warning) = &warning {
        console.say(&format!("finding: {warning}"));
    }
    let any = finding.is_some() || warning.is_some();
    Ok(if any { Outcome::Findings } else { Outcome::Done })
}

impl Evaluate {
    /// Judges a classifier and writes its report.
    fn report(
        &self,
        model: &Model,
        sequences: &[Sequence],
        (folder, file): (&Path, &Path),
        (overlap, options): (&Overlap, &Options<'_>),
        console: Console,
    ) -> Result<Outcome, Failure> {
        if model.manifest().classes.is_none() {
            return Err(Failure::new(
                Class::Usage,
                "--out: reports are of classifiers, and this model forecasts",
                "leave it out",
            ));
        }
        let report = report_classes(model, sequences, &self.by, overlap, options)
            .map_err(|error| Failure::from(error).in_file(file))?;
        create_dir(folder)?;
        sweep(folder)?;
        // The page that people open comes last.
        write_atomic(&folder.join("predictions.csv"), &report.predictions)?;
        write_atomic(&folder.join("report.json"), report.json.as_bytes())?;
        write_atomic(&folder.join("report.html"), report.html.as_bytes())?;
        console.say(&format!("report: {}", folder.join("report.html").display()));
        tell(&Judged::Classes(report.evaluation), overlap, console)
    }
}

/// Shows the errors that a model file keeps.
fn show(model: &Model, console: Console) -> Result<Outcome, Failure> {
    let manifest = model.manifest();
    if console.is_json() {
        let metrics = match &manifest.classes {
            Some(classes) => serde_json::to_value(&classes.metrics),
            None => serde_json::to_value(&manifest.metrics),
        };
        let metrics = metrics.unwrap_or_default();
        Console::print_json(&json!({ "study": manifest.study.study.name, "metrics": metrics }))?;
    } else {
        Console::print(errors::kept(model))?;
    }
    Ok(Outcome::Done)
}

/// The model file that a path means: itself, or that of a run's folder.
pub(crate) fn model_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("model.safetensors") } else { path.to_owned() }
}
