//! `sequela predict`: forecasts from a model file.

use std::path::PathBuf;

use clap::Args;
use sequela_core::Limits;
use sequela_formats::durable::write_atomic;
use sequela_train::{Model, Options, PredictRows, predict, read_input};

use super::console::Console;
use super::failure::{Failure, Outcome};
use super::stream::Streaming;

/// Arguments of `sequela predict`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The file needs the columns that the model was trained on, by name; the order does not matter.
A forecast needs a whole window of steps before it; shorter series are refused.

With --stream, each line of FILE (or - for standard input) holds one step of one subject, and is
answered by one line: the forecasts at the model's horizons, empty until there is a whole window. The
numbers have the same bits as those of --every, however the subjects' lines are mixed. Lines are a CSV
with a header (the model's channels by name, perhaps a subject and a time), or the model's channels in
its order without a header, or JSON objects. Lines that are waiting are stepped together; every answer
is written before more input is waited for.

Examples:
  sequela predict run/model.safetensors ward.csv
  sequela predict run/model.safetensors ward.csv --every --out forecasts.csv
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
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    streaming: Streaming,
}

impl Predict {
    /// Forecasts.
    pub(crate) fn run(&self, threads: usize, console: Console) -> Result<Outcome, Failure> {
        let limits = Limits::default();
        let model = Model::load(&self.model, &limits)?;
        if self.streaming.is_asked_for() {
            return self.streaming.run(&model, &self.file, threads, console);
        }
        let sequences = read_input(&self.file, &model, &limits)?;
        let rows = if self.every { PredictRows::Every } else { PredictRows::Last };
        let options = Options { threads, ..Options::default() };
        let forecasts = predict(&model, &sequences, rows, &options)
            .map_err(|error| Failure::from(error).in_file(&self.file))?;
        let bytes = if console.is_json() {
            format!("{}\n", forecasts.to_json().trim_end()).into_bytes()
        } else {
            forecasts.to_csv()
        };
        match &self.out {
            Some(path) => {
                write_atomic(path, &bytes)?;
                console.say(&format!("{} forecasts in {}", forecasts.rows.len(), path.display()));
            }
            None => Console::print(bytes)?,
        }
        Ok(Outcome::Done)
    }
}
