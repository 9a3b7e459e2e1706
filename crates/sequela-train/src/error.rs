//! Why a study, a run or a model file was refused.

use std::path::PathBuf;

use sequela_core::{Class, Location};

/// The error of this crate; each is one line: place, fault, remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A study does not say what it must, or says what cannot be.
    #[error("{location}: {what}; {hint}")]
    Study {
        /// File, line and field, or the override.
        location: Box<Location>,
        /// What is wrong.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A size is over its limit.
    #[error("{location}: {what} is over the limit of {limit}; {hint}")]
    TooLarge {
        /// The field.
        location: Box<Location>,
        /// The size that is too large, and what it would cost.
        what: String,
        /// The limit.
        limit: u64,
        /// What to do about it.
        hint: String,
    },
    /// What is asked for is not built yet.
    #[error("{location}: {what}; {hint}")]
    Unsupported {
        /// The field.
        location: Box<Location>,
        /// What it is.
        what: String,
        /// What there is instead.
        hint: String,
    },
    /// The data leave nothing to train or to judge on.
    #[error("{location}: {what}; {hint}")]
    Data {
        /// The part of the data.
        location: Box<Location>,
        /// What is missing.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// The data are not those that the model was made for.
    #[error("{location}: {what}; {hint}")]
    Schema {
        /// The data.
        location: Box<Location>,
        /// Which channel or unit differs.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A file of another program holds what is not read here, or a model what cannot be written.
    #[error("{location}: {what}; {hint}")]
    Foreign {
        /// The file and the place in it.
        location: Box<Location>,
        /// What it is.
        what: String,
        /// What is read instead, or what to do.
        hint: String,
    },
    /// The loss or a gradient is not a finite number; the run was stopped.
    #[error(
        "epoch {epoch}, batch {batch} of {subjects} subjects: the {what} is not a finite number; \
         {hint}"
    )]
    NotFinite {
        /// The epoch, from 1.
        epoch: u64,
        /// The batch in the epoch, from 1.
        batch: u64,
        /// Subjects with a window in the batch.
        subjects: usize,
        /// `loss` or `gradient`.
        what: &'static str,
        /// The last checkpoint with finite weights.
        checkpoint: Option<PathBuf>,
        /// What to do about it.
        hint: String,
    },
    /// A run folder is not what the call expects, or a file of a study is not there.
    #[error("{location}: {what}; {hint}")]
    Folder {
        /// The folder or a file in it.
        location: Box<Location>,
        /// What is wrong.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A model file or checkpoint is damaged, was changed, or is of another version.
    #[error("{location}: {what}; {hint}")]
    Integrity {
        /// The file and the place in it.
        location: Box<Location>,
        /// What is wrong.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Format(#[from] sequela_formats::Error),
    /// Data could not be loaded, parted or cut.
    #[error(transparent)]
    Load(#[from] sequela_data::Error),
    /// A program could not be built or run.
    #[error(transparent)]
    Network(Box<sequela_nn::Error>),
    /// A kernel could not be started or broke.
    #[error(transparent)]
    Kernel(#[from] sequela_kernels::Error),
    /// A figure could not be made.
    #[error("{source}; {}", source.hint())]
    Judge {
        /// What could not be made.
        source: Box<sequela_eval::Error>,
    },
}

impl Error {
    /// What kind of failure this is.
    pub fn class(&self) -> Class {
        match self {
            Self::Study { .. } | Self::TooLarge { .. } | Self::Unsupported { .. } => Class::Usage,
            Self::Data { .. }
            | Self::Schema { .. }
            | Self::Foreign { .. }
            | Self::NotFinite { .. } => Class::Input,
            Self::Folder { .. } => Class::Io,
            Self::Integrity { .. } => Class::Integrity,
            Self::Format(error) => error.class(),
            Self::Load(error) => error.class(),
            Self::Network(error) => error.class(),
            Self::Kernel(error) => error.class(),
            Self::Judge { source } => source.class(),
        }
    }

    /// The remedy, where the message does not name it already; messages of this crate do.
    pub fn hint(&self) -> Option<String> {
        None
    }

    pub(crate) fn integrity(location: Location, what: impl Into<String>) -> Self {
        Self::Integrity {
            location: location.into(),
            what: what.into(),
            hint: "restore the file from where it was made".into(),
        }
    }

    pub(crate) fn foreign(
        location: Location,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Foreign { location: location.into(), what: what.into(), hint: hint.into() }
    }

    pub(crate) fn data(
        part: impl Into<String>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Data {
            location: Location::default().field(part).into(),
            what: what.into(),
            hint: hint.into(),
        }
    }
}

impl From<sequela_eval::Error> for Error {
    fn from(source: sequela_eval::Error) -> Self {
        Self::Judge { source: source.into() }
    }
}

impl From<sequela_nn::Error> for Error {
    fn from(source: sequela_nn::Error) -> Self {
        Self::Network(source.into())
    }
}
