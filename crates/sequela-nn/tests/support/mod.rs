//! What the tests of this crate share: random batches, and the comparison with the reference.
#![allow(
    dead_code,
    unused_imports,
    clippy::needless_range_loop,
    reason = "each test file uses a part"
)]

mod dump;

pub(crate) use dump::Dump;
use sequela_core::Random;
use sequela_kernels::recurrent::{Cell, Reset, StatePart};
use sequela_kernels::{Context, Matrix};
use sequela_nn::reference::{self, Reference};
use sequela_nn::{
    Batch, Capacity, Gradients, InputId, InputKind, Keep, Loss, Mode, Op, ParamKind, Parameters,
    Program, Rows, Runner, Tensor, Value, Wanted,
};

/// Numbers drawn one after the other.
pub(crate) struct Draw {
    random: Random,
    next: u64,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed, 0), next: 0 }
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.next += 1;
        usize::try_from(self.random.below(self.next, bound as u64)).unwrap()
    }

    pub(crate) fn uniform(&mut self) -> f32 {
        self.next += 1;
        (2.0 * self.random.uniform(self.next) - 1.0) as f32
    }

    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.uniform() < 2.0 * probability - 1.0
    }
}

/// Lengths of the sequences in each layout, in batch order.
pub(crate) type Lengths = Vec<Vec<usize>>;

/// Random weights, biases included, that tell one gate from another.
pub(crate) fn random_parameters(program: &Program, seed: u64) -> Parameters {
    let mut draw = Draw::new(seed);
    let mut parameters = Parameters::new(program, seed).unwrap();
    let mut tensors = parameters.tensors();
    for tensor in &mut tensors {
        tensor.values.iter_mut().for_each(|value| *value = 0.6 * draw.uniform());
    }
    parameters.load(&tensors).unwrap();
    parameters
}

pub(crate) fn capacity(lengths: &Lengths, sequences: usize) -> Capacity {
    Capacity { sequences, rows: lengths.iter().map(|lengths| lengths.iter().sum()).collect() }
}

/// How many classes the targets of an input are, if it is the target of a cross-entropy.
fn classes(program: &Program, input: InputId) -> Option<usize> {
    let term = program.losses().iter().find(|term| {
        let node = &program.nodes()[term.target.index()];
        matches!(term.kind, Loss::CrossEntropy { .. })
            && matches!(&node.op, Op::Input(op) if op.input == input)
            && node.width == 1
    })?;
    Some(program.nodes()[term.prediction.index()].width)
}

/// A batch of random inputs: classes where classes are wanted, 0 and 1 in masks and labels,
/// weights of which some are 0.
pub(crate) fn random_batch(
    program: &Program,
    lengths: &Lengths,
    sequences: usize,
    seed: u64,
) -> Batch {
    let mut draw = Draw::new(seed);
    let mut batch = Batch::new(program, &capacity(lengths, sequences)).unwrap();
    batch.set_sequences(sequences).unwrap();
    for (name, lengths) in program.layouts().iter().zip(lengths) {
        batch.set_lengths(program.layout(name).unwrap(), lengths).unwrap();
    }
    batch.set_random(seed, 3);
    batch.set_mode(Mode::Train);
    for spec in program.inputs() {
        let input = program.input(&spec.name).unwrap();
        if let (InputKind::Ids { vocabulary }, true) = (spec.kind, spec.name.starts_with("bags")) {
            let rows = match spec.rows {
                Rows::Sequences => sequences,
                Rows::Steps(layout) => lengths[layout.index()].iter().sum(),
            };
            let (mut starts, mut ids) = (vec![0], Vec::new());
            for _ in 0..rows {
                ids.extend((0..draw.below(4)).map(|_| draw.below(vocabulary) as u32));
                starts.push(ids.len() as u32);
            }
            batch.set_bags(input, &starts, &ids).unwrap();
            continue;
        }
        for b in 0..sequences {
            let rows = match spec.rows {
                Rows::Sequences => 1,
                Rows::Steps(layout) => lengths[layout.index()][b],
            };
            match spec.kind {
                InputKind::Numeric { width } => {
                    let values: Vec<f32> = (0..rows * width)
                        .map(|_| match classes(program, input) {
                            Some(classes) => draw.below(classes) as f32,
                            None if spec.name.starts_with("weight") => {
                                if draw.chance(0.25) {
                                    0.0
                                } else {
                                    1.0 + draw.uniform() * 0.5
                                }
                            }
                            None if spec.name.contains("mask") || spec.name.contains("teacher") => {
                                f32::from(u8::from(draw.chance(0.5)))
                            }
                            None => draw.uniform(),
                        })
                        .collect();
                    batch.write(input, b, &values).unwrap();
                }
                InputKind::Ids { vocabulary } => {
                    let ids: Vec<u32> = (0..rows).map(|_| draw.below(vocabulary) as u32).collect();
                    batch.write_ids(input, b, &ids).unwrap();
                }
            }
        }
    }
    batch
}

/// The numeric inputs that a network is fed, as values.
pub(crate) fn fed(program: &Program) -> Vec<Value> {
    let given = ["weight", "target", "mask", "teacher"];
    let names = program.inputs().iter().map(|spec| spec.name.as_str());
    names
        .filter(|name| !given.iter().any(|prefix| name.starts_with(prefix)))
        .filter_map(|name| program.input_value(program.input(name)?))
        .collect()
}

/// The recurrent nodes of a program.
fn recurrent_nodes(program: &Program) -> Vec<Value> {
    let nodes = program.nodes().iter().zip(program.values());
    let recurrent = nodes.filter(|(node, _)| matches!(node.op, Op::Recurrent(_)));
    recurrent.map(|(_, value)| value).collect()
}

pub(crate) fn rows_of(matrix: Matrix<'_>) -> Vec<f32> {
    (0..matrix.rows()).flat_map(|row| matrix.row(row).to_vec()).collect()
}

pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Panics unless `found` is close to `wanted`, measured by the largest of `wanted`.
///
/// Below 2e-3 by 2e-3: a gradient that is 0 is the difference of numbers near 1 in f32, and may be two
/// roundings (1.2e-7) away from it.
pub(crate) fn assert_close(what: &str, found: &[f32], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len(), "{what}: length");
    let scale = wanted.iter().fold(0.0_f64, |largest, value| largest.max(value.abs())).max(2e-3);
    for (index, (&found, &wanted)) in found.iter().zip(wanted).enumerate() {
        let error = (f64::from(found) - wanted).abs() / scale;
        assert!(
            error <= tolerance,
            "{what}[{index}]: {found} instead of {wanted} (off {error:.1e})"
        );
    }
}

/// Everything that a whole pass gives.
pub(crate) struct Pass {
    pub(crate) outputs: Vec<Vec<f32>>,
    pub(crate) loss: f64,
    pub(crate) gradients: Vec<Tensor>,
    pub(crate) fed: Vec<Option<Vec<f32>>>,
    /// The whole gradient of h of each recurrent node.
    pub(crate) states: Vec<Option<Vec<f32>>>,
    pub(crate) flat: Vec<f32>,
}

pub(crate) fn run_pass(
    program: &Program,
    parameters: &Parameters,
    batch: &Batch,
    capacity: &Capacity,
    context: &mut Context,
) -> Pass {
    let fed = fed(program);
    let mut wanted = vec![Wanted::Parameters];
    wanted.extend(fed.iter().map(|&value| Wanted::Of(value)));
    let recurrent = recurrent_nodes(program);
    wanted.extend(recurrent.iter().map(|&value| Wanted::States(value)));
    let mut runner = Runner::new(program, capacity, &Keep::Gradients(wanted)).unwrap();
    let mut gradients = Gradients::new(parameters);
    let loss = runner.train(context, parameters, batch, &mut gradients).unwrap();
    let outputs = program.outputs().iter();
    Pass {
        outputs: outputs.map(|(_, value)| rows_of(runner.value(*value, batch))).collect(),
        loss,
        gradients: gradients.tensors(parameters),
        fed: fed.iter().map(|&value| runner.gradient(value, batch).map(rows_of)).collect(),
        states: recurrent
            .iter()
            .map(|&value| runner.state_gradient(value, StatePart::Hidden, batch).map(rows_of))
            .collect(),
        flat: gradients.flat().to_vec(),
    }
}

/// Checks outputs, losses and all gradients of a program on a batch against the reference.
pub(crate) fn check_batch(
    name: &str,
    program: &Program,
    parameters: &Parameters,
    batch: &Batch,
    capacity: &Capacity,
) {
    let wanted = reference::run(program, &parameters.tensors(), batch).unwrap();
    let mut context = Context::new(1).unwrap();
    let pass = run_pass(program, parameters, batch, capacity, &mut context);
    compare(name, program, &pass, &wanted);

    // What else is wanted changes no bit of the gradients, nor does planning for inference only
    // change the outputs.
    let mut gradients = Gradients::new(parameters);
    let mut runner =
        Runner::new(program, capacity, &Keep::Gradients(vec![Wanted::Parameters])).unwrap();
    runner.train(&mut context, parameters, batch, &mut gradients).unwrap();
    assert_eq!(bits(gradients.flat()), bits(&pass.flat), "{name}: gradients of parameters alone");
    let mut runner = Runner::new(program, capacity, &Keep::Nothing).unwrap();
    runner.forward(&mut context, parameters, batch).unwrap();
    for ((_, value), wanted) in program.outputs().iter().zip(&pass.outputs) {
        assert_eq!(bits(&rows_of(runner.value(*value, batch))), bits(wanted), "{name}: inference");
    }
    assert_eq!(runner.loss(batch).unwrap().to_bits(), pass.loss.to_bits(), "{name}: loss");
}

fn compare(name: &str, program: &Program, pass: &Pass, wanted: &Reference) {
    for ((output, value), found) in program.outputs().iter().zip(&pass.outputs) {
        assert_close(&format!("{name}: {output}"), found, &wanted.values[value.index()], 2e-5);
    }
    let error = (pass.loss - wanted.loss).abs() / wanted.loss.abs().max(1e-2);
    assert!(error < 1e-4, "{name}: loss {} instead of {}", pass.loss, wanted.loss);
    for (found, wanted) in pass.gradients.iter().zip(&wanted.gradients) {
        assert_eq!(found.name, wanted.name);
        let mut values = wanted.values.clone();
        if found.name.contains("bias_hh") {
            // One bias is trained: its gradient stands at bias_ih, except for b_hn.
            let shared = shared_bias(program, &found.name);
            values[..shared].fill(0.0);
        }
        assert_close(&format!("{name}: d {}", found.name), &found.values, &values, 1e-4);
    }
    for (value, found) in fed(program).iter().zip(&pass.fed) {
        let wanted = &wanted.value_gradients[value.index()];
        let zeros = vec![0.0; wanted.len()];
        let found = found.as_ref().unwrap_or(&zeros);
        assert_close(&format!("{name}: d input {}", value.index()), found, wanted, 1e-4);
    }
    for (value, found) in recurrent_nodes(program).iter().zip(&pass.states) {
        // On the tape h_t is one variable: its derivative is the whole gradient.
        let wanted = &wanted.value_gradients[value.index()];
        let zeros = vec![0.0; wanted.len()];
        let found = found.as_ref().unwrap_or(&zeros);
        assert_close(&format!("{name}: d states {}", value.index()), found, wanted, 1e-4);
    }
}

/// How many numbers of a `bias_hh` are not trained beside `bias_ih`.
fn shared_bias(program: &Program, tensor: &str) -> usize {
    let mut specs = program.params().iter();
    let spec = specs.find(|spec| spec.tensors().iter().any(|t| t.name == tensor)).unwrap();
    match spec.kind {
        ParamKind::Recurrent { cell, hidden, .. } if cell.reset() == Some(Reset::AfterProduct) => {
            2 * hidden
        }
        ParamKind::Recurrent { cell, .. } if !cell.mixes() => 0,
        _ => spec.tensors()[3].count(),
    }
}

/// Checks a program on random weights and inputs.
pub(crate) fn check(name: &str, program: &Program, lengths: &Lengths, sequences: usize, seed: u64) {
    let parameters = random_parameters(program, seed);
    let batch = random_batch(program, lengths, sequences, seed + 1);
    let capacity = capacity(lengths, sequences);
    check_batch(name, program, &parameters, &batch, &capacity);
}
