//! The records of a folder or an archive.

use std::collections::BTreeMap;
use std::path::Path;

use sequela_core::{Limits, Location};

use super::annotations::{Annotations, parse_annotations};
use super::header::{Header, parse_header};
use crate::Error;
use crate::collection::{Wanted, visit};

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
    let mut found = Found { limits, headers: BTreeMap::new(), notes: BTreeMap::new() };
    let name = |name: &str| {
        let end = name.rsplit_once('.').map(|(_, end)| end);
        end.is_some_and(|end| end == "hea" || end == annotator)
    };
    let wanted = Wanted { name: &name, file_bytes: LARGEST_FILE, depth: 0 };
    visit(path, wanted, limits, &mut |file| found.add(file.name, file.bytes, file.place))?;
    found.records(path, annotator)
}

struct Found<'a> {
    limits: &'a Limits,
    headers: BTreeMap<String, Header>,
    notes: BTreeMap<String, Annotations>,
}

impl Found<'_> {
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

    fn records(mut self, path: &Path, annotator: &str) -> Result<Vec<Record>, Error> {
        let records: Vec<Record> = std::mem::take(&mut self.headers)
            .into_iter()
            .map(|(name, header)| {
                let annotations = self.notes.remove(&name);
                Record { name, header, annotations }
            })
            .collect();
        if let Some((name, _)) = self.notes.first_key_value() {
            return Err(Error::malformed(
                Location::file(path).field(format!("{name}.{annotator}")),
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

/// Bytes of the largest header or annotation file taken from an archive.
const LARGEST_FILE: u64 = 64 << 20;
