//! Programs that come from a file: refused or sound, never a panic.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "a test stops at the first thing that is wrong"
)]

mod support;

use sequela_nn::{
    Architecture, CellKind, Directions, EncoderDecoder, Error, Features, Head, Interface, Loss,
    NormaliseKind, ParamSpec, Pooling, Program, Retain, Sequence,
};
use serde_json::Value;
use support::{Draw, check};

fn programs() -> Vec<Program> {
    let loss = Loss::BinaryCrossEntropy { positive_weight: vec![] };
    let heads = vec![Head { name: "risk".into(), outputs: 2, loss }];
    let interface = |features| Interface {
        features,
        statics: 1,
        heads: heads.clone(),
        horizon: 3,
        ..Interface::default()
    };
    let sequence = Sequence {
        cell: CellKind::Gru,
        hidden: 5,
        layers: 2,
        directions: Directions::Both,
        dropout: 0.2,
        normalise: NormaliseKind::Layer,
        pooling: Pooling::Attention,
        ..Sequence::default()
    };
    let retain = Retain { embedding: 4, alpha_hidden: 3, beta_hidden: 5, ..Retain::default() };
    let decoder = EncoderDecoder { hidden: 4, ..EncoderDecoder::default() };
    let numeric = interface(Features::Numeric { width: 3 });
    let bags = interface(Features::Bags { vocabulary: 7 });
    vec![
        Architecture::Sequence(sequence).build(&numeric).unwrap(),
        Architecture::Retain(retain).build(&bags).unwrap(),
        Architecture::EncoderDecoder(decoder).build(&numeric).unwrap(),
    ]
}

/// All numbers of a document, one after the other.
fn numbers<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Value>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| numbers(item, found)),
        Value::Object(fields) => fields.values_mut().for_each(|field| numbers(field, found)),
        Value::Number(_) => found.push(value),
        _ => {}
    }
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    for program in programs() {
        let text = serde_json::to_string(&program).unwrap();
        assert_eq!(serde_json::from_str::<Program>(&text).unwrap(), program);
    }
}

#[test]
fn a_changed_number_is_refused_or_sound() {
    let mut draw = Draw::new(5);
    let (mut refused, mut sound) = (0, 0);
    for program in programs() {
        let whole = serde_json::to_value(&program).unwrap();
        for _ in 0..400 {
            let mut document = whole.clone();
            let mut places = Vec::new();
            numbers(&mut document, &mut places);
            let place = draw.below(places.len());
            *places[place] = match draw.below(7) {
                0 => Value::from(draw.below(8)),
                1 => Value::from(u32::MAX),
                2 => Value::from(u64::MAX),
                3 => Value::from(-1),
                4 => Value::from(1_u64 << 33),
                5 => Value::from(f64::from(draw.uniform()) * 1e30),
                _ => Value::from(draw.below(70_000)),
            };
            let Ok(changed) = serde_json::from_value::<Program>(document) else {
                refused += 1;
                continue;
            };
            if changed.params().iter().map(ParamSpec::count).sum::<usize>() > 5_000 {
                continue;
            }
            sound += 1;
            let lengths = vec![vec![2, 0, 3]; changed.layouts().len()];
            let parameters = support::random_parameters(&changed, 1);
            let batch = support::random_batch(&changed, &lengths, 3, 2);
            let room = support::capacity(&lengths, 3);
            let mut context = sequela_kernels::Context::new(1).unwrap();
            support::run_pass(&changed, &parameters, &batch, &room, &mut context);
        }
    }
    assert!(refused > 300 && sound > 30, "{refused} refused, {sound} sound");
}

#[test]
fn a_program_for_people() {
    for program in programs() {
        let table = program.table(&support::capacity(&vec![vec![4, 4]], 2)).unwrap();
        assert!(table.lines().count() > program.nodes().len());
        assert!(table.contains("loss BinaryCrossEntropy"), "{table}");
        assert!(table.contains("in training"), "{table}");
    }
}

#[test]
fn files_that_lie_are_refused() {
    let program = &programs()[0];
    let refuse = |change: &dyn Fn(&mut Value), wanted: &str| {
        let mut document = serde_json::to_value(program).unwrap();
        change(&mut document);
        let error = serde_json::from_value::<Program>(document).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    refuse(&|p| p["nodes"][2]["width"] = 99.into(), "node 2 says");
    refuse(&|p| p["nodes"][2]["inputs"][0] = 2.into(), "not before it");
    refuse(&|p| p["nodes"][2]["op"]["op"] = "run_shell".into(), "unknown variant");
    refuse(&|p| p["params"][8]["name"] = p["params"][7]["name"].clone(), "two have this name");
    refuse(&|p| p["outputs"][0][1] = 1000.into(), "not a node");
    refuse(&|p| p["losses"][0]["target"] = 0.into(), "losses[0]");
    refuse(&|p| p["extra"] = 1.into(), "unknown field");
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let program = &programs()[0];
    let room = support::capacity(&vec![vec![3, 3]], 2);
    let mut batch = sequela_nn::Batch::new(program, &room).unwrap();
    let layout = program.layout("steps").unwrap();
    let x = program.input("x").unwrap();
    let refused = |result: Result<(), Error>, wanted: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    refused(batch.set_lengths(layout, &[3, 4]), "7 steps in a batch planned for 6");
    refused(batch.set_lengths(layout, &[1, 1, 1]), "3 sequences in a batch planned for 2");
    batch.set_lengths(layout, &[1, 2]).unwrap();
    refused(batch.write(x, 2, &[0.0; 3]), "sequence 2 of a batch of 2");
    refused(batch.write(x, 1, &[0.0; 3]), "3 values for 2 rows of 3");
    refused(batch.write_ids(x, 1, &[0]), "numbers are expected");
    refused(batch.set_identities(&[1]), "1 identities for 2 sequences");
    let parameters = support::random_parameters(program, 1);
    let mut context = sequela_kernels::Context::new(1).unwrap();
    let mut runner = sequela_nn::Runner::new(program, &room, &sequela_nn::Keep::Nothing).unwrap();
    refused(runner.forward(&mut context, &parameters, &batch), "was not written");
    refused(runner.loss(&batch).map(|_| ()), "forward pass has to come first");
    batch.write(x, 0, &[0.0; 3]).unwrap();
    batch.write(program.input("statics").unwrap(), 0, &[0.0]).unwrap();
    runner.forward(&mut context, &parameters, &batch).unwrap();
    refused(runner.loss(&batch).map(|_| ()), "target.risk: the input was not written");
}

#[test]
fn loaded_programs_have_the_reference_s_numbers() {
    for program in programs() {
        let text = serde_json::to_string(&program).unwrap();
        let program = serde_json::from_str::<Program>(&text).unwrap();
        check("loaded", &program, &vec![vec![2, 0, 3]], 3, 5);
    }
}
