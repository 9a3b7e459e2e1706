//! Classifiers side by side.

use super::{ClassDifference, ClassScore};
use crate::bootstrap::Estimate;
use crate::table::{Align, Table};

/// Figures of several classifiers: a row for each figure, a column for each classifier.
///
/// # Example
/// ```
/// use sequela_eval::bootstrap::{Estimate, Interval};
/// use sequela_eval::classify::{ClassScore, Figure, score_table};
/// let estimate = Some(Estimate { value: 0.8411, interval: Interval::None });
/// let table = score_table(&[("GRU", &[ClassScore { figure: Figure::Auroc, estimate }])], "died");
/// assert_eq!(table.text(), "died     GRU\n-----  -----\nAUROC  0.841\n");
/// ```
pub fn score_table(classifiers: &[(&str, &[ClassScore])], title: &str) -> Table {
    let mut table = columns(classifiers.iter().map(|(name, _)| *name), title);
    let Some((_, first)) = classifiers.first() else { return table };
    for (at, score) in first.iter().enumerate() {
        let mut row = vec![score.figure.name().to_owned()];
        row.extend(classifiers.iter().map(|(_, scores)| {
            cell(&mut table, scores.get(at).and_then(|score| score.estimate.as_ref()))
        }));
        table.row(row);
    }
    table
}

/// One classifier less each of the others, a row for each figure of the lists.
pub fn difference_table(others: &[(&str, &[ClassDifference])], title: &str) -> Table {
    let mut table = columns(others.iter().map(|(name, _)| *name), title);
    let Some((_, first)) = others.first() else { return table };
    for (at, difference) in first.iter().enumerate() {
        let figure = difference.figure;
        let mut row = vec![match figure.aim() {
            Some(_) => figure.name().to_owned(),
            None if figure.is_error() => format!("{} (negative is better)", figure.name()),
            None => format!("{} (positive is better)", figure.name()),
        }];
        row.extend(others.iter().map(|(_, differences)| {
            cell(&mut table, differences.get(at).and_then(|d| d.estimate.as_ref()))
        }));
        table.row(row);
    }
    table
}

fn columns<'a>(names: impl Iterator<Item = &'a str>, title: &'a str) -> Table {
    let mut columns = vec![(title, Align::Left)];
    columns.extend(names.map(|name| (name, Align::Right)));
    Table::new(&columns)
}

fn cell(table: &mut Table, estimate: Option<&Estimate>) -> String {
    estimate.map_or_else(|| "undefined".to_owned(), |estimate| table.figure(estimate, DECIMALS))
}

const DECIMALS: usize = 3;
