//! `cargo run -p xtask -- crash`: the whole matrix of kills and failures.
//!
//! The harness is a test of the program, `crates/sequela/tests/crash`; this asks for all of it,
//! where a run of the tests tries some points only.

use std::path::Path;
use std::process::{Command, ExitCode};

/// Builds the harness and runs it in full; its exit code.
pub(crate) fn run(root: &Path) -> ExitCode {
    // Cargo names itself to what it runs.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words = ["test", "--release", "-p", "sequela", "--test", "crash", "--", "--full"];
    match Command::new(cargo).args(words).current_dir(root).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("cargo cannot be started: {error}");
            ExitCode::from(4)
        }
    }
}
