//! What a network is fed, batch after batch, in an order that is a function of the seed and the
//! epoch alone.

use sequela_core::Random;
use sequela_nn::{Batch, Capacity, InputId, LayoutId, Program};

use crate::Error;
use crate::encode::Encoder;
use crate::series::{Example, Examples};

/// Stream of the generator that orders windows; the epoch is added.
pub(crate) const ORDER: u64 = 0x7472_6169_0000_0000;

/// Stream of the generator that orders groups of stretches; the epoch is added.
const GROUPS: u64 = 0x7472_6169_0001_0000;

/// Whether a batch goes on where the last one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carry {
    /// Its sequences begin.
    Fresh,
    /// Its sequences go on.
    Continue,
}

/// The batches of an epoch.
pub(crate) trait Feed {
    /// Puts the batches of an epoch (from 0) in order.
    fn begin(&mut self, epoch: u64);
    /// Batches of an epoch.
    fn steps(&self) -> u64;
    /// Fills `batch` with batch `step` (from 0).
    fn fill(&mut self, step: u64, batch: &mut Batch) -> Result<Carry, Error>;
    /// Subjects that have a part in the batch filled last.
    fn subjects(&self) -> usize;
    /// The largest batch.
    fn capacity(&self, program: &Program) -> Capacity;
    /// Whether batches go on where the last one ended.
    fn carries(&self) -> bool;
}

/// The order of windows.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    /// As they are.
    Given,
    /// By the seed.
    Shuffled(u64),
    /// One list for each epoch.
    #[cfg(test)]
    Listed(Vec<Vec<u32>>),
}

/// The form in which a network takes a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Steps in, one answer at the end.
    Sequence,
    /// Steps in, an answer at each.
    EveryStep,
    /// One long row in, one answer.
    Flat,
}

/// The inputs of a program with one head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) layout: Option<LayoutId>,
    pub(crate) x: InputId,
    /// What is fed once for each series.
    pub(crate) statics: Option<InputId>,
    pub(crate) target: InputId,
    pub(crate) weight: InputId,
}

impl Ports {
    /// The steps and the input over them of a program that is only asked.
    pub(crate) fn of_steps(program: &Program) -> Result<(LayoutId, InputId), Error> {
        program.layout("steps").zip(program.input("x")).ok_or_else(|| {
            Error::data("program", "it has no input x over steps", "report this as a bug")
        })
    }

    /// Finds those of a head by name.
    pub(crate) fn find(program: &Program, head: &str) -> Result<Self, Error> {
        let missing = |what: &str| {
            Error::data("program", format!("it has no {what}"), "report this as a bug")
        };
        Ok(Self {
            layout: program.layout("steps"),
            x: program.input("x").ok_or_else(|| missing("input x"))?,
            statics: program.input("statics"),
            target: program.input(&format!("target.{head}")).ok_or_else(|| missing("target"))?,
            weight: program.input(&format!("weight.{head}")).ok_or_else(|| missing("weight"))?,
        })
    }
}

/// Buffers of one sequence on its way into a batch.
#[derive(Debug, Default)]
struct Scratch {
    lengths: Vec<usize>,
    identities: Vec<u64>,
    rows: Vec<f32>,
    targets: Vec<f32>,
    weights: Vec<f32>,
}

/// Windows, each from zero state.
pub(crate) struct WindowFeed<'a> {
    encoder: &'a Encoder,
    examples: &'a Examples,
    ports: Ports,
    form: Form,
    batch: usize,
    most: usize,
    order: Order,
    list: Vec<u32>,
    scratch: Scratch,
    subjects: usize,
}

impl<'a> WindowFeed<'a> {
    pub(crate) fn new(
        encoder: &'a Encoder,
        examples: &'a Examples,
        (ports, form): (Ports, Form),
        batch: usize,
        order: Order,
    ) -> Self {
        let list = (0..u32::try_from(examples.windows.len()).unwrap_or(u32::MAX)).collect();
        Self {
            encoder,
            examples,
            ports,
            form,
            batch: batch.min(examples.windows.len()).max(1),
            most: usize::MAX,
            order,
            list,
            scratch: Scratch::default(),
            subjects: 0,
        }
    }

    /// At most so many windows in one epoch.
    pub(crate) fn at_most(mut self, windows: Option<usize>) -> Self {
        self.most = windows.unwrap_or(usize::MAX);
        self
    }

    fn windows(&self) -> usize {
        self.examples.windows.len().min(self.most)
    }

    /// The windows of batch `step`, as positions in the examples.
    pub(crate) fn members(&self, step: u64) -> &[u32] {
        let start = usize::try_from(step).unwrap_or(usize::MAX).saturating_mul(self.batch);
        let end = start.saturating_add(self.batch).min(self.windows());
        self.list.get(start..end).unwrap_or(&[])
    }

    fn write(&mut self, b: usize, example: Example, batch: &mut Batch) -> Result<(), Error> {
        let series = &self.examples.series[example.series as usize];
        let start = example.start as usize;
        let end = start + self.encoder.length;
        let scratch = &mut self.scratch;
        scratch.rows.clear();
        scratch.targets.clear();
        scratch.weights.clear();
        self.encoder.rows(series, start, start..end, &mut scratch.rows);
        let first = if self.form == Form::EveryStep { start } else { end - 1 };
        for last in first..end {
            let (targets, weights) = (&mut scratch.targets, &mut scratch.weights);
            self.encoder.targets(series, start, last, targets, weights);
        }
        batch.write(self.ports.x, b, &scratch.rows)?;
        batch.write(self.ports.target, b, &scratch.targets)?;
        batch.write(self.ports.weight, b, &scratch.weights)?;
        Ok(())
    }
}

impl Feed for WindowFeed<'_> {
    fn begin(&mut self, epoch: u64) {
        match &self.order {
            Order::Given => {}
            Order::Shuffled(seed) => {
                self.list.clear();
                self.list.extend(0..u32::try_from(self.examples.windows.len()).unwrap_or(u32::MAX));
                Random::new(*seed, ORDER.wrapping_add(epoch)).shuffle(&mut self.list);
            }
            #[cfg(test)]
            Order::Listed(lists) => {
                let at = usize::try_from(epoch).unwrap() % lists.len();
                self.list.clone_from(&lists[at]);
            }
        }
    }

    fn steps(&self) -> u64 {
        self.windows().div_ceil(self.batch) as u64
    }

    fn fill(&mut self, step: u64, batch: &mut Batch) -> Result<Carry, Error> {
        let members = self.members(step).len();
        self.scratch.lengths.clear();
        self.scratch.lengths.resize(members, self.encoder.length);
        match self.ports.layout {
            Some(layout) => batch.set_lengths(layout, &self.scratch.lengths)?,
            None => batch.set_sequences(members)?,
        }
        self.scratch.identities.clear();
        let mut last_subject = usize::MAX;
        let mut subjects = 0;
        for b in 0..members {
            let member = self.members(step)[b];
            let example = self.examples.windows[member as usize];
            self.scratch.identities.push(u64::from(member));
            let subject = self.examples.subject[example.series as usize];
            subjects += usize::from(subject != last_subject);
            last_subject = subject;
            self.write(b, example, batch)?;
        }
        self.subjects = subjects.min(self.examples.subjects);
        batch.set_identities(&self.scratch.identities)?;
        Ok(Carry::Fresh)
    }

    fn subjects(&self) -> usize {
        self.subjects
    }

    fn capacity(&self, program: &Program) -> Capacity {
        Capacity::uniform(program, self.batch, self.batch.saturating_mul(self.encoder.length))
    }

    fn carries(&self) -> bool {
        false
    }
}

/// Whole stretches, cut into pieces whose state is carried: truncated backpropagation.
pub(crate) struct CarriedFeed<'a> {
    encoder: &'a Encoder,
    examples: &'a Examples,
    ports: Ports,
    batch: usize,
    piece: usize,
    seed: u64,
    /// Stretches by length, those of one length in the order of this epoch: however they are
    /// ordered, an epoch has the same number of batches.
    order: Vec<Stretch>,
    /// For each batch its group of stretches and its piece.
    batches: Vec<(u32, u32)>,
    groups: Vec<u32>,
    scratch: Scratch,
    subjects: usize,
}

/// Consecutive steps of one series.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    series: u32,
    start: u32,
    end: u32,
    number: u32,
}

impl<'a> CarriedFeed<'a> {
    pub(crate) fn new(
        encoder: &'a Encoder,
        (examples, stretches): (&'a Examples, &[(usize, std::ops::Range<usize>)]),
        ports: Ports,
        (batch, piece): (usize, usize),
        seed: u64,
    ) -> Self {
        let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let order: Vec<Stretch> = stretches
            .iter()
            .enumerate()
            .map(|(number, (series, range))| Stretch {
                series: narrow(*series),
                start: narrow(range.start),
                end: narrow(range.end),
                number: narrow(number),
            })
            .collect();
        let mut feed = Self {
            encoder,
            examples,
            ports,
            batch: batch.min(order.len()).max(1),
            piece,
            seed,
            order,
            batches: Vec::new(),
            groups: Vec::new(),
            scratch: Scratch::default(),
            subjects: 0,
        };
        feed.begin(0);
        feed
    }
}

impl Feed for CarriedFeed<'_> {
    fn begin(&mut self, epoch: u64) {
        self.order.sort_unstable_by_key(|stretch| stretch.number);
        Random::new(self.seed, ORDER.wrapping_add(epoch)).shuffle(&mut self.order);
        self.order.sort_by_key(|stretch| stretch.end - stretch.start);
        self.groups.clear();
        self.groups.extend((0_u32..).take(self.order.len().div_ceil(self.batch)));
        Random::new(self.seed, GROUPS.wrapping_add(epoch)).shuffle(&mut self.groups);
        self.batches.clear();
        for &group in &self.groups {
            let first = group as usize * self.batch;
            let members = &self.order[first..(first + self.batch).min(self.order.len())];
            let longest = members.iter().map(|s| (s.end - s.start) as usize).max().unwrap_or(0);
            let pieces = u32::try_from(longest.div_ceil(self.piece)).unwrap_or(u32::MAX);
            self.batches.extend((0..pieces).map(|piece| (group, piece)));
        }
    }

    fn steps(&self) -> u64 {
        self.batches.len() as u64
    }

    fn fill(&mut self, step: u64, batch: &mut Batch) -> Result<Carry, Error> {
        let at = usize::try_from(step).unwrap_or(usize::MAX);
        let &(group, piece) = self.batches.get(at).unwrap_or(&(0, 0));
        let first = group as usize * self.batch;
        let members = first..(first + self.batch).min(self.order.len());
        self.scratch.lengths.clear();
        self.scratch.identities.clear();
        for stretch in &self.order[members.clone()] {
            let length = (stretch.end - stretch.start) as usize;
            let done = (piece as usize * self.piece).min(length);
            self.scratch.lengths.push((length - done).min(self.piece));
            self.scratch.identities.push(u64::from(stretch.number));
        }
        if let Some(layout) = self.ports.layout {
            batch.set_lengths(layout, &self.scratch.lengths)?;
        }
        batch.set_identities(&self.scratch.identities)?;
        self.subjects = 0;
        for (b, stretch) in self.order[members].iter().enumerate() {
            let series = &self.examples.series[stretch.series as usize];
            let start = stretch.start as usize;
            let from = start + piece as usize * self.piece;
            let length = self.scratch.lengths[b];
            let scratch = &mut self.scratch;
            scratch.rows.clear();
            scratch.targets.clear();
            scratch.weights.clear();
            if length > 0 {
                self.subjects += 1;
                self.encoder.rows(series, start, from..from + length, &mut scratch.rows);
                for last in from..from + length {
                    let (targets, weights) = (&mut scratch.targets, &mut scratch.weights);
                    self.encoder.targets(series, start, last, targets, weights);
                }
            }
            batch.write(self.ports.x, b, &scratch.rows)?;
            batch.write(self.ports.target, b, &scratch.targets)?;
            batch.write(self.ports.weight, b, &scratch.weights)?;
        }
        self.subjects = self.subjects.min(self.examples.subjects);
        Ok(if piece == 0 { Carry::Fresh } else { Carry::Continue })
    }

    fn subjects(&self) -> usize {
        self.subjects
    }

    fn capacity(&self, program: &Program) -> Capacity {
        Capacity::uniform(program, self.batch, self.batch.saturating_mul(self.piece))
    }

    fn carries(&self) -> bool {
        true
    }
}
