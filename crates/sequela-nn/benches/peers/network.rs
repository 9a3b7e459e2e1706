//! The networks of the workloads: recurrent layers, then a dense layer on the last state.

use crate::measure::Work;
use sequela_core::Random;
use sequela_kernels::Context;
use sequela_nn::{
    Architecture, Batch, Capacity, CellKind, Convention, Directions, Features, Gradients, Head,
    Interface, Keep, Loss, Method, Optimiser, Parameters, Precision, Program, Runner, Sequence,
    Wanted,
};

/// Layers and sizes: B, T, I, H.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) cell: CellKind,
    pub(crate) layers: usize,
    pub(crate) directions: Directions,
    pub(crate) sizes: [usize; 4],
}

impl Shape {
    pub(crate) fn program(&self) -> Program {
        let [_, _, inputs, hidden] = self.sizes;
        let network = Sequence {
            cell: self.cell,
            layers: self.layers,
            directions: self.directions,
            hidden,
            ..Sequence::default()
        };
        let head = Head { name: "y".to_owned(), outputs: 1, loss: Loss::MeanSquared };
        let interface = Interface {
            features: Features::Numeric { width: inputs },
            second: None,
            statics: 0,
            heads: vec![head],
            horizon: 0,
        };
        Architecture::Sequence(network).build(&interface).unwrap()
    }

    fn gates(&self) -> usize {
        match self.cell {
            CellKind::Lstm => 4,
            CellKind::Gru | CellKind::GruD | CellKind::MinLstm => 3,
            CellKind::MinGru | CellKind::Lru => 2,
            CellKind::Elman => 1,
        }
    }

    /// Work of one pass over `rows` steps of `sequences` sequences.
    pub(crate) fn work(&self, rows: usize, sequences: usize, training: bool) -> Work {
        let [_, _, inputs, hidden] = self.sizes;
        let directions = if self.directions == Directions::Both { 2 } else { 1 };
        let (mut nominal, mut executed) = (0.0, 0.0);
        for layer in 0..self.layers {
            let width = if layer == 0 { inputs } else { directions * hidden };
            let one = (2 * directions * self.gates() * hidden) as f64;
            let input = one * (rows * width) as f64;
            let state = one * (rows * hidden) as f64;
            // Every sequence starts from a zero state: its first product is left out.
            let going = one * ((rows - sequences) * hidden) as f64;
            let (passes, inputs) = match (training, layer) {
                (false, _) => (1.0, 1.0),
                (true, 0) => (3.0, 2.0),
                (true, _) => (3.0, 3.0),
            };
            nominal += passes * (input + state);
            executed += inputs * input + passes * going;
        }
        Work { nominal, executed }
    }
}

/// `BENCH_PRECISION=bf16`, or f32.
pub(crate) fn precision() -> Precision {
    match std::env::var("BENCH_PRECISION").as_deref() {
        Ok("bf16") => Precision::Bf16,
        _ => Precision::F32,
    }
}

/// Everything of a training run.
pub(crate) struct Trainer {
    pub(crate) context: Context,
    program: Program,
    parameters: Parameters,
    gradients: Gradients,
    optimiser: Optimiser,
    runner: Runner,
}

impl Trainer {
    pub(crate) fn new(shape: &Shape, threads: usize, sequences: usize, rows: usize) -> Self {
        let context = Context::new(threads).unwrap();
        let program = shape.program();
        let capacity = Capacity::uniform(&program, sequences, rows);
        let parameters = Parameters::new(&program, 0).unwrap();
        let method =
            Method::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, convention: Convention::Keras };
        Self {
            gradients: Gradients::new(&parameters),
            optimiser: Optimiser::new(method, &parameters).unwrap(),
            runner: Runner::new(&program, &capacity, &Keep::Gradients(vec![Wanted::Parameters]))
                .unwrap()
                .with_precision(precision(), &context)
                .unwrap(),
            context,
            parameters,
            program,
        }
    }

    /// An empty batch of this program.
    pub(crate) fn batch(&self, sequences: usize, rows: usize) -> Batch {
        Batch::new(&self.program, &Capacity::uniform(&self.program, sequences, rows)).unwrap()
    }

    /// Fills a batch of these lengths with noise.
    pub(crate) fn fill(&self, batch: &mut Batch, lengths: &[usize], seed: u64) {
        fill(&self.program, batch, lengths, seed);
    }

    /// Writes one example of one step.
    pub(crate) fn example(&self, batch: &mut Batch, b: usize, x: f32, y: f32) {
        batch.write(self.program.input("x").unwrap(), b, &[x]).unwrap();
        batch.write(self.program.input("target.y").unwrap(), b, &[y]).unwrap();
        batch.write(self.program.input("weight.y").unwrap(), b, &[1.0]).unwrap();
    }

    /// Lengths of a batch of single steps.
    pub(crate) fn single_steps(&self, batch: &mut Batch, sequences: usize) {
        const ONES: [usize; 32] = [1; 32];
        batch.set_lengths(self.program.layout("steps").unwrap(), &ONES[..sequences]).unwrap();
    }

    /// One step: forward, loss, backward, Adam. Gives the loss.
    pub(crate) fn step(&mut self, batch: &Batch) -> f64 {
        let loss = self
            .runner
            .train(&mut self.context, &self.parameters, batch, &mut self.gradients)
            .unwrap();
        self.optimiser
            .update(&mut self.context, &mut self.parameters, &self.gradients, 1e-3)
            .unwrap();
        loss
    }
}

/// Fills a batch of these lengths with noise.
pub(crate) fn fill(program: &Program, batch: &mut Batch, lengths: &[usize], seed: u64) {
    batch.set_lengths(program.layout("steps").unwrap(), lengths).unwrap();
    let x = program.input("x").unwrap();
    let width = batch.input(x).width();
    for (b, &length) in lengths.iter().enumerate() {
        let random = Random::new(seed, b as u64);
        let values: Vec<f32> =
            (0..(length * width) as u64).map(|i| random.normal(i) as f32).collect();
        batch.write(x, b, &values).unwrap();
        let target = Random::new(seed, 1 << 32).normal(b as u64) as f32;
        batch.write(program.input("target.y").unwrap(), b, &[target]).unwrap();
        batch.write(program.input("weight.y").unwrap(), b, &[1.0]).unwrap();
    }
}
