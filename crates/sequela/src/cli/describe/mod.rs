//! `sequela data describe`: what is in a file or folder of series, in figures that hide no gap.

mod codes;
mod figures;
mod folder;
mod meds;
mod meds_page;
mod page;
mod signals;
mod source;

use std::path::{Path, PathBuf};

use clap::Args;
use sequela_core::Limits;
use sequela_data::Cohort;
use sequela_data::load::Stays;
use sequela_eval::table::{Align, Table, number};
use sequela_formats::durable::{sweep_beside, write_atomic};
use sequela_formats::{Layout, detect};
use serde_json::{Value, json};

use super::console::Console;
use super::failure::{Failure, Outcome};
use figures::{ChannelFigures, Figures, share};
use source::Source;

/// Arguments of `sequela data describe`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
What it is, is told from names: a table (.csv, .tsv, also gzipped, .parquet, .xlsx) with one row for each time or
one for each measurement; a .npy array; a folder or archive of WFDB records, or of the PhysioNet challenges of
2012 and 2019; a folder of MEDS (data/*.parquet), of which codes are told, and labels that lie in it; a folder of
tables, of which each is told in a line. Tables of OMOP are told by name; they are converted first. Of EDF or BDF files and of the header of a WFDB record (.hea) signals are
told, without a page.

Exit code 1 says that something was found to look at: values that are not in their unit, or in two.

The page has no identifier of a subject, and no figure of a channel or code that fewer than ten
subjects have.

Examples:
  sequela data describe ward.csv
  sequela data describe labs.csv.gz --html labs.html
  sequela data describe physionet2012/set-a.tar.gz --json")]
pub(crate) struct Describe {
    /// A file, a folder or an archive of series
    file: PathBuf,
    /// Write a page with pictures, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Tells what is at a path, where that is no cohort.
type Tell = fn(&Path, Console) -> Result<Outcome, Failure>;

impl Describe {
    /// Tells what is there.
    pub(crate) fn run(&self, console: Console) -> Result<Outcome, Failure> {
        let layout = detect(&self.file, &Limits::default())?;
        if layout == Layout::Meds {
            return meds::describe(&self.file, self.html.as_deref(), console);
        }
        let tell: Option<(Tell, &str)> = match layout {
            Layout::Omop => Some((codes::describe, "tables of OMOP")),
            Layout::Tables => Some((folder::describe, "folders of tables")),
            Layout::Edf | Layout::WfdbRecord => Some((signals::describe, "signals")),
            Layout::Wfdb if signals::are_alone(&self.file)? => Some((signals::describe, "signals")),
            _ => None,
        };
        if let Some((tell, what)) = tell {
            if self.html.is_some() {
                console.say(&format!("of {what} no page is written"));
            }
            return tell(&self.file, console);
        }
        let source = Source::read(&self.file, &Limits::default())?;
        let figures = Figures::of(&source.cohort);
        if console.is_json() {
            Console::print_json(&machine(&source, &figures))?;
        } else {
            Console::print(format!("{}\n{}", self.file.display(), text(&source, &figures)))?;
            for (column, reason) in &source.left_out {
                console.say(&format!("column {column} was left out: {reason}"));
            }
            for note in source.cohort.notes() {
                console.say(note);
            }
        }
        if let Some(path) = &self.html {
            sweep_beside(path)?;
            write_atomic(path, page::page(&self.file, &source, &figures).as_bytes())?;
            console.say(&format!("a page with pictures is in {}", path.display()));
        }
        for finding in &source.findings {
            console.say(&format!("finding: {finding}"));
        }
        Ok(if source.findings.is_empty() { Outcome::Done } else { Outcome::Findings })
    }
}

/// The series of a path, whatever it is, and the hour of its labels, where its layout has one.
pub(crate) fn read_source(path: &Path, limits: &Limits) -> Result<(Cohort, Option<f64>), Failure> {
    let hours = match detect(path, limits)? {
        Layout::Physionet2012 => Some(Stays::default().hours),
        _ => None,
    };
    Ok((Source::read(path, limits)?.cohort, hours))
}

/// The description for people.
fn text(source: &Source, figures: &Figures) -> String {
    let mut lines: Vec<String> =
        facts(source, figures).iter().map(|(name, fact)| format!("{name:<10} {fact}")).collect();
    let mut table = Table::new(&[
        ("channel", Align::Left),
        ("unit", Align::Left),
        ("observed", Align::Right),
        ("missing", Align::Right),
        ("subjects", Align::Right),
        ("min", Align::Right),
        ("25 %", Align::Right),
        ("median", Align::Right),
        ("75 %", Align::Right),
        ("max", Align::Right),
    ]);
    for ChannelFigures { name, unit, observed, missing, subjects, quantiles, .. } in
        &figures.channels
    {
        let mut row = vec![name.clone(), unit.clone(), observed.to_string()];
        row.push(share(*missing, observed + missing));
        row.push(subjects.to_string());
        row.extend(quantiles.map(|value| number(value, 2)));
        table.row(row);
    }
    lines.push(String::new());
    lines.push(table.text());
    lines.join("\n")
}

/// What is said of all of it, each with its name.
fn facts(source: &Source, figures: &Figures) -> Vec<(&'static str, String)> {
    let [shortest, _, median, _, longest] = figures.lengths;
    let mut facts = vec![
        ("format", source.format.to_owned()),
        ("subjects", figures.subjects.to_string()),
        (
            "sequences",
            format!(
                "{} of {} to {} steps (median {}), {} steps in all",
                figures.sequences,
                number(shortest, 0),
                number(longest, 0),
                number(median, 0),
                figures.steps
            ),
        ),
        ("times", figures.times()),
    ];
    if let Some(labels) = figures.labels(source.classes.as_ref()) {
        facts.push(("labels", labels));
    }
    facts
}

/// The description for machines.
fn machine(source: &Source, figures: &Figures) -> Value {
    let channels: Vec<Value> = figures
        .channels
        .iter()
        .map(|channel| {
            let [min, quarter, median, three, max] = channel.quantiles;
            json!({ "name": channel.name, "unit": channel.unit, "observed": channel.observed,
                "missing": channel.missing, "subjects": channel.subjects, "min": min,
                "q25": quarter, "median": median, "q75": three, "max": max })
        })
        .collect();
    let [shortest, _, median, _, longest] = figures.lengths;
    let left_out: Vec<Value> = source
        .left_out
        .iter()
        .map(|(column, reason)| json!({ "column": column, "reason": reason }))
        .collect();
    json!({
        "format": source.format,
        "subjects": figures.subjects,
        "sequences": figures.sequences,
        "steps": figures.steps,
        "steps_of_a_sequence": { "min": shortest, "median": median, "max": longest },
        "with_times": figures.with_times,
        "hours": figures.hours,
        "labels": figures.label_counts(source.classes.as_ref()),
        "channels": channels,
        "left_out": left_out,
        "notes": source.cohort.notes(),
        "findings": source.findings,
    })
}

/// The name of a file without the folders before it.
fn bare(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
