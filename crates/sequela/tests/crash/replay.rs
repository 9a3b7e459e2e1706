//! Power loss, simulated: what a disk may hold when the power fails between two system calls.
//!
//! A list of calls becomes a list of changes of files and names. For each moment, what was synced
//! is on the disk; of what was not, the disk may hold nothing, all, a torn part, or the length
//! without the bytes, and any first part of the changes of the folder's names. Two changes of
//! names are never swapped, as journalling file systems keep their order.
//!
//! After Pillai et al., "All file systems are not created equal", OSDI 2014.

use std::collections::{BTreeMap, BTreeSet};

use crate::folder::{Files, is_temporary};
use crate::strace::Call;

/// A change of the traced folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The folder is made.
    MakeFolder,
    /// A file appears under a name.
    Create {
        name: String,
        file: usize,
    },
    Write {
        file: usize,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: usize,
        length: usize,
    },
    SyncFile {
        file: usize,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        name: String,
    },
    /// The folder's names become durable.
    SyncFolder,
    /// The folder's own name becomes durable.
    SyncParent,
}

/// What a process did to one folder beside which it was started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    pub(crate) changes: Vec<Change>,
    /// Names of the files of before, which have the first numbers.
    before: Vec<String>,
}

impl Trace {
    /// The changes that a list of calls made to `folder`, which held the files of `before`.
    pub(crate) fn of(calls: &[Call], folder: &str, before: Option<&Files>) -> Self {
        let names: Vec<String> =
            before.into_iter().flat_map(|files| files.keys().cloned()).collect();
        let mut known: BTreeMap<String, usize> =
            (0..).zip(&names).map(|(file, name)| (name.clone(), file)).collect();
        let mut trace = Self { changes: Vec::new(), before: names };
        let mut count = trace.before.len();
        let mut open: BTreeMap<i64, Open> = BTreeMap::new();
        for call in calls {
            let Some(parsed) = Parsed::of(&call.line) else { continue };
            let inside = |at: usize| {
                let path = parsed.paths.get(at)?;
                path.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned)
            };
            let file_of = |descriptor| match open.get(&descriptor) {
                Some(Open::File { file, at }) => Some((*file, *at)),
                _ => None,
            };
            match call.name.as_str() {
                "open" | "openat" | "creat" => {
                    let path = parsed.paths.first().map(String::as_str).unwrap_or_default();
                    let opened = if path == folder {
                        Open::Folder
                    } else if path == "." {
                        Open::Parent
                    } else if let Some(name) = inside(0) {
                        let file = *known.entry(name.clone()).or_insert_with(|| {
                            trace.changes.push(Change::Create { name, file: count });
                            count += 1;
                            count - 1
                        });
                        assert!(!call.line.contains("O_TRUNC"), "{path} is emptied in place");
                        Open::File { file, at: 0 }
                    } else {
                        Open::Other
                    };
                    open.insert(parsed.result, opened);
                }
                "close" => {
                    open.remove(&parsed.first);
                }
                "read" | "write" => {
                    if let Some((file, at)) = file_of(parsed.first) {
                        let made = usize::try_from(parsed.result).unwrap();
                        if call.name == "write" {
                            let bytes = parsed.bytes[..made].to_vec();
                            trace.changes.push(Change::Write { file, at, bytes });
                        }
                        open.insert(parsed.first, Open::File { file, at: at + made });
                    }
                }
                "lseek" => {
                    if let Some((file, _)) = file_of(parsed.first) {
                        let at = usize::try_from(parsed.result).unwrap();
                        open.insert(parsed.first, Open::File { file, at });
                    }
                }
                "ftruncate" => {
                    if let Some((file, _)) = file_of(parsed.first) {
                        trace.changes.push(Change::Truncate { file, length: parsed.second });
                    }
                }
                "fsync" | "fdatasync" => match open.get(&parsed.first) {
                    Some(Open::File { file, .. }) => {
                        trace.changes.push(Change::SyncFile { file: *file });
                    }
                    Some(Open::Folder) => trace.changes.push(Change::SyncFolder),
                    Some(Open::Parent) => trace.changes.push(Change::SyncParent),
                    _ => {}
                },
                "rename" | "renameat" | "renameat2" => {
                    if let (Some(from), Some(to)) = (inside(0), inside(1)) {
                        let file = known.remove(&from).unwrap();
                        known.insert(to.clone(), file);
                        trace.changes.push(Change::Rename { from, to });
                    }
                }
                "unlink" | "unlinkat" => {
                    if let Some(name) = inside(0) {
                        known.remove(&name);
                        trace.changes.push(Change::Remove { name });
                    }
                }
                "mkdir" | "mkdirat" => {
                    if parsed.paths.first().is_some_and(|path| path == folder) {
                        trace.changes.push(Change::MakeFolder);
                    }
                }
                "read_dir" | "pread64" | "flock" | "statx" | "getdents64" => {}
                other => assert!(
                    inside(0).is_none() && file_of(parsed.first).is_none(),
                    "{other} is not understood: {}",
                    call.line
                ),
            }
        }
        trace
    }

    /// Every content that each name ever had, as a process that looks would have seen it.
    pub(crate) fn versions(&self, before: Option<&Files>) -> BTreeMap<String, BTreeSet<Vec<u8>>> {
        let mut versions: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for moment in 0..=self.changes.len() {
            for (name, bytes) in Disk::at(self, before, moment).seen() {
                versions.entry(name).or_default().insert(bytes);
            }
        }
        versions
    }

    /// Every state that a power loss can leave, each once; none where the folder is not there.
    pub(crate) fn power_losses(&self, before: Option<&Files>) -> BTreeSet<Option<Files>> {
        let mut states = BTreeSet::new();
        for moment in 0..=self.changes.len() {
            Disk::at(self, before, moment).losses(&mut states);
        }
        states
    }

    /// What is done in an order that a power loss could punish; empty where all is well.
    pub(crate) fn faults_of_order(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut unsynced: BTreeMap<usize, bool> = BTreeMap::new();
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut renamed: Option<&str> = None;
        for change in &self.changes {
            match change {
                Change::Create { name, file } => {
                    names.insert(name, *file);
                }
                Change::Write { file, .. } | Change::Truncate { file, .. } => {
                    unsynced.insert(*file, true);
                }
                Change::SyncFile { file } => {
                    unsynced.insert(*file, false);
                }
                Change::Rename { from, to } => {
                    let file = names.remove(from.as_str()).unwrap_or(usize::MAX);
                    if !is_temporary(from) {
                        faults.push(format!("{from} is renamed, and is no temporary file"));
                    }
                    if unsynced.get(&file) != Some(&false) {
                        faults.push(format!("{to} is renamed before its bytes are synced"));
                    }
                    if let Some(earlier) = renamed {
                        faults.push(format!("{earlier} was not made durable before {to}"));
                    }
                    // A checkpoint counts lines of the log, which must be there before it is.
                    let log = names.get("metrics.jsonl").and_then(|log| unsynced.get(log));
                    if to.starts_with("checkpoint") && log == Some(&true) {
                        faults.push("a checkpoint is renamed before the log is synced".into());
                    }
                    names.insert(to, file);
                    renamed = Some(to);
                }
                Change::SyncFolder => renamed = None,
                _ => {}
            }
        }
        faults.extend(renamed.map(|name| format!("{name} was never made durable")));
        faults
    }
}

/// What a descriptor stands for.
enum Open {
    File { file: usize, at: usize },
    Folder,
    Parent,
    Other,
}

/// One file: what is durable, and the changes since.
#[derive(Debug, Clone, Default)]
struct OnDisk {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// What the system and the disk hold at one moment.
#[derive(Debug, Clone, Default)]
struct Disk {
    files: Vec<OnDisk>,
    durable: BTreeMap<String, usize>,
    pending: Vec<Change>,
    is_there: bool,
    is_durable: bool,
}

/// What becomes of changes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Lost,
    /// The last write was half done.
    Torn,
    /// Lengths are there, bytes are not.
    Blank,
}

impl Disk {
    fn at(trace: &Trace, before: Option<&Files>, moment: usize) -> Self {
        let mut disk =
            Self { is_there: before.is_some(), is_durable: before.is_some(), ..Self::default() };
        for (file, name) in trace.before.iter().enumerate() {
            let durable = before.map(|files| files[name].clone()).unwrap_or_default();
            disk.files.push(OnDisk { durable, pending: Vec::new() });
            disk.durable.insert(name.clone(), file);
        }
        for change in &trace.changes[..moment] {
            disk.make(change);
        }
        disk
    }

    fn make(&mut self, change: &Change) {
        match change {
            Change::MakeFolder => self.is_there = true,
            Change::SyncParent => self.is_durable = self.is_there,
            Change::Create { .. } => {
                self.files.push(OnDisk::default());
                self.pending.push(change.clone());
            }
            Change::Rename { .. } | Change::Remove { .. } => self.pending.push(change.clone()),
            Change::Write { file, .. } | Change::Truncate { file, .. } => {
                self.files[*file].pending.push(change.clone());
            }
            Change::SyncFile { file } => {
                let file = &mut self.files[*file];
                file.durable = file.after(Fate::Kept);
                file.pending.clear();
            }
            Change::SyncFolder => {
                self.durable = self.names(self.pending.len());
                self.pending.clear();
            }
        }
    }

    /// The names after some of the pending changes.
    fn names(&self, changes: usize) -> BTreeMap<String, usize> {
        let mut names = self.durable.clone();
        for change in &self.pending[..changes] {
            match change {
                Change::Create { name, file } => {
                    names.insert(name.clone(), *file);
                }
                Change::Rename { from, to } => {
                    let file = names.remove(from).unwrap();
                    names.insert(to.clone(), file);
                }
                Change::Remove { name } => {
                    names.remove(name);
                }
                _ => {}
            }
        }
        names
    }

    /// What a process sees that looks.
    fn seen(&self) -> Files {
        let names = self.names(self.pending.len()).into_iter();
        names.map(|(name, file)| (name, self.files[file].after(Fate::Kept))).collect()
    }

    fn losses(&self, states: &mut BTreeSet<Option<Files>>) {
        if !self.is_durable {
            states.insert(None);
        }
        if !self.is_there {
            return;
        }
        for changes in 0..=self.pending.len() {
            let names = self.names(changes);
            let mut state = |fate: &dyn Fn(usize) -> Fate| {
                let file = |(name, file): (&String, &usize)| {
                    (name.clone(), self.files[*file].after(fate(*file)))
                };
                states.insert(Some(names.iter().map(file).collect()));
            };
            for all in [Fate::Kept, Fate::Lost, Fate::Torn, Fate::Blank] {
                state(&|_| all);
            }
            for one in names.values().filter(|&&file| !self.files[file].pending.is_empty()) {
                for (its, others) in [
                    (Fate::Lost, Fate::Kept),
                    (Fate::Torn, Fate::Kept),
                    (Fate::Blank, Fate::Kept),
                    (Fate::Kept, Fate::Lost),
                ] {
                    state(&|file| if file == *one { its } else { others });
                }
            }
        }
    }
}

impl OnDisk {
    fn after(&self, fate: Fate) -> Vec<u8> {
        let mut content = self.durable.clone();
        if fate == Fate::Lost {
            return content;
        }
        for (index, change) in self.pending.iter().enumerate() {
            match change {
                Change::Truncate { length, .. } => content.resize(*length, 0),
                Change::Write { at, bytes, .. } => {
                    let last = index + 1 == self.pending.len();
                    let made =
                        if fate == Fate::Torn && last { bytes.len() / 2 } else { bytes.len() };
                    let end = at + made;
                    content.resize(content.len().max(end), 0);
                    if fate == Fate::Blank {
                        content[*at..end].fill(0);
                    } else {
                        content[*at..end].copy_from_slice(&bytes[..made]);
                    }
                }
                _ => {}
            }
        }
        content
    }
}

/// A line of strace: `name(arguments) = result`, strings as `"\xNN..."`.
struct Parsed {
    first: i64,
    second: usize,
    /// The strings as text.
    paths: Vec<String>,
    /// The first string.
    bytes: Vec<u8>,
    result: i64,
}

impl Parsed {
    /// None where the call failed.
    fn of(line: &str) -> Option<Self> {
        let (call, result) = line.rsplit_once(" = ")?;
        let result: i64 = result.split_whitespace().next()?.parse().ok().filter(|&r| r >= 0)?;
        let arguments = call.split_once('(')?.1.trim_end().strip_suffix(')')?;
        let strings: Vec<Vec<u8>> = arguments.split('"').skip(1).step_by(2).map(unhex).collect();
        let mut numbers = arguments.split(", ").map(str::trim);
        let first = numbers.next().and_then(|text| text.parse().ok()).unwrap_or(-1);
        let second = numbers.next().and_then(|text| text.parse().ok()).unwrap_or(0);
        let paths =
            strings.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
        let bytes = strings.into_iter().next().unwrap_or_default();
        Some(Self { first, second, paths, bytes, result })
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
}
