//! The error of this crate: what is wrong, where, and what to do about it.

use std::io;
use std::path::Path;

use sequela_core::{Class, Location};

/// Why a file could not be read or written.
///
/// The text of each is one line: place, fault, remedy. No value of the data is ever quoted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{location}: {what}; {hint}")]
    Io {
        /// The file or folder.
        location: Box<Location>,
        /// What was attempted and how it ended.
        what: String,
        /// What to do about it.
        hint: String,
        /// The system's own words.
        source: io::Error,
    },
    /// Another process is writing to the same folder.
    #[error("{location}: another run is writing here ({holder}); {hint}")]
    Locked {
        /// The lock file.
        location: Box<Location>,
        /// Process and start time, as the lock file has them.
        holder: String,
        /// What to do about it.
        hint: String,
    },
    /// A size is over its limit.
    #[error("{location}: {what} is over the limit of {limit}; raise the limit if this is meant")]
    Limit {
        /// Where the size was met.
        location: Box<Location>,
        /// Which size it is.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// The bytes break the rules of their format.
    #[error("{location}: {what}; {hint}")]
    Malformed {
        /// Where the rule is broken.
        location: Box<Location>,
        /// Which rule, and how.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A column that was asked for is not in the table.
    #[error("{location}: there is no such column; {hint}")]
    MissingColumn {
        /// The table and the column.
        location: Box<Location>,
        /// The nearest name, or the names there are.
        hint: String,
    },
    /// The bytes are valid, but of a kind that is not read here.
    #[error("{location}: {what}; {hint}")]
    Unsupported {
        /// Where it was met.
        location: Box<Location>,
        /// What it is.
        what: String,
        /// What to do about it.
        hint: String,
    },
}

impl Error {
    /// What kind of failure this is: [`Class::Io`] where the system or another run refuses,
    /// [`Class::Input`] where the bytes are at fault.
    pub fn class(&self) -> Class {
        match self {
            Self::Io { .. } | Self::Locked { .. } => Class::Io,
            _ => Class::Input,
        }
    }

    /// The place of the fault.
    pub fn location(&self) -> &Location {
        match self {
            Self::Io { location, .. }
            | Self::Locked { location, .. }
            | Self::Limit { location, .. }
            | Self::Malformed { location, .. }
            | Self::MissingColumn { location, .. }
            | Self::Unsupported { location, .. } => location,
        }
    }

    pub(crate) fn malformed(
        location: Location,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Malformed { location: location.into(), what: what.into(), hint: hint.into() }
    }

    pub(crate) fn unsupported(
        location: Location,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Unsupported { location: location.into(), what: what.into(), hint: hint.into() }
    }

    /// A refusal met while reading `path`.
    pub(crate) fn reading(path: &Path, source: io::Error) -> Self {
        let (what, hint) = match source.kind() {
            io::ErrorKind::NotFound => ("there is no such file", "check the path"),
            io::ErrorKind::PermissionDenied => {
                ("permission to read was denied", "check who may read it")
            }
            io::ErrorKind::IsADirectory => ("this is a folder", "name a file"),
            io::ErrorKind::NotADirectory => {
                ("a part of the path is a file, not a folder", "check the path")
            }
            _ => ("reading failed", "check the disk or the connection to it"),
        };
        let what =
            if what == "reading failed" { format!("{what} ({source})") } else { what.into() };
        Self::Io { location: Location::file(path).into(), what, hint: hint.into(), source }
    }

    /// A refusal met while writing `path`; what was there before is whole.
    pub(crate) fn writing(path: &Path, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::StorageFull => "free some space and try again; earlier files are whole",
            io::ErrorKind::QuotaExceeded => "the quota is used up; earlier files are whole",
            io::ErrorKind::FileTooLarge => "the file is over a size limit; earlier files are whole",
            io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only; choose another folder",
            io::ErrorKind::PermissionDenied => "check who may write in this folder",
            io::ErrorKind::NotFound => "make the folder first",
            io::ErrorKind::IsADirectory => "a folder has this name; choose another",
            _ => "check the disk; earlier files are whole",
        };
        Self::Io {
            location: Location::file(path).into(),
            what: format!("writing failed ({source})"),
            hint: hint.into(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_the_system_have_a_remedy() {
        let path = Path::new("run/model.safetensors");
        for (kind, words) in [
            (io::ErrorKind::StorageFull, "free some space and try again; earlier files are whole"),
            (io::ErrorKind::ReadOnlyFilesystem, "choose another folder"),
            (io::ErrorKind::QuotaExceeded, "the quota is used up"),
            (io::ErrorKind::Other, "check the disk"),
        ] {
            let error = Error::writing(path, kind.into());
            assert_eq!(error.class().exit_code(), 4);
            let text = error.to_string();
            assert!(text.starts_with("run/model.safetensors: writing failed"), "{text}");
            assert!(text.contains(words) && !text.contains('\n'), "{text}");
        }
        let error = Error::reading(path, io::ErrorKind::PermissionDenied.into());
        assert!(error.to_string().ends_with("was denied; check who may read it"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
}
