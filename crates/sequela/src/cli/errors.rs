//! A model's errors beside the baselines', narrow enough for a terminal: a column for each
//! horizon.

use sequela_eval::table::{Align, Table};
use sequela_train::Evaluation;

/// Mean absolute errors, and how the model differs from each baseline.
pub(crate) fn text(evaluation: &Evaluation) -> String {
    let mut text = format!("{}\n{}", errors(evaluation).text(), differences(evaluation).text());
    for note in &evaluation.notes {
        text.push_str("note: ");
        text.push_str(note);
        text.push('\n');
    }
    text
}

/// Whether the model's error is the lowest at any horizon.
pub(crate) fn is_best_somewhere(evaluation: &Evaluation) -> bool {
    let Some((model, baselines)) = evaluation.forecasters.split_first() else { return false };
    model.scores.iter().enumerate().any(|(horizon, score)| {
        let mut others = baselines.iter().filter_map(|baseline| baseline.scores.get(horizon));
        others.all(|other| score.mae.value < other.mae.value)
    })
}

fn errors(evaluation: &Evaluation) -> Table {
    let unit = if evaluation.unit.is_empty() { "" } else { &format!(" in {}", evaluation.unit) };
    let mut table = table(evaluation, &format!("mean absolute error{unit}"));
    for forecaster in &evaluation.forecasters {
        let mut row = vec![forecaster.name.clone()];
        row.extend(forecaster.scores.iter().map(|score| table.figure(&score.mae, DECIMALS)));
        table.row(row);
    }
    table
}

fn differences(evaluation: &Evaluation) -> Table {
    let model = evaluation.forecasters.first().map_or("the model", |model| &model.name);
    let mut table = table(evaluation, &format!("{model} less each baseline"));
    for forecaster in &evaluation.forecasters {
        let Some(differences) = &forecaster.model_against else { continue };
        let mut row = vec![forecaster.name.clone()];
        row.extend(differences.iter().map(|difference| {
            let estimate = &difference.mae_difference;
            let verdict = match estimate.interval.bounds() {
                Some((_, high)) if high < 0.0 => "better",
                Some((low, _)) if low > 0.0 => "worse",
                _ => "alike",
            };
            format!("{} {verdict:>6}", table.figure(estimate, DECIMALS))
        }));
        table.row(row);
    }
    table
}

fn table(evaluation: &Evaluation, title: &str) -> Table {
    let ahead: Vec<String> = evaluation
        .horizons
        .iter()
        .map(|horizon| {
            let plural = if *horizon == 1 { "" } else { "s" };
            format!("{horizon} {}{plural} ahead", evaluation.step)
        })
        .collect();
    let mut columns = vec![(title, Align::Left)];
    columns.extend(ahead.iter().map(|title| (title.as_str(), Align::Right)));
    Table::new(&columns)
}

const DECIMALS: usize = 2;
