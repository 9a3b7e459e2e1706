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

mod support;

use sequela_kernels::Context;
use sequela_nn::{
    Architecture, Batch, CellKind, Clip, Directions, EncoderDecoder, Features, Gradients, Head,
    Interface, Keep, Loss, Method, Mode, NormaliseKind, Optimiser, Parameters, Pooling, Retain,
    Runner, Sequence, Stream, Wanted,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Draw, capacity};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code, reason = "an allocator can only be wrapped this way; it counts and passes on")]
// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::SeqCst);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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

// One test: the counter is the whole process's.
#[test]
fn a_step_allocates_nothing() {
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
    for (name, program) in [
        ("everything", Architecture::Sequence(everything).build(&interface())),
        ("retain", Architecture::Retain(Retain::default()).build(&interface())),
        ("decoder", Architecture::EncoderDecoder(EncoderDecoder::default()).build(&one)),
    ] {
        let program = program.unwrap();
        let mut parameters = Parameters::new(&program, 1).unwrap();
        let mut gradients = Gradients::new(&parameters);
        let mut optimiser = Optimiser::new(Method::default(), &parameters).unwrap();
        let mut context = Context::new(2).unwrap().with_worth(1);
        let room = capacity(&vec![vec![9; 8]], 8);
        let keep = Keep::Gradients(vec![Wanted::Parameters]);
        let mut runner = Runner::new(&program, &room, &keep).unwrap();
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
            let lengths: Vec<usize> =
                (0..sequences).map(|_| if step == 0 { 9 } else { draw.below(10) }).collect();
            let before = COUNT.load(Ordering::SeqCst);
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
            counts[step as usize] = COUNT.load(Ordering::SeqCst) - before;
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
    let before = COUNT.load(Ordering::SeqCst);
    for _ in 0..10 {
        stream.write(x, 0, &[0.5; 5]).unwrap();
        stream.step(&mut context, &parameters).unwrap();
    }
    assert_eq!(COUNT.load(Ordering::SeqCst), before, "stream");
}
