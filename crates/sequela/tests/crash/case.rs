//! A command that may be disturbed, what it may leave, and how it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::common::Bench;
use crate::folder::{Files, finished, is_temporary, load, store};
use crate::replay::Trace;
use crate::strace::{self, Call, Ended};

/// A command, the folder that it writes in, and what became of both when nothing disturbed them.
pub(crate) struct Case<'a> {
    pub(crate) name: &'static str,
    bench: &'a Bench,
    /// The folder that is written in.
    folder: &'static str,
    /// What it holds before; none where it is not there.
    before: Option<Files>,
    pub(crate) words: Vec<String>,
    /// What the user types after a crash.
    pub(crate) go_on: Vec<String>,
    /// What it holds after.
    after: Files,
    /// What is said on standard output.
    said: String,
    /// What its model forecasts.
    forecast: String,
    code: i32,
    /// The calls from the first that concerns the user's files.
    pub(crate) calls: Vec<Call>,
    pub(crate) trace: Trace,
    versions: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

/// How a disturbed command should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disturbed {
    /// Killed: leftovers are allowed until the next start.
    Killed,
    /// A call failed: it is told, with exit code 4, and nothing is left over.
    Failed,
    /// Calls failed from one on, the message and the cleaning perhaps among them.
    FailedForGood,
    /// A descriptor could not be closed. The standard library of Rust panics where it is that of a
    /// listing of a folder, which no known file system does: exit code 70, with the files whole.
    FailedToClose,
    /// The call that failed was to tell a failure on standard error: nothing is left over.
    FailedToTell,
    /// Asked to stop: exit code 130 with nothing left over, or done.
    Asked,
    /// Asked to stop twice: exit code 130 at once.
    AskedTwice,
    /// There was no memory: told, or aborted.
    OutOfMemory,
    /// The terminal went away: ended by the signal as by a kill.
    HungUp,
}

/// Which lines of `timing.jsonl` have to be there; it is the one file that is not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    All,
    SomeLost,
}

impl<'a> Case<'a> {
    /// Runs `words` undisturbed in `folder` as `before` has it, and keeps what came of it.
    pub(crate) fn new(
        bench: &'a Bench,
        name: &'static str,
        folder: &'static str,
        before: Option<Files>,
        words: [&[&str]; 2],
    ) -> Self {
        store(&bench.path(folder), before.as_ref());
        let [words, go_on] = words.map(|words| words.iter().map(|&word| word.to_owned()).collect());
        let mut case = Self {
            name,
            bench,
            folder,
            before,
            words,
            go_on,
            after: Files::new(),
            said: String::new(),
            forecast: String::new(),
            code: 0,
            calls: Vec::new(),
            trace: Trace::default(),
            versions: BTreeMap::new(),
        };
        let (ended, calls) = strace::calls(&case.command(), &bench.path("strace.log"));
        case.code = ended.code.unwrap();
        case.said = ended.out;
        case.trace = Trace::of(&calls, folder, case.before.as_ref());
        case.versions = case.trace.versions(case.before.as_ref());
        case.after = load(&bench.path(folder)).unwrap();
        // The simulation is worth something only where it agrees with the real file system.
        for (name, bytes) in &case.after {
            assert!(case.versions[name].contains(bytes), "the trace misses a change of {name}");
        }
        case.forecast = strace::run(bench.command().args(FORECAST)).out;
        // What the loader of programs does before is not ours.
        let ours = [hex("ward."), hex("run/")];
        let is_ours = |call: &Call| ours.iter().any(|ours| call.line.contains(ours));
        let start = calls.iter().position(is_ours).unwrap();
        let counted = calls.into_iter().skip(start).filter(|call| strace::matters(&call.name));
        case.calls = counted.collect();
        case
    }

    /// The command.
    pub(crate) fn command(&self) -> Command {
        self.words_as_command(&self.words)
    }

    pub(crate) fn log(&self) -> std::path::PathBuf {
        self.bench.path("strace.log")
    }

    /// Puts the folder back to what it was before.
    pub(crate) fn reset(&self) {
        store(&self.path(), self.before.as_ref());
    }

    /// Every state that a power loss can leave.
    pub(crate) fn power_losses(&self) -> BTreeSet<Option<Files>> {
        self.trace.power_losses(self.before.as_ref())
    }

    /// Looks at what a disturbed command left, goes on as a user would, and compares.
    pub(crate) fn examine(&self, ended: &Ended, disturbed: Disturbed) -> Result<(), String> {
        let left = load(&self.path());
        self.ending(ended, disturbed, left == self.before)?;
        self.whole(left.as_ref(), disturbed)?;
        let cleaned = match disturbed {
            Disturbed::Failed | Disturbed::FailedToTell | Disturbed::Asked => ended.code.is_some(),
            _ => false,
        };
        let earlier =
            |name: &str| self.before.as_ref().is_some_and(|files| files.contains_key(name));
        // Who could not take the lock may not remove its file; an empty one is nobody's.
        let is_leftover = |&(name, bytes): &(&String, &Vec<u8>)| {
            (is_temporary(name) || (name == "run.lock" && !bytes.is_empty())) && !earlier(name)
        };
        if let Some((name, _)) = left.iter().flatten().find(is_leftover)
            && cleaned
        {
            return Err(format!("{name} was left over"));
        }
        self.goes_on()
    }

    /// Looks at a state that a power loss left, goes on, and compares.
    pub(crate) fn examine_state(&self, state: Option<&Files>) -> Result<(), String> {
        store(&self.path(), state);
        self.model_is_readable(state)?;
        self.goes_on_with(Times::SomeLost)
    }

    /// A run that others meddled with has done all the same, and nothing else is there.
    pub(crate) fn unharmed(&self, ended: &Ended) -> Result<(), String> {
        if ended.code != Some(0) {
            return Err(format!("the first ended with {:?}: {}", ended.code, ended.err));
        }
        self.same_files(&load(&self.path()).unwrap_or_default())
    }

    /// The same files with the same bytes as after a run that nothing disturbed.
    pub(crate) fn same_files(&self, found: &Files) -> Result<(), String> {
        self.same(found, Times::All)
    }

    fn goes_on(&self) -> Result<(), String> {
        self.goes_on_with(Times::All)
    }

    /// Goes on as a user would, and compares with what nothing disturbed.
    fn goes_on_with(&self, times: Times) -> Result<(), String> {
        let command = self.next();
        let mut ended = strace::run(&mut self.words_as_command(&command));
        if ended.code != Some(self.code) {
            return Err(format!("going on gave {:?}: {}", ended.code, ended.err.trim()));
        }
        let after = load(&self.path()).unwrap_or_default();
        self.same(&after, times)?;
        if ended.out != self.said {
            return Err("going on said something else".into());
        }
        ended = strace::run(self.bench.command().args(FORECAST));
        if ended.out != self.forecast {
            return Err(format!("the model forecasts something else: {}", ended.err));
        }
        Ok(())
    }

    /// What a user types next: a run that was never begun is begun.
    pub(crate) fn next(&self) -> Vec<String> {
        let begun = self.path().join("study.toml").exists() || self.folder != "run";
        if begun { self.go_on.clone() } else { self.words.clone() }
    }

    pub(crate) fn words_as_command(&self, words: &[String]) -> Command {
        let mut command = self.bench.command();
        command.args(words);
        command
    }

    /// The folder that is written in.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.bench.path(self.folder)
    }

    fn ending(&self, ended: &Ended, disturbed: Disturbed, untouched: bool) -> Result<(), String> {
        // Signals are watched before anything is written, by commands that take long.
        let may_die = untouched || self.folder != "run";
        let told = || {
            let err = &ended.err;
            let place = ["run", "ward", "out", "standard output"].iter().any(|p| err.contains(p));
            err.starts_with("sequela: ") && err.contains("\n  hint: ") && place
        };
        let good = match (disturbed, ended.code, ended.signal) {
            (Disturbed::Killed, code, signal) => {
                signal == Some(9) || (signal.is_none() && code == Some(self.code))
            }
            (Disturbed::Failed | Disturbed::FailedToClose, Some(4), _) => told(),
            (Disturbed::Asked | Disturbed::AskedTwice, None, Some(2 | 15)) => may_die,
            (Disturbed::OutOfMemory, code, signal) => {
                // 127: not even the loader had enough.
                signal == Some(6) || [Some(0), Some(4), Some(70), Some(127)].contains(&code)
            }
            (Disturbed::FailedForGood | Disturbed::FailedToTell, Some(4), _)
            | (Disturbed::FailedToClose, Some(70), _)
            | (Disturbed::HungUp, None, Some(1))
            | (Disturbed::Asked | Disturbed::AskedTwice, Some(130), _) => true,
            (_, code, None) => code == Some(self.code),
            _ => false,
        };
        if good {
            return Ok(());
        }
        let Ended { code, signal, err, .. } = ended;
        Err(format!("ended with code {code:?}, signal {signal:?}, and said: {err}"))
    }

    /// Every file is one of its whole versions, or nothing.
    fn whole(&self, left: Option<&Files>, disturbed: Disturbed) -> Result<(), String> {
        for (name, bytes) in left.into_iter().flatten() {
            let torn = || Err(format!("{name} of {} bytes is torn", bytes.len()));
            match name.as_str() {
                "run.lock" => {}
                // A stop writes one more; going on reads it and checks its digest.
                "checkpoint.safetensors" if disturbed == Disturbed::Asked => {}
                "checkpoint.safetensors" if disturbed == Disturbed::AskedTwice => {}
                name if is_temporary(name) => {}
                "metrics.jsonl" => {
                    let whole =
                        [self.after.get(name), self.before.as_ref().and_then(|b| b.get(name))];
                    let lines = finished(bytes);
                    if !whole.into_iter().flatten().any(|all| all.starts_with(lines)) {
                        return torn();
                    }
                }
                "timing.jsonl" => {
                    let text = String::from_utf8_lossy(finished(bytes)).into_owned();
                    if text.lines().any(|line| timed_epoch(line).is_none()) {
                        return torn();
                    }
                }
                name => {
                    if !self.versions.get(name).is_some_and(|versions| versions.contains(bytes)) {
                        return torn();
                    }
                }
            }
        }
        self.model_is_readable(left)
    }

    /// The product's own reader takes the model, where there is one.
    fn model_is_readable(&self, left: Option<&Files>) -> Result<(), String> {
        if !left.is_some_and(|files| files.contains_key("model.safetensors")) {
            return Ok(());
        }
        let shown = strace::run(self.bench.command().args(["inspect", "model", self.folder]));
        match shown.code {
            Some(0) => Ok(()),
            code => Err(format!("inspecting the model gave {code:?}: {}", shown.err)),
        }
    }

    fn same(&self, found: &Files, times: Times) -> Result<(), String> {
        if !found.keys().eq(self.after.keys()) {
            let (found, wanted): (Vec<_>, Vec<_>) =
                (found.keys().collect(), self.after.keys().collect());
            return Err(format!("there is {found:?}, not {wanted:?}"));
        }
        for (name, bytes) in &self.after {
            if name == "timing.jsonl" {
                // Times differ; each epoch has one line.
                let text = String::from_utf8_lossy(&found[name]).into_owned();
                let epochs: Option<Vec<u64>> = text.lines().map(timed_epoch).collect();
                let wanted: Vec<u64> =
                    String::from_utf8_lossy(bytes).lines().filter_map(timed_epoch).collect();
                let good = epochs.as_ref().is_some_and(|epochs| match times {
                    Times::All => *epochs == wanted,
                    Times::SomeLost => {
                        epochs.is_sorted_by(|a, b| a < b)
                            && epochs.iter().all(|e| wanted.contains(e))
                    }
                });
                if !good {
                    return Err(format!("timing.jsonl has {epochs:?}, not {wanted:?}"));
                }
            } else if &found[name] != bytes {
                return Err(format!("{name} differs"));
            }
        }
        Ok(())
    }
}

/// The epoch of a line of `timing.jsonl`.
fn timed_epoch(line: &str) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    value["seconds"].as_f64()?;
    value["epoch"].as_u64()
}

fn hex(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "\\x{byte:02x}");
        hex
    })
}

const FORECAST: [&str; 3] = ["predict", "run/model.safetensors", "ward.csv"];

/// A finished run, for cases that begin with one.
pub(crate) fn finished_run(bench: &Bench, folder: &Path, words: &[&str]) -> Files {
    let ended = strace::run(bench.command().args(words));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    load(folder).unwrap()
}
