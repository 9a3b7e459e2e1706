//! The one place that turns an error into words, a hint and an exit code.
//!
//! ```text
//! sequela: ward.csv:17, field heart_rate: the value is not a number
//!   hint: correct the cell, or leave it empty where nothing was measured
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use sequela_core::Class;
use serde_json::json;

use super::console::Console;

/// What a verb came to where nothing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done (exit 0).
    Done,
    /// Everything was done, and something was found that the user should look at (exit 1).
    Findings,
    /// A signal stopped the work at a checkpoint, which was said already (exit 130).
    Stopped,
}

/// Why a verb did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to be told.
    Told(Box<Told>),
    /// Who was reading standard output went away: nobody is left to be told (exit 0).
    ClosedPipe,
    /// A panic, which the hook has told (exit 70).
    Bug,
}

/// An error in words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    class: Class,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// A failure found by the command line itself.
    pub(crate) fn new(class: Class, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let (message, hint) = (message.into(), Some(hint.into()));
        Self::Told(Box::new(Told { class, message, causes: Vec::new(), hint }))
    }

    /// A library's failure. The remedy is the library's own, else what stands after the first
    /// semicolon of its message (`place: fault; remedy`).
    pub(crate) fn of(class: Class, error: &dyn Error, hint: Option<String>) -> Self {
        let text = error.to_string();
        let mut causes: Vec<String> = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Messages quote their source, or say what the system said in their own words.
            let said = text.contains(&cause_text) || causes.contains(&cause_text);
            if !said && !cause.is::<io::Error>() {
                causes.push(cause_text);
            }
            source = cause.source();
        }
        let (message, hint) = match (hint, split_remedy(&text)) {
            (None, Some((fault, remedy))) => (fault.to_owned(), Some(remedy.to_owned())),
            (hint, _) => (text, hint),
        };
        Self::Told(Box::new(Told { class, message, causes, hint }))
    }

    /// The same failure, naming the file where its message does not.
    pub(crate) fn in_file(mut self, file: &Path) -> Self {
        if let Self::Told(told) = &mut self {
            let file = file.display().to_string();
            if !told.message.contains(&file) {
                told.message = format!("{file}: {}", told.message);
            }
        }
        self
    }

    /// A failure to write to standard output.
    pub(crate) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        let message = format!("standard output: writing failed ({error})");
        Self::new(Class::Io, message, "make room, or send the output elsewhere")
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Told(told) => told.class.exit_code(),
            Self::ClosedPipe => 0,
            Self::Bug => Class::Internal.exit_code(),
        }
    }
}

impl From<sequela_formats::Error> for Failure {
    fn from(error: sequela_formats::Error) -> Self {
        Self::of(error.class(), &error, None)
    }
}

impl From<sequela_nn::Error> for Failure {
    fn from(error: sequela_nn::Error) -> Self {
        Self::of(error.class(), &error, None)
    }
}

impl From<sequela_data::Error> for Failure {
    fn from(error: sequela_data::Error) -> Self {
        Self::of(error.class(), &error, None)
    }
}

impl From<sequela_train::Error> for Failure {
    fn from(error: sequela_train::Error) -> Self {
        Self::of(error.class(), &error, error.hint())
    }
}

/// Tells a failure on standard error and gives the exit code.
pub(crate) fn finish(result: Result<Outcome, Failure>, console: Console) -> ExitCode {
    let failure = match result {
        Ok(Outcome::Done) => return ExitCode::SUCCESS,
        Ok(Outcome::Findings) => return ExitCode::from(1),
        Ok(Outcome::Stopped) => return ExitCode::from(130),
        Err(failure) => failure,
    };
    if let Failure::Told(told) = &failure {
        Console::tell(&if console.is_json() { told.json() } else { told.text() });
    }
    ExitCode::from(failure.exit_code())
}

/// Makes a panic one line that says what to do; the place of the panic is enough to find it, and
/// its message might quote data.
pub(crate) fn explain_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::env::var_os("RUST_BACKTRACE").is_some() {
            usual(panic);
        }
        let place = panic.location().map_or_else(String::new, |at| format!(" at {at}"));
        let version = env!("CARGO_PKG_VERSION");
        Console::tell(&format!(
            "sequela: this is a bug in sequela {version}{place}; please report this line and the \
             command (RUST_BACKTRACE=1 shows more, but may quote data); earlier results are whole"
        ));
    }));
}

impl Told {
    /// What is wrong, in a line without its remedy.
    pub(crate) fn message(&self) -> String {
        one_line(&self.message)
    }

    fn text(&self) -> String {
        let mut text = format!("sequela: {}", one_line(&self.message));
        for cause in &self.causes {
            let _ = write!(text, "\n  because: {}", one_line(cause));
        }
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\n  hint: {}", one_line(hint));
        }
        text
    }

    fn json(&self) -> String {
        let exit = self.class.exit_code();
        json!({ "error": { "message": self.message, "because": self.causes, "hint": self.hint, "exit": exit } })
            .to_string()
    }
}

/// Parts `place: fault; remedy`; a semicolon in brackets belongs to the fault.
fn split_remedy(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_i32;
    let at = text.char_indices().find(|&(at, c)| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0 && text[at..].starts_with("; ")
    })?;
    Some((&text[..at.0], &text[at.0 + 2..]))
}

/// One line without control characters: names come from files, and a terminal obeys escapes.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("a.csv:3: the row is short; add a cell")]
    struct Short(#[source] std::num::ParseFloatError);

    #[test]
    fn the_remedy_and_the_cause_get_their_own_lines() {
        let error = Short("x".parse::<f64>().unwrap_err());
        let Failure::Told(told) = Failure::of(Class::Input, &error, None) else { panic!() };
        let lines = "sequela: a.csv:3: the row is short\n  because: invalid float literal\n  hint: add a cell";
        assert_eq!(told.text(), lines);
        assert_eq!(told.class.exit_code(), 3);
    }

    #[test]
    fn a_remedy_begins_after_the_first_semicolon_outside_brackets() {
        let parts = split_remedy("a: full (in use; busy); make room; try again");
        assert_eq!(parts, Some(("a: full (in use; busy)", "make room; try again")));
        assert_eq!(split_remedy("a: full"), None);
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(one_line("a\u{1b}[2J\nb"), "a[2J b");
    }

    #[test]
    fn a_closed_pipe_is_quiet_success() {
        let error = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Failure::output(&error).exit_code(), 0);
        let error = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(Failure::output(&error).exit_code(), 4);
    }
}
