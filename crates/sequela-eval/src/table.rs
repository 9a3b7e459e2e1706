//! Tables of text, aligned for a terminal or as Markdown.

use std::fmt::Write as _;

use crate::bootstrap::{Estimate, FEW_SUBJECTS, Interval};
use crate::picture::escape;

/// How the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// A table: a header, rows of cells, and notes below.
///
/// **Determinism** the text is a function of the cells.
///
/// # Example
/// ```
/// use sequela_eval::table::{Align, Table};
/// let mut table = Table::new(&[("forecaster", Align::Left), ("MAE (bpm)", Align::Right)]);
/// table.row(["persistence", "4.10"]);
/// table.row(["lstm", "12.75"]);
/// assert_eq!(table.text(), "\
/// forecaster   MAE (bpm)
/// -----------  ---------
/// persistence       4.10
/// lstm             12.75
/// ");
/// assert!(table.markdown().starts_with("| forecaster  | MAE (bpm) |\n|-------------|----------:|\n"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    /// A table without rows; the header names each column with its unit.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|&(title, align)| (clean(title), align)).collect();
        Self { columns, rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a row; missing cells stay empty, cells beyond the last column are dropped.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<String> = cells.into_iter().map(|cell| clean(cell.as_ref())).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// Adds a line below the table, once.
    pub fn note(&mut self, note: &str) {
        let note = clean(note);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The cell for an estimate: `3.20 (2.98 to 3.45)`; a mark and a note tell what an interval
    /// cannot say.
    pub fn figure(&mut self, estimate: &Estimate, decimals: usize) -> String {
        let mark = match estimate.interval {
            Interval::Subjects { subjects, .. } if subjects < FEW_SUBJECTS => {
                self.note(FEW_NOTE);
                "*"
            }
            Interval::Time { .. } => {
                self.note(TIME_NOTE);
                "\u{2020}"
            }
            _ => "",
        };
        let value = number(estimate.value, decimals);
        match estimate.interval.bounds() {
            Some((low, high)) => {
                let (low, high) = (number(low, decimals), number(high, decimals));
                format!("{value} ({low} to {high}){mark}")
            }
            None => value,
        }
    }

    /// The table for a terminal: columns two spaces apart, a rule below the header.
    pub fn text(&self) -> String {
        let widths = self.widths();
        let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
        let header: Vec<String> = self.columns.iter().map(|(title, _)| title.clone()).collect();
        let mut text = String::new();
        for row in [&header, &rule].into_iter().chain(&self.rows) {
            let cells: Vec<String> = row
                .iter()
                .zip(&self.columns)
                .zip(&widths)
                .map(|((cell, (_, align)), &width)| pad(cell, *align, width))
                .collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        text
    }

    /// The table as GitHub-flavoured Markdown, padded so that it also reads as text.
    pub fn markdown(&self) -> String {
        let escaped: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|c| c.replace('|', "\\|")).collect())
            .collect();
        let columns: Vec<(String, Align)> =
            self.columns.iter().map(|(title, align)| (title.replace('|', "\\|"), *align)).collect();
        let table = Self { columns, rows: escaped, notes: Vec::new() };
        let widths = table.widths();
        let line = |cells: &mut dyn Iterator<Item = &String>| {
            let cells: Vec<String> = cells
                .zip(&table.columns)
                .zip(&widths)
                .map(|((cell, (_, align)), &width)| pad(cell, *align, width))
                .collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = line(&mut table.columns.iter().map(|(title, _)| title));
        let rules = table.columns.iter().zip(&widths).map(|((_, align), &width)| match align {
            Align::Left => "-".repeat(width + 2),
            Align::Right => format!("{}:", "-".repeat(width + 1)),
        });
        let _ = writeln!(text, "|{}|", rules.collect::<Vec<_>>().join("|"));
        for row in &table.rows {
            text.push_str(&line(&mut row.iter()));
        }
        for note in &self.notes {
            let _ = write!(text, "\n{}\n", note.replace('*', "\\*"));
        }
        text
    }

    /// The table as HTML, notes in paragraphs below it; all text is escaped.
    pub fn html(&self) -> String {
        let cells = |tag: &str, cells: &[String]| {
            let mut line = String::from("<tr>");
            for (cell, (_, align)) in cells.iter().zip(&self.columns) {
                let class = if *align == Align::Right { " class=\"r\"" } else { "" };
                let _ = write!(line, "<{tag}{class}>{}</{tag}>", escape(cell));
            }
            line + "</tr>\n"
        };
        let titles: Vec<String> = self.columns.iter().map(|(title, _)| title.clone()).collect();
        let mut text = format!("<table>\n<thead>\n{}</thead>\n<tbody>\n", cells("th", &titles));
        for row in &self.rows {
            text.push_str(&cells("td", row));
        }
        text.push_str("</tbody>\n</table>\n");
        for note in &self.notes {
            let _ = writeln!(text, "<p class=\"note\">{}</p>", escape(note));
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let cells = |column: usize| self.rows.iter().map(move |row| row[column].chars().count());
        let titles = self.columns.iter().enumerate();
        titles
            .map(|(column, (title, _))| {
                cells(column).chain([title.chars().count(), 1]).max().unwrap_or(1)
            })
            .collect()
    }
}

/// A number with a fixed count of decimals, never `-0.00`, and words for what is no number.
///
/// # Example
/// ```
/// use sequela_eval::table::number;
/// assert_eq!(number(-0.001, 2), "0.00");
/// assert_eq!(number(f64::NAN, 2), "undefined");
/// ```
pub fn number(value: f64, decimals: usize) -> String {
    if value.is_nan() {
        return "undefined".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "infinite" } else { "-infinite" }.to_owned();
    }
    let text = format!("{value:.decimals$}");
    let zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if zero { text.trim_start_matches('-').to_owned() } else { text }
}

fn pad(cell: &str, align: Align, width: usize) -> String {
    match align {
        Align::Left => format!("{cell:<width$}"),
        Align::Right => format!("{cell:>width$}"),
    }
}

/// One line without control characters: names come from files, and a terminal obeys escapes.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

const FEW_NOTE: &str = "* few subjects (below 10): the interval is narrower than it should be";
const TIME_NOTE: &str =
    "\u{2020} one subject: over stretches of this record, says nothing about other people";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_carry_their_interval_and_its_limits() {
        let mut table = Table::new(&[("horizon", Align::Right), ("MAE (bpm)", Align::Right)]);
        let many = Interval::Subjects { low: 2.0, high: 4.0, subjects: 30 };
        let few = Interval::Subjects { low: 2.0, high: 4.0, subjects: 4 };
        let time = Interval::Time { low: 2.0, high: 4.0, block: 30 };
        for interval in [many, few, time, few, Interval::None] {
            let cell = table.figure(&Estimate { value: 3.125, interval }, 2);
            table.row(["1", &cell]);
        }
        let text = table.text();
        assert!(text.contains("  3.12 (2.00 to 4.00)\n"), "{text}");
        assert!(text.contains(" 3.12 (2.00 to 4.00)*\n"), "{text}");
        assert!(text.contains(" 3.12 (2.00 to 4.00)\u{2020}\n"), "{text}");
        assert!(text.contains("                 3.12\n"), "{text}");
        assert_eq!(text.matches("few subjects").count(), 1);
        assert!(table.markdown().contains("\n\\* few subjects"));
    }

    #[test]
    fn names_cannot_break_the_terminal_or_the_table() {
        let mut table = Table::new(&[("name", Align::Left), ("n", Align::Right)]);
        table.row(["\u{1b}[2Ja|b\nc", "1"]);
        table.row(["only"]);
        table.row(["d", "2", "beyond"]);
        assert!(!table.text().contains('\u{1b}'));
        assert_eq!(table.text().lines().count(), 5);
        assert!(table.markdown().contains("a\\|b"));
        let widths: Vec<usize> = table.markdown().lines().map(|l| l.chars().count()).collect();
        assert!(widths.iter().all(|&width| width == widths[0]), "{widths:?}");
    }

    #[test]
    fn letters_beyond_ascii_keep_columns_straight() {
        let mut table = Table::new(&[("unit", Align::Left), ("value", Align::Right)]);
        table.row(["\u{b5}mol/l", "1"]);
        table.row(["mmol/l", "2"]);
        let ends: Vec<usize> = table.text().lines().map(|line| line.chars().count()).collect();
        assert!(ends.iter().all(|&end| end == ends[0]), "{ends:?}");
    }
}
