//! What is remembered of every subject, in one block of numbers for each.

use std::collections::HashMap;
use std::sync::Arc;

use sequela_formats::csv::{Fault, LineFault};

/// How many numbers are kept for one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Widths {
    pub(super) floats: usize,
    pub(super) counts: usize,
    /// Times of the last window.
    pub(super) past: usize,
    /// What was counted in the last window.
    pub(super) tallies: usize,
}

/// The subjects, numbered in the order in which they came.
#[derive(Debug)]
pub(super) struct Subjects {
    /// Only asked, never walked: the order of its entries is chance.
    by_name: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
    widths: Widths,
    most: usize,
    /// The last time in hours; NaN before the first, and where there are no times.
    times: Vec<f64>,
    /// Steps since the beginning, or since the last long gap.
    steps: Vec<u64>,
    floats: Vec<f32>,
    counts: Vec<u64>,
    past: Vec<f64>,
    tallies: Vec<u32>,
    /// Steps of each subject that are queued.
    queued: Vec<u32>,
}

/// What is remembered of one subject.
pub(super) struct Memory<'a> {
    /// Steps since the beginning or the last long gap.
    pub(super) steps: &'a mut u64,
    pub(super) floats: &'a mut [f32],
    pub(super) counts: &'a mut [u64],
    pub(super) past: &'a mut [f64],
    pub(super) tallies: &'a mut [u32],
    pub(super) queued: &'a mut u32,
}

/// Everything that a state file holds.
pub(super) struct Content<'a> {
    pub(super) names: &'a [Arc<str>],
    pub(super) times: &'a [f64],
    pub(super) steps: &'a [u64],
    pub(super) floats: &'a [f32],
    pub(super) counts: &'a [u64],
    pub(super) past: &'a [f64],
}

impl Subjects {
    pub(super) fn new(widths: Widths, most: usize) -> Self {
        Self {
            by_name: HashMap::new(),
            names: Vec::new(),
            widths,
            most: most.min(u32::MAX as usize),
            times: Vec::new(),
            steps: Vec::new(),
            floats: Vec::new(),
            counts: Vec::new(),
            past: Vec::new(),
            tallies: Vec::new(),
            queued: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn widths(&self) -> Widths {
        self.widths
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Bytes of one subject, beside its name: its numbers and its places in the two lists.
    pub(super) fn bytes_per_subject(&self) -> usize {
        let Widths { floats, counts, past, tallies } = self.widths;
        4 * (floats + tallies) + 8 * (counts + past) + 8 + 8 + 4 + 16 + ENTRY
    }

    /// The number of a subject that is there.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).map(|&slot| slot as usize)
    }

    /// The number of a subject whose next step is at `time`, made where it is new, and whether it
    /// begins anew with that step because more than `gap` hours passed.
    pub(super) fn slot(
        &mut self,
        name: &str,
        time: Option<f64>,
        gap: Option<f64>,
    ) -> Result<(usize, bool), LineFault> {
        if time.is_some_and(|time| !time.is_finite()) {
            return Err(of_time("the time is not a number", "give a time in hours"));
        }
        let Some(slot) = self.find(name) else { return Ok((self.add(name, time)?, false)) };
        let before = self.times[slot];
        let mut begins = false;
        if self.steps[slot] > 0 {
            // NaN stands for no time.
            if before.is_nan() != time.is_none() {
                return Err(of_time(
                    "some lines of the subject have a time and some have none",
                    "give a time with all of them, or with none",
                ));
            }
            let passed = time.map_or(0.0, |time| time - before);
            if passed < 0.0 {
                return Err(of_time(
                    "the time goes backwards",
                    "send the lines of each subject in the order of time",
                ));
            }
            begins = passed > gap.unwrap_or(f64::INFINITY);
        }
        self.times[slot] = time.unwrap_or(f64::NAN);
        Ok((slot, begins))
    }

    fn add(&mut self, name: &str, time: Option<f64>) -> Result<usize, LineFault> {
        let slot = self.len();
        if slot >= self.most {
            return Err(LineFault::of_line(
                format!("the subject is new and over the limit of {} subjects", self.most),
                "raise --max-subjects (max_subjects) if so many are meant",
            ));
        }
        self.make_room(1).ok_or_else(|| {
            LineFault::of_line("there is no memory for one more subject", "lower --max-subjects")
        })?;
        let name: Arc<str> = name.into();
        let number = u32::try_from(slot).unwrap_or(u32::MAX);
        self.by_name.insert(Arc::clone(&name), number);
        self.names.push(name);
        self.times.push(time.unwrap_or(f64::NAN));
        self.steps.push(0);
        self.queued.push(0);
        let Widths { floats, counts, past, tallies } = self.widths;
        self.floats.resize(self.floats.len() + floats, 0.0);
        self.counts.resize(self.counts.len() + counts, 0);
        self.past.resize(self.past.len() + past, 0.0);
        self.tallies.resize(self.tallies.len() + tallies, 0);
        Ok(slot)
    }

    /// Makes room for more subjects, in steps of an eighth, so that little stands empty.
    fn make_room(&mut self, more: usize) -> Option<()> {
        let wanted = self.len() + more;
        if wanted <= self.times.capacity().min(self.names.capacity()) && self.len() > 0 {
            return Some(());
        }
        let more = more.max(self.len() / 8).max(64);
        let Widths { floats, counts, past, tallies } = self.widths;
        self.by_name.try_reserve(more).ok()?;
        self.names.try_reserve_exact(more).ok()?;
        self.times.try_reserve_exact(more).ok()?;
        self.steps.try_reserve_exact(more).ok()?;
        self.queued.try_reserve_exact(more).ok()?;
        self.floats.try_reserve_exact(more * floats).ok()?;
        self.counts.try_reserve_exact(more * counts).ok()?;
        self.past.try_reserve_exact(more * past).ok()?;
        self.tallies.try_reserve_exact(more * tallies).ok()
    }

    /// Puts a subject back to its beginning.
    pub(super) fn forget(&mut self, slot: usize) {
        self.times[slot] = f64::NAN;
        let memory = self.memory(slot);
        *memory.steps = 0;
        memory.floats.fill(0.0);
        memory.counts.fill(0);
        memory.past.fill(0.0);
    }

    /// What is remembered of a subject.
    pub(super) fn memory(&mut self, slot: usize) -> Memory<'_> {
        fn of<T>(list: &mut [T], slot: usize, width: usize) -> &mut [T] {
            &mut list[slot * width..(slot + 1) * width]
        }
        Memory {
            steps: &mut self.steps[slot],
            floats: of(&mut self.floats, slot, self.widths.floats),
            counts: of(&mut self.counts, slot, self.widths.counts),
            past: of(&mut self.past, slot, self.widths.past),
            tallies: of(&mut self.tallies, slot, self.widths.tallies),
            queued: &mut self.queued[slot],
        }
    }

    pub(super) fn content(&self) -> Content<'_> {
        let Self { names, times, steps, floats, counts, past, .. } = self;
        Content { names, times, steps, floats, counts, past }
    }

    /// Adds a subject with what is remembered of it; `None` where the name is there already or
    /// is one too many.
    pub(super) fn restore(&mut self, name: &str, time: f64) -> Option<Memory<'_>> {
        if self.by_name.contains_key(name) {
            return None;
        }
        let slot = self.add(name, Some(time)).ok()?;
        Some(self.memory(slot))
    }
}

fn of_time(what: &'static str, hint: &'static str) -> LineFault {
    LineFault::of_field("time", Fault { what, hint })
}

/// About what an entry of the table of names takes: key, number, control byte, empty places, and
/// the counts beside the name's letters.
const ENTRY: usize = 64;
