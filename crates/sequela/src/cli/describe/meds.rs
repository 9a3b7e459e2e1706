//! What is in a folder of MEDS, for people and for machines.

use std::path::Path;

use sequela_core::Limits;
use sequela_data::load::{CodeSummary, LabelSummary, MedsSummary, meds_summary, meds_values};
use sequela_eval::table::{Align, Table, number};
use sequela_formats::durable::{sweep_beside, write_atomic};
use sequela_formats::instant_text;
use serde_json::{Value, json};

use super::figures::{at_share, share};
use super::meds_page;
use crate::cli::console::Console;
use crate::cli::failure::{Failure, Outcome};

/// Tells what is there, and writes it as a page where one is wanted.
pub(super) fn describe(
    folder: &Path,
    html: Option<&Path>,
    console: Console,
) -> Result<Outcome, Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let limits = Limits::default();
    let summary = meds_summary(folder, threads, &limits)?;
    if console.is_json() {
        Console::print_json(&machine(&summary))?;
    } else {
        Console::print(format!("{}\n{}", folder.display(), text(&summary)))?;
    }
    if let Some(path) = html {
        sweep_beside(path)?;
        let codes: Vec<String> =
            frequent(&summary).into_iter().map(|(name, _)| name.to_owned()).collect();
        let values = meds_values(folder, &codes, threads, &limits)?;
        write_atomic(path, meds_page::page(folder, &summary, &values).as_bytes())?;
        console.say(&format!("a page with pictures is in {}", path.display()));
    }
    let findings = findings(&summary);
    for finding in &findings {
        console.say(&format!("finding: {finding}"));
    }
    Ok(if findings.is_empty() { Outcome::Done } else { Outcome::Findings })
}

/// The codes that are shown: the most frequent first.
pub(super) fn frequent(summary: &MedsSummary) -> Vec<(&str, &CodeSummary)> {
    let mut codes: Vec<_> =
        summary.codes.iter().map(|(name, code)| (name.as_str(), code)).collect();
    codes.sort_by(|(a, of_a), (b, of_b)| of_b.events.cmp(&of_a.events).then_with(|| a.cmp(b)));
    codes.truncate(SHOWN);
    codes
}

/// The labels of a task in words.
pub(super) fn label_words(labels: &LabelSummary) -> String {
    let values: Vec<String> =
        labels.counts.iter().map(|(value, count)| format!("{count} {value}")).collect();
    let values = if values.len() > VALUES {
        format!("{} different values", values.len())
    } else {
        values.join(", ")
    };
    format!("{} cases of {} subjects: {values}", labels.cases, labels.subjects)
}

/// Fewest, median and most events of a subject.
fn events_of_a_subject(summary: &MedsSummary) -> [f64; 3] {
    let events: Vec<f64> = summary.events_of_subjects.iter().map(|count| *count as f64).collect();
    [0, 1, 2].map(|half| at_share(&events, half, 2))
}

pub(super) fn findings(summary: &MedsSummary) -> Vec<String> {
    let mut findings = Vec::new();
    if summary.disbelieved > 0 {
        findings
            .push(format!("{} values are infinite and are taken as missing", summary.disbelieved));
    }
    if let Some(count) = summary.splits.get("no part") {
        findings.push(format!("{count} subjects are in no part of the split"));
    }
    let faults = summary.label_faults.iter();
    findings.extend(faults.map(|fault| format!("labels are left out: {fault}")));
    findings
}

fn text(summary: &MedsSummary) -> String {
    let splits: Vec<String> =
        summary.splits.iter().map(|(part, count)| format!("{part} {count}")).collect();
    let span = summary.span.map_or("no event has a time".to_owned(), |(first, last)| {
        format!("{} to {}", instant_text(first), instant_text(last))
    });
    let [fewest, median, most] = events_of_a_subject(summary).map(|events| number(events, 0));
    let mut facts = vec![
        ("format", format!("MEDS, {} shards", summary.shards)),
        (
            "subjects",
            format!("{} of {fewest} to {most} events (median {median})", summary.subjects),
        ),
        ("events", format!("{}, {} of them without a time", summary.events, summary.statics)),
        ("times", span),
        ("splits", if splits.is_empty() { "none".to_owned() } else { splits.join(", ") }),
        ("codes", summary.codes.len().to_string()),
    ];
    for (task, labels) in &summary.labels {
        facts.push(("labels", format!("{task}: {}", label_words(labels))));
    }
    let mut lines: Vec<String> =
        facts.iter().map(|(name, fact)| format!("{name:<10} {fact}")).collect();
    let mut table = Table::new(&[
        ("code", Align::Left),
        ("unit", Align::Left),
        ("events", Align::Right),
        ("subjects", Align::Right),
        ("values", Align::Right),
        ("min", Align::Right),
        ("mean", Align::Right),
        ("max", Align::Right),
        ("description", Align::Left),
    ]);
    for (name, code) in frequent(summary) {
        let mut row = vec![name.to_owned(), code.unit(name).to_owned()];
        row.push(code.events.to_string());
        row.push(code.subjects.to_string());
        row.push(share(count(code.values), count(code.events)));
        row.extend(code.range.map(|value| number(value, 2)));
        row.push(code.description.clone());
        table.row(row);
    }
    lines.push(String::new());
    lines.push(table.text());
    if summary.codes.len() > SHOWN {
        let rarer = summary.codes.len() - SHOWN;
        lines.push(format!("... and {rarer} rarer codes; --json has all"));
    }
    lines.join("\n")
}

fn machine(summary: &MedsSummary) -> Value {
    let codes: Vec<Value> = summary
        .codes
        .iter()
        .map(|(name, code)| {
            let [min, mean, max] = code.range;
            json!({ "code": name, "unit": code.unit(name), "events": code.events, "subjects": code.subjects,
                "values": code.values, "min": min, "mean": mean, "max": max,
                "description": code.description })
        })
        .collect();
    let labels: Vec<Value> = summary
        .labels
        .iter()
        .map(|(task, labels)| {
            let counts = (labels.counts.len() <= VALUES).then_some(&labels.counts);
            json!({ "task": task, "cases": labels.cases, "subjects": labels.subjects,
                "different": labels.counts.len(), "counts": counts })
        })
        .collect();
    let [fewest, median, most] = events_of_a_subject(summary);
    json!({
        "format": "MEDS",
        "shards": summary.shards,
        "subjects": summary.subjects,
        "events": summary.events,
        "events_of_a_subject": { "min": fewest, "median": median, "max": most },
        "without_time": summary.statics,
        "first": summary.span.map(|(first, _)| instant_text(first)),
        "last": summary.span.map(|(_, last)| instant_text(last)),
        "splits": summary.splits,
        "labels": labels,
        "codes": codes,
        "findings": findings(summary),
    })
}

fn count(events: u64) -> usize {
    usize::try_from(events).unwrap_or(usize::MAX)
}

/// Codes in the table at most.
pub(super) const SHOWN: usize = 60;
/// Labels of a task that are named; where there are more, they are numbers.
const VALUES: usize = 8;
