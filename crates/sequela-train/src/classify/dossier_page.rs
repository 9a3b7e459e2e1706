//! The page and the numbers of a report.

use std::collections::BTreeMap;

use sequela_eval::classify::{Least, subgroup_table};
use sequela_eval::report::{Known, Page, items, missing_table};
use sequela_eval::table::{Align, Table};
use serde_json::{Value, json};

use super::dossier::{Dossier, Findings};
use super::turns::tuned_words;
use crate::evaluation::estimate;
use crate::overlap::Overlap;
use crate::study::{Missing as Fill, Task};

/// The page.
pub(super) fn html(dossier: &Dossier<'_>, findings: &Findings) -> String {
    let evaluation = dossier.evaluation;
    let study = &dossier.model.manifest().study;
    let mut page = Page::new(&format!("{}: {}", study.study.name, evaluation.case()));
    page.paragraph(&summary(dossier));
    let warning = dossier.overlap.and_then(Overlap::warning);
    if let Some(warning) = &warning {
        page.heading("Warning: not all of these people are new to the model");
        page.paragraph(&format!("{}.", capital(warning)));
    }
    page.paragraph(&format!(
        "{}Intervals are 95 % by drawing people, with all rows of each. The model has not been shown \
         to be safe or useful in care: that takes a study of its own.",
        match (dossier.overlap.map(|overlap| &overlap.met), warning) {
            (_, Some(_)) => "",
            (Some(Err(_)), None) => "It is not known whether the model was trained on any of these people. ",
            (Some(Ok(_)), None) => "Figures are of people that the model was not trained on. ",
            (None, None) =>
                "Figures are of people that the model was not trained on, unless a note says otherwise. ",
        }
    ));
    page.heading("Participants");
    page.flow(&dossier.flow.boxes);
    page.heading("Performance");
    page.paragraph(&format!("{}.", evaluation.judged()));
    page.table(&evaluation.table());
    page.subheading("The model less each baseline");
    page.paragraph("Paired, on the same people and the same draws of them.");
    page.table(&evaluation.differences());
    for (case, figures) in &findings.pictures {
        if findings.pictures.len() > 1 {
            page.subheading(case);
        }
        page.pictures(figures.iter().map(|figure| (figure.svg.as_str(), figure.caption.as_str())));
    }
    page.heading("Subgroups");
    if findings.groups.is_empty() {
        page.paragraph(
            "None were asked for: name channels that part people in evaluate.subgroups of the study \
             or by --by, for example \"age:45,65,80\".",
        );
    } else {
        let case = dossier.classes.names.last().map_or("cases", String::as_str);
        page.table(&subgroup_table(&findings.groups, case, Least::default()));
    }
    page.heading("Missing data");
    page.table(&missing_table(&findings.missing));
    page.heading("Envelope");
    for line in envelope(findings) {
        page.paragraph(&line);
    }
    if let Some(table) = reasons(findings) {
        page.table(&table);
    }
    page.heading("Model card");
    let mut table = Table::new(&[("what", Align::Left), ("", Align::Left)]);
    for (what, value) in card(dossier) {
        table.row([what, &value]);
    }
    page.table(&table);
    if !evaluation.notes.is_empty() {
        page.subheading("Notes");
        page.list(&evaluation.notes);
    }
    page.heading("TRIPOD+AI");
    page.paragraph(
        "Items of the checklist (BMJ 2024;385:e078378), wording shortened, with what the software \
         knows; the rest is for the authors.",
    );
    let mut table =
        Table::new(&[("item", Align::Left), ("asks for", Align::Left), ("answer", Align::Left)]);
    for item in items(&known(dossier, findings)) {
        table.row([item.number, item.asks, &item.answer]);
    }
    page.table(&table);
    page.finish()
}

/// The numbers.
pub(super) fn json(dossier: &Dossier<'_>, findings: &Findings) -> String {
    let evaluation: Value = serde_json::from_str(&dossier.evaluation.to_json()).unwrap_or_default();
    let groups: Vec<Value> = findings
        .groups
        .iter()
        .map(|group| {
            let figures = group.scores.as_ref().map(|scores| {
                let each = scores.iter();
                let each = each
                    .map(|s| (s.figure.key().to_owned(), s.estimate.as_ref().map(estimate).into()));
                each.collect::<serde_json::Map<String, Value>>()
            });
            json!({ "by": group.by, "group": group.name, "subjects": group.subjects,
                    "counts": group.counts, "figures": figures })
        })
        .collect();
    let missing: Vec<Value> = findings
        .missing
        .iter()
        .map(|row| {
            json!({ "channel": row.channel, "unit": row.unit,
                    "never_observed": { "training": row.absent[0], "judged": row.absent[1] },
                    "cells_missing": { "training": row.missing[0], "judged": row.missing[1] } })
        })
        .collect();
    let flow: Vec<Value> = dossier
        .flow
        .boxes
        .iter()
        .map(|(what, aside)| json!({ "what": what, "leaves": aside }))
        .collect();
    let outside = findings.placings.as_ref().map(|placings| {
        json!({ "judged": placings.len(),
                "outside": placings.iter().filter(|placing| !placing.is_inside()).count() })
    });
    let tripod: Vec<Value> = items(&known(dossier, findings))
        .into_iter()
        .map(|item| json!({ "item": item.number, "asks": item.asks, "answer": item.answer }))
        .collect();
    let card: BTreeMap<&str, String> = card(dossier).into_iter().collect();
    let value = json!({ "evaluation": evaluation, "participants": flow, "people": dossier.overlap.map(Overlap::to_value), "subgroups": groups,
                        "missing": missing, "envelope": outside, "model_card": card,
                        "tripod_ai": tripod });
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

/// A sentence with a large first letter.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn summary(dossier: &Dossier<'_>) -> String {
    let manifest = dossier.model.manifest();
    let step = manifest.study.data.step();
    let steps = match manifest.encoder.length {
        0 if manifest.study.study.task == Task::Label => {
            format!("each {step} of a subject from it and all {step}s before it,")
        }
        0 => "a subject from the whole series".to_owned(),
        length => format!("a subject from the last {length} {step}s"),
    };
    format!(
        "{} tells {} ({}) of {steps} of {} channels.",
        dossier.evaluation.classifiers.first().map_or("The model", |model| model.name.as_str()),
        dossier.classes.label,
        dossier.classes.names.join(", "),
        manifest.schema.len()
    )
}

fn envelope(findings: &Findings) -> Vec<String> {
    let Some(placings) = &findings.placings else {
        return vec!["The model file keeps no envelope of its training part.".into()];
    };
    let outside = placings.iter().filter(|placing| !placing.is_inside()).count();
    let share = 100.0 * outside as f64 / placings.len().max(1) as f64;
    vec![format!(
        "{outside} of {} judged series ({share:.1} %) lie outside what the model has seen in training: \
         by the middle value of a channel, how often it was measured, its absence, the length or the \
         steps of the series (0.1st to 99.9th percentile of training). Every prediction says so of \
         its own series.",
        placings.len()
    )]
}

/// What lay outside, the most frequent first.
fn reasons(findings: &Findings) -> Option<Table> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for outside in findings.placings.iter().flatten().flat_map(|placing| &placing.outside) {
        let channel = outside.channel.as_deref().unwrap_or("the series");
        *counts.entry((channel, &outside.why)).or_default() += 1;
    }
    if counts.is_empty() {
        return None;
    }
    let mut rows: Vec<((&str, &str), usize)> = counts.into_iter().collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let columns = [("channel", Align::Left), ("why", Align::Left), ("series", Align::Right)];
    let mut table = Table::new(&columns);
    for ((channel, why), count) in rows.iter().take(MOST_REASONS) {
        table.row([*channel, *why, &count.to_string()]);
    }
    if rows.len() > MOST_REASONS {
        table.note(&format!("and {} more reasons", rows.len() - MOST_REASONS));
    }
    Some(table)
}

fn card(dossier: &Dossier<'_>) -> Vec<(&'static str, String)> {
    let manifest = dossier.model.manifest();
    let (study, classes) = (&manifest.study, dossier.classes);
    let [train, tune, test] = &manifest.provenance.parts;
    let authors = || "To be filled in by the authors.".to_owned();
    let threshold = match (classes.threshold, classes.names.last()) {
        (Some(threshold), Some(case)) => {
            format!("{case} from a probability of {threshold:.4}, chosen on the tuning part")
        }
        _ => "the most probable class".to_owned(),
    };
    let each = classes.names.iter().zip(&classes.frequencies);
    let shares: Vec<String> =
        each.map(|(name, share)| format!("{name} {:.1} %", 100.0 * share)).collect();
    let recalibration = classes.recalibration.as_ref();
    vec![
        ("intended use, users, and uses that are not intended", authors()),
        ("what it tells", format!("{}: {}", classes.label, classes.names.join(", "))),
        (
            "network",
            format!(
                "{}, {} numbers",
                crate::network::name(study),
                dossier.model.parameters().count()
            ),
        ),
        (
            "training",
            format!(
                "seed {}, epoch {} of {} kept",
                study.study.seed, manifest.provenance.epochs[1], manifest.provenance.epochs[0]
            ),
        ),
        (
            "people",
            format!(
                "trained on {}, {}, kept apart for the test {}",
                train.subjects,
                tuned_words(study, tune.subjects),
                test.subjects
            ),
        ),
        ("classes of the training part", shares.join(", ")),
        ("decision", threshold),
        (
            "recalibration",
            recalibration.map_or_else(
                || "none".to_owned(),
                |map| format!("{}, fitted on the tuning part", map.words()),
            ),
        ),
        (
            "channels",
            manifest
                .schema
                .iter()
                .map(|c| {
                    if c.unit.is_empty() {
                        c.name.clone()
                    } else {
                        format!("{} ({})", c.name, c.unit)
                    }
                })
                .collect::<Vec<_>>()
                .join(", "),
        ),
        ("made by", format!("sequela {}", manifest.provenance.sequela)),
        ("model file", format!("sha256 {}", dossier.model.digest())),
        ("study", format!("sha256 {}", manifest.provenance.study)),
        ("data", format!("sha256 {}", manifest.provenance.data)),
        ("training part", format!("sha256 {}", manifest.provenance.training_data)),
        ("ethical considerations, caveats", authors()),
    ]
}

/// What the software knows about the items of TRIPOD+AI.
fn known(dossier: &Dossier<'_>, findings: &Findings) -> Known {
    let manifest = dossier.model.manifest();
    let (study, classes) = (&manifest.study, dossier.classes);
    let [train, tune, test] = &manifest.provenance.parts;
    let mut known = Known::default();
    known.say("5a", format!("Data of SHA-256 {}.", manifest.provenance.data));
    known.say("8a", format!("{}: {}.", classes.label, classes.names.join(", ")));
    known.say(
        "9b",
        format!("{} channels, see Missing data and the model card.", manifest.schema.len()),
    );
    let fill = match manifest.encoder.missing {
        Fill::Carry if study.fades() => {
            "the last observation of the same subject, fading towards the training mean at rates that were learnt"
        }
        Fill::Carry => "carried forward from the last observation of the same subject",
        Fill::Centre => "the training mean",
    };
    let told = if manifest.encoder.indicators.is_empty() {
        ""
    } else {
        " Whether and how long ago each was observed is an input too."
    };
    known.say("11", format!("Missing values are not left out; in their place stands what was {fill}.{told} Shares: section Missing data."));
    known.say(
        "12a",
        format!(
            "Parts by subject, none in two: {} trained on, {}, {} kept apart.",
            train.subjects,
            tuned_words(study, tune.subjects),
            test.subjects
        ),
    );
    known.say(
        "12b",
        format!(
            "Each channel scaled ({}) by numbers of the training part alone.",
            scale_word(study)
        ),
    );
    known.say("12c", format!("{}, {} numbers, seed {}; epoch {} of {} by the loss on the tuning part. Study of SHA-256 {}.", crate::network::name(study), dossier.model.parameters().count(), study.study.seed, manifest.provenance.epochs[1], manifest.provenance.epochs[0], manifest.provenance.study));
    known.say("12e", "AUROC, AUPRC, Brier score, log loss, calibration intercept, slope and error, decisions, net benefit; intervals by subject; ROC, precision-recall, calibration and decision curves.");
    match &classes.recalibration {
        Some(map) => {
            known.say("12f", format!("{}, fitted on the tuning part.", map.words()));
            known.say("24", "See the calibration intercept and slope under Performance.");
        }
        None => known.say("12f", "None."),
    }
    known.say(
        "12g",
        format!(
            "By the model file of SHA-256 {}, the same bits on every machine.",
            dossier.model.digest()
        ),
    );
    let weighed = classes.weights.iter().any(|weight| (weight - 1.0).abs() > 0.0);
    known.say("13", if weighed { "Classes were weighed in training; the weights are taken out of the probabilities again." } else { "No weights of classes, no resampling." });
    known.say("15", match classes.threshold {
        Some(threshold) => format!("A probability for each class; decided from {threshold:.4} on, chosen on the tuning part."),
        None => "A probability for each class; the most probable is decided.".to_owned(),
    });
    if let Some(line) = envelope(findings).first() {
        known.say("16", line.clone());
        known.say("20c", "Missing values of both: section Missing data.");
    }
    known.say("18f", format!("sequela {}, MIT or Apache-2.0.", env!("CARGO_PKG_VERSION")));
    known.say("20a", "Section Participants.");
    known.say("20b", "Missing values: section Missing data.");
    known.say("21", format!("{}.", dossier.evaluation.judged()));
    known.say("22", format!("The model file, SHA-256 {}.", dossier.model.digest()));
    known.say(
        "23a",
        if findings.groups.is_empty() {
            "Section Performance; no subgroups were asked for."
        } else {
            "Sections Performance and Subgroups."
        },
    );
    known.say("27a", "Missing values need no handling by the user. Each prediction carries its share of missing values and whether the series lies inside what was seen in training, and why not.");
    known
}

fn scale_word(study: &crate::Study) -> String {
    format!("{:?}", study.scale.kind).to_lowercase()
}

/// Reasons listed at most.
const MOST_REASONS: usize = 25;
