//! Ragged batches of every kind against the naive reference in f64.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    unreachable_pub,
    missing_docs,
    reason = "a test compares bits and stops at the first thing that is wrong"
)]

mod support;

use sequela_core::{Layout, Random};
use sequela_kernels::activation::Activation;
use sequela_kernels::recurrent::{
    self, Backward, Capacity, Cell, Direction, Forward, Initial, Keep, RecurrentShape, Reset,
    StatePart, WeightMatrix, Weights, WeightsMut, Workspace,
};
use sequela_kernels::reference::{cells, tape::Tape, tape::Var};
use sequela_kernels::{Buffer, Context, Error, Matrix, MatrixMut, Write, stride};
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::cases::decays;
use support::{Case, Outcome, pack_rows, pack_steps, unpack_rows, unpack_steps};

const CELLS: [Cell; 10] = [
    Cell::Elman(Activation::Tanh),
    Cell::Elman(Activation::Relu),
    Cell::Elman(Activation::Identity),
    Cell::Elman(Activation::Sigmoid),
    Cell::Elman(Activation::Softplus),
    Cell::Lstm,
    Cell::Gru(Reset::AfterProduct),
    Cell::Gru(Reset::BeforeProduct),
    Cell::GruD(Reset::AfterProduct),
    Cell::GruD(Reset::BeforeProduct),
];

/// Numbers of one test, drawn one after another.
struct Draw(Random, u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.1 += 1;
        ((self.0.normal(self.1).abs() * 1e6) as usize) % n
    }

    fn some(&mut self, n: usize, scale: f64) -> Vec<f32> {
        let from = self.1;
        self.1 += n as u64;
        (0..n as u64).map(|i| (scale * self.0.normal(from + i + 1)) as f32).collect()
    }

    fn maybe(&mut self, n: usize, scale: f64) -> Vec<f32> {
        if self.below(2) == 0 { Vec::new() } else { self.some(n, scale) }
    }
}

/// The four tensors of a layer, in PyTorch's order.
type Plain = [Vec<f32>; 4];

fn random_case(draw: &mut Draw, shape: RecurrentShape) -> (Case, Plain) {
    let (f, h) = (shape.inputs, shape.hidden);
    let lengths: Vec<usize> = (0..draw.below(6)).map(|_| draw.below(6)).collect();
    let (b, steps) = (lengths.len(), lengths.iter().copied().max().unwrap_or(0));
    let rows = shape.gates() * h;
    let scale = 0.5 / (h.max(1) as f64).sqrt();
    let plain = [
        draw.some(rows * f, 0.4),
        draw.some(rows * h, scale),
        draw.some(rows, 0.2),
        draw.some(rows, 0.2),
    ];
    let mut packed = vec![0.0; shape.packed_len()];
    let [weight_ih, weight_hh, bias_ih, bias_hh] = &plain;
    shape.pack(&Weights { weight_ih, weight_hh, bias_ih, bias_hh }, &mut packed);
    let cell = if shape.has_cell_state() { b * h } else { 0 };
    let case = Case {
        shape,
        steps,
        x: draw.some(b * steps * f, 1.0),
        decay: decays(&draw.0, if shape.cell.fades() { b * steps * h } else { 0 }),
        packed,
        h0: draw.maybe(b * h, 0.5),
        c0: draw.maybe(cell, 0.5),
        gy: draw.maybe(b * steps * h, 1.0),
        ghn: draw.maybe(b * h, 1.0),
        gcn: draw.maybe(cell, 1.0),
        lengths,
    };
    (case, plain)
}

/// What the reference says about a case, and its gradients of the four tensors.
struct Wanted {
    y: Vec<f64>,
    hn: Vec<f64>,
    cn: Vec<f64>,
    dx: Vec<f64>,
    ddecay: Vec<f64>,
    dh0: Vec<f64>,
    dc0: Vec<f64>,
    tensors: [Vec<f64>; 4],
}

/// Gradients arrive at these variables, if there are any.
fn seed<'t>(seeds: &mut Vec<(Var<'t>, f64)>, vars: &[Var<'t>], gradient: &[f32], at: usize) {
    let gradient = gradient.iter().skip(at).map(|&g| f64::from(g));
    seeds.extend(vars.iter().copied().zip(gradient));
}

fn wanted(case: &Case, plain: &Plain) -> Wanted {
    let (shape, steps) = (case.shape, case.steps);
    let (b, f, h) = (case.lengths.len(), shape.inputs, shape.hidden);
    let tape = Tape::new();
    let vars = |values: &[f32]| -> Vec<Var<'_>> {
        values.iter().map(|&v| tape.var(f64::from(v))).collect()
    };
    let state = |values: &[f32]| {
        if values.is_empty() { tape.vars(&vec![0.0; b * h]) } else { vars(values) }
    };
    let tensors: Vec<Vec<Var<'_>>> = plain.iter().map(|tensor| vars(tensor)).collect();
    let weights = cells::CellWeights {
        weight_ih: &tensors[0],
        weight_hh: &tensors[1],
        bias_ih: &tensors[2],
        bias_hh: &tensors[3],
    };
    let (x, h0, c0) = (vars(&case.x), state(&case.h0), state(&case.c0));
    let decay = vars(&case.decay);
    let (mut seeds, mut y) = (Vec::new(), vec![0.0; b * steps * h]);
    let (mut hn, mut cn) = (Vec::new(), Vec::new());
    let values = |vars: &[Var<'_>]| -> Vec<f64> { vars.iter().map(|v| v.value()).collect() };
    for (s, &length) in case.lengths.iter().enumerate() {
        let mut xs: Vec<Vec<Var<'_>>> =
            (0..length).map(|t| x[(s * steps + t) * f..][..f].to_vec()).collect();
        let mut decays: Vec<Vec<Var<'_>>> = Vec::new();
        if shape.cell.fades() {
            decays.extend((0..length).map(|t| decay[(s * steps + t) * h..][..h].to_vec()));
        }
        let reverse = shape.direction == Direction::Reverse;
        if reverse {
            xs.reverse();
            decays.reverse();
        }
        let mut trace =
            cells::run(shape.cell, weights, &xs, &decays, &h0[s * h..][..h], &c0[s * h..][..h]);
        if reverse {
            trace.hidden.reverse();
        }
        for (t, out) in trace.hidden.iter().enumerate() {
            let at = (s * steps + t) * h;
            y[at..at + h].copy_from_slice(&values(out));
            seed(&mut seeds, out, &case.gy, at);
        }
        seed(&mut seeds, &trace.last_hidden, &case.ghn, s * h);
        seed(&mut seeds, &trace.last_cell, &case.gcn, s * h);
        hn.extend(values(&trace.last_hidden));
        cn.extend(values(&trace.last_cell));
    }
    let adjoint = tape.backward(&seeds);
    let of = |vars: &[Var<'_>]| -> Vec<f64> { vars.iter().map(|&v| adjoint.of(v)).collect() };
    let given = |vars: &[Var<'_>], plain: &[f32]| {
        if plain.is_empty() { Vec::new() } else { of(vars) }
    };
    Wanted {
        y,
        hn,
        cn,
        dx: of(&x),
        ddecay: of(&decay),
        dh0: given(&h0, &case.h0),
        dc0: given(&c0, &case.c0),
        tensors: [of(&tensors[0]), of(&tensors[1]), of(&tensors[2]), of(&tensors[3])],
    }
}

fn unpacked(shape: &RecurrentShape, packed: &[f32]) -> Plain {
    let (g, f, h) = (shape.gates(), shape.inputs, shape.hidden);
    let [mut weight_ih, mut weight_hh, mut bias_ih, mut bias_hh] =
        [g * h * f, g * h * h, g * h, g * h].map(|n| vec![0.0; n]);
    shape.unpack(
        packed,
        &mut WeightsMut {
            weight_ih: &mut weight_ih,
            weight_hh: &mut weight_hh,
            bias_ih: &mut bias_ih,
            bias_hh: &mut bias_hh,
        },
    );
    [weight_ih, weight_hh, bias_ih, bias_hh]
}

fn compare(case: &Case, got: &Outcome, want: &Wanted) {
    let near = |name: &str, got: &[f32], want: &[f64]| {
        assert_eq!(got.len(), want.len());
        // A saturated unit's 1 - h^2 keeps few digits: small gradients get an absolute bound.
        let size = want.iter().fold(0.1_f64, |size, v| size.max(v.abs()));
        let apart = got.iter().zip(want).map(|(&g, &w)| (f64::from(g) - w).abs());
        let off = apart.fold(0.0, f64::max) / size;
        let Case { shape, lengths, .. } = case;
        assert!(off < 2e-5, "{name} is off by {off:.1e}: {shape:?} {lengths:?}");
    };
    near("y", &got.y, &want.y);
    near("hn", &got.hn, &want.hn);
    near("cn", &got.cn, &want.cn);
    near("dx", &got.dx, &want.dx);
    near("ddecay", &got.ddecay, &want.ddecay);
    near("dh0", &got.dh0, &want.dh0);
    near("dc0", &got.dc0, &want.dc0);
    let [weight_ih, weight_hh, bias_ih, bias_hh] = unpacked(&case.shape, &got.dw);
    near("weight_ih", &weight_ih, &want.tensors[0]);
    near("weight_hh", &weight_hh, &want.tensors[1]);
    near("bias_ih", &bias_ih, &want.tensors[2]);
    if case.shape.cell.reset() == Some(Reset::AfterProduct) {
        let n = 2 * case.shape.hidden;
        near("b_hn", &bias_hh[n..], &want.tensors[3][n..]);
    }
    // Padding gets no gradient: what packing again leaves out was 0.
    let mut again = vec![0.0; got.dw.len()];
    case.shape.pack(
        &Weights {
            weight_ih: &weight_ih,
            weight_hh: &weight_hh,
            bias_ih: &bias_ih,
            bias_hh: &bias_hh,
        },
        &mut again,
    );
    assert!(again == got.dw, "a gradient in the padding: {:?}", case.shape);
}

/// Every cell, both directions, with and without each state and gradient; B, T, F and H from 0.
#[test]
fn random_ragged_batches_agree_with_the_reference() {
    let mut draw = Draw(Random::new(77, 1), 0);
    let mut context = Context::new(2).unwrap().with_worth(1);
    let widths = [0, 1, 2, 15, 16, 17, 33];
    for round in 0..40 {
        for cell in CELLS {
            for direction in [Direction::Forward, Direction::Reverse] {
                let inputs = widths[draw.below(widths.len())];
                let hidden = widths[draw.below(if round < 35 { 6 } else { 7 })];
                let shape = RecurrentShape { cell, direction, inputs, hidden };
                let (case, plain) = random_case(&mut draw, shape);
                compare(&case, &case.run(&mut context), &wanted(&case, &plain));
            }
        }
    }
}

/// Forward alone: y, the final h, and the final c of an LSTM.
fn forward(context: &mut Context, case: &Case, workspace: &mut Workspace) -> [Vec<f32>; 3] {
    let (shape, h) = (case.shape, case.shape.hidden);
    let layout = Layout::new(&case.lengths);
    let (rows, sequences) = (layout.rows(), layout.sequences());
    let x = pack_steps(&layout, &case.x, shape.inputs);
    let decay = case.packed_decay(&layout);
    let states = [pack_rows(&case.h0, h), pack_rows(&case.c0, h)];
    let state = |values: &[f32], at: usize| {
        (!values.is_empty()).then(|| Matrix::new(&states[at], sequences, h))
    };
    let call = Forward {
        layout: &layout,
        x: Matrix::new(&x, rows, shape.inputs),
        initial: Initial { hidden: state(&case.h0, 0), cell: state(&case.c0, 1) },
        decay: shape.cell.fades().then(|| Matrix::new(&decay, rows, h)),
        weights: &case.packed,
    };
    let mut y = Buffer::new(rows * stride(h));
    recurrent::forward(context, shape, call, workspace, MatrixMut::new(&mut y, rows, h)).unwrap();
    let cell = if shape.has_cell_state() {
        unpack_rows(workspace.final_state(StatePart::Cell))
    } else {
        Vec::new()
    };
    [
        unpack_steps(&layout, &y, h, case.steps),
        unpack_rows(workspace.final_state(StatePart::Hidden)),
        cell,
    ]
}

fn bits(parts: &[Vec<f32>]) -> Vec<u32> {
    parts.iter().flatten().map(|v| v.to_bits()).collect()
}

/// In one workspace for all, larger than any: nothing of the batch before may be left.
#[test]
fn keeping_nothing_and_keeping_all_give_the_same_bits_in_a_used_workspace() {
    let mut draw = Draw(Random::new(78, 1), 0);
    let mut context = Context::new(1).unwrap();
    for cell in CELLS {
        for direction in [Direction::Forward, Direction::Reverse] {
            let shape = RecurrentShape { cell, direction, inputs: 5, hidden: 33 };
            let capacity = Capacity { rows: 40, sequences: 7 };
            let [mut nothing, mut all] =
                [Keep::Nothing, Keep::Backward].map(|keep| Workspace::new(shape, capacity, keep));
            for _ in 0..8 {
                let (case, _) = random_case(&mut draw, shape);
                let fresh = case.run(&mut context);
                let fresh = bits(&[fresh.y, fresh.hn, fresh.cn]);
                assert_eq!(bits(&forward(&mut context, &case, &mut nothing)), fresh, "{cell:?}");
                assert_eq!(bits(&forward(&mut context, &case, &mut all)), fresh, "{cell:?}");
            }
        }
    }
}

/// One way back with everything that can be left out or added to.
struct Way<'a> {
    layout: &'a Layout,
    call: Forward<'a>,
    y: &'a [f32],
    dy: &'a [f32],
    transposed: &'a [f32],
}

impl Way<'_> {
    fn back(
        &self,
        context: &mut Context,
        workspace: &mut Workspace,
        shape: RecurrentShape,
        dx: Option<(&mut [f32], Write)>,
        gradient: &mut [f32],
    ) -> Result<(), Error> {
        let rows = self.layout.rows();
        let call = Backward {
            forward: self.call,
            y: Matrix::new(self.y, rows, shape.hidden),
            dy: Some(Matrix::new(self.dy, rows, shape.hidden)),
            transposed: self.transposed,
        };
        let dx = dx.map(|(dx, write)| (MatrixMut::new(dx, rows, shape.inputs), write));
        recurrent::backward(context, shape, call, workspace, dx, gradient)
    }
}

#[test]
fn gradients_are_added_or_left_out_as_asked_and_a_way_back_is_gone_once() {
    let mut draw = Draw(Random::new(79, 1), 0);
    let mut context = Context::new(1).unwrap();
    let context = &mut context;
    for cell in CELLS {
        let shape = RecurrentShape { cell, direction: Direction::Forward, inputs: 18, hidden: 17 };
        let layout = Layout::new(&[3, 0, 5, 1]);
        let rows = layout.rows();
        let (case, _) = random_case(&mut draw, shape);
        let x = pack_rows(&draw.some(rows * 18, 1.0), 18);
        let dy = pack_rows(&draw.some(rows * 17, 1.0), 17);
        let initial = Initial::default();
        let x = Matrix::new(&x, rows, 18);
        let fading = pack_rows(&decays(&draw.0, rows * 17), 17);
        let decay = shape.cell.fades().then(|| Matrix::new(&fading, rows, 17));
        let call = Forward { layout: &layout, x, initial, decay, weights: &case.packed };
        // The padding of a transpose does not depend on what stood there.
        let mut transposed = vec![7.0; shape.transposed_len()];
        for matrix in [WeightMatrix::Input, WeightMatrix::Hidden] {
            recurrent::transpose(context, shape, matrix, &case.packed, &mut transposed);
        }
        let mut workspace = Workspace::new(shape, Capacity { rows, sequences: 4 }, Keep::Backward);
        let mut y = Buffer::new(rows * stride(17));
        let mut results = Vec::new();
        let fill = [(Write::Overwrite, f32::NAN, 0.0), (Write::Accumulate, 1.0, 2.0)];
        for (write, before, weight) in fill {
            let out = MatrixMut::new(&mut y, rows, 17);
            recurrent::forward(context, shape, call, &mut workspace, out).unwrap();
            let way = Way { layout: &layout, call, y: &y, dy: &dy, transposed: &transposed };
            let mut dx = vec![before; rows * stride(18)];
            let mut dw = vec![weight; shape.packed_len()];
            way.back(context, &mut workspace, shape, Some((&mut dx, write)), &mut dw).unwrap();
            results.push((dx, dw));
            let initial = workspace.initial_gradient(StatePart::Hidden);
            assert!(initial.data().iter().all(|v| *v == 0.0), "{cell:?}: no state was given");
            let again = catch_unwind(AssertUnwindSafe(|| {
                way.back(context, &mut workspace, shape, None, &mut []).unwrap();
            }));
            assert!(again.is_err(), "{cell:?}: the gates are gone");
        }
        let [(dx, dw), (dx_added, dw_added)] = &results[..] else { panic!() };
        for r in 0..rows {
            let at = r * stride(18);
            for k in 0..18 {
                assert_eq!(dx_added[at + k], 1.0 + dx[at + k], "{cell:?} dx");
            }
            assert!(dx[at + 18..at + 32].iter().all(|v| *v == 0.0), "{cell:?} padding of dx");
        }
        let near = |(a, b): (&f32, &f32)| (a + 2.0 - b).abs() < 1e-4;
        assert!(dw.iter().zip(dw_added).all(near), "{cell:?} dw");
        let out = MatrixMut::new(&mut y, rows, 17);
        recurrent::forward(context, shape, call, &mut workspace, out).unwrap();
        let way = Way { layout: &layout, call, y: &y, dy: &dy, transposed: &transposed };
        let mut only = vec![0.0; rows * stride(18)];
        let dx_only = Some((&mut only[..], Write::Overwrite));
        way.back(context, &mut workspace, shape, dx_only, &mut []).unwrap();
        for r in 0..rows {
            let at = r * stride(18);
            assert_eq!(only[at..at + 18], dx[at..at + 18], "{cell:?} dx alone");
        }
    }
}
