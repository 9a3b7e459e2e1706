//! The study that tells classes, and where in a table they stand.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sequela_core::Limits;
use sequela_formats::csv::{StepLabelColumns, StepLabels, column_names, read_step_labels};

use super::series::Table;
use super::{FirstLabels, HEAD, path_text, quoted, refuse};
use crate::Error;
use crate::classify::MOST_CLASSES;

/// Whose class is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of each subject.
    Subject,
    /// That of each step.
    Step,
}

/// The classes of a table.
pub(super) struct Found {
    column: String,
    file: Option<PathBuf>,
    words: Vec<String>,
    whose: Whose,
}

/// The classes of a table or of a second one, where they are asked for.
pub(super) fn of_table(
    path: &Path,
    table: &Table,
    labels: &FirstLabels,
    limits: &Limits,
) -> Result<Option<Found>, Error> {
    if !labels.are_asked_for() {
        return Ok(None);
    }
    let Some(subject) = &table.subject else {
        return Err(refuse(
            path,
            "no column says whose each row is, and a class is somebody's",
            "call the column subject_id or patient",
        ));
    };
    let file = labels.file.as_deref().unwrap_or(path);
    let names = column_names(file, limits)?;
    let column = match &labels.column {
        Some(column) => column.clone(),
        None => only_column(file, table, &names)?,
    };
    let columns = StepLabelColumns { subject, label: &column, time: None };
    let found = read_step_labels(file, columns, &[], limits)?;
    let whose = if is_of_subjects(&found) { Whose::Subject } else { Whose::Step };
    if whose == Whose::Step && labels.file.is_some() {
        // Labels of steps in a second table are found by their times, in a column of the same name.
        let time = table.time.as_deref();
        if time.is_none_or(|time| !names.iter().any(|name| name == time)) {
            return Err(refuse(
                file,
                "classes of steps are found by their times, in a column called as in the series",
                format!(
                    "give both tables a column of times of one name; that of the series is {}",
                    time.unwrap_or("not there")
                ),
            ));
        }
    }
    match found.words.len() {
        0 | 1 => Err(refuse(
            file,
            format!("the column {column} does not have two different words"),
            "name the column of the classes by --label",
        )),
        count if count > MOST_CLASSES => Err(refuse(
            file,
            format!("the column {column} has {count} different words"),
            "name a column of classes, not of measurements, by --label",
        )),
        _ if whose == Whose::Step && table.is_long => Err(refuse(
            file,
            "the classes of a subject differ from row to row, and a long table has no rows of steps",
            "give a table with a row for each time of each subject, or one class for each subject",
        )),
        _ => Ok(Some(Found { column, file: labels.file.clone(), words: found.words, whose })),
    }
}

/// Whether the rows of each subject have one class.
fn is_of_subjects(labels: &StepLabels) -> bool {
    labels.rows.values().all(|rows| {
        let mut known = rows.iter().flatten();
        let first = known.next();
        known.all(|other| Some(other) == first)
    })
}

/// The one column of a table of labels that is neither subject nor time.
fn only_column(file: &Path, table: &Table, names: &[String]) -> Result<String, Error> {
    let mut left: Vec<&String> = names
        .iter()
        .filter(|name| Some(*name) != table.subject.as_ref() && Some(*name) != table.time.as_ref())
        .collect();
    match (left.pop(), left.is_empty()) {
        (Some(column), true) => Ok(column.clone()),
        _ => Err(refuse(
            file,
            "several columns could be that of the classes, or none",
            format!("name it by --label; the table has {}", names.join(", ")),
        )),
    }
}

/// The study of a table with classes.
pub(super) fn study(name: &str, table: &Table, found: &Found) -> String {
    let classes: Vec<String> = found.words.iter().map(|word| quoted(word)).collect();
    let file = found
        .file
        .as_deref()
        .map_or_else(String::new, |file| format!("\nfile = {}", path_text(file)));
    let mut data = table.data(Some(&found.column));
    data.push_str(table.remarks());
    let _ = write!(
        data,
        "\n[data.label]\n\
         name = {}{file}\n\
         classes = [{}]   # of two, the second is the case that figures are about\n",
        quoted(&found.column),
        classes.join(", ")
    );
    Template { name, data: &data, split: SPLIT, whose: found.whose, has_gaps: table.has_gaps }
        .text()
}

/// What differs between studies that tell classes.
pub(super) struct Template<'a> {
    /// A TOML string.
    pub(super) name: &'a str,
    /// The fields of the section `data`.
    pub(super) data: &'a str,
    /// The fields of the section `split`.
    pub(super) split: &'a str,
    pub(super) whose: Whose,
    /// Whether anything is missing, so that it is told what was measured, and when.
    pub(super) has_gaps: bool,
}

impl Template<'_> {
    /// The study.
    pub(super) fn text(&self) -> String {
        let Self { name, data, split, whose, has_gaps } = self;
        let (task, pooling) = match whose {
            Whose::Subject => (
                "task = \"classify\"     # one class for each subject",
                "pooling = \"last\"      # or mean, attention: what of the states is looked at\n",
            ),
            Whose::Step => {
                ("task = \"label\"        # one class for each step, without looking ahead", "")
            }
        };
        let indicators = if *has_gaps {
            "indicators = [\"observed\", \"gap\"]   # what was measured, and how long ago\n"
        } else {
            ""
        };
        format!(
            "{HEAD}\
             [study]\n\
             name = {name}\n\
             {task}\n\
             seed = 1              # weights, order of subjects and split follow from it\n\n\
             [data]\n{data}\n\
             [window]\n\
             missing = \"carry\"     # a missing value repeats the last one, else the mean of training\n\
             {indicators}\
             clip = 4.0            # scaled values are believed this far from 0\n\n\
             [split]\n{split}\n\
             [model]\n\
             kind = \"sequence\"     # or retain\n\
             cell = \"gru\"          # or lstm, gru_d, min_gru, elman\n\
             hidden = 48\n\
             {pooling}\
             normalise = \"layer\"\n\n\
             # Networks of several seeds and boosted trees, one answer: often the best of all.\n\
             # [ensemble]\n\
             # members = 4\n\
             # trees = true\n\n\
             [train]\n\
             epochs = 20\n\
             batch = 64\n\
             rate = 1e-3\n\
             patience = 4          # epochs without a better tuning loss, then training ends\n\
             clip = {{ norm = 1.0 }}\n\
             optimiser = {{ kind = \"adamw\", weight_decay = 0.01 }}\n"
        )
    }
}

/// People, each in one part.
pub(super) const SPLIT: &str = "by = \"subject\"        # nobody is in two parts\n\
    fractions = { tune = 0.2, test = 0.2 }\n\
    # folds = 5           # judges everybody once; then fractions = { tune = 0.2 }\n";
