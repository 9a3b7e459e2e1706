//! Where in a file something was found.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place in an input: file, line, row or byte, and field, each as far as it is known.
///
/// # Example
/// ```
/// use sequela_core::Location;
/// let place = Location::file("ward.csv").line(17).field("heart_rate");
/// assert_eq!(place.to_string(), "ward.csv:17, field heart_rate");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Location {
    file: Option<PathBuf>,
    within: Option<Within>,
    byte: Option<u64>,
    field: Option<String>,
}

/// What rows of text and of other tables are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Line(u64),
    Row(u64),
}

impl Location {
    /// A place inside `file`.
    pub fn file(file: impl AsRef<Path>) -> Self {
        Self { file: Some(file.as_ref().to_owned()), ..Self::default() }
    }

    /// The same place, at a line (from 1).
    #[must_use]
    pub fn line(mut self, line: u64) -> Self {
        self.within = Some(Within::Line(line));
        self
    }

    /// The same place, at a row (from 1) of a table that has no lines.
    #[must_use]
    pub fn row(mut self, row: u64) -> Self {
        self.within = Some(Within::Row(row));
        self
    }

    /// The same place, at a byte offset (from 0).
    #[must_use]
    pub fn byte(mut self, byte: u64) -> Self {
        self.byte = Some(byte);
        self
    }

    /// The same place, at a named field, column or key.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The file, where there is one.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The field, where there is one.
    pub fn field_name(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}", file.display())?,
            None => write!(f, "input")?,
        }
        match self.within {
            Some(Within::Line(line)) => write!(f, ":{line}")?,
            Some(Within::Row(row)) => write!(f, ", row {row}")?,
            None => {}
        }
        if let Some(byte) = self.byte {
            write!(f, " at byte {byte}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ", field {field}")?;
        }
        Ok(())
    }
}
