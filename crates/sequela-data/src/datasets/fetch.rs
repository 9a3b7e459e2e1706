//! Fetching a data set: every file checked, nothing half-written under its name.
//!
//! A file is `NAME.part` until all of it is there and has the right digest. A transfer that
//! broke off goes on behind what is there (`Range`), after a pause and at the next call alike.
//!
//! **Source** HTTP semantics, RFC 9110: range requests, section 14.

use std::path::Path;
use std::time::Duration;

use sequela_core::{Limits, Location};
use sequela_formats::{bounded, durable};
use sha2::{Digest as _, Sha256};

use super::sources::{Source, SourceFile};
use super::transfer::Client;
use crate::Error;

/// How a set is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchOptions {
    /// Tries of each file after the first, for faults that pass.
    pub retries: u32,
    /// The pause before the first of them; it doubles.
    pub pause: Duration,
    /// How long a connection and an answer may take to begin.
    pub patience: Duration,
    /// Bytes in a second below which, on average, a transfer is given up.
    pub slowest: u64,
    /// Bytes of one file, where its size is not known beforehand.
    pub limits: Limits,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            retries: 3,
            pause: Duration::from_secs(2),
            patience: Duration::from_secs(30),
            slowest: 10_000,
            limits: Limits::default(),
        }
    }
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// It was there already and is what it should be.
    Here,
    /// It came, and has the digest that it should have.
    Verified,
    /// It came, and no digest is known.
    NotVerified,
}

/// A file that was dealt with.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Its number, from 1.
    pub number: usize,
    /// Number of files of the set.
    pub files: usize,
    /// The file.
    pub file: &'a SourceFile,
    /// What happened to it.
    pub fetched: Fetched,
    /// Its bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: &'a str,
}

/// Fetches the files of a set into a folder; `observer` hears of each. Returns all their bytes.
///
/// A file that is there already is checked and not fetched again.
///
/// # Errors
/// [`Error::Fetch`] with the address where it does not answer, has no such file, or breaks off
/// too often; [`Error::Altered`] where what is there or what came has another size or digest
/// than it should (what came is removed); [`Error::Format`] where the disk refuses. Files that
/// came before stay.
pub fn fetch(
    source: &Source,
    folder: &Path,
    options: &FetchOptions,
    observer: &mut dyn FnMut(&Progress<'_>),
) -> Result<u64, Error> {
    let client = Client::new(options);
    let mut files = source.files.clone();
    if let Some((list, _)) = &source.list {
        let text = client.text(&format!("{}{list}", source.from))?;
        files.extend(source.listed(&text)?);
    }
    let mut total = 0;
    for (at, file) in files.iter().enumerate() {
        let path = folder.join(&file.name);
        let (fetched, bytes, sha256) = if path.exists() {
            let (bytes, sha256) = check_here(file, &path, &options.limits)?;
            (Fetched::Here, bytes, sha256)
        } else {
            if let Some(parent) = path.parent() {
                durable::create_dir(parent)?;
            }
            let address = format!("{}{}", source.from, file.remote);
            let (bytes, sha256) = client.file(&address, file, &path)?;
            let known = file.sha256.is_some();
            (if known { Fetched::Verified } else { Fetched::NotVerified }, bytes, sha256)
        };
        total += bytes;
        let (number, files, sha256) = (at + 1, files.len(), sha256.as_str());
        observer(&Progress { number, files, file, fetched, bytes, sha256 });
    }
    Ok(total)
}

/// Size and digest of a file that is there; refused where they are not what they should be.
fn check_here(file: &SourceFile, path: &Path, limits: &Limits) -> Result<(u64, String), Error> {
    let bytes = bounded::read(path, limits)?;
    let sha256 = hex(&Sha256::digest(&bytes));
    let size = bytes.len() as u64;
    if let Some(what) = fault(file, size, &sha256) {
        return Err(Error::Altered {
            location: Location::file(path).into(),
            what: format!("a file of this name is there, and {what}"),
            hint: "move it away, then fetch again".into(),
        });
    }
    Ok((size, sha256))
}

/// What is wrong with a file of this size and digest.
pub(super) fn fault(file: &SourceFile, bytes: u64, sha256: &str) -> Option<String> {
    match (&file.sha256, file.bytes) {
        (_, Some(wanted)) if wanted != bytes => Some(format!("it has {bytes} bytes, not {wanted}")),
        (Some(wanted), _) if wanted != sha256 => {
            Some(format!("its SHA-256 is {sha256}, not {wanted}"))
        }
        _ => None,
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
