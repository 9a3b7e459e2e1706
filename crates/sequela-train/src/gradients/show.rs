//! What was seen, as tables and pictures.

use sequela_eval::picture::{Panel, Panels, Scale};
use sequela_eval::table::{Align, Table};
use sequela_nn::Clip;

use super::{CellSeen, LayerSeen, Moment, Seen, When};
use crate::Error;

impl Seen {
    /// The figures of every cell, layer and moment, for a terminal.
    pub fn text(&self) -> String {
        format!("{}\n{}{}", self.table().text(), self.legend(), self.remarks(""))
    }

    /// The same as Markdown, with the pictures `gradients.svg` and `norms.svg`.
    pub fn to_markdown(&self) -> String {
        let norms = if self.trains() { "\n![norms](norms.svg)\n" } else { "" };
        format!(
            "# {}: gradients over {} steps\n\n![gradients](gradients.svg)\n{norms}\n{}\n{}{}",
            self.study,
            self.length,
            self.table().markdown(),
            self.legend(),
            self.remarks("- "),
        )
    }

    /// The norm of `dL/dh_t` over t, a line for each cell, a panel for each moment.
    ///
    /// # Errors
    /// None that a caller can cause: [`Error::Judge`] where lines and panels disagree.
    pub fn to_svg(&self) -> Result<String, Error> {
        let shown = |moment: usize| {
            let layers = self.cells.iter().filter_map(move |cell| Some((cell, top(cell, moment)?)));
            let hidden = layers.clone().map(|(cell, layer)| (cell, "h", &layer.hidden));
            let memory = layers.map(|(cell, layer)| (cell, "c", &layer.cell));
            // Those of c come last: every cell has the stroke that it has in the other picture.
            hidden.chain(memory).filter(|(_, _, curve)| !curve.is_empty())
        };
        let curves = |moment: usize| shown(moment).map(|(_, _, curve)| curve);
        let names: Vec<String> =
            shown(0).map(|(cell, state, _)| format!("{}, {state}", cell.cell)).collect();
        let length = curves(0).map(Vec::len).max().unwrap_or(0);
        let positions: Vec<f64> = (0..length).rev().map(|distance| -(distance as f64)).collect();
        let floor = LEAST
            * (0..self.moments())
                .flat_map(curves)
                .filter_map(|curve| curve.first().copied().filter(|norm| *norm > 0.0))
                .fold(f64::INFINITY, f64::min);
        let lines: Vec<Vec<Vec<f64>>> = (0..self.moments())
            .map(|moment| curves(moment).map(|curve| drawn(curve, length, floor)).collect())
            .collect();
        let titles: Vec<String> = (0..self.moments()).map(|moment| self.title(moment)).collect();
        let panels: Vec<Panel<'_>> =
            titles.iter().zip(&lines).map(|(title, lines)| Panel { title, lines }).collect();
        Ok(Panels {
            title: &format!("{}: how far the loss of the last step reaches back", self.study),
            position: "steps from the last one",
            quantity: "norm of the gradient of the state",
            positions: &positions,
            names: &names.iter().map(String::as_str).collect::<Vec<_>>(),
            panels: &panels,
            level: None,
            scale: Scale::Log,
        }
        .to_svg()?)
    }

    /// The norm of all weights' gradients in each training step, before clipping; `None` where
    /// nothing was trained.
    ///
    /// # Errors
    /// As [`Seen::to_svg`].
    pub fn norms_svg(&self) -> Result<Option<String>, Error> {
        if !self.trains() {
            return Ok(None);
        }
        let names: Vec<&str> = self.cells.iter().map(|cell| cell.cell.as_str()).collect();
        let steps =
            self.cells.iter().flat_map(|cell| &cell.moments[1..]).map(|moment| moment.norms.len());
        let steps = steps.max().unwrap_or(0);
        let positions: Vec<f64> = (1..=steps).map(|step| step as f64).collect();
        let lines: Vec<Vec<Vec<f64>>> = (1..self.moments())
            .map(|moment| {
                let norms = self.cells.iter().map(|cell| &cell.moments[moment].norms);
                norms
                    .map(|norms| {
                        let mut line = norms.clone();
                        line.resize(steps, f64::NAN);
                        line
                    })
                    .collect()
            })
            .collect();
        let titles = ["without clipping", &format!("with clipping ({})", clip_words(self.clip))];
        let panels: Vec<Panel<'_>> =
            titles.iter().zip(&lines).map(|(title, lines)| Panel { title, lines }).collect();
        let level = match self.clip {
            Clip::Norm(limit) => Some(("clipped above", f64::from(limit))),
            Clip::Off | Clip::Value(_) => None,
        };
        let svg = Panels {
            title: &format!("{}: norm of the weights' gradients, before clipping", self.study),
            position: "training step",
            quantity: "norm of all gradients",
            positions: &positions,
            names: &names,
            panels: &panels,
            level,
            scale: Scale::Log,
        }
        .to_svg()?;
        Ok(Some(svg))
    }

    fn moments(&self) -> usize {
        self.cells.iter().map(|cell| cell.moments.len()).min().unwrap_or(0)
    }

    fn trains(&self) -> bool {
        self.moments() > 1
    }

    /// What a panel shows.
    fn title(&self, moment: usize) -> String {
        let of_moment = || self.cells.iter().filter_map(|cell| cell.moments.get(moment));
        let steps = of_moment().map(|moment| moment.steps).max().unwrap_or(0);
        match of_moment().next().map(|moment| moment.when) {
            Some(When::Unclipped) => format!("after {steps} steps, unclipped"),
            Some(When::Clipped) => format!("after {steps} steps, clipped"),
            _ => "first weights".to_owned(),
        }
    }

    fn table(&self) -> Table {
        let mut columns = vec![
            ("state", Align::Left),
            ("weights", Align::Left),
            ("last", Align::Right),
            ("middle", Align::Right),
            ("first", Align::Right),
            ("ratio", Align::Right),
            ("1 % after", Align::Right),
            ("largest", Align::Right),
            ("loss", Align::Right),
        ];
        columns.extend(self.trains().then_some(("cut", Align::Right)));
        let mut table = Table::new(&columns);
        for cell in &self.cells {
            for moment in &cell.moments {
                for layer in &moment.layers {
                    rows(&mut table, cell, moment, layer);
                }
            }
        }
        table
    }

    /// What the columns are.
    fn legend(&self) -> String {
        let clipping = if self.trains() {
            format!(
                "\ncut: share of training steps whose gradients were clipped ({}).",
                clip_words(self.clip)
            )
        } else {
            String::new()
        };
        format!(
            "last, middle, first: norms of dL/dh_t and dL/dc_t at that step, L the loss of the last step, over\n\
             {} windows of {} steps of the training part. ratio: of the first to the last.\n\
             1 % after: steps back until the norm is below 1 % of the one at the last step.\n\
             largest: norm of all weights' gradients in one step, before clipping. loss: on these windows.{clipping}\n",
            self.windows, self.length,
        )
    }

    fn remarks(&self, bullet: &str) -> String {
        let mut lines: Vec<String> = Vec::new();
        for cell in &self.cells {
            for moment in cell.moments.iter().filter(|moment| moment.broken) {
                lines.push(format!(
                    "{}, {}: training broke; the loss or a gradient was not finite",
                    cell.cell,
                    weights(moment)
                ));
            }
        }
        if self.gain.to_bits() != 1.0_f32.to_bits() {
            lines.push(format!("the first recurrent weights were multiplied by {}", self.gain));
        }
        lines.extend(self.notes.iter().cloned());
        lines.iter().fold(String::new(), |text, line| format!("{text}{bullet}{line}\n"))
    }
}

/// The rows of one layer: h, and c where there is one.
fn rows(table: &mut Table, cell: &CellSeen, moment: &Moment, layer: &LayerSeen) {
    let several = moment.layers.len() > 1;
    let curves = [("h", &layer.hidden), ("c", &layer.cell)];
    for (state, curve) in curves.into_iter().filter(|(_, curve)| !curve.is_empty()) {
        let side = if layer.reverse { " reverse" } else { "" };
        let place = if several { format!(" {}{side}", layer.layer + 1) } else { String::new() };
        let mut row = vec![format!("{}{place}, {state}", cell.cell), weights(moment)];
        row.extend(figures(curve));
        // What is of all weights stands once.
        if state == "h" && layer == &moment.layers[0] {
            row.push(scientific(moment.norms.iter().copied().fold(0.0, f64::max)));
            row.push(scientific(moment.loss));
            row.push(match moment.when {
                When::Clipped => share(moment.cut, moment.steps),
                When::First | When::Unclipped => String::new(),
            });
        }
        table.row(row);
    }
}

/// The layer next to the loss, reading forward.
fn top(cell: &CellSeen, moment: usize) -> Option<&LayerSeen> {
    cell.moments.get(moment)?.layers.iter().rfind(|layer| !layer.reverse)
}

/// A curve in the order of time; what is far below the norm at the last step is left out.
fn drawn(curve: &[f64], length: usize, floor: f64) -> Vec<f64> {
    let value = |distance: usize| {
        let norm = curve.get(distance).copied().unwrap_or(f64::NAN);
        if norm < floor { f64::NAN } else { norm }
    };
    (0..length).rev().map(value).collect()
}

/// At the last, half way, at the first, their ratio, and how far 1 % reaches.
fn figures(curve: &[f64]) -> [String; 5] {
    let at = |distance: usize| curve.get(distance).copied().unwrap_or(f64::NAN);
    let (last, half, first) = (at(0), at(curve.len() / 2), at(curve.len().saturating_sub(1)));
    let reach = match reach(curve) {
        _ if !last.is_finite() => String::new(),
        Some(steps) => steps.to_string(),
        None => format!("> {}", curve.len().saturating_sub(1)),
    };
    let ratio = if last > 0.0 { first / last } else { f64::NAN };
    [scientific(last), scientific(half), scientific(first), scientific(ratio), reach]
}

/// Steps back until the norm is below 1 % of that at the last step; `None` if it never is.
fn reach(curve: &[f64]) -> Option<usize> {
    let last = curve.first().copied().unwrap_or(0.0);
    curve.iter().position(|&norm| norm < 0.01 * last)
}

fn weights(moment: &Moment) -> String {
    match moment.when {
        When::First => "first".to_owned(),
        When::Unclipped => format!("{} unclipped", moment.steps),
        When::Clipped => format!("{} clipped", moment.steps),
    }
}

fn clip_words(clip: Clip) -> String {
    match clip {
        Clip::Off => "off".to_owned(),
        Clip::Norm(limit) => format!("by norm {limit}"),
        Clip::Value(limit) => format!("by value {limit}"),
    }
}

fn share(part: u64, whole: u64) -> String {
    format!("{:.0} %", 100.0 * part as f64 / whole.max(1) as f64)
}

fn scientific(value: f64) -> String {
    if value.is_finite() { format!("{value:.1e}") } else { "not finite".to_owned() }
}

/// Norms below this part of the least one at the last step are not drawn.
const LEAST: f64 = 1e-12;
