//! The page and the numbers of a report.

use std::collections::BTreeMap;

use sequela_eval::bootstrap::Interval;
use sequela_eval::classify::{Least, subgroup_table};
use sequela_eval::report::{Drawn, Known, Page, items, missing_table};
use sequela_eval::table::{Align, Table};
use serde_json::{Value, json};

use super::dossier::{Dossier, Findings, Judging};
use super::turns::tuned_words;
use crate::evaluation::estimate;
use crate::overlap::Overlap;
use crate::study::{Missing as Fill, Task};

/// The page.
pub(super) fn html(dossier: &Dossier<'_>, findings: &Findings) -> String {
    let evaluation = dossier.evaluation;
    let study = dossier.study;
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
    if let Some(table) = participants(dossier) {
        page.table(&table);
    }
    page.heading("Performance");
    page.paragraph(&format!("{}.", evaluation.judged()));
    page.table(&evaluation.table());
    page.subheading("The model less each baseline");
    page.paragraph("Paired, on the same people and the same draws of them.");
    page.table(&evaluation.differences());
    for (case, Drawn { figures, .. }) in &findings.pictures {
        if findings.pictures.len() > 1 {
            page.subheading(case);
        }
        page.pictures(figures.iter().map(|figure| (figure.svg.as_str(), figure.caption.as_str())));
    }
    if let Some(folds) = dossier.folds {
        page.subheading("The folds");
        page.paragraph(
            "Each judged on its own subjects, whom its model and its choices have not seen.",
        );
        for figure in folds.told() {
            page.table(&folds.table(figure));
        }
        if let Some(settings) = folds.settings() {
            page.subheading("Settings");
            page.paragraph(
                "Each fold searched among its own training subjects, by its own tuning part.",
            );
            page.table(&settings);
        }
    }
    page.heading("Subgroups");
    if dossier.schema().is_none() {
        page.paragraph("None: the folds do not have the same channels.");
    } else if findings.groups.is_empty() {
        page.paragraph(
            "None were asked for: name channels that part people in evaluate.subgroups of the study \
             or by --by, for example \"age:45,65,80\".",
        );
    } else {
        let case = dossier.classes().names.last().map_or("cases", String::as_str);
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
    let evaluation = match dossier.folds {
        Some(folds) => folds.to_json(),
        None => dossier.evaluation.to_json(),
    };
    let evaluation: Value = serde_json::from_str(&evaluation).unwrap_or_default();
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
    let curves: Vec<Value> = findings.pictures.iter().map(curves).collect();
    let card: BTreeMap<&str, String> = card(dossier).into_iter().collect();
    let value = json!({ "evaluation": evaluation, "curves": curves, "participants": flow,
                         "people": dossier.overlap.map(Overlap::to_value), "subgroups": groups,
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

/// The model's calibration and decision curve of a class, with 95 % intervals by subject.
fn curves((class, drawn): &(String, Drawn)) -> Value {
    let ends = |interval: &Interval| interval.bounds().map(|(low, high)| [low, high]);
    let (groups, of_groups) = &drawn.calibration;
    let groups = groups.iter().zip(of_groups).map(|(group, interval)| {
        json!({ "expected": group.expected, "observed": group.observed, "rows": group.rows,
                "interval": ends(interval) })
    });
    let (points, of_points) = &drawn.decisions;
    let points = points.iter().zip(of_points).map(|(point, interval)| {
        json!({ "threshold": point.threshold, "net_benefit": point.model,
                "interval": ends(interval), "acting_on_everybody": point.all })
    });
    json!({ "class": class, "calibration": groups.collect::<Vec<_>>(),
            "decision_curve": points.collect::<Vec<_>>() })
}

fn summary(dossier: &Dossier<'_>) -> String {
    let manifest = dossier.each[0].model.manifest();
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
        dossier.classes().label,
        dossier.classes().names.join(", "),
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

/// What there is to say of each model; where folds differ, fold by fold.
fn each(dossier: &Dossier<'_>, say: impl Fn(&Judging<'_>) -> String) -> String {
    let all: Vec<String> = dossier.each.iter().map(say).collect();
    if all.windows(2).all(|pair| pair[0] == pair[1]) {
        return all.into_iter().next().unwrap_or_default();
    }
    let all = (1..).zip(all).map(|(fold, what)| format!("fold {fold}: {what}"));
    all.collect::<Vec<_>>().join("; ")
}

/// How many each fold was trained, tuned and judged on; none without folds.
fn participants(dossier: &Dossier<'_>) -> Option<Table> {
    let folds = dossier.folds?;
    let columns = ["trained on", "tuned on", "judged"].map(|name| (name, Align::Right));
    let mut all = vec![("subjects by fold", Align::Left)];
    all.extend(columns);
    all.extend(dossier.classes().names.iter().map(|name| (name.as_str(), Align::Right)));
    let mut table = Table::new(&all);
    for ((fold, one), judged) in (1..).zip(&dossier.each).zip(&folds.folds) {
        let [train, tune, _] = &one.model.manifest().provenance.parts;
        let mut row: Vec<String> = vec![format!("{fold}")];
        row.extend([train.subjects, tune.subjects, judged.subjects].map(|n| n.to_string()));
        row.extend(judged.counts.iter().map(ToString::to_string));
        table.row(row);
    }
    let rows = folds.pooled.step.as_deref().map_or("series", |step| step);
    table.note(&format!("classes: {rows} that were judged"));
    Some(table)
}

fn card(dossier: &Dossier<'_>) -> Vec<(&'static str, String)> {
    let first = dossier.each[0].model.manifest();
    let classes = dossier.classes();
    let authors = || "To be filled in by the authors.".to_owned();
    let threshold = |one: &Judging<'_>| match (one.classes.threshold, one.classes.names.last()) {
        (Some(threshold), Some(case)) => {
            format!("{case} from a probability of {threshold:.4}, chosen on the tuning part")
        }
        _ => "the most probable class".to_owned(),
    };
    let shares = |one: &Judging<'_>| {
        let each = one.classes.names.iter().zip(&one.classes.frequencies);
        let each = each.map(|(name, share)| format!("{name} {:.1} %", 100.0 * share));
        each.collect::<Vec<_>>().join(", ")
    };
    let channels = |one: &Judging<'_>| {
        let each = one.model.manifest().schema.iter().map(|c| match c.unit.as_str() {
            "" => c.name.clone(),
            unit => format!("{} ({unit})", c.name),
        });
        each.collect::<Vec<_>>().join(", ")
    };
    let provenance = |one: &Judging<'_>| one.model.manifest().provenance.clone();
    vec![
        ("intended use, users, and uses that are not intended", authors()),
        ("what it tells", format!("{}: {}", classes.label, classes.names.join(", "))),
        ("network", each(dossier, network)),
        (
            "training",
            each(dossier, |one| {
                let [made, kept] = provenance(one).epochs;
                format!("seed {}, epoch {kept} of {made} kept", dossier.study.study.seed)
            }),
        ),
        (
            "people",
            each(dossier, |one| {
                let [train, tune, test] = provenance(one).parts;
                format!(
                    "trained on {}, {}, kept apart for the test {}",
                    train.subjects,
                    tuned_words(dossier.study, tune.subjects),
                    test.subjects
                )
            }),
        ),
        ("classes of the training part", each(dossier, shares)),
        ("decision", each(dossier, threshold)),
        (
            "recalibration",
            each(dossier, |one| {
                one.classes.recalibration.as_ref().map_or_else(
                    || "none".to_owned(),
                    |map| format!("{}, fitted on the tuning part", map.words()),
                )
            }),
        ),
        ("channels", each(dossier, channels)),
        ("made by", format!("sequela {}", first.provenance.sequela)),
        ("model file", each(dossier, |one| format!("sha256 {}", one.model.digest()))),
        ("study", each(dossier, |one| format!("sha256 {}", provenance(one).study))),
        ("data", each(dossier, |one| format!("sha256 {}", provenance(one).data))),
        ("training part", each(dossier, |one| format!("sha256 {}", provenance(one).training_data))),
        ("ethical considerations, caveats", authors()),
    ]
}

/// The network and its size.
fn network(one: &Judging<'_>) -> String {
    let name = crate::network::name(&one.model.manifest().study);
    format!("{name}, {} numbers", one.model.parameters().count())
}

/// What the software knows about the items of TRIPOD+AI.
#[allow(clippy::too_many_lines, reason = "one item of the checklist after the other")]
fn known(dossier: &Dossier<'_>, findings: &Findings) -> Known {
    let manifest = dossier.each[0].model.manifest();
    let (study, classes) = (dossier.study, dossier.classes());
    let mut known = Known::default();
    let data = each(dossier, |one| one.model.manifest().provenance.data.clone());
    known.say("5a", format!("Data of SHA-256 {data}."));
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
        match dossier.folds {
            None => {
                let [train, tune, test] = &manifest.provenance.parts;
                format!(
                    "Parts by subject, none in two: {} trained on, {}, {} kept apart.",
                    train.subjects,
                    tuned_words(study, tune.subjects),
                    test.subjects
                )
            }
            Some(folds) => format!(
                "Cross-validation in {} folds, no subject in two; each is judged once, by a model \
                 that was neither trained nor tuned on it. Section Participants.",
                folds.folds.len()
            ),
        },
    );
    known.say(
        "12b",
        format!(
            "Each channel scaled ({}) by numbers of the training part alone.",
            scale_word(study)
        ),
    );
    let trained = each(dossier, |one| {
        let provenance = &one.model.manifest().provenance;
        let [made, kept] = provenance.epochs;
        format!(
            "{}, seed {}; epoch {kept} of {made} by the loss on the tuning part; study of SHA-256 {}",
            network(one),
            study.study.seed,
            provenance.study
        )
    });
    let searched = if dossier.folds.is_some_and(|folds| !folds.chosen.is_empty()) {
        " Settings were chosen in each fold by a search among its own training subjects."
    } else {
        ""
    };
    known.say("12c", format!("{trained}.{searched}"));
    known.say("12e", "AUROC, AUPRC, Brier score, log loss, calibration intercept, slope and error, decisions, net benefit; intervals by subject; ROC, precision-recall, calibration and decision curves.");
    match &classes.recalibration {
        Some(map) => {
            let words = |one: &Judging<'_>| {
                let own = one.classes.recalibration.as_ref().unwrap_or(map);
                format!("{}, fitted on the tuning part", own.words())
            };
            known.say("12f", format!("{}.", each(dossier, words)));
            known.say("24", "See the calibration intercept and slope under Performance.");
        }
        None => known.say("12f", "None."),
    }
    known.say(
        "12g",
        format!(
            "By the model file of SHA-256 {}, the same bits on every machine.",
            each(dossier, |one| one.model.digest().to_owned())
        ),
    );
    let weighed = classes.weights.iter().any(|weight| (weight - 1.0).abs() > 0.0);
    known.say("13", if weighed { "Classes were weighed in training; the weights are taken out of the probabilities again." } else { "No weights of classes, no resampling." });
    let decided = each(dossier, |one| match one.classes.threshold {
        Some(threshold) => format!("decided from {threshold:.4} on, chosen on the tuning part"),
        None => "the most probable is decided".to_owned(),
    });
    known.say("15", format!("A probability for each class; {decided}."));
    if let Some(line) = envelope(findings).first() {
        known.say("16", line.clone());
        known.say("20c", "Missing values of both: section Missing data.");
    }
    known.say("18f", format!("sequela {}, MIT or Apache-2.0.", env!("CARGO_PKG_VERSION")));
    known.say("20a", "Section Participants.");
    known.say("20b", "Missing values: section Missing data.");
    known.say("21", format!("{}.", dossier.evaluation.judged()));
    let files = each(dossier, |one| format!("SHA-256 {}", one.model.digest()));
    known.say("22", format!("The model file, {files}."));
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
