//! Series as a first study reads them, and the study that forecasts them.

use std::fmt::Write as _;
use std::path::Path;

use sequela_core::{Limits, Sequence, Steps};
use sequela_data::load;
use sequela_formats::csv::{LongSniffed, Sniffed, ValueColumn};

use super::{HEAD, one_line, path_text, quoted};
use crate::Error;

/// What a forecasting study says of its data.
pub(super) struct Series {
    /// The fields of the section `data`.
    data: String,
    /// The fields of the section `split`.
    split: &'static str,
    /// What one step is called.
    step: &'static str,
    /// Steps of the middle one of the sequences.
    length: usize,
}

/// A study that forecasts, with windows that fit into the sequences.
pub(super) fn study(name: &str, series: Series) -> String {
    let Series { data, split, step, length } = series;
    let window = (length / 2).clamp(1, 60);
    let mut horizons: Vec<usize> =
        [1, 5, 30].into_iter().filter(|horizon| window + horizon <= length).collect();
    if horizons.is_empty() {
        horizons.push(1);
    }
    format!(
        "{HEAD}\
         [study]\n\
         name = {name}\n\
         task = \"forecast\"\n\
         seed = 1              # weights, order of windows and split follow from it\n\n\
         [data]\n{data}\n\
         [window]\n\
         length = {window:<13} # {step}s that a forecast is made from\n\
         horizons = {horizons:<10} # {step}s ahead\n\
         target = \"change\"     # the network says how far the future is from the last value seen\n\
         missing = \"carry\"     # a missing value repeats the last one of its window\n\n\
         [split]\n{split}\n\
         [scale]\n\
         kind = \"standard\"     # or robust (median and quartiles), identity; measured on the training part\n\n\
         [model]\n\
         kind = \"sequence\"\n\
         cell = \"lstm\"         # or gru, elman\n\
         hidden = 32\n\
         layers = 1\n\
         dropout = 0.0         # between layers\n\n\
         [train]\n\
         epochs = 20\n\
         batch = 64\n\
         rate = 2e-3\n\
         patience = 5          # epochs without a better tuning loss, then training ends\n\
         clip = {{ norm = 1.0 }}\n\
         optimiser = {{ kind = \"adam\" }}\n\
         schedule = {{ kind = \"cosine\", floor = 0.05 }}\n",
        horizons = format!("{horizons:?}"),
    )
}

/// A table as a first study reads it.
pub(super) struct Table {
    /// The fields before the values.
    head: String,
    /// The column that says whose each row is.
    pub(super) subject: Option<String>,
    /// The column of times, where there is one.
    pub(super) time: Option<String>,
    values: Vec<ValueColumn>,
    /// What would be forecast: of a wide table the first, of a long one what is measured most.
    target: Option<String>,
    /// The fields after the values.
    tail: String,
    /// What was left out and why, each a comment.
    remarks: String,
    subjects: usize,
    length: usize,
    /// Whether any cell of the values is empty.
    pub(super) has_gaps: bool,
    /// Whether each row is a measurement of its own.
    pub(super) is_long: bool,
}

impl Table {
    /// A table with a row for each time.
    pub(super) fn wide(path: &Path, sniffed: &Sniffed, limits: &Limits) -> Result<Self, Error> {
        let columns = &sniffed.columns;
        let mut head = format!("kind = \"csv\"\npath = {}\n", path_text(path));
        match &columns.subject {
            Some(subject) => {
                let _ = writeln!(head, "subject = {}   # whose each row is", quoted(subject));
            }
            None => head.push_str(
                "# subject = \"...\"     # no column says whose each row is: all are one subject's\n",
            ),
        }
        match &columns.time {
            Some(time) => {
                let _ = writeln!(
                    head,
                    "time = {{ name = {}, format = \"{}\" }}\n\
                     # every_seconds = 60  # brings irregular times to a grid; empty steps are missing",
                    quoted(&time.name),
                    time.format.name()
                );
            }
            None => head.push_str(
                "# time = { name = \"...\", format = \"seconds\" }  # no column of times was found\n",
            ),
        }
        let cohort = load::series(path, columns, limits)?;
        Ok(Self {
            head,
            subject: columns.subject.clone(),
            time: columns.time.as_ref().map(|time| time.name.clone()),
            target: columns.values.first().map(|value| value.name.clone()),
            values: columns.values.clone(),
            tail: String::new(),
            remarks: remarks(&sniffed.left_out),
            subjects: cohort.subjects().len(),
            length: middle(cohort.sequences()),
            has_gaps: cohort.missing() > 0,
            is_long: false,
        })
    }

    /// A table with a row for each measurement: what a tenth of its subjects has of it, on a grid.
    pub(super) fn long(path: &Path, sniffed: &LongSniffed, limits: &Limits) -> Result<Self, Error> {
        let columns = &sniffed.columns;
        let raw = load::long(path, columns, None, limits)?;
        let every_seconds = grid(raw.sequences());
        let cohort = load::long(path, columns, Some(every_seconds / 3600.0), limits)?;
        let subjects = cohort.subjects().len();
        let channels = columns.channels.len();
        let seen = |sequence: &Sequence, channel: usize| match &sequence.steps {
            Steps::Numeric { observed, .. } => {
                observed.iter().skip(channel).step_by(channels.max(1)).filter(|seen| **seen).count()
            }
            _ => 0,
        };
        let has = |channel: usize| {
            let sequences = cohort.sequences().iter();
            sequences.filter(|sequence| seen(sequence, channel) > 0).count() * 10 >= subjects
        };
        let most = (0..channels)
            .max_by_key(|at| cohort.sequences().iter().map(|s| seen(s, *at)).sum::<usize>());
        let target = most.and_then(|at| columns.channels.get(at)).map(|value| value.name.clone());
        let (often, seldom): (Vec<_>, Vec<_>) =
            columns.channels.iter().enumerate().partition(|(channel, _)| has(*channel));
        let mut left_out = sniffed.left_out.clone();
        left_out.extend(
            seldom
                .into_iter()
                .map(|(_, value)| (value.name.clone(), "few subjects have it".to_owned())),
        );
        let unit = columns
            .unit
            .as_ref()
            .map_or_else(String::new, |unit| format!(", unit = {}", quoted(unit)));
        let head = format!(
            "kind = \"csv\"\npath = {}\n\
             subject = {}   # whose each row is\n\
             time = {{ name = {}, format = \"{}\" }}\n\
             long = {{ name = {}, value = {}{unit} }}   # each row is one measurement\n",
            path_text(path),
            quoted(&columns.subject),
            quoted(&columns.time.name),
            columns.time.format.name(),
            quoted(&columns.name),
            quoted(&columns.value),
        );
        Ok(Self {
            head,
            subject: Some(columns.subject.clone()),
            time: Some(columns.time.name.clone()),
            target,
            values: often.into_iter().map(|(_, value)| value.clone()).collect(),
            tail: format!(
                "every_seconds = {every_seconds}   # a grid: each step is the mean of its interval\n"
            ),
            remarks: remarks(&left_out),
            subjects,
            length: middle(cohort.sequences()),
            has_gaps: true,
            is_long: true,
        })
    }

    /// The fields of the section `data`, without a column that is no measurement.
    pub(super) fn data(&self, but: Option<&str>) -> String {
        let values: Vec<String> = self
            .values
            .iter()
            .filter(|value| Some(value.name.as_str()) != but)
            .map(|value| {
                format!("{{ name = {}, unit = {} }}", quoted(&value.name), quoted(&value.unit))
            })
            .collect();
        format!("{}values = [{}]\n{}", self.head, values.join(", "), self.tail)
    }

    /// What was left out, each a comment.
    pub(super) fn remarks(&self) -> &str {
        &self.remarks
    }

    /// The series that are forecast.
    pub(super) fn forecasts(&self) -> Series {
        let mut data = self.data(None);
        if let Some(target) = &self.target {
            let _ = writeln!(data, "target = {}   # what is forecast", quoted(target));
        }
        data.push_str("step = \"step\"         # what one step is called in tables\n");
        data.push_str(&self.remarks);
        Series {
            data,
            split: if self.subjects >= 3 { BY_SUBJECT } else { BY_TIME },
            step: "step",
            length: self.length,
        }
    }
}

fn remarks(left_out: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, reason) in left_out {
        let _ = writeln!(text, "# left out: {} ({reason})", one_line(name));
    }
    text
}

/// Steps of the middle one of the sequences.
fn middle(sequences: &[Sequence]) -> usize {
    let mut lengths: Vec<usize> = sequences.iter().map(Sequence::len).collect();
    lengths.sort_unstable();
    lengths.get(lengths.len() / 2).copied().unwrap_or(0)
}

/// The seconds of a step: the most usual ones that are no more than the middle one of the times
/// between measurements.
fn grid(sequences: &[Sequence]) -> f64 {
    let times = sequences.iter().filter_map(|sequence| sequence.times.as_deref());
    let mut gaps: Vec<f64> = times
        .flat_map(|times| times.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?)))
        .collect();
    gaps.sort_unstable_by(f64::total_cmp);
    let seconds = gaps.get(gaps.len() / 2).map_or(3600.0, |hours| hours * 3600.0);
    [86400.0, 3600.0, 900.0, 300.0, 60.0].into_iter().find(|usual| *usual <= seconds).unwrap_or(1.0)
}

/// An array of numbers, or of intervals between beats.
pub(super) fn array(path: &Path, values: &[f64], shape: &[usize]) -> Series {
    let length = shape.last().copied().unwrap_or(0).max(shape.first().copied().unwrap_or(0));
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    let column = shape.len() == 1 || shape.get(1) == Some(&1);
    let are_intervals = column && (250.0..2500.0).contains(&median);
    let path = path_text(path);
    if are_intervals {
        let data = format!(
            "kind = \"npy\"\npath = {path}\ncontent = \"beat_intervals\"  # by their size, milliseconds between beats\nstep = \"beat\"\n"
        );
        return Series { data, split: BY_TIME, step: "beat", length };
    }
    let data = format!(
        "kind = \"npy\"\npath = {path}\ncontent = \"values\"\nname = \"value\"\nunit = \"\"\n"
    );
    let subjects = if shape.len() > 1 { shape[0] } else { 1 };
    let length = if subjects > 1 { shape.last().copied().unwrap_or(0) } else { length };
    Series { data, split: if subjects >= 3 { BY_SUBJECT } else { BY_TIME }, step: "step", length }
}

/// All signals of EDF files on a grid of a second.
pub(super) fn edf(path: &Path, limits: &Limits) -> Result<Series, Error> {
    let summary = load::signal_summary(path, limits)?;
    // One that a file has twice counts more often than there are recordings, and cannot be named.
    let (common, others): (Vec<_>, Vec<_>) =
        summary.channels.iter().partition(|one| one.recordings == summary.recordings);
    if common.is_empty() {
        return Err(super::refuse(
            path,
            "no signal is in each recording, and once",
            "write a study by hand: docs/guide/signals.md says how",
        ));
    }
    let left_out: Vec<(String, String)> = others
        .iter()
        .map(|one| (one.name.clone(), "it is not in each recording, and once".to_owned()))
        .collect();
    let values: Vec<String> = common
        .into_iter()
        .map(|one| format!("{{ name = {}, unit = {} }}", quoted(&one.name), quoted(&one.unit)))
        .collect();
    let data = format!(
        "kind = \"edf\"\npath = {}\nvalues = [{}]   # the signals that all recordings have\n\
         every_seconds = 1     # a step is the mean of so many seconds\n\
         owners = \"patients\"   # or files: each is a subject of its own\n{}",
        path_text(path),
        values.join(", "),
        remarks(&left_out)
    );
    let split = if summary.recordings >= 3 { BY_SUBJECT } else { BY_TIME };
    Ok(Series { data, split, step: "second", length: LONG })
}

/// Records of a folder or an archive, whose beats are annotated.
pub(super) fn records(path: &Path) -> Series {
    let data = format!(
        "kind = \"wfdb\"\npath = {}\nannotator = \"atr\"     # extension of the annotation files\n\
         subjects = \"records\"  # or mitbih, where 201 and 202 are one man's\n",
        path_text(path)
    );
    Series { data, split: BY_SUBJECT, step: "beat", length: LONG }
}

const BY_SUBJECT: &str = "by = \"subject\"        # nobody is in two parts\n\
    fractions = { tune = 0.2, test = 0.2 }\n";
const BY_TIME: &str = "by = \"time\"           # too few subjects to keep some apart: later steps are the test\n\
    fractions = { tune = 0.15, test = 0.2 }\n";
/// Steps of sequences that any window fits into.
const LONG: usize = 1000;
