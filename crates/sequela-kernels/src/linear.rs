//! `y = x W^T + b` on packed weights, and its gradients.

use crate::buffer::{LANES, Matrix, MatrixMut, Write};
use crate::context::{Shared, share};
use crate::outer::{Outer, OuterStep, column_sums};
use crate::panel::{Packing, Transpose, Transposed, VECTORS};
use crate::product::{Panels, Product};
use crate::simd::{Kernel, Simd};
use crate::tile::Left;
use crate::{CHUNK_ROWS, Context, Error};
use sequela_core::Layout;
use std::ops::Range;

/// Whether a linear layer has a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bias {
    /// One bias for each output.
    Trained,
    /// None: its place in the packed buffer stays 0.
    Absent,
}

/// The shape of a linear layer.
///
/// # Example
/// ```
/// use sequela_kernels::linear::{Bias, LinearShape};
/// let shape = LinearShape { inputs: 2, outputs: 1, bias: Bias::Trained };
/// let mut packed = vec![0.0; shape.packed_len()];
/// shape.pack(&[3.0, 4.0], &[5.0], &mut packed);
/// let (mut weight, mut bias) = ([0.0; 2], [0.0]);
/// shape.unpack(&packed, &mut weight, &mut bias);
/// assert_eq!((weight, bias), ([3.0, 4.0], [5.0]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinearShape {
    /// K.
    pub inputs: usize,
    /// N.
    pub outputs: usize,
    /// Whether there is a bias.
    pub bias: Bias,
}

impl LinearShape {
    pub(crate) fn packing(&self) -> Packing {
        Packing::plain(self.inputs, self.outputs)
    }

    /// Length of the packed weights and biases, a multiple of 16.
    ///
    /// # Panics
    /// If no memory could hold them.
    pub fn packed_len(&self) -> usize {
        self.packing().length()
    }

    /// Length of the transposed weights.
    ///
    /// # Panics
    /// If no memory could hold them.
    pub fn transposed_len(&self) -> usize {
        self.packing().transposed_length(self.inputs)
    }

    /// Packs `weight` `(outputs, inputs)` and `bias` `(outputs)`, empty for none.
    ///
    /// # Panics
    /// If a slice has another length than its shape says.
    pub fn pack(&self, weight: &[f32], bias: &[f32], packed: &mut [f32]) {
        assert_eq!(weight.len(), self.inputs * self.outputs, "weight");
        assert!(bias.len() == self.outputs || bias.is_empty(), "bias");
        let packing = self.packing();
        packed[..packing.length()].fill(0.0);
        for output in 0..self.outputs {
            let (panel, lane) = place(output);
            if let Some(&bias) = bias.get(output) {
                packed[packing.offset(panel) + lane] = bias;
            }
            for k in 0..self.inputs {
                packed[packing.row_offset(panel, k) + lane] = weight[output * self.inputs + k];
            }
        }
    }

    /// The reverse of [`LinearShape::pack`].
    ///
    /// # Panics
    /// If a slice has another length than its shape says.
    pub fn unpack(&self, packed: &[f32], weight: &mut [f32], bias: &mut [f32]) {
        assert_eq!(weight.len(), self.inputs * self.outputs, "weight");
        assert!(bias.len() == self.outputs || bias.is_empty(), "bias");
        let packing = self.packing();
        for output in 0..self.outputs {
            let (panel, lane) = place(output);
            if let Some(bias) = bias.get_mut(output) {
                *bias = packed[packing.offset(panel) + lane];
            }
            for k in 0..self.inputs {
                weight[output * self.inputs + k] = packed[packing.row_offset(panel, k) + lane];
            }
        }
    }
}

/// Panel and place in the panel of an output.
fn place(output: usize) -> (usize, usize) {
    (output / (VECTORS * LANES), output % (VECTORS * LANES))
}

/// Writes `x W^T + b` to `y`.
///
/// Values nearer to 0 than 1e-30 become 0.
///
/// **Shapes** x `(rows, K)`, y `(rows, N)`. **Determinism** bitwise. **Cost** rows K N
/// multiplications, no allocation.
///
/// # Errors
/// [`Error::Panicked`] where a worker broke.
///
/// # Panics
/// If shapes disagree.
pub fn forward(
    context: &mut Context,
    shape: LinearShape,
    x: Matrix<'_>,
    packed: &[f32],
    mut y: MatrixMut<'_>,
) -> Result<(), Error> {
    let packing = shape.packing();
    assert_eq!((x.rows(), x.width()), (y.rows(), shape.inputs), "x");
    assert_eq!(y.width(), shape.outputs, "y");
    assert!(packed.len() >= packing.length(), "packed weights");
    let job = Product {
        left: Left::plain(x.data().as_ptr(), x.stride(), shape.inputs),
        weights: packed.as_ptr(),
        panels: Panels::Packed(packing),
        out: y.data_mut().as_mut_ptr(),
        out_row: y.stride(),
        write: Write::Overwrite,
    };
    job.spread(context, x.rows(), shape.inputs * shape.outputs)
}

/// Writes the transpose of the weights, biases left out: to be called before [`input_gradient`],
/// after weights have changed.
///
/// **Shapes** packed [`LinearShape::packed_len`], transposed [`LinearShape::transposed_len`].
///
/// # Panics
/// If a slice is too short.
pub fn transpose(context: &Context, shape: LinearShape, packed: &[f32], transposed: &mut [f32]) {
    context.run(Transpose { packing: shape.packing(), rows: 0..shape.inputs, packed, transposed });
}

/// Writes `dy W` to `dx`, or adds it.
///
/// **Shapes** dy `(rows, N)`, dx `(rows, K)`. **Determinism** bitwise. **Cost** rows K N
/// multiplications, no allocation.
///
/// # Errors
/// [`Error::Panicked`] where a worker broke.
///
/// # Panics
/// If shapes disagree.
pub fn input_gradient(
    context: &mut Context,
    shape: LinearShape,
    dy: Matrix<'_>,
    transposed: &[f32],
    mut dx: MatrixMut<'_>,
    write: Write,
) -> Result<(), Error> {
    assert_eq!((dy.rows(), dy.width()), (dx.rows(), shape.outputs), "dy");
    assert_eq!(dx.width(), shape.inputs, "dx");
    assert!(transposed.len() >= shape.transposed_len(), "transposed weights");
    let job = Product {
        left: Left::plain(dy.data().as_ptr(), dy.stride(), shape.outputs),
        weights: transposed.as_ptr(),
        panels: Panels::Transposed(Transposed::new(&shape.packing(), shape.inputs)),
        out: dx.data_mut().as_mut_ptr(),
        out_row: dx.stride(),
        write,
    };
    job.spread(context, dy.rows(), shape.inputs * shape.outputs)
}

/// Adds `dy^T x` and the sums of dy to `gradient`, in the packed form.
///
/// Each number is summed over the rows in order, by one thread. Padding of dy must be 0, else the
/// padding of the weights gets a gradient.
///
/// **Shapes** x `(rows, K)`, dy `(rows, N)`. **Determinism** bitwise. **Cost** rows K N
/// multiplications, no allocation.
///
/// # Errors
/// [`Error::Panicked`] where a worker broke.
///
/// # Panics
/// If shapes disagree.
pub fn weight_gradient(
    context: &mut Context,
    shape: LinearShape,
    x: Matrix<'_>,
    dy: Matrix<'_>,
    gradient: &mut [f32],
) -> Result<(), Error> {
    sum_gradient(context, shape, None, (x, dy), gradient)
}

/// As [`weight_gradient`] for rows that are packed steps: the rows are summed in chunks of whole
/// steps and about 256 rows, the last chunk first, as recurrent layers sum theirs. So a long
/// walk can be cut between chunks and gone back through piece by piece with the same bits.
///
/// # Errors
/// [`Error::Panicked`] where a worker broke.
///
/// # Panics
/// If shapes disagree.
pub fn weight_gradient_of_steps(
    context: &mut Context,
    shape: LinearShape,
    layout: &Layout,
    x: Matrix<'_>,
    dy: Matrix<'_>,
    gradient: &mut [f32],
) -> Result<(), Error> {
    assert_eq!(x.rows(), layout.rows(), "x");
    sum_gradient(context, shape, Some(layout), (x, dy), gradient)
}

fn sum_gradient(
    context: &mut Context,
    shape: LinearShape,
    layout: Option<&Layout>,
    (x, dy): (Matrix<'_>, Matrix<'_>),
    gradient: &mut [f32],
) -> Result<(), Error> {
    let packing = shape.packing();
    assert_eq!((x.rows(), x.width()), (dy.rows(), shape.inputs), "x");
    assert_eq!(dy.width(), shape.outputs, "dy");
    assert!(gradient.len() >= packing.length(), "gradient");
    let job = WeightGradient {
        layout,
        x: (x.data().as_ptr(), x.stride()),
        dy: (dy.data().as_ptr(), dy.stride()),
        rows: x.rows(),
        packing,
        bias: shape.bias,
        gradient: gradient.as_mut_ptr(),
    };
    let parts = context.parts_for(x.rows() * shape.inputs * shape.outputs);
    let (isa, items) = (context.isa, job.items());
    // SAFETY: each part writes its own weight rows of the gradient; nothing else is written.
    let job = unsafe { Shared::new(job) };
    context.run_parts(parts, &|part| {
        isa.run(WeightGradientItems { job: job.get(), items: share(items, part, parts) });
    })
}

struct WeightGradient<'a> {
    /// Of rows that are steps.
    layout: Option<&'a Layout>,
    x: (*const f32, usize),
    dy: (*const f32, usize),
    rows: usize,
    packing: Packing,
    bias: Bias,
    gradient: *mut f32,
}

impl WeightGradient<'_> {
    /// Weight rows in one item.
    const ITEM: usize = 12;

    /// Runs of rows in the order in which they are summed.
    ///
    /// An iterator and not a function that takes a closure: a closure would not be compiled with
    /// the instruction set of the kernel that it stands in.
    fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        let chunks = self.layout.map(|layout| layout.chunks_back(CHUNK_ROWS));
        let whole = self.layout.is_none().then_some(0..self.rows);
        chunks.into_iter().flatten().chain(whole)
    }

    fn items_of_panel(&self) -> usize {
        self.packing.rows.div_ceil(Self::ITEM).max(1)
    }

    fn items(&self) -> usize {
        self.packing.panels * self.items_of_panel()
    }
}

struct WeightGradientItems<'a> {
    job: &'a WeightGradient<'a>,
    items: Range<usize>,
}

impl Kernel for WeightGradientItems<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (job, each) = (self.job, self.job.items_of_panel());
        for item in self.items {
            let (panel, item) = (item / each, item % each);
            let first = item * WeightGradient::ITEM;
            let last = (first + WeightGradient::ITEM).min(job.packing.rows);
            for part in 0..LANES / S::WIDTH {
                let lane = part * S::WIDTH;
                let dy = (job.dy.0.wrapping_add(panel * VECTORS * LANES + lane), job.dy.1);
                let vectors = job.packing.row_vectors(panel);
                for run in job.runs() {
                    let (start, rows) = (run.start, run.len());
                    // SAFETY: the job's constructor checked all extents, runs are rows of it, and
                    // this thread owns the item.
                    unsafe {
                        if item == 0 && job.bias == Bias::Trained {
                            let bias = job.gradient.add(job.packing.offset(panel) + lane);
                            let dy = (dy.0.add(start * dy.1), dy.1);
                            column_sums(s, dy, rows, bias, vectors);
                        }
                        let gradient = start * dy.1;
                        let outer = Outer {
                            left: job.x,
                            gradient: dy,
                            steps: &[OuterStep { left: start, gradient, block: 0, rows }],
                            panel,
                            out: job.gradient.add(job.packing.row_offset(panel, 0) + lane),
                            out_row: vectors * LANES,
                        };
                        outer.accumulate(s, first..last, vectors);
                    }
                }
            }
        }
    }
}
