//! What is in a folder of MEDS, for people and for machines.

use std::path::Path;

use sequela_core::Limits;
use sequela_data::load::{MedsSummary, meds_summary};
use sequela_eval::table::{Align, Table, number};
use sequela_formats::instant_text;
use serde_json::{Value, json};

use crate::cli::console::Console;
use crate::cli::failure::{Failure, Outcome};

/// Tells what is there.
pub(super) fn describe(folder: &Path, console: Console) -> Result<Outcome, Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let summary = meds_summary(folder, threads, &Limits::default())?;
    if console.is_json() {
        Console::print_json(&machine(&summary))?;
    } else {
        Console::print(format!("{}\n{}", folder.display(), text(&summary)))?;
    }
    let findings = findings(&summary);
    for finding in &findings {
        console.say(&format!("finding: {finding}"));
    }
    Ok(if findings.is_empty() { Outcome::Done } else { Outcome::Findings })
}

fn findings(summary: &MedsSummary) -> Vec<String> {
    let mut findings = Vec::new();
    if summary.disbelieved > 0 {
        findings
            .push(format!("{} values are infinite and are taken as missing", summary.disbelieved));
    }
    if let Some(count) = summary.splits.get("no part") {
        findings.push(format!("{count} subjects are in no part of the split"));
    }
    findings
}

fn text(summary: &MedsSummary) -> String {
    let splits: Vec<String> =
        summary.splits.iter().map(|(part, count)| format!("{part} {count}")).collect();
    let span = summary.span.map_or("no event has a time".to_owned(), |(first, last)| {
        format!("{} to {}", instant_text(first), instant_text(last))
    });
    let facts = [
        ("format", format!("MEDS, {} shards", summary.shards)),
        ("subjects", summary.subjects.to_string()),
        ("events", format!("{}, {} of them without a time", summary.events, summary.statics)),
        ("times", span),
        ("splits", if splits.is_empty() { "none".to_owned() } else { splits.join(", ") }),
        ("codes", summary.codes.len().to_string()),
    ];
    let mut lines: Vec<String> =
        facts.iter().map(|(name, fact)| format!("{name:<10} {fact}")).collect();
    let mut table = Table::new(&[
        ("code", Align::Left),
        ("events", Align::Right),
        ("subjects", Align::Right),
        ("values", Align::Right),
        ("min", Align::Right),
        ("mean", Align::Right),
        ("max", Align::Right),
        ("description", Align::Left),
    ]);
    let mut codes: Vec<_> = summary.codes.iter().collect();
    codes.sort_by(|(a, of_a), (b, of_b)| of_b.events.cmp(&of_a.events).then_with(|| a.cmp(b)));
    for (name, code) in codes.iter().take(SHOWN) {
        let mut row = vec![(*name).clone(), code.events.to_string(), code.subjects.to_string()];
        row.push(code.values.to_string());
        row.extend(code.range.map(|value| number(value, 2)));
        row.push(code.description.clone());
        table.row(row);
    }
    lines.push(String::new());
    lines.push(table.text());
    if codes.len() > SHOWN {
        lines.push(format!("... and {} rarer codes; --json has all", codes.len() - SHOWN));
    }
    lines.join("\n")
}

fn machine(summary: &MedsSummary) -> Value {
    let codes: Vec<Value> = summary
        .codes
        .iter()
        .map(|(name, code)| {
            let [min, mean, max] = code.range;
            json!({ "code": name, "events": code.events, "subjects": code.subjects,
                "values": code.values, "min": min, "mean": mean, "max": max,
                "description": code.description })
        })
        .collect();
    json!({
        "format": "MEDS",
        "shards": summary.shards,
        "subjects": summary.subjects,
        "events": summary.events,
        "without_time": summary.statics,
        "first": summary.span.map(|(first, _)| instant_text(first)),
        "last": summary.span.map(|(_, last)| instant_text(last)),
        "splits": summary.splits,
        "codes": codes,
        "findings": findings(summary),
    })
}

/// Codes in the table at most.
const SHOWN: usize = 60;
