//! Where the public data sets lie on this machine, and how they come there.
//!
//! [`find`] looks for them; [`Source`] knows addresses and digests; `fetch`, behind the feature
//! of that name, brings them.

use std::path::{Path, PathBuf};

use crate::Error;

#[cfg(feature = "fetch")]
mod fetch;
mod sources;
#[cfg(feature = "fetch")]
mod transfer;

#[cfg(feature = "fetch")]
pub use fetch::{FetchOptions, Fetched, Progress, fetch};
pub use sources::{Check, Source, SourceFile, sources};

/// The folder of data sets: `$SEQUELA_DATA` where it is set, else `shared/data` beside the
/// workspace (the nearest folder above the present one that has a `shared/data` beside it).
///
/// `None` where that is no folder.
pub fn root() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("SEQUELA_DATA") {
        return Some(PathBuf::from(folder)).filter(|folder| folder.is_dir());
    }
    let here = std::env::current_dir().ok()?;
    here.ancestors().skip(1).map(|above| above.join("shared/data")).find(|folder| folder.is_dir())
}

/// The folder that data sets are to be fetched into: `$SEQUELA_DATA`, whether it is there or
/// not, else [`root`].
pub fn target() -> Option<PathBuf> {
    std::env::var_os("SEQUELA_DATA").map(PathBuf::from).or_else(root)
}

/// The path of a data set, e.g. `mitbih` or `heart_rate/pyhrv_nni_long.npy`.
///
/// # Errors
/// [`Error::NoDataSet`] where it is not there, saying how to point to it.
///
/// # Example
/// ```
/// let error = sequela_data::datasets::find("no_such_set").unwrap_err();
/// assert!(error.to_string().contains("SEQUELA_DATA"));
/// ```
pub fn find(name: &str) -> Result<PathBuf, Error> {
    let root = root();
    let missing = |hint: String| Error::NoDataSet { name: name.to_owned(), hint };
    let Some(root) = root else {
        if let Some(folder) = std::env::var_os("SEQUELA_DATA") {
            let folder = PathBuf::from(folder);
            return Err(missing(format!(
                "SEQUELA_DATA is {}, which is no folder: set it to the folder of data sets",
                folder.display()
            )));
        }
        return Err(missing(
            "set SEQUELA_DATA to the folder of data sets, or put them in ../shared/data".to_owned(),
        ));
    };
    let path = root.join(Path::new(name));
    if path.exists() {
        Ok(path)
    } else {
        Err(missing(format!(
            "put it into {}, or set SEQUELA_DATA to the folder that has it",
            root.display()
        )))
    }
}
