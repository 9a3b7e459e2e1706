//! Files that can be read in one sitting: over 500 lines a reason is due, over 800 none is enough.

use crate::Finding;
use crate::files::File;

const REASON_DUE: usize = 500;
const TOO_LONG: usize = 800;

/// Rust files that are too long; over 500 lines the module doc must say why, on a line that
/// starts `//! **Length**`. Files in a folder `generated` are exempt.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let sources = files.iter().filter(|file| file.is_rust() && !file.path.contains("/generated/"));
    sources
        .filter_map(|file| {
            let lines = file.text.lines().count();
            let reason = file.text.lines().any(|line| line.starts_with("//! **Length**"));
            let path = &file.path;
            if lines > TOO_LONG {
                Some(format!("{path}: {lines} lines, over {TOO_LONG} (split it)"))
            } else if lines > REASON_DUE && !reason {
                Some(format!(
                    "{path}: {lines} lines, over {REASON_DUE} (split it, or give the reason in the \
                     module doc on a line `//! **Length** ...`)"
                ))
            } else {
                None
            }
        })
        .collect()
}

/// Lines of all Rust files.
pub(crate) fn lines_of_rust(files: &[File]) -> usize {
    files.iter().filter(|file| file.is_rust()).map(|file| file.text.lines().count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_need_a_reason_and_very_long_ones_have_none() {
        let long = "x\n".repeat(501);
        let reasoned = format!("//! **Length** one table.\n{long}");
        let very_long = format!("//! **Length** one table.\n{}", "x\n".repeat(800));
        assert_eq!(check(&[File::new("a.rs", &"x\n".repeat(500))]), [] as [&str; 0]);
        assert_eq!(check(&[File::new("a.rs", &long)]).len(), 1);
        assert!(check(&[File::new("a.rs", &reasoned)]).is_empty());
        assert_eq!(check(&[File::new("a.rs", &very_long)]).len(), 1);
        assert!(check(&[File::new("a/generated/b.rs", &very_long)]).is_empty());
        assert!(check(&[File::new("a.md", &very_long)]).is_empty());
    }
}
