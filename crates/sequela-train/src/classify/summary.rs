//! Numbers that sum up a series: what a logistic regression and the audit see of it.

use super::cases::Cases;
use crate::encode::Encoder;
use crate::series::Series;
use crate::study::Missing;

/// Summaries of one channel: mean, last, lowest, highest, share observed.
pub(super) const EACH: usize = 5;

/// What each of them is called.
pub(super) const NAMES: [&str; EACH] =
    ["mean", "last value", "lowest value", "highest value", "share observed"];

/// The summaries of rows, `(N, 5 F)` row by row: for each channel the mean, the last, the
/// lowest and the highest of its observed values, and the share of steps at which it was observed.
///
/// **Units** those of the scaled series. **Missing data** the first four of a channel that was
/// never observed are NaN.
pub(super) fn summaries(cases: &Cases, rows: &[usize]) -> Vec<f64> {
    let width = cases.series.first().map_or(0, |series| series.features * EACH);
    let mut all = Vec::with_capacity(rows.len() * width);
    for &row in rows {
        let (series, span) = cases.seen(row);
        for channel in 0..series.features {
            all.extend(of_channel(series, &span, channel));
        }
    }
    all
}

/// What a logistic regression sees of rows, `(N, W)` row by row: their summaries, or of steps what
/// the network is told at each, with values carried forward: it has no memory to do so itself.
pub(super) fn regressors(cases: &Cases, encoder: &Encoder, rows: &[usize]) -> Vec<f64> {
    if cases.steps.is_none() {
        return summaries(cases, rows);
    }
    let encoder = &Encoder { missing: Missing::Carry, ..encoder.clone() };
    let width = encoder.width();
    let mut all = Vec::with_capacity(rows.len() * width);
    let (mut told, mut of) = (Vec::new(), usize::MAX);
    for &row in rows {
        let (series, step) = cases.place(row);
        let span = cases.spans[series].clone();
        if series != of {
            of = series;
            told.clear();
            encoder.rows(&cases.series[series], span.start, span.clone(), &mut told);
        }
        let at = (step - span.start) * width;
        all.extend(told[at..at + width].iter().map(|&value| f64::from(value)));
    }
    all
}

fn of_channel(series: &Series, span: &std::ops::Range<usize>, channel: usize) -> [f64; EACH] {
    let (mut sum, mut count, mut last) = (0.0, 0.0, f64::NAN);
    let (mut low, mut high) = (f64::NAN, f64::NAN);
    for step in span.clone() {
        let cell = step * series.features + channel;
        if series.seen[cell] as usize == step {
            last = f64::from(series.scaled[cell]);
            sum += last;
            count += 1.0;
            low = libm::fmin(low, last);
            high = libm::fmax(high, last);
        }
    }
    [sum / count, last, low, high, count / (span.len() as f64).max(1.0)]
}
