//! From a table of series to forecasts, as a library: writes a study and a table, trains,
//! judges, and forecasts 1 and 6 hours ahead for each patient.
//!
//! `cargo run --release --example forecast_series [FOLDER]`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::PathBuf;

use sequela::core::Random;
use sequela::formats::csv::{Cell, to_csv};
use sequela::formats::durable::{create_dir, write_atomic};
use sequela::train::{Event, Model, Options, Outcome, PredictRows, Study};
use sequela::train::{predict, read_input, train};

const STUDY: &str = r#"
[study]
name = "ward-temperature"
seed = 1

[data]
kind = "csv"
path = "ward.csv"
subject = "patient"
time = { name = "hours", format = "hours" }
values = [{ name = "temperature", unit = "C" }]

[window]
length = 24
horizons = [1, 6]

[model]
kind = "sequence"
cell = "gru"
hidden = 16

[train]
epochs = 10
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "ward".to_owned()));
    let table = folder.join("ward.csv");
    create_dir(&folder)?;
    write_atomic(&table, &ward())?;

    // The study's relative paths start at the folder of its name.
    let study = Study::parse(STUDY, &folder.join("study.toml"), &[])?;
    let options = Options::default();
    let outcome = train(&study, &folder.join("run"), &options, &mut |event| {
        if let Event::Epoch { epoch, train_loss, .. } = event {
            println!("epoch {epoch:>2}: loss {train_loss:.4}");
        }
    })?;
    let Outcome::Finished(report) = outcome else { return Ok(()) };
    println!("{}", report.evaluation.text());
    let model = Model::load(&report.model, &options.limits)?;
    let sequences = read_input(&table, &model, &options.limits)?;
    let forecasts = predict(&model, &sequences, PredictRows::Last, &options)?;
    for row in &forecasts.rows {
        println!("{}: {:.2?} C in {:?} h", row.subject, row.values, forecasts.horizons);
    }
    Ok(())
}

/// Eight patients, four days of hours each: a daily rhythm and what is theirs alone.
fn ward() -> Vec<u8> {
    let mut rows = Vec::new();
    for patient in 1..=8_u32 {
        let random = Random::new(7, u64::from(patient));
        for hour in 0..96_u32 {
            let daily = 0.4 * libm::sin(f64::from(hour) * std::f64::consts::TAU / 24.0);
            let own = 37.0 + 0.1 * f64::from(patient % 4) + 0.1 * random.normal(u64::from(hour));
            let value = Cell::Number(((daily + own) * 100.0).round() / 100.0);
            rows.push(vec![Cell::Text(format!("p{patient}")), Cell::Integer(hour.into()), value]);
        }
    }
    to_csv(&["patient", "hours", "temperature"], &rows)
}
