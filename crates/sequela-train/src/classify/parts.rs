//! Who is trained on, tuned on and judged on, where everybody has a class.

use std::collections::{BTreeMap, BTreeSet};

use sequela_core::{Location, SubjectId};
use sequela_data::Cohort;
use sequela_data::split::{
    Folds, Parts, Split, by_start, by_subject_within_classes, check_leakage, folds, of_tested,
};

use super::groups::Grouping;
use crate::Error;
use crate::model::channels;
use crate::source::listed;
use crate::study::{SplitBy, Study};

/// Training, tuning and test part, as the study says; where it names nobody, each with about the
/// same share of every class.
pub(super) fn split(
    study: &Study,
    cohort: &Cohort,
    classes: &BTreeMap<SubjectId, &str>,
) -> Result<Parts, Error> {
    let (fractions, seed) = (study.split.fractions, study.study.seed);
    let split = match study.split.by {
        SplitBy::Group => by_group(study, cohort, classes)?,
        SplitBy::Start => by_start(cohort, fractions)?,
        SplitBy::Subject | SplitBy::Time | SplitBy::Published => {
            match (study.split.folds, listed(study, cohort)?) {
                (_, Some(split)) => split,
                (Some(count), None) => {
                    let folds =
                        folds(cohort, classes, Folds { count, tune: fractions.tune }, seed)?;
                    folds.into_iter().nth(fold(study)).unwrap_or_default()
                }
                (None, None) => by_subject_within_classes(cohort, classes, fractions, seed)?,
            }
        }
    };
    check_leakage(cohort, &split)?;
    Ok(split.parts(cohort))
}

/// The fold that is to be run, from 0.
fn fold(study: &Study) -> usize {
    study.split.fold.unwrap_or(1).saturating_sub(1)
}

/// Whole groups are tested: those that are named, or that of the fold.
fn by_group(
    study: &Study,
    cohort: &Cohort,
    classes: &BTreeMap<SubjectId, &str>,
) -> Result<Split, Error> {
    let text = study.split.group.as_deref().unwrap_or_default();
    let place = Location::file("study").field("split.group");
    let groups = Grouping::parse(text, &channels(cohort), &place)?.parts(cohort.sequences())?;
    let names: Vec<&str> = groups.iter().map(|(name, _)| name.as_str()).collect();
    let refuse = |field: &str, what: String, hint: String| {
        let location = Location::file("study").field(field).into();
        Err(Error::Study { location, what, hint })
    };
    let subjects = |wanted: &[String]| -> BTreeSet<SubjectId> {
        let members = groups.iter().filter(|(name, _)| wanted.contains(name));
        let rows = members.flat_map(|(_, rows)| rows);
        rows.map(|&at| cohort.sequences()[at].subject.clone()).collect()
    };
    let (test, tune) = match study.split.folds {
        Some(count) if count != names.len() => {
            let what = format!("each group is tested once, and there are {}", names.len());
            return refuse("split.folds", what, format!("write folds = {}", names.len()));
        }
        Some(_) => (vec![names[fold(study).min(names.len() - 1)].to_owned()], Vec::new()),
        None => (study.split.test.clone(), study.split.tune.clone()),
    };
    for (field, wanted) in [("split.test", &test), ("split.tune", &tune)] {
        if let Some(strange) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
            let what = format!("there is no group {strange} of {text}");
            return refuse(field, what, format!("the groups are {}", names.join(", ")));
        }
    }
    let tested = subjects(&test);
    if tune.is_empty() {
        let split =
            of_tested(cohort, &tested, (classes, study.split.fractions.tune), study.study.seed)?;
        return Ok(split);
    }
    let tuned = subjects(&tune);
    let mut split = of_tested(cohort, &tested, (classes, 0.0), study.study.seed)?;
    let is_tuned = |at: &usize| tuned.contains(&cohort.sequences()[*at].subject);
    (split.tune, split.train) = split.train.into_iter().partition(is_tuned);
    if split.train.is_empty() {
        let what = "nobody is left to train on".to_owned();
        return refuse("split", what, "leave a group out of test and tune".to_owned());
    }
    Ok(split)
}

/// What has to be known about parts that are not draws of the same people.
pub(super) fn note(study: &Study, parts: &Parts) -> Result<Option<String>, Error> {
    let tested = parts.test.subjects().len();
    match (study.split.by, &study.split.group) {
        (SplitBy::Start, _) => Ok(Some(format!(
            "tested are the {tested} subjects who came last; earlier ones were trained on"
        ))),
        (SplitBy::Group, Some(text)) => {
            let place = Location::file("study").field("split.group");
            let grouping = Grouping::parse(text, &channels(&parts.test), &place)?;
            let groups = grouping.parts(parts.test.sequences())?;
            let names: Vec<String> = groups.into_iter().map(|(name, _)| name).collect();
            let names = names.join(", ");
            Ok(Some(format!(
                "tested are the {tested} subjects with {text} {names}; none was trained on"
            )))
        }
        _ => Ok(None),
    }
}
