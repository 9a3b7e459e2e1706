//! The loss over training.

use super::axis::{Axis, Extent, Scale, significant};
use super::chart::{
    BOTTOM, HEIGHT, LEFT, RIGHT, Swatch, TOP, WIDTH, axes, heading, names, nothing, runs,
    series_stroke,
};
use super::svg::{Anchor, INK, SMALL, Stroke, Svg, text_width};

/// Loss by epoch, for the training and the tuning part, with the epoch whose weights were kept.
///
/// # Example
/// See the [module](crate::picture) page.
#[derive(Debug, Clone, Copy)]
pub struct LossCurve<'a> {
    /// Title, one line.
    pub title: &'a str,
    /// Name of the loss with its unit, for the axis.
    pub loss: &'a str,
    /// Loss on the training part after each epoch, from epoch 1.
    pub train: &'a [f64],
    /// Loss on the tuning part; empty without one.
    pub tune: &'a [f64],
    /// The epoch (from 1) whose weights were kept.
    pub best_epoch: Option<usize>,
    /// How the loss axis is divided.
    pub scale: Scale,
}

impl LossCurve<'_> {
    /// The picture.
    ///
    /// **Missing data** a loss that is not finite (or is 0 on a logarithmic axis) is a gap.
    pub fn to_svg(&self) -> String {
        let mut svg = Svg::new(WIDTH, HEIGHT, self.title, &self.description());
        let epochs = self.train.len().max(self.tune.len());
        // Dashes would hide single epochs of a short training; those get dots instead.
        let short = epochs < SHORT;
        let stroke = |number: usize| {
            let stroke = series_stroke(number);
            if short { Stroke { dashes: "", ..stroke } } else { stroke }
        };
        let mut legend = vec![("training", Swatch::Line(stroke(0)))];
        if !self.tune.is_empty() {
            legend.push(("tuning", Swatch::Line(stroke(1))));
        }
        heading(&mut svg, self.title, &legend);
        let loss = match self.scale {
            Scale::Linear => self.loss.to_owned(),
            Scale::Log => format!("{}, log scale", self.loss),
        };
        let all = self.train.iter().chain(self.tune).copied();
        let Some(extent) = Extent::of(all, self.scale) else {
            names(&mut svg, ("epoch", &loss));
            nothing(&mut svg);
            return svg.finish();
        };
        // One epoch gets room on both sides.
        let last = if epochs > 1 { epochs as f64 } else { 2.0 };
        let x = Axis::whole(Extent { low: last.min(2.0) - 1.0, high: last }, (LEFT, RIGHT), 10);
        let y = Axis::new(extent.padded(self.scale), self.scale, (BOTTOM, TOP), 6);
        axes(&mut svg, &x, &y, ("epoch", &loss));
        for (number, losses) in [self.train, self.tune].into_iter().enumerate() {
            let points = losses.iter().enumerate().map(|(at, &loss)| (at as f64 + 1.0, loss));
            let (lines, stroke) = (runs(points, &x, &y), stroke(number));
            if short {
                for &point in lines.iter().flatten() {
                    svg.dot(point, 3.0, stroke.colour);
                }
            }
            svg.runs(&lines, stroke);
        }
        self.mark_best(&mut svg, &x, &y);
        svg.finish()
    }

    fn mark_best(&self, svg: &mut Svg, x: &Axis, y: &Axis) {
        let Some((epoch, loss)) = self.best() else { return };
        let (Some(px), Some(py)) = (x.at(epoch as f64), y.at(loss)) else { return };
        svg.line((px, TOP), (px, BOTTOM), Stroke { colour: INK, width: 1.0, dashes: "3 3" });
        svg.dot((px, py), 5.0, INK);
        let label = format!("best: epoch {epoch}, {}", significant(loss));
        // Above the plot, where no line or grid crosses it.
        let half = text_width(&label, SMALL.size) / 2.0;
        let middle = px.clamp(LEFT + half, RIGHT - half);
        svg.text((middle, TOP - 6.0), Anchor::Middle, SMALL, &label);
    }

    /// The kept epoch and its loss, on the tuning part where there is one.
    fn best(&self) -> Option<(usize, f64)> {
        let losses = if self.tune.is_empty() { self.train } else { self.tune };
        let epoch = self.best_epoch?;
        Some((epoch, *losses.get(epoch.checked_sub(1)?)?))
    }

    fn description(&self) -> String {
        let span = |name: &str, losses: &[f64]| match (losses.first(), losses.last()) {
            (Some(first), Some(last)) => format!(
                "The {name} goes from {} to {} over {} epochs. ",
                significant(*first),
                significant(*last),
                losses.len()
            ),
            _ => String::new(),
        };
        let best = self
            .best()
            .map(|(epoch, loss)| format!("Best epoch {epoch} at {}.", significant(loss)))
            .unwrap_or_default();
        format!(
            "Line chart of {}. {}{}{best}",
            self.loss,
            span("training loss", self.train),
            span("tuning loss", self.tune)
        )
    }
}

/// Epochs below which each is shown as a dot.
const SHORT: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    const CURVE: LossCurve<'_> = LossCurve {
        title: "t",
        loss: "MSE (bpm\u{b2})",
        train: &[4.0, 2.0, 1.0],
        tune: &[4.0, 3.0, 3.5],
        best_epoch: Some(2),
        scale: Scale::Log,
    };

    #[test]
    fn odd_histories_are_drawn() {
        for (train, tune) in [(&[][..], &[][..]), (&[1.0], &[]), (&[f64::NAN; 4], &[0.0; 4])] {
            for scale in [Scale::Linear, Scale::Log] {
                for best_epoch in [None, Some(0), Some(1), Some(9)] {
                    let svg = LossCurve { train, tune, best_epoch, scale, ..CURVE }.to_svg();
                    assert!(svg.ends_with("</svg>\n") && !svg.contains("\"NaN"), "{svg}");
                    assert!(!svg.contains("inf\""), "{svg}");
                }
            }
        }
    }

    #[test]
    fn the_description_says_what_the_picture_shows() {
        let svg = CURVE.to_svg();
        assert!(svg.contains("The tuning loss goes from 4 to 3.5 over 3 epochs."), "{svg}");
        assert!(svg.contains("best: epoch 2, 3<"), "{svg}");
        assert_eq!(svg, CURVE.to_svg());
    }
}
