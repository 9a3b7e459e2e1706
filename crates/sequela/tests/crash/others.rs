//! What is not one call of one process: two writers at once, kills at any moment, a disk that is
//! really full, memory that runs out, threads that cannot be started.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sequela_core::Random;

use crate::case::{Case, Disturbed};
use crate::common::program;
use crate::folder::load;
use crate::strace::{self, Ended};
use crate::tally::Tally;

/// A second process comes while the first is held up in its `number`-th rename.
pub(crate) fn second_writers(case: &Case<'_>, numbers: &[usize], tally: &mut Tally) {
    for number in numbers {
        case.reset();
        let delay = format!("--inject=rename:delay_enter=400ms:when={number}");
        let mut first = strace::wrapped(&case.command(), &case.log(), &["--trace=rename", &delay]);
        let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lock = case.path().join("run.lock");
        let start = Instant::now();
        while std::fs::read(&lock).unwrap_or_default().is_empty() {
            assert!(start.elapsed() < Duration::from_mins(1), "no lock appeared");
            sleep(Duration::from_millis(1));
        }
        for words in [&case.words, &case.go_on] {
            let second = strace::run(&mut case.words_as_command(words));
            let found = match second.code {
                Some(4) if second.err.contains("\n  hint: ") => Ok(()),
                code => Err(format!("the second ended with {code:?}: {}", second.err)),
            };
            tally.count([case.name, "second writer", "all"], &second, found);
        }
        let output = first.wait_with_output().unwrap();
        let ended = Ended { code: output.status.code(), ..Ended::default() };
        let found = case.unharmed(&ended);
        tally.count([case.name, "first writer", "all"], &ended, found);
    }
}

/// A second process has looked, is held up, and goes on when the first has ended.
pub(crate) fn late_writer(case: &Case<'_>, tally: &mut Tally) {
    case.reset();
    let delay = "--inject=mkdir:delay_enter=1500ms:when=1";
    let mut second = strace::wrapped(&case.command(), &case.log(), &["--trace=mkdir", delay]);
    let second = second.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_millis(300));
    let first = strace::run(&mut case.command());
    let output = second.wait_with_output().unwrap();
    let ended = Ended { code: output.status.code(), ..Ended::default() };
    let found = case.unharmed(&first).and_then(|()| match ended.code {
        Some(4) => Ok(()),
        code => Err(format!("the late one ended with {code:?}")),
    });
    tally.count([case.name, "late writer", "all"], &ended, found);
}

/// Two processes are started at the same time: one does it all, the other is refused.
pub(crate) fn races(case: &Case<'_>, times: usize, tally: &mut Tally) {
    for _ in 0..times {
        case.reset();
        let start = || {
            let mut command = case.command();
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let mut codes: Vec<Option<i32>> = [start(), start()]
            .into_iter()
            .map(|child| child.wait_with_output().unwrap().status.code())
            .collect();
        codes.sort_unstable();
        let ended = Ended { code: codes[0], ..Ended::default() };
        let refused = codes[1] == Some(4) || (case.name == "resume" && codes[1] == Some(0));
        let found = case.unharmed(&ended).and_then(|()| {
            if refused { Ok(()) } else { Err(format!("the two ended with {codes:?}")) }
        });
        tally.count([case.name, "two at once", "all"], &ended, found);
    }
}

/// Kills at moments by chance, which are within calls too.
pub(crate) fn kills_by_chance(case: &Case<'_>, times: u64, tally: &mut Tally) {
    case.reset();
    let start = Instant::now();
    strace::run(&mut case.command());
    let whole = u64::try_from(start.elapsed().as_micros()).unwrap();
    let random = Random::new(1, 1);
    for time in 0..times {
        case.reset();
        let mut command = case.command();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        sleep(Duration::from_micros(random.below(time, whole)));
        child.kill().unwrap();
        let (code, signal) = strace::ended(child.wait().unwrap());
        let ended = Ended { code, signal, ..Ended::default() };
        let found = case.examine(&ended, Disturbed::Killed);
        tally.count([case.name, "kill by chance", "all"], &ended, found);
    }
}

/// The address space is limited, from what the system can just begin the program in to what is
/// enough for all: the program ends, perhaps by an abort.
pub(crate) fn out_of_memory(case: &Case<'_>, tally: &mut Tally) {
    let limits = (8_000..80_000).step_by(100);
    // Where not even its file can be mapped, the system kills the process inside `execve`.
    let begins =
        |limit: &u32| strace::run(&mut limited(*limit, &["--version".into()])).signal != Some(11);
    for kibibytes in limits.skip_while(|limit| !begins(limit)) {
        case.reset();
        let mut command = limited(kibibytes, &case.words);
        command.current_dir(case.path().parent().unwrap()).env("SEQUELA_DATA", "no-such-folder");
        let ended = strace::run(&mut command);
        let found = case.examine(&ended, Disturbed::OutOfMemory);
        tally.count([case.name, "too little memory", "all"], &ended, found);
        if ended.code == Some(0) {
            return;
        }
    }
}

/// The program with these words and so much address space.
fn limited(kibibytes: u32, words: &[String]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -v {kibibytes}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, program()]).args(words);
    command
}

/// A thread cannot be started.
pub(crate) fn no_thread(case: &Case<'_>, tally: &mut Tally) {
    case.reset();
    for number in strace::numbers(&case.command(), &case.log(), "clone3") {
        case.reset();
        let call = ("clone3", &*number.to_string());
        let ended = strace::inject(&case.command(), &case.log(), call, "error=EAGAIN");
        let found = case.examine(&ended, Disturbed::FailedForGood);
        tally.count([case.name, "EAGAIN", "clone3"], &ended, found);
    }
}

/// A file system in memory that is too small, of every size up to enough; then there is room.
/// Whether it could be tried.
pub(crate) fn full_disks(case: &Case<'_>, tally: &mut Tally) -> bool {
    let sizes = (4..200).step_by(4);
    for kibibytes in sizes {
        let Some((first, last)) = in_small_room(case, kibibytes) else { return false };
        let ended = Ended { code: Some(first), ..Ended::default() };
        let copy = case.path().with_file_name("copy");
        let found = match (first, last) {
            (0 | 4, 0) => case.same_files(&load(&copy).unwrap_or_default()),
            codes => Err(format!("with {kibibytes} KiB the two ended with {codes:?}")),
        };
        tally.count([case.name, "full disk, then room", "all"], &ended, found);
        if first == 0 {
            break;
        }
    }
    true
}

/// Exit codes of the command where there is little room, and of what follows where there is more.
fn in_small_room(case: &Case<'_>, kibibytes: usize) -> Option<(i32, i32)> {
    let room = case.path().with_file_name("room");
    std::fs::create_dir_all(&room).unwrap();
    let script = "mount -t tmpfs -o size=$1k none room || exit 99\n\
        \"$0\" train ward.toml --out room/run --quiet --threads=1 --set train.checkpoint.steps=7 \
        >said 2>&1\n\
        first=$?; echo $first\n\
        [ $first = 0 ] || grep -q room said || exit 98\n\
        mount -o remount,size=64m room\n\
        if [ -e room/run/study.toml ]; then \"$0\" train --resume room/run --quiet >/dev/null\n\
        else \"$0\" train ward.toml --out room/run --quiet --threads=1 --set train.checkpoint.steps=7 \
        >/dev/null; fi\n\
        echo $?\n\
        rm -rf copy; cp -r room/run copy\n";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, program()]);
    command.arg(kibibytes.to_string()).current_dir(case.path().parent().unwrap_or(Path::new(".")));
    command.env("SEQUELA_DATA", "no-such-folder");
    let ended = strace::run(&mut command);
    let mut codes = ended.out.lines().filter_map(|line| line.parse().ok());
    Some((codes.next()?, codes.next().unwrap_or(-1)))
}
