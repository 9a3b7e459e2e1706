//! What sequences looked like so far, and where each step of others lies, against `NumPy`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::path::Path;

use sequela_core::{Channel, Schema, Sequence, SubjectId};
use sequela_data::Cohort;
use sequela_data::envelope::Envelope;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn sequence(at: usize, value: &Value) -> Sequence {
    let rows = value["rows"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    #[allow(clippy::cast_possible_truncation, reason = "the numbers are of f32")]
    let cells: Vec<f32> = rows.map(|cell| cell.as_f64().unwrap_or(f64::NAN) as f32).collect();
    let sequence = Sequence::numeric(format!("{at}"), SubjectId::new(format!("{at}")), 3, &cells);
    sequence.unwrap().with_times(numbers(&value["times"])).unwrap()
}

fn close(found: [f64; 2], wanted: &Value) {
    for (found, wanted) in found.into_iter().zip(numbers(wanted)) {
        assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
    }
}

/// The oracle, and the envelope of its training part.
fn oracle() -> (Value, Envelope) {
    let text = common::ward::text(Path::new("../../testdata/train/steps.json"));
    let oracle: Value = serde_json::from_str(&text).unwrap();
    let channel =
        |name: &Value| Channel { name: name.as_str().unwrap().into(), unit: String::new() };
    let schema = Schema::new(oracle["names"].as_array().unwrap().iter().map(channel).collect());
    let train = oracle["train"].as_array().unwrap().iter().enumerate();
    let train = train.map(|(at, value)| sequence(at, value)).collect();
    let envelope = Envelope::of_steps(&Cohort::new(schema, train, "made").unwrap());
    (oracle, envelope)
}

#[test]
fn what_sequences_looked_like_so_far_is_what_numpy_says() {
    let (oracle, envelope) = oracle();
    let bands = oracle["bands"].as_array().unwrap();
    assert_eq!(envelope.so_far.len(), bands.len());
    for (found, wanted) in envelope.so_far.iter().zip(bands) {
        close(found.steps, &wanted["steps"]);
        close(found.missing, &wanted["missing"]);
        assert_eq!(found.interval_hours.is_some(), wanted["interval"].is_array());
        close(
            found.interval_hours.unwrap_or_default(),
            &wanted["interval"]
                .as_array()
                .map_or_else(|| Value::from(vec![0.0; 2]), |ends| ends.clone().into()),
        );
        for (found, wanted) in found.channels.iter().zip(wanted["channels"].as_array().unwrap()) {
            close(found.middle.unwrap(), &wanted["middle"]);
            close(found.observed, &wanted["observed"]);
            assert!((found.absent - wanted["absent"].as_f64().unwrap()).abs() < 1e-12);
        }
    }
}

#[test]
fn each_step_lies_where_numpy_says_and_none_hangs_on_later_ones() {
    let (oracle, envelope) = oracle();
    let (mut inside, mut outside) = (0, 0);
    for (at, value) in oracle["others"].as_array().unwrap().iter().enumerate() {
        let placings = envelope.place_steps(&sequence(at, value)).unwrap();
        let missing = numbers(&value["missing"]);
        let names = value["outside"].as_array().unwrap();
        assert_eq!((placings.len(), placings.len()), (missing.len(), names.len()));
        for (step, (found, wanted)) in placings.iter().zip(names).enumerate() {
            assert!((found.missing - missing[step]).abs() < 1e-12);
            let found: Vec<&str> =
                found.outside.iter().map(|o| o.channel.as_deref().unwrap_or_default()).collect();
            let wanted: Vec<&str> =
                wanted.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            assert_eq!(found, wanted, "person {at}, step {step}");
            if found.is_empty() { inside += 1 } else { outside += 1 }
        }
        // A prefix alone has the same answers.
        let mut short = value.clone();
        for key in ["rows", "times"] {
            short[key].as_array_mut().unwrap().truncate(5);
        }
        let placings_of_short = envelope.place_steps(&sequence(at, &short)).unwrap();
        assert_eq!(placings_of_short[..], placings[..placings.len().min(5)]);
    }
    assert!(inside > 200 && outside > 100, "{inside} {outside}");
}

#[test]
fn a_model_file_with_bands_inside_bands_is_refused() {
    let (_, mut envelope) = oracle();
    let names: Vec<String> = envelope.channels.iter().map(|c| c.name.clone()).collect();
    assert!(envelope.is_sound(&names));
    envelope.so_far[1].steps = [f64::NAN; 2];
    assert!(!envelope.is_sound(&names));
    envelope.so_far[1] = envelope.clone();
    assert!(!envelope.is_sound(&names));
    let whole = Envelope { so_far: Vec::new(), ..envelope };
    let one = Sequence::numeric("x", SubjectId::new("x"), 3, &[80.0; 6]).unwrap();
    assert_eq!(whole.place_steps(&one), None, "it knows whole series only");
}
