//! Gradients that can be seen, where they are known: a linear recurrence, clipping on and off.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first thing that is wrong"
)]

use sequela_nn::Clip;
use sequela_train::gradients::{Look, Seen, When, look};
use sequela_train::{Error, Options, Override, Study};

const SMALL: [&str; 5] =
    ["data.subjects=6", "data.hours=0.3", "window.length=24", "model.hidden=8", "train.batch=16"];

/// `h_t = W h_{t-1} + ...`, W the identity at first.
const LINEAR: [&str; 3] = [
    "model.cell=\"elman\"",
    "model.activation=\"identity\"",
    "model.initial=\"identity_recurrent\"",
];

fn study(more: &[&str]) -> Study {
    let all: Vec<Override> =
        SMALL.iter().chain(more).map(|text| Override::parse(text).unwrap()).collect();
    Study::builtin("simulated", &all).unwrap()
}

fn seen(study: &Study, after: u64, gain: f32) -> Seen {
    look(study, &Look { after, gain }, &Options::default(), &mut |_| {}).unwrap()
}

#[test]
fn a_linear_recurrence_fades_and_grows_by_its_factor() {
    for gain in [0.5_f32, 1.0, 1.5] {
        let seen = seen(&study(&LINEAR), 0, gain);
        assert_eq!((seen.cells.len(), seen.windows), (3, 64));
        let elman = &seen.cells[0].moments[0];
        assert_eq!((elman.when, elman.layers.len()), (When::First, 1));
        let curve = &elman.layers[0].hidden;
        assert_eq!(curve.len(), 24);
        // h_t = g h_{t-1} + ..., and the loss is of the last step: dL/dh_{T-k} = g^k dL/dh_T.
        for (k, norm) in curve.iter().enumerate() {
            let wanted = curve[0] * libm::pow(f64::from(gain), k as f64);
            assert!((norm / wanted - 1.0).abs() < 1e-5, "{gain} {k}: {norm} {wanted}");
        }
        // Gated cells cannot start from the identity; theirs fade all the same.
        for gated in &seen.cells[1..] {
            assert!(gated.moments[0].layers[0].hidden.iter().all(|norm| *norm > 0.0));
        }
    }
}

#[test]
fn every_step_studies_are_measured_by_their_last_step() {
    let every = ["model.pooling=\"none\"", "window.target=\"value\"", "window.inputs=\"values\""];
    for truncate in [&[][..], &["train.truncate=8"]] {
        let study = study(&[&every[..], &LINEAR[..], truncate].concat());
        let seen = seen(&study, 3, 0.5);
        let curve = &seen.cells[0].moments[0].layers[0].hidden;
        assert_eq!(curve.len(), 24);
        assert!((curve[10] / curve[0] * 1024.0 - 1.0).abs() < 1e-5, "{curve:?}");
        assert!(seen.notes.iter().any(|note| note.contains("last step")), "{:?}", seen.notes);
    }
}

#[test]
fn clipping_is_counted_and_the_first_steps_are_shared() {
    let seen = seen(&study(&["train.clip={ norm = 0.5 }"]), 12, 1.0);
    assert_eq!(seen.clip, Clip::Norm(0.5));
    for cell in &seen.cells {
        let [first, unclipped, clipped] = &cell.moments[..] else { panic!("{:?}", cell.moments) };
        assert_eq!((first.steps, unclipped.steps, clipped.steps), (0, 12, 12));
        assert_eq!((first.cut, unclipped.cut), (0, 0));
        let over = clipped.norms.iter().filter(|norm| **norm > 0.5).count() as u64;
        assert_eq!(clipped.cut, over, "{}", cell.cell);
        // The first step's gradients are those of the same weights.
        assert_eq!(unclipped.norms[0], clipped.norms[0]);
    }
    let cut: u64 = seen.cells.iter().map(|cell| cell.moments[2].cut).sum();
    assert!(cut > 0, "nothing was cut: the limit is too high for this test");

    // Without clipping in the study it is compared with clipping by norm 1.
    let plain = study(&["train.clip=\"off\""]);
    assert_eq!(look_at(&plain).clip, Clip::Norm(1.0));
}

fn look_at(study: &Study) -> Seen {
    seen(study, 0, 1.0)
}

#[test]
fn clipping_keeps_an_exploding_network_together() {
    let relu = [LINEAR[0], "model.activation=\"relu\"", LINEAR[2], "train.rate=0.1"];
    let seen = seen(&study(&relu), 20, 1.6);
    let elman = &seen.cells[0];
    let [first, unclipped, clipped] = &elman.moments[..] else { panic!("{elman:?}") };
    let curve = &first.layers[0].hidden;
    assert!(curve[23] > 1e3 * curve[0], "it explodes: {curve:?}");
    assert!(clipped.cut > 0 && !clipped.broken);
    let largest = |norms: &[f64]| norms.iter().copied().fold(0.0, f64::max);
    assert!(unclipped.broken || largest(&unclipped.norms) >= largest(&clipped.norms) / 10.0);
    let text = seen.text();
    assert!(text.contains("Elman relu") && text.contains("multiplied by 1.6"), "{text}");
}

#[test]
fn training_that_breaks_is_told() {
    let wild =
        [LINEAR[0], LINEAR[1], LINEAR[2], "train.optimiser.kind=\"sgd\"", "train.rate=100.0"];
    let seen = seen(&study(&wild), 40, 1.0);
    let unclipped = &seen.cells[0].moments[1];
    assert!(unclipped.broken && unclipped.steps < 40, "{unclipped:?}");
    assert_eq!(unclipped.norms.len() as u64, unclipped.steps);
    let said = format!("Elman identity, {} unclipped: training broke", unclipped.steps);
    assert!(seen.text().contains(&said), "{}", seen.text());
    let svgs = [seen.to_svg().unwrap(), seen.norms_svg().unwrap().unwrap()];
    assert!(svgs.iter().all(|svg| !svg.contains("\"NaN") && !svg.contains("inf\"")));
}

#[test]
fn threads_and_repetition_change_nothing() {
    let study = study(&["model.layers=2", "model.directions=\"both\""]);
    let what = Look { after: 3, gain: 1.0 };
    let with = |threads| {
        let options = Options { threads, ..Options::default() };
        look(&study, &what, &options, &mut |_| {}).unwrap()
    };
    let (one, three) = (with(1), with(3));
    assert_eq!(one, three);
    assert_eq!(one.to_svg().unwrap(), three.to_svg().unwrap());
    let layers = &one.cells[1].moments[0].layers;
    let sides: Vec<(usize, bool)> = layers.iter().map(|l| (l.layer, l.reverse)).collect();
    assert_eq!(sides, [(0, false), (0, true), (1, false), (1, true)]);
    assert!(layers.iter().all(|l| l.hidden.len() == 24 && l.cell.len() == 24));
    assert!(one.text().contains("LSTM 1 reverse, c") || one.text().contains("LSTM 2 reverse, c"));
}

#[test]
fn a_gain_that_is_no_number_is_refused() {
    for gain in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let what = Look { after: 0, gain };
        let refused = look(&study(&[]), &what, &Options::default(), &mut |_| {});
        assert!(matches!(refused, Err(Error::Study { .. })), "{gain}");
    }
}
