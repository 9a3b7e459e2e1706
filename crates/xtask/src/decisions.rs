//! Decision records are numbered without holes, have the same parts, and are all in the index.

use crate::Finding;
use crate::files::File;

const FOLDER: &str = "docs/adr/";
const PARTS: [&str; 4] = ["## Context", "## Choice", "## Cost", "## How to undo"];

/// Records that are missing from the index, out of number or without a part.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let index = format!("{FOLDER}README.md");
    let listed = files.iter().find(|file| file.path == index).map_or("", |file| file.text.as_str());
    let records = files.iter().filter(|file| file.path.starts_with(FOLDER) && file.path != index);
    let mut findings = Vec::new();
    for (at, record) in records.enumerate() {
        let name = record.path.trim_start_matches(FOLDER);
        if !name.starts_with(&format!("{:04}-", at + 1)) {
            findings.push(format!("{}: should be number {:04}", record.path, at + 1));
        }
        if !listed.contains(&format!("]({name})")) {
            findings.push(format!("{index}: does not list {name}"));
        }
        let missing = PARTS.iter().filter(|part| !record.text.lines().any(|line| line == **part));
        findings.extend(missing.map(|part| format!("{}: lacks `{part}`", record.path)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_whole_numbered_and_listed() {
        let whole = "# t\n## Context\n## Choice\n## Cost\n## How to undo\n";
        let index = File::new("docs/adr/README.md", "[1](0001-a.md)");
        let good = File::new("docs/adr/0001-a.md", whole);
        assert!(check(&[good.clone(), index.clone()]).is_empty());
        let skipped = File::new("docs/adr/0003-b.md", whole);
        assert_eq!(check(&[good, skipped, index.clone()]).len(), 2);
        assert_eq!(check(&[File::new("docs/adr/0001-a.md", "# t"), index]).len(), 4);
    }
}
