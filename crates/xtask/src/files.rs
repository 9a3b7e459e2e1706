//! The text files of the repository.

use std::path::Path;

/// A text file: its path from the root, with `/`, and its text.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    #[cfg(test)]
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        ends_with(&self.path, extension)
    }
}

/// Every Rust, TOML and Markdown file and the small text files of `.ci`, sorted by path.
pub(crate) fn list(root: &Path) -> Result<Vec<File>, std::io::Error> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                folders.push(path);
            } else if kind.is_file() && (is_text(&name) || folder == ".ci") {
                files.push(File { text: read(&root.join(&path))?, path });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Whether a path exists in the repository, for links.
pub(crate) fn exists(path: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path).exists()
}

fn is_text(name: &str) -> bool {
    ["rs", "toml", "md"].iter().any(|extension| ends_with(name, extension))
}

fn ends_with(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

#[allow(clippy::disallowed_methods, reason = "the repository's own files, not data")]
fn read(path: &Path) -> Result<String, std::io::Error> {
    std::fs::read_to_string(path)
}

const SKIPPED: [&str; 6] = [".git", "target", "runs", "shared", "node_modules", "venv"];
