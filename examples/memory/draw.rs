//! The rows of the table as a picture: a panel for each problem, a line for each cell.

use sequela::eval::picture::{Panel, Panels, Scale};

use crate::CELLS;
use crate::problems::Problem;

type Failure = Box<dyn std::error::Error>;

/// The picture of the rows among these lines.
pub(crate) fn picture(
    lines: impl Iterator<Item = std::io::Result<String>>,
) -> Result<String, Failure> {
    let mut rows = Vec::new();
    for line in lines {
        rows.extend(row(&line?));
    }
    let mut lengths: Vec<f64> = rows.iter().map(|row| row.length).collect();
    lengths.sort_by(f64::total_cmp);
    lengths.dedup();
    let share = |problem: Problem, cell: &str, length: f64| {
        let found = rows.iter().filter(|row| {
            row.problem == problem.name()
                && row.cell == cell
                && row.length.total_cmp(&length).is_eq()
        });
        let mut errors: Vec<f64> = found.map(|row| row.error).collect();
        errors.sort_by(f64::total_cmp);
        // The middle one of the seeds.
        errors.get(errors.len() / 2).map_or(f64::NAN, |error| error / problem.without_memory())
    };
    let lines = Problem::ALL.map(|problem| {
        let line =
            |name: &str| lengths.iter().map(|&length| share(problem, name, length)).collect();
        CELLS.map(|(name, ..)| line(name)).to_vec()
    });
    let titles = ["adding two of T numbers", "copying ten symbols over T steps"];
    let panels: Vec<Panel<'_>> =
        titles.iter().zip(&lines).map(|(title, lines)| Panel { title, lines }).collect();
    Ok(Panels {
        title: "How far back each cell remembers, after 2000 steps of training",
        position: "T, steps of the problem",
        quantity: "error (1: nothing is remembered)",
        positions: &lengths,
        names: &CELLS.map(|(name, ..)| name),
        panels: &panels,
        level: None,
        scale: Scale::Linear,
    }
    .to_svg()?)
}

struct Row {
    problem: String,
    cell: String,
    length: f64,
    error: f64,
}

/// `| problem | cell | layers | weights | T | error | ...`; `None` for any other line.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let number = |at: usize| cells.get(at)?.parse().ok();
    let (length, error) = (number(5)?, number(6)?);
    Some(Row {
        problem: (*cells.get(1)?).to_owned(),
        cell: (*cells.get(2)?).to_owned(),
        length,
        error,
    })
}
