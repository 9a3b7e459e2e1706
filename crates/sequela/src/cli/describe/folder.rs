//! What is in a folder of tables: each in a line.

use std::path::{Path, PathBuf};

use sequela_core::Limits;
use sequela_eval::table::{Align, Table};
use sequela_formats::collection::names_in;
use sequela_formats::is_table;
use serde_json::{Value, json};

use super::figures::share;
use super::source::Source;
use crate::cli::console::Console;
use crate::cli::failure::{Failure, Outcome};

/// Tells what each table is.
pub(super) fn describe(folder: &Path, console: Console) -> Result<Outcome, Failure> {
    let limits = Limits::default();
    let mut files = Vec::new();
    collect(folder, DEPTH, &mut files)?;
    let left_out = files.len().saturating_sub(MOST);
    files.truncate(MOST);
    let (mut lines, mut findings) = (Vec::new(), Vec::new());
    for file in files {
        let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
        match Source::read(&file, &limits) {
            Ok(source) => {
                let place = file.display().to_string();
                findings.extend(source.findings.iter().map(|finding| {
                    // What is about a cell names its file already.
                    match finding.strip_prefix(&place) {
                        Some(rest) => format!("{name}{rest}"),
                        None => format!("{name}: {finding}"),
                    }
                }));
                lines.push(Line::of(name, &source));
            }
            Err(Failure::Told(told)) => findings.push(told.message()),
            Err(other) => return Err(other),
        }
    }
    if console.is_json() {
        let tables: Vec<Value> = lines.iter().map(Line::machine).collect();
        Console::print_json(&json!({ "format": "folder of tables", "tables": tables,
            "left_out": left_out, "findings": findings }))?;
    } else {
        Console::print(format!("{}\n{}", folder.display(), text(&lines)))?;
        if left_out > 0 {
            console.say(&format!("{left_out} more tables were left out"));
        }
        console.say("next: name one of them, as in sequela data describe FILE");
    }
    for finding in &findings {
        console.say(&format!("finding: {finding}"));
    }
    Ok(if findings.is_empty() { Outcome::Done } else { Outcome::Findings })
}

/// The tables of a folder and of those within, in the order of their names.
fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for name in names_in(folder)? {
        let path = folder.join(&name);
        if path.is_dir() {
            if depth > 0 {
                collect(&path, depth - 1, files)?;
            }
        } else if is_table(&name) {
            files.push(path);
        }
    }
    Ok(())
}

/// What is said of one table.
struct Line {
    name: String,
    format: &'static str,
    subjects: usize,
    steps: usize,
    channels: usize,
    missing: usize,
    has_times: bool,
    left_out: Vec<String>,
}

impl Line {
    fn of(name: String, source: &Source) -> Self {
        let cohort = &source.cohort;
        Self {
            name,
            format: source.format,
            subjects: cohort.subjects().len(),
            steps: cohort.steps(),
            channels: cohort.schema().channels().len(),
            missing: cohort.missing(),
            has_times: cohort.sequences().iter().any(|sequence| sequence.times.is_some()),
            left_out: source.left_out.iter().map(|(column, _)| column.clone()).collect(),
        }
    }

    fn cells(&self) -> usize {
        self.steps * self.channels
    }

    fn machine(&self) -> Value {
        json!({ "file": self.name, "format": self.format, "subjects": self.subjects,
            "steps": self.steps, "channels": self.channels, "missing": self.missing,
            "with_times": self.has_times, "left_out": self.left_out })
    }
}

fn text(lines: &[Line]) -> String {
    let mut table = Table::new(&[
        ("table", Align::Left),
        ("format", Align::Left),
        ("subjects", Align::Right),
        ("steps", Align::Right),
        ("channels", Align::Right),
        ("missing", Align::Right),
        ("times", Align::Left),
        ("no channels", Align::Left),
    ]);
    for line in lines {
        let mut row = vec![line.name.clone(), line.format.to_owned()];
        row.extend([line.subjects, line.steps, line.channels].map(|count| count.to_string()));
        row.push(share(line.missing, line.cells()));
        row.push(if line.has_times { "yes" } else { "none" }.to_owned());
        let shown: Vec<&str> = line.left_out.iter().take(SHOWN).map(String::as_str).collect();
        let rest = line.left_out.len() - shown.len();
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        row.push(format!("{}{more}", shown.join(", ")));
        table.row(row);
    }
    table.text()
}

/// How deep folders are looked into.
const DEPTH: usize = 3;
/// Tables that are described, at most.
const MOST: usize = 200;
/// Columns that are named in a line, at most.
const SHOWN: usize = 4;
