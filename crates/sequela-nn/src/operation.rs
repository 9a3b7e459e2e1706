//! What every operation provides, and what it is handed.
//!
//! One file of `operations/` holds one operation: its shape check, its forward and backward pass
//! on the kernels' matrices, and its reference on f64 scalars that the tape differentiates. The
//! enum [`Op`](crate::Op) is the closed list of them.

use crate::batch::Batch;
use crate::error::Error;
use crate::param::ParamSpec;
use crate::parameters::{Gradients, Parameters};
use crate::plan::{Place, PlannedNode};
use crate::program::{InputSpec, Node, Param, Rows, Value};
use crate::reference::{ReferenceCall, Table};
use crate::state::NodeState;
use crate::transposes::Transposes;
use sequela_core::Layout;
use sequela_kernels::{Buffer, CHUNK_ROWS, Context, Matrix, MatrixMut, Write, stride};

/// The form of a value: what its rows are and how wide they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) rows: Rows,
    pub(crate) width: usize,
}

/// Which values a backward pass reads again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    Nothing,
    Inputs,
    Output,
    InputsAndOutput,
}

/// Where the gradient that an operation passes on arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// At the input's own gradient.
    Input,
    /// At the final hidden state of the recurrent node that the input is.
    FinalHidden,
    /// At its final cell state.
    FinalCell,
    /// Nowhere: the output does not depend smoothly on this input.
    Nowhere,
}

/// Whether an operation can run one step at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    Yes,
    No(&'static str),
}

/// Whether an operation over steps can be run over pieces of them, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cuts {
    Yes,
    No(&'static str),
}

/// An operation; see the module page.
pub(crate) trait Operation {
    /// Its name in messages and tables.
    fn name(&self) -> &'static str;

    /// The form of its output, or what does not fit.
    fn check(&self, parts: &Parts<'_>, inputs: &[Value], forms: &[Form]) -> Result<Form, String>;

    /// The parameter that it uses.
    fn param(&self) -> Option<Param> {
        None
    }

    /// What `backward` reads beside the arriving gradient.
    fn reads(&self) -> Reads;

    /// Where the gradient of input `k` goes.
    fn route(&self, _parts: &Parts<'_>, _inputs: &[Value], _k: usize) -> Route {
        Route::Input
    }

    /// Whether it can run one step at a time.
    fn streams(&self, _parts: &Parts<'_>) -> Streams {
        Streams::Yes
    }

    /// Whether it can be run over pieces of the steps: as a rule, if it can be run over one.
    fn cuts(&self, parts: &Parts<'_>, _inputs: &[Value]) -> Cuts {
        match self.streams(parts) {
            Streams::Yes => Cuts::Yes,
            Streams::No(why) => Cuts::No(why),
        }
    }

    /// Computes the output.
    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error>;

    /// Passes the arriving gradient on to the inputs and the parameter.
    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error>;

    /// Computes the output from the textbook.
    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t>;
}

/// The declared parts of a program, as far as it has been built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) nodes: &'a [Node],
    pub(crate) params: &'a [ParamSpec],
    pub(crate) inputs: &'a [InputSpec],
    pub(crate) layouts: usize,
    pub(crate) scalars: usize,
}

impl Parts<'_> {
    pub(crate) fn form(&self, value: Value) -> Option<Form> {
        let node = self.nodes.get(value.index())?;
        Some(Form { rows: node.rows, width: node.width })
    }

    /// Refuses a layout that is not there.
    pub(crate) fn check_rows(&self, rows: Rows) -> Result<(), String> {
        match rows {
            Rows::Steps(layout) if layout.index() >= self.layouts => {
                Err("names a layout that is not there".to_owned())
            }
            Rows::Steps(_) | Rows::Sequences => Ok(()),
        }
    }
}

/// The one input of an operation that takes one.
pub(crate) fn one(forms: &[Form]) -> Result<Form, String> {
    match forms {
        [form] => Ok(*form),
        _ => Err(format!("takes 1 input, not {}", forms.len())),
    }
}

/// The one input of an operation that takes steps.
pub(crate) fn one_of_steps(forms: &[Form]) -> Result<Form, String> {
    let form = one(forms)?;
    match form.rows {
        Rows::Steps(_) => Ok(form),
        Rows::Sequences => Err("takes steps, not one row for each sequence".to_owned()),
    }
}

/// Values that have been computed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) nodes: &'a [PlannedNode],
    pub(crate) buffers: &'a [Buffer],
    pub(crate) batch: &'a Batch,
}

impl<'a> Values<'a> {
    pub(crate) fn get(&self, value: Value) -> Matrix<'a> {
        let node = &self.nodes[value.index()];
        let rows = self.batch.rows(node.rows);
        let data: &'a [f32] = match node.place {
            Place::Input(input) => self.batch.data(input),
            Place::Slot(slot) => &self.buffers[slot],
            Place::Nowhere => &[],
        };
        Matrix::new(data, rows, node.width)
    }
}

/// What a forward pass is handed.
pub(crate) struct Forward<'a> {
    pub(crate) context: &'a mut Context,
    pub(crate) parts: Parts<'a>,
    pub(crate) node: usize,
    pub(crate) rows: Rows,
    pub(crate) inputs: &'a [Value],
    pub(crate) values: Values<'a>,
    pub(crate) params: &'a Parameters,
    pub(crate) states: &'a mut [NodeState],
    pub(crate) output: MatrixMut<'a>,
}

impl<'a> Forward<'a> {
    /// The `k`-th input.
    pub(crate) fn input(&self, k: usize) -> Matrix<'a> {
        self.values.get(self.inputs[k])
    }

    /// The layout of an input's rows, or of the output's.
    pub(crate) fn layout(&self, rows: Rows) -> &'a Layout {
        self.values.batch.layout_of(rows)
    }

    /// The rows of the `k`-th input.
    pub(crate) fn input_rows(&self, k: usize) -> Rows {
        self.values.nodes[self.inputs[k].index()].rows
    }
}

/// What a backward pass is handed.
pub(crate) struct Backward<'a> {
    pub(crate) context: &'a mut Context,
    pub(crate) parts: Parts<'a>,
    pub(crate) node: usize,
    pub(crate) rows: Rows,
    pub(crate) inputs: &'a [Value],
    pub(crate) nodes: &'a [PlannedNode],
    pub(crate) buffers: &'a mut [Buffer],
    pub(crate) batch: &'a Batch,
    pub(crate) params: &'a Parameters,
    pub(crate) transposes: &'a mut Transposes,
    pub(crate) states: &'a mut [NodeState],
    /// Where gradients of parameters go, if they are wanted.
    pub(crate) gradients: Option<&'a mut Gradients>,
    /// The arriving gradient; none where only final states have one.
    pub(crate) dy: Option<Matrix<'a>>,
}

/// A gradient buffer that is being written.
pub(crate) struct Opened {
    buffer: Buffer,
    slot: usize,
    rows: usize,
    width: usize,
    pub(crate) write: Write,
}

impl Opened {
    /// Takes the gradient buffer of a slot out.
    pub(crate) fn take(
        buffers: &mut [Buffer],
        slot: usize,
        (rows, width): (usize, usize),
        write: Write,
    ) -> Self {
        Self { buffer: std::mem::take(&mut buffers[slot]), slot, rows, width, write }
    }

    /// Puts it back.
    pub(crate) fn put_back(self, buffers: &mut [Buffer]) {
        buffers[self.slot] = self.buffer;
    }

    /// The gradient, and how it is written.
    pub(crate) fn written(&mut self) -> (MatrixMut<'_>, Write) {
        let write = self.write;
        (self.matrix(), write)
    }

    pub(crate) fn matrix(&mut self) -> MatrixMut<'_> {
        MatrixMut::new(&mut self.buffer, self.rows, self.width)
    }

    /// All rows with their padding.
    pub(crate) fn data_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[..self.rows * stride(self.width)]
    }

    /// Hands every row, padding included, to `fill` with its index; padding must be left 0 when
    /// overwriting, which `fill` gets as zeros.
    pub(crate) fn rows_mut(&mut self, mut fill: impl FnMut(usize, &mut [f32])) {
        let (width, stride) = (self.width, stride(self.width));
        for (index, row) in self.buffer.chunks_exact_mut(stride).take(self.rows).enumerate() {
            if self.write == Write::Overwrite {
                row.fill(0.0);
            }
            fill(index, &mut row[..width]);
        }
    }
}

impl Backward<'_> {
    pub(crate) fn values(&self) -> Values<'_> {
        Values { nodes: self.nodes, buffers: self.buffers, batch: self.batch }
    }

    /// The `k`-th input.
    pub(crate) fn input(&self, k: usize) -> Matrix<'_> {
        self.values().get(self.inputs[k])
    }

    /// The output.
    pub(crate) fn output(&self) -> Matrix<'_> {
        let value = Value(u32::try_from(self.node).unwrap_or(u32::MAX));
        self.values().get(value)
    }

    /// The rows of the `k`-th input.
    pub(crate) fn input_rows(&self, k: usize) -> Rows {
        self.nodes[self.inputs[k].index()].rows
    }

    /// Takes the gradient buffer of input `k` out, if its gradient is wanted; it must be put
    /// back with [`Backward::close`].
    pub(crate) fn open(&mut self, k: usize) -> Option<Opened> {
        let write = self.nodes[self.node].passes.get(k).copied().flatten()?;
        let input = &self.nodes[self.inputs[k].index()];
        let form = (self.batch.rows(input.rows), input.width);
        Some(Opened::take(self.buffers, input.gradient?, form, write))
    }

    /// Puts a gradient buffer back.
    pub(crate) fn close(&mut self, opened: Opened) {
        opened.put_back(self.buffers);
    }
}

/// Writes or adds `from` to `to`, lane by lane, padding included.
pub(crate) fn pass(write: Write, from: &[f32], to: &mut [f32]) {
    match write {
        Write::Overwrite => to.copy_from_slice(from),
        Write::Accumulate => to.iter_mut().zip(from).for_each(|(to, from)| *to += from),
    }
}

/// Copies `from` to the front of a whole row and sets the rest of it to 0.
pub(crate) fn copy_row(from: &[f32], row: &mut [f32]) {
    let (front, rest) = row.split_at_mut(from.len());
    front.copy_from_slice(from);
    rest.fill(0.0);
}

/// Rows in the order in which gradients of weights are summed over them: as they are for
/// sequences, chunks of whole steps from the last to the first for steps. See
/// [`Layout::chunks_back`].
pub(crate) fn summing_order(batch: &Batch, rows: Rows) -> impl Iterator<Item = usize> {
    let (sequences, layout) = match rows {
        Rows::Sequences => (batch.rows(rows), None),
        Rows::Steps(layout) => (0, Some(batch.layout(layout))),
    };
    let chunks = layout.into_iter().flat_map(|layout| layout.chunks_back(CHUNK_ROWS)).flatten();
    (0..sequences).chain(chunks)
}
