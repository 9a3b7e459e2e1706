//! GRU-D as a whole: fading values, fading state and GRU, against PyTorch, against the reference,
//! and to the bit in pieces, in streams and with any threads.
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

use sequela_kernels::activation::Activation;
use sequela_kernels::linear::Bias;
use sequela_kernels::recurrent::{Cell, Direction, Reset, StatePart};
use sequela_kernels::{Context, Isa};
use sequela_nn::{
    Activate, Architecture, Batch, Builder, CellKind, Concatenate, Diagonal, Directions,
    EncoderDecoder, Features, FinalState, Gradients, Head, Impute, Initial, Interface, Keep,
    Linear, Loss, LossTerm, NormaliseKind, ParamKind, ParamSpec, Parameters, Pooling, Program,
    Recurrent, Retain, Rows, Runner, Scalar, Sequence, Stream, Tensor, Value, Wanted,
};
use support::{
    Draw, Dump, assert_close, bits, capacity, check_batch, random_batch, random_parameters,
    rows_of, run_pass,
};

const RESETS: [Reset; 2] = [Reset::AfterProduct, Reset::BeforeProduct];
const CHANNELS: usize = 4;
/// Values, something else, masks, gaps, and two further columns.
const WIDTH: usize = 3 * CHANNELS + 3;
const MEASURED: Features =
    Features::Measured { width: WIDTH, channels: CHANNELS, observed: 5, since: 9 };

fn interface(features: Features) -> Interface {
    let loss = Loss::BinaryCrossEntropy { positive_weight: vec![] };
    let heads = vec![Head { name: "risk".into(), outputs: 2, loss }];
    Interface { features, statics: 2, heads, horizon: 3, ..Interface::default() }
}

fn settings(reset: Reset, pooling: Pooling) -> Sequence {
    Sequence { cell: CellKind::GruD, reset, pooling, hidden: 20, layers: 2, ..Sequence::default() }
}

fn program(settings: Sequence) -> Program {
    Architecture::Sequence(settings).build(&interface(MEASURED)).unwrap()
}

/// Rows of steps in which most channels are missing.
fn rows(draw: &mut Draw, steps: usize) -> Vec<f32> {
    let row = |draw: &mut Draw| {
        let mut row: Vec<f32> = (0..WIDTH).map(|_| draw.uniform()).collect();
        for channel in 0..CHANNELS {
            row[5 + channel] = f32::from(u8::from(draw.chance(0.3)));
            row[9 + channel] = [0.0, 1.0, 2.0, 30.0][draw.below(4)];
        }
        row
    };
    (0..steps).flat_map(|_| row(draw)).collect()
}

fn batch(program: &Program, lengths: &[usize], seed: u64) -> Batch {
    let mut batch = random_batch(program, &vec![lengths.to_vec()], lengths.len(), seed);
    let (mut draw, x) = (Draw::new(seed), program.input("x").unwrap());
    for (b, &length) in lengths.iter().enumerate() {
        batch.write(x, b, &rows(&mut draw, length)).unwrap();
    }
    batch
}

fn lengths() -> Vec<usize> {
    let mut draw = Draw::new(5);
    let mut lengths: Vec<usize> = (0..5).map(|_| 100 + draw.below(300)).collect();
    lengths.extend([0, 1, 400, 400, 3]);
    lengths
}

#[test]
fn the_architecture_agrees_with_the_reference() {
    let lengths = [3, 0, 6, 1, 4];
    for reset in RESETS {
        for pooling in [Pooling::None, Pooling::Last, Pooling::Attention] {
            let settings = Sequence {
                normalise: NormaliseKind::Layer,
                hidden: 7,
                dropout: 0.2,
                ..settings(reset, pooling)
            };
            let program = program(settings);
            let text = serde_json::to_string(&program).unwrap();
            assert_eq!(serde_json::from_str::<Program>(&text).unwrap(), program);
            let parameters = random_parameters(&program, 3);
            let batch = batch(&program, &lengths, 4);
            let room = capacity(&vec![lengths.to_vec()], lengths.len());
            check_batch(&format!("{reset:?} {pooling:?}"), &program, &parameters, &batch, &room);
        }
    }
}

/// A program of a dump: inputs `values`, `mask`, `delta`, `h0`, and what is sent to y and hn.
fn of_dump(dump: &Dump, reset: Reset) -> (Program, Vec<(Value, String)>) {
    let number = |name: &str| -> usize { dump.about[name].parse().unwrap() };
    let (channels, hidden) = (number("channels"), number("hidden"));
    let mut b = Builder::new();
    let steps = Rows::Steps(b.layout("steps"));
    let values = b.input("values", steps, channels).unwrap();
    let mask = b.input("mask", steps, channels).unwrap();
    let delta = b.input("delta", steps, channels).unwrap();
    let h0 = b.input("h0", Rows::Sequences, hidden).unwrap();
    let mut param =
        |name: &str, kind| b.param(ParamSpec { name: name.into(), kind, initial: Initial::Decay });
    let (inputs, outputs, bias) = (channels, hidden, Bias::Trained);
    let decay_x = param("decay_x", ParamKind::Diagonal { width: channels });
    let decay_h = param("decay_h", ParamKind::Linear { inputs, outputs, bias });
    let (cell, direction, inputs) = (Cell::GruD(reset), Direction::Forward, 2 * channels);
    let gru = param("", ParamKind::Recurrent { cell, direction, inputs, hidden, layer: 0 });
    let fade = Activate { kind: Activation::Decay };
    let gamma = b.add(Diagonal { param: decay_x }, &[delta]).unwrap();
    let gamma = b.add(fade, &[gamma]).unwrap();
    let xhat = b.add(Impute {}, &[values, mask, gamma]).unwrap();
    let x = b.add(Concatenate {}, &[xhat, mask]).unwrap();
    let gamma = b.add(Linear { param: decay_h }, &[delta]).unwrap();
    let decay = b.add(fade, &[gamma]).unwrap();
    let y = b.add(Recurrent { param: gru }, &[x, decay, h0]).unwrap();
    let hn = b.add(FinalState { part: StatePart::Hidden }, &[y]).unwrap();
    for (name, prediction, rows) in [("y", y, steps), ("hn", hn, Rows::Sequences)] {
        let target = b.input(&format!("g{name}"), rows, hidden).unwrap();
        b.output(name, prediction);
        let (kind, weight, scale) = (Loss::Dot, None, Scalar::Fixed(1.0));
        b.loss(LossTerm { kind, prediction, target, weight, scale });
    }
    let wanted = [(values, "grad.values"), (h0, "grad.h0"), (x, "grad.x"), (decay, "grad.decay")];
    (b.finish().unwrap(), wanted.map(|(value, name)| (value, name.to_owned())).to_vec())
}

/// Batch-first numbers of a dump in the packed order.
fn packed(dump: &Dump, name: &str, batch: &Batch, rows: Rows, lengths: &[usize]) -> Vec<f64> {
    let all = dump.get(name);
    let Rows::Steps(layout) = rows else { return all.to_vec() };
    let steps = lengths.iter().copied().max().unwrap();
    let width = all.len() / (lengths.len() * steps);
    let mut out = vec![0.0; lengths.iter().sum::<usize>() * width];
    for (b, &length) in lengths.iter().enumerate() {
        for t in 0..length {
            let to = batch.row_of(layout, b, t) * width;
            out[to..to + width].copy_from_slice(&all[(b * steps + t) * width..][..width]);
        }
    }
    out
}

#[test]
fn every_dump_of_torch_agrees() {
    for (word, reset) in ["after", "before"].into_iter().zip(RESETS) {
        for case in ["dense", "ragged", "one_step", "long"] {
            let dump = Dump::load(&format!("grud_{word}_{case}"));
            let (program, wanted) = of_dump(&dump, reset);
            let lengths = dump.sizes("lengths");
            let steps = lengths.iter().copied().max().unwrap();
            let name_of = |tensor: &str| tensor.trim_start_matches('.').replace("_l0", "");
            let mut parameters = Parameters::new(&program, 0).unwrap();
            let tensors: Vec<Tensor> = parameters
                .tensors()
                .into_iter()
                .map(|tensor| Tensor { values: dump.f32(&name_of(&tensor.name)), ..tensor })
                .collect();
            parameters.load(&tensors).unwrap();
            let room = capacity(&vec![lengths.clone()], lengths.len());
            let mut batch = Batch::new(&program, &room).unwrap();
            batch.set_lengths(program.layout("steps").unwrap(), &lengths).unwrap();
            for spec in program.inputs() {
                let (values, input) = (dump.f32(&spec.name), program.input(&spec.name).unwrap());
                for (b, row) in values.chunks(values.len() / lengths.len()).enumerate() {
                    let sequence = spec.rows == Rows::Sequences;
                    let count = if sequence { row.len() } else { row.len() / steps * lengths[b] };
                    batch.write(input, b, &row[..count]).unwrap();
                }
            }
            let mut keep = vec![Wanted::Parameters];
            keep.extend(wanted.iter().map(|(value, _)| Wanted::Of(*value)));
            let mut runner = Runner::new(&program, &room, &Keep::Gradients(keep)).unwrap();
            let mut gradients = Gradients::new(&parameters);
            let mut context = Context::new(2).unwrap();
            let loss = runner.train(&mut context, &parameters, &batch, &mut gradients).unwrap();
            let want = dump.get("loss")[0];
            assert!((loss - want).abs() < 1e-4 * want.abs().max(1.0), "{loss} {want}");
            for (name, value) in program.outputs() {
                let rows = program.nodes()[value.index()].rows;
                let want = packed(&dump, name, &batch, rows, &lengths);
                assert_close(name, &rows_of(runner.value(*value, &batch)), &want, 1e-5);
            }
            for (value, name) in &wanted {
                let want =
                    packed(&dump, name, &batch, program.nodes()[value.index()].rows, &lengths);
                let found = rows_of(runner.gradient(*value, &batch).unwrap());
                assert_close(&format!("{word} {case} {name}"), &found, &want, 3e-5);
            }
            for tensor in gradients.tensors(&parameters) {
                let name = name_of(&tensor.name);
                let mut want = dump.get(&format!("grad.{name}")).to_vec();
                if name == "bias_hh" {
                    // One bias is trained, but for that of n inside the reset.
                    let third = want.len() / 3;
                    let shared = if reset == Reset::AfterProduct { 2 * third } else { 3 * third };
                    want[..shared].fill(0.0);
                }
                assert_close(&format!("{word} {case} d {name}"), &tensor.values, &want, 3e-5);
            }
        }
    }
}

#[test]
fn threads_and_instruction_sets_change_no_bit() {
    for reset in RESETS {
        let program = program(settings(reset, Pooling::Attention));
        let lengths = [30, 0, 1, 17, 22, 30, 4];
        let (parameters, batch) = (random_parameters(&program, 9), batch(&program, &lengths, 10));
        let room = capacity(&vec![lengths.to_vec()], lengths.len());
        let mut first = None;
        for isa in Isa::all() {
            for threads in [1, 2, 3, 4] {
                let mut context = Context::with_isa(isa, threads).unwrap().with_worth(1);
                let pass = run_pass(&program, &parameters, &batch, &room, &mut context);
                let outputs: Vec<Vec<u32>> = pass.outputs.iter().map(|o| bits(o)).collect();
                let found = (outputs, pass.loss.to_bits(), bits(&pass.flat));
                let wanted = first.get_or_insert_with(|| found.clone());
                assert!(*wanted == found, "{reset:?} {} with {threads}", isa.name());
            }
        }
    }
}

#[test]
fn a_budget_of_memory_keeps_the_bits() {
    for (reset, pooling) in
        [(RESETS[0], Pooling::None), (RESETS[1], Pooling::Last), (RESETS[0], Pooling::Attention)]
    {
        let program = program(Sequence { dropout: 0.2, ..settings(reset, pooling) });
        let lengths = lengths();
        let (parameters, batch) = (random_parameters(&program, 9), batch(&program, &lengths, 10));
        let room = capacity(&vec![lengths.clone()], lengths.len());
        let mut context = Context::new(2).unwrap().with_worth(1);
        let mut run = |keep: &Keep| {
            let mut gradients = Gradients::new(&parameters);
            let mut runner = Runner::new(&program, &room, keep)?;
            let mut loss = 0.0;
            // What one pass leaves must not matter to the next.
            for _ in 0..2 {
                loss = runner.train(&mut context, &parameters, &batch, &mut gradients)?;
            }
            Ok::<_, sequela_nn::Error>((loss.to_bits(), bits(gradients.flat()), runner.pieces()))
        };
        let wanted = vec![Wanted::Parameters];
        let whole = run(&Keep::Gradients(wanted.clone())).unwrap();
        let within = |bytes| Keep::Within { bytes, wanted: wanted.clone() };
        let error = run(&within(1)).unwrap_err();
        let sequela_nn::Error::Budget { needed, .. } = error else { panic!("{error}") };
        let found = run(&within(needed)).unwrap();
        assert!(found.2 > 3, "{} pieces", found.2);
        assert_eq!(found.0, whole.0, "{reset:?} {pooling:?}: loss");
        assert!(found.1 == whole.1, "{reset:?} {pooling:?}: gradients");
    }
}

#[test]
fn a_stream_and_carried_states_have_the_bits_of_the_batch() {
    for reset in RESETS {
        let program = program(settings(reset, Pooling::None));
        let (output, x) = (program.output("risk").unwrap(), program.input("x").unwrap());
        let (layout, statics) =
            (program.layout("steps").unwrap(), program.input("statics").unwrap());
        let parameters = random_parameters(&program, 9);
        let mut context = Context::new(1).unwrap();
        let lengths = [7, 4, 7];
        let whole = batch(&program, &lengths, 10);
        let room = capacity(&vec![lengths.to_vec()], 3);
        let mut runner = Runner::new(&program, &room, &Keep::Nothing).unwrap();
        runner.forward(&mut context, &parameters, &whole).unwrap();
        let mut wanted: Vec<Vec<f32>> = vec![Vec::new(); 3];
        (0..3).for_each(|b| runner.read(output, &whole, b, &mut wanted[b]));

        let mut stream = Stream::new(&program, 3).unwrap();
        let mut part = Batch::new(&program, &room).unwrap();
        assert_eq!(runner.state_width(), 2 * 20);
        let mut states = vec![vec![0.0; 40]; 3];
        for t in 0..4 {
            part.set_lengths(layout, &[1; 3]).unwrap();
            runner.start_states(3);
            for b in 0..3 {
                let row = whole.input(x).row(whole.row_of(layout, b, t));
                let still = whole.input(statics).row(b);
                stream.write(x, b, row).unwrap();
                stream.write(statics, b, still).unwrap();
                part.write(x, b, row).unwrap();
                part.write(statics, b, still).unwrap();
                runner.write_state(b, &states[b]).unwrap();
            }
            stream.step(&mut context, &parameters).unwrap();
            runner.forward(&mut context, &parameters, &part).unwrap();
            runner.carry_states().unwrap();
            for b in 0..3 {
                let want = bits(&wanted[b][2 * t..2 * t + 2]);
                assert_eq!(bits(stream.value(output).row(b)), want, "{reset:?} {t} {b}: stream");
                let mut row = Vec::new();
                runner.read(output, &part, b, &mut row);
                assert_eq!(bits(&row), want, "{reset:?} {t} {b}: carried");
                runner.read_state(b, &mut states[b]).unwrap();
            }
        }
    }
}

#[test]
fn first_decays_are_within_the_range_of_the_peers() {
    let program = program(settings(RESETS[0], Pooling::Last));
    let parameters = Parameters::new(&program, 5).unwrap();
    for tensor in parameters.tensors().iter().filter(|tensor| tensor.name.contains("decay_")) {
        let outputs = if tensor.name.contains("decay_x") { CHANNELS } else { 20 };
        let limit = 1.0 / (outputs as f32).sqrt();
        assert!(tensor.values.iter().all(|w| w.abs() <= limit), "{}", tensor.name);
        assert!(tensor.values.iter().any(|w| w.abs() > 0.5 * limit), "{}", tensor.name);
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let fails = |architecture: Architecture, features: Features, part: &str| {
        let error = architecture.build(&interface(features)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    let model = settings(RESETS[0], Pooling::Last);
    let numeric = Features::Numeric { width: 12 };
    fails(Architecture::Sequence(model.clone()), numeric, "without masks and gaps");
    let both = Sequence { directions: Directions::Both, ..model.clone() };
    fails(Architecture::Sequence(both), MEASURED, "in both directions");
    let retain = Retain { cell: CellKind::GruD, ..Retain::default() };
    fails(Architecture::Retain(retain), MEASURED, "does not know how long ago");
    let decoder = EncoderDecoder { cell: CellKind::GruD, ..EncoderDecoder::default() };
    fails(Architecture::EncoderDecoder(decoder), numeric, "does not know how long ago");
    for (channels, observed, since) in [(0, 5, 9), (4, 3, 9), (4, 5, 8), (4, 5, 12), (4, 12, 5)] {
        let features = Features::Measured { width: WIDTH, channels, observed, since };
        fails(Architecture::Sequence(model.clone()), features, "overlap or are not there");
    }
}
