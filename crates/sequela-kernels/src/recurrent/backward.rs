//! The way back: exact BPTT over all steps of a batch.
//!
//! Steps are taken in chunks of about 256 rows. In each chunk threads first walk back through
//! their own rows, then, all rows of the chunk being there, sum their own panels of the weight
//! gradients while the gate gradients are still in cache.

use super::backward_step::Pass;
use super::forward::{Forward, before, check_call, rows_of_part};
use super::half::{ChunkRow, Half, HiddenBefore, add_weights};
use super::piece::{Piece, Place, Seam};
use super::shape::{Cell, Direction, RecurrentShape, WeightMatrix};
use super::weights::{WeightItems, WeightPass};
use super::workspace::{Keep, Walked, Workspace};
use super::workspace::{gather_blocks, gather_rows, record_width};
use crate::buffer::{LANES, Matrix, MatrixMut, Write, stride};
use crate::context::{Shared, share};
use crate::outer::OuterStep;
use crate::panel::{Transpose, VECTORS};
use crate::{CHUNK_ROWS, Context, Error};
use sequela_core::Layout;

/// What a layer is given on the way back. In gradients padding must be 0, in `y` finite.
#[derive(Debug, Clone, Copy)]
pub struct Backward<'a> {
    /// The call of [`super::forward`] that is gone back through, unchanged.
    pub forward: Forward<'a>,
    /// Its output.
    pub y: Matrix<'a>,
    /// The gradient that arrives at the output of every step, `(rows, H)`; `None` where only the
    /// final states get one (see [`Workspace::final_gradient_mut`]).
    pub dy: Option<Matrix<'a>>,
    /// The transposed weights, by [`transpose`].
    pub transposed: &'a [f32],
}

/// Writes the transpose of one matrix of the weights: to be called before [`backward`], after
/// weights have changed.
///
/// [`backward`] reads that of U if the batch [recurs](Forward::recurs), and that of W if dx is
/// asked for.
///
/// **Shapes** packed [`RecurrentShape::packed_len`], transposed
/// [`RecurrentShape::transposed_len`]. **Cost** one read and one write of each weight.
///
/// # Panics
/// If a slice is too short.
pub fn transpose(
    context: &Context,
    shape: RecurrentShape,
    matrix: WeightMatrix,
    packed: &[f32],
    transposed: &mut [f32],
) {
    let packing = shape.packing();
    if matrix == WeightMatrix::Hidden && !shape.cell.mixes() {
        return;
    }
    let (hidden, input) = transposed.split_at_mut(shape.transposed_hidden());
    let (rows, transposed) = match matrix {
        WeightMatrix::Hidden => (shape.inputs..shape.inputs + shape.hidden, hidden),
        WeightMatrix::Input => (0..shape.inputs, input),
    };
    context.run(Transpose { packing, rows, packed, transposed });
}

/// Goes back through a call of [`super::forward`]: adds to `gradient` (packed as the weights;
/// empty where it is not wanted), writes `dx` where it is asked for or adds to it, and leaves the
/// gradients of given initial states in the workspace.
///
/// The kept gates are overwritten, so it can be called once for each forward.
///
/// **Shapes** dx `(rows, F)`. **Determinism** bitwise, see the module page. **Cost** twice that
/// of forward, no allocation.
///
/// # Errors
/// [`Error::Panicked`] where a worker broke; then neither output is to be used.
///
/// # Panics
/// If shapes disagree, the workspace keeps nothing, or the call of forward before this one was
/// for another batch, with other states given, or has been gone back through.
pub fn backward(
    context: &mut Context,
    shape: RecurrentShape,
    call: Backward<'_>,
    workspace: &mut Workspace,
    dx: Option<(MatrixMut<'_>, Write)>,
    gradient: &mut [f32],
) -> Result<(), Error> {
    let piece = Piece { workspace, seam: &mut Seam::default(), place: Place::Only };
    backward_piece(context, shape, call, piece, dx, gradient)
}

/// As [`backward`], through one piece of the steps of a batch; see [`Piece`].
///
/// # Errors
/// [`Error::Panicked`] where a worker broke; then neither output is to be used.
///
/// # Panics
/// As [`backward`]; or if the seam is for another shape or fewer sequences.
pub fn backward_piece(
    context: &mut Context,
    shape: RecurrentShape,
    call: Backward<'_>,
    piece: Piece<'_>,
    mut dx: Option<(MatrixMut<'_>, Write)>,
    gradient: &mut [f32],
) -> Result<(), Error> {
    let layout = call.forward.layout;
    let Piece { workspace, seam, place } = piece;
    check(&shape, &call, workspace, dx.as_ref(), gradient);
    seam.check(&shape, layout.sequences(), place);
    workspace.walked = None;
    let order = layout.order();
    if !place.is_followed() {
        let [final_hidden, final_cell] = &workspace.final_gradients;
        let arrived = Matrix::new(final_hidden, order.len(), shape.hidden);
        gather_rows(order, Some(arrived), &mut workspace.ending, stride(shape.hidden));
        let cell =
            shape.has_cell_state().then(|| Matrix::new(final_cell, order.len(), shape.hidden));
        gather_blocks(order, cell, &mut workspace.carry, shape.hidden);
        if shape.cell == Cell::Lru {
            let first = shape.blocks() * order.len() * LANES;
            workspace.carry[first..2 * first].fill(0.0);
        }
    }
    if call.forward.initial.hidden.is_some() && !place.is_preceded() {
        // An empty sequence hands its gradient straight to its initial state.
        let values = order.len() * stride(shape.hidden);
        workspace.starting[..values].copy_from_slice(&workspace.ending[..values]);
    }

    let mut steps = Steps {
        input: std::mem::take(&mut workspace.input_steps),
        hidden: std::mem::take(&mut workspace.hidden_steps),
        start: std::mem::take(&mut workspace.start_steps),
        half: workspace.half.as_mut().and_then(Half::take_list),
    };
    // SAFETY: each part writes, and reads of what is written, the rows of its own ranks.
    let pass = unsafe { Shared::new(Pass::new(&call, workspace, (seam, place), dx.as_mut())) };
    let weights = (!gradient.is_empty())
        .then(|| WeightPass::new(&call, workspace, pass.get().record, gradient))
        // SAFETY: each part writes its own weight rows, in runs that write no gates.
        .map(|weights| unsafe { Shared::new(weights) });
    let result = walk(context, layout, &pass, weights.as_ref(), &mut steps);
    workspace.input_steps = steps.input;
    workspace.hidden_steps = steps.hidden;
    workspace.start_steps = steps.start;
    if let (Some(half), Some(list)) = (&mut workspace.half, steps.half) {
        half.put_list(list);
    }
    result?;
    if shape.cell.fades() && call.forward.initial.hidden.is_some() && !place.is_preceded() {
        let values = order.len() * stride(shape.hidden);
        workspace.starting[..values].copy_from_slice(&workspace.ending[..values]);
    }
    if place.is_preceded() {
        seam.keep(layout, &shape, &workspace.record);
    } else {
        workspace.keep_initial_gradients(layout, &call.forward.initial);
    }
    Ok(())
}

fn check(
    shape: &RecurrentShape,
    call: &Backward<'_>,
    workspace: &Workspace,
    dx: Option<&(MatrixMut<'_>, Write)>,
    gradient: &[f32],
) {
    let layout = call.forward.layout;
    workspace.check(shape, layout);
    check_call(shape, &call.forward);
    assert_eq!(workspace.keep, Keep::Backward, "the workspace keeps nothing for the way back");
    let walked = Walked::new(layout, &call.forward.initial);
    assert_eq!(workspace.walked, Some(walked), "there is no call of forward for this batch");
    for values in [Some(call.y), call.dy].into_iter().flatten() {
        assert_eq!((values.rows(), values.width()), (layout.rows(), shape.hidden), "y or dy");
    }
    if let Some((dx, _)) = dx {
        assert_eq!((dx.rows(), dx.width()), (layout.rows(), shape.inputs), "dx");
    }
    let transposed = workspace.half.is_some() || call.transposed.len() >= shape.transposed_len();
    assert!(transposed, "transposed weights");
    assert!(gradient.is_empty() || gradient.len() >= shape.packed_len(), "gradient");
}

/// Runs of rows of one chunk.
struct Steps {
    input: Vec<OuterStep>,
    hidden: Vec<OuterStep>,
    start: Vec<OuterStep>,
    /// Rows one by one, where products are in bf16.
    half: Option<Vec<ChunkRow>>,
}

fn walk(
    context: &mut Context,
    layout: &Layout,
    pass: &Shared<Pass<'_>>,
    weights: Option<&Shared<WeightPass>>,
    steps: &mut Steps,
) -> Result<(), Error> {
    let shape = pass.get().shape;
    let each = shape.gates() * shape.hidden * (shape.inputs + shape.hidden);
    let most = pass.get().most.min(layout.sequences()).max(1);
    let parts = context.parts_for(layout.rows() * each).min(most);
    let isa = context.isa;
    let mut done = 0;
    while done < layout.steps() {
        let (first, mut rows) = (done, 0);
        steps.input.clear();
        steps.hidden.clear();
        steps.start.clear();
        steps.half.iter_mut().for_each(Vec::clear);
        while done < layout.steps() && rows < CHUNK_ROWS {
            let t = step_back(layout, shape.direction, done);
            rows += layout.active(t);
            list_step(layout, &shape, t, pass.get().given, steps);
            done += 1;
        }
        let chunk = first..done;
        context.run_parts(parts, &|part| {
            let rows = rows_of_part(layout, part, parts);
            for step in chunk.clone() {
                let t = step_back(layout, shape.direction, step);
                // SAFETY: the pointers come from the borrows of `backward`, which checked their
                // extents; parts own disjoint rows.
                unsafe { pass.get().of_part(part).step_rows(isa, layout, t, &rows) }
            }
        })?;
        let Some(weights) = weights else { continue };
        let steps: &Steps = steps;
        if let (Some(half), Some(list)) = (&pass.get().half, &steps.half) {
            // SAFETY: `backward` checked all extents; a chunk has no more rows than planned.
            unsafe { add_weights(context, half, weights.get(), list, rows * each)? }
            continue;
        }
        let lists = [&steps.input[..], &steps.hidden[..], &steps.start[..]];
        let items = weights.get().items();
        let parts = context.parts_for(rows * each).min(items.max(1));
        context.run_parts(parts, &|part| {
            isa.run(WeightItems { pass: weights.get(), lists, items: share(items, part, parts) });
        })?;
    }
    Ok(())
}

/// The `n`-th step on the way back.
fn step_back(layout: &Layout, direction: Direction, n: usize) -> usize {
    match direction {
        Direction::Forward => layout.steps() - 1 - n,
        Direction::Reverse => n,
    }
}

/// Adds step `t` to the runs of rows whose outer products make up the weight gradients.
fn list_step(layout: &Layout, shape: &RecurrentShape, t: usize, given: bool, steps: &mut Steps) {
    let (active, width) = (layout.active(t), record_width(shape));
    let (block, row) = if let Cell::Elman(_) = shape.cell {
        (VECTORS * LANES, width)
    } else {
        let row = width / shape.blocks().max(1);
        (active * row, row)
    };
    let gradient = layout.offset(t) * width;
    steps.input.push(OuterStep { left: layout.offset(t), gradient, block, rows: active });
    let mut going = 0;
    if shape.cell.fades() {
        // U met the faded h, which lies where the step does.
        let rows =
            if given { active } else { before(layout, shape.direction, t).map_or(0, |b| b.1) };
        steps.hidden.push(OuterStep { left: layout.offset(t), gradient, block, rows });
        return;
    }
    if let Some((before, rows)) = before(layout, shape.direction, t) {
        going = rows;
        steps.hidden.push(OuterStep { left: layout.offset(before), gradient, block, rows });
    }
    if let Some(list) = &mut steps.half {
        let before = before(layout, shape.direction, t);
        list.extend((0..active).map(|rank| ChunkRow {
            x: layout.offset(t) + rank,
            before: match before {
                Some((before, rows)) if rank < rows => {
                    HiddenBefore::Output(layout.offset(before) + rank)
                }
                _ if given => HiddenBefore::Initial(rank),
                _ => HiddenBefore::Zero,
            },
            gradient: gradient + rank * row,
            block,
        }));
    }
    if given && going < active {
        let gradient = gradient + going * row;
        steps.start.push(OuterStep { left: going, gradient, block, rows: active - going });
    }
}
