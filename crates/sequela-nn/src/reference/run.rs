//! The interpreter.

use super::{Finals, ReferenceCall, Table, loss, places};
use crate::batch::Batch;
use crate::error::{Error, program_error};
use crate::parameters::Tensor;
use crate::program::{Program, Scalar, Value};
use sequela_kernels::reference::tape::{Adjoint, Tape, Var};

/// A named tensor of f64.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceTensor {
    /// Name of the weight.
    pub name: String,
    /// The numbers, row by row.
    pub values: Vec<f64>,
}

/// What a program comes to in f64.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Every node's value, row by row in the packed order of the runner, without padding.
    pub values: Vec<Vec<f64>>,
    /// The gradient of the loss by every node's value, in the same order.
    pub value_gradients: Vec<Vec<f64>>,
    /// The gradient of the loss by every weight. The two biases of PyTorch are one parameter
    /// where one is trained; this is the gradient of each of the two then.
    pub gradients: Vec<ReferenceTensor>,
    /// Each term of the loss, before its scale.
    pub losses: Vec<f64>,
    /// The program's loss.
    pub loss: f64,
}

/// Runs a program on weights given by name, with its losses and all gradients.
///
/// **Cost** about 100 bytes and 100 ns for each scalar operation: for small programs.
///
/// # Errors
/// [`Error::Program`] for a weight that is missing or of another size.
pub fn run(program: &Program, weights: &[Tensor], batch: &Batch) -> Result<Reference, Error> {
    let tape = Tape::new();
    let mut params: Vec<Vec<Vec<Var<'_>>>> = Vec::new();
    let mut leaves: Vec<(String, Vec<Var<'_>>)> = Vec::new();
    for spec in program.params() {
        let mut tensors = Vec::new();
        for wanted in spec.tensors() {
            let found = weights.iter().find(|tensor| tensor.name == wanted.name);
            let found = found.filter(|tensor| tensor.values.len() == wanted.count());
            let tensor = found.ok_or_else(|| program_error(&wanted.name, "no such weight"))?;
            let values: Vec<f64> = tensor.values.iter().map(|&value| f64::from(value)).collect();
            let vars = tape.vars(&values);
            leaves.push((wanted.name, vars.clone()));
            tensors.push(vars);
        }
        params.push(tensors);
    }
    let mut tables: Vec<Table<'_>> = Vec::new();
    let mut finals = vec![Finals::default(); program.nodes().len()];
    for (index, node) in program.nodes().iter().enumerate() {
        let mut call = ReferenceCall {
            tape: &tape,
            program,
            node: index,
            inputs: &node.inputs,
            batch,
            tables: &tables,
            params: &params,
            finals: &mut finals,
        };
        let table = node.op.operation().reference(&mut call);
        tables.push(table);
    }
    let mut total = tape.var(0.0);
    let mut losses = Vec::new();
    for term in program.losses() {
        let table = |value: Value| &tables[value.index()];
        let weight = term.weight.map(table);
        let value =
            loss::term(&tape, &term.kind, table(term.prediction), table(term.target), weight);
        let scale = match term.scale {
            Scalar::Fixed(scale) => scale,
            Scalar::Input(scalar) => batch.scalar(scalar),
        };
        losses.push(value.value());
        total = total + value * f64::from(scale);
    }
    let adjoint = tape.backward(&[(total, 1.0)]);
    let packed = |number: &dyn Fn(Var<'_>) -> f64| -> Vec<Vec<f64>> {
        let nodes = program.nodes().iter().zip(&tables);
        nodes.map(|(node, table)| pack(batch, node.rows, node.width, table, number)).collect()
    };
    Ok(Reference {
        values: packed(&|var| var.value()),
        value_gradients: packed(&|var| adjoint.of(var)),
        gradients: leaves.into_iter().map(|leaf| gradient(leaf, &adjoint)).collect(),
        losses,
        loss: total.value(),
    })
}

fn gradient((name, vars): (String, Vec<Var<'_>>), adjoint: &Adjoint) -> ReferenceTensor {
    ReferenceTensor { name, values: vars.into_iter().map(|var| adjoint.of(var)).collect() }
}

fn pack(
    batch: &Batch,
    rows: crate::Rows,
    width: usize,
    table: &Table<'_>,
    number: &dyn Fn(Var<'_>) -> f64,
) -> Vec<f64> {
    let mut out = vec![0.0; batch.rows(rows) * width];
    for (places, sequence) in places(batch, rows).iter().zip(&table.rows) {
        for (&place, row) in places.iter().zip(sequence) {
            for (k, &var) in row.iter().enumerate() {
                out[place * width + k] = number(var);
            }
        }
    }
    out
}
