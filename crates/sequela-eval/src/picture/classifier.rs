//! A classifier in two panels: how it ranks (ROC) and whether its probabilities come true.

use super::axis::{Axis, Extent, Scale};
use super::chart::{BOTTOM, HEIGHT, LEFT, Swatch, TOP, WIDTH, heading, series_stroke};
use super::svg::{Anchor, INK, LABEL, SMALL, Stroke, Svg};
use crate::classify::{CalibrationGroup, RocPoint};

/// One line of both panels.
#[derive(Debug, Clone)]
pub struct ClassifierLine<'a> {
    /// What is judged.
    pub name: &'a str,
    /// Its ROC curve.
    pub roc: &'a [RocPoint],
    /// Sensitivity and false alarms of its decisions, where they come from a threshold.
    pub decision: Option<(f64, f64)>,
    /// Rows of similar probability, lowest first.
    pub calibration: &'a [CalibrationGroup],
}

/// ROC curves and calibration of up to a few classifiers, or of the classes of one.
///
/// # Example
/// ```
/// use sequela_eval::classify::{Ranking, calibration};
/// use sequela_eval::picture::{ClassifierLine, ClassifierPicture};
/// let (p, died) = ([0.1, 0.2, 0.6, 0.9], [false, true, false, true]);
/// let (roc, calibration) = (Ranking::new(&p, &died)?.curve(), calibration(&p, &died, 2)?);
/// let line =
///     ClassifierLine { name: "GRU", roc: &roc, decision: Some((0.5, 0.0)), calibration: &calibration };
/// let svg = ClassifierPicture { title: "Ward", case: "died", lines: &[line] }.to_svg();
/// assert!(svg.starts_with("<svg") && svg.contains("observed share of died"));
/// # Ok::<(), sequela_eval::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClassifierPicture<'a> {
    /// The title.
    pub title: &'a str,
    /// What a case is called.
    pub case: &'a str,
    /// The lines, the most important first.
    pub lines: &'a [ClassifierLine<'a>],
}

impl ClassifierPicture<'_> {
    /// The picture.
    pub fn to_svg(&self) -> String {
        let mut svg = Svg::new(WIDTH, HEIGHT, self.title, &self.description());
        let legend: Vec<(&str, Swatch)> = self
            .lines
            .iter()
            .enumerate()
            .map(|(at, line)| (line.name, Swatch::Line(series_stroke(at))))
            .collect();
        heading(&mut svg, self.title, &legend);
        let (roc, calibration) = (Panel::new(LEFT), Panel::new(WIDTH - 24.0 - SIDE));
        roc.draw(&mut svg, ("1 - specificity", "sensitivity"));
        let names =
            (format!("probability of {}", self.case), format!("observed share of {}", self.case));
        calibration.draw(&mut svg, (&names.0, &names.1));
        for (at, line) in self.lines.iter().enumerate().rev() {
            let stroke = series_stroke(at);
            let points = line.roc.iter().map(|point| (point.false_alarms, point.sensitivity));
            svg.runs(&roc.runs(points), stroke);
            if let Some((sensitivity, false_alarms)) = line.decision
                && let Some(centre) = roc.at((false_alarms, sensitivity))
            {
                svg.dot(centre, 5.0, stroke.colour);
            }
            let points = line.calibration.iter().map(|group| (group.expected, group.observed));
            let runs = calibration.runs(points);
            for &point in runs.iter().flatten() {
                svg.dot(point, 3.0, stroke.colour);
            }
            svg.runs(&runs, stroke);
        }
        if self.lines.iter().any(|line| line.decision.is_some()) {
            let at = (LEFT + SIDE - 8.0, BOTTOM - 10.0);
            svg.text(at, Anchor::End, SMALL, "dots: at the threshold of decisions");
        }
        svg.finish()
    }

    fn description(&self) -> String {
        let names: Vec<&str> = self.lines.iter().map(|line| line.name).collect();
        format!(
            "Left: ROC curves, sensitivity over 1 - specificity. Right: calibration, the observed \
             share of {} over its probability in groups of similar probability. Both for {}; the \
             thin diagonals are chance on the left and perfect calibration on the right.",
            self.case,
            if names.is_empty() { "nothing".to_owned() } else { names.join("; ") }
        )
    }
}

/// A square of shares from 0 to 1.
struct Panel {
    left: f64,
    x: Axis,
    y: Axis,
}

impl Panel {
    fn new(left: f64) -> Self {
        let all = Extent { low: 0.0, high: 1.0 };
        Self {
            left,
            x: Axis::new(all, Scale::Linear, (left, left + SIDE), 5),
            y: Axis::new(all, Scale::Linear, (BOTTOM, TOP), 5),
        }
    }

    fn draw(&self, svg: &mut Svg, (x, y): (&str, &str)) {
        let (left, right) = (self.left, self.left + SIDE);
        for (pixel, label) in self.y.ticks() {
            svg.line((left, pixel), (right, pixel), GRID);
            svg.text((left - 8.0, pixel + 4.0), Anchor::End, SMALL, label);
        }
        for (pixel, label) in self.x.ticks() {
            svg.line((pixel, TOP), (pixel, BOTTOM), GRID);
            svg.text((pixel, BOTTOM + 20.0), Anchor::Middle, SMALL, label);
        }
        svg.line((left, BOTTOM), (right, TOP), Stroke { colour: INK, width: 0.8, dashes: "" });
        svg.line((left, BOTTOM), (right, BOTTOM), EDGE);
        svg.line((left, TOP), (left, BOTTOM), EDGE);
        let middle = f64::midpoint(left, right);
        svg.text((middle, HEIGHT - 16.0), Anchor::Middle, LABEL, &super::chart::shortened(x, 44));
        let at = (left - 46.0, f64::midpoint(TOP, BOTTOM));
        svg.upward_text(at, LABEL, &super::chart::shortened(y, 44));
    }

    fn at(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        Some((self.x.at(x)?, self.y.at(y)?))
    }

    fn runs(&self, points: impl Iterator<Item = (f64, f64)>) -> Vec<Vec<(f64, f64)>> {
        super::chart::runs(points, &self.x, &self.y)
    }
}

/// Pixels of a panel's width, a little more than its height.
const SIDE: f64 = 340.0;
const GRID: Stroke = Stroke { colour: "#e4e4e4", width: 1.0, dashes: "" };
const EDGE: Stroke = Stroke { colour: INK, width: 1.0, dashes: "" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_classifiers_are_drawn() {
        let undefined = [RocPoint { score: 0.5, sensitivity: f64::NAN, false_alarms: 1.0 }; 3];
        for (roc, decision) in [(&[][..], None), (&undefined[..], Some((f64::NAN, 0.5)))] {
            let line = ClassifierLine { name: "<a>", roc, decision, calibration: &[] };
            let svg = ClassifierPicture { title: "t", case: "ill & old", lines: &[line] }.to_svg();
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("<a>"));
        }
        let svg = ClassifierPicture { title: "t", case: "ill", lines: &[] }.to_svg();
        assert!(svg.contains("for nothing"));
    }
}
