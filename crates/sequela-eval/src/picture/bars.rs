//! Errors by horizon, forecaster beside forecaster.

use super::axis::{Axis, Extent, Scale};
use super::chart::{
    BOTTOM, COLOURS, HEIGHT, LEFT, RIGHT, Swatch, TOP, WIDTH, axes, heading, names, nothing,
    shortened,
};
use super::svg::{Anchor, INK, Letters, SMALL, Stroke, Svg, text_width};
use crate::Error;
use crate::bootstrap::Estimate;
use crate::error::place;
use crate::table::number;

/// One forecaster's errors.
#[derive(Debug, Clone, Copy)]
pub struct BarSeries<'a> {
    /// Name, for the legend.
    pub name: &'a str,
    /// One figure for each group.
    pub figures: &'a [Estimate],
}

/// Bars from zero, one group for each horizon, whiskers for the intervals.
///
/// # Example
/// ```
/// use sequela_eval::bootstrap::{Estimate, Interval};
/// use sequela_eval::picture::{BarSeries, ErrorBars};
/// let mae = |value| Estimate { value, interval: Interval::None };
/// let svg = ErrorBars {
///     title: "Error on people not seen in training",
///     groups: &["1 beat", "30 beats"],
///     horizon: "forecast horizon",
///     figure: "MAE (bpm)",
///     series: &[
///         BarSeries { name: "LSTM", figures: &[mae(2.0), mae(4.5)] },
///         BarSeries { name: "persistence", figures: &[mae(2.1), mae(6.0)] },
///     ],
/// }
/// .to_svg()?;
/// assert!(svg.contains(">4.50<"));
/// # Ok::<(), sequela_eval::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ErrorBars<'a> {
    /// Title, one line.
    pub title: &'a str,
    /// Name of each group, e.g. `30 beats`.
    pub groups: &'a [&'a str],
    /// Name of the group axis.
    pub horizon: &'a str,
    /// Name of the figure, with its unit.
    pub figure: &'a str,
    /// The forecasters, the model first.
    pub series: &'a [BarSeries<'a>],
}

impl ErrorBars<'_> {
    /// The picture.
    ///
    /// **Missing data** a figure that is not finite has no bar and says "undefined" in its place.
    ///
    /// # Errors
    /// [`Error::Shape`] for a forecaster that has not one figure for each group.
    pub fn to_svg(&self) -> Result<String, Error> {
        for series in self.series {
            if series.figures.len() != self.groups.len() {
                return Err(Error::Shape {
                    location: place("picture"),
                    what: "the list of figures",
                    found: series.figures.len(),
                    expected: self.groups.len(),
                });
            }
        }
        let mut svg = Svg::new(WIDTH, HEIGHT, self.title, &self.description());
        let entries = self.series.iter().enumerate();
        let legend: Vec<(&str, Swatch)> =
            entries.map(|(at, series)| (series.name, Swatch::Box(colour(at), 1.0))).collect();
        heading(&mut svg, self.title, &legend);
        let figures = self.series.iter().flat_map(|series| series.figures);
        let ends = figures.flat_map(|figure| {
            let (low, high) = figure.interval.bounds().unwrap_or((figure.value, figure.value));
            [figure.value, low, high]
        });
        let Some(extent) = Extent::of(ends.chain([0.0]), Scale::Linear)
            .filter(|extent| extent.high > extent.low && !self.groups.is_empty())
        else {
            names(&mut svg, (self.horizon, self.figure));
            nothing(&mut svg);
            return Ok(svg.finish());
        };
        let room = 0.1 * (extent.high - extent.low);
        let low = if extent.low < 0.0 { extent.low - room } else { 0.0 };
        let high = if extent.high > 0.0 { extent.high + room } else { 0.0 };
        let y = Axis::new(Extent { low, high }, Scale::Linear, (BOTTOM, TOP), 6);
        // The group axis has names instead of ticks.
        let x = Axis::new(Extent { low: 0.0, high: 0.0 }, Scale::Linear, (LEFT, RIGHT), 1);
        axes(&mut svg, &x, &y, (self.horizon, self.figure));
        self.draw(&mut svg, &y);
        Ok(svg.finish())
    }

    fn draw(&self, svg: &mut Svg, y: &Axis) {
        let slot = (RIGHT - LEFT) / self.groups.len() as f64;
        let bar = (0.8 * slot / self.series.len() as f64).min(72.0);
        let (Some(zero), decimals) = (y.at(0.0), self.decimals()) else { return };
        for (group, name) in self.groups.iter().enumerate() {
            let middle = LEFT + slot * (group as f64 + 0.5);
            let fitting = fit(slot, SMALL.size);
            let name = shortened(name, fitting.max(2));
            svg.text((middle, BOTTOM + 20.0), Anchor::Middle, SMALL, &name);
            let start = middle - bar * self.series.len() as f64 / 2.0;
            for (at, series) in self.series.iter().enumerate() {
                let figure = series.figures[group];
                let centre = start + bar * (at as f64 + 0.5);
                let label = number(figure.value, decimals);
                let Some(top) = y.at(figure.value) else {
                    self.label(svg, (centre, zero - 6.0), bar, &label);
                    continue;
                };
                let height = (zero - top).abs();
                svg.rect(
                    (centre - bar / 2.0 + 1.0, top.min(zero)),
                    (bar - 2.0, height),
                    colour(at),
                );
                let ends = figure.interval.bounds().and_then(|(a, b)| Some((y.at(a)?, y.at(b)?)));
                let highest = ends.map_or(top, |(low, high)| {
                    whisker(svg, centre, (low, high), bar);
                    high.min(top)
                });
                self.label(svg, (centre, highest.min(zero) - 6.0), bar, &label);
            }
        }
    }

    /// The value above a bar, smaller where bars are thin, left out where it would touch others.
    fn label(&self, svg: &mut Svg, at: (f64, f64), bar: f64, text: &str) {
        let alone = if self.series.len() == 1 { 1.2 } else { 1.0 };
        let size =
            [12.0, 11.0, 10.0].into_iter().find(|&size| text_width(text, size) <= alone * bar);
        if let Some(size) = size {
            svg.text(at, Anchor::Middle, Letters { size, colour: INK, ..SMALL }, text);
        }
    }

    /// Decimals that give the largest figure about three digits.
    fn decimals(&self) -> usize {
        let figures = self.series.iter().flat_map(|series| series.figures);
        let largest = figures
            .map(|figure| figure.value.abs())
            .filter(|value| value.is_finite())
            .fold(0.0, f64::max);
        [(100.0, 0), (10.0, 1), (1.0, 2), (0.1, 3)]
            .into_iter()
            .find(|&(bound, _)| largest >= bound)
            .map_or(4, |(_, decimals)| decimals)
    }

    fn description(&self) -> String {
        let decimals = self.decimals();
        let lists: Vec<String> = self
            .series
            .iter()
            .map(|series| {
                let figures: Vec<String> = self
                    .groups
                    .iter()
                    .zip(series.figures)
                    .map(|(group, figure)| format!("{} at {group}", number(figure.value, decimals)))
                    .collect();
                format!("{}: {}", series.name, figures.join(", "))
            })
            .collect();
        format!("Bar chart of {} by {}. {}.", self.figure, self.horizon, lists.join("; "))
    }
}

fn colour(series: usize) -> &'static str {
    COLOURS[series % COLOURS.len()]
}

fn whisker(svg: &mut Svg, x: f64, (low, high): (f64, f64), bar: f64) {
    let cap = (0.2 * bar).min(8.0);
    let stroke = Stroke { colour: INK, width: 1.4, dashes: "" };
    svg.line((x, low), (x, high), stroke);
    svg.line((x - cap, low), (x + cap, low), stroke);
    svg.line((x - cap, high), (x + cap, high), stroke);
}

/// How many letters fit into `width` pixels, up to 60.
fn fit(width: f64, size: f64) -> usize {
    (1..=60).take_while(|&letters| text_width(&"m".repeat(letters), size) <= width).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::Interval;

    const EMPTY: ErrorBars<'_> =
        ErrorBars { title: "t", groups: &[], horizon: "h", figure: "MAE (bpm)", series: &[] };

    fn figure(value: f64) -> Estimate {
        let interval = Interval::Subjects { low: value - 0.5, high: value + 0.5, subjects: 12 };
        Estimate { value, interval }
    }

    #[test]
    fn odd_figures_are_drawn() {
        assert!(EMPTY.to_svg().unwrap().contains("no values to draw"));
        let figures = [figure(f64::NAN), figure(-2.0), figure(0.0)];
        let series = [BarSeries { name: "m", figures: &figures }];
        let svg =
            ErrorBars { groups: &["a", "b", "c"], series: &series, ..EMPTY }.to_svg().unwrap();
        assert!(svg.contains(">undefined<") && !svg.contains("\"NaN"), "{svg}");
        assert!(svg.contains(">-2.00<"), "{svg}");
    }

    #[test]
    fn a_missing_figure_is_refused() {
        let series = [BarSeries { name: "m", figures: &[] }];
        let bars = ErrorBars { groups: &["a"], series: &series, ..EMPTY };
        assert!(matches!(bars.to_svg(), Err(Error::Shape { .. })));
    }
}
