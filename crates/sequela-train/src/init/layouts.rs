//! First studies of data whose layout says what they are: the challenges of PhysioNet, and MEDS.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sequela_core::Limits;
use sequela_data::load::{COUNT, Stays, meds_summary, physionet2012, physionet2019};
use sequela_formats::meds::read_labels;

use super::classes::{SPLIT, Template, Whose};
use super::{FirstLabels, path_text, quoted, refuse};
use crate::Error;
use crate::classify::MOST_CLASSES;

/// Who dies in hospital, of stays of the challenge of 2012.
pub(super) fn stays(
    name: &str,
    path: &Path,
    labels: &FirstLabels,
    limits: &Limits,
) -> Result<String, Error> {
    let outcomes = labels.file.clone();
    let outcomes_line = outcomes.as_deref().map_or_else(
        || "# outcomes = \"...\"    # without it, Outcomes-*.txt in or beside the path".to_owned(),
        |file| format!("outcomes = {}", path_text(file)),
    );
    let data = format!(
        "kind = \"physionet2012\"\npath = {}\n{outcomes_line}\n\
         every_seconds = 3600  # a grid: each step is the mean of its hour\n",
        path_text(path)
    );
    physionet2012(path, &Stays { outcomes, ..Stays::default() }, limits)?;
    Ok(Template { name, data: &data, split: SPLIT, whose: Whose::Subject, has_gaps: true }.text())
}

/// Who becomes septic, hour by hour, of patients of the challenge of 2019.
pub(super) fn hours(name: &str, path: &Path, limits: &Limits) -> Result<String, Error> {
    physionet2019(path, limits)?;
    let data = format!("kind = \"physionet2019\"\npath = {}\n", path_text(path));
    Ok(Template { name, data: &data, split: SPLIT, whose: Whose::Step, has_gaps: true }.text())
}

/// The cases of a folder of MEDS, by the codes that most of its training subjects have.
pub(super) fn meds(
    name: &str,
    path: &Path,
    labels: &FirstLabels,
    limits: &Limits,
) -> Result<String, Error> {
    let file = match &labels.file {
        Some(file) => file.clone(),
        None => only_labels(path)?,
    };
    let classes = classes(&file, limits)?;
    let words: Vec<String> = classes.iter().map(|word| quoted(word)).collect();
    let is_published = path.join("metadata").join("subject_splits.parquet").is_file();
    let (codes, split) = if is_published {
        (
            "frequent = 100        # the codes that most training subjects have\n".to_owned(),
            PUBLISHED,
        )
    } else {
        (channels(path, limits)?, SPLIT)
    };
    let data = format!(
        "kind = \"meds\"\npath = {}\n\
         labels = {}\n\
         classes = [{}]   # of two, the second is the case that figures are about\n\
         {codes}\
         every_seconds = 3600  # a grid that ends at the prediction time\n\
         # hours = 48          # so many hours before it; without it all are looked at\n",
        path_text(path),
        path_text(&file),
        words.join(", ")
    );
    Ok(Template { name, data: &data, split, whose: Whose::Subject, has_gaps: true }.text())
}

/// The codes that most subjects have, by name: numeric where most of their events have a value.
fn channels(path: &Path, limits: &Limits) -> Result<String, Error> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let summary = meds_summary(path, threads, limits)?;
    let mut codes: Vec<_> = summary.codes.iter().collect();
    codes.sort_by(|(a, of_a), (b, of_b)| of_b.subjects.cmp(&of_a.subjects).then_with(|| a.cmp(b)));
    let named: Vec<String> = codes
        .into_iter()
        .take(MOST_CODES)
        .map(|(name, code)| {
            let unit = if 2 * code.values < code.events { COUNT } else { "" };
            format!("{{ name = {}, unit = {} }}", quoted(name), quoted(unit))
        })
        .collect();
    Ok(format!("channels = [{}]   # what most subjects have\n", named.join(", ")))
}

/// The words of a file of labels, sorted.
fn classes(file: &Path, limits: &Limits) -> Result<Vec<String>, Error> {
    let labels = read_labels(file, limits)?;
    let words: BTreeSet<String> = labels.into_iter().map(|label| label.value).collect();
    match words.len() {
        2..=MOST_CLASSES => Ok(words.into_iter().collect()),
        count => Err(refuse(
            file,
            format!("the labels have {count} different words"),
            format!("give labels of two to {MOST_CLASSES} classes"),
        )),
    }
}

/// The labels of a folder that has one file of them.
fn only_labels(path: &Path) -> Result<PathBuf, Error> {
    let folder = path.join("labels");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&folder)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    found.retain(|file| file.extension().is_some_and(|end| end == "parquet"));
    match (found.pop(), found.is_empty()) {
        (Some(file), true) => Ok(file),
        _ => Err(refuse(
            path,
            "events alone do not say what is to be told, and there is not one file in the folder labels",
            "name a Parquet file of labels (subject_id, prediction_time, boolean_value ...) by --labels",
        )),
    }
}

/// The parts that the publisher has made.
const PUBLISHED: &str =
    "by = \"published\"      # train, tuning and held_out of metadata/subject_splits.parquet\n";

/// Codes that become channels, at most.
const MOST_CODES: usize = 100;
