//! The tuning losses of all trials of a search.

use super::axis::{Axis, Extent, Scale, significant};
use super::chart::{
    BOTTOM, HEIGHT, LEFT, RIGHT, Swatch, TOP, WIDTH, axes, heading, names, nothing, runs,
};
use super::svg::{Stroke, Svg};

/// Losses of one trial.
#[derive(Debug, Clone, Copy)]
pub struct TrialCurve<'a> {
    /// Its number; 1 is the study as it is.
    pub number: usize,
    /// Loss on the tuning part after each epoch, from epoch 1.
    pub losses: &'a [f64],
}

/// Tuning losses of trials by epoch: the best one and the study as it is in colour, those given up
/// in grey.
///
/// # Example
/// ```
/// use sequela_eval::picture::{Scale, TrialCurve, TrialCurves};
/// let svg = TrialCurves {
///     title: "ward: search",
///     loss: "tuning loss",
///     curves: &[
///         TrialCurve { number: 2, losses: &[1.0, 0.5, 0.4] },
///         TrialCurve { number: 1, losses: &[1.0, 0.8] },
///     ],
///     scale: Scale::Log,
/// }
/// .to_svg();
/// assert!(svg.contains("trial 2, the best"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TrialCurves<'a> {
    /// Title, one line.
    pub title: &'a str,
    /// Name of the loss with its unit, for the axis.
    pub loss: &'a str,
    /// The trials, the best first.
    pub curves: &'a [TrialCurve<'a>],
    /// How the loss axis is divided.
    pub scale: Scale,
}

impl TrialCurves<'_> {
    /// The picture.
    ///
    /// **Missing data** a loss that is not finite (or is 0 on a logarithmic axis) is a gap.
    pub fn to_svg(&self) -> String {
        let mut svg = Svg::new(WIDTH, HEIGHT, self.title, &self.description());
        let best = self.curves.first().map_or(0, |curve| curve.number);
        let name = format!("trial {best}, the best");
        let mut legend = vec![(name.as_str(), Swatch::Line(BEST))];
        if best != 1 && self.curves.iter().any(|curve| curve.number == 1) {
            legend.push(("trial 1, the study as it is", Swatch::Line(OWN)));
        }
        if self.curves.len() > legend.len() {
            legend.push(("others", Swatch::Line(OTHER)));
        }
        heading(&mut svg, self.title, &legend);
        let loss = match self.scale {
            Scale::Linear => self.loss.to_owned(),
            Scale::Log => format!("{}, log scale", self.loss),
        };
        let all = self.curves.iter().flat_map(|curve| curve.losses).copied();
        let Some(extent) = Extent::of(all, self.scale) else {
            names(&mut svg, ("epoch", &loss));
            nothing(&mut svg);
            return svg.finish();
        };
        let epochs = self.curves.iter().map(|curve| curve.losses.len()).max().unwrap_or(0);
        let last = if epochs > 1 { epochs as f64 } else { 2.0 };
        let x = Axis::whole(Extent { low: last.min(2.0) - 1.0, high: last }, (LEFT, RIGHT), 10);
        let y = Axis::new(extent.padded(self.scale), self.scale, (BOTTOM, TOP), 6);
        axes(&mut svg, &x, &y, ("epoch", &loss));
        // The best is drawn over the others.
        for curve in self.curves.iter().rev() {
            let stroke = match curve.number {
                number if number == best => BEST,
                1 => OWN,
                _ => OTHER,
            };
            let points = curve.losses.iter().enumerate().map(|(at, &loss)| (at as f64 + 1.0, loss));
            let lines = runs(points, &x, &y);
            for line in &lines {
                // A dot where a trial was given up, also after a single epoch.
                if let Some(&end) = line.last() {
                    svg.dot(end, stroke.width + 0.8, stroke.colour);
                }
            }
            svg.runs(&lines, stroke);
        }
        svg.finish()
    }

    fn description(&self) -> String {
        let least = |curve: &TrialCurve<'_>| curve.losses.iter().copied().fold(f64::NAN, f64::min);
        let best = self.curves.first().map_or_else(String::new, |curve| {
            format!(" The best, trial {}, comes to {}.", curve.number, significant(least(curve)))
        });
        format!("Line chart of {} of {} trials by epoch.{best}", self.loss, self.curves.len())
    }
}

const BEST: Stroke = Stroke { colour: "#0072B2", width: 2.5, dashes: "" };
const OWN: Stroke = Stroke { colour: "#D55E00", width: 2.0, dashes: "7 3" };
const OTHER: Stroke = Stroke { colour: "#a8a8a8", width: 1.2, dashes: "" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_searches_are_drawn() {
        let curve = |number, losses| TrialCurve { number, losses };
        let some: [&[TrialCurve<'_>]; 4] = [
            &[],
            &[curve(1, &[])],
            &[curve(3, &[0.5]), curve(1, &[f64::NAN, 1.0])],
            &[curve(2, &[f64::INFINITY])],
        ];
        for curves in some {
            let svg = TrialCurves { title: "t", loss: "loss", curves, scale: Scale::Log }.to_svg();
            assert!(svg.ends_with("</svg>\n") && !svg.contains("\"NaN") && !svg.contains("inf\""));
        }
    }
}
