//! How a recurrent layer walks over its steps: at once, or in pieces of which only the states at
//! the cuts are kept, and which are walked once more on the way back.

use crate::error::Error;
use crate::operation::pass;
use crate::state::{BatchState, Carried};
use crate::walk::{Own, Walk};
use sequela_core::Layout;
use sequela_kernels::recurrent::{
    self, Backward, Direction, Forward, Initial, Piece, RecurrentShape, Workspace,
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
            decay: call.decay.map(|decay| part(decay, &rows)),
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

/// Where the gradients of what a layer is given by the step go, and how they are written.
#[derive(Default)]
pub(super) struct InputGradients<'a> {
    pub(super) x: Option<(MatrixMut<'a>, Write)>,
    pub(super) decay: Option<(MatrixMut<'a>, Write)>,
}

impl InputGradients<'_> {
    /// The same for some rows.
    fn part(&mut self, rows: &std::ops::Range<usize>) -> InputGradients<'_> {
        let [x, decay] = [&mut self.x, &mut self.decay]
            .map(|to| to.as_mut().map(|(to, write)| (part_mut(to, rows), *write)));
        InputGradients { x, decay }
    }

    /// Takes the gradients of decays that a way back left.
    fn keep_decay(&mut self, workspace: &Workspace, layout: &Layout) {
        if let Some((to, write)) = &mut self.decay {
            pass(*write, workspace.decay_gradient(layout).data(), to.data_mut());
        }
    }
}

/// Goes back through a call of [`forward`].
pub(super) fn back(
    context: &mut Context,
    shape: RecurrentShape,
    call: Backward<'_>,
    state: &mut BatchState,
    mut to: InputGradients<'_>,
    gradient: &mut [f32],
) -> Result<(), Error> {
    let BatchState { workspace, carried, walk } = state;
    let whole = call.forward;
    let Some(walk) = walk else {
        let initial = initial(&whole, carried.as_ref(), None);
        let call = Backward { forward: Forward { initial, ..whole }, ..call };
        recurrent::backward(context, shape, call, workspace, to.x.take(), gradient)?;
        to.keep_decay(workspace, whole.layout);
        return Ok(());
    };
    let Some(mut own) = walk.own.take() else {
        let mut seam = std::mem::take(&mut walk.seam);
        let (initial, place) = (initial(&whole, carried.as_ref(), Some(walk)), walk.place());
        let call = Backward { forward: Forward { initial, ..whole }, ..call };
        let piece = Piece { workspace, seam: &mut seam, place };
        let result = recurrent::backward_piece(context, shape, call, piece, to.x.take(), gradient);
        walk.seam = seam;
        to.keep_decay(workspace, whole.layout);
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
            decay: whole.decay.map(|decay| part(decay, &rows)),
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
            let mut to = to.part(&rows);
            let piece = Piece { workspace, seam: &mut seam, place: walk.place() };
            result = recurrent::backward_piece(context, shape, call, piece, to.x.take(), gradient);
            to.keep_decay(workspace, &own.part);
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
