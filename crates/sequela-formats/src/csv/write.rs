//! Tables as text.

/// What a cell of a table to be written holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Text.
    Text(String),
    /// A number; written with the fewest digits that read back as the same number.
    Number(f64),
    /// A whole number.
    Integer(i64),
    /// Nothing: an empty cell.
    Missing,
}

/// The table as comma-separated text (RFC 4180, lines end in `\n`).
///
/// **Missing data** [`Cell::Missing`] and numbers that are not finite become empty cells.
///
/// Text that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, a tab or
/// a carriage return) gets an apostrophe before it.
///
/// # Example
/// ```
/// use sequela_formats::csv::{Cell, to_csv};
/// let rows = [vec![Cell::Text("=1+1".into()), Cell::Number(0.1)]];
/// assert_eq!(to_csv(&["name", "mae"], &rows), b"name,mae\n'=1+1,0.1\n");
/// ```
pub fn to_csv(header: &[&str], rows: &[Vec<Cell>]) -> Vec<u8> {
    let mut out = Vec::new();
    line(&mut out, header.iter().map(|name| guarded(name)));
    for row in rows {
        line(&mut out, row.iter().map(written));
    }
    out
}

fn line(out: &mut Vec<u8>, cells: impl Iterator<Item = String>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        quoted(out, &cell);
    }
    out.push(b'\n');
}

/// Appends one cell of text as [`to_csv`] writes it: quoted where it must be, and guarded.
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    if text.starts_with(FORMULA) { quoted(out, &guarded(text)) } else { quoted(out, text) }
}

fn quoted(out: &mut Vec<u8>, cell: &str) {
    if cell.contains(['"', ',', '\n', '\r']) {
        out.push(b'"');
        out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(cell.as_bytes());
    }
}

fn written(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => guarded(text),
        Cell::Number(number) if number.is_finite() => number.to_string(),
        Cell::Integer(number) => number.to_string(),
        Cell::Number(_) | Cell::Missing => String::new(),
    }
}

fn guarded(text: &str) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() }
}

/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_numbers_read_back() {
        let rows = [
            vec![Cell::Text("a \"b\", c".into()), Cell::Number(-1.5)],
            vec![Cell::Integer(-3), Cell::Number(f64::NAN)],
            vec![Cell::Text("@x".into()), Cell::Missing],
        ];
        let text = String::from_utf8(to_csv(&["-h", "v"], &rows)).unwrap();
        assert_eq!(text, "'-h,v\n\"a \"\"b\"\", c\",-1.5\n-3,\n'@x,\n");
    }
}
