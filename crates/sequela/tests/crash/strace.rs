//! Runs a command under strace, which tells its system calls, kills it at one, or lets one fail.

use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a command came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended {
    /// Its exit code, or none where a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// One system call of a run that nothing was done to.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Its name.
    pub(crate) name: String,
    /// Its number among the calls of this name, from 1, as strace counts.
    pub(crate) number: usize,
    /// The whole line, strings as `\xNN`.
    pub(crate) line: String,
}

/// Why nothing can be injected here; none where it can.
pub(crate) fn obstacle(folder: &Path) -> Option<String> {
    let log = folder.join("probe.log");
    let mut probe = strace(&log, &["--inject=openat:signal=SIGKILL:when=1"], Path::new("/bin/sh"));
    probe.args(["-c", ":"]);
    match probe.stdout(Stdio::null()).stderr(Stdio::piped()).output() {
        Err(error) => Some(format!("strace cannot be started ({error})")),
        Ok(output) if ended(output.status).1 == Some(9) => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).lines().next().map(str::to_owned);
            Some(format!("strace may not trace here ({})", said.unwrap_or_default()))
        }
    }
}

/// The calls of a command that nothing is done to, in order, all made by its first thread.
pub(crate) fn calls(command: &Command, log: &Path) -> (Ended, Vec<Call>) {
    let traced = format!("--trace={}", LISTENED.join(","));
    let options = ["-xx", "--string-limit=100000000", traced.as_str()];
    let ended = run(&mut wrapped(command, log, &options));
    let text = std::fs::read_to_string(log).unwrap();
    let mut first = None;
    let mut calls: Vec<Call> = Vec::new();
    for line in text.lines() {
        let Some((process, line)) = line.split_once(char::is_whitespace) else { continue };
        let line = line.trim_start();
        let Some((name, _)) = line.split_once('(').filter(|_| !line.starts_with(['+', '-'])) else {
            continue;
        };
        assert_eq!(*first.get_or_insert(process), process, "a worker thread calls {line}");
        let number = 1 + calls.iter().filter(|call| call.name == name).count();
        calls.push(Call { name: name.to_owned(), number, line: line.to_owned() });
    }
    (ended, calls)
}

/// Runs a command and does `what` to a call, e.g. `error=EIO` to `fsync`, `when=3`.
pub(crate) fn inject(command: &Command, log: &Path, call: (&str, &str), what: &str) -> Ended {
    let (name, when) = call;
    let traced = format!("--trace={name}");
    let injected = format!("--inject={name}:{what}:when={when}");
    run(&mut wrapped(command, log, &[&traced, &injected]))
}

/// The numbers of the calls of a name that the first thread of a command makes, from when it first
/// looks for a file of the user.
pub(crate) fn numbers(command: &Command, log: &Path, name: &str) -> RangeInclusive<usize> {
    run(&mut wrapped(command, log, &[&format!("--trace=openat,{name}")]));
    let text = std::fs::read_to_string(log).unwrap();
    let first = text.split_whitespace().next().unwrap_or("none").to_owned();
    let (mut before, mut all, mut ours) = (0, 0, false);
    for line in text.lines().filter(|line| line.starts_with(&first)) {
        ours |= line.contains("\"ward.") || line.contains("\"run/");
        let counts = usize::from(line.contains(&format!("{name}(")));
        all += counts;
        before += if ours { 0 } else { counts };
    }
    before + 1..=all
}

/// The same command under strace.
pub(crate) fn wrapped(command: &Command, log: &Path, options: &[&str]) -> Command {
    let mut under = strace(log, options, Path::new(command.get_program()));
    under.args(command.get_args()).stdin(Stdio::null());
    if let Some(folder) = command.get_current_dir() {
        under.current_dir(folder);
    }
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => under.env(key, value),
            None => under.env_remove(key),
        };
    }
    under
}

fn strace(log: &Path, options: &[&str], program: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["--follow-forks", "--quiet=all", "--output"]).arg(log).args(options);
    command.arg("--").arg(program);
    command
}

/// Runs a command to its end; one that hangs is killed and told.
pub(crate) fn run(command: &mut Command) -> Ended {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let drain = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = err.read_to_end(&mut bytes);
        bytes
    });
    let mut bytes = Vec::new();
    let _ = out.read_to_end(&mut bytes);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < Duration::from_mins(2), "{command:?} hangs");
        std::thread::sleep(Duration::from_micros(200));
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (code, signal) = ended(status);
    Ended { code, signal, out: text(bytes), err: text(drain.join().unwrap()) }
}

/// Exit code and signal of a process.
pub(crate) fn ended(status: std::process::ExitStatus) -> (Option<i32>, Option<i32>) {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal = None;
    (status.code(), signal)
}

/// Whether a call changes files or their durability, or decides what is done to them.
pub(crate) fn matters(name: &str) -> bool {
    LISTENED.iter().any(|known| known.trim_start_matches('?') == name)
        && !["read", "pread64", "lseek"].contains(&name)
}

/// Calls on files by their names on any Linux; `?` for those that some machines lack.
const LISTENED: [&str; 32] = [
    "?open",
    "openat",
    "?openat2",
    "?creat",
    "read",
    "pread64",
    "write",
    "pwrite64",
    "writev",
    "lseek",
    "ftruncate",
    "?truncate",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "?rename",
    "?renameat",
    "renameat2",
    "?unlink",
    "unlinkat",
    "?mkdir",
    "mkdirat",
    "?rmdir",
    "flock",
    "close",
    "statx",
    "getdents64",
    "?link",
    "linkat",
    "?symlink",
    "symlinkat",
    "fallocate",
];
