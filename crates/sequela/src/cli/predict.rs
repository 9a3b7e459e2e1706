//! `sequela predict`: forecasts from a model file.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sequela_core::{Class, Limits};
use sequela_formats::durable::{sweep_beside, write_atomic};
use sequela_nn::Precision;
use sequela_train::{Model, Options, Overlap, PredictRows, Task, classify, predict, read_input};

use super::console::Console;
use super::failure::{Failure, Outcome};
use super::stream::Streaming;

/// Arguments of `sequela predict`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The file needs the columns that the model was trained on, by name; the order does not matter.
A forecast needs a whole window of steps before it; shorter series are refused. A classifier answers
for each subject of the file: the probability of each class, and the class chosen; a model of steps
answers for each step, from it and those before it alone. Each answer says how much is missing of what
it is from, and whether that lies inside what the model has seen in training; if not, what is outside.

With --stream, each line of FILE (or - for standard input) holds one step of one subject, and is
answered by one line: the forecasts at the model's horizons, empty until there is a whole window. The
numbers have the same bits as those of --every, however the subjects' lines are mixed. Lines are a CSV
with a header (the model's channels by name, perhaps a subject and a time), or the model's channels in
its order without a header, or JSON objects. Lines that are waiting are stepped together; every answer
is written before more input is waited for.

Examples:
  sequela predict run/model.safetensors ward.csv
  sequela predict run/model.safetensors ward.csv --every --out forecasts.csv
  sequela predict icu/model.safetensors stays.csv --out risks.csv
  tail -f heart_rate.txt | sequela predict run/model.safetensors - --stream
  monitor | sequela predict run/model.safetensors - --stream --on-error skip --state ward.state")]
pub(crate) struct Predict {
    /// The model file that training left
    model: PathBuf,
    /// A CSV (also gzipped), a .npy array, or a folder or archive of WFDB records
    file: PathBuf,
    /// Forecast from every step that has a whole window before it, not only from the last
    #[arg(long)]
    every: bool,
    /// In what the products of recurrent layers are computed
    #[arg(long, value_enum, default_value_t = PrecisionWord::F32)]
    precision: PrecisionWord,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    streaming: Streaming,
}

/// The words of a precision.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum PrecisionWord {
    /// The same bits on every machine
    F32,
    /// Half the bytes: faster for large networks, with errors of about 0.001; needs AVX-512 BF16
    Bf16,
}

impl From<PrecisionWord> for Precision {
    fn from(word: PrecisionWord) -> Self {
        match word {
            PrecisionWord::F32 => Self::F32,
            PrecisionWord::Bf16 => Self::Bf16,
        }
    }
}

impl Predict {
    /// Forecasts.
    pub(crate) fn run(&self, threads: usize, console: Console) -> Result<Outcome, Failure> {
        let limits = Limits::default();
        let model = Model::load(&self.model, &limits)?;
        let classifies = model.manifest().classes.is_some();
        let of_steps = model.manifest().study.study.task == Task::Label;
        if of_steps && self.streaming.is_asked_for() {
            return Err(Failure::new(
                Class::Usage,
                "streams are of forecasts; this model tells the class of each step from a file",
                "leave --stream out: the answer for a step does not change when later ones are added",
            ));
        }
        if of_steps && self.every {
            return Err(Failure::new(
                Class::Usage,
                "the model answers for each step in any case",
                "leave --every out",
            ));
        }
        if classifies && (self.streaming.is_asked_for() || self.every) {
            return Err(Failure::new(
                Class::Usage,
                "the model tells the class of a whole series, not of each step",
                "leave --stream and --every out",
            ));
        }
        let precision = Precision::from(self.precision);
        if classifies && precision != Precision::F32 {
            return Err(Failure::new(
                Class::Usage,
                "a classifier answers in f32",
                "leave --precision out",
            ));
        }
        if self.streaming.is_asked_for() {
            return self.streaming.run(&model, &self.file, (threads, precision), console);
        }
        let sequences = read_input(&self.file, &model, &limits)?;
        let overlap = Overlap::find(&self.model, &model, &sequences, &limits)?;
        if let Some(warning) = overlap.warning() {
            console.say(&format!("warning: {warning}"));
        }
        let options = Options { threads, precision, ..Options::default() };
        let (count, outside, text, table) = if classifies {
            let classified = classify(&model, &sequences, &options);
            let classified = classified.map_err(|error| self.failure(error))?;
            let what = if of_steps { "steps" } else { "subjects" };
            let count = format!("the classes of {} {what}", classified.rows.len());
            let outside = classified.outside().map(|outside| (outside, classified.rows.len()));
            (count, outside, classified.to_json(), classified.to_csv())
        } else {
            let rows = if self.every { PredictRows::Every } else { PredictRows::Last };
            let forecasts = predict(&model, &sequences, rows, &options);
            let forecasts = forecasts.map_err(|error| self.failure(error))?;
            let count = format!("{} forecasts", forecasts.rows.len());
            let outside = forecasts.outside().map(|outside| (outside, forecasts.rows.len()));
            (count, outside, forecasts.to_json(), forecasts.to_csv())
        };
        let bytes =
            if console.is_json() { format!("{}\n", text.trim_end()).into_bytes() } else { table };
        match &self.out {
            Some(path) => {
                sweep_beside(path)?;
                write_atomic(path, &bytes)?;
                console.say(&format!("{count} in {}", path.display()));
            }
            None => Console::print(bytes)?,
        }
        if let Some((outside, all)) = outside.filter(|(some, _)| self.out.is_some() || *some > 0) {
            console.say(&format!("{outside} of {all} lie outside of what was seen in training"));
        }
        Ok(Outcome::Done)
    }

    fn failure(&self, error: sequela_train::Error) -> Failure {
        Failure::from(error).in_file(&self.file)
    }
}
