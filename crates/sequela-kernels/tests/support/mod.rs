//! What the tests of recurrent layers share: dumps, batches, one layer there and back.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test stops at the first thing that is wrong"
)]

pub mod cases;

use safetensors::{Dtype, SafeTensors};
use sequela_core::Layout;
use sequela_kernels::recurrent::{
    self, Backward, Capacity, Forward, Initial, Keep, RecurrentShape, StatePart, WeightMatrix,
    Workspace,
};
use sequela_kernels::{Buffer, Context, Matrix, MatrixMut, Precision, Write, stride};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A dump of named f64 tensors with its description.
pub struct Dump {
    pub tensors: BTreeMap<String, Vec<f64>>,
    pub about: BTreeMap<String, String>,
}

impl Dump {
    pub fn load(name: &str) -> Self {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/parity").join(name);
        #[allow(clippy::disallowed_methods, reason = "a file of this repository")]
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let about = metadata.metadata().clone().unwrap_or_default().into_iter().collect();
        let tensors = SafeTensors::deserialize(&bytes)
            .unwrap()
            .tensors()
            .into_iter()
            .map(|(name, tensor)| {
                let values = tensor
                    .data()
                    .chunks_exact(8)
                    .map(|b| {
                        let b = b.try_into().unwrap();
                        match tensor.dtype() {
                            Dtype::I64 => i64::from_le_bytes(b) as f64,
                            _ => f64::from_le_bytes(b),
                        }
                    })
                    .collect();
                (name, values)
            })
            .collect();
        Self { tensors, about }
    }

    pub fn f32(&self, name: &str) -> Vec<f32> {
        self.get(name).iter().map(|&v| v as f32).collect()
    }

    pub fn get(&self, name: &str) -> &[f64] {
        self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    pub fn number(&self, name: &str) -> usize {
        self.about[name].parse().unwrap_or_else(|_| panic!("{name}: {}", self.about[name]))
    }

    pub fn lengths(&self) -> Vec<usize> {
        self.get("lengths").iter().map(|&l| l as usize).collect()
    }
}

/// Packs batch-first padded `(B, T, width)` values.
pub fn pack_steps(layout: &Layout, values: &[f32], width: usize) -> Buffer {
    let steps = values.len().checked_div(width * layout.sequences()).unwrap_or(0);
    let mut packed = Buffer::new(layout.rows() * stride(width));
    let mut matrix = MatrixMut::new(&mut packed, layout.rows(), width);
    for t in 0..layout.steps() {
        for rank in 0..layout.active(t) {
            let b = layout.order()[rank] as usize;
            let from = &values[(b * steps + t) * width..][..width];
            matrix.row_mut(layout.row(t, rank)).copy_from_slice(from);
        }
    }
    packed
}

/// The reverse of [`pack_steps`], zeros in the padding.
pub fn unpack_steps(layout: &Layout, packed: &[f32], width: usize, steps: usize) -> Vec<f32> {
    let mut values = vec![0.0; layout.sequences() * steps * width];
    let matrix = Matrix::new(packed, layout.rows(), width);
    for t in 0..layout.steps() {
        for rank in 0..layout.active(t) {
            let b = layout.order()[rank] as usize;
            values[(b * steps + t) * width..][..width]
                .copy_from_slice(matrix.row(layout.row(t, rank)));
        }
    }
    values
}

pub fn pack_rows(values: &[f32], width: usize) -> Buffer {
    let rows = values.len().checked_div(width).unwrap_or(0);
    let mut packed = Buffer::new(rows * stride(width));
    let mut matrix = MatrixMut::new(&mut packed, rows, width);
    for r in 0..rows {
        matrix.row_mut(r).copy_from_slice(&values[r * width..][..width]);
    }
    packed
}

pub fn unpack_rows(matrix: Matrix<'_>) -> Vec<f32> {
    (0..matrix.rows()).flat_map(|r| matrix.row(r).to_vec()).collect()
}

/// Everything that one layer, there and back, is fed with; plain row-by-row values.
#[derive(Clone)]
pub struct Case {
    pub shape: RecurrentShape,
    pub lengths: Vec<usize>,
    pub steps: usize,
    /// `(B, T, F)`
    pub x: Vec<f32>,
    /// `(B, T, H)`; empty where h does not fade.
    pub decay: Vec<f32>,
    pub packed: Vec<f32>,
    /// `(B, H)`, empty for none.
    pub h0: Vec<f32>,
    pub c0: Vec<f32>,
    /// `(B, T, H)`, `(B, H)`, `(B, H)`; empty for none.
    pub gy: Vec<f32>,
    pub ghn: Vec<f32>,
    pub gcn: Vec<f32>,
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub y: Vec<f32>,
    pub hn: Vec<f32>,
    pub cn: Vec<f32>,
    pub dx: Vec<f32>,
    pub ddecay: Vec<f32>,
    pub dw: Vec<f32>,
    pub dh0: Vec<f32>,
    pub dc0: Vec<f32>,
}

/// Whole gradients of states, `(B, T, H)`; that of c is empty for cells without one.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct StateGradients {
    pub hidden: Vec<f32>,
    pub cell: Vec<f32>,
}

impl Case {
    /// The decays, packed; empty where h does not fade.
    pub fn packed_decay(&self, layout: &Layout) -> Buffer {
        let fades = self.shape.cell.fades();
        if fades { pack_steps(layout, &self.decay, self.shape.hidden) } else { Buffer::default() }
    }

    pub fn run(&self, context: &mut Context) -> Outcome {
        self.run_in(Precision::F32, context, None)
    }

    /// As `run`, in a precision, keeping the gradients of all states where they are wanted.
    pub fn run_in(
        &self,
        precision: Precision,
        context: &mut Context,
        kept: Option<&mut StateGradients>,
    ) -> Outcome {
        let (shape, h) = (self.shape, self.shape.hidden);
        let layout = Layout::new(&self.lengths);
        let sequences = layout.sequences();
        let capacity = Capacity { rows: layout.rows(), sequences };
        let workspace = Workspace::new(shape, capacity, Keep::Backward);
        let mut workspace = workspace.with_precision(precision, context).unwrap();
        workspace.round(&self.packed, 1);
        if kept.is_some() {
            workspace.keep_state_gradients();
        }
        let x = pack_steps(&layout, &self.x, shape.inputs);
        let decay = self.packed_decay(&layout);
        let fades = shape.cell.fades();
        let states = [pack_rows(&self.h0, h), pack_rows(&self.c0, h)];
        let state = |values: &[f32], at: usize| {
            (!values.is_empty()).then(|| Matrix::new(&states[at], sequences, h))
        };
        let forward = Forward {
            layout: &layout,
            x: Matrix::new(&x, layout.rows(), shape.inputs),
            initial: Initial { hidden: state(&self.h0, 0), cell: state(&self.c0, 1) },
            decay: fades.then(|| Matrix::new(&decay, layout.rows(), h)),
            weights: &self.packed,
        };
        let mut y = Buffer::new(layout.rows() * stride(h));
        let out = MatrixMut::new(&mut y, layout.rows(), h);
        recurrent::forward(context, shape, forward, &mut workspace, out).unwrap();
        let hn = unpack_rows(workspace.final_state(StatePart::Hidden));
        let has_cell = shape.has_cell_state();
        let cn =
            if has_cell { unpack_rows(workspace.final_state(StatePart::Cell)) } else { Vec::new() };
        let ends = [(&self.ghn, StatePart::Hidden), (&self.gcn, StatePart::Cell)];
        for (values, part) in ends.into_iter().filter(|(values, _)| !values.is_empty()) {
            let mut gradient = workspace.final_gradient_mut(part);
            for b in 0..sequences {
                gradient.row_mut(b).copy_from_slice(&values[b * h..][..h]);
            }
        }
        let zeros = vec![0.0; sequences * self.steps * h];
        let dy = pack_steps(&layout, if self.gy.is_empty() { &zeros } else { &self.gy }, h);
        let mut transposed = vec![0.0; shape.transposed_len()];
        for matrix in [WeightMatrix::Input, WeightMatrix::Hidden] {
            recurrent::transpose(context, shape, matrix, &self.packed, &mut transposed);
        }
        let mut dx = Buffer::new(layout.rows() * stride(shape.inputs));
        let mut dw = vec![0.0; shape.packed_len()];
        let call = Backward {
            forward,
            y: Matrix::new(&y, layout.rows(), h),
            dy: (!self.gy.is_empty()).then(|| Matrix::new(&dy, layout.rows(), h)),
            transposed: &transposed,
        };
        let out = MatrixMut::new(&mut dx, layout.rows(), shape.inputs);
        let dx_out = Some((out, Write::Overwrite));
        recurrent::backward(context, shape, call, &mut workspace, dx_out, &mut dw).unwrap();
        if let Some(kept) = kept {
            let all = |part| {
                let gradient = workspace.state_gradient(part, &layout);
                unpack_steps(&layout, gradient.data(), h, self.steps)
            };
            kept.hidden = all(StatePart::Hidden);
            kept.cell = if has_cell { all(StatePart::Cell) } else { Vec::new() };
        }
        let given = |values: &[f32], part| {
            if values.is_empty() {
                Vec::new()
            } else {
                unpack_rows(workspace.initial_gradient(part))
            }
        };
        Outcome {
            y: unpack_steps(&layout, &y, h, self.steps),
            hn,
            cn,
            dx: unpack_steps(&layout, &dx, shape.inputs, self.steps),
            ddecay: if fades {
                unpack_steps(&layout, workspace.decay_gradient(&layout).data(), h, self.steps)
            } else {
                Vec::new()
            },
            dw,
            dh0: given(&self.h0, StatePart::Hidden),
            dc0: given(&self.c0, StatePart::Cell),
        }
    }
}

/// Largest difference, as a part of the largest value wanted.
pub fn worst(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let size = want.iter().fold(1e-3_f64, |size, v| size.max(v.abs()));
    got.iter().zip(want).map(|(&g, &w)| (f64::from(g) - w).abs()).fold(0.0, f64::max) / size
}
