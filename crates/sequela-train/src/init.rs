//! A first study for a file: `sequela init DATA`.

use std::fmt::Write as _;
use std::path::Path;

use sequela_core::Limits;
use sequela_formats::csv::{Sniffed, sniff};
use sequela_formats::npy::read_array;

use crate::Error;
use crate::source::FileKind;
use crate::study::Study;

/// A commented study for a table, an array, or a folder or archive of WFDB records.
///
/// What is guessed stands there to be looked at; the text is a study that can be run as it is.
///
/// # Errors
/// What reading the file gives.
pub fn init_study(path: &Path, limits: &Limits) -> Result<String, Error> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let stem = stem.split('.').next().unwrap_or("series").to_owned();
    let (data, split, step) = match FileKind::of(path) {
        FileKind::Array => {
            let array = read_array(path, limits)?;
            array_section(path, &array.values, &array.shape)
        }
        FileKind::Records => {
            sequela_formats::wfdb::read_records(path, "atr", limits)?;
            records_section(path)
        }
        FileKind::Table => table_section(path, &sniff(path, limits)?, limits)?,
    };
    let text = format!(
        "# A first study, written by sequela init. Look at what was guessed, then: sequela train STUDY\n\
         [study]\n\
         name = {}\n\
         task = \"forecast\"\n\
         seed = 1              # weights, order of windows and split follow from it\n\n\
         [data]\n{data}\n\
         [window]\n\
         length = 60           # {step}s that a forecast is made from\n\
         horizons = [1, 5, 30] # {step}s ahead\n\
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
        quoted(&stem),
    );
    // What is written must be readable: a name with odd characters may not break it.
    Study::parse(&text, path, &[])?;
    Ok(text)
}

fn table_section(
    path: &Path,
    sniffed: &Sniffed,
    limits: &Limits,
) -> Result<(String, &'static str, &'static str), Error> {
    let columns = &sniffed.columns;
    let mut text = format!("kind = \"csv\"\npath = {}\n", path_text(path));
    match &columns.subject {
        Some(subject) => {
            let _ = writeln!(text, "subject = {}   # whose each row is", quoted(subject));
        }
        None => text.push_str(
            "# subject = \"...\"     # no column says whose each row is: all are one subject's\n",
        ),
    }
    match &columns.time {
        Some(time) => {
            let _ = writeln!(
                text,
                "time = {{ name = {}, format = \"{}\" }}\n\
                 # every_seconds = 60  # brings irregular times to a grid; empty steps are missing",
                quoted(&time.name),
                time.format.name()
            );
        }
        None => text.push_str(
            "# time = { name = \"...\", format = \"seconds\" }  # no column of times was found\n",
        ),
    }
    let values: Vec<String> = columns
        .values
        .iter()
        .map(|value| {
            format!("{{ name = {}, unit = {} }}", quoted(&value.name), quoted(&value.unit))
        })
        .collect();
    let _ = writeln!(text, "values = [{}]", values.join(", "));
    if let Some(first) = columns.values.first() {
        let _ = writeln!(text, "target = {}   # what is forecast", quoted(&first.name));
    }
    text.push_str("step = \"step\"         # what one step is called in tables\n");
    for (name, reason) in &sniffed.left_out {
        let _ = writeln!(text, "# left out: {} ({reason})", one_line(name));
    }
    let table = sequela_formats::csv::read_series(path, columns, limits)?;
    let split = if table.series.len() >= 3 { BY_SUBJECT } else { BY_TIME };
    Ok((text, split, "step"))
}

fn array_section(
    path: &Path,
    values: &[f64],
    shape: &[usize],
) -> (String, &'static str, &'static str) {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    let column = shape.len() == 1 || shape.get(1) == Some(&1);
    let are_intervals = column && (250.0..2500.0).contains(&median);
    let path = path_text(path);
    if are_intervals {
        let text = format!(
            "kind = \"npy\"\npath = {path}\ncontent = \"beat_intervals\"  # by their size, milliseconds between beats\nstep = \"beat\"\n"
        );
        return (text, BY_TIME, "beat");
    }
    let text = format!(
        "kind = \"npy\"\npath = {path}\ncontent = \"values\"\nname = \"value\"\nunit = \"\"\n"
    );
    let subjects = if shape.len() > 1 { shape[0] } else { 1 };
    (text, if subjects >= 3 { BY_SUBJECT } else { BY_TIME }, "step")
}

fn records_section(path: &Path) -> (String, &'static str, &'static str) {
    let text = format!(
        "kind = \"wfdb\"\npath = {}\nannotator = \"atr\"     # extension of the annotation files\n\
         subjects = \"records\"  # or mitbih, where 201 and 202 are one man's\n",
        path_text(path)
    );
    (text, BY_SUBJECT, "beat")
}

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

const BY_SUBJECT: &str = "by = \"subject\"        # nobody is in two parts\n\
    fractions = { tune = 0.2, test = 0.2 }\n";
const BY_TIME: &str = "by = \"time\"           # too few subjects to keep some apart: later steps are the test\n\
    fractions = { tune = 0.15, test = 0.2 }\n";
