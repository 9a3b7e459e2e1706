//! What a model is worth, whatever its task.

use crate::classify::{ClassEvaluation, FoldEvaluation};
use crate::evaluation::Evaluation;

/// The judgement of a model beside its baselines.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Judged {
    /// Of a forecaster.
    Forecasts(Evaluation),
    /// Of a classifier.
    Classes(ClassEvaluation),
    /// Of the classifiers of a cross-validation.
    Folds(FoldEvaluation),
}

impl Judged {
    /// The errors, where forecasts were judged.
    pub fn forecasts(&self) -> Option<&Evaluation> {
        match self {
            Self::Forecasts(evaluation) => Some(evaluation),
            _ => None,
        }
    }

    /// The figures, where classes were judged; of a cross-validation those of all folds together.
    pub fn classes(&self) -> Option<&ClassEvaluation> {
        match self {
            Self::Classes(evaluation) => Some(evaluation),
            Self::Folds(evaluation) => Some(&evaluation.pooled),
            Self::Forecasts(_) => None,
        }
    }

    /// Adds a note to those that have to be known to read the figures.
    pub fn note(&mut self, note: impl Into<String>) {
        match self {
            Self::Forecasts(evaluation) => evaluation.notes.push(note.into()),
            Self::Classes(evaluation) => evaluation.notes.push(note.into()),
            Self::Folds(evaluation) => evaluation.pooled.notes.push(note.into()),
        }
    }

    /// Tables and notes for a terminal.
    pub fn text(&self) -> String {
        match self {
            Self::Forecasts(evaluation) => evaluation.text(),
            Self::Classes(evaluation) => evaluation.text(),
            Self::Folds(evaluation) => evaluation.text(),
        }
    }

    /// Tables and notes as Markdown.
    pub fn markdown(&self) -> String {
        match self {
            Self::Forecasts(evaluation) => evaluation.markdown(),
            Self::Classes(evaluation) => evaluation.markdown(),
            Self::Folds(evaluation) => evaluation.markdown(),
        }
    }

    /// All figures as JSON.
    pub fn to_json(&self) -> String {
        match self {
            Self::Forecasts(evaluation) => evaluation.to_json(),
            Self::Classes(evaluation) => evaluation.to_json(),
            Self::Folds(evaluation) => evaluation.to_json(),
        }
    }
}

/// Notes as a Markdown list, a blank line before it.
pub(crate) fn notes_list(notes: &[String]) -> String {
    let mut text = notes.iter().fold(String::new(), |text, note| text + "\n- " + note);
    if !notes.is_empty() {
        text.push('\n');
    }
    text
}
