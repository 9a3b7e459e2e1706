//! The error of this crate and the classes that every crate's errors fall into.

use crate::Location;

/// What kind of failure an error is; decides the exit code of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The arguments or the study are wrong (exit 2).
    Usage,
    /// The data are malformed, unsupported or do not fit the model (exit 3).
    Input,
    /// Reading or writing failed (exit 4).
    Io,
    /// A file is not what its digest or schema says (exit 5).
    Integrity,
    /// A bug in sequela (exit 70).
    Internal,
}

impl Class {
    /// The exit code that the command line gives for this class.
    ///
    /// # Example
    /// ```
    /// assert_eq!(sequela_core::Class::Integrity.exit_code(), 5);
    /// ```
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Input => 3,
            Self::Io => 4,
            Self::Integrity => 5,
            Self::Internal => 70,
        }
    }
}

/// Why a shared value could not be made.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Two parts of a value disagree in size or order.
    #[error("{location}: {what}")]
    Inconsistent {
        /// Where the value came from.
        location: Location,
        /// What disagrees.
        what: String,
    },
    /// A size is over its limit.
    #[error("{location}: {what} is {found}, over the limit of {limit}")]
    Limit {
        /// Where the value came from.
        location: Location,
        /// The size that is too large.
        what: String,
        /// The size found.
        found: u64,
        /// The limit.
        limit: u64,
    },
}

impl Error {
    /// The class of this error: always [`Class::Input`].
    pub fn class(&self) -> Class {
        Class::Input
    }
}
