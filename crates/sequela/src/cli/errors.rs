//! A model's worth beside the baselines', narrow enough for a terminal; of forecasts the errors,
//! with a column for each horizon.

use sequela_eval::forecast::HorizonComparison;
use sequela_eval::table::{Align, Table, number};
use sequela_train::{Evaluation, Judged, Model};

use super::classes;

/// What was judged, in tables.
pub(crate) fn judged(judged: &Judged) -> String {
    match judged {
        Judged::Classes(evaluation) => classes::text(evaluation),
        _ => judged.forecasts().map_or_else(|| judged.text(), text),
    }
}

/// What there is to say where the model is not better than the baselines.
pub(crate) fn finding(judged: &Judged) -> Option<&'static str> {
    if let Some(evaluation) = judged.classes() {
        let worse = "a baseline's AUROC is not lower than the model's";
        return if evaluation.is_best() { None } else { Some(worse) };
    }
    match judged.forecasts() {
        Some(evaluation) if is_best_somewhere(evaluation) => None,
        _ => Some("at no horizon is the model better than the best baseline"),
    }
}

/// Mean absolute errors, and by how much the model's is lower than each baseline's. RMSE, bias and
/// the intervals of the differences are in the run's `evaluation.md`.
fn text(evaluation: &Evaluation) -> String {
    let mut text = format!("{}\n{}", errors(evaluation).text(), differences(evaluation).text());
    for note in &evaluation.notes {
        text.push_str("note: ");
        text.push_str(note);
        text.push('\n');
    }
    text
}

/// The figures that a model file keeps from the end of training.
pub(crate) fn kept(model: &Model) -> String {
    if let Some(classes) = &model.manifest().classes {
        return classes::kept(classes);
    }
    let (manifest, unit) = (model.manifest(), &model.target().unit);
    let horizons = &manifest.study.window.horizons;
    let step = manifest.study.data.step();
    let mut table = table(horizons, step, &title(unit, ", kept in the file"));
    let mut names: Vec<&str> = Vec::new();
    for metric in &manifest.metrics {
        if !names.contains(&metric.forecaster.as_str()) {
            names.push(&metric.forecaster);
        }
    }
    for name in names {
        let of_name = manifest.metrics.iter().filter(|metric| metric.forecaster == name);
        let figures = of_name.map(|metric| number(metric.mae, DECIMALS));
        table.row(std::iter::once(name.to_owned()).chain(figures));
    }
    table.text()
}

/// Whether the model's error is the lowest at any horizon.
fn is_best_somewhere(evaluation: &Evaluation) -> bool {
    let Some((model, baselines)) = evaluation.forecasters.split_first() else { return false };
    model.scores.iter().enumerate().any(|(horizon, score)| {
        let mut others = baselines.iter().filter_map(|baseline| baseline.scores.get(horizon));
        others.all(|other| score.mae.value < other.mae.value)
    })
}

fn errors(evaluation: &Evaluation) -> Table {
    let mut table = table(&evaluation.horizons, &evaluation.step, &title(&evaluation.unit, ""));
    for forecaster in &evaluation.forecasters {
        let mut row = vec![forecaster.name.clone()];
        row.extend(forecaster.scores.iter().map(|score| table.figure(&score.mae, DECIMALS)));
        table.row(row);
    }
    table
}

fn differences(evaluation: &Evaluation) -> Table {
    let model = evaluation.forecasters.first().map_or("the model", |model| &model.name);
    let mut table = table(&evaluation.horizons, &evaluation.step, &format!("{model} against"));
    for forecaster in &evaluation.forecasters {
        let Some(differences) = &forecaster.model_against else { continue };
        let mut row = vec![forecaster.name.clone()];
        row.extend(differences.iter().map(verdict));
        table.row(row);
    }
    table
}

/// Who is better and by how much, where the interval of the paired difference says so.
fn verdict(difference: &HorizonComparison) -> String {
    let percent = number(100.0 * difference.skill.value.abs(), 0);
    match difference.mae_difference.interval.bounds() {
        Some((_, high)) if high < 0.0 => format!("better by {percent} %"),
        Some((low, _)) if low > 0.0 => format!("worse by {percent} %"),
        _ => "not told apart".to_owned(),
    }
}

fn title(unit: &str, more: &str) -> String {
    let unit = if unit.is_empty() { "" } else { &format!(" in {unit}") };
    format!("mean absolute error{unit}{more}")
}

fn table(horizons: &[usize], step: &str, title: &str) -> Table {
    let ahead: Vec<String> = horizons
        .iter()
        .map(|horizon| {
            let plural = if *horizon == 1 { "" } else { "s" };
            format!("{horizon} {step}{plural} ahead")
        })
        .collect();
    let mut columns = vec![(title, Align::Left)];
    columns.extend(ahead.iter().map(|title| (title.as_str(), Align::Right)));
    Table::new(&columns)
}

const DECIMALS: usize = 2;
