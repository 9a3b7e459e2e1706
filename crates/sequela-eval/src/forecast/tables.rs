//! The tables of errors that a run prints and keeps.

use super::{HorizonComparison, HorizonScore};
use crate::table::{Align, Table};

/// Errors of several forecasters, horizon by horizon, each with its interval.
///
/// `unit` is that of the target (`bpm`), `step` names a step ahead (`beat`, `min`).
///
/// # Example
/// ```
/// use sequela_core::SubjectId;
/// use sequela_eval::bootstrap::Bootstrap;
/// use sequela_eval::forecast::{Truth, score, score_table};
/// let mut truth = Truth::new(&[1]);
/// truth.push(&SubjectId::new("a"), &[Some(70.0)])?;
/// truth.push(&SubjectId::new("b"), &[Some(80.0)])?;
/// let scores = score(&truth, &[71.0, 78.0], &Bootstrap::default())?;
/// let text = score_table(&[("LSTM", &scores)], "bpm", "beat").text();
/// assert!(text.contains("1.50 (1.00 to 2.00)*"), "{text}");
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn score_table(forecasters: &[(&str, &[HorizonScore])], unit: &str, step: &str) -> Table {
    let (mae, rmse, bias) = (titled("MAE", unit), titled("RMSE", unit), titled("bias", unit));
    let mut table = Table::new(&[
        (&ahead(step), Align::Right),
        ("forecaster", Align::Left),
        (&mae, Align::Right),
        (&rmse, Align::Right),
        (&bias, Align::Right),
        ("targets", Align::Right),
        ("subjects", Align::Right),
    ]);
    let longest = forecasters.iter().map(|(_, scores)| scores.len()).max().unwrap_or(0);
    for horizon in 0..longest {
        for (name, scores) in forecasters {
            let Some(score) = scores.get(horizon) else { continue };
            let cells = [
                score.horizon.to_string(),
                (*name).to_owned(),
                table.figure(&score.mae, DECIMALS),
                table.figure(&score.rmse, DECIMALS),
                table.figure(&score.bias, DECIMALS),
                score.targets.to_string(),
                score.subjects.to_string(),
            ];
            table.row(cells);
        }
    }
    table
}

/// Paired differences between a model and each baseline, horizon by horizon, with a last column
/// that says in a word what the interval of the MAE difference allows to say.
///
/// # Example
/// ```
/// use sequela_core::SubjectId;
/// use sequela_eval::bootstrap::Bootstrap;
/// use sequela_eval::forecast::{Truth, compare, difference_table};
/// let mut truth = Truth::new(&[1]);
/// truth.push(&SubjectId::new("a"), &[Some(70.0)])?;
/// truth.push(&SubjectId::new("b"), &[Some(80.0)])?;
/// let gain = compare(&truth, &[71.0, 78.0], &[75.0, 75.0], &Bootstrap::default())?;
/// let text = difference_table(&[("persistence", &gain)], "bpm", "beat").text();
/// assert!(text.contains("better"), "{text}");
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn difference_table(
    baselines: &[(&str, &[HorizonComparison])],
    unit: &str,
    step: &str,
) -> Table {
    let (mae, rmse) = (titled("MAE difference", unit), titled("RMSE difference", unit));
    let mut table = Table::new(&[
        (&ahead(step), Align::Right),
        ("against", Align::Left),
        (&mae, Align::Right),
        (&rmse, Align::Right),
        ("skill", Align::Right),
        ("the model is", Align::Left),
    ]);
    let longest = baselines.iter().map(|(_, differences)| differences.len()).max().unwrap_or(0);
    for horizon in 0..longest {
        for (name, differences) in baselines {
            let Some(difference) = differences.get(horizon) else { continue };
            let verdict = match difference.mae_difference.interval {
                interval if interval.is_below(0.0) => "better",
                interval if interval.is_above(0.0) => "worse",
                interval if interval.bounds().is_some() => "not told apart",
                _ => "",
            };
            let cells = [
                difference.horizon.to_string(),
                (*name).to_owned(),
                table.figure(&difference.mae_difference, DECIMALS),
                table.figure(&difference.rmse_difference, DECIMALS),
                table.figure(&difference.skill, DECIMALS),
                verdict.to_owned(),
            ];
            table.row(cells);
        }
    }
    table
}

fn ahead(step: &str) -> String {
    format!("{step}s ahead")
}

fn titled(figure: &str, unit: &str) -> String {
    if unit.is_empty() { figure.to_owned() } else { format!("{figure} ({unit})") }
}

const DECIMALS: usize = 2;
