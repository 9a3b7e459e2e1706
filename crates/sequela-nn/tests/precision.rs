//! Programs in bf16 beside the same programs in f32: outputs, gradients, training, streams.
//!
//! Where the processor lacks AVX-512 BF16 these tests only see the refusal.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "a test stops at the first thing that is wrong"
)]

use sequela_core::Random;
use sequela_kernels::recurrent::Reset;
use sequela_kernels::recurrent::{Cell, Direction};
use sequela_kernels::{Context, Isa};
use sequela_nn::{
    Architecture, Batch, Builder, Capacity, CellKind, Directions, Features, Gradients, Head,
    Initial, Interface, Keep, Loss, Method, Optimiser, ParamKind, ParamSpec, Parameters, Precision,
    Program, Recurrent, Rows, Runner, Sequence, Stream, Wanted,
};

fn can() -> bool {
    let can = Precision::Bf16.check(Isa::from_environment().unwrap()).is_ok();
    if !can {
        eprintln!("skipped: no AVX-512 BF16 here");
    }
    can
}

fn program(cell: CellKind, directions: Directions) -> Program {
    let head = Head { name: "y".to_owned(), outputs: 1, loss: Loss::MeanSquared };
    let interface = Interface {
        features: Features::Numeric { width: 7 },
        second: None,
        statics: 0,
        heads: vec![head],
        horizon: 0,
    };
    let network = Sequence { cell, layers: 2, directions, hidden: 40, ..Sequence::default() };
    Architecture::Sequence(network).build(&interface).unwrap()
}

/// Ragged sequences whose target is the mean of their first channel.
fn batch(program: &Program, capacity: &Capacity) -> Batch {
    let mut batch = Batch::new(program, capacity).unwrap();
    let lengths: Vec<usize> = (0..30).map(|b| 1 + b * 7 % 40).collect();
    batch.set_lengths(program.layout("steps").unwrap(), &lengths).unwrap();
    for (b, &length) in lengths.iter().enumerate() {
        let random = Random::new(3, b as u64);
        let x: Vec<f32> = (0..(7 * length) as u64).map(|i| random.normal(i) as f32).collect();
        let mean = x.iter().step_by(7).sum::<f32>() / length as f32;
        batch.write(program.input("x").unwrap(), b, &x).unwrap();
        batch.write(program.input("target.y").unwrap(), b, &[mean]).unwrap();
        batch.write(program.input("weight.y").unwrap(), b, &[1.0]).unwrap();
    }
    batch
}

/// Losses of 60 steps of Adam, and the gradient of the first.
fn train(program: &Program, precision: Precision, threads: usize) -> (Vec<f64>, Vec<f32>) {
    let capacity = Capacity::uniform(program, 30, 30 * 40);
    let batch = batch(program, &capacity);
    let mut context = Context::new(threads).unwrap().with_worth(1000);
    let keep = Keep::Gradients(vec![Wanted::Parameters]);
    let runner = Runner::new(program, &capacity, &keep).unwrap();
    let mut runner = runner.with_precision(precision, &context).unwrap();
    let mut parameters = Parameters::new(program, 5).unwrap();
    let mut gradients = Gradients::new(&parameters);
    let mut optimiser = Optimiser::new(Method::default(), &parameters).unwrap();
    let (mut losses, mut first) = (Vec::new(), Vec::new());
    for step in 0..60 {
        losses.push(runner.train(&mut context, &parameters, &batch, &mut gradients).unwrap());
        if step == 0 {
            first = gradients.flat().to_vec();
        }
        optimiser.update(&mut context, &mut parameters, &gradients, 1e-3).unwrap();
    }
    (losses, first)
}

#[test]
fn training_goes_as_in_f32() {
    if !can() {
        return;
    }
    for cell in [CellKind::Lstm, CellKind::Gru, CellKind::Elman] {
        for directions in [Directions::Forward, Directions::Both] {
            let program = program(cell, directions);
            let (losses, gradient) = train(&program, Precision::F32, 1);
            for threads in [1, 2] {
                let (found, near) = train(&program, Precision::Bf16, threads);
                let size = gradient.iter().fold(0.0_f32, |size, g| size.max(g.abs()));
                let apart = gradient.iter().zip(&near).map(|(a, b)| (a - b).abs());
                let apart = apart.fold(0.0_f32, f32::max);
                assert!(apart < 0.03 * size, "{cell:?} {directions:?}: {apart} of {size}");
                let (last, wanted) = (found[59], losses[59]);
                eprintln!(
                    "{cell:?} {directions:?} {threads}: {last:.4} in bf16, {wanted:.4} in f32"
                );
                assert!((found[0] - losses[0]).abs() < 0.01 * losses[0].max(0.01));
                assert!(last < 0.8 * found[0] && (last - wanted).abs() < 0.1 * losses[0]);
            }
        }
    }
}

#[test]
fn a_stream_in_bf16_is_near_the_batch_in_f32() {
    if !can() {
        return;
    }
    let program = program(CellKind::Gru, Directions::Forward);
    let capacity = Capacity::uniform(&program, 1, 25);
    let mut context = Context::new(1).unwrap();
    let parameters = Parameters::new(&program, 5).unwrap();
    let random = Random::new(9, 9);
    let x: Vec<f32> = (0..25 * 7).map(|i| random.normal(i) as f32).collect();
    let mut batch = Batch::new(&program, &capacity).unwrap();
    batch.set_lengths(program.layout("steps").unwrap(), &[25]).unwrap();
    batch.write(program.input("x").unwrap(), 0, &x).unwrap();
    let mut runner = Runner::new(&program, &capacity, &Keep::Nothing).unwrap();
    runner.forward(&mut context, &parameters, &batch).unwrap();
    let output = program.output("y").unwrap();
    let want = runner.value(output, &batch).row(0)[0];
    let stream = Stream::new(&program, 1).unwrap();
    let mut stream = stream.with_precision(Precision::Bf16, &context).unwrap();
    for step in x.chunks(7) {
        stream.write(program.input("x").unwrap(), 0, step).unwrap();
        stream.step(&mut context, &parameters).unwrap();
    }
    let got = stream.value(output).row(0)[0];
    assert!((got - want).abs() < 1e-2, "{got} {want}");
    assert!(got.to_bits() != want.to_bits(), "it was not run in bf16");
}

#[test]
fn weights_that_change_are_rounded_again() {
    if !can() {
        return;
    }
    let program = program(CellKind::Lstm, Directions::Forward);
    let capacity = Capacity::uniform(&program, 30, 30 * 40);
    let batch = batch(&program, &capacity);
    let mut context = Context::new(1).unwrap();
    let runner = Runner::new(&program, &capacity, &Keep::Nothing).unwrap();
    let mut runner = runner.with_precision(Precision::Bf16, &context).unwrap();
    let output = program.output("y").unwrap();
    let mut values = Vec::new();
    for seed in [1, 2, 1] {
        let parameters = Parameters::new(&program, seed).unwrap();
        runner.forward(&mut context, &parameters, &batch).unwrap();
        values.push(runner.value(output, &batch).row(0)[0].to_bits());
    }
    assert!(values[0] == values[2] && values[0] != values[1]);
}

#[test]
fn what_cannot_be_in_bf16_is_refused() {
    let mut builder = Builder::new();
    let steps = builder.layout("steps");
    let x = builder.input("x", Rows::Steps(steps), 1).unwrap();
    let cell = Cell::Gru(Reset::BeforeProduct);
    let direction = Direction::Forward;
    let kind = ParamKind::Recurrent { cell, direction, inputs: 1, hidden: 4, layer: 0 };
    let rnn = builder.param(ParamSpec { name: "rnn".into(), kind, initial: Initial::Keras });
    let h = builder.add(Recurrent { param: rnn }, &[x]).unwrap();
    builder.output("h", h);
    let program = builder.finish().unwrap();
    for isa in Isa::all() {
        let context = Context::with_isa(isa, 1).unwrap();
        let capacity = Capacity::uniform(&program, 1, 1);
        let runner = Runner::new(&program, &capacity, &Keep::Nothing).unwrap();
        let refused = runner.with_precision(Precision::Bf16, &context).unwrap_err().to_string();
        assert!(refused.contains("field precision: bf16 "), "{refused}");
        assert!(refused.ends_with("; leave precision = \"f32\""), "{refused}");
        if isa.name() == "portable" {
            assert!(refused.contains("needs AVX-512 BF16"), "{refused}");
        }
    }
}
