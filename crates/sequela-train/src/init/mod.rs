//! A first study for data of any kind: `sequela init DATA`.

mod classes;
mod layouts;
mod series;

use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location};
use sequela_formats::csv::{sniff, sniff_long};
use sequela_formats::npy::read_array;
use sequela_formats::{Layout, detect};

use crate::Error;
use crate::study::Study;

/// Where the classes of a first study stand, where its data do not say so themselves.
#[derive(Debug, Clone, Default)]
pub struct FirstLabels {
    /// A second table; for MEDS a Parquet file of labels.
    pub file: Option<PathBuf>,
    /// The column of classes; needed where there are several that it could be.
    pub column: Option<String>,
}

impl FirstLabels {
    fn are_asked_for(&self) -> bool {
        self.file.is_some() || self.column.is_some()
    }
}

/// A commented study for a table (wide or long), an array, EDF files, a folder or archive of WFDB records or
/// of the PhysioNet challenges of 2012 and 2019, or a folder of MEDS.
///
/// With labels it tells the class of each subject, or of each step where the classes of one
/// subject's rows differ; without any it forecasts, except where the layout has its own outcome.
/// What is guessed stands there to be looked at; the text is a study that can be run as it is.
///
/// # Errors
/// What reading the data gives; [`Error::Data`] for labels that are asked for and cannot be found, and
/// for MEDS without any.
pub fn init_study(path: &Path, labels: &FirstLabels, limits: &Limits) -> Result<String, Error> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = quoted(stem.split('.').next().unwrap_or("series"));
    let layout = detect(path, limits)?;
    let has_classes =
        matches!(layout, Layout::Physionet2012 | Layout::Meds | Layout::Table | Layout::Parquet);
    if labels.are_asked_for() && !has_classes {
        return Err(Error::data(
            "--labels",
            "classes are told of tables, stays and MEDS",
            "leave --labels and --label out: what is written then is a study of these data alone",
        ));
    }
    let text = match layout {
        Layout::Array => {
            let array = read_array(path, limits)?;
            series::study(&name, series::array(path, &array.values, &array.shape))
        }
        Layout::Physionet2012 => layouts::stays(&name, path, labels, limits)?,
        Layout::Physionet2019 => layouts::hours(&name, path, limits)?,
        Layout::Meds => layouts::meds(&name, path, labels, limits)?,
        Layout::Table | Layout::Parquet => {
            let table = match sniff_long(path, limits)? {
                Some(long) if !long.columns.channels.is_empty() => {
                    series::Table::long(path, &long, limits)?
                }
                _ => series::Table::wide(path, &sniff(path, limits)?, limits)?,
            };
            match classes::of_table(path, &table, labels, limits)? {
                Some(found) => classes::study(&name, &table, &found),
                None => series::study(&name, table.forecasts()),
            }
        }
        Layout::Edf => series::study(&name, series::edf(path, limits)?),
        Layout::Omop => {
            return Err(refuse(
                path,
                "these are tables of OMOP",
                "convert them: sequela data convert IN OUT --to meds",
            ));
        }
        Layout::Tables => {
            return Err(refuse(
                path,
                "this is a folder of tables",
                "name one of them; sequela data describe tells what each is",
            ));
        }
        _ => {
            sequela_formats::wfdb::read_records(path, "atr", limits)?;
            series::study(&name, series::records(path))
        }
    };
    // What is written must be readable: a name with odd characters may not break it.
    Study::parse(&text, path, &[])?;
    Ok(text)
}

/// A path as it can stand in a study that lies anywhere.
fn path_text(path: &Path) -> String {
    quoted(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy())
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string().replace('\n', "\\n")
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A refusal about a file.
fn refuse(path: &Path, what: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::Data { location: Location::file(path).into(), what: what.into(), hint: hint.into() }
}

const HEAD: &str = "# A first study, written by sequela init. Look at what was guessed, then: sequela train STUDY\n";
