//! Losses from their definitions.

use super::Table;
use crate::loss::{Loss, class_of};
use sequela_kernels::reference::tape::{Tape, Var};

/// `sum(w l) / sum(w)` over all elements.
pub(super) fn term<'t>(
    tape: &'t Tape,
    kind: &Loss,
    prediction: &Table<'t>,
    target: &Table<'t>,
    weight: Option<&Table<'t>>,
) -> Var<'t> {
    let (mut sum, mut total) = (tape.var(0.0), 0.0);
    for (b, sequence) in prediction.rows.iter().enumerate() {
        for (t, p) in sequence.iter().enumerate() {
            let y = &target.rows[b][t];
            let weight = |k: usize| {
                weight.map_or(1.0, |weight| {
                    let row = &weight.rows[b][t];
                    row[if row.len() == 1 { 0 } else { k }].value()
                })
            };
            if let Loss::CrossEntropy { class_weights } = kind {
                if weight(0) == 0.0 {
                    continue;
                }
                let (loss, by) = cross_entropy(tape, class_weights, p, y);
                sum = sum + loss * weight(0);
                total += weight(0) * by;
                continue;
            }
            let each = p.len() / y.len();
            for (column, &p) in p.iter().enumerate() {
                if weight(column / each) == 0.0 {
                    continue;
                }
                let loss = element(tape, kind, p, y[column / each].value(), column);
                sum = sum + loss * weight(column / each);
                total += weight(column / each);
            }
        }
    }
    match kind {
        Loss::Dot => sum,
        _ if total == 0.0 => tape.var(0.0),
        _ => sum / total,
    }
}

fn element<'t>(tape: &'t Tape, kind: &Loss, p: Var<'t>, y: f64, column: usize) -> Var<'t> {
    let error = p - y;
    match kind {
        Loss::MeanSquared => error * error,
        Loss::MeanAbsolute => error.abs(),
        Loss::Huber { delta } => {
            let delta = f64::from(*delta);
            if error.value().abs() <= delta {
                error * error * 0.5
            } else {
                (error.abs() - delta / 2.0) * delta
            }
        }
        Loss::Pinball { quantiles } => {
            let q = f64::from(quantiles[column % quantiles.len()]);
            (-error * q).max(-error * (q - 1.0))
        }
        Loss::BinaryCrossEntropy { positive_weight } => {
            let positive = positive_weight.get(column).map_or(1.0, |&w| f64::from(w));
            let s = p.sigmoid();
            let one = tape.var(1.0);
            -(s.ln() * (positive * y) + (one - s).ln() * (1.0 - y))
        }
        Loss::Dot | Loss::CrossEntropy { .. } => p * y,
    }
}

/// The loss of a row, and what it counts for.
fn cross_entropy<'t>(
    tape: &'t Tape,
    class_weights: &[f32],
    p: &[Var<'t>],
    y: &[Var<'t>],
) -> (Var<'t>, f64) {
    let sum = p.iter().fold(tape.var(0.0), |sum, p| sum + p.exp());
    let factor = |k: usize| class_weights.get(k).map_or(1.0, |&w| f64::from(w));
    if let [class] = y {
        #[expect(clippy::cast_possible_truncation, reason = "a class is a small whole number")]
        let class = class_of(class.value() as f32, p.len()).unwrap_or(0);
        return (-(p[class].exp() / sum).ln() * factor(class), factor(class));
    }
    let each = p.iter().zip(y).enumerate();
    let loss = each.fold(tape.var(0.0), |loss, (k, (p, y))| {
        loss - (p.exp() / sum).ln() * (y.value() * factor(k))
    });
    (loss, 1.0)
}
