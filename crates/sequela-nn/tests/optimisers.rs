//! Optimisers and clipping over all parameters against PyTorch and Keras.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "a test compares bits and stops at the first thing that is wrong"
)]

mod support;

use sequela_core::Random;
use sequela_kernels::Context;
use sequela_nn::{
    Architecture, Builder, Clip, Convention, Gradients, Head, Initial, Interface, Keep, Loss,
    Method, Nesterov, Optimiser, ParamKind, ParamSpec, Parameters, Runner, Sequence, Wanted,
};
use support::{Dump, assert_close, bits, capacity, random_batch};

/// Parameters of `count` numbers, and gradients for them.
fn vector(count: usize) -> (Parameters, Gradients) {
    let mut b = Builder::new();
    let kind = ParamKind::Table { rows: count, width: 1 };
    b.param(ParamSpec { name: "w".into(), kind, initial: Initial::Zeros });
    let parameters = Parameters::new(&b.finish().unwrap(), 0).unwrap();
    let gradients = Gradients::new(&parameters);
    (parameters, gradients)
}

/// Rows of width 1 lie 16 apart.
fn scatter(values: &[f32], flat: &mut [f32]) {
    flat.iter_mut().step_by(16).zip(values).for_each(|(to, from)| *to = *from);
}

fn optimiser_case(dump: &Dump, name: &str, method: Method, rate: f32) {
    let start = dump.f32("start");
    let (mut parameters, mut gradients) = vector(start.len());
    let mut flat = parameters.flat().to_vec();
    scatter(&start, &mut flat);
    parameters.set_flat(&flat).unwrap();
    let mut optimiser = Optimiser::new(method, &parameters).unwrap();
    let mut context = Context::new(1).unwrap();
    let sent = dump.f32("gradients");
    let steps = sent.chunks(start.len()).zip(dump.get(name).chunks(start.len())).enumerate();
    for (step, (gradient, wanted)) in steps {
        if step == 5 {
            // What a checkpoint holds is all there is.
            let state: Vec<(&str, Vec<f32>)> = optimiser
                .state()
                .into_iter()
                .map(|(name, values)| (name, values.to_vec()))
                .collect();
            let state: Vec<(&str, &[f32])> =
                state.iter().map(|(name, values)| (*name, values.as_slice())).collect();
            let mut other = Optimiser::new(method, &parameters).unwrap();
            other.restore(optimiser.step(), &state).unwrap();
            assert!(other.restore(1, &state[1..]).is_err() || state.len() == 1);
            optimiser = other;
            optimiser.restore(5, &state).unwrap();
        }
        scatter(gradient, gradients.flat_mut());
        optimiser.update(&mut context, &mut parameters, &gradients, rate).unwrap();
        let found = &parameters.tensors()[0].values;
        assert_close(&format!("{name}, step {step}"), found, wanted, 2e-6);
    }
}

#[test]
fn torch_and_keras_optimisers() {
    let sgd = |momentum, nesterov| Method::Sgd { momentum, nesterov, weight_decay: 0.0 };
    let adam = |epsilon, convention| Method::Adam { beta1: 0.9, beta2: 0.999, epsilon, convention };
    let adamw = |epsilon, convention| Method::AdamW {
        beta1: 0.9,
        beta2: 0.999,
        epsilon,
        weight_decay: 0.01,
        convention,
    };
    let rms = |decay, epsilon, momentum, convention| Method::RmsProp {
        decay,
        epsilon,
        momentum,
        convention,
    };
    for (file, convention, epsilon) in [
        ("torch_optimisers", Convention::PyTorch, 1e-8),
        ("keras_optimisers", Convention::Keras, 1e-7),
    ] {
        let dump = Dump::load(file);
        optimiser_case(&dump, "sgd", sgd(0.0, Nesterov::Off), 0.01);
        optimiser_case(&dump, "sgd_momentum", sgd(0.9, Nesterov::Off), 0.01);
        optimiser_case(&dump, "sgd_nesterov", sgd(0.9, Nesterov::On), 0.01);
        optimiser_case(&dump, "adam", adam(epsilon, convention), 0.001);
        optimiser_case(&dump, "adamw", adamw(epsilon, convention), 0.001);
        if convention == Convention::PyTorch {
            optimiser_case(&dump, "rmsprop", rms(0.99, epsilon, 0.0, convention), 0.01);
            optimiser_case(&dump, "rmsprop_momentum", rms(0.99, epsilon, 0.9, convention), 0.01);
        } else {
            optimiser_case(&dump, "rmsprop", rms(0.9, epsilon, 0.0, convention), 0.001);
        }
    }
}

#[test]
fn torch_clipping() {
    let dump = Dump::load("torch_clipping");
    let all = |prefix: &str| -> Vec<f64> {
        ["a", "b", "c"].iter().flat_map(|n| dump.get(&format!("{prefix}.{n}")).to_vec()).collect()
    };
    let start: Vec<f32> = all("gradient").iter().map(|&g| g as f32).collect();
    let mut context = Context::new(1).unwrap();
    for (name, clip) in [
        ("norm_1", Clip::Norm(1.0)),
        ("norm_5", Clip::Norm(5.0)),
        ("norm_100", Clip::Norm(100.0)),
        ("value_1", Clip::Value(1.0)),
        ("value_0p5", Clip::Value(0.5)),
    ] {
        let (parameters, mut gradients) = vector(start.len());
        scatter(&start, gradients.flat_mut());
        let norm = gradients.clip(&mut context, clip);
        assert!((norm / dump.get("norm")[0] - 1.0).abs() < 1e-6);
        assert_close(name, &gradients.tensors(&parameters)[0].values, &all(name), 2e-6);
    }
}

#[test]
fn frozen_parameters_stay() {
    let settings = Sequence { hidden: 4, ..Sequence::default() };
    let heads = vec![Head { name: "y".into(), outputs: 1, loss: Loss::MeanSquared }];
    let interface = Interface { heads, ..Interface::default() };
    let program = Architecture::Sequence(settings).build(&interface).unwrap();
    let mut parameters = Parameters::new(&program, 1).unwrap();
    let mut gradients = Gradients::new(&parameters);
    let rnn = program.param("rnn").unwrap();
    let mut optimiser = Optimiser::new(Method::default(), &parameters).unwrap();
    optimiser.freeze(&parameters, &[rnn]);
    let random = Random::new(1, 1);
    (0..).zip(gradients.flat_mut()).for_each(|(i, g)| *g = random.normal(i) as f32);
    let before = parameters.clone();
    optimiser.update(&mut Context::new(1).unwrap(), &mut parameters, &gradients, 0.1).unwrap();
    let range = parameters.range(rnn);
    assert_eq!(parameters.flat()[range.clone()], before.flat()[range.clone()]);
    assert_ne!(parameters.flat()[range.end..], before.flat()[range.end..]);
}

/// Batches of one step never reach U: what is left out for them changes no bit.
#[test]
fn weights_that_no_gradient_has_reached_are_left_out_without_a_trace() {
    let heads = vec![Head { name: "y".into(), outputs: 1, loss: Loss::MeanSquared }];
    let interface = Interface { heads, ..Interface::default() };
    let program = Architecture::Sequence(Sequence { hidden: 20, layers: 2, ..Sequence::default() })
        .build(&interface)
        .unwrap();
    let lengths = [vec![1; 4], vec![1, 1], vec![3, 1, 5], vec![1; 4], vec![0, 2]];
    let methods = [
        Method::default(),
        Method::Sgd { momentum: 0.9, nesterov: Nesterov::On, weight_decay: 0.0 },
        Method::Sgd { momentum: 0.0, nesterov: Nesterov::Off, weight_decay: 0.1 },
        Method::RmsProp {
            decay: 0.9,
            epsilon: 1e-7,
            momentum: 0.5,
            convention: Convention::PyTorch,
        },
    ];
    for method in methods {
        let run = |touch: fn(&mut Gradients)| {
            let mut parameters = Parameters::new(&program, 3).unwrap();
            let mut gradients = Gradients::new(&parameters);
            let mut optimiser = Optimiser::new(method, &parameters).unwrap();
            let mut context = Context::new(1).unwrap();
            for lengths in &lengths {
                let room = capacity(&vec![vec![9; 4]], 4);
                let keep = Keep::Gradients(vec![Wanted::Parameters]);
                let mut runner = Runner::new(&program, &room, &keep).unwrap();
                let batch = random_batch(&program, &vec![lengths.clone()], lengths.len(), 9);
                touch(&mut gradients);
                runner.train(&mut context, &parameters, &batch, &mut gradients).unwrap();
                touch(&mut gradients);
                optimiser.update(&mut context, &mut parameters, &gradients, 0.01).unwrap();
            }
            (bits(parameters.flat()), bits(gradients.flat()))
        };
        let everything = run(|gradients| {
            gradients.flat_mut();
        });
        assert!(run(|_| {}) == everything, "{method:?}");
    }
}
