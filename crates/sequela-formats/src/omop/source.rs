//! Where the tables are.

use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location};

use super::zipped::Zipped;
use crate::Error;
use crate::collection::names_in;
use crate::csv::{Rows, with_rows_of, with_stream};

/// Tables in a folder or a zip archive.
pub(super) enum Source {
    Folder(PathBuf, Vec<String>),
    Zip(PathBuf, Vec<String>, Zipped),
}

impl Source {
    /// Finds the tables.
    ///
    /// # Errors
    /// Those of reading; [`Error::Malformed`] where there is no PERSON.
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        if !path.is_dir() {
            let archive = Zipped::open(path, limits)?;
            let names = archive.names();
            if has_person(&names) {
                return Ok(Self::Zip(path.to_owned(), names, archive));
            }
            return Err(no_person(path));
        }
        let names = names_in(path)?;
        if has_person(&names) {
            return Ok(Self::Folder(path.to_owned(), names));
        }
        for inner in names.iter().map(|name| path.join(name)).filter(|inner| inner.is_dir()) {
            let names = names_in(&inner)?;
            if has_person(&names) {
                return Ok(Self::Folder(inner, names));
            }
        }
        Err(no_person(path))
    }

    /// Reads a table; `None` where it is not there.
    ///
    /// # Errors
    /// Those of reading and of `read`; [`Error::Malformed`] where two files are called so.
    pub(super) fn table<T>(
        &mut self,
        table: &str,
        limits: &Limits,
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let (place, names) = match self {
            Self::Folder(place, names) | Self::Zip(place, names, _) => (place, names),
        };
        let mut found = names.iter().filter(|name| is_table(name, table));
        let Some(name) = found.next().cloned() else { return Ok(None) };
        let path = place.join(&name);
        if found.next().is_some() {
            let what = format!("there is another file of the table {table}");
            return Err(Error::malformed(Location::file(&path), what, "keep one of them"));
        }
        match self {
            Self::Folder(..) => with_stream(&path, limits, read).map(Some),
            Self::Zip(.., archive) => {
                let bytes = archive.content(&name, &path)?;
                let bytes = if bytes.starts_with(&crate::bounded::GZIP_MAGIC) {
                    crate::bounded::gunzip(&bytes, &path, limits)?
                } else {
                    bytes
                };
                with_rows_of(&bytes, &path, limits, read).map(Some)
            }
        }
    }
}

/// Whether a folder (its names, sorted) or a zip archive holds OMOP tables: PERSON, and one of those that belong to it.
///
/// # Errors
/// Those of reading.
pub fn is_omop(path: &Path, limits: &Limits) -> Result<bool, Error> {
    let names = if path.is_dir() { names_in(path)? } else { Zipped::open(path, limits)?.names() };
    let has = |table: &str| names.iter().any(|name| is_table(name, table));
    Ok(has_person(&names) && BESIDE.iter().any(|table| has(table)))
}

fn has_person(names: &[String]) -> bool {
    names.iter().any(|name| is_table(name, "PERSON"))
}

/// Whether a file is that of a table.
fn is_table(name: &str, table: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = ENDS.iter().find_map(|end| stem.strip_suffix(end));
    stem.is_some_and(|stem| stem.eq_ignore_ascii_case(table))
}

fn no_person(path: &Path) -> Error {
    Error::malformed(
        Location::file(path),
        "there is no table PERSON",
        "name the folder or the zip archive that holds PERSON.csv and the other tables",
    )
}

const ENDS: [&str; 3] = [".csv", ".tsv", ".parquet"];
const BESIDE: [&str; 5] =
    ["VISIT_OCCURRENCE", "CONDITION_OCCURRENCE", "DRUG_EXPOSURE", "MEASUREMENT", "CONCEPT"];
