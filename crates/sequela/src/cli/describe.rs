//! What is in a file of series, in figures that hide no gap.

use std::path::Path;

use sequela_core::{Limits, Schema, Sequence, Steps};
use sequela_data::Cohort;
use sequela_data::heart_rate::BeatOptions;
use sequela_data::load::{self, AnnotatedBeats};
use sequela_eval::table::{Align, Table, number};
use sequela_formats::csv::sniff;
use serde_json::{Value, json};

use super::console::Console;
use super::failure::Failure;

/// Tells what is in a file or folder of series.
pub(crate) fn describe(file: &Path, console: Console) -> Result<(), Failure> {
    let (cohort, left_out) = read(file, &Limits::default())?;
    if console.is_json() {
        return Console::print_json(&machine(cohort.schema(), cohort.sequences()));
    }
    Console::print(format!("{}\n{}", file.display(), text(cohort.schema(), cohort.sequences())))?;
    for (column, reason) in left_out {
        console.say(&format!("column {column} was left out: {reason}"));
    }
    for note in cohort.notes() {
        console.say(note);
    }
    Ok(())
}

/// The series of a file, by its kind, and the columns that are no series.
fn read(file: &Path, limits: &Limits) -> Result<(Cohort, Vec<(String, String)>), Failure> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if file.is_dir() || ends(&[".tar", ".tar.gz", ".tgz", ".tar.xz"]) {
        let cohort = load::annotated_beats(&[file.to_owned()], &AnnotatedBeats::default(), limits)?;
        return Ok((cohort, Vec::new()));
    }
    if ends(&[".npy"]) {
        return Ok((load::intervals(file, &BeatOptions::default(), limits)?, Vec::new()));
    }
    let guess = sniff(file, limits)?;
    Ok((load::series(file, &guess.columns, limits)?, guess.left_out))
}

/// Figures of one channel over all sequences.
struct Summary {
    observed: usize,
    missing: usize,
    /// Lowest, first quarter, median, third quarter, highest; NaN where nothing was observed.
    quantiles: [f64; 5],
}

/// The description for people.
fn text(schema: &Schema, sequences: &[Sequence]) -> String {
    let steps: usize = sequences.iter().map(Sequence::len).sum();
    let lengths: Vec<f64> = sequences.iter().map(|s| s.len() as f64).collect();
    let [shortest, _, median, _, longest] = quantiles(lengths);
    let mut lines = vec![
        format!("subjects   {}", subjects(sequences)),
        format!(
            "sequences  {} of {} to {} steps (median {}), {steps} steps in all",
            sequences.len(),
            number(shortest, 0),
            number(longest, 0),
            number(median, 0)
        ),
    ];
    lines.push(format!("times      {}", times(sequences)));
    let mut table = Table::new(&[
        ("channel", Align::Left),
        ("unit", Align::Left),
        ("observed", Align::Right),
        ("missing", Align::Right),
        ("min", Align::Right),
        ("25 %", Align::Right),
        ("median", Align::Right),
        ("75 %", Align::Right),
        ("max", Align::Right),
    ]);
    for (index, channel) in schema.channels().iter().enumerate() {
        let summary = summary(sequences, index);
        let mut row = vec![channel.name.clone(), channel.unit.clone()];
        row.push(summary.observed.to_string());
        row.push(share(summary.missing, summary.observed + summary.missing));
        row.extend(summary.quantiles.map(|value| number(value, 2)));
        table.row(row);
    }
    format!("{}\n\n{}", lines.join("\n"), table.text())
}

/// The description for machines.
fn machine(schema: &Schema, sequences: &[Sequence]) -> Value {
    let channels: Vec<Value> = schema
        .channels()
        .iter()
        .enumerate()
        .map(|(index, channel)| {
            let Summary { observed, missing, quantiles: [min, quarter, median, three, max] } =
                summary(sequences, index);
            json!({ "name": channel.name, "unit": channel.unit, "observed": observed,
                "missing": missing, "min": min, "q25": quarter, "median": median, "q75": three,
                "max": max })
        })
        .collect();
    json!({
        "subjects": subjects(sequences),
        "sequences": sequences.len(),
        "steps": sequences.iter().map(Sequence::len).sum::<usize>(),
        "with_times": sequences.iter().filter(|s| s.times.is_some()).count(),
        "channels": channels,
    })
}

fn subjects(sequences: &[Sequence]) -> usize {
    let mut names: Vec<&str> = sequences.iter().map(|s| s.subject.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.len()
}

/// How long the records are and how far apart their steps.
fn times(sequences: &[Sequence]) -> String {
    let timed = || sequences.iter().filter_map(|sequence| sequence.times.as_deref());
    let spans: Vec<f64> =
        timed().filter_map(|times| Some(times.last()? - times.first()?)).collect();
    if spans.is_empty() {
        return "none: steps are taken as equally spaced".to_owned();
    }
    let gaps: Vec<f64> = timed().flat_map(|t| t.windows(2).map(|pair| pair[1] - pair[0])).collect();
    let total: f64 = spans.iter().sum();
    let [least, _, median, _, most] = quantiles(gaps).map(|hours| 3600.0 * hours);
    format!(
        "{} h in all; steps {} s apart (median; from {} to {} s)",
        number(total, 2),
        number(median, 2),
        number(least, 2),
        number(most, 2)
    )
}

fn summary(sequences: &[Sequence], channel: usize) -> Summary {
    let (mut seen, mut missing) = (Vec::new(), 0);
    for sequence in sequences {
        let Steps::Numeric { values, observed, features } = &sequence.steps else { continue };
        let of_channel = values.iter().zip(observed).skip(channel).step_by((*features).max(1));
        for (value, observed) in of_channel {
            if *observed {
                seen.push(f64::from(*value));
            } else {
                missing += 1;
            }
        }
    }
    Summary { observed: seen.len(), missing, quantiles: quantiles(seen) }
}

/// Lowest, quartiles and highest (nearest rank).
fn quantiles(mut values: Vec<f64>) -> [f64; 5] {
    values.sort_unstable_by(f64::total_cmp);
    [0, 1, 2, 3, 4].map(|quarter| {
        let last = values.len().saturating_sub(1);
        values.get((last * quarter + 2) / 4).copied().unwrap_or(f64::NAN)
    })
}

fn share(part: usize, whole: usize) -> String {
    let percent = if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 };
    format!("{part} ({percent:.1} %)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::{Channel, SubjectId};

    #[test]
    fn gaps_and_subjects_are_counted() {
        let schema = Schema::new(vec![Channel { name: "hr".into(), unit: "bpm".into() }]);
        let sequence = |id: &str, values: &[f32]| {
            Sequence::numeric(id, SubjectId::new("p"), 1, values).unwrap()
        };
        let timed = sequence("a", &[60.0, f32::NAN, 80.0]).with_times(vec![0.0, 0.5, 1.5]).unwrap();
        let text = text(&schema, &[timed, sequence("b", &[70.0])]);
        assert!(text.starts_with("subjects   1\nsequences  2 of 1 to 3 steps"), "{text}");
        assert!(text.contains("1.50 h in all; steps 3600.00 s apart"), "{text}");
        assert!(text.contains("1 (25.0 %)  60.00"), "{text}");
    }
}
