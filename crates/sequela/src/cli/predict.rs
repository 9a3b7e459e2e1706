//! `sequela predict`: forecasts from a model file.

use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use sequela_core::{Class, Limits};
use sequela_formats::durable::write_atomic;
use sequela_nn::Precision;
use sequela_train::{Model, Options, PredictRows, Stream, predict, read_input};

use super::console::Console;
use super::failure::{Failure, Outcome};

/// Arguments of `sequela predict`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The file needs the columns that the model was trained on, by name; the order does not matter.
A forecast needs a whole window of steps before it; shorter series are refused.

With --stream, each line of FILE (or - for standard input) holds one step: the model's channels in
its order, parted by commas, empty where nothing was measured. Each line is answered by one line: the
forecasts at the model's horizons, empty until there is a whole window. The numbers have the same bits
as those of --every.

Examples:
  sequela predict run/model.safetensors ward.csv
  sequela predict run/model.safetensors ward.csv --every --out forecasts.csv
  tail -f heart_rate.txt | sequela predict run/model.safetensors - --stream")]
pub(crate) struct Predict {
    /// The model file that training left
    model: PathBuf,
    /// A CSV (also gzipped), a .npy array, or a folder or archive of WFDB records
    file: PathBuf,
    /// Forecast from every step that has a whole window before it, not only from the last
    #[arg(long)]
    every: bool,
    /// A line in, a line out
    #[arg(long, conflicts_with_all = ["every", "out", "json"])]
    stream: bool,
    /// In what the products of recurrent layers are computed
    #[arg(long, value_enum, default_value_t = PrecisionWord::F32)]
    precision: PrecisionWord,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
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
        if self.stream {
            return stream(&model, &self.file, self.precision.into());
        }
        let sequences = read_input(&self.file, &model, &limits)?;
        let rows = if self.every { PredictRows::Every } else { PredictRows::Last };
        let precision = self.precision.into();
        let options = Options { threads, precision, ..Options::default() };
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

/// Answers each line of the input by one line.
fn stream(model: &Model, file: &Path, precision: Precision) -> Result<Outcome, Failure> {
    let mut input: Box<dyn io::BufRead> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let open = std::fs::File::open(file).map_err(|error| unreadable(file, &error))?;
        Box::new(io::BufReader::new(open))
    };
    let mut forecaster = Stream::in_precision(model, precision)?;
    let channels = &model.manifest().schema;
    let (mut line, mut number) = (Vec::new(), 0_u64);
    let mut values = vec![0.0_f32; channels.len()];
    loop {
        line.clear();
        number += 1;
        let cap = Limits::default().line_bytes;
        let read = io::Read::take(&mut input, cap)
            .read_until(b'\n', &mut line)
            .map_err(|error| unreadable(file, &error))?;
        if read == 0 {
            return Ok(Outcome::Done);
        }
        let place = |field: &str| format!("{}:{number}, field {field}", name_of(file));
        let text = String::from_utf8_lossy(&line);
        let cells: Vec<&str> = text.trim_end_matches(['\r', '\n']).split(',').collect();
        if cells.len() != channels.len() || read as u64 == cap {
            let message = format!(
                "{}:{number}: the line has {} cells, not {}",
                name_of(file),
                cells.len(),
                channels.len()
            );
            let names: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
            return Err(Failure::new(Class::Input, message, format!("give {}", names.join(","))));
        }
        for ((cell, channel), value) in cells.iter().zip(channels).zip(&mut values) {
            *value = number_in(cell).ok_or_else(|| {
                let message = format!("{}: this is not a number", place(&channel.name));
                Failure::new(Class::Input, message, "leave it empty where nothing was measured")
            })?;
        }
        let answer = forecaster.push(&values)?.map_or_else(String::new, |forecasts| {
            let cells: Vec<String> = forecasts.iter().map(f32::to_string).collect();
            cells.join(",")
        });
        Console::print(format!("{answer}\n"))?;
    }
}

/// A cell's number; NaN where it says that nothing was measured, `None` where it is neither.
fn number_in(cell: &str) -> Option<f32> {
    let cell = cell.trim();
    let missing = ["", "na", "n/a", "nan", "null", "none"];
    if missing.contains(&cell.to_lowercase().as_str()) {
        return Some(f32::NAN);
    }
    cell.parse().ok().filter(|value: &f32| value.is_finite())
}

fn name_of(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    let message = format!("{}: reading failed ({error})", name_of(file));
    Failure::new(Class::Io, message, "check the path and who may read it")
}

#[cfg(test)]
mod tests {
    use super::number_in;

    #[test]
    fn cells_are_numbers_or_missing_or_refused() {
        assert_eq!(number_in(" 71.5 "), Some(71.5));
        assert!(number_in("NA").is_some_and(f32::is_nan));
        assert_eq!(number_in("7l"), None);
        assert_eq!(number_in("inf"), None);
    }
}
