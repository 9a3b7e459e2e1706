//! Counts of what was tried and how it ended, as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::strace::Ended;

/// How often something was done, and how it ended.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    points: usize,
    done: usize,
    told: usize,
    bug: usize,
    stopped: usize,
    died: usize,
    faults: usize,
}

/// All counts of a session, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: BTreeMap<[String; 3], Count>,
    pub(crate) faults: Vec<String>,
}

impl Tally {
    /// Counts one try: in which case, what was done, to which call; and what was found.
    pub(crate) fn count(&mut self, what: [&str; 3], ended: &Ended, found: Result<(), String>) {
        let count = self.counts.entry(what.map(str::to_owned)).or_default();
        count.points += 1;
        match ended.code {
            Some(0) => count.done += 1,
            Some(130) => count.stopped += 1,
            Some(70) => count.bug += 1,
            Some(_) => count.told += 1,
            None => count.died += 1,
        }
        if let Err(fault) = found {
            count.faults += 1;
            let [case, done, call] = what;
            let fault = format!("{case}, {done}, {call}, point {}: {fault}", count.points);
            println!("FAULT {fault}");
            self.faults.push(fault);
        }
    }

    /// Points in all.
    pub(crate) fn points(&self) -> usize {
        self.counts.values().map(|count| count.points).sum()
    }

    /// A Markdown table with a line for each case, deed and call.
    pub(crate) fn table(&self) -> String {
        let mut table = "| case | what is done | call | points | exit 0 | exit 4 | exit 70 | exit 130 | killed | torn or different |\n\
             |---|---|---|--:|--:|--:|--:|--:|--:|--:|\n"
            .to_owned();
        for ([case, done, call], count) in &self.counts {
            let Count { points, done: zero, told, bug, stopped, died, faults } = count;
            let _ = writeln!(
                table,
                "| {case} | {done} | {call} | {points} | {zero} | {told} | {bug} | {stopped} | {died} | {faults} |"
            );
        }
        table
    }

    /// A Markdown table with a line for each deed and call, over all cases.
    pub(crate) fn summary(&self) -> String {
        let mut sums: BTreeMap<[String; 3], Count> = BTreeMap::new();
        for ([_, done, call], count) in &self.counts {
            let sum = sums.entry(["all".into(), done.clone(), call.clone()]).or_default();
            sum.points += count.points;
            sum.done += count.done;
            sum.told += count.told;
            sum.bug += count.bug;
            sum.stopped += count.stopped;
            sum.died += count.died;
            sum.faults += count.faults;
        }
        Self { counts: sums, faults: Vec::new() }.table()
    }
}
