//! Every optimiser against PyTorch and Keras in f64, ten steps of given gradients.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    missing_docs,
    reason = "a test stops at the first thing that is wrong"
)]

mod support;

use sequela_kernels::optimiser::{Adam, EpsilonForm, Momentum, RmsProp, Sgd};
use sequela_kernels::{Buffer, Context};
use support::Dump;

type Update<'a> = dyn FnMut(u64, &mut [f32], &mut [f32], &mut [f32], &[f32]) + 'a;

/// Largest difference of a weight over all steps.
fn follow(dump: &Dump, name: &str, update: &mut Update<'_>) -> f64 {
    let n = dump.get("start").len();
    let buffer = || Buffer::new(n);
    let (mut w, mut m, mut v, mut g) = (buffer(), buffer(), buffer(), buffer());
    w[..n].copy_from_slice(&dump.f32("start"));
    let (gradients, want) = (dump.f32("gradients"), dump.get(name));
    let mut worst = 0.0_f64;
    for step in 0..want.len() / n {
        g[..n].copy_from_slice(&gradients[step * n..][..n]);
        update(step as u64 + 1, &mut w, &mut m, &mut v, &g);
        for (&found, want) in w.iter().zip(&want[step * n..][..n]) {
            worst = worst.max((f64::from(found) - want).abs());
        }
        assert!(w[n..].iter().all(|padding| *padding == 0.0), "{name} moves the padding");
    }
    worst
}

fn check(dump: &Dump, name: &str, form: EpsilonForm) -> f64 {
    let mut context = Context::new(1).unwrap();
    let keras = form == EpsilonForm::Keras;
    let epsilon = if keras { 1e-7 } else { 1e-8 };
    follow(dump, name, &mut |step, w, m, v, g| match name {
        "sgd" | "sgd_momentum" | "sgd_nesterov" => Sgd {
            rate: 0.01,
            momentum: if name == "sgd" { 0.0 } else { 0.9 },
            kind: if name == "sgd_nesterov" { Momentum::Nesterov } else { Momentum::Plain },
            weight_decay: 0.0,
        }
        .update(&mut context, w, m, g),
        "rmsprop" | "rmsprop_momentum" => RmsProp {
            rate: if keras { 0.001 } else { 0.01 },
            decay: if keras { 0.9 } else { 0.99 },
            epsilon,
            form,
            momentum: if name == "rmsprop" { 0.0 } else { 0.9 },
        }
        .update(&mut context, w, m, v, g),
        "adam" | "adamw" => Adam {
            rate: 0.001,
            beta1: 0.9,
            beta2: 0.999,
            epsilon,
            form,
            weight_decay: if name == "adamw" { 0.01 } else { 0.0 },
            step,
        }
        .update(&mut context, w, m, v, g),
        other => panic!("{other} is not checked"),
    })
}

#[test]
fn all_rules_agree() {
    for (file, form) in [("torch", EpsilonForm::PyTorch), ("keras", EpsilonForm::Keras)] {
        let dump = Dump::load(&format!("{file}_optimisers.safetensors"));
        for name in dump.tensors.keys() {
            if name != "start" && name != "gradients" {
                let worst = check(&dump, name, form);
                assert!(worst < 2e-6, "{file} {name}: {worst:.1e}");
            }
        }
    }
}
