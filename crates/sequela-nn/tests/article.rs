//! The article's program from Keras's weights on Keras's batches: the first gradient, 200 losses
//! and the weights after them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test stops at the first thing that is wrong"
)]

mod support;

use sequela_kernels::Context;
use sequela_nn::{
    Architecture, Batch, Features, Gradients, Head, Interface, Keep, Loss, Method, Optimiser,
    Parameters, Pooling, Runner, Sequence, Tensor, Wanted,
};
use support::{Dump, assert_close, capacity};

/// `(in, out)` row by row to `(out, in)`.
fn turned(values: &[f32], inputs: usize) -> Vec<f32> {
    let outputs = values.len() / inputs;
    (0..values.len()).map(|i| values[i % inputs * outputs + i / inputs]).collect()
}

/// Keras's `(in, out)` gradients of the first batch, in f64.
fn check_first_gradient(found: &[Tensor]) {
    let dump = Dump::load("article_first_gradient");
    for tensor in found.iter().filter(|tensor| !tensor.name.contains("bias_hh")) {
        let (name, inputs) = keras_name(&tensor.name);
        let wanted: Vec<f64> = dump.get(&format!("grad.{name}")).to_vec();
        let outputs = wanted.len() / inputs;
        let turned: Vec<f64> =
            (0..wanted.len()).map(|i| wanted[i % inputs * outputs + i / inputs]).collect();
        assert_close(&tensor.name, &tensor.values, &turned, 1e-5);
    }
}

/// The name that Keras has for a weight, and the number of its inputs.
fn keras_name(name: &str) -> (String, usize) {
    let (layer, inputs) = match name {
        name if name.starts_with("heads.next") => ("dense", 50),
        name if name.ends_with("l0") => ("lstm_0", 1),
        _ => ("lstm_1", 50),
    };
    match name {
        name if name.contains("bias") => (format!("{layer}.bias"), 1),
        name if name.contains("_hh_") => (format!("{layer}.recurrent_kernel"), 50),
        _ => (format!("{layer}.kernel"), inputs),
    }
}

#[test]
fn the_article_s_program_has_keras_s_losses() {
    let dump = Dump::load("article");
    let settings =
        Sequence { hidden: 50, layers: 2, pooling: Pooling::Last, ..Sequence::default() };
    let heads = vec![Head { name: "next".into(), outputs: 1, loss: Loss::MeanSquared }];
    let interface =
        Interface { features: Features::Numeric { width: 1 }, heads, ..Interface::default() };
    let program = Architecture::Sequence(settings).build(&interface).unwrap();
    let mut parameters = Parameters::new(&program, 0).unwrap();
    let mut tensors = parameters.tensors();
    for tensor in &mut tensors {
        let (name, inputs) = keras_name(&tensor.name);
        tensor.values = if tensor.name.contains("bias_hh") {
            vec![0.0; tensor.values.len()]
        } else {
            turned(&dump.f32(&format!("initial.{name}")), inputs)
        };
    }
    parameters.load(&tensors).unwrap();
    let room = capacity(&vec![vec![1; 32]], 32);
    let keep = Keep::Gradients(vec![Wanted::Parameters]);
    let mut runner = Runner::new(&program, &room, &keep).unwrap();
    let mut batch = Batch::new(&program, &room).unwrap();
    let mut gradients = Gradients::new(&parameters);
    let mut optimiser = Optimiser::new(Method::default(), &parameters).unwrap();
    let mut context = Context::new(1).unwrap();
    let (series, order) = (dump.f32("series"), dump.sizes("permutations"));
    let input = |name: &str| program.input(name).unwrap();
    let (x, y, w) = (input("x"), input("target.next"), input("weight.next"));
    let layout = program.layout("steps").unwrap();
    for step in 0..200 {
        let epoch = &order[step / 32 * 999..][..999];
        let rows = &epoch[32 * (step % 32)..];
        let rows = &rows[..rows.len().min(32)];
        batch.set_lengths(layout, &vec![1; rows.len()]).unwrap();
        for (b, &row) in rows.iter().enumerate() {
            batch.write(x, b, &series[row..=row]).unwrap();
            batch.write(y, b, &series[row + 1..=row + 1]).unwrap();
            batch.write(w, b, &[1.0]).unwrap();
        }
        let loss = runner.train(&mut context, &parameters, &batch, &mut gradients).unwrap();
        if step == 0 {
            check_first_gradient(&gradients.tensors(&parameters));
        }
        for wanted in ["losses_f64", "losses_f32"] {
            let wanted = dump.get(wanted)[step];
            assert!((loss / wanted - 1.0).abs() < 1e-4, "step {step}: {loss} {wanted}");
        }
        optimiser.update(&mut context, &mut parameters, &gradients, 0.001).unwrap();
    }
    let norms = dump.get("last_norms_f64");
    let found = parameters.tensors();
    // Keras has one bias for each layer. The first layer's gates are saturated (the input is about
    // 100), and Adam magnifies what f32 cannot tell from 0: its weights agree less closely.
    for (index, wanted) in [(0, norms[0]), (2, norms[2])] {
        let sum: f64 = found[index].values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        assert!((sum.sqrt() / wanted - 1.0).abs() < 0.02, "{}: {sum} {wanted}", found[index].name);
    }
    for (index, wanted) in [4, 5, 6, 8, 9].into_iter().zip(&norms[3..]) {
        let sum: f64 = found[index].values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        let norm = sum.sqrt();
        assert!((norm / wanted - 1.0).abs() < 1e-4, "{}: {norm} {wanted}", found[index].name);
    }
}
