//! Writes a simulated heart rate as a table.
//!
//! ```text
//! cargo run -p sequela-data --example simulate_heart_rate > simulated.csv
//! ```

use std::io::Write;
use std::process::ExitCode;

use sequela_core::Steps;
use sequela_data::simulate::HeartRateSimulation;
use sequela_formats::csv::{Cell, to_csv};

fn main() -> ExitCode {
    let simulation = HeartRateSimulation { subjects: 3, hours: 1.0, ..Default::default() };
    let cohort = match simulation.run() {
        Ok(cohort) => cohort,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            return ExitCode::from(error.class().exit_code());
        }
    };
    let mut rows = Vec::new();
    for sequence in cohort.sequences() {
        let Steps::Numeric { values, observed, .. } = &sequence.steps else { continue };
        let times = sequence.times.iter().flatten();
        for ((time, value), seen) in times.zip(values).zip(observed) {
            let rate = if *seen { Cell::Number(f64::from(*value)) } else { Cell::Missing };
            rows.push(vec![
                Cell::Text(sequence.subject.as_str().to_owned()),
                Cell::Number(time * 3600.0),
                rate,
            ]);
        }
    }
    let table = to_csv(&["subject", "time_s", "heart_rate"], &rows);
    match std::io::stdout().write_all(&table) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(4),
    }
}
