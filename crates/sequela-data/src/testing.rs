//! For tests that need data sets: they run where the sets are, skip where they are not, and say
//! so in a closing line.
//!
//! Such tests stand in a file of their own with `harness = false`, because the usual harness
//! shows nothing of tests that pass:
//!
//! ```no_run
//! use sequela_data::testing::DataSetTests;
//! fn main() -> std::process::ExitCode {
//!     let mut tests = DataSetTests::new();
//!     tests.run("mitbih", "beats are counted", |folder| {
//!         assert!(folder.is_dir());
//!     });
//!     tests.finish()
//! }
//! ```
//!
//! With the environment variable `CI=true` a skip is a failure where the folder of data sets is
//! there but lacks the set.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use crate::datasets;

/// Runs tests on data sets and counts them.
#[derive(Debug, Default)]
pub struct DataSetTests {
    filter: Option<String>,
    ran: usize,
    skipped: usize,
    failed: usize,
}

impl DataSetTests {
    /// Begins; the first command-line word that is not an option of the usual harness (or its
    /// value) picks tests by part of their name.
    pub fn new() -> Self {
        Self { filter: filter_of(std::env::args().skip(1)), ..Self::default() }
    }

    /// Runs one test with the path of its data set, or skips it.
    pub fn run(&mut self, data_set: &str, name: &str, test: impl FnOnce(&Path)) {
        if self.filter.as_ref().is_some_and(|part| !name.contains(part.as_str())) {
            return;
        }
        match datasets::find(data_set) {
            Ok(path) => {
                self.ran += 1;
                let passed = catch_unwind(AssertUnwindSafe(|| test(&path))).is_ok();
                self.failed += usize::from(!passed);
                say(&format!("test {name} ... {}", if passed { "ok" } else { "FAILED" }));
            }
            Err(error) => {
                self.skipped += 1;
                let must_run = std::env::var_os("CI").is_some_and(|ci| ci == "true")
                    && datasets::root().is_some();
                self.failed += usize::from(must_run);
                let outcome = if must_run { "FAILED, may not be skipped here" } else { "skipped" };
                say(&format!("test {name} ... {outcome}: {error}"));
            }
        }
    }

    /// Says how many ran and were skipped; success where none failed.
    pub fn finish(self) -> ExitCode {
        say(&format!("data sets: {} ran, {} skipped", self.ran, self.skipped));
        if self.failed == 0 {
            return ExitCode::SUCCESS;
        }
        say(&format!("{} failed", self.failed));
        ExitCode::FAILURE
    }
}

fn filter_of(mut words: impl Iterator<Item = String>) -> Option<String> {
    while let Some(word) = words.next() {
        if ["--test-threads", "--color", "--format", "--logfile", "--skip", "-Z"]
            .contains(&word.as_str())
        {
            words.next();
        } else if !word.starts_with('-') {
            return Some(word);
        }
    }
    None
}

fn say(line: &str) {
    // Nobody is left to tell if standard output is gone.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::filter_of;

    #[test]
    fn options_of_the_usual_harness_pick_no_tests() {
        let filter = |words: &[&str]| filter_of(words.iter().map(|word| (*word).to_owned()));
        assert_eq!(filter(&["--test-threads", "2", "--nocapture"]), None);
        assert_eq!(filter(&["--nocapture", "beats"]).as_deref(), Some("beats"));
    }
}
