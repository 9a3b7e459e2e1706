//! The series of a path, whatever it is.

use std::path::Path;

use sequela_core::{Limits, Location};
use sequela_data::Cohort;
use sequela_data::heart_rate::BeatOptions;
use sequela_data::load::{self, AnnotatedBeats, SEPSIS, SignalOptions, Stays, Subjects};
use sequela_data::plausible::{UnitFinding, check_units};
use sequela_formats::csv::{sniff, sniff_long};
use sequela_formats::{Layout, detect};

use crate::cli::failure::Failure;

/// What was found at a path.
#[derive(Debug)]
pub(super) struct Source {
    /// In words.
    pub(super) format: &'static str,
    pub(super) cohort: Cohort,
    /// Columns that are no series, and why.
    pub(super) left_out: Vec<(String, String)>,
    /// What its labels are called, where the format says so.
    pub(super) classes: Option<(&'static str, [&'static str; 2])>,
    /// What should be looked at.
    pub(super) findings: Vec<String>,
}

impl Source {
    pub(super) fn read(path: &Path, limits: &Limits) -> Result<Self, Failure> {
        let mut source = match detect(path, limits)? {
            Layout::Array => {
                let cohort = load::intervals(path, &BeatOptions::default(), limits)?;
                Self::of("beat intervals (npy)", cohort)
            }
            Layout::Wfdb => {
                let paths = [path.to_owned()];
                let cohort = load::annotated_beats(&paths, &AnnotatedBeats::default(), limits)?;
                Self::of("annotated beats (WFDB)", cohort)
            }
            Layout::Edf | Layout::WfdbRecord => {
                // Signals of several rates meet on a grid.
                let options =
                    SignalOptions { every_seconds: Some(1.0), ..SignalOptions::default() };
                if path.extension().is_some_and(|end| end == "hea") {
                    let options = (&options, Subjects::default());
                    Self::of("signals (WFDB)", load::wfdb_signals(path, &[], options, limits)?)
                } else {
                    Self::of("signals (EDF)", load::edf(path, &options, limits)?)
                }
            }
            Layout::Physionet2012 => {
                let cohort = load::physionet2012(path, &Stays::default(), limits)?;
                let classes = Some((Stays::OUTCOME, Stays::CLASSES));
                Self { classes, ..Self::of("ICU stays (PhysioNet 2012)", cohort) }
            }
            Layout::Physionet2019 => {
                let cohort = load::physionet2019(path, limits)?;
                Self { classes: Some(SEPSIS), ..Self::of("ICU hours (PhysioNet 2019)", cohort) }
            }
            Layout::Meds => {
                return Err(sequela_formats::Error::Malformed {
                    location: Location::file(path).into(),
                    what: "this is MEDS already".into(),
                    hint: "give another file or folder".into(),
                }
                .into());
            }
            Layout::Omop => {
                return Err(sequela_formats::Error::Malformed {
                    location: Location::file(path).into(),
                    what: "these are coded events, not series".into(),
                    hint: "convert them: sequela data convert IN OUT --to meds".into(),
                }
                .into());
            }
            Layout::Tables => {
                return Err(sequela_formats::Error::Malformed {
                    location: Location::file(path).into(),
                    what: "this is a folder of tables".into(),
                    hint: "name one of them".into(),
                }
                .into());
            }
            Layout::Parquet => {
                Self::table(path, ["long table (Parquet)", "wide table (Parquet)"], limits)?
            }
            _ => Self::table(path, ["long table", "wide table"], limits)?,
        };
        source.findings.extend(check_units(&source.cohort).iter().map(UnitFinding::text));
        Ok(source)
    }

    fn table(
        path: &Path,
        [long_table, wide_table]: [&'static str; 2],
        limits: &Limits,
    ) -> Result<Self, Failure> {
        if let Some(long) = sniff_long(path, limits)?
            && !long.columns.channels.is_empty()
        {
            let cohort = load::long(path, &long.columns, None, limits)?;
            let findings = long.mixed.iter().map(|(name, units)| {
                format!(
                    "{name}: its rows are in several units ({}); convert the rows of one to another",
                    units.join(", ")
                )
            });
            let findings = findings.collect();
            let left_out = long.left_out;
            return Ok(Self { left_out, findings, ..Self::of(long_table, cohort) });
        }
        let mut guess = sniff(path, limits)?;
        let mut findings = Vec::new();
        let cohort = loop {
            match load::series(path, &guess.columns, limits) {
                Err(sequela_data::Error::Format(error)) => {
                    // A column with a cell that is none of its numbers is told of, and the others
                    // are described.
                    let values = &mut guess.columns.values;
                    let field = error.location().field_name();
                    let at = values.iter().position(|value| Some(value.name.as_str()) == field);
                    match at.filter(|_| values.len() > 1 && findings.len() < MOST_FAULTS) {
                        Some(at) => {
                            let name = values.remove(at).name;
                            guess.left_out.push((name, "a cell of it cannot be read".into()));
                            findings.push(error.to_string());
                        }
                        None => return Err(error.into()),
                    }
                }
                read => break read?,
            }
        };
        Ok(Self { left_out: guess.left_out, findings, ..Self::of(wide_table, cohort) })
    }

    fn of(format: &'static str, cohort: Cohort) -> Self {
        Self { format, cohort, left_out: Vec::new(), classes: None, findings: Vec::new() }
    }
}

/// Columns that are left out for a bad cell, at most: for each, the file is read again.
const MOST_FAULTS: usize = 20;
