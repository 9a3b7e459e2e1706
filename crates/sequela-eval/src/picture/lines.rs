//! Forecast against truth over time.

use super::axis::{Axis, Extent, Scale};
use super::chart::{
    BOTTOM, HEIGHT, LEFT, RIGHT, Swatch, TOP, WIDTH, axes, heading, names, nothing, runs,
    series_stroke,
};
use super::svg::{INK, Stroke, Svg};
use crate::Error;
use crate::error::place;

/// One forecaster's values, each at the time that it speaks of.
#[derive(Debug, Clone, Copy)]
pub struct ForecastLine<'a> {
    /// Name with the horizon, for the legend, e.g. `LSTM, 30 beats ahead`.
    pub name: &'a str,
    /// One value for each time; NaN where there is no forecast.
    pub values: &'a [f64],
}

/// An interval around a forecast.
#[derive(Debug, Clone, Copy)]
pub struct Band<'a> {
    /// Name, for the legend, e.g. `80 % interval`.
    pub name: &'a str,
    /// Lower end for each time; NaN where there is none.
    pub low: &'a [f64],
    /// Upper end.
    pub high: &'a [f64],
}

/// Truth and forecasts over time, with an interval if wanted; gaps in the record stay open.
///
/// Some hundred steps can be read; of a longer record show a stretch.
///
/// # Example
/// ```
/// use sequela_eval::picture::{ForecastLine, ForecastLines};
/// let svg = ForecastLines {
///     title: "Subject p01",
///     time: "time (min)",
///     quantity: "heart rate (bpm)",
///     times: &[0.0, 1.0, 2.0, 3.0],
///     truth: &[70.0, 72.0, f64::NAN, 75.0],
///     forecasts: &[ForecastLine { name: "LSTM, 1 min ahead", values: &[f64::NAN, 71.0, 72.0, 74.0] }],
///     band: None,
/// }
/// .to_svg()?;
/// assert!(svg.contains("heart rate (bpm)"));
/// # Ok::<(), sequela_eval::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ForecastLines<'a> {
    /// Title, one line.
    pub title: &'a str,
    /// Name of the time axis, with its unit.
    pub time: &'a str,
    /// Name of what was measured, with its unit.
    pub quantity: &'a str,
    /// Times, never decreasing.
    pub times: &'a [f64],
    /// What happened, one value for each time; NaN where it was not observed.
    pub truth: &'a [f64],
    /// The forecasts, at most about four for a picture that can be read.
    pub forecasts: &'a [ForecastLine<'a>],
    /// An interval around the first forecast.
    pub band: Option<Band<'a>>,
}

impl ForecastLines<'_> {
    /// The picture.
    ///
    /// **Cost** O(times x lines); the text stays below about 300 kB for a line however long the
    /// record is.
    ///
    /// # Errors
    /// [`Error::Shape`] for a line that has not one value for each time.
    pub fn to_svg(&self) -> Result<String, Error> {
        self.check()?;
        let mut svg = Svg::new(WIDTH, HEIGHT, self.title, &self.description());
        let mut legend = vec![("truth", Swatch::Line(TRUTH))];
        let lines = self.forecasts.iter().enumerate();
        legend.extend(lines.map(|(at, line)| (line.name, Swatch::Line(series_stroke(at)))));
        if let Some(band) = &self.band {
            legend.push((band.name, Swatch::Box(series_stroke(0).colour, BAND_OPACITY)));
        }
        heading(&mut svg, self.title, &legend);
        let forecasts = self.forecasts.iter().flat_map(|line| line.values);
        let bands = self.band.iter().flat_map(|band| band.low.iter().chain(band.high));
        let all = self.truth.iter().chain(forecasts).chain(bands).copied();
        let extents =
            (Extent::of(self.times.iter().copied(), Scale::Linear), Extent::of(all, Scale::Linear));
        let (Some(mut time), Some(quantity)) = extents else {
            names(&mut svg, (self.time, self.quantity));
            nothing(&mut svg);
            return Ok(svg.finish());
        };
        if time.low >= time.high {
            time = time.padded(Scale::Linear);
        }
        let x = Axis::new(time, Scale::Linear, (LEFT, RIGHT), 8);
        let y = Axis::new(quantity.padded(Scale::Linear), Scale::Linear, (BOTTOM, TOP), 6);
        axes(&mut svg, &x, &y, (self.time, self.quantity));
        if let Some(band) = &self.band {
            self.draw_band(&mut svg, band, &x, &y);
        }
        let points = |values: &'_ [f64]| {
            let pairs: Vec<(f64, f64)> =
                self.times.iter().copied().zip(values.iter().copied()).collect();
            runs(pairs.into_iter(), &x, &y)
        };
        svg.runs(&points(self.truth), TRUTH);
        // The first forecast comes last, so that it lies on top.
        for (at, line) in self.forecasts.iter().enumerate().rev() {
            svg.runs(&points(line.values), series_stroke(at));
        }
        Ok(svg.finish())
    }

    /// One closed shape for each stretch where both ends are known.
    fn draw_band(&self, svg: &mut Svg, band: &Band<'_>, x: &Axis, y: &Axis) {
        let both = |at: usize| {
            let known = band.low[at].is_finite() && band.high[at].is_finite();
            if known { (band.low[at], band.high[at]) } else { (f64::NAN, f64::NAN) }
        };
        let side = |end: fn((f64, f64)) -> f64| {
            runs((0..self.times.len()).map(|at| (self.times[at], end(both(at)))), x, y)
        };
        for (low, high) in side(|ends| ends.0).into_iter().zip(side(|ends| ends.1)) {
            let outline: Vec<(f64, f64)> = low.into_iter().chain(high.into_iter().rev()).collect();
            svg.area(&outline, series_stroke(0).colour, BAND_OPACITY);
        }
    }

    fn check(&self) -> Result<(), Error> {
        let band = self.band.iter().flat_map(|band| {
            [("the band's lower end", band.low), ("the band's upper end", band.high)]
        });
        let lines = self.forecasts.iter().map(|line| ("the forecast", line.values));
        for (what, values) in [("the truth", self.truth)].into_iter().chain(lines).chain(band) {
            if values.len() != self.times.len() {
                return Err(Error::Shape {
                    location: place("picture"),
                    what,
                    found: values.len(),
                    expected: self.times.len(),
                });
            }
        }
        Ok(())
    }

    fn description(&self) -> String {
        let names: Vec<&str> = self.forecasts.iter().map(|line| line.name).collect();
        let missing = self.truth.iter().filter(|value| !value.is_finite()).count();
        format!(
            "Line chart of {} over {}: the truth at {} times ({missing} of them not observed) and {}.",
            self.quantity,
            self.time,
            self.times.len(),
            if names.is_empty() { "no forecast".to_owned() } else { names.join("; ") }
        )
    }
}

const TRUTH: Stroke = Stroke { colour: INK, width: 1.6, dashes: "" };
const BAND_OPACITY: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: ForecastLines<'_> = ForecastLines {
        title: "t",
        time: "time (h)",
        quantity: "heart rate (bpm)",
        times: &[],
        truth: &[],
        forecasts: &[],
        band: None,
    };

    #[test]
    fn odd_records_are_drawn() {
        assert!(EMPTY.to_svg().unwrap().contains("no values to draw"));
        let one = ForecastLines { times: &[1.0], truth: &[70.0], ..EMPTY }.to_svg().unwrap();
        assert!(one.contains("<circle") && !one.contains("NaN"), "{one}");
        let flat = ForecastLines { times: &[1.0, 2.0], truth: &[70.0; 2], ..EMPTY };
        assert!(!flat.to_svg().unwrap().contains("NaN"));
    }

    #[test]
    fn a_line_of_another_length_is_refused() {
        let line = ForecastLine { name: "m", values: &[1.0] };
        let lines = ForecastLines { times: &[1.0, 2.0], truth: &[1.0; 2], ..EMPTY };
        let lines = ForecastLines { forecasts: &[line], ..lines };
        assert!(matches!(lines.to_svg(), Err(Error::Shape { found: 1, expected: 2, .. })));
    }

    #[test]
    fn a_band_opens_where_either_end_is_missing() {
        let nan = f64::NAN;
        let band = Band { name: "80 %", low: &[1.0, 1.0, nan, 1.0], high: &[2.0, 2.0, 2.0, nan] };
        let svg = ForecastLines {
            times: &[0.0, 1.0, 2.0, 3.0],
            truth: &[1.0; 4],
            band: Some(band),
            ..EMPTY
        }
        .to_svg()
        .unwrap();
        // One in the legend, one in the plot.
        assert_eq!(svg.matches("fill-opacity").count(), 2, "{svg}");
    }
}
