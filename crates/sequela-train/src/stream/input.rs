//! What the lines of a stream look like, found out from the first ones.

use std::borrow::Cow;

use sequela_core::Location;
use sequela_formats::csv::{
    LineFault, LineHeader, LineTable, SeriesColumns, TimeColumn, ValueColumn, guess_keys,
};

use crate::Error;
use crate::model::Model;
use crate::source::time_format;
use crate::study::Data;

use super::dialogue::{DialogueOptions, InputFormat};
use super::json::JsonLine;

/// What a line says.
#[derive(Debug, Default)]
pub(super) struct Said<'a> {
    /// Whose it is; empty where the lines do not tell.
    pub(super) subject: Option<Cow<'a, str>>,
    /// Hours, and as it is written.
    pub(super) time: Option<(f64, Cow<'a, str>)>,
}

/// How lines are read.
#[derive(Debug)]
pub(super) enum Input {
    /// Nothing was read yet.
    Unknown,
    /// The header of a table was read; its first row will tell the rest.
    Header(LineHeader),
    /// Rows under a header.
    Table(Box<LineTable>),
    /// Rows of values and nothing else.
    Bare(Box<LineTable>),
    /// One JSON object a line.
    Json(Box<JsonLine>),
}

/// What a line was.
pub(super) enum Kind {
    /// The header of a table, which is not answered.
    Header,
    /// Nothing, which is not answered either.
    Blank,
    /// A step.
    Step,
}

impl Input {
    /// Finds out what kind of line this is, and with it how the lines are read.
    pub(super) fn look(
        &mut self,
        line: &str,
        model: &Model,
        options: &DialogueOptions,
        place: &Location,
    ) -> Result<Kind, Refusal> {
        let blank = line.trim().is_empty();
        match self {
            Self::Unknown => match options.format {
                InputFormat::Values => *self = Self::Bare(LineTable::bare(values(model)).into()),
                _ if blank => return Ok(Kind::Blank),
                InputFormat::Json => *self = json(line, model, options)?,
                InputFormat::Auto if line.trim_start().starts_with('{') => {
                    *self = json(line, model, options)?;
                }
                InputFormat::Auto | InputFormat::Csv => {
                    let header = LineHeader::parse(line)?;
                    if options.format == InputFormat::Auto && header.is_row() {
                        *self = Self::Bare(LineTable::bare(values(model)).into());
                    } else {
                        // Refused here already where a channel is missing.
                        LineTable::new(&header, values(model), place)?;
                        *self = Self::Header(header);
                        return Ok(Kind::Header);
                    }
                }
            },
            Self::Header(_) | Self::Table(_) | Self::Json(_) if blank => return Ok(Kind::Blank),
            Self::Header(header) => {
                let columns = keys(header, line, model, options)?;
                *self = Self::Table(LineTable::new(header, columns, place)?.into());
            }
            _ => {}
        }
        Ok(Kind::Step)
    }

    /// Reads a step. What was understood before a fault stays in `said`.
    pub(super) fn read<'a>(
        &'a mut self,
        line: &str,
        said: &mut Said<'a>,
        to: &mut [f32],
    ) -> Result<(), LineFault> {
        match self {
            Self::Table(table) | Self::Bare(table) => {
                table.read(line)?;
                said.subject = table.subject()?.map(Cow::Borrowed);
                said.time = table.time()?.map(|(time, text)| (time, Cow::Borrowed(text)));
                table.values(to)
            }
            Self::Json(json) => json.read(line, said, to),
            Self::Unknown | Self::Header(_) => Ok(()),
        }
    }

    /// Names of the columns of subject and time, where there are any.
    pub(super) fn keys(&self) -> (Option<&str>, Option<&TimeColumn>) {
        match self {
            Self::Table(table) => {
                (table.columns().subject.as_deref(), table.columns().time.as_ref())
            }
            Self::Json(json) => json.keys(),
            Self::Unknown | Self::Header(_) | Self::Bare(_) => (None, None),
        }
    }
}

/// Why a line cannot be looked at: its own fault, or one of the whole input.
#[derive(Debug)]
pub(super) enum Refusal {
    Line(LineFault),
    Input(Error),
}

impl From<LineFault> for Refusal {
    fn from(fault: LineFault) -> Self {
        Self::Line(fault)
    }
}

impl From<sequela_formats::Error> for Refusal {
    fn from(error: sequela_formats::Error) -> Self {
        Self::Input(error.into())
    }
}

/// The model's channels as columns.
fn values(model: &Model) -> SeriesColumns {
    let channels = model.manifest().schema.iter();
    let values = channels.map(|c| ValueColumn { name: c.name.clone(), unit: c.unit.clone() });
    SeriesColumns { values: values.collect(), ..SeriesColumns::default() }
}

/// The columns of a table, from its header and first row.
fn keys(
    header: &LineHeader,
    row: &str,
    model: &Model,
    options: &DialogueOptions,
) -> Result<SeriesColumns, LineFault> {
    let cells = header.cells(row)?;
    let pairs = header.names.iter().zip(&cells).map(|(name, cell)| (name.as_str(), cell.as_str()));
    Ok(choose(pairs, model, options))
}

/// Which names are the subject's and the time's: those asked for, else those of the study, else
/// those that look like it.
fn choose<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
    model: &Model,
    options: &DialogueOptions,
) -> SeriesColumns {
    let columns = values(model);
    let others = pairs.filter(|(name, _)| columns.values.iter().all(|value| value.name != *name));
    let (names, row): (Vec<String>, Vec<&str>) =
        others.map(|(name, cell)| (name.to_owned(), cell)).unzip();
    let is_there = |name: &String| names.contains(name);
    let study = match &model.manifest().study.data {
        Data::Csv(data) => (
            data.subject.clone().filter(is_there),
            data.time
                .as_ref()
                .map(|time| TimeColumn {
                    name: time.name.clone(),
                    format: time_format(time.format),
                })
                .filter(|time| is_there(&time.name)),
        ),
        _ => (None, None),
    };
    let guessed = guess_keys(&names, &row);
    let asked = options.time.as_ref().map(|name| {
        let cell = names.iter().position(|found| found == name).map_or("", |at| row[at]);
        // The name of a column that is asked for need not sound like a time.
        let like = if name.to_lowercase().starts_with("time") {
            name.clone()
        } else {
            format!("time_{name}")
        };
        let format = guess_keys(&[like], &[cell]).1.map(|time| time.format);
        let format = format.unwrap_or(sequela_formats::csv::TimeFormat::Seconds);
        TimeColumn { name: name.clone(), format }
    });
    let subject = options.subject.clone().or(study.0).or(guessed.0);
    let time = asked.or(study.1).or(guessed.1);
    // One column cannot be both.
    let time = time.filter(|time| subject.as_ref() != Some(&time.name));
    SeriesColumns { subject, time, ..columns }
}

/// How objects are read, from the first one.
fn json(line: &str, model: &Model, options: &DialogueOptions) -> Result<Input, LineFault> {
    let pairs = JsonLine::pairs(line)?;
    let pairs = pairs.iter().map(|(name, cell)| (name.as_str(), cell.as_str()));
    Ok(Input::Json(JsonLine::new(choose(pairs, model, options)).into()))
}
