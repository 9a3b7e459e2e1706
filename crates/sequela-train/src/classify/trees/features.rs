//! What the trees see of a series: twelve numbers of each channel, and its length.

use std::ops::Range;

use crate::classify::cases::Cases;
use crate::encode::narrow;
use crate::series::Series;

/// Numbers of one channel.
pub(super) const WIDTH: usize = 12;

/// `(N, 12 F + 1)` row by row: of the observed values of each channel the mean, the first, the
/// last, the lowest, the highest, the deviation, the slope over steps, the mean of the last third
/// of the steps and its difference to that of the first third, the share of steps at which it was
/// observed, and the steps before the first and since the last of them; then the number of steps.
///
/// **Units** those of the scaled series. **Missing data** NaN where there is no such number.
pub(super) fn features(cases: &Cases) -> Vec<f32> {
    let width = cases.series.first().map_or(0, |series| series.features * WIDTH + 1);
    let mut all = Vec::with_capacity(cases.len() * width);
    for (series, span) in cases.series.iter().zip(&cases.spans) {
        for channel in 0..series.features {
            all.extend(of_channel(series, span, channel).map(narrow));
        }
        all.push(narrow(span.len() as f64));
    }
    all
}

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
