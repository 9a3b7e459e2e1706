//! What the trees see of a row: twelve numbers of each channel, and its length; of a step also four of
//! what was lately.

use std::ops::Range;

use crate::classify::cases::Cases;
use crate::classify::numbers::Sees;
use crate::encode::narrow;
use crate::series::{NEVER, Series};

/// Numbers of one channel.
const WIDTH: usize = 12;
/// Those that steps have beside.
const RECENT: usize = 4;

/// Numbers of a row.
pub(super) fn width(sees: Sees) -> usize {
    match sees {
        Sees::Series { channels } => channels * WIDTH + 1,
        Sees::Steps { channels, .. } => channels * (WIDTH + RECENT) + 1,
    }
}

/// `(N, 12 F + 1)` row by row: of the observed values of each channel the mean, the first, the
/// last, the lowest, the highest, the deviation, the slope over steps, the mean of the last third
/// of the steps and its difference to that of the first third, the share of steps at which it was
/// observed, and the steps before the first and since the last of them; of a step also the mean, the
/// lowest and the highest of the last eight steps, and how far the last value is from the one that was
/// the last six steps ago; then the number of steps.
///
/// **Units** those of the scaled series. **Missing data** NaN where there is no such number. **Cost**
/// for each row the steps that it sees.
pub(super) fn features(cases: &Cases, rows: &[usize]) -> Vec<f32> {
    let mut all = Vec::new();
    for &row in rows {
        let (series, span) = cases.seen(row);
        for channel in 0..series.features {
            all.extend(of_channel(series, &span, channel).map(narrow));
            if cases.steps.is_some() {
                all.extend(recent(series, &span, channel));
            }
        }
        all.push(narrow(span.len() as f64));
    }
    all
}

/// Mean, lowest and highest of late, and how far the last value is from an earlier one.
fn recent(series: &Series, span: &Range<usize>, channel: usize) -> [f32; RECENT] {
    let (mut sum, mut count) = (0.0, 0.0);
    let (mut low, mut high) = (f32::NAN, f32::NAN);
    for step in span.start.max(span.end.saturating_sub(LATELY))..span.end {
        let cell = step * series.features + channel;
        if series.seen[cell] as usize == step {
            let value = series.scaled[cell];
            sum += f64::from(value);
            count += 1.0;
            (low, high) = (low.min(value), high.max(value));
        }
    }
    let last = |end: usize| {
        let seen = series.seen[(end - 1) * series.features + channel];
        let known = seen != NEVER && seen as usize >= span.start;
        known.then(|| series.scaled[seen as usize * series.features + channel])
    };
    let before = span.end.checked_sub(BEFORE).filter(|end| *end > span.start).and_then(last);
    let change = last(span.end).zip(before).map_or(f32::NAN, |(now, before)| now - before);
    [narrow(sum / count), low, high, change]
}

/// Steps that are lately, and steps to an earlier value.
const LATELY: usize = 8;
const BEFORE: usize = 6;

fn of_channel(series: &Series, span: &Range<usize>, channel: usize) -> [f64; WIDTH] {
    let steps = span.len();
    let third = (steps / 3).max(1);
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    let (mut first, mut last, mut low, mut high) = (f64::NAN, f64::NAN, f64::NAN, f64::NAN);
    let (mut at_first, mut at_last) = (f64::NAN, f64::NAN);
    let (mut times, mut times_squared, mut product) = (0.0, 0.0, 0.0);
    let (mut early, mut late) = ([0.0; 2], [0.0; 2]);
    for step in span.clone() {
        let cell = step * series.features + channel;
        if series.seen[cell] as usize != step {
            continue;
        }
        let (value, offset) = (f64::from(series.scaled[cell]), step - span.start);
        let time = offset as f64;
        if count < 0.5 {
            (first, at_first) = (value, time);
        }
        (last, at_last) = (value, (steps - 1 - offset) as f64);
        (low, high) = (libm::fmin(low, value), libm::fmax(high, value));
        count += 1.0;
        sum += value;
        squares += value * value;
        times += time;
        times_squared += time * time;
        product += time * value;
        for (part, inside) in [(&mut early, offset < third), (&mut late, offset + third >= steps)] {
            if inside {
                part[0] += value;
                part[1] += 1.0;
            }
        }
    }
    let mean = sum / count;
    let deviation = libm::sqrt(libm::fmax(squares / count - mean * mean, 0.0));
    let spread = times_squared - times * times / count;
    let slope = if spread > 0.0 { (product - times * mean) / spread } else { f64::NAN };
    let (early, late) = (early[0] / early[1], late[0] / late[1]);
    let share = count / (steps as f64).max(1.0);
    [mean, first, last, low, high, deviation, slope, late, late - early, share, at_first, at_last]
}
