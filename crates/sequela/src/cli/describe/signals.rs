//! What is in recordings of signals, for people and for machines.

use std::path::Path;

use sequela_core::Limits;
use sequela_data::load::{SignalSummary, signal_summary};
use sequela_eval::table::{Align, Table, number};
use sequela_formats::collection::names_in;
use serde_json::{Value, json};

use super::figures::share;
use crate::cli::console::Console;
use crate::cli::failure::{Failure, Outcome};

/// Tells what is there. Nothing that identifies a patient is told, nor the text of an annotation.
pub(super) fn describe(path: &Path, console: Console) -> Result<Outcome, Failure> {
    let summary = signal_summary(path, &Limits::default())?;
    if console.is_json() {
        Console::print_json(&machine(&summary))?;
    } else {
        Console::print(format!("{}\n{}", path.display(), text(&summary)))?;
    }
    for note in &summary.notes {
        console.say(&format!("finding: {note}"));
    }
    Ok(if summary.notes.is_empty() { Outcome::Done } else { Outcome::Findings })
}

/// Whether a folder has records of WFDB, and no annotations of beats to make a heart rate of.
pub(super) fn are_alone(path: &Path) -> Result<bool, Failure> {
    let names = if path.is_dir() { names_in(path)? } else { Vec::new() };
    let has = |end: &str| names.iter().any(|name| name.ends_with(end));
    Ok(has(".hea") && !has(".atr"))
}

fn text(summary: &SignalSummary) -> String {
    let facts = [
        ("format", summary.formats.join(", ")),
        ("recordings", format!("{}, {} in all", summary.recordings, duration(summary.seconds))),
        ("gaps", summary.gaps.to_string()),
        ("annotations", summary.annotations.to_string()),
    ];
    let mut lines: Vec<String> =
        facts.iter().map(|(name, fact)| format!("{name:<12} {fact}")).collect();
    let mut table = Table::new(&[
        ("signal", Align::Left),
        ("unit", Align::Left),
        ("Hz", Align::Right),
        ("recordings", Align::Right),
        ("samples", Align::Right),
        ("missing", Align::Right),
        ("min", Align::Right),
        ("mean", Align::Right),
        ("max", Align::Right),
    ]);
    for channel in &summary.channels {
        let mut row = vec![channel.name.clone(), channel.unit.clone()];
        row.push(channel.frequency.to_string());
        row.push(channel.recordings.to_string());
        row.push(channel.samples.to_string());
        row.push(share(channel.missing, channel.samples + channel.missing));
        let figures = [channel.lowest, channel.mean(), channel.highest];
        row.extend(
            figures.map(|value| if channel.samples > 0 { number(value, 3) } else { "-".into() }),
        );
        table.row(row);
    }
    lines.push(String::new());
    lines.push(table.text());
    lines.join("\n")
}

/// The description for machines.
fn machine(summary: &SignalSummary) -> Value {
    let channels: Vec<Value> = summary
        .channels
        .iter()
        .map(|channel| {
            let of_some = |value: f64| (channel.samples > 0).then_some(value);
            json!({ "name": channel.name, "unit": channel.unit, "hz": channel.frequency,
                "recordings": channel.recordings, "samples": channel.samples,
                "missing": channel.missing, "min": of_some(channel.lowest),
                "mean": of_some(channel.mean()), "max": of_some(channel.highest) })
        })
        .collect();
    json!({ "formats": summary.formats, "recordings": summary.recordings,
        "seconds": summary.seconds, "gaps": summary.gaps, "annotations": summary.annotations,
        "signals": channels, "findings": summary.notes })
}

/// Seconds as people say them.
fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 120.0 => format!("{} s", number(seconds, 1)),
        seconds if seconds < 7200.0 => format!("{} min", number(seconds / 60.0, 1)),
        seconds => format!("{} h", number(seconds / 3600.0, 1)),
    }
}
