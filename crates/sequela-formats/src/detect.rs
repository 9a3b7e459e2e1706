//! What a file or folder is, told from names alone.

use std::path::Path;

use sequela_core::Limits;

use crate::archive::Archive;
use crate::collection::{is_archive, names_in};
use crate::omop::is_omop;
use crate::{Error, physionet};

/// A kind of data that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// A `NumPy` array.
    Array,
    /// WFDB records: a folder or an archive.
    Wfdb,
    /// The header of one WFDB record.
    WfdbRecord,
    /// EDF or BDF: a file or a folder.
    Edf,
    /// The PhysioNet/CinC Challenge 2012: a folder or an archive.
    Physionet2012,
    /// The PhysioNet/CinC Challenge 2019: a folder or an archive.
    Physionet2019,
    /// A folder in the Medical Event Data Standard.
    Meds,
    /// A Parquet file.
    Parquet,
    /// A table of text, or what is taken for one.
    Table,
    /// A folder of tables, of text, Parquet or workbooks.
    Tables,
    /// Tables of the OMOP common data model: a folder or a zip archive. It is converted before it is read.
    Omop,
}

/// What the file or folder at `path` is.
///
/// A folder is what the first known name in it says, in the order of names: files first, then
/// archives, then folders within, two levels deep, and last whether there are tables in it; an archive is
/// what the first known name in it says. What says nothing is taken for WFDB records, whose reader tells
/// what it misses.
///
/// # Errors
/// Those of reading a folder or an archive.
///
/// # Example
/// ```
/// use sequela_core::Limits;
/// use sequela_formats::{Layout, detect};
/// let limits = Limits::default();
/// assert_eq!(detect("ward.csv.gz".as_ref(), &limits)?, Layout::Table);
/// assert_eq!(detect("intervals.npy".as_ref(), &limits)?, Layout::Array);
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub fn detect(path: &Path, limits: &Limits) -> Result<Layout, Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if path.is_dir() {
        Ok(in_folder(path, 2, limits)?.unwrap_or(Layout::Wfdb))
    } else if name.to_lowercase().ends_with(".zip") && is_omop(path, limits)? {
        Ok(Layout::Omop)
    } else if is_archive(&name) {
        Ok(in_archive(path, limits)?.unwrap_or(Layout::Wfdb))
    } else {
        Ok(match of_name(&name) {
            Some(Layout::Wfdb) => Layout::WfdbRecord,
            None => Layout::Table,
            Some(layout) => layout,
        })
    }
}

/// What the name of a file says.
fn of_name(name: &str) -> Option<Layout> {
    let end = name.rsplit_once('.').map(|(_, end)| end.to_lowercase())?;
    match end.as_str() {
        "npy" => Some(Layout::Array),
        "hea" => Some(Layout::Wfdb),
        "edf" | "bdf" => Some(Layout::Edf),
        "parquet" => Some(Layout::Parquet),
        _ if physionet::is_stay(name) => Some(Layout::Physionet2012),
        _ if physionet::is_hours(name) => Some(Layout::Physionet2019),
        _ => None,
    }
}

fn in_folder(folder: &Path, depth: usize, limits: &Limits) -> Result<Option<Layout>, Error> {
    let names = names_in(folder)?;
    let has_metadata =
        names.iter().any(|name| name == "metadata") && names.iter().any(|n| n == "data");
    if has_metadata && folder.join("data").is_dir() {
        return Ok(Some(Layout::Meds));
    }
    if is_omop(folder, limits)? {
        return Ok(Some(Layout::Omop));
    }
    // An array or a table in a folder is one of many: what they are together is not known.
    let alone = |layout: &Layout| matches!(layout, Layout::Array | Layout::Parquet);
    let known = |name: &String| of_name(name).filter(|layout| !alone(layout));
    if let Some(layout) = names.iter().find_map(known) {
        return Ok(Some(layout));
    }
    for name in names.iter().filter(|name| is_archive(name)) {
        if let Some(layout) = in_archive(&folder.join(name), limits)? {
            return Ok(Some(layout));
        }
    }
    if depth > 0 {
        for inner in names.iter().map(|name| folder.join(name)).filter(|path| path.is_dir()) {
            if let Some(layout) = in_folder(&inner, depth - 1, limits)? {
                return Ok(Some(layout));
            }
        }
    }
    Ok(names.iter().any(|name| is_table(name)).then_some(Layout::Tables))
}

/// Whether a name is that of a table: of text, plain or gzip, of Parquet, or a workbook.
pub fn is_table(name: &str) -> bool {
    let name = name.to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    TABLES.iter().any(|end| name.ends_with(end))
}

fn in_archive(path: &Path, limits: &Limits) -> Result<Option<Layout>, Error> {
    let mut archive = Archive::open(path, limits)?;
    while let Some(entry) = archive.next_file()? {
        let name = entry.name.rsplit('/').next().unwrap_or_default();
        if let Some(layout) = of_name(name) {
            return Ok(Some(layout));
        }
    }
    Ok(None)
}

const TABLES: [&str; 4] = [".csv", ".tsv", ".parquet", ".xlsx"];
