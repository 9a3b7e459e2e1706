//! Every call of a case: killed, failed, interrupted; and every state that a power loss leaves.

use crate::case::{Case, Disturbed};
use crate::strace::{self, Call, Ended};
use crate::tally::Tally;

/// How many of all points are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Every one.
    All,
    /// About so many, spread evenly.
    About(usize),
}

impl Share {
    fn of<T>(self, all: Vec<T>) -> Vec<T> {
        let step = match self {
            Self::All => 1,
            Self::About(points) => all.len().div_ceil(points.max(1)).max(1),
        };
        all.into_iter().skip(step / 2).step_by(step).collect()
    }
}

/// Kills the command at each call.
pub(crate) fn kills(case: &Case<'_>, share: Share, tally: &mut Tally) {
    for call in share.of(case.calls.iter().collect()) {
        case.reset();
        let when = call.number.to_string();
        let ended =
            strace::inject(&case.command(), &case.log(), (&call.name, &when), "signal=SIGKILL");
        let found = must_die(&ended).and_then(|()| case.examine(&ended, Disturbed::Killed));
        tally.count([case.name, "kill", &call.name], &ended, found);
    }
}

/// Kills the command, then kills what goes on from there at the same call, and so on, each time
/// one call later.
pub(crate) fn kills_in_a_row(case: &Case<'_>, name: &str, tally: &mut Tally) {
    case.reset();
    for number in 1..200 {
        let command = case.words_as_command(&case.next());
        let call = (name, number.to_string());
        let ended = strace::inject(&command, &case.log(), (call.0, &call.1), "signal=SIGKILL");
        if ended.signal != Some(9) {
            let found = case.examine(&ended, Disturbed::Killed);
            tally.count([case.name, "kill again and again", name], &ended, found);
            return;
        }
        tally.count([case.name, "kill again and again", name], &ended, Ok(()));
    }
}

/// Lets each call fail once.
pub(crate) fn failures(case: &Case<'_>, share: Share, tally: &mut Tally) {
    let mut points: Vec<(&Call, &str)> = Vec::new();
    for call in &case.calls {
        let (_, errors) =
            ERRORS.iter().find(|(name, _)| *name == call.name).copied().unwrap_or(("", &["EIO"]));
        points.extend(errors.iter().map(|&error| (call, error)));
    }
    for (call, error) in share.of(points) {
        case.reset();
        let (when, what) = (call.number.to_string(), format!("error={error}"));
        let ended = strace::inject(&case.command(), &case.log(), (&call.name, &when), &what);
        let disturbed = match call.name.as_str() {
            // What cannot be removed stays behind, and is removed by the next start.
            "unlink" | "unlinkat" => Disturbed::FailedForGood,
            "close" => Disturbed::FailedToClose,
            _ if call.line.starts_with("write(2,") => Disturbed::FailedToTell,
            _ => Disturbed::Failed,
        };
        let found = case.examine(&ended, disturbed);
        tally.count([case.name, error, &call.name], &ended, found);
    }
}

/// Lets every call of a name fail from one on: a disk that is and stays full or broken.
pub(crate) fn lasting_failures(case: &Case<'_>, share: Share, tally: &mut Tally) {
    for (name, error) in
        [("write", "ENOSPC"), ("fsync", "EIO"), ("openat", "EROFS"), ("statx", "EIO")]
    {
        for call in share.of(case.calls.iter().filter(|call| call.name == name).collect()) {
            case.reset();
            let (when, what) = (format!("{}+", call.number), format!("error={error}"));
            let ended = strace::inject(&case.command(), &case.log(), (name, &when), &what);
            let found = case.examine(&ended, Disturbed::FailedForGood);
            tally.count([case.name, &format!("{error} from then on"), name], &ended, found);
        }
    }
}

/// Sends a signal at each call that changes something, once or from then on.
pub(crate) fn signals(case: &Case<'_>, share: Share, tally: &mut Tally) {
    for (signal, plus, disturbed, name) in [
        ("SIGTERM", "", Disturbed::Asked, "SIGTERM"),
        ("SIGHUP", "", Disturbed::HungUp, "SIGHUP"),
        ("SIGINT", "", Disturbed::Asked, "Ctrl-C"),
        ("SIGINT", "+", Disturbed::AskedTwice, "Ctrl-C twice or more"),
    ] {
        let changing = case.calls.iter().filter(|call| CHANGING.contains(&call.name.as_str()));
        for call in share.of(changing.collect()) {
            case.reset();
            let (when, what) = (format!("{}{plus}", call.number), format!("signal={signal}"));
            let ended = strace::inject(&case.command(), &case.log(), (&call.name, &when), &what);
            let found = case.examine(&ended, disturbed);
            tally.count([case.name, name, &call.name], &ended, found);
        }
    }
}

/// Goes on from every state that a power loss can leave.
pub(crate) fn power_losses(case: &Case<'_>, share: Share, tally: &mut Tally) {
    for fault in case.trace.faults_of_order() {
        tally.count([case.name, "order of syncs", "all"], &Ended::default(), Err(fault));
    }
    for state in share.of(case.power_losses().into_iter().collect()) {
        let found = case.examine_state(state.as_ref());
        tally.count([case.name, "power loss", "all"], &Ended::default(), found);
    }
}

fn must_die(ended: &Ended) -> Result<(), String> {
    match ended.signal {
        Some(9) => Ok(()),
        _ => Err(format!("it was not killed, but ended with code {:?}", ended.code)),
    }
}

/// What each call may fail with; others fail with EIO.
const ERRORS: [(&str, &[&str]); 7] = [
    ("write", &["ENOSPC", "EIO", "EDQUOT"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("fdatasync", &["EIO", "ENOSPC"]),
    ("openat", &["ENOSPC", "EIO", "EMFILE", "EROFS", "EACCES"]),
    ("rename", &["EIO", "ENOSPC", "EACCES"]),
    ("mkdir", &["ENOSPC", "EROFS"]),
    ("flock", &["EIO", "ENOLCK"]),
];

const CHANGING: [&str; 7] =
    ["openat", "write", "ftruncate", "fsync", "fdatasync", "rename", "mkdir"];
