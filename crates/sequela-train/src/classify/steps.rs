//! The class of each step: from tables and layouts to targets, and the split that follows from it.

use std::collections::BTreeMap;
use std::path::Path;

use sequela_core::{Limits, Location, Sequence, SubjectId, Target};
use sequela_data::Cohort;
use sequela_formats::csv::{StepLabelColumns, StepLabels, TimeColumn, read_step_labels};

use super::labels::{Labelled, MOST_CLASSES, no_match};
use super::parts;
use crate::model::Model;
use crate::predict::{read_cohort, read_input};
use crate::study::{CsvData, Data, LabelSpec, Study};
use crate::{Error, source};

/// Loads series and the classes of their steps and splits them by subject, those of each rarest
/// class in about the same shares.
pub(super) fn load(
    study: &Study,
    label: &LabelSpec,
    path: &Path,
    limits: &Limits,
) -> Result<Labelled, Error> {
    let cohort = source::load(study, limits)?;
    let file = match &label.file {
        Some(file) => source::find(file, &study.base, "data.label.file")?,
        None => source::find(path, &study.base, "data.path")?,
    };
    let (cohort, names) = match &study.data {
        Data::Csv(data @ CsvData { subject: Some(subject), .. }) => {
            let time = label.file.as_ref().and_then(|_| time_column(data));
            let columns = StepLabelColumns { subject, label: &label.name, time: time.as_ref() };
            let labels = read_step_labels(&file, columns, &label.classes, limits)?;
            let names = names(&file, label, &labels)?;
            let targets = targets(&file, &label.name, &cohort, &labels, &names)?;
            (cohort.with_targets(&targets), names)
        }
        _ => (cohort, label.classes.clone()),
    };
    let read = cohort.subjects().len();
    let known: Vec<usize> = known_steps(&cohort).map(|(at, _)| at).collect();
    let labelled = cohort.select(&known);
    if labelled.is_empty() {
        return Err(Error::Data {
            location: Location::file(&file).field(&label.name).into(),
            what: "no step of any subject has a label".into(),
            hint: "fill the column, or name the one that has the class of each step".into(),
        });
    }
    // A subject is of the last class that any of its steps has.
    let mut words: BTreeMap<SubjectId, &str> = BTreeMap::new();
    let mut last: BTreeMap<&SubjectId, u32> = BTreeMap::new();
    for (at, class) in known_steps(&cohort) {
        let who = &cohort.sequences()[at].subject;
        let before = last.entry(who).or_default();
        *before = class.max(*before);
    }
    for (who, class) in last {
        words.insert(who.clone(), names.get(class as usize).map_or("", String::as_str));
    }
    let parts = parts::split(study, &labelled, &words)?;
    let mut notes = notes(&cohort, &label.name);
    notes.extend(parts::note(study, &parts)?);
    Ok(Labelled { cohort: labelled, parts, names, notes, read })
}

/// Sequences with a known step, each with the highest of their classes.
fn known_steps(cohort: &Cohort) -> impl Iterator<Item = (usize, u32)> {
    cohort.sequences().iter().enumerate().filter_map(|(at, sequence)| {
        let Target::PerStep(classes) = &sequence.target else { return None };
        classes.iter().flatten().max().map(|class| (at, *class))
    })
}

/// The classes: those that the study names, else the words of the table.
fn names(file: &Path, label: &LabelSpec, labels: &StepLabels) -> Result<Vec<String>, Error> {
    let names = if label.classes.is_empty() { &labels.words } else { &label.classes };
    let refuse = |what: String, hint: &str| {
        let location = Location::file(file).field(&label.name).into();
        Err(Error::Data { location, what, hint: hint.into() })
    };
    match labels.words.len() {
        0 => refuse(
            "no step of any subject has a label".into(),
            "fill the column, or name the one that has the class of each step",
        ),
        1 => refuse("all steps are of one class".into(), "give steps of at least two classes"),
        count if count > MOST_CLASSES => refuse(
            format!("there are more than {MOST_CLASSES} classes"),
            "name a column of classes, not of measurements",
        ),
        _ => Ok(names.clone()),
    }
}

/// By which column a table of labels of its own finds the steps.
fn time_column(data: &CsvData) -> Option<TimeColumn> {
    let time = data.time.as_ref()?;
    Some(TimeColumn { name: time.name.clone(), format: source::time_format(time.format) })
}

/// The target of each subject, in the order of the names: labels with times belong to the steps of
/// the same times, others to the steps in their order.
fn targets(
    file: &Path,
    label: &str,
    cohort: &Cohort,
    labels: &StepLabels,
    names: &[String],
) -> Result<BTreeMap<SubjectId, Target>, Error> {
    let place = |word: &String| names.iter().position(|name| name == word);
    let numbers: Vec<Option<u32>> =
        labels.words.iter().map(|word| place(word).and_then(|at| u32::try_from(at).ok())).collect();
    let mut targets = BTreeMap::new();
    for sequence in cohort.sequences() {
        let who = &sequence.subject;
        let rows = labels.rows.get(who.as_str()).map_or(&[][..], Vec::as_slice);
        let number = |row: &Option<u32>| numbers.get((*row)? as usize).copied().flatten();
        if let (Some(hours), Some(times)) = (labels.hours.get(who.as_str()), &sequence.times) {
            let classes = by_time(times, hours, rows).ok_or_else(|| Error::Data {
                location: Location::file(file).field(label).into(),
                what: "a subject has labels of times at which it has no step, or two of one time"
                    .into(),
                hint: "give each label the time of a row of the series".into(),
            })?;
            targets.insert(who.clone(), Target::PerStep(classes.iter().map(number).collect()));
            continue;
        }
        if !labels.hours.is_empty() {
            let none = vec![None; sequence.len()];
            targets.insert(who.clone(), Target::PerStep(none));
            continue;
        }
        if rows.len() != sequence.len() {
            return Err(Error::Data {
                location: Location::file(file).field(label).into(),
                what: format!(
                    "a subject has {} rows of labels and {} steps",
                    rows.len(),
                    sequence.len()
                ),
                hint: "give one row for each step".into(),
            });
        }
        targets.insert(who.clone(), Target::PerStep(rows.iter().map(number).collect()));
    }
    Ok(targets)
}

/// The label of each step, by times (hours) that are the same to half a millisecond: of the steps of
/// that time the nearest that has none yet; `None` where a label finds no step.
fn by_time(times: &[f64], hours: &[f64], rows: &[Option<u32>]) -> Option<Vec<Option<u32>>> {
    const SAME: f64 = 0.0005 / 3600.0;
    let mut classes = vec![None; times.len()];
    // The next step that has no label yet, at or after each; found by halving the way there.
    let mut free: Vec<usize> = (0..=times.len()).collect();
    for (hour, row) in hours.iter().zip(rows) {
        let from = times.partition_point(|time| *time < hour - SAME);
        let exact = times.partition_point(|time| time < hour);
        let fits = |at: usize| times.get(at).is_some_and(|time| (time - hour).abs() <= SAME);
        let at = [exact, from].map(|start| next_free(&mut free, start));
        let at = at.into_iter().find(|at| fits(*at))?;
        free[at] = at + 1;
        classes[at] = *row;
    }
    Some(classes)
}

/// The first step at or after one that has no label yet.
fn next_free(free: &mut [usize], start: usize) -> usize {
    let mut at = start;
    while let Some(&next) = free.get(at).filter(|next| **next != at) {
        if let Some(&after) = free.get(next) {
            free[at] = after;
        }
        at = next;
    }
    at
}

fn notes(cohort: &Cohort, label: &str) -> Vec<String> {
    let mut notes = cohort.notes().to_vec();
    let without = cohort.subjects().len() - known_subjects(cohort);
    if without > 0 {
        notes.push(format!("{without} subjects have no {label} and were left out"));
    }
    let unknown: usize = cohort
        .sequences()
        .iter()
        .filter_map(|sequence| match &sequence.target {
            Target::PerStep(classes) if classes.iter().any(Option::is_some) => {
                Some(classes.iter().filter(|class| class.is_none()).count())
            }
            _ => None,
        })
        .sum();
    if unknown > 0 {
        notes.push(format!(
            "{unknown} steps have no {label}: the model sees them, but is neither trained nor \
             judged there"
        ));
    }
    notes
}

fn known_subjects(cohort: &Cohort) -> usize {
    let mut known: Vec<&SubjectId> =
        known_steps(cohort).map(|(at, _)| &cohort.sequences()[at].subject).collect();
    known.sort_unstable();
    known.dedup();
    known.len()
}

/// Series for a model of steps with the class of each step, to judge it by.
pub(super) fn read(
    path: &Path,
    labels: Option<&Path>,
    model: &Model,
    limits: &Limits,
) -> Result<Vec<Sequence>, Error> {
    let classes = model.classes()?;
    let found = match &model.manifest().study.data {
        Data::Csv(data @ CsvData { subject: Some(subject), .. }) => {
            let time = labels.and_then(|_| time_column(data));
            let columns = StepLabelColumns { subject, label: &classes.label, time: time.as_ref() };
            let file = labels.unwrap_or(path);
            let labels = read_step_labels(file, columns, &classes.names, limits)?;
            let cohort = model.cohort(&read_input(path, model, limits)?)?;
            let targets = targets(file, &classes.label, &cohort, &labels, &classes.names)?;
            cohort.with_targets(&targets)
        }
        _ if labels.is_some() => {
            return Err(Error::Unsupported {
                location: Location::default().field("--labels").into(),
                what: "the class of each step stands in these files themselves".into(),
                hint: "leave it out".into(),
            });
        }
        _ => read_cohort(path, None, model, limits)?,
    };
    let known: Vec<usize> = known_steps(&found).map(|(at, _)| at).collect();
    if known.is_empty() {
        return Err(no_match(path, &classes.label));
    }
    Ok(found.select(&known).sequences().to_vec())
}

#[cfg(test)]
mod tests {
    use super::by_time;

    #[test]
    fn a_label_belongs_to_the_step_of_its_time_or_the_next_that_is_free() {
        let (a, b, c) = (Some(1), Some(2), Some(3));
        let milliseconds = |of: &[f64]| of.iter().map(|at| at / 3.6e6).collect::<Vec<f64>>();
        let find = |times: &[f64], hours: &[f64], rows: &[Option<u32>]| {
            by_time(&milliseconds(times), &milliseconds(hours), rows)
        };
        assert_eq!(find(&[0.0, 0.25], &[0.25], &[a]), Some(vec![None, a]));
        assert_eq!(find(&[0.0, 0.25], &[0.25, 0.0], &[a, b]), Some(vec![b, a]));
        // Steps of one time are taken in their order.
        assert_eq!(find(&[5.0, 5.0, 5.0], &[5.0, 5.0], &[a, b]), Some(vec![a, b, None]));
        assert_eq!(find(&[5.0, 5.0], &[5.0, 5.0, 5.0], &[a, b, c]), None);
        // Times that were rounded on the way are still the same, others are not.
        assert_eq!(find(&[5.0, 9.0], &[9.3], &[a]), Some(vec![None, a]));
        assert_eq!(find(&[5.0, 9.0], &[8.7], &[a]), Some(vec![None, a]));
        assert_eq!(find(&[5.0, 9.0], &[7.0], &[a]), None);
        assert_eq!(find(&[], &[7.0], &[a]), None);
    }

    #[test]
    fn many_steps_of_one_time_take_no_square_of_looks() {
        let times = vec![1.0; 200_000];
        let rows: Vec<Option<u32>> = (0..200_000).map(Some).collect();
        assert_eq!(by_time(&times, &times, &rows), Some(rows.clone()));
    }
}
