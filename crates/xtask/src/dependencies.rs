//! Every direct dependency has its line in `docs/dependencies.md`, and no line is stale.

use std::collections::BTreeSet;

use crate::Finding;
use crate::files::File;
use crate::manifest::Manifest;

const LIST: &str = "docs/dependencies.md";

/// Dependencies without a line, and lines without a dependency.
pub(crate) fn check(manifests: &[Manifest], files: &[File]) -> Vec<Finding> {
    let Some(list) = files.iter().find(|file| file.path == LIST) else {
        return vec![format!("{LIST}: is missing")];
    };
    let listed: BTreeSet<&str> = rows(&list.text).collect();
    let ours = |name: &str| manifests.iter().any(|manifest| manifest.name == name);
    let mut used = BTreeSet::new();
    let mut findings = Vec::new();
    for manifest in manifests {
        for name in manifest.dependencies.iter().map(String::as_str).filter(|name| !ours(name)) {
            if used.insert(name) && !listed.contains(name) {
                findings.push(format!(
                    "{}: {name} has no line in {LIST} (why, licence, what would replace it)",
                    manifest.path
                ));
            }
        }
    }
    for name in listed.difference(&used) {
        findings.push(format!("{LIST}: {name} is no direct dependency (remove its line)"));
    }
    findings
}

/// The first cells of the table's rows.
fn rows(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix('|'))
        .filter_map(|line| line.split('|').next())
        .map(|cell| cell.trim().trim_matches('`'))
        .filter(|cell| *cell != "crate" && !cell.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_dependencies_match() {
        let manifest = |name: &str, dependencies: &[&str]| Manifest {
            path: "p".to_owned(),
            name: name.to_owned(),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        };
        let manifests = [manifest("a", &["b", "libm"]), manifest("b", &["libm", "csv"])];
        let list = |text: &str| [File::new(LIST, text)];
        let header = "| crate | why |\n|---|---|\n";
        assert!(
            check(&manifests, &list(&format!("{header}| libm | x |\n| `csv` | y |"))).is_empty()
        );
        assert_eq!(check(&manifests, &list(header)).len(), 2);
        let stale = format!("{header}| libm | |\n| csv | |\n| old | |");
        assert_eq!(check(&manifests, &list(&stale)).len(), 1);
    }
}
