//! After the first batch of a size nothing is allocated in a step, whatever the size of the next.
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

#[path = "../../sequela-kernels/tests/support/counting.rs"]
mod counting;
mod support;

use counting::{allocations, peak, turn};
use sequela_kernels::Context;
use sequela_nn::{
    Architecture, Batch, CellKind, Clip, Directions, EncoderDecoder, Error, Features, Gradients,
    Head, Interface, Keep, Loss, Method, Mode, NormaliseKind, Optimiser, Parameters, Pooling,
    Program, Retain, Runner, Sequence, Stream, Wanted,
};
use support::{Draw, capacity};

fn within(bytes: u64) -> Keep {
    Keep::Within { bytes, wanted: vec![Wanted::Parameters] }
}

fn interface() -> Interface {
    let head = |name: &str, loss| Head { name: name.into(), outputs: 3, loss };
    Interface {
        features: Features::Numeric { width: 5 },
        statics: 2,
        heads: vec![
            head("class", Loss::CrossEntropy { class_weights: vec![] }),
            head("labels", Loss::BinaryCrossEntropy { positive_weight: vec![] }),
        ],
        ..Interface::default()
    }
}

#[test]
fn a_step_allocates_nothing() {
    let _turn = turn();
    let everything = Sequence {
        hidden: 20,
        layers: 2,
        directions: Directions::Both,
        dropout: 0.2,
        normalise: NormaliseKind::Layer,
        pooling: Pooling::Attention,
        ..Sequence::default()
    };
    let one = Interface { heads: vec![interface().heads[1].clone()], horizon: 4, ..interface() };
    let forward =
        Sequence { directions: Directions::Forward, pooling: Pooling::None, ..everything.clone() };
    let all = Keep::Gradients(vec![Wanted::Parameters]);
    for (name, program, keep) in [
        ("everything", Architecture::Sequence(everything.clone()).build(&interface()), all.clone()),
        ("retain", Architecture::Retain(Retain::default()).build(&interface()), all.clone()),
        ("decoder", Architecture::EncoderDecoder(EncoderDecoder::default()).build(&one), all),
        ("gates again", Architecture::Sequence(everything).build(&interface()), within(10 << 20)),
        ("steps again", Architecture::Sequence(forward).build(&interface()), within(4 << 20)),
    ] {
        let program = program.unwrap();
        let mut parameters = Parameters::new(&program, 1).unwrap();
        let mut gradients = Gradients::new(&parameters);
        let mut optimiser = Optimiser::new(Method::default(), &parameters).unwrap();
        let mut context = Context::new(2).unwrap().with_worth(1);
        // Long enough for several pieces where there is a budget.
        let longest = if matches!(keep, Keep::Within { .. }) { 400 } else { 9 };
        let room = capacity(&vec![vec![longest; 8]], 8);
        let mut runner = Runner::new(&program, &room, &keep).unwrap();
        assert_eq!(runner.pieces() > 1, longest > 9, "{name}");
        let mut batch = Batch::new(&program, &room).unwrap();
        let layout = program.layout("steps").unwrap();
        let inputs: Vec<_> =
            program.inputs().iter().map(|spec| program.input(&spec.name).unwrap()).collect();
        let mut draw = Draw::new(3);
        // The harness starts threads of its own, on a busy machine late: three rounds, one of
        // which must be free of allocations.
        let mut counts = [0; 31];
        for step in 0..31 {
            // The first batch is the largest that fits; the others are of other sizes.
            let sequences = if step == 0 { 8 } else { 1 + draw.below(8) };
            let lengths: Vec<usize> = (0..sequences)
                .map(|_| if step == 0 { longest } else { draw.below(longest + 1) })
                .collect();
            let before = allocations();
            batch.set_lengths(layout, &lengths).unwrap();
            for &input in &inputs {
                batch.input_mut(input).data_mut().fill(0.5);
            }
            for &input in
                inputs.iter().filter(|&&i| program.inputs()[i.index()].name == "target.class")
            {
                batch.input_mut(input).data_mut().fill(2.0);
            }
            batch.set_random(1, step);
            batch.set_mode(Mode::Train);
            let loss = runner.train(&mut context, &parameters, &batch, &mut gradients).unwrap();
            assert!(loss.is_finite() && gradients.all_finite());
            gradients.clip(&mut context, Clip::Norm(1.0));
            optimiser.update(&mut context, &mut parameters, &gradients, 0.001).unwrap();
            counts[step as usize] = allocations() - before;
        }
        let mut rounds = counts[1..].chunks(10);
        assert!(rounds.any(|round| round.iter().all(|&count| count == 0)), "{name}: {counts:?}");
    }

    let streamed = Sequence { cell: CellKind::Gru, layers: 2, ..Sequence::default() };
    let program = Architecture::Sequence(streamed).build(&interface()).unwrap();
    let parameters = Parameters::new(&program, 1).unwrap();
    let mut context = Context::new(1).unwrap().with_worth(1);
    let mut stream = Stream::new(&program, 1).unwrap();
    let (x, statics) = (program.input("x").unwrap(), program.input("statics").unwrap());
    stream.write(statics, 0, &[0.5; 2]).unwrap();
    let before = allocations();
    for _ in 0..10 {
        stream.write(x, 0, &[0.5; 5]).unwrap();
        stream.step(&mut context, &parameters).unwrap();
    }
    assert_eq!(allocations(), before, "stream");
}

/// The most on the heap while `steps` steps of one sequence are trained on: in pieces whose state
/// is carried, or whole.
fn peak_of(program: &Program, steps: usize, piece: Option<usize>, keep: &Keep) -> usize {
    peak(|| train_in_pieces(program, steps, piece, keep)).1
}

fn train_in_pieces(program: &Program, steps: usize, piece: Option<usize>, keep: &Keep) {
    let piece = piece.unwrap_or(steps);
    let room = capacity(&vec![vec![piece]], 1);
    let parameters = Parameters::new(program, 1).unwrap();
    let mut gradients = Gradients::new(&parameters);
    let mut runner = Runner::new(program, &room, keep).unwrap();
    let mut batch = Batch::new(program, &room).unwrap();
    let mut context = Context::new(1).unwrap();
    for _ in 0..steps / piece {
        batch.set_lengths(program.layout("steps").unwrap(), &[piece]).unwrap();
        for spec in program.inputs() {
            batch.input_mut(program.input(&spec.name).unwrap()).data_mut().fill(0.5);
        }
        assert!(runner.train(&mut context, &parameters, &batch, &mut gradients).unwrap() > 0.0);
        runner.carry_states().unwrap();
    }
}

#[test]
fn memory_is_flat_in_the_number_of_steps_where_it_is_promised() {
    let _turn = turn();
    let head = Head { name: "level".into(), outputs: 1, loss: Loss::MeanSquared };
    let interface = Interface { heads: vec![head], statics: 0, ..interface() };
    for cell in [CellKind::Lstm, CellKind::Gru] {
        let settings =
            |pooling| Sequence { cell, hidden: 32, layers: 2, pooling, ..Sequence::default() };
        let program =
            |pooling| Architecture::Sequence(settings(pooling)).build(&interface).unwrap();
        let (every, last) = (program(Pooling::None), program(Pooling::Last));
        let all = Keep::Gradients(vec![Wanted::Parameters]);
        let lengths = [4_000, 20_000, 100_000];

        // Truncated: the same but for what the test's own threads note.
        let carried = lengths.map(|steps| peak_of(&every, steps, Some(500), &all));
        let spread = carried.iter().max().unwrap() - carried.iter().min().unwrap();
        assert!(spread < 1 << 16, "{carried:?}");

        // Exact, within a budget that 100,000 steps would overrun ten times.
        let budget = 8 << 20;
        let exact = lengths.map(|steps| peak_of(&last, steps, None, &within(budget)));
        let whole = peak_of(&last, lengths[2], None, &all);
        // Parameters, their gradients and lists of steps are not part of the budget.
        let outside = 2 << 20;
        assert!(exact.iter().all(|&peak| peak < (budget as usize) + outside), "{exact:?}");
        assert!(whole > 10 * budget as usize, "{whole}");
    }
}

#[test]
fn the_least_memory_grows_as_the_root_of_the_number_of_steps() {
    let _turn = turn();
    let settings = Sequence { hidden: 32, layers: 2, ..Sequence::default() };
    let program = Architecture::Sequence(settings).build(&interface()).unwrap();
    // Beside the batch, which the caller makes.
    let least = |steps: usize| {
        let room = capacity(&vec![vec![steps]], 1);
        match Runner::new(&program, &room, &within(1)).unwrap_err() {
            Error::Budget { needed, .. } => needed - Batch::bytes_for(&program, &room) as u64,
            error => panic!("{error}"),
        }
    };
    let (short, long) = (least(20_000), least(2_000_000));
    assert!(long < 11 * short, "{short} {long}");
}
