//! Writes SVG elements: plain attributes only, everything escaped.

use std::fmt::Write as _;

/// Where text stands about its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub(super) colour: &'static str,
    pub(super) width: f64,
    /// Dash lengths, empty for a whole line.
    pub(super) dashes: &'static str,
}

/// How text is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letters {
    pub(super) size: f64,
    pub(super) colour: &'static str,
    pub(super) weight: &'static str,
}

pub(super) const TITLE: Letters = Letters { size: 17.0, colour: INK, weight: "600" };
pub(super) const LABEL: Letters = Letters { size: 13.0, colour: INK, weight: "400" };
pub(super) const SMALL: Letters = Letters { size: 12.0, colour: "#444444", weight: "400" };
pub(super) const INK: &str = "#1a1a1a";

/// An SVG picture under construction.
#[derive(Debug)]
pub(super) struct Svg {
    text: String,
}

impl Svg {
    /// An empty white picture with its title and description for screen readers.
    pub(super) fn new(width: f64, height: f64, title: &str, description: &str) -> Self {
        let (title, description) = (escape(title), escape(description));
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\" \
             aria-label=\"{title}. {description}\" font-family=\"{FONTS}\">\n\
             <title>{title}</title>\n<desc>{description}</desc>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
        );
        Self { text }
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        let Stroke { colour, width, dashes } = stroke;
        self.write(format_args!(
            "<line x1=\"{:.2}\" y1=\"{:.2}\" x2=\"{:.2}\" y2=\"{:.2}\" stroke=\"{colour}\" \
             stroke-width=\"{width}\"{}/>\n",
            from.0,
            from.1,
            to.0,
            to.1,
            dash_attribute(dashes)
        ));
    }

    /// A line through each run of points; a run of one point becomes a dot.
    pub(super) fn runs(&mut self, runs: &[Vec<(f64, f64)>], stroke: Stroke) {
        let Stroke { colour, width, dashes } = stroke;
        let mut path = String::new();
        for run in runs.iter().filter(|run| run.len() > 1) {
            write_points(&mut path, run);
        }
        if !path.is_empty() {
            self.write(format_args!(
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" \
                 stroke-linejoin=\"round\"{}/>\n",
                dash_attribute(dashes)
            ));
        }
        for run in runs.iter().filter(|run| run.len() == 1) {
            self.dot(run[0], width, colour);
        }
    }

    /// A filled shape without an outline.
    pub(super) fn area(&mut self, outline: &[(f64, f64)], colour: &str, opacity: f64) {
        let mut path = String::new();
        write_points(&mut path, outline);
        self.write(format_args!(
            "<path d=\"{path}Z\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>\n"
        ));
    }

    pub(super) fn rect(&mut self, corner: (f64, f64), size: (f64, f64), fill: &str) {
        self.write(format_args!(
            "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" fill=\"{fill}\"/>\n",
            corner.0, corner.1, size.0, size.1
        ));
    }

    pub(super) fn dot(&mut self, centre: (f64, f64), radius: f64, colour: &str) {
        self.write(format_args!(
            "<circle cx=\"{:.2}\" cy=\"{:.2}\" r=\"{radius}\" fill=\"{colour}\"/>\n",
            centre.0, centre.1
        ));
    }

    /// Text with a white edge, so that it stays legible over lines.
    pub(super) fn text(&mut self, at: (f64, f64), anchor: Anchor, letters: Letters, text: &str) {
        self.letters(at, anchor, letters, text, "");
    }

    /// Text that reads upwards, turned about its point.
    pub(super) fn upward_text(&mut self, at: (f64, f64), letters: Letters, text: &str) {
        let turn = format!(" transform=\"rotate(-90 {:.2} {:.2})\"", at.0, at.1);
        self.letters(at, Anchor::Middle, letters, text, &turn);
    }

    /// The whole picture.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn letters(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        letters: Letters,
        text: &str,
        turn: &str,
    ) {
        let Letters { size, colour, weight } = letters;
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.write(format_args!(
            "<text x=\"{:.2}\" y=\"{:.2}\" font-size=\"{size}\" font-weight=\"{weight}\" \
             fill=\"{colour}\" text-anchor=\"{anchor}\" stroke=\"#ffffff\" stroke-width=\"3\" \
             stroke-linejoin=\"round\" paint-order=\"stroke\"{turn}>{}</text>\n",
            at.0,
            at.1,
            escape(text)
        ));
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.text.write_fmt(arguments);
    }
}

/// About how wide text will be, in pixels; a little too wide in most fonts.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    0.58 * size * text.chars().count() as f64
}

/// Text that cannot leave its element, or its attribute in double quotes, in HTML and SVG; XML
/// allows no control characters.
///
/// # Example
/// ```
/// use sequela_eval::picture::escape;
/// assert_eq!(escape("a < \"b\""), "a &lt; &quot;b&quot;");
/// ```
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{FFFE}' | '\u{FFFF}' => escaped.push('\u{FFFD}'),
            c if c.is_control() => escaped.push('\u{FFFD}'),
            c => escaped.push(c),
        }
    }
    escaped
}

fn write_points(path: &mut String, points: &[(f64, f64)]) {
    for (at, (x, y)) in points.iter().enumerate() {
        let _ = write!(path, "{}{x:.2} {y:.2}", if at == 0 { 'M' } else { 'L' });
    }
}

fn dash_attribute(dashes: &str) -> String {
    if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") }
}

const FONTS: &str = "Inter, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_files_cannot_inject_elements() {
        let mut svg = Svg::new(10.0, 10.0, "a\"><script>", "b & \u{1}");
        svg.text((0.0, 0.0), Anchor::Start, LABEL, "</text><script>alert(1)</script>");
        let text = svg.finish();
        assert!(!text.contains("<script"), "{text}");
        assert!(text.contains("a&quot;&gt;&lt;script&gt;") && !text.contains('\u{1}'), "{text}");
    }
}
