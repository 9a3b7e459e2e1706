//! A classifier's figures beside the baselines', for a terminal.

use sequela_eval::classify::Figure;
use sequela_eval::table::{Align, Table, number};
use sequela_train::{ClassEvaluation, Classes};

/// Who was judged, every figure with its interval, and how the model differs from each baseline.
pub(crate) fn text(evaluation: &ClassEvaluation) -> String {
    evaluation.text()
}

/// The figures that a model file keeps from the end of training.
pub(crate) fn kept(classes: &Classes) -> String {
    let title = format!("{}, kept in the file", classes.label);
    let mut names: Vec<&str> = Vec::new();
    let mut figures: Vec<&str> = Vec::new();
    for metric in &classes.metrics {
        if !names.contains(&metric.classifier.as_str()) {
            names.push(&metric.classifier);
        }
        if !figures.contains(&metric.figure.as_str()) {
            figures.push(&metric.figure);
        }
    }
    let mut columns = vec![(title.as_str(), Align::Left)];
    columns.extend(names.iter().map(|name| (*name, Align::Right)));
    let mut table = Table::new(&columns);
    for figure in figures {
        let of_figure = classes.metrics.iter().filter(|metric| metric.figure == figure);
        let name = Figure::from_key(figure).map_or(figure, |known| known.name());
        let mut row = vec![name.to_owned()];
        row.extend(of_figure.map(|metric| {
            let value = number(metric.value.unwrap_or(f64::NAN), DECIMALS);
            match metric.interval {
                Some([low, high]) => {
                    format!("{value} ({} to {})", number(low, DECIMALS), number(high, DECIMALS))
                }
                None => value,
            }
        }));
        table.row(row);
    }
    table.text()
}

const DECIMALS: usize = 3;
