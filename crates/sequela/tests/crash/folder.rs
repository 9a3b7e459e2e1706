//! The files of a folder, as bytes in memory.

use std::collections::BTreeMap;
use std::path::Path;

/// Name and bytes of every file.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The files of a folder; none where there is no folder.
pub(crate) fn load(folder: &Path) -> Option<Files> {
    let entries = std::fs::read_dir(folder).ok()?;
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    Some(entries.map(file).collect())
}

/// Makes a folder hold these files and nothing else; none takes the folder away.
pub(crate) fn store(folder: &Path, files: Option<&Files>) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
    let Some(files) = files else { return };
    std::fs::create_dir_all(folder).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Whether a name is that of a temporary file, `NAME.tmp-PID-N`.
pub(crate) fn is_temporary(name: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    name.rsplit_once(".tmp-").is_some_and(|(_, tail)| {
        tail.split_once('-').is_some_and(|(process, count)| digits(process) && digits(count))
    })
}

/// The finished lines of a log.
pub(crate) fn finished(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    &bytes[..end]
}
