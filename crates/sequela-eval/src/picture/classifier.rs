//! A classifier in two panels: how it ranks (ROC) and whether its probabilities come true.

use super::chart::{BOTTOM, HEIGHT, LEFT, Swatch, TOP, WIDTH, heading, series_stroke};
use super::square::{Frame, end_for};
use super::svg::{Anchor, INK, SMALL, Stroke, Svg};
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
        let most = self.most();
        let (roc, calibration) = (panel(LEFT, 1.0), panel(WIDTH - 24.0 - SIDE, most));
        roc.draw(&mut svg, ("1 - specificity", "sensitivity"));
        let names =
            (format!("probability of {}", self.case), format!("observed share of {}", self.case));
        calibration.draw(&mut svg, (&names.0, &names.1));
        for left in [LEFT, WIDTH - 24.0 - SIDE] {
            let diagonal = Stroke { colour: INK, width: 0.8, dashes: "" };
            svg.line((left, BOTTOM), (left + SIDE, TOP), diagonal);
        }
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

    /// How far the probabilities of the calibration are shown: all the way, or of what is rare as far
    /// as there is something to see.
    fn most(&self) -> f64 {
        let groups = self.lines.iter().flat_map(|line| line.calibration);
        end_for(groups.map(|group| group.expected.max(group.observed)).fold(0.0, f64::max))
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

/// A square of shares from 0 to `most`.
fn panel(left: f64, most: f64) -> Frame {
    Frame::new([(0.0, most); 2], ((left, left + SIDE), (TOP, BOTTOM)))
}

/// Pixels of a panel's width, a little more than its height.
const SIDE: f64 = 340.0;

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
        let group = |expected| CalibrationGroup { expected, observed: 0.03, rows: 9 };
        for (groups, most) in [(vec![group(0.01)], 0.05), (vec![group(0.3)], 0.4), (vec![], 1.0)] {
            let line = ClassifierLine { name: "a", roc: &[], decision: None, calibration: &groups };
            let found = ClassifierPicture { title: "t", case: "ill", lines: &[line] }.most();
            assert!((found - most).abs() < 1e-12);
        }
        let svg = ClassifierPicture { title: "t", case: "ill", lines: &[] }.to_svg();
        assert!(svg.contains("for nothing"));
    }
}
