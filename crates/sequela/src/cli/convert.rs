//! `sequela data convert`: series in another format.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sequela_core::Limits;
use sequela_data::export::{write_coded, write_meds};
use sequela_formats::meds::{Coded, Counted};
use sequela_formats::omop::read_omop;
use sequela_formats::{Layout, detect};

use super::console::Console;
use super::describe::read_source;
use super::failure::{Failure, Outcome};

/// Arguments of `sequela data convert`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
What IN is, is told as `sequela data describe` tells it; OUT is a folder that is not there yet. Each value
becomes an event, whose code is the name of its channel; times since admission become times since the
beginning of 1970. Classes of the data become labels/labels.parquet. Subjects are divided into train (80 %),
tuning and held_out.

Tables of OMOP (a folder or a .zip) become coded events, VOCABULARY//code, with their units; what each table gave
is told.

Examples:
  sequela data convert physionet2012/set-a.tar.gz meds --to meds
  sequela data convert labs.parquet meds --to meds --seed 7
  sequela data convert Synthea27Nj_5.4.zip meds --to meds")]
pub(crate) struct Convert {
    /// A file, a folder or an archive of series, or tables of OMOP
    file: PathBuf,
    /// The folder to write
    out: PathBuf,
    /// The format to write
    #[arg(long, value_enum)]
    to: Format,
    /// The same seed divides the subjects in the same way
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

/// Formats that are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// The Medical Event Data Standard: Parquet shards of coded events
    Meds,
}

impl Convert {
    /// Reads and writes.
    pub(crate) fn run(&self, console: Console) -> Result<Outcome, Failure> {
        let Format::Meds = self.to;
        if let Some(coded) = self.coded()? {
            return self.write_coded(&coded, console);
        }
        let (cohort, label_hours) = read_source(&self.file, &Limits::default())?;
        let written = write_meds(&cohort, &self.out, label_hours, self.seed)?;
        for note in cohort.notes() {
            console.say(note);
        }
        if written.are_numbered {
            console.say("subjects are numbered; metadata/subjects.csv says who is who");
        }
        console.say(&format!(
            "{} events of {} subjects and {} labels in {}",
            written.events,
            written.subjects,
            written.labels,
            self.out.display()
        ));
        Ok(Outcome::Done)
    }

    /// The events of a layout that has codes.
    fn coded(&self) -> Result<Option<Coded>, Failure> {
        let limits = Limits::default();
        Ok(match detect(&self.file, &limits)? {
            Layout::Omop => Some(read_omop(&self.file, &limits)?),
            _ => None,
        })
    }

    fn write_coded(&self, coded: &Coded, console: Console) -> Result<Outcome, Failure> {
        let written = write_coded(coded, &self.out, self.seed)?;
        for Counted { source, rows, events } in &coded.counts {
            console.say(&format!("{source}: {rows} rows, {events} events"));
        }
        for note in &coded.notes {
            console.say(note);
        }
        console.say(&format!(
            "{} events of {} subjects in {}",
            written.events,
            written.subjects,
            self.out.display()
        ));
        Ok(Outcome::Done)
    }
}
