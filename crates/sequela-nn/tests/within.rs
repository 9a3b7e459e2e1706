//! Training within a budget of memory gives the bits of training without one.
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

use sequela_kernels::{Context, Isa};
use sequela_nn::{
    Architecture, Batch, Capacity, CellKind, Directions, DropoutKind, EncoderDecoder, Error,
    Features, Gradients, Head, Interface, Keep, Loss, NormaliseKind, Pooling, Program, Retain,
    Runner, Sequence, Wanted,
};
use support::{Draw, bits, capacity, fed, random_batch, random_parameters, rows_of};

const CELLS: [CellKind; 6] = [
    CellKind::Elman,
    CellKind::Lstm,
    CellKind::Gru,
    CellKind::MinGru,
    CellKind::MinLstm,
    CellKind::Lru,
];

fn interface(features: Features) -> Interface {
    let head = |name: &str, loss| Head { name: name.into(), outputs: 3, loss };
    Interface {
        features,
        statics: 2,
        heads: vec![
            head("labels", Loss::BinaryCrossEntropy { positive_weight: vec![] }),
            head("level", Loss::MeanSquared),
        ],
        ..Interface::default()
    }
}

fn sequence(settings: Sequence, features: Features) -> Program {
    Architecture::Sequence(settings).build(&interface(features)).unwrap()
}

/// Everything that a pass within a budget gives, as bits.
#[derive(PartialEq)]
struct Found {
    loss: u64,
    outputs: Vec<Vec<u32>>,
    gradients: Vec<u32>,
    fed: Vec<Option<Vec<u32>>>,
}

fn run(
    program: &Program,
    room: &Capacity,
    keep: &Keep,
    batch: &Batch,
    context: &mut Context,
) -> (Found, Runner) {
    let parameters = random_parameters(program, 9);
    let mut gradients = Gradients::new(&parameters);
    let mut runner = Runner::new(program, room, keep).unwrap();
    let mut loss = 0.0;
    // What one pass leaves must not matter to the next.
    for _ in 0..2 {
        loss = runner.train(context, &parameters, batch, &mut gradients).unwrap();
    }
    let outputs = program.outputs().iter();
    let found = Found {
        loss: loss.to_bits(),
        outputs: outputs.map(|(_, value)| bits(&rows_of(runner.value(*value, batch)))).collect(),
        gradients: bits(gradients.flat()),
        fed: fed(program)
            .iter()
            .map(|&value| runner.gradient(value, batch).map(|matrix| bits(&rows_of(matrix))))
            .collect(),
    };
    (found, runner)
}

/// The least budget that is enough.
fn least(program: &Program, room: &Capacity, wanted: &[Wanted]) -> u64 {
    let keep = Keep::Within { bytes: 1, wanted: wanted.to_vec() };
    match Runner::new(program, room, &keep).unwrap_err() {
        Error::Budget { needed, .. } => needed,
        error => panic!("{error}"),
    }
}

/// Compares passes within budgets between the least and all with one that keeps everything.
fn check(name: &str, program: &Program, lengths: &[usize]) -> usize {
    let lengths = vec![lengths.to_vec()];
    let sequences = lengths[0].len();
    let room = capacity(&lengths, sequences);
    let batch = random_batch(program, &lengths, sequences, 10);
    let mut context = Context::new(1).unwrap();
    let mut most_pieces = 0;
    for of_inputs in [false, true] {
        let mut wanted = vec![Wanted::Parameters];
        if of_inputs {
            wanted.extend(fed(program).iter().map(|&value| Wanted::Of(value)));
        }
        let keep = Keep::Gradients(wanted.clone());
        let (whole, runner) = run(program, &room, &keep, &batch, &mut context);
        let all = runner.bytes() + Batch::bytes_for(program, &room) as u64;
        let least = least(program, &room, &wanted);
        assert!(least < all, "{name}: {least} of {all}");
        for bytes in [least, least + (all - least) / 2, all - 1, all] {
            let keep = Keep::Within { bytes, wanted: wanted.clone() };
            let (found, runner) = run(program, &room, &keep, &batch, &mut context);
            let taken = runner.bytes() + Batch::bytes_for(program, &room) as u64;
            assert!(taken <= bytes, "{name}: {taken} of {bytes}");
            assert_eq!(runner.pieces() == 1, bytes == all, "{name}");
            most_pieces = most_pieces.max(runner.pieces());
            assert_eq!(found.loss, whole.loss, "{name} {bytes}: loss");
            assert!(found.outputs == whole.outputs, "{name} {bytes}: outputs");
            assert!(found.gradients == whole.gradients, "{name} {bytes}: gradients");
            assert!(found.fed == whole.fed, "{name} {bytes}: gradients of inputs");
        }
    }
    most_pieces
}

/// Ragged, with an empty sequence, one of one step and some that end at one step.
fn lengths() -> Vec<usize> {
    let mut draw = Draw::new(5);
    let mut lengths: Vec<usize> = (0..5).map(|_| 100 + draw.below(400)).collect();
    lengths.extend([0, 1, 500, 500, 3]);
    lengths
}

#[test]
fn a_program_that_looks_backward_is_cut_and_keeps_its_bits() {
    for cell in CELLS {
        for (pooling, features) in [
            (Pooling::None, Features::Numeric { width: 5 }),
            (Pooling::Last, Features::Tokens { vocabulary: 7 }),
        ] {
            let settings = Sequence {
                cell,
                pooling,
                hidden: 20,
                layers: 2,
                dropout: 0.2,
                normalise: NormaliseKind::Layer,
                head_hidden: vec![9],
                ..Sequence::default()
            };
            let program = sequence(settings, features);
            let pieces = check(&format!("{cell:?} {pooling:?}"), &program, &lengths());
            assert!(pieces > 5, "{pieces}");
        }
    }
}

#[test]
fn gates_of_a_program_that_looks_ahead_are_recomputed_and_keep_their_bits() {
    for cell in CELLS {
        for (pooling, directions) in [
            (Pooling::Attention, Directions::Both),
            (Pooling::Last, Directions::Both),
            (Pooling::Mean, Directions::Forward),
        ] {
            let settings = Sequence {
                cell,
                pooling,
                directions,
                hidden: 20,
                layers: 2,
                dropout: 0.2,
                dropout_kind: DropoutKind::Sequence,
                normalise: NormaliseKind::Layer,
                ..Sequence::default()
            };
            let program = sequence(settings, Features::Numeric { width: 5 });
            check(&format!("{cell:?} {pooling:?} {directions:?}"), &program, &lengths());
        }
    }
}

#[test]
fn other_architectures_stay_within_their_budget() {
    let interface = Interface {
        heads: vec![interface(Features::default()).heads[1].clone()],
        horizon: 4,
        ..interface(Features::Numeric { width: 5 })
    };
    let retain = Architecture::Retain(Retain::default()).build(&interface).unwrap();
    check("retain", &retain, &lengths());
    let decoder = EncoderDecoder { hidden: 20, ..EncoderDecoder::default() };
    let decoder = Architecture::EncoderDecoder(decoder).build(&interface).unwrap();
    check("decoder", &decoder, &lengths());
}

#[test]
fn a_budget_keeps_the_bits_on_every_instruction_set_with_any_threads() {
    let settings =
        Sequence { pooling: Pooling::None, layers: 2, hidden: 40, ..Sequence::default() };
    let program = sequence(settings, Features::Numeric { width: 11 });
    let lengths = vec![lengths()];
    let room = capacity(&lengths, lengths[0].len());
    let batch = random_batch(&program, &lengths, lengths[0].len(), 10);
    let wanted = vec![Wanted::Parameters];
    let keep = Keep::Within { bytes: least(&program, &room, &wanted), wanted };
    let mut first: Option<Found> = None;
    for isa in Isa::all() {
        for threads in [1, 3] {
            let mut context = Context::with_isa(isa, threads).unwrap().with_worth(1);
            let (found, _) = run(&program, &room, &keep, &batch, &mut context);
            let first = first.get_or_insert(found);
            let (found, _) = run(&program, &room, &keep, &batch, &mut context);
            assert!(*first == found, "{} with {threads}", isa.name());
        }
    }
}

#[test]
fn a_batch_that_is_smaller_than_planned_is_cut_by_its_own_length() {
    let settings = Sequence { pooling: Pooling::None, hidden: 20, ..Sequence::default() };
    let program = sequence(settings, Features::Numeric { width: 5 });
    let room = capacity(&vec![lengths()], 10);
    let wanted = vec![Wanted::Parameters];
    let keep = Keep::Within { bytes: least(&program, &room, &wanted), wanted: wanted.clone() };
    let mut within = Runner::new(&program, &room, &keep).unwrap();
    let mut whole = Runner::new(&program, &room, &Keep::Gradients(wanted)).unwrap();
    let parameters = random_parameters(&program, 9);
    let mut context = Context::new(1).unwrap();
    for lengths in [vec![3, 1], vec![900], lengths(), vec![0, 0], vec![200; 10]] {
        let batch = random_batch(&program, &vec![lengths.clone()], lengths.len(), 10);
        let mut gradients = [Gradients::new(&parameters), Gradients::new(&parameters)];
        let [one, other] = &mut gradients;
        let loss = within.train(&mut context, &parameters, &batch, one).unwrap();
        let wanted = whole.train(&mut context, &parameters, &batch, other).unwrap();
        assert_eq!(loss.to_bits(), wanted.to_bits(), "{lengths:?}");
        assert!(bits(one.flat()) == bits(other.flat()), "{lengths:?}");
    }
}

#[test]
fn states_are_carried_over_the_cuts_of_a_budget() {
    let settings = Sequence { pooling: Pooling::None, hidden: 20, ..Sequence::default() };
    let program = sequence(settings, Features::Numeric { width: 5 });
    let lengths = vec![vec![700, 400, 0]];
    let room = capacity(&lengths, 3);
    let wanted = vec![Wanted::Parameters];
    let keep = Keep::Within { bytes: least(&program, &room, &wanted), wanted: wanted.clone() };
    let mut runners = [
        Runner::new(&program, &room, &keep).unwrap(),
        Runner::new(&program, &room, &Keep::Gradients(wanted)).unwrap(),
    ];
    let parameters = random_parameters(&program, 9);
    let mut context = Context::new(1).unwrap();
    for seed in 0..3 {
        let batch = random_batch(&program, &lengths, 3, seed);
        let found = runners.each_mut().map(|runner| {
            let mut gradients = Gradients::new(&parameters);
            let loss = runner.train(&mut context, &parameters, &batch, &mut gradients).unwrap();
            runner.carry_states().unwrap();
            (loss.to_bits(), bits(gradients.flat()))
        });
        assert!(found[0] == found[1], "{seed}");
    }
}

#[test]
fn a_budget_that_is_too_small_says_what_is_needed_and_why() {
    let room = Capacity { sequences: 2, rows: vec![5000] };
    let refused = |settings| {
        let program = sequence(settings, Features::Numeric { width: 5 });
        let keep = Keep::Within { bytes: 1000, wanted: vec![Wanted::Parameters] };
        Runner::new(&program, &room, &keep).unwrap_err().to_string()
    };
    let message = refused(Sequence::default());
    assert!(message.contains("field memory: "), "{message}");
    assert!(message.contains("are needed at least, the budget is 1000; raise it"), "{message}");
    let message = refused(Sequence { directions: Directions::Both, ..Sequence::default() });
    assert!(message.contains("only gates can be recomputed, for node 2, recurrent"), "{message}");
    assert!(message.contains("a reverse layer starts at the last step"), "{message}");
    let message = refused(Sequence { pooling: Pooling::Mean, ..Sequence::default() });
    assert!(message.contains("pooling over steps needs all of them"), "{message}");
}
