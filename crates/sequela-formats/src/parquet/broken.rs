//! What is wrong with a piece of a file, before its place is known.

use sequela_core::Location;

use crate::Error;

/// A fault within a file; it quotes no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// Bytes are missing.
    Cut,
    /// A rule of the format is broken.
    Malformed(&'static str),
    /// It is valid, but not read here: what, and what to do.
    Unsupported(&'static str, &'static str),
    /// A size is over its limit.
    Limit(&'static str, u64),
}

impl Broken {
    /// The error, at its place.
    pub(super) fn at(self, location: Location) -> Error {
        match self {
            Self::Cut => Error::malformed(
                location,
                "the Parquet data are cut short",
                "fetch or write the file again",
            ),
            Self::Malformed(what) => Error::malformed(
                location,
                format!("the Parquet data are damaged: {what}"),
                "fetch or write the file again",
            ),
            Self::Unsupported(what, hint) => Error::unsupported(location, what, hint),
            Self::Limit(what, limit) => {
                Error::Limit { location: location.into(), what: what.to_owned(), limit }
            }
        }
    }
}
