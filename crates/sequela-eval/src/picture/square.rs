//! One square plot of a classifier: ROC, precision and recall, calibration, net benefit.

use super::axis::{Axis, Extent, Scale};
use super::chart::{self, series_stroke};
use super::svg::{Anchor, INK, LABEL, SMALL, Stroke, Svg, TITLE};
use crate::bootstrap::Interval;
use crate::classify::{CalibrationGroup, NetBenefit, RocPoint};

/// A line of a square.
#[derive(Debug, Clone)]
pub struct SquareLine<'a> {
    /// What is drawn.
    pub name: &'a str,
    /// Where it goes; NaN is a gap.
    pub points: Vec<(f64, f64)>,
    /// Which points are marked.
    pub marked: Marked,
    /// Intervals around points.
    pub spread: Spread,
}

/// Intervals around the points of a line: where along the first axis, from where, to where.
#[derive(Debug, Clone, PartialEq)]
pub enum Spread {
    /// None.
    None,
    /// A band.
    Band(Vec<(f64, f64, f64)>),
    /// A bar at each point.
    Bars(Vec<(f64, f64, f64)>),
}

impl Spread {
    fn ends(&self) -> &[(f64, f64, f64)] {
        match self {
            Self::None => &[],
            Self::Band(ends) | Self::Bars(ends) => ends,
        }
    }
}

/// Which points of a line are marked by a dot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Marked {
    /// None.
    None,
    /// Each.
    Each,
    /// One place, on the line or not: the threshold of decisions.
    One(f64, f64),
}

/// Lines over one range, with a thin reference line.
///
/// # Example
/// ```
/// use sequela_eval::classify::Ranking;
/// use sequela_eval::picture::{Marked, Square, SquareLine};
/// let curve = Ranking::new(&[0.1, 0.4, 0.8], &[false, true, true])?.curve();
/// let line = SquareLine::roc("GRU", &curve, None);
/// let svg = Square::roc("died", &[line]).to_svg();
/// assert!(svg.starts_with("<svg") && svg.contains("1 - specificity"));
/// # Ok::<(), sequela_eval::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Square<'a> {
    /// The title.
    pub title: String,
    /// What it shows, for those who cannot see it.
    pub description: String,
    /// Names of the axes.
    pub names: (String, String),
    /// Ends of the axes.
    pub ends: [(f64, f64); 2],
    /// Lines, the most important first.
    pub lines: &'a [SquareLine<'a>],
    /// Both ends of a thin line.
    pub reference: Option<[(f64, f64); 2]>,
    /// Probabilities whose frequencies are drawn along the lower edge.
    pub frequencies: &'a [f64],
}

impl<'a> SquareLine<'a> {
    /// A ROC curve, with the place of the decisions where they come from a threshold.
    pub fn roc(name: &'a str, curve: &[RocPoint], threshold: Option<f64>) -> Self {
        let points = curve.iter().map(|point| (point.false_alarms, point.sensitivity)).collect();
        let marked = threshold.map_or(Marked::None, |threshold| {
            let at = curve.iter().rfind(|point| point.score >= threshold);
            at.map_or(Marked::None, |point| Marked::One(point.false_alarms, point.sensitivity))
        });
        Self { name, points, marked, spread: Spread::None }
    }

    /// Precision over recall, in the steps that the average precision sums.
    pub fn precision_recall(name: &'a str, curve: &[(f64, f64)]) -> Self {
        let mut points = Vec::with_capacity(2 * curve.len());
        let mut before = 0.0;
        for &(recall, precision) in curve {
            points.extend([(before, precision), (recall, precision)]);
            before = recall;
        }
        Self { name, points, marked: Marked::None, spread: Spread::None }
    }

    /// Observed shares over probabilities; a bar for each group that has an interval.
    pub fn calibration(name: &'a str, groups: &[CalibrationGroup], intervals: &[Interval]) -> Self {
        let points = groups.iter().map(|group| (group.expected, group.observed)).collect();
        let bars = groups.iter().zip(intervals).filter_map(|(group, interval)| {
            interval.bounds().map(|(low, high)| (group.expected, low, high))
        });
        Self { name, points, marked: Marked::Each, spread: Spread::Bars(bars.collect()) }
    }

    /// Net benefit of a model over thresholds, with a band where there are intervals.
    pub fn decisions(name: &'a str, curve: &[NetBenefit], intervals: &[Interval]) -> Self {
        let points = curve.iter().map(|point| (point.threshold, point.model)).collect();
        let band = curve.iter().zip(intervals).filter_map(|(point, interval)| {
            interval.bounds().map(|(low, high)| (point.threshold, low, high))
        });
        Self { name, points, marked: Marked::None, spread: Spread::Band(band.collect()) }
    }
}

impl<'a> Square<'a> {
    /// Sensitivity over 1 - specificity; the diagonal is chance.
    pub fn roc(case: &str, lines: &'a [SquareLine<'a>]) -> Self {
        Self {
            title: "ROC curve".into(),
            description: format!(
                "Sensitivity over 1 - specificity for {case}; the thin diagonal is chance, dots \
                 are at the threshold of decisions"
            ),
            names: ("1 - specificity".into(), "sensitivity".into()),
            ends: [UNIT; 2],
            lines,
            reference: Some([(0.0, 0.0), (1.0, 1.0)]),
            frequencies: &[],
        }
    }

    /// Precision over recall; the level line is the prevalence.
    pub fn precision_recall(case: &str, prevalence: f64, lines: &'a [SquareLine<'a>]) -> Self {
        Self {
            title: "Precision and recall".into(),
            description: format!(
                "Precision (positive predictive value) over recall (sensitivity) for {case}; the \
                 thin level line is the prevalence"
            ),
            names: ("recall (sensitivity)".into(), "precision".into()),
            ends: [UNIT; 2],
            lines,
            reference: Some([(0.0, prevalence), (1.0, prevalence)]),
            frequencies: &[],
        }
    }

    /// Observed share over probability, as far as groups and their intervals reach
    /// (`calibration_end`); the diagonal is perfect, bars along the lower edge are how
    /// often each probability was told.
    pub fn calibration(case: &str, lines: &'a [SquareLine<'a>], frequencies: &'a [f64]) -> Self {
        Self {
            title: "Calibration".into(),
            description: format!(
                "Observed share of {case} over its probability in groups of similar probability; \
                 the thin diagonal is perfect, bars along the lower edge are how often the model \
                 told each probability"
            ),
            names: (format!("probability of {case}"), format!("observed share of {case}")),
            ends: [(0.0, calibration_end(lines)); 2],
            lines,
            reference: Some([(0.0, 0.0), (calibration_end(lines), calibration_end(lines))]),
            frequencies,
        }
    }

    /// Net benefit over the threshold, up to `most`, of models and of acting on everybody; the
    /// level line is acting on nobody.
    pub fn decisions(case: &str, most: (f64, f64), lines: &'a [SquareLine<'a>]) -> Self {
        Self {
            title: "Decision curve".into(),
            description: format!(
                "Net benefit of acting from a threshold on, over that threshold, for {case}: true \
                 alarms less false ones, these weighed by the odds of the threshold, for each \
                 subject; the thin level line is acting on nobody"
            ),
            names: ("threshold of acting".into(), "net benefit".into()),
            ends: [(0.0, most.0), (-0.25 * most.1, 1.05 * most.1)],
            lines,
            reference: Some([(0.0, 0.0), (most.0, 0.0)]),
            frequencies: &[],
        }
    }

    /// The picture.
    pub fn to_svg(&self) -> String {
        let legend = self.lines.len().min(MOST_LINES);
        let top = 48.0 + 18.0 * legend as f64 + 8.0;
        let height = top + SIDE + 58.0;
        let mut svg = Svg::new(WIDTH, height, &self.title, &self.description);
        svg.text((16.0, 28.0), Anchor::Start, TITLE, &chart::shortened(&self.title, 42));
        for (at, line) in self.lines.iter().take(legend).enumerate() {
            let y = 48.0 + 18.0 * at as f64;
            let stroke = series_stroke(at);
            svg.line((LEFT, y - 4.0), (LEFT + 28.0, y - 4.0), stroke);
            svg.text((LEFT + 36.0, y), Anchor::Start, LABEL, &chart::shortened(line.name, 44));
        }
        let frame = Frame::new(self.ends, ((LEFT, LEFT + SIDE), (top, top + SIDE)));
        frame.bars(&mut svg, self.frequencies);
        frame.draw(&mut svg, (&self.names.0, &self.names.1));
        if let Some([from, to]) = self.reference
            && let (Some(from), Some(to)) = (frame.at(from), frame.at(to))
        {
            svg.line(from, to, REFERENCE);
        }
        for (at, line) in self.lines.iter().take(legend).enumerate() {
            frame.spread(&mut svg, &line.spread, series_stroke(at).colour);
        }
        for (at, line) in self.lines.iter().take(legend).enumerate().rev() {
            let stroke = series_stroke(at);
            let inside = line.points.iter().map(|&point| frame.inside(point));
            let runs = frame.runs(inside);
            match line.marked {
                Marked::None => {}
                Marked::Each => {
                    for &point in runs.iter().flatten() {
                        svg.dot(point, 3.0, stroke.colour);
                    }
                }
                Marked::One(x, y) => {
                    if let Some(point) = frame.at((x, y)) {
                        svg.dot(point, 5.0, stroke.colour);
                    }
                }
            }
            svg.runs(&runs, stroke);
        }
        svg.finish()
    }
}

/// Two axes and their edges, in pixels.
pub(super) struct Frame {
    edges: ((f64, f64), (f64, f64)),
    ends: [(f64, f64); 2],
    x: Axis,
    y: Axis,
}

impl Frame {
    /// Axes with these ends between the edges (left, right) and (top, bottom).
    pub(super) fn new(ends: [(f64, f64); 2], edges: ((f64, f64), (f64, f64))) -> Self {
        let ((left, right), (top, bottom)) = edges;
        let axis = |(low, high): (f64, f64), pixels| {
            Axis::new(Extent { low, high }, Scale::Linear, pixels, 5)
        };
        Self { edges, ends, x: axis(ends[0], (left, right)), y: axis(ends[1], (bottom, top)) }
    }

    /// Grid, ticks, edges and names.
    pub(super) fn draw(&self, svg: &mut Svg, (x, y): (&str, &str)) {
        let ((left, right), (top, bottom)) = self.edges;
        for (pixel, label) in self.y.ticks() {
            svg.line((left, pixel), (right, pixel), GRID);
            svg.text((left - 8.0, pixel + 4.0), Anchor::End, SMALL, label);
        }
        for (pixel, label) in self.x.ticks() {
            svg.line((pixel, top), (pixel, bottom), GRID);
            svg.text((pixel, bottom + 20.0), Anchor::Middle, SMALL, label);
        }
        svg.line((left, bottom), (right, bottom), EDGE);
        svg.line((left, top), (left, bottom), EDGE);
        let middle = f64::midpoint(left, right);
        svg.text((middle, bottom + 42.0), Anchor::Middle, LABEL, &chart::shortened(x, 44));
        let at = (left - 46.0, f64::midpoint(top, bottom));
        svg.upward_text(at, LABEL, &chart::shortened(y, 44));
    }

    pub(super) fn at(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        Some((self.x.at(x)?, self.y.at(y)?))
    }

    pub(super) fn runs(&self, points: impl Iterator<Item = (f64, f64)>) -> Vec<Vec<(f64, f64)>> {
        chart::runs(points, &self.x, &self.y)
    }

    /// The point, or a gap where it lies beyond an end.
    fn inside(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let within = |value: f64, (low, high): (f64, f64)| value >= low && value <= high;
        let shown = within(x, self.ends[0]) && within(y, self.ends[1]);
        (x, if shown { y } else { f64::NAN })
    }

    /// A band or bars, as far as they lie between the ends.
    fn spread(&self, svg: &mut Svg, spread: &Spread, colour: &'static str) {
        let (low, high) = self.ends[1];
        let shown = spread.ends().iter().filter_map(|&(x, from, to)| {
            if to < low || from > high {
                return None;
            }
            Some([self.at((x, from.max(low)))?, self.at((x, to.min(high)))?])
        });
        let shown: Vec<[(f64, f64); 2]> = shown.collect();
        match spread {
            Spread::Band(_) if shown.len() > 1 => {
                let upper = shown.iter().map(|ends| ends[1]);
                let lower = shown.iter().rev().map(|ends| ends[0]);
                let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
                svg.area(&outline, colour, BAND_OPACITY);
            }
            Spread::Bars(_) => {
                for [from, to] in shown {
                    svg.line(from, to, Stroke { colour, width: 1.2, dashes: "" });
                }
            }
            Spread::Band(_) | Spread::None => {}
        }
    }

    /// How often values fall into forty equal parts of the x axis, up to a sixth of the height.
    fn bars(&self, svg: &mut Svg, values: &[f64]) {
        let (low, high) = self.ends[0];
        let mut counts = [0_u32; PARTS];
        // What lies beyond the end of the axis is left out.
        for value in values.iter().filter(|value| **value <= high) {
            let share = (value - low) / (high - low);
            let part = (1..PARTS).filter(|&k| share >= k as f64 / PARTS as f64).count();
            counts[part] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(0);
        let ((left, right), (top, bottom)) = self.edges;
        let width = (right - left) / PARTS as f64;
        for (at, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let height = (bottom - top) / 6.0 * f64::from(count) / f64::from(most);
            let corner = (left + at as f64 * width, bottom - height);
            svg.rect(corner, (width - 1.0, height), BAR);
        }
    }
}

/// Where the axes of a calibration end: all the way, or of what is rare where all groups and their
/// intervals have their place.
pub(super) fn calibration_end(lines: &[SquareLine<'_>]) -> f64 {
    let points = lines.iter().flat_map(|line| &line.points).map(|(x, y)| x.max(*y));
    // Groups without a case, or few, have wide intervals: they may be cut at the upper edge.
    let bars = lines.iter().flat_map(|line| line.spread.ends()).map(|(_, _, high)| 0.9 * high);
    end_for(points.chain(bars).fold(0.0, f64::max))
}

/// The end of an axis of shares, for a largest one.
pub(super) fn end_for(largest: f64) -> f64 {
    let ends = [0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8];
    ends.into_iter().find(|end| largest <= *end && largest > 0.0).unwrap_or(1.0)
}

/// Pixels of the whole width, of the left edge, and of a side.
const WIDTH: f64 = 440.0;
const LEFT: f64 = 76.0;
const SIDE: f64 = 340.0;
/// Lines drawn at most.
const MOST_LINES: usize = 7;
/// Bars of the frequencies.
const PARTS: usize = 40;
const BAND_OPACITY: f64 = 0.18;
const UNIT: (f64, f64) = (0.0, 1.0);
const BAR: &str = "#cfdfec";
const GRID: Stroke = Stroke { colour: "#e4e4e4", width: 1.0, dashes: "" };
const EDGE: Stroke = Stroke { colour: INK, width: 1.0, dashes: "" };
const REFERENCE: Stroke = Stroke { colour: INK, width: 0.8, dashes: "" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_lines_are_drawn() {
        let odd = SquareLine {
            name: "<a>",
            points: vec![(0.1, f64::NAN), (0.2, 0.5), (0.3, 7.0), (0.4, 0.4)],
            marked: Marked::One(f64::NAN, 0.2),
            spread: Spread::Band(vec![
                (0.1, 0.2, 7.0),
                (0.2, f64::NAN, 0.3),
                (0.4, 2.0, 3.0),
                (0.5, 0.1, 0.2),
            ]),
        };
        let bars = Spread::Bars(odd.spread.ends().to_vec());
        let lines = [odd.clone(), SquareLine { marked: Marked::Each, spread: bars, ..odd }];
        for square in [
            Square::roc("ill & old", &lines),
            Square::precision_recall("ill", f64::NAN, &lines),
            Square::calibration("ill", &lines, &[0.0, 1.0, f64::NAN]),
            Square::decisions("ill", (0.6, 0.14), &[]),
        ] {
            let svg = square.to_svg();
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("<a>"));
        }
    }

    #[test]
    fn axes_end_where_groups_and_intervals_do() {
        let group = |expected| CalibrationGroup { expected, observed: 0.03, rows: 9 };
        let high = |high| Interval::Subjects { low: 0.0, high, subjects: 9 };
        for (expected, to, end) in
            [(0.01, 0.04, 0.05), (0.3, 0.35, 0.4), (0.01, 0.3, 0.4), (0.9, 1.0, 1.0)]
        {
            let line = SquareLine::calibration("a", &[group(expected)], &[high(to)]);
            assert!((calibration_end(&[line]) - end).abs() < 1e-12);
        }
        assert!((calibration_end(&[]) - 1.0).abs() < 1e-12);
        // A probability beyond the end is not counted in the last bar.
        let line = [SquareLine::calibration("a", &[group(0.01)], &[])];
        let bars =
            |told: &[f64]| Square::calibration("ill", &line, told).to_svg().matches(BAR).count();
        assert_eq!((bars(&[0.01, 0.9]), bars(&[0.01, 0.04])), (1, 2));
    }

    #[test]
    fn steps_of_precision_end_at_each_recall() {
        let line = SquareLine::precision_recall("a", &[(0.5, 1.0), (1.0, 0.6)]);
        assert_eq!(line.points, [(0.0, 1.0), (0.5, 1.0), (0.5, 0.6), (1.0, 0.6)]);
    }
}
