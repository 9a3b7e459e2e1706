//! Where words go: results to standard output, everything else to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use super::failure::Failure;

/// How much is said on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Results and errors only.
    Quiet,
    /// Lines, for logs and pipes.
    Lines,
    /// A progress bar, for a terminal.
    Bars,
}

/// What results look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Tables and sentences.
    Text,
    /// JSON, one value a line.
    Json,
}

/// The two streams and how they are used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Console {
    voice: Voice,
    form: Form,
}

impl Console {
    /// The console that the arguments ask for; bars only where someone sees them.
    pub(crate) fn new(form: Form, voice: Voice) -> Self {
        let seen = io::stderr().is_terminal() && form == Form::Text;
        let voice = if voice == Voice::Bars && !seen { Voice::Lines } else { voice };
        Self { voice, form }
    }

    /// How much is said on the way.
    pub(crate) fn voice(self) -> Voice {
        self.voice
    }

    /// Whether results are for machines.
    pub(crate) fn is_json(self) -> bool {
        self.form == Form::Json
    }

    /// Bytes of a result to standard output.
    pub(crate) fn print(result: impl AsRef<[u8]>) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(result.as_ref())
            .and_then(|()| out.flush())
            .map_err(|error| Failure::output(&error))
    }

    /// A JSON value to standard output, on a line of its own.
    pub(crate) fn print_json(value: &Value) -> Result<(), Failure> {
        Self::print(format!("{value}\n"))
    }

    /// A remark to standard error, where remarks are wanted.
    pub(crate) fn say(self, remark: &str) {
        if self.voice != Voice::Quiet && self.form == Form::Text {
            Self::tell(remark);
        }
    }

    /// A line to standard error. If that is closed, nobody is left to be told.
    pub(crate) fn tell(line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}
