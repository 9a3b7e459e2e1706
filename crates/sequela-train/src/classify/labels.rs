//! Which subject is of which class, and the split that follows from it.

use std::collections::BTreeMap;
use std::path::Path;

use sequela_core::{Limits, Location, Sequence, SubjectId, Target};
use sequela_data::Cohort;
use sequela_data::split::Parts;
use sequela_eval::classify::ThresholdRule;
use sequela_formats::csv::{Labels, read_labels};

use super::{Classes, parts, steps};
use crate::model::Model;
use crate::predict::{read_cohort, read_input};
use crate::study::{CsvData, Data, LabelSpec, Study, Task};
use crate::{Error, source};

/// A cohort with a class for each subject, and its parts.
pub(super) struct Labelled {
    pub(super) cohort: Cohort,
    pub(super) parts: Parts,
    pub(super) names: Vec<String>,
    /// What has to be known about those who were left out.
    pub(super) notes: Vec<String>,
    /// Subjects in the data, those without a class too.
    pub(super) read: usize,
}

/// Loads series and classes of a study and splits them.
pub(super) fn load(study: &Study, limits: &Limits) -> Result<Labelled, Error> {
    let (Some(label), Some(path)) = (study.data.label(), study.data.path()) else {
        return Err(Error::data("data.label", "there are no classes", "report this as a bug"));
    };
    let label = &label;
    if study.study.task == Task::Label {
        return steps::load(study, label, path, limits);
    }
    let cohort = source::load(study, limits)?;
    let file = match &label.file {
        Some(file) => source::find(file, &study.base, "data.label.file")?,
        None => source::find(path, &study.base, "data.path")?,
    };
    let labels = match &study.data {
        Data::Csv(CsvData { subject: Some(subject), .. }) => {
            read_labels(&file, (subject, &label.name), limits)?
        }
        _ => of_targets(&cohort, &label.classes),
    };
    let words = words_of(&labels);
    // Of cases each has its own class, and one subject may have several.
    let are_cases = matches!(study.data, Data::Meds(_));
    let known: Vec<usize> = positions(&cohort, |who| words.contains_key(who));
    let labelled = cohort.select(&known);
    if labelled.is_empty() {
        return Err(no_match(&file, &label.name));
    }
    let parts = parts::split(study, &labelled, &words)?;
    let names = names(label, &parts.train, &words)?;
    let classes = numbers(&words, &names);
    let with = |part: &Cohort, name: &str| -> Result<Cohort, Error> {
        refuse_strangers(part, name, (&words, &classes), label)?;
        Ok(if are_cases { part.clone() } else { part.with_targets(&classes) })
    };
    let parts = Parts {
        train: with(&parts.train, "training")?,
        tune: with(&parts.tune, "tuning")?,
        test: with(&parts.test, "test")?,
    };
    let mut notes = notes(&cohort, &labels, label);
    notes.extend(parts::note(study, &parts)?);
    let read = cohort.subjects().len();
    let labelled = if are_cases { labelled } else { labelled.with_targets(&classes) };
    Ok(Labelled { cohort: labelled, parts, names, notes, read })
}

/// The words of the classes that a cohort came with.
fn of_targets(cohort: &Cohort, names: &[String]) -> Labels {
    let mut labels = Labels { words: BTreeMap::new(), without: Vec::new() };
    for sequence in cohort.sequences() {
        let subject = sequence.subject.as_str().to_owned();
        let word = match sequence.target {
            Target::Class(class) => names.get(class as usize),
            _ => None,
        };
        // Of several cases the highest class says in which stratum a subject is drawn.
        let rank = |word: &String| names.iter().position(|name| name == word);
        let known = labels.words.get(&subject);
        if word.is_some_and(|word| known.is_some_and(|known| rank(known) >= rank(word))) {
            continue;
        }
        match word {
            Some(word) => drop(labels.words.insert(subject, word.clone())),
            None => labels.without.push(subject),
        }
    }
    labels
}

/// Series for a classifier with the class of each subject, to judge it by: from the same table,
/// or from a second one, `labels`, keyed by the same subject column; of a layout that has files of
/// outcomes, from `labels` or those in or beside `path`. Subjects without a class are left out. For a
/// model of steps, with the class of each step, from `path` itself.
///
/// # Errors
/// As [`read_input`](crate::read_input), and what reading the classes gives;
/// [`Error::Unsupported`] where the model does not classify; [`Error::Schema`] for a class that it
/// does not know; [`Error::Data`] where no subject has a class.
pub fn read_labelled(
    path: &Path,
    labels: Option<&Path>,
    model: &Model,
    limits: &Limits,
) -> Result<Vec<Sequence>, Error> {
    if model.manifest().study.study.task == Task::Label {
        return steps::read(path, labels, model, limits);
    }
    let classes = model.classes()?;
    let file = labels.unwrap_or(path);
    let Data::Csv(CsvData { subject: Some(subject), .. }) = &model.manifest().study.data else {
        let mut found = read_cohort(path, labels, model, limits)?.sequences().to_vec();
        found.retain(|sequence| matches!(sequence.target, Target::Class(_)));
        return if found.is_empty() { Err(no_match(file, &classes.label)) } else { Ok(found) };
    };
    let labels = read_labels(file, (subject, &classes.label), limits)?;
    let words = words_of(&labels);
    let targets = numbers(&words, &classes.names);
    let mut found = Vec::new();
    for mut sequence in read_input(path, model, limits)? {
        let Some(word) = words.get(&sequence.subject) else { continue };
        let Some(target) = targets.get(&sequence.subject) else {
            return Err(Error::Schema {
                location: Location::file(file).field(classes.label.as_str()).into(),
                what: format!("the model does not know the class {word}"),
                hint: format!("its classes are {}", classes.names.join(", ")),
            });
        };
        sequence.target = target.clone();
        found.push(sequence);
    }
    if found.is_empty() {
        return Err(no_match(file, &classes.label));
    }
    Ok(found)
}

fn words_of(labels: &Labels) -> BTreeMap<SubjectId, &str> {
    labels.words.iter().map(|(who, word)| (SubjectId::new(who), word.as_str())).collect()
}

fn positions(cohort: &Cohort, wanted: impl Fn(&SubjectId) -> bool) -> Vec<usize> {
    let all = cohort.sequences().iter().enumerate();
    all.filter(|(_, sequence)| wanted(&sequence.subject)).map(|(at, _)| at).collect()
}

pub(super) fn no_match(file: &Path, label: &str) -> Error {
    Error::Data {
        location: Location::file(file).field(label).into(),
        what: "no subject of the series has a class here".into(),
        hint: "check that both write their subjects in the same way".into(),
    }
}

/// The classes: those that the study names, else the words of the training subjects.
fn names(
    label: &LabelSpec,
    train: &Cohort,
    words: &BTreeMap<SubjectId, &str>,
) -> Result<Vec<String>, Error> {
    if !label.classes.is_empty() {
        return Ok(label.classes.clone());
    }
    let mut names: Vec<String> = train
        .subjects()
        .iter()
        .filter_map(|who| words.get(who))
        .map(|word| (*word).to_owned())
        .collect();
    names.sort_unstable();
    names.dedup();
    match names.len() {
        2..=MOST_CLASSES => Ok(names),
        0 | 1 => Err(Error::data(
            "data.label",
            "all training subjects are of one class",
            "give subjects of at least two classes",
        )),
        _ => Err(Error::data(
            "data.label",
            format!("there are more than {MOST_CLASSES} classes"),
            "name a column of classes, not of measurements; numbers are forecast, not classified",
        )),
    }
}

/// The class of each subject whose word is among the names.
fn numbers(words: &BTreeMap<SubjectId, &str>, names: &[String]) -> BTreeMap<SubjectId, Target> {
    let mut numbers = BTreeMap::new();
    for (who, word) in words {
        if let Some(class) = names.iter().position(|name| name == word) {
            numbers.insert(who.clone(), Target::Class(u32::try_from(class).unwrap_or(u32::MAX)));
        }
    }
    numbers
}

/// Refuses a part in which a class stands that is not one of the classes.
fn refuse_strangers(
    part: &Cohort,
    name: &str,
    (words, classes): (&BTreeMap<SubjectId, &str>, &BTreeMap<SubjectId, Target>),
    label: &LabelSpec,
) -> Result<(), Error> {
    let subjects = part.subjects();
    let strangers: Vec<&str> = subjects
        .iter()
        .filter(|who| !classes.contains_key(who))
        .filter_map(|who| words.get(who).copied())
        .collect();
    let Some(first) = strangers.first() else { return Ok(()) };
    let named = !label.classes.is_empty();
    let count = strangers.iter().filter(|word| *word == first).count();
    let (of, known) = if named {
        ("which is not among data.label.classes", "add it there")
    } else {
        ("which no training subject has", "give more subjects of it")
    };
    Err(Error::data(
        "data.label",
        format!("{count} subjects of the {name} part are of class {first}, {of}"),
        format!("{known}, or leave them out of the table"),
    ))
}

fn notes(cohort: &Cohort, labels: &Labels, label: &LabelSpec) -> Vec<String> {
    let mut notes = cohort.notes().to_vec();
    // Sorted, as subjects are.
    let subjects = cohort.subjects();
    let without = subjects.iter().filter(|who| !labels.words.contains_key(who.as_str())).count();
    if without > 0 {
        notes.push(format!("{without} subjects have no {} and were left out", label.name));
    }
    let in_cohort = |who: &str| subjects.binary_search_by(|s| s.as_str().cmp(who)).is_ok();
    let strangers = labels.words.keys().filter(|who| !in_cohort(who)).count();
    if strangers > 0 {
        notes.push(format!("{strangers} subjects have a {} but no series", label.name));
    }
    notes
}

/// Classes at most, where the study does not name them.
pub(crate) const MOST_CLASSES: usize = 100;

impl Classes {
    /// The classes of a study, from its training part.
    pub(super) fn of(study: &Study, names: &[String], counts: &[usize]) -> Result<Self, Error> {
        let label = study.data.label().map_or_else(|| "class".to_owned(), |label| label.name);
        if names.len() > 2 && study.evaluate.threshold != ThresholdRule::default() {
            return Err(Error::Study {
                location: Location::file("study").field("evaluate.threshold").into(),
                what: format!("a threshold is for two classes, there are {}", names.len()),
                hint: "leave it out: of more classes the most probable is chosen".into(),
            });
        }
        Self::new(&label, names.to_vec(), counts, &study.train.class_weights)
    }
}
