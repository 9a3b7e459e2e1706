//! The inputs of one batch, in the form that the kernels read.

use crate::error::{Error, batch_error};
use crate::limits;
use crate::plan::Capacity;
use crate::program::{InputId, InputKind, InputSpec, LayoutId, Program, Rows, ScalarId};
use sequela_core::Layout;
use sequela_kernels::{Buffer, Matrix, MatrixMut, stride};

/// Whether dropout drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It does.
    Train,
    /// It does not.
    #[default]
    Evaluate,
}

/// The inputs of a batch: written sequence by sequence, kept packed, reused.
///
/// Set the lengths first, then write every input; old contents are not cleared but may not be
/// read: an input that was not written after the last lengths is refused when it is needed.
///
/// **Cost** no allocation once planned, except for bags, whose memory grows to the largest seen.
///
/// # Example
/// ```
/// # use sequela_nn::{Batch, Builder, Capacity, Rows};
/// # let mut builder = Builder::new();
/// # let steps = builder.layout("steps");
/// # let x = builder.input("x", Rows::Steps(steps), 2)?;
/// # builder.output("x", x);
/// # let program = builder.finish()?;
/// let mut batch = Batch::new(&program, &Capacity::uniform(&program, 2, 5))?;
/// let (steps, x) = (program.layout("steps").unwrap(), program.input("x").unwrap());
/// batch.set_lengths(steps, &[1, 2])?;
/// batch.write(x, 0, &[1.0, 2.0])?;
/// batch.write(x, 1, &[3.0, 4.0, 5.0, 6.0])?;
/// // Packed: step 0 of the longer sequence, step 0 of the other, step 1.
/// assert_eq!(batch.input(x).row(1), [1.0, 2.0]);
/// # Ok::<(), sequela_nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Batch {
    capacity: Capacity,
    sequences: usize,
    steps: Vec<Steps>,
    /// One step of every sequence: what recurrent nodes over [`Rows::Sequences`] run on.
    unit: Layout,
    ones: Vec<usize>,
    inputs: Vec<InputData>,
    scalars: Vec<f32>,
    pub(crate) identities: Vec<u64>,
    pub(crate) seed: u64,
    pub(crate) step: u64,
    pub(crate) mode: Mode,
    /// The step of the whole walk at which the steps here begin.
    pub(crate) first_step: usize,
}

#[derive(Debug, Clone)]
struct Steps {
    layout: Layout,
    /// Rank of each sequence: the reverse of the layout's order.
    ranks: Vec<u32>,
}

#[derive(Debug, Clone)]
struct InputData {
    spec: InputSpec,
    values: Buffer,
    ids: Ids,
    fresh: bool,
}

/// Symbols of every row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ids {
    /// Where each row's bag starts, one longer than the rows; empty where each row has one id.
    pub(crate) starts: Vec<u32>,
    pub(crate) ids: Vec<u32>,
}

impl Ids {
    /// Becomes the symbols of `rows` rows of others, from row `first` on.
    fn take_part(&mut self, whole: &Self, first: usize, rows: usize) {
        self.ids.clear();
        self.starts.clear();
        if whole.starts.is_empty() {
            self.ids.extend_from_slice(&whole.ids[first..first + rows]);
            return;
        }
        let starts = &whole.starts[first..=first + rows];
        self.starts.extend(starts.iter().map(|start| start - starts[0]));
        self.ids.extend_from_slice(&whole.ids[starts[0] as usize..starts[rows] as usize]);
    }

    /// The ids of a row.
    pub(crate) fn row(&self, row: usize) -> &[u32] {
        if self.starts.is_empty() {
            &self.ids[row..=row]
        } else {
            &self.ids[self.starts[row] as usize..self.starts[row + 1] as usize]
        }
    }
}

impl Batch {
    /// An empty batch for a program, with room for `capacity`.
    ///
    /// # Errors
    /// [`Error::Limit`] or [`Error::Batch`] where the capacity is too large or of another
    /// program.
    pub fn new(program: &Program, capacity: &Capacity) -> Result<Self, Error> {
        capacity.check(program)?;
        let bytes = Self::bytes_for(program, capacity);
        limits::check("batch", "the number of bytes of a batch", bytes, limits::PLAN_BYTES)?;
        let inputs = program.inputs().iter().map(|spec| {
            let rows = capacity.of(spec.rows);
            let (values, ids) = match spec.kind {
                InputKind::Numeric { width } => (Buffer::new(rows * stride(width)), Vec::new()),
                InputKind::Ids { .. } => (Buffer::default(), Vec::with_capacity(rows)),
            };
            let ids = Ids { starts: Vec::new(), ids };
            InputData { spec: spec.clone(), values, ids, fresh: false }
        });
        let steps = Steps { layout: Layout::default(), ranks: Vec::new() };
        Ok(Self {
            capacity: capacity.clone(),
            sequences: 0,
            steps: vec![steps; program.layouts().len()],
            unit: Layout::default(),
            ones: vec![1; capacity.sequences],
            inputs: inputs.collect(),
            scalars: vec![1.0; program.scalars().len()],
            identities: Vec::with_capacity(capacity.sequences),
            seed: 0,
            step: 0,
            mode: Mode::Evaluate,
            first_step: 0,
        })
    }

    /// Bytes of the inputs of a batch of this capacity, bags left out.
    pub fn bytes_for(program: &Program, capacity: &Capacity) -> usize {
        program.inputs().iter().fold(0, |sum: usize, spec| {
            let width =
                if let InputKind::Numeric { width } = spec.kind { stride(width) } else { 1 };
            sum.saturating_add(capacity.of(spec.rows).saturating_mul(width * 4))
        })
    }

    /// Takes the memory that layouts of `rows` steps need, so that no part allocates.
    pub(crate) fn reserve_steps(&mut self, rows: usize) {
        let sequences = self.capacity.sequences;
        for steps in &mut self.steps {
            steps.layout = Layout::with_capacity(sequences, rows);
            steps.ranks.reserve(sequences);
        }
        self.unit.assign(&self.ones);
    }

    /// Becomes the steps `from..to` of another batch of the same program, which has one layout;
    /// what is not over steps is taken whole.
    pub(crate) fn take_part(&mut self, whole: &Self, from: usize, to: usize) {
        self.sequences = whole.sequences;
        self.unit.assign_part(&whole.unit, 0, 1);
        self.identities.clone_from(&whole.identities);
        self.scalars.clone_from(&whole.scalars);
        (self.seed, self.step, self.mode) = (whole.seed, whole.step, whole.mode);
        self.first_step = whole.first_step + from;
        let mut first = 0;
        for (part, whole) in self.steps.iter_mut().zip(&whole.steps) {
            part.layout.assign_part(&whole.layout, from, to);
            part.ranks.clone_from(&whole.ranks);
            first = whole.layout.offset(from);
        }
        for (index, source) in whole.inputs.iter().enumerate() {
            let rows = self.rows(source.spec.rows);
            let first = if source.spec.rows == Rows::Sequences { 0 } else { first };
            let part = &mut self.inputs[index];
            part.fresh = source.fresh;
            if !source.fresh {
                continue;
            }
            match source.spec.kind {
                InputKind::Numeric { width } => {
                    let stride = stride(width);
                    let from = &source.values[first * stride..][..rows * stride];
                    part.values[..rows * stride].copy_from_slice(from);
                }
                InputKind::Ids { .. } => part.ids.take_part(&source.ids, first, rows),
            }
        }
    }

    /// Sets the lengths of all sequences in one layout, in batch order.
    ///
    /// # Errors
    /// [`Error::Batch`] where the batch is over the capacity.
    pub fn set_lengths(&mut self, layout: LayoutId, lengths: &[usize]) -> Result<(), Error> {
        let rows: usize = lengths.iter().fold(0, |sum, &length| sum.saturating_add(length));
        let most = self.capacity.of(Rows::Steps(layout));
        if rows > most {
            return Err(batch_error(
                "steps",
                format!("{rows} steps in a batch planned for {most}"),
            ));
        }
        self.set_sequences(lengths.len())?;
        let steps = &mut self.steps[layout.index()];
        steps.layout.assign(lengths);
        steps.ranks.resize(lengths.len(), 0);
        for (rank, &b) in (0..).zip(steps.layout.order()) {
            steps.ranks[b as usize] = rank;
        }
        for input in &mut self.inputs {
            if input.spec.rows == Rows::Steps(layout) {
                input.fresh = false;
                if matches!(input.spec.kind, InputKind::Ids { .. }) {
                    input.ids.starts.clear();
                    input.ids.ids.resize(rows, 0);
                }
            }
        }
        Ok(())
    }

    /// Sets the number of sequences; [`Batch::set_lengths`] does it too.
    ///
    /// # Errors
    /// [`Error::Batch`] where the batch is over the capacity.
    pub fn set_sequences(&mut self, sequences: usize) -> Result<(), Error> {
        let most = self.capacity.sequences;
        if sequences > most {
            let what = format!("{sequences} sequences in a batch planned for {most}");
            return Err(batch_error("sequences", what));
        }
        for input in &mut self.inputs {
            if input.spec.rows == Rows::Sequences {
                input.fresh = false;
                if matches!(input.spec.kind, InputKind::Ids { .. }) {
                    input.ids.starts.clear();
                    input.ids.ids.resize(sequences, 0);
                }
            }
        }
        if sequences != self.sequences || self.unit.sequences() != sequences {
            self.sequences = sequences;
            self.unit.assign(&self.ones[..sequences]);
        }
        self.identities.clear();
        self.identities.extend(0..sequences as u64);
        Ok(())
    }

    /// Writes sequence `b` of an input: `(T, F)` row by row for steps, `(F)` for sequences.
    ///
    /// # Errors
    /// [`Error::Batch`] where `b` or the number of values does not fit.
    pub fn write(&mut self, input: InputId, b: usize, values: &[f32]) -> Result<(), Error> {
        let data = &mut self.inputs[input.index()];
        let InputKind::Numeric { width } = data.spec.kind else {
            return Err(batch_error(&data.spec.name, "symbols are expected, not numbers"));
        };
        let places = places(&self.steps, self.sequences, &data.spec, b)?;
        if values.len() != places.length * width {
            let what = format!("{} values for {} rows of {width}", values.len(), places.length);
            return Err(batch_error(&data.spec.name, what));
        }
        for (t, values) in values.chunks_exact(width).enumerate() {
            data.values[places.row(t) * stride(width)..][..width].copy_from_slice(values);
        }
        data.fresh = true;
        Ok(())
    }

    /// Writes the symbols of sequence `b`: one for each step, or one for a sequence.
    ///
    /// # Errors
    /// [`Error::Batch`] where `b`, the number of symbols or a symbol does not fit.
    pub fn write_ids(&mut self, input: InputId, b: usize, ids: &[u32]) -> Result<(), Error> {
        let data = &mut self.inputs[input.index()];
        check_ids(&data.spec, ids)?;
        let places = places(&self.steps, self.sequences, &data.spec, b)?;
        if ids.len() != places.length {
            let what = format!("{} symbols for {} rows", ids.len(), places.length);
            return Err(batch_error(&data.spec.name, what));
        }
        for (t, &id) in ids.iter().enumerate() {
            data.ids.ids[places.row(t)] = id;
        }
        data.fresh = true;
        Ok(())
    }

    /// Sets the bags of all rows, in packed order: those of row r are
    /// `ids[starts[r]..starts[r + 1]]`.
    ///
    /// # Errors
    /// [`Error::Batch`] where `starts` is not one longer than the rows, goes backwards or beyond
    /// `ids`, or where a symbol does not fit.
    pub fn set_bags(&mut self, input: InputId, starts: &[u32], ids: &[u32]) -> Result<(), Error> {
        let rows = self.rows(self.inputs[input.index()].spec.rows);
        let data = &mut self.inputs[input.index()];
        check_ids(&data.spec, ids)?;
        let sound = starts.len() == rows + 1
            && starts[0] == 0
            && starts.windows(2).all(|pair| pair[0] <= pair[1])
            && starts[rows] as usize == ids.len();
        if !sound {
            let what =
                format!("the starts of the bags do not cut {} symbols into {rows}", ids.len());
            return Err(batch_error(&data.spec.name, what));
        }
        data.ids.starts.clear();
        data.ids.starts.extend_from_slice(starts);
        data.ids.ids.clear();
        data.ids.ids.extend_from_slice(ids);
        data.fresh = true;
        Ok(())
    }

    /// The packed row of step `t` of sequence `b`.
    ///
    /// # Panics
    /// If the sequence has no such step.
    pub fn row_of(&self, layout: LayoutId, b: usize, t: usize) -> usize {
        let steps = &self.steps[layout.index()];
        let rank = steps.ranks[b] as usize;
        assert!(t < steps.layout.lengths()[rank] as usize, "step {t} of sequence {b}");
        steps.layout.row(t, rank)
    }

    /// The layout of this batch.
    pub fn layout(&self, layout: LayoutId) -> &Layout {
        &self.steps[layout.index()].layout
    }

    /// Number of sequences, B.
    pub fn sequences(&self) -> usize {
        self.sequences
    }

    /// A numeric input, packed.
    pub fn input(&self, input: InputId) -> Matrix<'_> {
        let data = &self.inputs[input.index()];
        let width = if let InputKind::Numeric { width } = data.spec.kind { width } else { 1 };
        let rows = if data.values.is_empty() { 0 } else { self.rows(data.spec.rows) };
        Matrix::new(&data.values, rows, width)
    }

    /// A numeric input, to be written in the packed form; it counts as written.
    pub fn input_mut(&mut self, input: InputId) -> MatrixMut<'_> {
        let rows = self.rows(self.inputs[input.index()].spec.rows);
        let data = &mut self.inputs[input.index()];
        data.fresh = true;
        let width = if let InputKind::Numeric { width } = data.spec.kind { width } else { 1 };
        let rows = if data.values.is_empty() { 0 } else { rows };
        MatrixMut::new(&mut data.values, rows, width)
    }

    /// Sets a scalar, until it is set again.
    pub fn set_scalar(&mut self, scalar: ScalarId, value: f32) {
        self.scalars[scalar.index()] = value;
    }

    /// Sets what dropout's randomness depends on beside the sequences: a seed and the number of
    /// the training step.
    pub fn set_random(&mut self, seed: u64, step: u64) {
        (self.seed, self.step) = (seed, step);
    }

    /// Sets who the sequences are, for dropout: masks follow the identity, not the place in the
    /// batch. To be called after the lengths are set; without it the place is the identity.
    ///
    /// # Errors
    /// [`Error::Batch`] where there is not one for each sequence.
    pub fn set_identities(&mut self, identities: &[u64]) -> Result<(), Error> {
        if identities.len() != self.sequences {
            let what = format!("{} identities for {} sequences", identities.len(), self.sequences);
            return Err(batch_error("identities", what));
        }
        self.identities.clear();
        self.identities.extend_from_slice(identities);
        Ok(())
    }

    /// Sets whether dropout drops.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Whether this is one step of every sequence, in batch order.
    pub(crate) fn layout_of(&self, rows: Rows) -> &Layout {
        match rows {
            Rows::Sequences => &self.unit,
            Rows::Steps(layout) => self.layout(layout),
        }
    }

    pub(crate) fn rows(&self, rows: Rows) -> usize {
        match rows {
            Rows::Sequences => self.sequences,
            Rows::Steps(layout) => self.layout(layout).rows(),
        }
    }

    pub(crate) fn ranks(&self, layout: LayoutId) -> &[u32] {
        &self.steps[layout.index()].ranks
    }

    pub(crate) fn scalar(&self, scalar: ScalarId) -> f32 {
        self.scalars[scalar.index()]
    }

    pub(crate) fn data(&self, input: InputId) -> &[f32] {
        &self.inputs[input.index()].values
    }

    pub(crate) fn ids(&self, input: InputId) -> &Ids {
        &self.inputs[input.index()].ids
    }

    /// Whether an input was written, or nothing had to be.
    pub(crate) fn is_fresh(&self, input: InputId) -> bool {
        let data = &self.inputs[input.index()];
        data.fresh || self.rows(data.spec.rows) == 0
    }

    /// Refuses an input that was not written.
    pub(crate) fn check_fresh(&self, input: InputId) -> Result<(), Error> {
        if self.is_fresh(input) {
            return Ok(());
        }
        let name = &self.inputs[input.index()].spec.name;
        Err(batch_error(name, "the input was not written for this batch"))
    }

    /// Refuses layouts with different numbers of sequences.
    pub(crate) fn check_layouts(&self) -> Result<(), Error> {
        for (index, steps) in self.steps.iter().enumerate() {
            let found = steps.layout.sequences();
            if found != self.sequences {
                let what = format!("layout {index} has {found} of {} sequences", self.sequences);
                return Err(batch_error("layouts", what));
            }
        }
        Ok(())
    }
}

/// Where the rows of one sequence lie.
struct Places<'a> {
    length: usize,
    first: usize,
    layout: Option<&'a Layout>,
}

impl Places<'_> {
    fn row(&self, t: usize) -> usize {
        self.layout.map_or(self.first, |layout| layout.row(t, self.first))
    }
}

fn places<'a>(
    steps: &'a [Steps],
    sequences: usize,
    spec: &InputSpec,
    b: usize,
) -> Result<Places<'a>, Error> {
    if b >= sequences {
        return Err(batch_error(&spec.name, format!("sequence {b} of a batch of {sequences}")));
    }
    Ok(match spec.rows {
        Rows::Sequences => Places { length: 1, first: b, layout: None },
        Rows::Steps(layout) => {
            let steps = &steps[layout.index()];
            let Some(&rank) = steps.ranks.get(b) else {
                return Err(batch_error(&spec.name, "the lengths are not set"));
            };
            let length = steps.layout.lengths()[rank as usize] as usize;
            Places { length, first: rank as usize, layout: Some(&steps.layout) }
        }
    })
}

fn check_ids(spec: &InputSpec, ids: &[u32]) -> Result<(), Error> {
    let InputKind::Ids { vocabulary } = spec.kind else {
        return Err(batch_error(&spec.name, "numbers are expected, not symbols"));
    };
    if ids.iter().any(|&id| id as usize >= vocabulary) {
        let what = format!("a symbol is outside the vocabulary of {vocabulary}");
        return Err(batch_error(&spec.name, what));
    }
    Ok(())
}
