//! What every picture here shares: its size, title, axes and legend, and lines with gaps.

use super::axis::Axis;
use super::svg::{Anchor, INK, LABEL, SMALL, Stroke, Svg, TITLE, text_width};

/// Pixels of the whole picture.
pub(super) const WIDTH: f64 = 880.0;
pub(super) const HEIGHT: f64 = 470.0;
/// Pixels of the plot's edges.
pub(super) const LEFT: f64 = 76.0;
pub(super) const RIGHT: f64 = WIDTH - 24.0;
pub(super) const TOP: f64 = 102.0;
/// Pixels of the two lines of the legend.
const LEGEND: [f64; 2] = [60.0, 80.0];
pub(super) const BOTTOM: f64 = HEIGHT - 58.0;

/// Okabe and Ito's colours, the light ones last.
pub(super) const COLOURS: [&str; 7] =
    ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F"];
/// Dashes that go with them.
pub(super) const DASHES: [&str; 7] = ["", "7 3", "2 3", "10 3 2 3", "4 2", "12 4", "1 2"];

/// The stroke of the series with this number.
pub(super) fn series_stroke(number: usize) -> Stroke {
    Stroke {
        colour: COLOURS[number % COLOURS.len()],
        width: 2.0,
        dashes: DASHES[number % DASHES.len()],
    }
}

/// What a legend shows beside a name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Swatch {
    Line(Stroke),
    Box(&'static str, f64),
}

/// The title and, above the plot, the legend in up to two lines; entries that do not fit are counted, not drawn over
/// each other.
pub(super) fn heading(svg: &mut Svg, title: &str, legend: &[(&str, Swatch)]) {
    svg.text((24.0, 34.0), Anchor::Start, TITLE, &shortened(title, 90));
    let (mut x, mut y) = (LEFT, LEGEND[0]);
    for (at, (name, swatch)) in legend.iter().enumerate() {
        let name = shortened(name, 40);
        let width = 36.0 + text_width(&name, LABEL.size) + 22.0;
        if x + width > RIGHT + 22.0 && y < LEGEND[1] {
            (x, y) = (LEFT, LEGEND[1]);
        }
        if x + width > RIGHT + 22.0 {
            let rest = format!("and {} more", legend.len() - at);
            svg.text((x, y), Anchor::Start, SMALL, &rest);
            break;
        }
        match *swatch {
            Swatch::Line(stroke) => svg.line((x, y - 4.5), (x + 28.0, y - 4.5), stroke),
            Swatch::Box(colour, opacity) => svg.area(
                &[(x, y - 11.0), (x + 28.0, y - 11.0), (x + 28.0, y + 2.0), (x, y + 2.0)],
                colour,
                opacity,
            ),
        }
        svg.text((x + 36.0, y), Anchor::Start, LABEL, &name);
        x += width;
    }
}

/// Grid, ticks and labels of both axes.
pub(super) fn axes(svg: &mut Svg, x: &Axis, y: &Axis, labels: (&str, &str)) {
    frame(svg, x, y, (LEFT, RIGHT), Some(LEFT - 8.0));
    names(svg, labels);
}

/// Grid and ticks between the edges `left` and `right`; the labels of `y` end at `labels`, where
/// there are to be any.
pub(super) fn frame(
    svg: &mut Svg,
    x: &Axis,
    y: &Axis,
    (left, right): (f64, f64),
    labels: Option<f64>,
) {
    for (pixel, label) in y.ticks() {
        svg.line((left, pixel), (right, pixel), GRID);
        if let Some(end) = labels {
            svg.text((end, pixel + 4.0), Anchor::End, SMALL, label);
        }
    }
    for (pixel, label) in x.ticks() {
        svg.line((pixel, BOTTOM), (pixel, BOTTOM + 5.0), EDGE);
        svg.text((pixel, BOTTOM + 20.0), Anchor::Middle, SMALL, label);
    }
    svg.line((left, BOTTOM), (right, BOTTOM), EDGE);
}

/// The names of both axes, with their units.
pub(super) fn names(svg: &mut Svg, (x, y): (&str, &str)) {
    let middle = f64::midpoint(LEFT, RIGHT);
    svg.text((middle, HEIGHT - 16.0), Anchor::Middle, LABEL, &shortened(x, 100));
    svg.upward_text((20.0, f64::midpoint(TOP, BOTTOM)), LABEL, &shortened(y, 46));
}

/// Says, in the middle of the plot, that there is nothing to draw.
pub(super) fn nothing(svg: &mut Svg) {
    let middle = (f64::midpoint(LEFT, RIGHT), f64::midpoint(TOP, BOTTOM));
    svg.text(middle, Anchor::Middle, LABEL, "no values to draw");
}

/// The runs of points between gaps, thinned to what pixels can show.
pub(super) fn runs(
    points: impl Iterator<Item = (f64, f64)>,
    x: &Axis,
    y: &Axis,
) -> Vec<Vec<(f64, f64)>> {
    let mut runs: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut open = false;
    for (at, value) in points {
        match (x.at(at), y.at(value)) {
            (Some(px), Some(py)) => {
                if !open {
                    runs.push(Vec::new());
                }
                open = true;
                if let Some(run) = runs.last_mut() {
                    run.push((px, py));
                }
            }
            _ => open = false,
        }
    }
    runs.into_iter().map(thinned).collect()
}

/// A run with at most four points in each half pixel column: first, lowest, highest, last.
fn thinned(run: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if (run.len() as f64) < 4.0 * WIDTH {
        return run;
    }
    let column = |point: &(f64, f64)| libm::floor(2.0 * point.0).to_bits();
    run.chunk_by(|a, b| column(a) == column(b))
        .flat_map(|points| {
            let by_height = |a: &(usize, f64), b: &(usize, f64)| a.1.total_cmp(&b.1);
            let heights = || points.iter().map(|point| point.1).enumerate();
            let low = heights().min_by(by_height).map_or(0, |(at, _)| at);
            let high = heights().max_by(by_height).map_or(0, |(at, _)| at);
            let mut kept = [0, low.min(high), low.max(high), points.len() - 1].to_vec();
            kept.dedup();
            kept.into_iter().map(|at| points[at])
        })
        .collect()
}

/// Text that fits: cut with an ellipsis after `letters`.
pub(super) fn shortened(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(letters - 1).collect();
    format!("{}\u{2026}", kept.trim_end())
}

const GRID: Stroke = Stroke { colour: "#e4e4e4", width: 1.0, dashes: "" };
const EDGE: Stroke = Stroke { colour: INK, width: 1.0, dashes: "" };

#[cfg(test)]
mod tests {
    use super::super::axis::{Extent, Scale};
    use super::*;

    fn axes_of(last: f64) -> (Axis, Axis) {
        let x = Axis::new(Extent { low: 0.0, high: last }, Scale::Linear, (LEFT, RIGHT), 8);
        let y = Axis::new(Extent { low: 0.0, high: 10.0 }, Scale::Linear, (BOTTOM, TOP), 6);
        (x, y)
    }

    #[test]
    fn gaps_are_left_open() {
        let (x, y) = axes_of(5.0);
        let values = [1.0, 2.0, f64::NAN, 3.0, f64::INFINITY, 4.0];
        let runs = runs(values.iter().enumerate().map(|(t, &v)| (t as f64, v)), &x, &y);
        assert_eq!(runs.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1]);
    }

    #[test]
    fn a_long_series_is_thinned_and_keeps_its_peak() {
        let (x, y) = axes_of(200_000.0);
        let peak = 123_456;
        let value = |t: usize| if t == peak { 9.0 } else { 1.0 + (t % 7) as f64 / 10.0 };
        let runs = runs((0..200_000).map(|t| (t as f64, value(t))), &x, &y);
        assert!(runs[0].len() < 4 * 1760, "{}", runs[0].len());
        let top = runs[0].iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
        assert!((top - y.at(9.0).unwrap()).abs() < 1e-9);
    }
}
