//! How a recurrent layer walks over its steps: at once, or in pieces of which only the states at
//! the cuts are kept, and which are walked once more on the way back.

use crate::error::Error;
use crate::state::{BatchState, Carried};
use crate::walk::{Own, Walk};
use sequela_core::Layout;
use sequela_kernels::recurrent::{
    self, Backward, Direction, Forward, Initial, Piece, RecurrentShape,
};
use sequela_kernels::{Context, Matrix, MatrixMut, Write, stride};

/// Runs a layer forward; states in `call.initial` are those of a node that gives them.
pub(super) fn forward(
    context: &mut Context,
    shape: RecurrentShape,
    call: Forward<'_>,
    state: &mut BatchState,
    mut y: MatrixMut<'_>,
) -> Result<(), Error> {
    let BatchState { workspace, carried, walk } = state;
    let Some(walk) = walk else {
        let initial = initial(&call, carried.as_ref(), None);
        return Ok(recurrent::forward(context, shape, Forward { initial, ..call }, workspace, y)?);
    };
    let Some(mut own) = walk.own.take() else {
        let initial = initial(&call, carried.as_ref(), Some(walk));
        recurrent::forward(context, shape, Forward { initial, ..call }, workspace, y)?;
        walk.save(workspace);
        return Ok(());
    };
    own.bounds.assign(call.layout, own.rows);
    walk.count = own.bounds.count();
    let mut result = Ok(());
    for index in 0..walk.count {
        walk.index = index;
        let rows = take_piece(&mut own, call.layout, (shape, walk));
        let piece = Forward {
            layout: &own.part,
            x: part(call.x, &rows),
            initial: initial(&call, carried.as_ref(), Some(walk)),
            ..call
        };
        result = recurrent::forward(context, shape, piece, workspace, part_mut(&mut y, &rows));
        if result.is_err() {
            break;
        }
        walk.save(workspace);
    }
    walk.own = Some(own);
    Ok(result?)
}

/// Goes back through a call of [`forward`].
pub(super) fn back(
    context: &mut Context,
    shape: RecurrentShape,
    call: Backward<'_>,
    state: &mut BatchState,
    mut dx: Option<(MatrixMut<'_>, Write)>,
    gradient: &mut [f32],
) -> Result<(), Error> {
    let BatchState { workspace, carried, walk } = state;
    let whole = call.forward;
    let Some(walk) = walk else {
        let initial = initial(&whole, carried.as_ref(), None);
        let call = Backward { forward: Forward { initial, ..whole }, ..call };
        return Ok(recurrent::backward(context, shape, call, workspace, dx, gradient)?);
    };
    let Some(mut own) = walk.own.take() else {
        let mut seam = std::mem::take(&mut walk.seam);
        let (initial, place) = (initial(&whole, carried.as_ref(), Some(walk)), walk.place());
        let call = Backward { forward: Forward { initial, ..whole }, ..call };
        let piece = Piece { workspace, seam: &mut seam, place };
        let result = recurrent::backward_piece(context, shape, call, piece, dx, gradient);
        walk.seam = seam;
        return Ok(result?);
    };
    let mut seam = std::mem::take(&mut walk.seam);
    let mut result = Ok(());
    for index in (0..walk.count).rev() {
        walk.index = index;
        let rows = take_piece(&mut own, whole.layout, (shape, walk));
        let forward = Forward {
            layout: &own.part,
            x: part(whole.x, &rows),
            initial: initial(&whole, carried.as_ref(), Some(walk)),
            ..whole
        };
        if index + 1 < walk.count {
            let y = MatrixMut::new(&mut own.output, rows.len(), shape.hidden);
            result = recurrent::forward(context, shape, forward, workspace, y);
        }
        if result.is_ok() {
            let call = Backward {
                forward,
                y: part(call.y, &rows),
                dy: call.dy.map(|dy| part(dy, &rows)),
                ..call
            };
            let dx = dx.as_mut().map(|(dx, write)| (part_mut(dx, &rows), *write));
            let piece = Piece { workspace, seam: &mut seam, place: walk.place() };
            result = recurrent::backward_piece(context, shape, call, piece, dx, gradient);
        }
        if result.is_err() {
            break;
        }
    }
    walk.seam = seam;
    walk.own = Some(own);
    Ok(result?)
}

/// The states that a walk or a piece of it starts from.
fn initial<'a>(
    call: &Forward<'a>,
    carried: Option<&'a Carried>,
    walk: Option<&'a Walk>,
) -> Initial<'a> {
    BatchState::initial(carried, walk, call.initial, call.layout.sequences())
}

/// Takes the layout of the piece in work; its rows.
fn take_piece(
    own: &mut Own,
    whole: &Layout,
    (shape, walk): (RecurrentShape, &Walk),
) -> std::ops::Range<usize> {
    let index = match shape.direction {
        Direction::Forward => walk.index,
        Direction::Reverse => walk.count - 1 - walk.index,
    };
    let (from, to) = own.bounds.piece(index);
    own.part.assign_part(whole, from, to);
    whole.offset(from)..whole.offset(to)
}

fn part<'a>(matrix: Matrix<'a>, rows: &std::ops::Range<usize>) -> Matrix<'a> {
    let stride = stride(matrix.width());
    Matrix::new(&matrix.data()[rows.start * stride..], rows.len(), matrix.width())
}

fn part_mut<'a>(matrix: &'a mut MatrixMut<'_>, rows: &std::ops::Range<usize>) -> MatrixMut<'a> {
    let (width, stride) = (matrix.width(), stride(matrix.width()));
    MatrixMut::new(&mut matrix.data_mut()[rows.start * stride..], rows.len(), width)
}
