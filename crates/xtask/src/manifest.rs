//! The dependencies that a `Cargo.toml` names.
//!
//! Not a TOML parser: it knows the plain form that this repository's manifests keep to, one
//! `name = ...`, `name.workspace = true` or `[dependencies.name]` for each dependency.

use crate::files::File;

/// One crate's name and direct dependencies, of every kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) dependencies: Vec<String>,
}

/// The manifests among these files that have a package.
pub(crate) fn read_all(files: &[File]) -> Result<Vec<Manifest>, std::io::Error> {
    let manifests = files.iter().filter(|file| {
        file.path.ends_with("Cargo.toml") && file.text.lines().any(|line| line == "[package]")
    });
    manifests
        .map(|file| {
            parse(file).ok_or_else(|| {
                std::io::Error::other(format!("{}: the package has no name", file.path))
            })
        })
        .collect()
}

fn parse(file: &File) -> Option<Manifest> {
    let (mut section, mut name, mut dependencies) = (String::new(), None, Vec::new());
    for line in file.text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            header.trim_end_matches(']').clone_into(&mut section);
            if let Some((_, dependency)) = section.split_once("dependencies.") {
                dependencies.push(dependency.trim_matches('"').to_owned());
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let key = key.trim();
        if section == "package" && key == "name" {
            name = Some(value.trim().trim_matches('"').to_owned());
        }
        if section.ends_with("dependencies") && !key.starts_with('#') {
            let key = key.split('.').next().unwrap_or(key).trim_matches('"');
            // `alias = { package = "real" }` is the crate `real`.
            let renamed =
                value.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next());
            dependencies.push(renamed.unwrap_or(key).to_owned());
        }
    }
    dependencies.sort();
    dependencies.dedup();
    Some(Manifest { path: file.path.clone(), name: name?, dependencies })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_dependency_is_seen() {
        let text = "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\nc = \"1\"\n\
                    # d = \"1\"\ne = { package = \"real\", version = \"1\" }\n\
                    [dev-dependencies]\nf = { version = \"1\", features = [\"x\"] }\n\
                    [target.'cfg(unix)'.dependencies]\ng = \"1\"\n[dependencies.h]\nversion = \"1\"\n\
                    [lints]\nworkspace = true\n";
        let manifest = parse(&File::new("crates/a/Cargo.toml", text)).unwrap();
        assert_eq!(manifest.name, "a");
        assert_eq!(manifest.dependencies, ["b", "c", "f", "g", "h", "real"]);
    }
}
