//! Losses: against the reference, against PyTorch, and at their edges.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::needless_range_loop,
    clippy::similar_names,
    reason = "a test compares bits and stops at the first thing that is wrong"
)]

mod support;

use sequela_kernels::Context;
use sequela_kernels::linear::Bias;
use sequela_nn::{
    Batch, Builder, Initial, Keep, Linear, Loss, LossTerm, ParamKind, ParamSpec, Parameters,
    Program, Rows, Runner, Scalar, Wanted,
};
use support::{Dump, assert_close, check, rows_of};

fn all() -> Vec<(Loss, usize)> {
    vec![
        (Loss::MeanSquared, 3),
        (Loss::MeanAbsolute, 3),
        (Loss::Huber { delta: 0.3 }, 3),
        (Loss::Pinball { quantiles: vec![0.1, 0.5, 0.9] }, 2),
        (Loss::BinaryCrossEntropy { positive_weight: vec![] }, 3),
        (Loss::BinaryCrossEntropy { positive_weight: vec![2.0, 0.5, 1.0] }, 3),
        (Loss::CrossEntropy { class_weights: vec![] }, 1),
        (Loss::CrossEntropy { class_weights: vec![0.5, 2.0, 1.0, 3.0] }, 1),
        (Loss::CrossEntropy { class_weights: vec![0.5, 2.0, 1.0, 3.0] }, 4),
        (Loss::Dot, 3),
    ]
}

/// A linear layer judged by `loss`, at every step or for every sequence.
fn program(loss: &Loss, target_width: usize, weight: Option<usize>, by_step: Rows) -> Program {
    let mut b = Builder::new();
    if by_step != Rows::Sequences {
        b.layout("steps");
    }
    let x = b.input("x", by_step, 5).unwrap();
    let outputs = match loss {
        Loss::Pinball { quantiles } => target_width * quantiles.len(),
        Loss::CrossEntropy { .. } => 4,
        _ => target_width,
    };
    let kind = ParamKind::Linear { inputs: 5, outputs, bias: Bias::Trained };
    let param = b.param(ParamSpec { name: "head".into(), kind, initial: Initial::Keras });
    let prediction = b.add(Linear { param }, &[x]).unwrap();
    let target = b.input("target", by_step, target_width).unwrap();
    let weight = weight.map(|width| b.input("weight", by_step, width).unwrap());
    let scale = Scalar::Fixed(0.7);
    b.output("y", prediction);
    // Twice on one prediction: both gradients have to arrive.
    b.loss(LossTerm { kind: loss.clone(), prediction, target, weight, scale });
    b.loss(LossTerm {
        kind: loss.clone(),
        prediction,
        target,
        weight: None,
        scale: Scalar::Fixed(0.2),
    });
    b.finish().unwrap()
}

#[test]
fn every_loss_agrees_with_its_definition() {
    let lengths = vec![vec![4, 0, 7, 1]];
    let steps = Rows::Steps(serde_json::from_str("0").unwrap());
    for (loss, width) in all() {
        let mut weights = vec![None, Some(1)];
        if width > 1 && !matches!(loss, Loss::CrossEntropy { .. }) {
            weights.push(Some(width));
        }
        for weight in weights {
            let name = format!("{loss:?} {weight:?}");
            check(&name, &program(&loss, width, weight, steps), &lengths, 4, 11);
            check(&name, &program(&loss, width, weight, Rows::Sequences), &vec![], 6, 12);
        }
    }
}

/// Value and gradient of a loss on given logits.
fn judge(
    loss: &Loss,
    columns: [usize; 2],
    p: &[f32],
    y: &[f32],
    w: Option<&[f32]>,
) -> (f64, Vec<f32>) {
    let rows = p.len() / columns[0];
    let mut b = Builder::new();
    let prediction = b.input("p", Rows::Sequences, columns[0]).unwrap();
    let target = b.input("y", Rows::Sequences, columns[1]).unwrap();
    let weight = w.map(|w| b.input("w", Rows::Sequences, w.len() / rows).unwrap());
    let scale = Scalar::Fixed(1.0);
    b.loss(LossTerm { kind: loss.clone(), prediction, target, weight, scale });
    let program = b.finish().unwrap();
    let capacity = support::capacity(&vec![], rows);
    let keep = Keep::Gradients(vec![Wanted::Of(prediction)]);
    let mut runner = Runner::new(&program, &capacity, &keep).unwrap();
    let mut batch = Batch::new(&program, &capacity).unwrap();
    batch.set_sequences(rows).unwrap();
    let inputs = [("p", Some(p)), ("y", Some(y)), ("w", w)];
    for (name, values) in inputs.into_iter().filter_map(|(name, values)| Some((name, values?))) {
        let input = program.input(name).unwrap();
        for (b, row) in values.chunks(values.len() / rows).enumerate() {
            batch.write(input, b, row).unwrap();
        }
    }
    let parameters = Parameters::new(&program, 0).unwrap();
    runner.forward(&mut Context::new(1).unwrap(), &parameters, &batch).unwrap();
    let loss = runner.loss(&batch).unwrap();
    (loss, rows_of(runner.gradient(prediction, &batch).unwrap()))
}

#[test]
fn torch_regression_and_binary() {
    for (file, losses) in [
        (
            "losses_regression",
            vec![
                ("mse", Loss::MeanSquared),
                ("mae", Loss::MeanAbsolute),
                ("huber_1", Loss::Huber { delta: 1.0 }),
                ("huber_0p5", Loss::Huber { delta: 0.5 }),
                ("pinball_0p1", Loss::Pinball { quantiles: vec![0.1] }),
                ("pinball_0p5", Loss::Pinball { quantiles: vec![0.5] }),
                ("pinball_0p9", Loss::Pinball { quantiles: vec![0.9] }),
            ],
        ),
        (
            "losses_binary",
            vec![
                ("bce", Loss::BinaryCrossEntropy { positive_weight: vec![] }),
                ("bce_pos_weight", Loss::BinaryCrossEntropy { positive_weight: vec![] }),
            ],
        ),
    ] {
        let dump = Dump::load(file);
        let p = dump.f32(if file == "losses_binary" { "logits" } else { "prediction" });
        let (y, present, rows) = (dump.f32("target"), dump.f32("present"), dump.f32("weights"));
        let weighted: Vec<f32> = rows.iter().flat_map(|&w| [w; 3]).collect();
        let both: Vec<f32> = weighted.iter().zip(&present).map(|(w, m)| w * m).collect();
        for (name, mut loss) in losses {
            if name == "bce_pos_weight" {
                loss = Loss::BinaryCrossEntropy { positive_weight: dump.f32("pos_weight") };
            }
            for (reduction, weight) in [
                ("mean", None),
                ("present", Some(&present)),
                ("weighted", Some(&rows)),
                ("weighted_present", Some(&both)),
            ] {
                let weight = weight.map(Vec::as_slice);
                let (value, gradient) = judge(&loss, [3, 3], &p, &y, weight);
                let wanted = dump.get(&format!("{name}.{reduction}"))[0];
                // Quantiles such as 0.1 are not whole in f32.
                assert!(
                    (value / wanted - 1.0).abs() < 1e-6,
                    "{name}.{reduction}: {value} {wanted}"
                );
                let wanted = dump.get(&format!("{name}.{reduction}.grad"));
                assert_close(&format!("{name}.{reduction}"), &gradient, wanted, 1e-6);
            }
        }
    }
}

#[test]
fn torch_classes() {
    let dump = Dump::load("losses_classes");
    let logits = dump.f32("logits");
    let (class, rows) = (dump.f32("class"), dump.f32("weights"));
    let present: Vec<f32> = class.iter().map(|&c| f32::from(u8::from(c >= 0.0))).collect();
    let row_weights: Vec<f32> = rows.iter().zip(&present).map(|(w, m)| w * m).collect();
    let class_weights = dump.f32("class_weights");
    for (reduction, class_weights, weights) in [
        ("present", vec![], &present),
        ("class_weighted", class_weights.clone(), &present),
        ("row_weighted", vec![], &row_weights),
        ("class_row_weighted", class_weights, &row_weights),
    ] {
        let loss = Loss::CrossEntropy { class_weights };
        let (value, gradient) = judge(&loss, [4, 1], &logits, &class, Some(weights));
        let wanted = dump.get(&format!("cross_entropy.{reduction}"))[0];
        assert!((value / wanted - 1.0).abs() < 1e-7, "{reduction}: {value} {wanted}");
        let wanted = dump.get(&format!("cross_entropy.{reduction}.grad"));
        assert_close(reduction, &gradient, wanted, 1e-6);
    }
}

#[test]
fn nothing_present_is_no_loss_and_no_gradient() {
    for (loss, width) in all() {
        let columns = match &loss {
            Loss::Pinball { .. } => [width * 3, width],
            Loss::CrossEntropy { .. } => [4, width],
            _ => [width, width],
        };
        let nan = vec![f32::NAN; 2 * columns[1]];
        let (value, gradient) =
            judge(&loss, columns, &vec![0.5; 2 * columns[0]], &nan, Some(&[0.0, 0.0]));
        assert_eq!(value, 0.0, "{loss:?}");
        assert!(gradient.iter().all(|&g| g == 0.0), "{loss:?}");
    }
}

#[test]
fn a_class_that_is_none_is_refused() {
    for class in [4.0, -1.0, 0.5, f32::NAN] {
        let loss = Loss::CrossEntropy { class_weights: vec![] };
        let result = std::panic::catch_unwind(|| judge(&loss, [4, 1], &[0.0; 4], &[class], None));
        assert!(result.is_err(), "{class}");
    }
}

#[test]
fn probabilities_sum_to_one() {
    let loss = Loss::CrossEntropy { class_weights: vec![] };
    let mut out = [0.0; 3];
    loss.probabilities(&[1000.0, 1000.0, -1000.0], &mut out);
    assert_eq!(out, [0.5, 0.5, 0.0]);
}
