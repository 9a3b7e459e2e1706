//! The same lines in several panels side by side: before and after, with and without.

use std::fmt::Write as _;

use super::axis::{Axis, Extent, Scale, significant};
use super::chart::{
    BOTTOM, HEIGHT, LEFT, RIGHT, Swatch, TOP, WIDTH, frame, heading, names, nothing, runs,
    series_stroke, shortened,
};
use super::svg::{Anchor, INK, SMALL, Stroke, Svg};
use crate::Error;
use crate::error::place;

/// One panel: a line for each name of the picture.
#[derive(Debug, Clone, Copy)]
pub struct Panel<'a> {
    /// What is shown here, a few words.
    pub title: &'a str,
    /// For each name of [`Panels::names`] one value for each position; NaN where there is none.
    pub lines: &'a [Vec<f64>],
}

/// Lines under the same names in up to about four panels, all on the same axes.
///
/// # Example
/// ```
/// use sequela_eval::picture::{Panel, Panels, Scale};
/// let svg = Panels {
///     title: "How far the loss reaches back",
///     position: "steps from the last",
///     quantity: "norm of dL/dh",
///     positions: &[-2.0, -1.0, 0.0],
///     names: &["Elman", "LSTM"],
///     panels: &[
///         Panel { title: "first weights", lines: &[vec![0.01, 0.1, 1.0], vec![0.2, 0.5, 1.0]] },
///         Panel { title: "trained", lines: &[vec![0.1, 0.3, 1.0], vec![0.9, 0.9, 1.0]] },
///     ],
///     level: None,
///     scale: Scale::Log,
/// }
/// .to_svg()?;
/// assert!(svg.contains("first weights") && svg.contains("log scale"));
/// # Ok::<(), sequela_eval::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Panels<'a> {
    /// Title, one line.
    pub title: &'a str,
    /// Name of the horizontal axis, with its unit.
    pub position: &'a str,
    /// Name of the vertical axis, with its unit.
    pub quantity: &'a str,
    /// Where the values of every line stand, never decreasing.
    pub positions: &'a [f64],
    /// Names of the lines, for the legend.
    pub names: &'a [&'a str],
    /// The panels, from left to right.
    pub panels: &'a [Panel<'a>],
    /// A value that is marked in every panel, with its name.
    pub level: Option<(&'a str, f64)>,
    /// How the vertical axis is divided.
    pub scale: Scale,
}

impl Panels<'_> {
    /// The picture.
    ///
    /// **Missing data** a value that is not finite, or not positive on a logarithmic axis, is a
    /// gap.
    ///
    /// # Errors
    /// [`Error::Shape`] for a panel that has not one line for each name, or a line that has not
    /// one value for each position.
    pub fn to_svg(&self) -> Result<String, Error> {
        self.check()?;
        let mut svg = Svg::new(WIDTH, HEIGHT, self.title, &self.description());
        let lines = self.names.iter().enumerate();
        let mut legend: Vec<(&str, Swatch)> =
            lines.map(|(at, name)| (*name, Swatch::Line(series_stroke(at)))).collect();
        if let Some((name, _)) = self.level {
            legend.push((name, Swatch::Line(LEVEL)));
        }
        heading(&mut svg, self.title, &legend);
        let quantity = match self.scale {
            Scale::Linear => self.quantity.to_owned(),
            Scale::Log => format!("{}, log scale", self.quantity),
        };
        names(&mut svg, (self.position, &quantity));
        let all = self.panels.iter().flat_map(|panel| panel.lines).flatten().copied();
        let level = self.level.map(|(_, value)| value);
        let extents = (
            Extent::of(self.positions.iter().copied(), Scale::Linear),
            Extent::of(all.chain(level), self.scale),
        );
        let (Some(mut position), Some(values)) = extents else {
            nothing(&mut svg);
            return Ok(svg.finish());
        };
        if position.low >= position.high {
            position = position.padded(Scale::Linear);
        }
        let y = Axis::new(values.padded(self.scale), self.scale, (BOTTOM, TOP), 8);
        for (at, panel) in self.panels.iter().enumerate() {
            let edges = self.edges(at);
            let x = Axis::whole(position, edges, 5);
            frame(&mut svg, &x, &y, edges, if at == 0 { Some(LEFT - 8.0) } else { None });
            let letters = panel_letters(self.panels.len());
            let title = shortened(panel.title, letters);
            svg.text((edges.0, TOP - 7.0), Anchor::Start, SMALL, &title);
            self.draw(&mut svg, panel, &x, &y);
            if let Some(pixel) = level.and_then(|level| y.at(level)) {
                svg.line((edges.0, pixel), (edges.1, pixel), LEVEL);
            }
        }
        Ok(svg.finish())
    }

    /// Left and right edge of a panel.
    fn edges(&self, at: usize) -> (f64, f64) {
        let count = self.panels.len().max(1) as f64;
        let width = (RIGHT - LEFT - GAP * (count - 1.0)) / count;
        let left = LEFT + at as f64 * (width + GAP);
        (left, left + width)
    }

    fn draw(&self, svg: &mut Svg, panel: &Panel<'_>, x: &Axis, y: &Axis) {
        // The first line comes last, so that it lies on top.
        for (at, line) in panel.lines.iter().enumerate().rev() {
            let points = self.positions.iter().copied().zip(line.iter().copied());
            svg.runs(&runs(points, x, y), series_stroke(at));
        }
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |what, found, expected| {
            Err(Error::Shape { location: place("picture"), what, found, expected })
        };
        for panel in self.panels {
            if panel.lines.len() != self.names.len() {
                return refuse("the panel", panel.lines.len(), self.names.len());
            }
            let count = self.positions.len();
            if let Some(line) = panel.lines.iter().find(|line| line.len() != count) {
                return refuse("the line", line.len(), count);
            }
        }
        Ok(())
    }

    fn description(&self) -> String {
        let mut text = format!("Line charts of {} over {}.", self.quantity, self.position);
        for panel in self.panels {
            let lines = self.names.iter().zip(panel.lines).filter_map(|(name, line)| {
                let mut known = line.iter().filter(|value| value.is_finite());
                let first = known.next()?;
                let last = known.next_back().unwrap_or(first);
                Some(format!("{name} from {} to {}", significant(*first), significant(*last)))
            });
            let lines: Vec<String> = lines.collect();
            // Writing to a String does not fail.
            let _ = write!(text, " {}: {}.", panel.title, lines.join("; "));
        }
        text
    }
}

/// Letters of a panel's title that fit above it.
fn panel_letters(panels: usize) -> usize {
    (120 / panels.max(1)).max(8)
}

/// Pixels between two panels.
const GAP: f64 = 22.0;
const LEVEL: Stroke = Stroke { colour: INK, width: 1.0, dashes: "3 3" };

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: Panels<'_> = Panels {
        title: "t",
        position: "step",
        quantity: "norm",
        positions: &[1.0, 2.0],
        names: &["a"],
        panels: &[],
        level: None,
        scale: Scale::Log,
    };

    #[test]
    fn odd_panels_are_drawn() {
        assert!(EMPTY.to_svg().unwrap().contains("no values to draw"));
        for values in [vec![0.0, f64::NAN], vec![1e-30, 1e30], vec![1.0, 1.0]] {
            let lines = [values];
            let panel = Panel { title: "one", lines: &lines };
            for scale in [Scale::Linear, Scale::Log] {
                let panels =
                    Panels { panels: &[panel; 3], level: Some(("l", 2.0)), scale, ..EMPTY };
                let svg = panels.to_svg().unwrap();
                assert!(!svg.contains("\"NaN") && !svg.contains("inf\""), "{svg}");
                assert_eq!(svg.matches(">one<").count(), 3);
            }
        }
    }

    #[test]
    fn lines_of_another_length_or_number_are_refused() {
        for lines in [vec![vec![1.0]], vec![vec![1.0, 2.0]; 2]] {
            let panel = Panel { title: "one", lines: &lines };
            let refused = Panels { panels: &[panel], ..EMPTY }.to_svg();
            assert!(matches!(refused, Err(Error::Shape { .. })), "{refused:?}");
        }
    }

    #[test]
    fn the_description_says_where_each_line_goes() {
        let lines = [vec![0.25, 4.0]];
        let panel = Panel { title: "after", lines: &lines };
        let svg = Panels { panels: &[panel], ..EMPTY }.to_svg().unwrap();
        assert!(svg.contains("after: a from 0.25 to 4."), "{svg}");
    }
}
