//! Builds an LSTM and trains it step by step, without a study: the next value of sine waves of
//! unknown period and phase, from ragged beginnings of 20 to 40 steps.
//!
//! `cargo run --release --example train_lstm`
#![allow(clippy::print_stdout, clippy::expect_used, reason = "an example shows what it does")]
#![allow(clippy::cast_possible_truncation, reason = "values are kept in f32")]

use sequela::core::Random;
use sequela::kernels::Context;
use sequela::nn::{
    Architecture, Batch, Capacity, CellKind, Clip, Convention, Error, Features, Gradients, Head,
    Interface, Keep, Loss, Method, Optimiser, Parameters, Program, Runner, Sequence, Wanted,
};

const SEQUENCES: usize = 64;
const LONGEST: usize = 40;
const ADAM: Method =
    Method::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, convention: Convention::Keras };

fn main() -> Result<(), Error> {
    let network = Sequence { cell: CellKind::Lstm, hidden: 32, ..Sequence::default() };
    let next = Head { name: "next".to_owned(), outputs: 1, loss: Loss::MeanSquared };
    let program = Architecture::Sequence(network).build(&Interface {
        features: Features::Numeric { width: 1 },
        second: None,
        statics: 0,
        heads: vec![next],
        horizon: 0,
    })?;

    // Everything is allocated here, once, for the largest batch there will be.
    let capacity = Capacity::uniform(&program, SEQUENCES, SEQUENCES * LONGEST);
    let mut context = Context::new(2)?;
    let mut parameters = Parameters::new(&program, 1)?;
    let mut gradients = Gradients::new(&parameters);
    let mut optimiser = Optimiser::new(ADAM, &parameters)?;
    let mut runner = Runner::new(&program, &capacity, &Keep::Gradients(vec![Wanted::Parameters]))?;
    let mut batch = Batch::new(&program, &capacity)?;
    println!("{} parameters, {} bytes of memory", parameters.count(), runner.bytes());

    for step in 0..=400_u64 {
        let persistence = fill(&mut batch, &program, step)?;
        let loss = runner.train(&mut context, &parameters, &batch, &mut gradients)?;
        if step % 100 == 0 {
            println!("step {step:>3}: squared error {loss:.5}, of the last value {persistence:.5}");
        }
        gradients.clip(&mut context, Clip::Norm(1.0));
        optimiser.update(&mut context, &mut parameters, &gradients, 5e-3)?;
    }
    Ok(())
}

/// Writes waves that are a function of the step; gives the error of repeating the last value.
fn fill(batch: &mut Batch, program: &Program, step: u64) -> Result<f64, Error> {
    let random = Random::new(7, step);
    let lengths: Vec<usize> =
        (0..SEQUENCES as u64).map(|b| 20 + (random.word(b) % 21) as usize).collect();
    let find = |name: &str| program.input(name).expect("the architecture names its inputs");
    batch.set_lengths(program.layout("steps").expect("it has steps"), &lengths)?;
    let mut error = 0.0;
    for (b, &length) in lengths.iter().enumerate() {
        let draw = 1000 + 2 * b as u64;
        let (pace, phase) =
            (0.2 + 0.4 * random.uniform(draw), std::f64::consts::TAU * random.uniform(draw + 1));
        let wave: Vec<f32> =
            (0..=length).map(|t| libm::sin(pace * t as f64 + phase) as f32).collect();
        batch.write(find("x"), b, &wave[..length])?;
        batch.write(find("target.next"), b, &wave[length..])?;
        batch.write(find("weight.next"), b, &[1.0])?;
        error += f64::from(wave[length] - wave[length - 1]).powi(2);
    }
    Ok(error / SEQUENCES as f64)
}
