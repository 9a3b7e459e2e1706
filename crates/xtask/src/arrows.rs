//! Arrows between crates go one way only.
//!
//! ```text
//! core <- kernels <- nn <- train <- sequela
//! core <- formats <- data <- train
//! core, nn <- eval <- train
//! ```
//!
//! `data` knows no model, `nn` knows no file, `kernels` knows no program.

use crate::Finding;
use crate::manifest::Manifest;

/// Each crate and the crates of this workspace that it may name. A new crate needs a line here
/// and an ADR.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("sequela-core", &[]),
    ("sequela-kernels", &["sequela-core"]),
    ("sequela-nn", &["sequela-core", "sequela-kernels"]),
    ("sequela-formats", &["sequela-core"]),
    ("sequela-data", &["sequela-core", "sequela-formats"]),
    ("sequela-eval", &["sequela-core", "sequela-nn"]),
    (
        "sequela-train",
        &[
            "sequela-core",
            "sequela-kernels",
            "sequela-nn",
            "sequela-formats",
            "sequela-data",
            "sequela-eval",
        ],
    ),
    (
        "sequela",
        &[
            "sequela-core",
            "sequela-kernels",
            "sequela-nn",
            "sequela-formats",
            "sequela-data",
            "sequela-eval",
            "sequela-train",
        ],
    ),
    ("xtask", &[]),
    // Outside the workspace.
    ("sequela-fuzz", &["sequela-core", "sequela-formats", "sequela-train"]),
];

/// Every arrow that is not in the list, and every crate that has no line in it.
pub(crate) fn check(manifests: &[Manifest]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in manifests {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == manifest.name) else {
            findings.push(format!(
                "{}: the crate {} has no place in the house (crates/xtask/src/arrows.rs, and an ADR)",
                manifest.path, manifest.name
            ));
            continue;
        };
        let ours = manifest.dependencies.iter().filter(|name| {
            ALLOWED.iter().any(|(known, _)| known == name) || name.starts_with("sequela")
        });
        for name in ours.filter(|name| !allowed.contains(&name.as_str())) {
            findings.push(format!(
                "{}: {} may not depend on {name} (ARCHITECTURE.md shows the arrows)",
                manifest.path, manifest.name
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str, dependencies: &[&str]) -> Manifest {
        Manifest {
            path: format!("crates/{name}/Cargo.toml"),
            name: name.to_owned(),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn arrows_that_point_up_are_refused() {
        assert!(check(&[manifest("sequela-nn", &["sequela-kernels", "libm"])]).is_empty());
        assert_eq!(check(&[manifest("sequela-nn", &["sequela-formats"])]).len(), 1);
        assert_eq!(check(&[manifest("sequela-data", &["sequela-nn", "sequela-eval"])]).len(), 2);
        assert_eq!(check(&[manifest("sequela-kernels", &["sequela"])]).len(), 1);
        assert_eq!(check(&[manifest("sequela-new", &[])]).len(), 1);
    }

    #[test]
    fn the_list_has_no_circle() {
        // Each crate names only crates above its own line, or ones with shorter lists.
        for (name, allowed) in ALLOWED {
            for below in allowed {
                let (_, theirs) = ALLOWED.iter().find(|(known, _)| known == below).unwrap();
                assert!(!theirs.contains(&name), "{name} and {below}");
                assert!(theirs.iter().all(|deeper| *deeper != name));
            }
        }
    }
}
