//! The records of a folder or an archive.

use std::collections::BTreeMap;
use std::path::Path;

use sequela_core::{Limits, Location};

use super::annotations::{Annotations, parse_annotations};
use super::header::{Header, parse_header};
use crate::archive::Archive;
use crate::{Error, bounded};

/// One record: its header, and its annotations where it has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Name: that of its files, without extension.
    pub name: String,
    /// What the `.hea` file says.
    pub header: Header,
    /// What the annotation file says; `None` where there is none.
    pub annotations: Option<Annotations>,
}

/// All records of a folder or of a tar archive (plain, gzip, xz), sorted by name, with the
/// annotations of one annotator (the extension of their files, usually `atr`).
///
/// A folder without headers may hold archives (`.tar`, `.tar.gz`, `.tgz`, `.tar.xz`), which are
/// read in the order of their names. Folders inside an archive are looked into, folders inside a
/// folder are not. Headers of segments are records too.
///
/// **Cost** linear in the bytes, signals of an archive included (they are unpacked and dropped).
///
/// # Errors
/// Those of opening and parsing; [`Error::Malformed`] where two files have one name, where
/// annotations have no header, or where there is no record.
pub fn read_records(path: &Path, annotator: &str, limits: &Limits) -> Result<Vec<Record>, Error> {
    let mut found = Found { annotator, limits, headers: BTreeMap::new(), notes: BTreeMap::new() };
    if !path.is_dir() {
        found.add_archive(path)?;
        return found.records(path);
    }
    let fail = |source| Error::reading(path, source);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        names.push(entry.map_err(fail)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    if names.iter().any(|name| name.rsplit_once('.').is_some_and(|(_, end)| end == "hea")) {
        names.retain(|name| found.wants(name));
        for name in &names {
            let file = path.join(name);
            found.add(name, &bounded::read(&file, limits)?, &file)?;
        }
    } else {
        for name in names.iter().filter(|name| ARCHIVES.iter().any(|end| name.ends_with(end))) {
            found.add_archive(&path.join(name))?;
        }
    }
    found.records(path)
}

struct Found<'a> {
    annotator: &'a str,
    limits: &'a Limits,
    headers: BTreeMap<String, Header>,
    notes: BTreeMap<String, Annotations>,
}

impl Found<'_> {
    fn wants(&self, name: &str) -> bool {
        name.rsplit_once('.')
            .is_some_and(|(_, extension)| extension == "hea" || extension == self.annotator)
    }

    fn add_archive(&mut self, path: &Path) -> Result<(), Error> {
        let mut archive = Archive::open(path, self.limits)?;
        while let Some(entry) = archive.next_file()? {
            let name = entry.name.rsplit('/').next().unwrap_or_default();
            if self.wants(name) {
                let bytes = archive.content(LARGEST_FILE.min(self.limits.file_bytes))?;
                self.add(name, &bytes, &path.join(&entry.name))?;
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str, bytes: &[u8], place: &Path) -> Result<(), Error> {
        let Some((stem, extension)) = name.rsplit_once('.') else { return Ok(()) };
        let stem = stem.to_owned();
        let twice = if extension == "hea" {
            let header = parse_header(bytes, place, self.limits)?;
            self.headers.insert(stem, header).is_some()
        } else {
            let annotations = parse_annotations(bytes, place, self.limits)?;
            self.notes.insert(stem, annotations).is_some()
        };
        if twice {
            return Err(Error::malformed(
                Location::file(place),
                "a second file has this name",
                "keep one record of each name",
            ));
        }
        Ok(())
    }

    fn records(mut self, path: &Path) -> Result<Vec<Record>, Error> {
        let records: Vec<Record> = std::mem::take(&mut self.headers)
            .into_iter()
            .map(|(name, header)| {
                let annotations = self.notes.remove(&name);
                Record { name, header, annotations }
            })
            .collect();
        if let Some((name, _)) = self.notes.first_key_value() {
            return Err(Error::malformed(
                Location::file(path).field(format!("{name}.{}", self.annotator)),
                "the annotations have no header",
                "put the .hea file of the record beside them",
            ));
        }
        if records.is_empty() {
            return Err(Error::malformed(
                Location::file(path),
                "there is no record (no .hea file) in it",
                "name a folder or an archive of WFDB records",
            ));
        }
        Ok(records)
    }
}

/// How the names of archives end.
const ARCHIVES: [&str; 4] = [".tar", ".tar.gz", ".tgz", ".tar.xz"];
/// Bytes of the largest header or annotation file taken from an archive.
const LARGEST_FILE: u64 = 64 << 20;
