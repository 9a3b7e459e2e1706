//! The same bits: threads, instruction sets, alone or in any batch, stream or batch.
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
    Architecture, Batch, CellKind, Directions, DropoutKind, EncoderDecoder, Features, Gradients,
    Head, Interface, Keep, Loss, Mode, NormaliseKind, Parameters, Pooling, Program, Retain, Runner,
    Sequence, Stream, Wanted,
};
use support::{Draw, bits, capacity, random_batch, random_parameters, rows_of, run_pass};

const CELLS: [CellKind; 6] = [
    CellKind::Elman,
    CellKind::Lstm,
    CellKind::Gru,
    CellKind::MinGru,
    CellKind::MinLstm,
    CellKind::Lru,
];

fn interface(features: Features) -> Interface {
    let loss = Loss::BinaryCrossEntropy { positive_weight: vec![] };
    let heads = vec![Head { name: "risk".into(), outputs: 3, loss }];
    Interface { features, statics: 2, heads, horizon: 3, ..Interface::default() }
}

fn sequence(settings: Sequence) -> Program {
    let features = Features::Numeric { width: 11 };
    Architecture::Sequence(settings).build(&interface(features)).unwrap()
}

fn programs() -> Vec<Program> {
    let mut programs = Vec::new();
    for cell in CELLS {
        for (pooling, directions) in
            [(Pooling::Attention, Directions::Both), (Pooling::Last, Directions::Forward)]
        {
            programs.push(sequence(Sequence {
                cell,
                pooling,
                directions,
                hidden: 40,
                layers: 2,
                dropout: 0.25,
                normalise: NormaliseKind::Layer,
                ..Sequence::default()
            }));
        }
    }
    let features = Features::Tokens { vocabulary: 20 };
    programs.push(
        Architecture::Retain(Retain { embedding: 40, ..Retain::default() })
            .build(&interface(features))
            .unwrap(),
    );
    let decoder = EncoderDecoder { hidden: 40, ..EncoderDecoder::default() };
    programs.push(Architecture::EncoderDecoder(decoder).build(&interface(features)).unwrap());
    programs
}

#[test]
fn threads_and_instruction_sets_change_no_bit() {
    for (index, program) in programs().iter().enumerate() {
        let mut draw = Draw::new(5);
        let lengths = vec![(0..24).map(|_| draw.below(16)).collect::<Vec<_>>()];
        let parameters = random_parameters(program, 9);
        let batch = random_batch(program, &lengths, 24, 10);
        let capacity = capacity(&lengths, 24);
        let mut first = None;
        for isa in Isa::all() {
            for threads in [1, 2, 3, 4] {
                let mut context = Context::with_isa(isa, threads).unwrap().with_worth(1);
                let pass = run_pass(program, &parameters, &batch, &capacity, &mut context);
                let outputs: Vec<Vec<u32>> = pass.outputs.iter().map(|o| bits(o)).collect();
                let found = (outputs, pass.loss.to_bits(), bits(&pass.flat));
                let wanted = first.get_or_insert_with(|| found.clone());
                assert!(*wanted == found, "program {index}, {} with {threads}", isa.name());
            }
        }
    }
}

/// Outputs of the sequences `chosen` of a batch, by running them as a batch of their own.
fn outputs_of(program: &Program, chosen: &[usize], mode: Mode) -> Vec<Vec<Vec<u32>>> {
    let mut draw = Draw::new(5);
    let lengths: Vec<usize> = (0..12).map(|_| draw.below(9)).collect();
    let whole = random_batch(program, &vec![lengths.clone()], 12, 10);
    let parameters = random_parameters(program, 9);
    let mine: Vec<usize> = chosen.iter().map(|&b| lengths[b]).collect();
    let room = capacity(&vec![lengths.clone()], 12);
    let mut batch = Batch::new(program, &room).unwrap();
    let layout = program.layout("steps").unwrap();
    batch.set_lengths(layout, &mine).unwrap();
    let identities: Vec<u64> = chosen.iter().map(|&b| 1000 + b as u64).collect();
    batch.set_identities(&identities).unwrap();
    batch.set_mode(mode);
    batch.set_random(3, 4);
    for spec in program.inputs() {
        let input = program.input(&spec.name).unwrap();
        for (place, &b) in chosen.iter().enumerate() {
            let matrix = whole.input(input);
            let rows: Vec<usize> = match spec.rows {
                sequela_nn::Rows::Sequences => vec![b],
                sequela_nn::Rows::Steps(layout) => {
                    (0..lengths[b]).map(|t| whole.row_of(layout, b, t)).collect()
                }
            };
            let values: Vec<f32> = rows.iter().flat_map(|&row| matrix.row(row).to_vec()).collect();
            batch.write(input, place, &values).unwrap();
        }
    }
    let mut runner = Runner::new(program, &room, &Keep::Nothing).unwrap();
    runner.forward(&mut Context::new(2).unwrap(), &parameters, &batch).unwrap();
    let mut out = Vec::new();
    let read = |value, place| {
        let mut rows = Vec::new();
        runner.read(value, &batch, place, &mut rows);
        bits(&rows)
    };
    (0..chosen.len()).for_each(|place| {
        out.push(program.outputs().iter().map(|(_, value)| read(*value, place)).collect());
    });
    out
}

#[test]
fn a_sequence_has_the_same_bits_alone_and_in_any_batch() {
    for pooling in [Pooling::None, Pooling::Last, Pooling::Mean, Pooling::Attention] {
        for dropout_kind in [DropoutKind::Element, DropoutKind::Sequence] {
            let program = sequence(Sequence {
                pooling,
                hidden: 21,
                layers: 2,
                directions: Directions::Both,
                dropout: 0.3,
                dropout_kind,
                ..Sequence::default()
            });
            for mode in [Mode::Train, Mode::Evaluate] {
                let all: Vec<usize> = (0..12).collect();
                let together = outputs_of(&program, &all, mode);
                let turned: Vec<usize> = (0..12).rev().collect();
                let reversed = outputs_of(&program, &turned, mode);
                for b in 0..12 {
                    assert_eq!(outputs_of(&program, &[b], mode)[0], together[b], "{b} alone");
                    assert_eq!(reversed[11 - b], together[b], "{b} in another order");
                }
            }
        }
    }
}

#[test]
fn a_stream_has_the_bits_of_the_batch() {
    for cell in CELLS {
        for pooling in [Pooling::None, Pooling::Last] {
            let program = sequence(Sequence {
                cell,
                pooling,
                hidden: 33,
                layers: 2,
                normalise: NormaliseKind::Layer,
                head_hidden: vec![9],
                ..Sequence::default()
            });
            let (output, x) = (program.output("risk").unwrap(), program.input("x").unwrap());
            let statics = program.input("statics").unwrap();
            let parameters = random_parameters(&program, 9);
            let mut context = Context::new(1).unwrap();
            let whole = random_batch(&program, &vec![vec![6, 6, 6]], 3, 10);
            let layout = program.layout("steps").unwrap();
            let mut stream = Stream::new(&program, 3).unwrap();
            // What went before must not matter after a reset.
            for b in 0..3 {
                stream.write(x, b, &[0.7; 11]).unwrap();
                stream.write(statics, b, &[0.1; 2]).unwrap();
            }
            stream.step(&mut context, &parameters).unwrap();
            (0..3).for_each(|b| stream.reset(b));
            for b in 0..3 {
                stream.write(statics, b, whole.input(statics).row(b)).unwrap();
            }
            for t in 0..6 {
                for b in 0..3 {
                    stream.write(x, b, whole.input(x).row(whole.row_of(layout, b, t))).unwrap();
                }
                stream.step(&mut context, &parameters).unwrap();
                // A batch of the steps so far.
                let so_far = capacity(&vec![vec![t + 1; 3]], 3);
                let mut batch = Batch::new(&program, &so_far).unwrap();
                batch.set_lengths(layout, &[t + 1; 3]).unwrap();
                for b in 0..3 {
                    let rows = (0..=t).map(|t| whole.row_of(layout, b, t));
                    let values: Vec<f32> =
                        rows.flat_map(|row| whole.input(x).row(row).to_vec()).collect();
                    batch.write(x, b, &values).unwrap();
                    batch.write(statics, b, whole.input(statics).row(b)).unwrap();
                }
                let mut runner = Runner::new(&program, &so_far, &Keep::Nothing).unwrap();
                runner.forward(&mut context, &parameters, &batch).unwrap();
                for b in 0..3 {
                    let mut rows = Vec::new();
                    runner.read(output, &batch, b, &mut rows);
                    let last = &rows[rows.len() - 3..];
                    assert_eq!(bits(stream.value(output).row(b)), bits(last), "{cell:?} {t} {b}");
                }
            }
        }
    }
}

#[test]
fn what_looks_ahead_cannot_be_streamed() {
    for settings in [
        Sequence { directions: Directions::Both, ..Sequence::default() },
        Sequence { pooling: Pooling::Attention, ..Sequence::default() },
        Sequence { pooling: Pooling::Mean, ..Sequence::default() },
    ] {
        let error = Stream::new(&sequence(settings), 1).unwrap_err();
        assert!(error.to_string().contains("needs the whole sequence"), "{error}");
    }
}

#[test]
fn carried_states_join_the_pieces_of_a_sequence() {
    let program =
        sequence(Sequence { hidden: 18, layers: 2, pooling: Pooling::None, ..Sequence::default() });
    let (output, x) = (program.output("risk").unwrap(), program.input("x").unwrap());
    let (layout, statics) = (program.layout("steps").unwrap(), program.input("statics").unwrap());
    let parameters = random_parameters(&program, 9);
    let mut context = Context::new(1).unwrap();
    let lengths = [7, 4, 0, 6];
    let whole = random_batch(&program, &vec![lengths.to_vec()], 4, 10);
    let room = capacity(&vec![lengths.to_vec()], 4);
    let mut runner = Runner::new(&program, &room, &Keep::Nothing).unwrap();
    runner.forward(&mut context, &parameters, &whole).unwrap();
    let mut wanted: Vec<Vec<f32>> = vec![Vec::new(); 4];
    (0..4).for_each(|b| runner.read(output, &whole, b, &mut wanted[b]));

    let mut found: Vec<Vec<f32>> = vec![Vec::new(); 4];
    let mut batch = Batch::new(&program, &room).unwrap();
    for start in (0..7).step_by(2) {
        let pieces: Vec<usize> =
            lengths.iter().map(|l: &usize| l.saturating_sub(start).min(2)).collect();
        batch.set_lengths(layout, &pieces).unwrap();
        for b in 0..4 {
            let rows = (start..start + pieces[b]).map(|t| whole.row_of(layout, b, t));
            let values: Vec<f32> = rows.flat_map(|row| whole.input(x).row(row).to_vec()).collect();
            batch.write(x, b, &values).unwrap();
            batch.write(statics, b, whole.input(statics).row(b)).unwrap();
        }
        if start > 0 {
            runner.carry_states().unwrap();
        } else {
            runner.forget_states();
        }
        runner.forward(&mut context, &parameters, &batch).unwrap();
        for b in 0..4 {
            let mut rows = Vec::new();
            runner.read(output, &batch, b, &mut rows);
            found[b].extend(rows);
        }
    }
    for b in 0..4 {
        assert_eq!(bits(&found[b]), bits(&wanted[b]), "sequence {b}");
    }
    // A subject that takes a place over starts from nothing.
    runner.carry_states().unwrap();
    runner.forget_state(1);
    batch.set_lengths(layout, &[0, 4, 0, 0]).unwrap();
    let rows = (0..4).map(|t| whole.row_of(layout, 1, t));
    let values: Vec<f32> = rows.flat_map(|row| whole.input(x).row(row).to_vec()).collect();
    batch.write(x, 1, &values).unwrap();
    (0..4).for_each(|b| batch.write(statics, b, whole.input(statics).row(b)).unwrap());
    runner.forward(&mut context, &parameters, &batch).unwrap();
    let mut rows = Vec::new();
    runner.read(output, &batch, 1, &mut rows);
    assert_eq!(bits(&rows), bits(&wanted[1]));
}

#[test]
fn states_that_are_taken_out_and_put_back_give_the_same_bits() {
    for cell in [CellKind::Elman, CellKind::Lstm, CellKind::Gru] {
        let pooling = Pooling::None;
        let settings = Sequence { cell, hidden: 21, layers: 2, pooling, ..Sequence::default() };
        let program = sequence(settings);
        let parameters = random_parameters(&program, 9);
        let mut context = Context::new(1).unwrap();
        let lengths = vec![vec![7, 5, 3]];
        let room = capacity(&lengths, 3);
        let whole = random_batch(&program, &lengths, 3, 10);
        let layout = program.layout("steps").unwrap();
        let input = |name: &str| program.input(name).unwrap();
        let output = program.outputs()[0].1;
        let mut runner = Runner::new(&program, &room, &Keep::Nothing).unwrap();
        runner.forward(&mut context, &parameters, &whole).unwrap();
        let wanted: Vec<Vec<f32>> = (0..3)
            .map(|b| {
                let mut rows = Vec::new();
                runner.read(output, &whole, b, &mut rows);
                rows
            })
            .collect();
        // Step by step, each time in another order and with others, the states kept outside.
        let width = runner.state_width();
        assert_eq!(width, 42 * if cell == CellKind::Lstm { 2 } else { 1 });
        let mut states = vec![vec![0.0; width]; 3];
        let mut batch = Batch::new(&program, &room).unwrap();
        for t in 0..7 {
            let there: Vec<usize> =
                (0..3).map(|k| (k + t) % 3).filter(|&b| t < lengths[0][b]).collect();
            batch.set_lengths(layout, &vec![1; there.len()]).unwrap();
            runner.start_states(there.len());
            for (place, &b) in there.iter().enumerate() {
                batch
                    .write(
                        input("x"),
                        place,
                        whole.input(input("x")).row(whole.row_of(layout, b, t)),
                    )
                    .unwrap();
                batch.write(input("statics"), place, whole.input(input("statics")).row(b)).unwrap();
                if t > 0 {
                    runner.write_state(place, &states[b]).unwrap();
                }
            }
            runner.forward(&mut context, &parameters, &batch).unwrap();
            runner.carry_states().unwrap();
            for (place, &b) in there.iter().enumerate() {
                runner.read_state(place, &mut states[b]).unwrap();
                let mut row = Vec::new();
                runner.read(output, &batch, place, &mut row);
                assert_eq!(bits(&row), bits(&wanted[b][t * row.len()..(t + 1) * row.len()]));
            }
        }
        assert!(runner.write_state(3, &states[0]).is_err(), "there is no such sequence");
        assert!(runner.write_state(0, &states[0][1..]).is_err());
        assert!(runner.read_state(0, &mut vec![0.0; width + 1]).is_err());
    }
}

#[test]
fn truncated_training_has_the_gradients_of_its_pieces() {
    let program = sequence(Sequence { hidden: 6, pooling: Pooling::None, ..Sequence::default() });
    let parameters = random_parameters(&program, 9);
    let mut context = Context::new(1).unwrap();
    let batch = random_batch(&program, &vec![vec![3, 2]], 2, 10);
    let room = capacity(&vec![vec![3, 2]], 2);
    let keep = Keep::Gradients(vec![Wanted::Parameters]);
    let mut runner = Runner::new(&program, &room, &keep).unwrap();
    let mut gradients = Gradients::new(&parameters);
    let from_zero = runner.train(&mut context, &parameters, &batch, &mut gradients).unwrap();
    let first = bits(gradients.flat());
    runner.carry_states().unwrap();
    let carried = runner.train(&mut context, &parameters, &batch, &mut gradients).unwrap();
    assert_ne!(from_zero.to_bits(), carried.to_bits());
    assert_ne!(first, bits(gradients.flat()));
    runner.forget_states();
    let again = runner.train(&mut context, &parameters, &batch, &mut gradients).unwrap();
    assert_eq!((from_zero.to_bits(), first), (again.to_bits(), bits(gradients.flat())));
}

#[test]
fn loading_what_was_saved_gives_the_same_bits() {
    let program = sequence(Sequence { cell: CellKind::Gru, layers: 2, ..Sequence::default() });
    let parameters = Parameters::new(&program, 3).unwrap();
    let mut other = Parameters::new(&program, 4).unwrap();
    assert_ne!(bits(parameters.flat()), bits(other.flat()));
    other.load(&parameters.tensors()).unwrap();
    assert_eq!(bits(parameters.flat()), bits(other.flat()));

    let mut tensors = parameters.tensors();
    tensors[0].shape.reverse();
    assert!(other.load(&tensors).is_err());
    tensors.remove(0);
    assert!(other.load(&tensors).unwrap_err().to_string().contains("missing"));
    let mut tensors = parameters.tensors();
    tensors[0].name = "else".into();
    assert!(other.load(&tensors).unwrap_err().to_string().contains("no such weight"));
}

#[test]
fn weights_that_change_are_noticed() {
    let program = sequence(Sequence { hidden: 5, ..Sequence::default() });
    let (one, two) = (random_parameters(&program, 1), random_parameters(&program, 2));
    let batch = random_batch(&program, &vec![vec![3, 2]], 2, 10);
    let room = capacity(&vec![vec![3, 2]], 2);
    let mut context = Context::new(1).unwrap();
    let keep = Keep::Gradients(vec![Wanted::Parameters]);
    let mut shared = Runner::new(&program, &room, &keep).unwrap();
    for parameters in [&one, &two, &one] {
        let mut gradients = Gradients::new(parameters);
        shared.train(&mut context, parameters, &batch, &mut gradients).unwrap();
        let wanted = run_pass(&program, parameters, &batch, &room, &mut context);
        assert_eq!(bits(gradients.flat()), bits(&wanted.flat));
        let value = program.output("risk").unwrap();
        assert_eq!(bits(&rows_of(shared.value(value, &batch))), bits(&wanted.outputs[0]));
    }
}
