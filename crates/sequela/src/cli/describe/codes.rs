//! What is told of coded events that are converted before they are described.

use std::path::Path;

use sequela_core::Limits;
use sequela_formats::{Layout, detect};
use serde_json::json;

use crate::cli::console::Console;
use crate::cli::failure::{Failure, Outcome};

/// Tells what it is, and what to do with it.
pub(super) fn describe(path: &Path, console: Console) -> Result<Outcome, Failure> {
    let format = match detect(path, &Limits::default())? {
        Layout::Omop => "tables of OMOP",
        _ => "coded events",
    };
    if console.is_json() {
        Console::print_json(&json!({ "format": format }))?;
    } else {
        Console::print(format!("{}\nformat     {format}\n", path.display()))?;
    }
    console.say("next: convert it: sequela data convert IN OUT --to meds, and describe OUT");
    Ok(Outcome::Done)
}
