//! What `train` and `demo` share: a folder for the run, the run itself, and what it came to.

use std::path::{Path, PathBuf};

use sequela_train::{Judged, Options, Outcome as Trained, Report, Stopped, Study, resume, train};
use serde_json::{Value, json};

use super::console::Console;
use super::errors;
use super::failure::{Failure, Outcome};
use super::progress::{Progress, duration};
use super::signal::stop_flag;

/// A run to be made or to be gone on with.
pub(crate) enum Job<'a> {
    /// A new run of a study in a folder.
    New(&'a Study, &'a Path),
    /// The rest of the run in a folder.
    Resume(&'a Path),
}

/// What a run came to, or `None` where a signal stopped it, which is told here.
pub(crate) fn run(
    job: &Job<'_>,
    threads: usize,
    console: Console,
) -> Result<Option<Box<Report>>, Failure> {
    let stop = stop_flag()?;
    let options = Options { threads, stop: Some(&stop), ..Options::default() };
    let mut progress = Progress::new(console, &stop);
    let mut observer = |event: &sequela_train::Event<'_>| progress.hear(event);
    let trained = match job {
        Job::New(study, folder) => train(study, folder, &options, &mut observer),
        Job::Resume(folder) => resume(folder, &options, &mut observer),
    };
    progress.finish()?;
    match trained? {
        Trained::Finished(report) => Ok(Some(report)),
        Trained::Stopped(stopped) => tell_stopped(&stopped, console).map(|()| None),
    }
}

fn tell_stopped(stopped: &Stopped, console: Console) -> Result<(), Failure> {
    let Stopped { folder, epoch, step, checkpoint } = stopped;
    if console.is_json() {
        return Console::print_json(&json!({ "event": "stopped", "folder": folder, "epoch": epoch,
            "step": step, "checkpoint": checkpoint }));
    }
    // Said even when quiet: it is the one thing to know now.
    Console::tell(&format!(
        "stopped in epoch {epoch}, step {step}; go on with the same results as if never stopped:\n    {} train --resume {}",
        program(),
        folder.display()
    ));
    Ok(())
}

/// Tells the errors and the files of a finished run.
pub(crate) fn tell_report(report: &Report, console: Console) -> Result<Outcome, Failure> {
    if console.is_json() {
        Console::print_json(&machine(report))?;
        return Ok(Outcome::Done);
    }
    Console::print(format!("\n{}", errors::judged(&report.evaluation)))?;
    if let Some(finding) = errors::finding(&report.evaluation) {
        console.say(&format!("finding: {finding}"));
    }
    let best = match report.tune_loss {
        Some(loss) if matches!(report.evaluation, Judged::Folds(_)) => {
            format!(" over all folds; mean tuning loss {loss:.5}")
        }
        Some(loss) => format!("; weights of epoch {}, tuning loss {loss:.5}", report.best_epoch),
        None => format!("; last loss {:.5}", report.train_loss),
    };
    console.say(&format!("{} epochs in {}{best}", report.epochs, duration(report.seconds)));
    Ok(Outcome::Done)
}

/// A finished run for machines.
pub(crate) fn machine(report: &Report) -> Value {
    json!({ "event": "finished", "folder": report.folder, "model": report.model,
        "epochs": report.epochs, "best_epoch": report.best_epoch, "train_loss": report.train_loss,
        "tune_loss": report.tune_loss, "seconds": report.seconds, "files": report.files,
        "evaluation": parsed(&report.evaluation.to_json()) })
}

/// JSON text as a value; text that is none stays a string.
pub(crate) fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// A folder of this name that is not there yet: `name`, `name-2`, `name-3` ...
pub(crate) fn fresh_folder(name: &Path) -> PathBuf {
    let taken = |folder: &Path| folder.symlink_metadata().is_ok();
    let (mut folder, mut number) = (name.to_owned(), 1_u64);
    while taken(&folder) {
        number += 1;
        let mut numbered = name.as_os_str().to_owned();
        numbered.push(format!("-{number}"));
        folder = PathBuf::from(numbered);
    }
    folder
}

/// The command as the user called it, so that what is suggested can be pasted.
pub(crate) fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    if called.contains(std::path::MAIN_SEPARATOR) { called } else { "sequela".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_there_is_never_chosen() {
        let inside = tempfile::tempdir().unwrap();
        let name = inside.path().join("demo");
        assert_eq!(fresh_folder(&name), name);
        std::fs::create_dir(&name).unwrap();
        assert_eq!(fresh_folder(&name), inside.path().join("demo-2"));
    }
}
