//! `unsafe` lives in one crate, and its amount is known.

use crate::Finding;
use crate::files::File;

/// The only crate that may use `unsafe`.
const HOME: &str = "crates/sequela-kernels/";
/// The number that may be reached; raising it needs an ADR.
const BUDGET: &str = ".ci/unsafe-budget";

/// Uses of `unsafe` outside the kernels, crates that do not forbid it, and a budget overrun.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let strangers =
        files.iter().filter(|file| file.is_rust()).filter(|file| !file.path.starts_with(HOME));
    for file in strangers {
        let uses = uses(&file.text);
        if uses > 0 {
            findings.push(format!(
                "{}: {uses} uses of unsafe (only sequela-kernels may have any)",
                file.path
            ));
        }
        let is_root = file.path.ends_with("/src/lib.rs")
            || (file.path.ends_with("/src/main.rs")
                && !files.iter().any(|other| other.path == file.path.replace("main.rs", "lib.rs")));
        if is_root && !file.text.contains("#![forbid(unsafe_code)]") {
            findings.push(format!("{}: lacks #![forbid(unsafe_code)]", file.path));
        }
    }
    match budget(files) {
        None => findings.push(format!("{BUDGET}: lacks the number of uses of unsafe")),
        Some(budget) if count(files) > budget => findings.push(format!(
            "{BUDGET}: {} uses of unsafe, over the budget of {budget} (remove some, or raise it \
             with an ADR)",
            count(files)
        )),
        Some(_) => {}
    }
    findings
}

/// Uses of `unsafe` in the kernels.
pub(crate) fn count(files: &[File]) -> usize {
    let home = files.iter().filter(|file| file.is_rust() && file.path.starts_with(HOME));
    home.map(|file| uses(&file.text)).sum()
}

/// The number in the budget file.
pub(crate) fn budget(files: &[File]) -> Option<usize> {
    let file = files.iter().find(|file| file.path == BUDGET)?;
    file.text.lines().find_map(|line| line.trim().parse().ok())
}

/// The word `unsafe` as code: not in line comments, strings or longer names.
fn uses(text: &str) -> usize {
    text.lines().map(|line| code(line).split(is_outside_word).filter(|w| *w == WORD).count()).sum()
}

/// The code of a line: what is before a comment, with the insides of strings left out.
fn code(line: &str) -> String {
    let (mut code, mut in_string, mut escaped) = (String::new(), false, false);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
        } else if c == '"' {
            in_string = true;
        } else if c == '/' && rest.peek() == Some(&'/') {
            break;
        } else {
            code.push(c);
        }
    }
    code
}

fn is_outside_word(c: char) -> bool {
    !(c.is_alphanumeric() || c == '_')
}

const WORD: &str = concat!("un", "safe");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_counts() {
        assert_eq!(uses("// unsafe\nlet x = \"unsafe \\\" unsafe\"; unsafe { f() }"), 1);
        assert_eq!(uses("#![forbid(unsafe_code)]\nunsafe fn f() { unsafe { g() } }"), 2);
    }

    #[test]
    fn it_has_one_home_and_a_budget() {
        let kernels = File::new("crates/sequela-kernels/src/lib.rs", "unsafe { f() }");
        let budget = File::new(BUDGET, "# words\n1\n");
        assert!(check(&[kernels.clone(), budget.clone()]).is_empty());
        assert_eq!(check(&[kernels.clone(), kernels.clone(), budget.clone()]).len(), 1);
        assert_eq!(check(&[kernels]).len(), 1);
        let stranger = File::new("crates/a/src/lib.rs", "unsafe { f() }");
        assert_eq!(check(&[stranger, budget]).len(), 2);
    }
}
