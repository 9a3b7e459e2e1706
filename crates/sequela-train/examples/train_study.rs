//! Trains a study in a folder and prints its table: `train_study STUDY FOLDER [FIELD=VALUE ...]`.

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::path::Path;

use sequela_train::{Event, Options, Outcome, Override, Study, train};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [study, folder, changes @ ..] = arguments.as_slice() else {
        return Err("train_study STUDY FOLDER [FIELD=VALUE ...]".into());
    };
    let changes: Vec<Override> =
        changes.iter().map(|change| Override::parse(change)).collect::<Result<_, _>>()?;
    let study = Study::load(Path::new(study), &changes)?;
    let outcome = train(
        &study,
        Path::new(folder),
        &Options::default(),
        &mut |event| match event {
            Event::Prepared { train, tune, test, parameters, threads, steps, .. } => println!(
                "{} / {} / {} windows, {parameters} weights, {steps} steps an epoch, {threads} threads",
                train.windows, tune.windows, test.windows
            ),
            Event::Epoch { epoch, epochs, train_loss, tune_loss, seconds, best, .. } => println!(
                "epoch {epoch}/{epochs}: loss {train_loss:.5}, tuning {:.5}{} in {seconds:.2} s",
                tune_loss.unwrap_or(f64::NAN),
                if *best { " (best)" } else { "" }
            ),
            Event::Baseline { name } => println!("fitting {name}"),
            _ => {}
        },
    )?;
    if let Outcome::Finished(report) = outcome {
        println!("{}\n{:.1} s", report.evaluation.text(), report.seconds);
    }
    Ok(())
}
