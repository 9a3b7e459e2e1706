//! `cargo run -p xtask -- house`: checks of the house that no compiler makes;
//! `cargo run -p xtask -- crash`: the program killed and failed at every system call.
//!
//! The first prints one line for each finding, `path: what is wrong (what to do)`, and a line of counts;
//! exits 1 if there is a finding. It depends on nothing but `std`, so that it builds in a second
//! on any machine.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool that prints")]

mod arrows;
mod crash;
mod decisions;
mod dependencies;
mod files;
mod lengths;
mod links;
mod manifest;
mod unsafety;

use std::path::Path;
use std::process::ExitCode;

/// One thing that is wrong, ready to print.
type Finding = String;

fn main() -> ExitCode {
    // The crate lies in `crates/xtask`, whatever directory it is started from.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match std::env::args().nth(1).as_deref() {
        Some("house") => report(&root),
        Some("crash") => crash::run(&root),
        _ => {
            eprintln!("usage: cargo run -p xtask -- house | crash");
            ExitCode::from(2)
        }
    }
}

/// Prints what the checks of the house find.
fn report(root: &Path) -> ExitCode {
    match house(root) {
        Ok(findings) if findings.is_empty() => ExitCode::SUCCESS,
        Ok(findings) => {
            for finding in &findings {
                println!("{finding}");
            }
            println!("{} findings", findings.len());
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(4)
        }
    }
}

fn house(root: &Path) -> Result<Vec<Finding>, std::io::Error> {
    let files = files::list(root)?;
    let manifests = manifest::read_all(&files)?;
    let mut findings = Vec::new();
    findings.extend(arrows::check(&manifests));
    findings.extend(lengths::check(&files));
    findings.extend(unsafety::check(&files));
    findings.extend(dependencies::check(&manifests, &files));
    findings.extend(links::check(&files));
    findings.extend(decisions::check(&files));
    println!(
        "house: {} crates, {} files, {} lines of Rust, {} uses of unsafe (budget {})",
        manifests.len(),
        files.len(),
        lengths::lines_of_rust(&files),
        unsafety::count(&files),
        unsafety::budget(&files).map_or_else(|| "none".to_owned(), |budget| budget.to_string()),
    );
    Ok(findings)
}
