//! Ragged batches, every-step targets, and the promise that batches allocate nothing again.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use sequela_core::{Sequence, SubjectId};
use sequela_data::Cohort;
use sequela_data::batches::{Gather, TargetSteps, WindowBatch};
use sequela_data::heart_rate::schema;
use sequela_data::inputs::Prepared;
use sequela_data::scaling::{Scaler, ScalingMethod};
use sequela_data::windows::Window;

fn prepared() -> Prepared {
    let values: Vec<f32> = (0..100_u8).map(f32::from).collect();
    let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &values).unwrap();
    let cohort = Cohort::new(schema(), vec![sequence], "test").unwrap();
    let scaler = Scaler::fit(&cohort, ScalingMethod::Identity).unwrap();
    Prepared::new(&cohort, &scaler, &[], &[0]).unwrap()
}

fn window(start: usize, length: usize) -> Window {
    Window { sequence: 0, start, length, complete: true }
}

#[test]
fn rows_are_packed_longest_first_and_targets_follow_their_rows() {
    let prepared = prepared();
    let windows = [window(10, 1), window(20, 3), window(30, 2)];
    let horizons = [1];
    let gather =
        |steps| Gather { prepared: &prepared, windows: &windows, horizons: &horizons, steps };
    let mut batch = WindowBatch::default();
    gather(TargetSteps::Every).fill(&[0, 1, 2], &mut batch);
    assert_eq!(batch.inputs, [20.0, 30.0, 10.0, 21.0, 31.0, 22.0]);
    assert_eq!(batch.targets, [21.0, 31.0, 11.0, 22.0, 32.0, 23.0]);
    gather(TargetSteps::Last).fill(&[0, 1, 2], &mut batch);
    assert_eq!(batch.targets, [11.0, 23.0, 32.0]);
}

#[test]
fn targets_past_the_end_have_no_weight() {
    let prepared = prepared();
    let windows = [window(98, 2)];
    let horizons = [1];
    let steps = TargetSteps::Every;
    let gather = Gather { prepared: &prepared, windows: &windows, horizons: &horizons, steps };
    let mut batch = WindowBatch::default();
    gather.fill(&[0], &mut batch);
    assert_eq!(
        (batch.targets.as_slice(), batch.weights.as_slice()),
        (&[99.0, 0.0][..], &[1.0, 0.0][..])
    );
}

#[test]
fn buffers_keep_their_memory() {
    let prepared = prepared();
    let windows: Vec<Window> = (0..40).map(|start| window(start, 1 + start % 30)).collect();
    let horizons = [1, 5];
    let steps = TargetSteps::Last;
    let gather = Gather { prepared: &prepared, windows: &windows, horizons: &horizons, steps };
    let mut batch = WindowBatch::default();
    let all: Vec<u32> = (0..40).collect();
    gather.fill(&all, &mut batch);
    let places = |batch: &WindowBatch| {
        (batch.inputs.as_ptr(), batch.targets.as_ptr(), batch.weights.as_ptr())
    };
    let before = places(&batch);
    for chunk in all.chunks(7) {
        gather.fill(chunk, &mut batch);
        assert_eq!(places(&batch), before);
    }
}
