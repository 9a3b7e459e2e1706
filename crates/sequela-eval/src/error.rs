//! Why a figure could not be made.

use sequela_core::{Class, Location};

/// Why a metric or a picture could not be made.
///
/// Messages hold no data value; [`Error::hint`] says what to do.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Two inputs that belong together differ in size.
    #[error("{location}: {what} has {found} entries, {expected} are needed")]
    Shape {
        /// Which input.
        location: Location,
        /// Its name.
        what: &'static str,
        /// Entries found.
        found: usize,
        /// Entries needed.
        expected: usize,
    },
    /// A prediction, probability, weight or scale is not a number that can be scored.
    #[error("{location}: {what} is {fault}")]
    Value {
        /// The row, counted from 0, as the field.
        location: Location,
        /// What the value is.
        what: &'static str,
        /// What is wrong with it, without the value.
        fault: &'static str,
    },
    /// There is nothing to score: no observed target with a positive weight.
    #[error("{location}: no observed target with a positive weight")]
    Nothing {
        /// The horizon or metric.
        location: Location,
    },
    /// A ranking metric needs cases and controls, and only one of them is there.
    #[error("{location}: only one class is present, {metric} is not defined")]
    OneClass {
        /// Where the labels came from.
        location: Location,
        /// The metric.
        metric: &'static str,
    },
    /// The metric divides by something that is zero here.
    #[error("{location}: {metric} is not defined, {why}")]
    Undefined {
        /// The horizon or subject.
        location: Location,
        /// The metric.
        metric: &'static str,
        /// What is zero.
        why: &'static str,
    },
}

impl Error {
    /// The class of this error: [`Class::Input`] for data, [`Class::Internal`] for a broken call.
    pub fn class(&self) -> Class {
        match self {
            Self::Shape { .. } => Class::Internal,
            _ => Class::Input,
        }
    }

    /// What to do about it, one line.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Shape { .. } => "pass one entry for each row and horizon",
            Self::Value { .. } => "check the model's output and the weights for this row",
            Self::Nothing { .. } => "choose a shorter horizon or records with fewer gaps",
            Self::OneClass { .. } => "evaluate on a set that has both outcomes",
            Self::Undefined { .. } => "choose another baseline or leave this subject out",
        }
    }
}

/// The place of row `row`.
pub(crate) fn row(row: usize) -> Location {
    Location::default().field(format!("row {row}"))
}

/// A named place without a file.
pub(crate) fn place(name: impl Into<String>) -> Location {
    Location::default().field(name)
}
