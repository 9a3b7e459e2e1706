//! Forecasts of a model for new series: in one go, or value by value.

use std::path::Path;

use sequela_core::{Channel, Limits, Schema, Sequence};
use sequela_data::Cohort;
use sequela_data::envelope::Placing;
use sequela_data::heart_rate::BeatOptions;
use sequela_data::load::physionet2019;
use sequela_formats::csv::{Cell, sniff, to_csv};
use sequela_kernels::Context;
use sequela_nn::Precision;
use serde_json::json;

use crate::feed::Form;
use crate::judge::Net;
use crate::model::{ChannelSpec, Model};
use crate::series::{Example, Examples};
use crate::source::FileKind;
use crate::study::{
    Content, CsvData, Data, EdfData, NpyData, TimeSpec, TimeWord, ValueSpec, WfdbData,
};
use crate::{Error, carried, source};

/// What a call may use, and what may end it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Threads; 0 chooses by the size of the work.
    pub threads: usize,
    /// Set by a signal handler: training writes a checkpoint and returns.
    pub stop: Option<&'a std::sync::atomic::AtomicBool>,
    /// Bounds on what is read.
    pub limits: Limits,
    /// In what forecasts are computed; training goes by its study.
    pub precision: Precision,
}

/// Which forecasts are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictRows {
    /// One for each sequence, from its end.
    Last,
    /// One for each step that has a whole window behind it.
    Every,
}

/// Forecasts for several sequences.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecasts {
    /// Name of what is forecast.
    pub channel: String,
    /// Its unit.
    pub unit: String,
    /// What one step is called.
    pub step_name: String,
    /// Steps ahead, one for each value of a row.
    pub horizons: Vec<usize>,
    /// In the order of sequences and steps.
    pub rows: Vec<ForecastRow>,
}

/// Forecasts from one step.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastRow {
    /// Whose.
    pub subject: String,
    /// Name of the sequence.
    pub sequence: String,
    /// The last step that was seen, from 0.
    pub step: usize,
    /// Its time in hours, where the sequence has times.
    pub time: Option<f64>,
    /// One forecast for each horizon, in the unit of the target.
    pub values: Vec<f32>,
    /// How much of its window is missing, and whether the window lies inside what the model has
    /// seen in training; none where the model file does not know.
    pub placing: Option<Placing>,
}

impl Forecasts {
    /// A table with one row for each step and horizon: subject, sequence, step, time, how far
    /// ahead, forecast; then of the window the share of cells that are missing, `inside` or `outside`
    /// of what was seen in training, and why.
    pub fn to_csv(&self) -> Vec<u8> {
        let value = if self.unit.is_empty() {
            self.channel.clone()
        } else {
            format!("{} ({})", self.channel, self.unit)
        };
        let ahead = format!("{}s_ahead", self.step_name);
        let mut header = vec!["subject", "sequence", "step", "time_h", &ahead, &value];
        let placed = self.rows.iter().any(|row| row.placing.is_some());
        if placed {
            header.extend(Placing::COLUMNS);
        }
        let mut rows = Vec::with_capacity(self.rows.len() * self.horizons.len());
        for row in &self.rows {
            for (&horizon, &value) in self.horizons.iter().zip(&row.values) {
                let mut cells = vec![
                    Cell::Text(row.subject.clone()),
                    Cell::Text(row.sequence.clone()),
                    integer(row.step),
                    row.time.map_or(Cell::Missing, Cell::Number),
                    integer(horizon),
                    // Through its own shortest digits, so that 71.3 is not 71.30000305.
                    Cell::Number(value.to_string().parse().unwrap_or(f64::from(value))),
                ];
                if placed {
                    cells.extend(placing_cells(row.placing.as_ref()));
                }
                rows.push(cells);
            }
        }
        to_csv(&header, &rows)
    }

    /// How many forecasts are from windows outside of what was seen in training; none where the model
    /// file does not know.
    pub fn outside(&self) -> Option<usize> {
        count_outside(self.rows.iter().map(|row| row.placing.as_ref()))
    }

    /// The same as JSON.
    pub fn to_json(&self) -> String {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "subject": row.subject,
                    "sequence": row.sequence,
                    "step": row.step,
                    "time_hours": row.time,
                    "forecasts": row.values,
                    "missing": row.placing.as_ref().map(|placing| placing.missing),
                    "envelope": row.placing.as_ref().map(Placing::word),
                    "outside": row.placing.as_ref().map(outside),
                })
            })
            .collect();
        json!({
            "channel": self.channel,
            "unit": self.unit,
            "step": self.step_name,
            "horizons": self.horizons,
            "rows": rows,
        })
        .to_string()
    }
}

/// The cells of [`Placing::COLUMNS`].
pub(crate) fn placing_cells(placing: Option<&Placing>) -> [Cell; 3] {
    placing.map_or([Cell::Missing, Cell::Missing, Cell::Missing], |placing| {
        [
            Cell::Number(libm::round(placing.missing * 1e4) / 1e4),
            Cell::Text(placing.word().to_owned()),
            Cell::Text(placing.why()),
        ]
    })
}

/// How many lie outside; none where nothing is known of any.
pub(crate) fn count_outside<'a>(
    placings: impl Iterator<Item = Option<&'a Placing>>,
) -> Option<usize> {
    placings
        .flatten()
        .fold(None, |count, placing| Some(count.unwrap_or(0) + usize::from(!placing.is_inside())))
}

/// What lies outside, channel by channel.
pub(crate) fn outside(placing: &Placing) -> serde_json::Value {
    let each = placing.outside.iter();
    each.map(|outside| json!({ "channel": outside.channel, "why": outside.why })).collect()
}

fn integer(value: usize) -> Cell {
    i64::try_from(value).map_or(Cell::Missing, Cell::Integer)
}

/// Reads series for a model: tables (`.csv`, `.tsv`, `.txt`, also gzip), arrays (`.npy`), or a
/// folder or an archive in the layout of the model's study (else of WFDB records).
///
/// Columns of a table are found by the model's channel names; subject and time column are those
/// of the study where the table has them, else they are guessed.
///
/// # Errors
/// What reading gives; [`Error::Schema`] where channels or units are not the model's.
pub fn read_input(path: &Path, model: &Model, limits: &Limits) -> Result<Vec<Sequence>, Error> {
    let cohort = read_cohort(path, None, model, limits)?;
    Ok(cohort.sequences().to_vec())
}

/// As [`read_input`], with the classes of a file of outcomes where the layout has such files.
pub(crate) fn read_cohort(
    path: &Path,
    outcomes: Option<&Path>,
    model: &Model,
    limits: &Limits,
) -> Result<Cohort, Error> {
    let study = &model.manifest().study;
    let one = |end: &str| kind_is(path, &[end]);
    let cohort = match (FileKind::of(path), &study.data) {
        (kind, Data::Physionet2012(data)) if kind == FileKind::Records || one("txt") => {
            source::stays(data, path, outcomes.map(Path::to_owned), limits)?
        }
        (kind, Data::Physionet2019(_)) if kind == FileKind::Records || one("psv") => {
            physionet2019(path, limits)?
        }
        (FileKind::Records, Data::Meds(data)) => {
            // Those that are named, else the file of the study's name in the folder `labels`.
            let name = data.labels.as_deref().and_then(Path::file_name);
            let beside = name.map(|name| path.join("labels").join(name));
            let beside = beside.filter(|file| file.exists());
            let labels = outcomes.map(Path::to_owned).or(beside);
            let channel = |known: &ChannelSpec| Channel {
                name: known.name.clone(),
                unit: known.unit.clone(),
            };
            let known = Schema::new(model.manifest().schema.iter().map(channel).collect());
            source::meds_cohort(data, Some(&known), (path, labels), limits)?
        }
        // The names of the study may be all there are: the channels are those of the model.
        (_, Data::Edf(data)) if kind_is(path, &["edf", "bdf"]) || path.is_dir() => {
            let values = model
                .manifest()
                .schema
                .iter()
                .map(|known| ValueSpec { name: known.name.clone(), unit: known.unit.clone() });
            source::edf(&EdfData { values: values.collect(), ..data.clone() }, path, limits)?
        }
        (_, Data::Wfdb(data)) if !data.values.is_empty() && kind_is(path, &["hea"]) => {
            source::wfdb(data, path, limits)?
        }
        (FileKind::Array, _) => source::npy(&array_of(path, model), path, limits)?,
        (FileKind::Records, _) => {
            let data = match &study.data {
                // The records of training are not those that are asked about.
                Data::Wfdb(data) => WfdbData { records: Vec::new(), ..data.clone() },
                _ => WfdbData::at(path),
            };
            source::wfdb(&data, path, limits)?
        }
        (FileKind::Table, _) => source::csv(&table_of(path, model, limits)?, path, limits)?,
    };
    model.check_schema(cohort.schema(), &path.display().to_string())?;
    Ok(cohort)
}

/// Whether a name ends so.
fn kind_is(path: &Path, ends: &[&str]) -> bool {
    let end = path.extension().unwrap_or_default();
    ends.iter().any(|wanted| end.eq_ignore_ascii_case(wanted))
}

/// How to read an array for a model.
fn array_of(path: &Path, model: &Model) -> NpyData {
    let data = &model.manifest().study.data;
    let content = match data {
        Data::Npy(data) => return data.clone(),
        Data::Wfdb(_) => Content::BeatIntervals,
        _ => Content::Values,
    };
    NpyData {
        path: path.to_owned(),
        content,
        beats: BeatOptions::default(),
        name: model.target().name.clone(),
        unit: model.target().unit.clone(),
        step: data.step().to_owned(),
    }
}

/// How to read a table for a model.
fn table_of(path: &Path, model: &Model, limits: &Limits) -> Result<CsvData, Error> {
    if let Data::Csv(data @ CsvData { long: Some(_), .. }) = &model.manifest().study.data {
        return Ok(CsvData { path: path.to_owned(), target: None, label: None, ..data.clone() });
    }
    let sniffed = sniff(path, limits)?;
    let values = model
        .manifest()
        .schema
        .iter()
        .map(|channel| {
            // The table's own unit where it tells one, so that a wrong one is refused.
            let known = sniffed.columns.values.iter().find(|value| value.name == channel.name);
            let unit = known.map_or_else(String::new, |value| value.unit.clone());
            ValueSpec { name: channel.name.clone(), unit }
        })
        .collect();
    let (subject, time, every_seconds) = match &model.manifest().study.data {
        Data::Csv(data) => (data.subject.clone(), data.time.clone(), data.every_seconds),
        _ => (None, None, None),
    };
    let guessed = sniffed
        .columns
        .time
        .map(|time| TimeSpec { format: TimeWord::of(time.format), name: time.name });
    Ok(CsvData {
        path: path.to_owned(),
        subject: sniffed.columns.subject.or(subject),
        time: time.or(guessed),
        values,
        long: None,
        target: None,
        every_seconds,
        step: model.manifest().study.data.step().to_owned(),
        label: None,
    })
}

/// Forecasts of a model.
///
/// **Determinism** in f32 the same bits for a sequence alone or among others, for any number of
/// threads, and those of the judgement at the end of training; in bf16 none of it.
///
/// # Errors
/// [`Error::Network`] where the precision cannot be had; [`Error::Load`] where every sequence is
/// shorter than the window; [`Error::Data`] for one of other channels, or a model that does not
/// forecast.
pub fn predict(
    model: &Model,
    sequences: &[Sequence],
    rows: PredictRows,
    options: &Options<'_>,
) -> Result<Forecasts, Error> {
    model.net().output()?;
    let encoder = &model.manifest().encoder;
    let cohort = model.cohort(sequences)?;
    let mut examples = encoder.without_windows(&cohort)?;
    let windows = encoder.plan(1).without_targets(&cohort)?.list;
    let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    for (at, window) in windows.iter().enumerate() {
        let is_last = windows.get(at + 1).is_none_or(|next| next.sequence != window.sequence);
        if rows == PredictRows::Every || is_last {
            let example = Example { series: narrow(window.sequence), start: narrow(window.start) };
            examples.windows.push(example);
        }
    }
    let mut context = Context::new(options.threads.max(1))?;
    let net = Net { precision: options.precision, ..model.net() };
    let values = forecasts_of(&net, model, &cohort, &examples, &mut context)?;
    let count = encoder.horizons.len();
    let envelope = encoder.envelope.as_ref();
    let rows = examples.windows.iter().zip(values.chunks_exact(count)).map(|(example, values)| {
        let sequence = &sequences[example.series as usize];
        let step = example.start as usize + encoder.length - 1;
        ForecastRow {
            subject: sequence.subject.as_str().to_owned(),
            sequence: sequence.id.clone(),
            step,
            time: sequence.times.as_ref().map(|times| times[step]),
            values: values.to_vec(),
            placing: envelope
                .map(|envelope| envelope.place_window(sequence, example.start as usize..step + 1)),
        }
    });
    Ok(Forecasts {
        channel: model.target().name.clone(),
        unit: model.target().unit.clone(),
        step_name: model.manifest().study.data.step().to_owned(),
        horizons: encoder.horizons.clone(),
        rows: rows.collect(),
    })
}

/// Forecasts for windows, `(N, K)`: each from zero state, or at the end of all that came before.
pub(crate) fn forecasts(
    model: &Model,
    cohort: &Cohort,
    examples: &Examples,
    context: &mut Context,
) -> Result<Vec<f32>, Error> {
    forecasts_of(&model.net(), model, cohort, examples, context)
}

/// As [`forecasts`], by the model's network in some precision.
fn forecasts_of(
    net: &Net<'_>,
    model: &Model,
    cohort: &Cohort,
    examples: &Examples,
    context: &mut Context,
) -> Result<Vec<f32>, Error> {
    if net.form == Form::EveryStep && model.manifest().study.train.truncate.is_some() {
        return carried::forecasts(net, cohort, examples, context);
    }
    net.forecasts(context, examples)
}
