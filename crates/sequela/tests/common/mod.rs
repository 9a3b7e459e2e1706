//! A folder to work in and the program to run there.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may fail loudly")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder that goes away with the test.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A folder with the inputs of `testdata/cli/input`.
    pub(crate) fn with_inputs() -> Self {
        let bench = Self::empty();
        for entry in std::fs::read_dir(testdata().join("input")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), bench.path(entry.file_name())).unwrap();
        }
        bench
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, to be run in the folder and seeing no data set.
    pub(crate) fn command(&self) -> Command {
        self.prepared(Command::new(program()))
    }

    /// A shell in the folder; the program is `$0`.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script, program()]);
        self.prepared(command)
    }

    fn prepared(&self, mut command: Command) -> Command {
        command
            .current_dir(self.folder.path())
            .env("SEQUELA_DATA", "no-such-folder")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program with these words.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        ran(self.command().args(words))
    }

    /// The content of a file.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Puts a file there.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }
}

/// Runs a command to its end.
pub(crate) fn ran(command: &mut Command) -> Ran {
    #[cfg(unix)]
    if command.get_program() == program() {
        // Messages suggest the program as it was called.
        std::os::unix::process::CommandExt::arg0(command, "sequela");
    }
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// The program under test.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_sequela")
}

/// The folder of golden files.
pub(crate) fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/cli")
}
