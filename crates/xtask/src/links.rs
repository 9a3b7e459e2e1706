//! Links between the repository's own pages lead somewhere.

use crate::Finding;
use crate::files::{File, exists};

/// Relative links in Markdown whose target is not there.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let pages = files.iter().filter(|file| file.has_extension("md"));
    pages
        .flat_map(|page| {
            let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            targets(&page.text)
                .filter(|target| !exists(&join(folder, target)))
                .map(|target| format!("{}: the link to {target} leads nowhere", page.path))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The targets of `[text](target)`, outside code, without anchors; not those of other sites.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    let lines = text.lines().filter(move |line| {
        fenced ^= line.trim_start().starts_with("```");
        !fenced
    });
    lines
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .filter_map(|target| target.split('#').next())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .filter(|target| !target.starts_with("mailto:"))
}

fn join(folder: &str, target: &str) -> String {
    if folder.is_empty() { target.to_owned() } else { format!("{folder}/{target}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code() {
        let text = "[a](b.md#c) and [d](https://e) [f](#g)\n```\n[h](i.md)\n```\n[j](../k)";
        assert_eq!(targets(text).collect::<Vec<_>>(), ["b.md", "../k"]);
    }

    #[test]
    fn a_dead_link_is_found() {
        let page = File::new("docs/a.md", "[x](../Cargo.toml) [y](nowhere.md)");
        assert_eq!(check(&[page]), ["docs/a.md: the link to nowhere.md leads nowhere"]);
    }
}
