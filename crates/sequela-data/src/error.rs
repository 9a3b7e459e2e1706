//! The error of this crate.

use sequela_core::{Class, Location, SubjectId};

/// Why data could not be loaded, parted or cut into windows.
///
/// The text of each is one line: place, fault, remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error(transparent)]
    Format(#[from] sequela_formats::Error),
    /// A sequence broke its own rules.
    #[error(transparent)]
    Sequence(#[from] Box<sequela_core::Error>),
    /// The data do not fit what is asked of them.
    #[error("{location}: {what}; {hint}")]
    Unfit {
        /// The file, record or channel.
        location: Box<Location>,
        /// What does not fit.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// What is asked for makes no sense for any data.
    #[error("{field}: {what}; {hint}")]
    Request {
        /// The setting.
        field: &'static str,
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// Every series is shorter than a window with its targets.
    #[error(
        "{location}: the longest unbroken stretch of subject {} has {length} steps, but a window \
         and its horizons need {needed}; {hint}",
        subject.as_str()
    )]
    TooShort {
        /// The record.
        location: Box<Location>,
        /// Whose it is.
        subject: SubjectId,
        /// Steps of its longest unbroken stretch.
        length: usize,
        /// Steps of a window up to its last target.
        needed: usize,
        /// What to do about it.
        hint: String,
    },
    /// A subject stands on two sides of a split.
    #[error("subject {} is in both {first} and {second}; {hint}", subject.as_str())]
    Leakage {
        /// The subject.
        subject: SubjectId,
        /// One part.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// What to do about it.
        hint: String,
    },
    /// What is known outside training, or later, reaches the training part.
    #[error("{location}: {what}; {hint}")]
    Leak {
        /// The record or channel.
        location: Box<Location>,
        /// What reaches where.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A data set is not on this machine.
    #[error("data set {name} was not found; {hint}")]
    NoDataSet {
        /// Its name.
        name: String,
        /// Where it was looked for, and how to say where it is.
        hint: String,
    },
    /// A data set cannot be fetched.
    #[error("data set {name}: {what}; {hint}")]
    NoSource {
        /// Its name.
        name: String,
        /// Why not.
        what: String,
        /// How else to come by it.
        hint: String,
    },
    /// A file did not come.
    #[error("{place}: {what}; {hint}")]
    Fetch {
        /// Its address.
        place: String,
        /// What happened.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A file is not the one that it should be.
    #[error("{location}: {what}; {hint}")]
    Altered {
        /// The file.
        location: Box<Location>,
        /// How it differs.
        what: String,
        /// What to do about it.
        hint: String,
    },
}

impl Error {
    /// What kind of failure this is: that of the file for [`Error::Format`], [`Class::Usage`]
    /// for [`Error::Request`] and [`Error::NoSource`], [`Class::Io`] for a data set that is not
    /// there or does not come, [`Class::Integrity`] for [`Error::Altered`], else
    /// [`Class::Input`].
    pub fn class(&self) -> Class {
        match self {
            Self::Format(error) => error.class(),
            Self::Sequence(error) => error.class(),
            Self::Request { .. } | Self::NoSource { .. } => Class::Usage,
            Self::NoDataSet { .. } | Self::Fetch { .. } => Class::Io,
            Self::Altered { .. } => Class::Integrity,
            Self::Unfit { .. }
            | Self::TooShort { .. }
            | Self::Leakage { .. }
            | Self::Leak { .. } => Class::Input,
        }
    }

    pub(crate) fn unfit(
        location: Location,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Unfit { location: location.into(), what: what.into(), hint: hint.into() }
    }

    pub(crate) fn request(
        field: &'static str,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Request { field, what: what.into(), hint: hint.into() }
    }
}

impl From<sequela_core::Error> for Error {
    fn from(error: sequela_core::Error) -> Self {
        Self::Sequence(Box::new(error))
    }
}
