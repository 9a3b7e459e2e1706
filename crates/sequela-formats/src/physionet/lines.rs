//! Lines of a file of known layout.

use std::path::Path;

use sequela_core::{Limits, Location};

use crate::{Error, bounded};

/// The lines of a text that must end with a line end, so that a file that was cut short inside a
/// line is known by it.
pub(super) struct Lines<'a> {
    rest: &'a str,
    line: u64,
    place: &'a Path,
    longest: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn of(bytes: &'a [u8], place: &'a Path, limits: &Limits) -> Result<Self, Error> {
        let text = bounded::text(bytes, place)?;
        if !text.ends_with('\n') {
            let line = 1 + text.bytes().filter(|&byte| byte == b'\n').count() as u64;
            return Err(Error::malformed(
                Location::file(place).line(line),
                "the last line does not end: the file is cut short",
                "fetch it again, or end its last line",
            ));
        }
        Ok(Self { rest: text, line: 0, place, longest: limits.line_bytes })
    }

    /// The next line, without its end; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<&'a str>, Error> {
        let Some((line, rest)) = self.rest.split_once('\n') else { return Ok(None) };
        self.rest = rest;
        self.line += 1;
        if line.len() as u64 > self.longest {
            return Err(Error::Limit {
                location: self.here().into(),
                what: "the line (in bytes)".to_owned(),
                limit: self.longest,
            });
        }
        Ok(Some(line.strip_suffix('\r').unwrap_or(line)))
    }

    /// The place of the line that was given last.
    pub(super) fn here(&self) -> Location {
        Location::file(self.place).line(self.line)
    }

    pub(super) fn fault(
        &self,
        field: &str,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Error {
        let here = self.here();
        Error::malformed(if field.is_empty() { here } else { here.field(field) }, what, hint)
    }
}

/// The part of a file's name before its last dot.
pub(super) fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}
