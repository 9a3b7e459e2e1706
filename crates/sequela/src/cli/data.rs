//! `sequela data`: what data there are, what is in a file, and data made up.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use sequela_core::Steps;
use sequela_data::datasets::Source;
use sequela_data::simulate::HeartRateSimulation;
use sequela_data::{Cohort, datasets};
use sequela_eval::table::{Align, Table};
use sequela_formats::csv::{Cell, to_csv};
use sequela_formats::durable::{sweep_beside, write_atomic};
use serde_json::{Value, json};

use super::console::Console;
use super::convert::Convert;
use super::describe::Describe;
use super::failure::{Failure, Outcome};
use super::sets::{SETS, size};

/// Arguments of `sequela data`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Data {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the public data sets that sequela knows, and which of them are here
    List,
    /// Fetch a public data set into the folder of data sets
    #[cfg(feature = "fetch")]
    Get(super::get::Get),
    /// Describe a file or folder of series: channels, subjects, times, what is missing
    Describe(Describe),
    /// Write the series of a file or folder in another format
    Convert(Convert),
    /// Write simulated data as CSV
    #[command(after_long_help = "\
Examples:
  sequela data simulate heart-rate --seed 1 --out ward.csv
  sequela data simulate heart-rate --subjects 4 --hours 2 | head")]
    Simulate(Simulate),
}

#[derive(Debug, Args)]
struct Simulate {
    /// What to simulate
    what: Simulated,
    /// The same seed gives the same data
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Number of subjects
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    subjects: Option<u32>,
    /// Hours of each subject
    #[arg(long)]
    hours: Option<f64>,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Simulated {
    /// Heart rate: resting rhythm, breathing, time of day, exercise, ectopic beats, gaps
    HeartRate,
}

impl Data {
    /// Does what was asked.
    pub(crate) fn run(&self, console: Console) -> Result<Outcome, Failure> {
        match &self.what {
            What::List => list(datasets::root().as_deref(), console),
            #[cfg(feature = "fetch")]
            What::Get(get) => get.run(console),
            What::Describe(describe) => return describe.run(console),
            What::Convert(convert) => return convert.run(console),
            What::Simulate(simulate) => simulate.run(console),
        }?;
        Ok(Outcome::Done)
    }
}

impl Simulate {
    fn run(&self, console: Console) -> Result<(), Failure> {
        let Simulated::HeartRate = self.what;
        let usual = HeartRateSimulation::default();
        let cohort = HeartRateSimulation {
            seed: self.seed,
            subjects: self.subjects.map_or(usual.subjects, |n| n as usize),
            hours: self.hours.unwrap_or(usual.hours),
            ..usual
        }
        .run()?;
        let bytes = table(&cohort);
        let Some(path) = &self.out else { return Console::print(bytes) };
        sweep_beside(path)?;
        write_atomic(path, &bytes)?;
        console.say(&format!(
            "{} steps of {} subjects in {}",
            cohort.steps(),
            cohort.subjects().len(),
            path.display()
        ));
        Ok(())
    }
}

/// The cohort as CSV: subject, seconds from the start, channels; missing values are empty.
fn table(cohort: &Cohort) -> Vec<u8> {
    let mut header = vec!["subject", "seconds"];
    header.extend(cohort.schema().channels().iter().map(|channel| channel.name.as_str()));
    let mut rows = Vec::with_capacity(cohort.steps());
    for sequence in cohort.sequences() {
        let Steps::Numeric { values, observed, features } = &sequence.steps else { continue };
        let steps = values.chunks(*features).zip(observed.chunks(*features));
        for (step, (values, observed)) in steps.enumerate() {
            let hours = sequence.times.as_ref().and_then(|times| times.get(step));
            let mut row = vec![Cell::Text(sequence.subject.as_str().to_owned())];
            row.push(
                hours.map_or(Cell::Missing, |hours| Cell::Number(milliseconds(3600.0 * hours))),
            );
            row.extend(values.iter().zip(observed).map(|(value, seen)| {
                if *seen { Cell::Number(shortest(*value)) } else { Cell::Missing }
            }));
            rows.push(row);
        }
    }
    to_csv(&header, &rows)
}

/// The f64 that is written with the digits of the f32.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

fn milliseconds(seconds: f64) -> f64 {
    (1000.0 * seconds).round() / 1000.0
}

fn list(root: Option<&Path>, console: Console) -> Result<(), Failure> {
    let mut table = Table::new(&[
        ("data set", Align::Left),
        ("task", Align::Left),
        ("here", Align::Right),
        ("to get", Align::Right),
        ("checked by", Align::Left),
        ("licence", Align::Left),
        ("content", Align::Left),
    ]);
    let mut found = 0;
    let mut machine: Vec<Value> = Vec::new();
    for set in SETS {
        let (files, bytes) = root.map_or((0, 0), |root| size(&root.join(set.name)));
        found += u32::from(files > 0);
        let here = if files > 0 { megabytes(bytes) } else { "no".to_owned() };
        let source = Source::of(set.name).ok();
        let (upstream, check) = match &source {
            Some(source) => {
                (source.bytes().map_or("?".to_owned(), megabytes), source.check().words())
            }
            None => ("-".to_owned(), "-"),
        };
        table.row([set.name, set.task, &here, &upstream, check, set.licence, set.content]);
        machine.push(json!({ "name": set.name, "task": set.task, "licence": set.licence,
            "content": set.content, "found": files > 0, "files": files, "bytes": bytes,
            "get": source.as_ref().map(|source| json!({ "from": source.from,
                "bytes": source.bytes(), "check": source.check().words() })) }));
    }
    if console.is_json() {
        return Console::print_json(&json!({ "folder": root, "sets": machine }));
    }
    Console::print(table.text())?;
    let looked = match root {
        Some(root) => format!("{found} of {} are in {}", SETS.len(), root.display()),
        None => "no folder of data sets was found".to_owned(),
    };
    console.say(&format!(
        "{looked} (set SEQUELA_DATA to look elsewhere); sets with a size to get (? is told then) \
         come by `sequela data get NAME`"
    ));
    Ok(())
}

pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}
