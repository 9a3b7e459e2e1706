//! What a classifier is worth, for people who have to judge it: a page, its numbers, and what was
//! said of whom.

use sequela_core::Sequence;
use sequela_data::Cohort;
use sequela_data::envelope::{Envelope, Placing};
use sequela_eval::bootstrap::Bootstrap;
use sequela_eval::classify::{Least, Subgroup, subgroups};
use sequela_eval::report::{self, Drawn, Missing};
use sequela_formats::csv::{Cell, to_csv};
use sequela_kernels::Context;

use super::cases::{Asked, Cases};
use super::evaluation::{Candidate, ClassEvaluation, candidates, truth};
use super::groups::Grouping;
use super::predictions::{Predictions, columns, time_of};
use super::turns::tuned_words;
use super::{Classes, FoldEvaluation, dossier_page};
use crate::Error;
use crate::model::{ChannelSpec, Model};
use crate::overlap::Overlap;
use crate::predict::Options;
use crate::report::RunFile;
use crate::study::Study;

/// A judgement with everything that goes with it.
#[derive(Debug, Clone)]
pub struct ClassReport {
    /// The figures.
    pub evaluation: ClassEvaluation,
    /// One page with everything, for people.
    pub html: String,
    /// Its numbers, for machines.
    pub json: String,
    /// `subject_id, prediction_time, y_true, probability`: names the people that were judged.
    pub predictions: Vec<u8>,
}

/// Who was read, and who is judged.
#[derive(Debug, Clone, Default)]
pub(super) struct Flow {
    /// From top to bottom, each with what leaves it.
    pub(super) boxes: Vec<(String, Option<String>)>,
}

/// A model and the people that it is judged on.
pub(super) struct Judging<'a> {
    pub(super) model: &'a Model,
    pub(super) classes: &'a Classes,
    pub(super) people: &'a Cohort,
}

/// Everything that a report is made from.
pub(super) struct Dossier<'a> {
    pub(super) study: &'a Study,
    /// One; of a cross-validation one for each fold, in the order of the cases.
    pub(super) each: Vec<Judging<'a>>,
    /// The figures of the folds, where there are several.
    pub(super) folds: Option<&'a FoldEvaluation>,
    pub(super) cases: &'a Cases,
    pub(super) candidates: &'a [Candidate],
    pub(super) evaluation: &'a ClassEvaluation,
    pub(super) flow: Flow,
    /// Whom of the people the model was made with; none for the parts of its own study.
    pub(super) overlap: Option<&'a Overlap>,
    /// Threads that share the draws of the intervals.
    pub(super) threads: usize,
}

/// What is worked out for a report.
pub(super) struct Findings {
    /// Of each class that is shown, its name and its pictures.
    pub(super) pictures: Vec<(String, Drawn)>,
    pub(super) groups: Vec<Subgroup>,
    pub(super) missing: Vec<Missing>,
    /// Where each judged series lies, where the model knows.
    pub(super) placings: Option<Vec<Placing>>,
}

/// Judges a classifier on series with their classes, with a report.
///
/// `by` names channels that part people (`male`, `age:45,65`), beside those of the study; `overlap`
/// says whom of them the model was made with, which stands before all figures.
///
/// # Errors
/// As [`evaluate`](crate::evaluate); [`Error::Study`] for a part that cannot be made.
pub fn report_classes(
    model: &Model,
    sequences: &[Sequence],
    by: &[String],
    overlap: &Overlap,
    options: &Options<'_>,
) -> Result<ClassReport, Error> {
    let classes = model.classes()?;
    let manifest = model.manifest();
    let people = model.cohort(sequences)?;
    let cases = Cases::of(&people, &manifest.encoder, Asked::known(&manifest.study))?;
    let mut context = Context::new(options.threads.max(1))?;
    let candidates = candidates(model, classes, &cases, &mut context)?;
    let threads = context.threads();
    let mut evaluation =
        ClassEvaluation::judge(classes, &cases, &candidates, &manifest.study, threads)?;
    evaluation.notes.extend(overlap.note());
    let dossier = Dossier {
        study: &manifest.study,
        each: vec![Judging { model, classes, people: &people }],
        folds: None,
        cases: &cases,
        candidates: &candidates,
        evaluation: &evaluation,
        flow: Flow {
            boxes: vec![
                (training(model), Some("before, on the data of the study".into())),
                (format!("judged: {}", evaluation.judged()), None),
            ],
        },
        overlap: Some(overlap),
        threads,
    };
    let [html, json, predictions] = dossier.make(by)?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_default();
    Ok(ClassReport { html: text(html), json: text(json), predictions, evaluation })
}

/// Who the model was made from.
fn training(model: &Model) -> String {
    let [train, tune, _] = &model.manifest().provenance.parts;
    let tuned = tuned_words(&model.manifest().study, tune.subjects);
    format!("trained on {} subjects, {tuned}", train.subjects)
}

impl Dossier<'_> {
    /// The files of a run.
    pub(super) fn files(&self) -> Result<Vec<RunFile>, Error> {
        let [html, json, predictions] = self.make(&[])?;
        Ok(vec![(REPORT, html), (NUMBERS, json), (PREDICTIONS, predictions)])
    }

    /// The classes, of which every fold has the same.
    pub(super) fn classes(&self) -> &Classes {
        self.each[0].classes
    }

    /// The channels, where all folds have the same.
    pub(super) fn schema(&self) -> Option<&[ChannelSpec]> {
        let mut all = self.each.iter().map(|one| one.model.manifest().schema.as_slice());
        let first = all.next()?;
        all.all(|schema| schema == first).then_some(first)
    }

    /// Every judged series, in the order of the cases.
    fn sequences(&self) -> impl Iterator<Item = &Sequence> {
        self.each.iter().flat_map(|one| one.people.sequences())
    }

    fn make(&self, by: &[String]) -> Result<[Vec<u8>; 3], Error> {
        let findings = Findings {
            pictures: self.pictures()?,
            groups: self.groups(by)?,
            missing: self.missing(),
            placings: self.placings(),
        };
        let html = dossier_page::html(self, &findings).into_bytes();
        let json = dossier_page::json(self, &findings).into_bytes();
        Ok([html, json, self.predictions()])
    }

    fn bootstrap(&self) -> Bootstrap {
        let (replicates, threads) = (self.study.evaluate.replicates, self.threads);
        Bootstrap { replicates, threads, ..Bootstrap::default() }
    }

    /// The pictures of the second of two classes, or of each of more.
    fn pictures(&self) -> Result<Vec<(String, Drawn)>, Error> {
        let bootstrap = self.bootstrap();
        let truth = truth(self.classes(), self.cases)?;
        let judged: Vec<report::Judged<'_>> = self
            .candidates
            .iter()
            .map(|candidate| report::Judged {
                name: &candidate.name,
                answers: &candidate.answers,
                threshold: candidate.threshold,
            })
            .collect();
        let count = self.classes().count();
        let told = if count == 2 { 1..2 } else { 0..count.min(MOST) };
        told.map(|class| {
            let case = self.classes().names[class].as_str();
            Ok((case.to_owned(), report::figures(&truth, (class, case), &judged, &bootstrap)?))
        })
        .collect()
    }

    fn groups(&self, by: &[String]) -> Result<Vec<Subgroup>, Error> {
        let study = &self.study.evaluate;
        let truth = truth(self.classes(), self.cases)?;
        // Folds whose channels differ have no groups in common.
        let Some(schema) = self.schema() else { return Ok(Vec::new()) };
        let Some(model) = self.candidates.first() else { return Ok(Vec::new()) };
        let bootstrap = self.bootstrap();
        let mut all = Vec::new();
        let mut seen: Vec<&String> = Vec::new();
        for (at, text) in study.subgroups.iter().chain(by).enumerate() {
            if seen.contains(&text) {
                continue;
            }
            seen.push(text);
            let place = if at < study.subgroups.len() {
                sequela_core::Location::file("study").field(format!("evaluate.subgroups[{at}]"))
            } else {
                sequela_core::Location::file("--by").field(text.as_str())
            };
            let grouping = Grouping::parse(text, schema, &place)?;
            let parts = grouping.parts(self.sequences())?;
            let rows = |series: Vec<usize>| -> Vec<usize> {
                series.into_iter().flat_map(|series| self.cases.rows_of(series)).collect()
            };
            let parts: Vec<(String, Vec<usize>)> =
                parts.into_iter().map(|(name, series)| (name, rows(series))).collect();
            let name = grouping.name.as_str();
            let answers = &model.answers;
            all.extend(subgroups(&truth, answers, (name, &parts), Least::default(), &bootstrap)?);
        }
        Ok(all)
    }

    fn missing(&self) -> Vec<Missing> {
        let mut all: Vec<(Missing, f64)> = Vec::new();
        for one in &self.each {
            let Some(train) = &one.model.manifest().encoder.envelope else { return Vec::new() };
            let here = Envelope::of(one.people);
            for (train, here) in train.channels.iter().zip(here.channels) {
                let (absent, missing) =
                    ([train.absent, here.absent], [train.missing, here.missing]);
                let (channel, unit) = (train.name.clone(), train.unit.clone());
                let Some((known, folds)) = all.iter_mut().find(|(row, _)| row.channel == channel)
                else {
                    all.push((Missing { channel, unit, absent, missing }, 1.0));
                    continue;
                };
                // Of several folds the mean.
                *folds += 1.0;
                for (mean, new) in [(&mut known.absent, absent), (&mut known.missing, missing)] {
                    for (mean, new) in mean.iter_mut().zip(new) {
                        *mean += (new - *mean) / *folds;
                    }
                }
            }
        }
        all.into_iter().map(|(row, _)| row).collect()
    }

    fn placings(&self) -> Option<Vec<Placing>> {
        let mut all = Vec::new();
        for one in &self.each {
            let envelope = one.model.manifest().encoder.envelope.as_ref()?;
            all.extend(one.people.sequences().iter().map(|sequence| envelope.place(sequence)));
        }
        Some(all)
    }

    /// What the model said of whom; with more than two classes a column for each.
    fn predictions(&self) -> Vec<u8> {
        let Some(model) = self.candidates.first() else { return Vec::new() };
        let count = self.classes().count();
        let names = &self.classes().names;
        let header = columns(self.folds.is_some(), if count == 2 { &[] } else { names });
        let sequences: Vec<&Sequence> = self.sequences().collect();
        // The fold of each series.
        let folds: Vec<usize> = (1..)
            .zip(&self.each)
            .flat_map(|(fold, one)| std::iter::repeat_n(fold, one.people.len()))
            .collect();
        let rows = self.cases.class.iter().zip(model.answers.probabilities.chunks_exact(count));
        let rows: Vec<Vec<Cell>> = rows
            .enumerate()
            .map(|(row, (class, p))| {
                let (of, step) = self.cases.place(row);
                let sequence = sequences[of];
                let time = time_of(sequence, step).parse().map_or(Cell::Missing, Cell::Number);
                let truth = match class {
                    Some(class) if count == 2 => Cell::Integer(i64::from(*class)),
                    Some(class) => Cell::Text(names[*class as usize].clone()),
                    None => Cell::Missing,
                };
                let told = if count == 2 { &p[1..] } else { p };
                let subject = Cell::Text(sequence.subject.as_str().to_owned());
                let mut row = vec![subject, time];
                if self.folds.is_some() {
                    row.push(Cell::Integer(i64::try_from(folds[of]).unwrap_or(0)));
                }
                row.push(truth);
                row.extend(told.iter().map(|&p| Cell::Number(Predictions::shown(p))));
                row
            })
            .collect();
        to_csv(&header.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
    }
}

/// The page for people.
pub(super) const REPORT: &str = "report.html";
/// Its numbers.
pub(super) const NUMBERS: &str = "report.json";
/// What was said of whom.
pub(super) const PREDICTIONS: &str = "predictions.csv";
/// Classes with pictures of their own, at most.
const MOST: usize = 7;
