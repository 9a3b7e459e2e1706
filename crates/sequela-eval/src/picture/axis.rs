//! From values to pixels, and where the ticks are.

use crate::table::number;

/// How an axis is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Equal steps.
    #[default]
    Linear,
    /// Equal ratios; values that are not positive are gaps.
    Log,
}

/// One axis: a range of values laid over a range of pixels.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    pixels: (f64, f64),
    ticks: Vec<(f64, String)>,
}

/// What an axis must show, before it has a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Extent {
    /// The extent of the values that `scale` can show; `None` where there is none.
    pub(super) fn of(values: impl Iterator<Item = f64>, scale: Scale) -> Option<Self> {
        values.filter(|&value| shown(value, scale)).fold(None, |extent, value| {
            let Self { low, high } = extent.unwrap_or(Self { low: value, high: value });
            Some(Self { low: low.min(value), high: high.max(value) })
        })
    }

    /// The same with some air on both sides; a single value gets room around it.
    pub(super) fn padded(self, scale: Scale) -> Self {
        let Self { low, high } = self;
        match scale {
            Scale::Linear => {
                let room = if high > low { 0.06 * (high - low) } else { 0.5 * low.abs().max(1.0) };
                Self { low: low - room, high: high + room }
            }
            Scale::Log => {
                let ratio = if high > low { libm::pow(high / low, 0.06) } else { 2.0 };
                Self { low: low / ratio, high: high * ratio }
            }
        }
    }
}

impl Axis {
    /// An axis over `pixels` (of the low end, of the high end) with about `count` ticks.
    pub(super) fn new(extent: Extent, scale: Scale, pixels: (f64, f64), count: u32) -> Self {
        let Extent { low, high } = extent;
        let ticks = match scale {
            Scale::Linear => linear_ticks(low, high, count, 0.0),
            Scale::Log => log_ticks(low, high, count),
        };
        Self { scale, low, high, pixels, ticks }
    }

    /// An axis of whole numbers: no tick between them.
    pub(super) fn whole(extent: Extent, pixels: (f64, f64), count: u32) -> Self {
        let ticks = linear_ticks(extent.low, extent.high, count, 1.0);
        Self { scale: Scale::Linear, low: extent.low, high: extent.high, pixels, ticks }
    }

    /// The pixel of a value; `None` where the axis cannot show it.
    pub(super) fn at(&self, value: f64) -> Option<f64> {
        if !shown(value, self.scale) {
            return None;
        }
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => libm::log(value / self.low) / libm::log(self.high / self.low),
        };
        Some(self.pixels.0 + share * (self.pixels.1 - self.pixels.0))
    }

    /// Pixel and label of each tick.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, &str)> {
        self.ticks.iter().filter_map(|(value, label)| Some((self.at(*value)?, label.as_str())))
    }
}

fn shown(value: f64, scale: Scale) -> bool {
    value.is_finite() && (scale == Scale::Linear || value > 0.0)
}

/// Round values in `low..=high`, steps of 1, 2 or 5 times a power of ten, at least `least`.
fn linear_ticks(low: f64, high: f64, count: u32, least: f64) -> Vec<(f64, String)> {
    let rough = (high - low) / f64::from(count.max(1));
    let power = libm::pow(10.0, libm::floor(libm::log10(rough)));
    if !(power.is_finite() && power > 0.0) {
        return Vec::new();
    }
    let step = match rough / power {
        leading if leading < 1.5 => 1.0,
        leading if leading < 3.0 => 2.0,
        leading if leading < 7.0 => 5.0,
        _ => 10.0,
    };
    let step = libm::fmax(step * power, least);
    let decimals =
        (0..15).find(|&d| is_whole(step * libm::pow(10.0, d as f64))).unwrap_or(15_usize);
    let first = libm::ceil(low / step - 1e-9);
    (0..50)
        .map(|k| (first + f64::from(k)) * step)
        .take_while(|value| *value <= high + 1e-9 * step)
        .map(|value| (value, label(value, decimals)))
        .collect()
}

/// Powers of ten, with 2 and 5 between them where few powers are in sight; where even those are
/// too few, linear ticks.
fn log_ticks(low: f64, high: f64, count: u32) -> Vec<(f64, String)> {
    let (first, last) = (libm::floor(libm::log10(low)), libm::ceil(libm::log10(high)));
    let decades = last - first;
    let stride = libm::ceil(decades / f64::from(count.max(1))).max(1.0);
    let digits: &[f64] = if decades <= 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let mut ticks = Vec::new();
    let mut power = first;
    while power <= last && ticks.len() < 50 {
        for digit in digits {
            // Parsing is exact where a power would be off by a rounding.
            let value: f64 = format!("{digit}e{power}").parse().unwrap_or(f64::NAN);
            if value >= low && value <= high {
                let wide = decades > WIDE;
                ticks.push((value, if wide { format!("1e{power}") } else { plain(value) }));
            }
        }
        power += stride;
    }
    if ticks.len() < 3 { linear_ticks(low, high, count, 0.0) } else { ticks }
}

/// Powers of ten from which on all are written with an exponent.
const WIDE: f64 = 8.0;

fn is_whole(value: f64) -> bool {
    (value - libm::round(value)).abs() < 1e-6 * value.abs()
}

fn label(value: f64, decimals: usize) -> String {
    if decimals > 5 || value.abs() >= 1e7 { plain(value) } else { number(value, decimals) }
}

/// A number in its shortest form, with an exponent where the zeros would be many.
fn plain(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{value:.3e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        return format!("{digits}e{power}");
    }
    format!("{value}")
}

/// A value with four significant digits, for a label beside a point.
pub(super) fn significant(value: f64) -> String {
    let text = format!("{value:.3e}");
    plain(text.parse().unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, scale: Scale) -> Vec<String> {
        let axis = Axis::new(Extent { low, high }, scale, (0.0, 1.0), 6);
        axis.ticks().map(|(_, label)| label.to_owned()).collect()
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(labels(58.0, 103.0, Scale::Linear), ["60", "70", "80", "90", "100"]);
        assert_eq!(labels(-0.01, 0.61, Scale::Linear)[..3], ["0.0", "0.1", "0.2"]);
        assert_eq!(labels(63.0, 96.0, Scale::Linear).len(), 7);
        assert_eq!(labels(0.0, 3e-9, Scale::Linear)[1], "5e-10");
        assert_eq!(labels(1e-5, 1.0, Scale::Log), ["1e-5", "0.0001", "0.001", "0.01", "0.1", "1"]);
        assert_eq!(labels(1e-12, 1.0, Scale::Log)[4..], ["1e-4", "1e-2", "1e0"]);
        assert_eq!(labels(0.09, 1.2, Scale::Log), ["0.1", "0.2", "0.5", "1"]);
        assert_eq!(labels(0.9, 1.1, Scale::Log), ["0.90", "0.95", "1.00", "1.05", "1.10"]);
    }

    #[test]
    fn whole_axes_have_no_tick_between_epochs() {
        let axis = Axis::whole(Extent { low: 1.0, high: 3.0 }, (0.0, 1.0), 8);
        let labels: Vec<&str> = axis.ticks().map(|(_, label)| label).collect();
        assert_eq!(labels, ["1", "2", "3"]);
    }

    #[test]
    fn what_cannot_be_shown_has_no_place() {
        let axis = Axis::new(Extent { low: 0.1, high: 10.0 }, Scale::Log, (0.0, 100.0), 6);
        assert_eq!(axis.at(0.0), None);
        assert_eq!(axis.at(f64::NAN), None);
        assert!((axis.at(1.0).unwrap() - 50.0).abs() < 1e-9);
        assert!(Extent::of([f64::NAN, -1.0].into_iter(), Scale::Log).is_none());
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(significant(0.012_345_6), "0.01235");
        assert_eq!(significant(1_234_567.0), "1.235e6");
        assert_eq!(significant(0.0), "0");
        assert_eq!(significant(84.0), "84");
    }
}
