//! Every architecture against the reference: outputs, losses, gradients of all weights and inputs.
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
use sequela_kernels::recurrent::Reset;
use sequela_nn::{
    Architecture, CellKind, Directions, DropoutKind, EncoderDecoder, Error, Features, Head,
    Initial, Interface, Loss, NormaliseKind, Pooling, Program, Retain, Sequence, Stack, TwoEncoder,
};
use support::{Draw, check};

const RAGGED: [usize; 5] = [3, 0, 6, 1, 4];

fn head(name: &str, outputs: usize, loss: Loss) -> Head {
    Head { name: name.into(), outputs, loss }
}

fn regression() -> Interface {
    Interface {
        features: Features::Numeric { width: 3 },
        heads: vec![head("value", 2, Loss::MeanSquared)],
        ..Interface::default()
    }
}

fn check_ragged(name: &str, program: &Program, seed: u64) {
    let lengths = vec![RAGGED.to_vec(); program.layouts().len()];
    check(name, program, &lengths, RAGGED.len(), seed);
}

const CELLS: [CellKind; 6] = [
    CellKind::Elman,
    CellKind::Lstm,
    CellKind::Gru,
    CellKind::MinGru,
    CellKind::MinLstm,
    CellKind::Lru,
];

#[test]
fn sequences_of_every_cell_direction_and_pooling() {
    let cells = [
        (CellKind::Elman, Activation::Tanh, Reset::AfterProduct),
        (CellKind::Elman, Activation::Relu, Reset::AfterProduct),
        (CellKind::Lstm, Activation::Tanh, Reset::AfterProduct),
        (CellKind::Gru, Activation::Tanh, Reset::AfterProduct),
        (CellKind::Gru, Activation::Tanh, Reset::BeforeProduct),
        (CellKind::MinGru, Activation::Tanh, Reset::AfterProduct),
        (CellKind::MinLstm, Activation::Tanh, Reset::AfterProduct),
        (CellKind::Lru, Activation::Tanh, Reset::AfterProduct),
    ];
    let poolings = [Pooling::None, Pooling::Last, Pooling::Mean, Pooling::Max, Pooling::Attention];
    let mut seed = 0;
    for (cell, activation, reset) in cells {
        for directions in [Directions::Forward, Directions::Both] {
            for pooling in poolings {
                for layers in [1, 2] {
                    seed += 1;
                    let settings = Sequence {
                        cell,
                        activation,
                        reset,
                        directions,
                        pooling,
                        layers,
                        hidden: 5,
                        ..Sequence::default()
                    };
                    let name = format!("{settings:?}");
                    let program = Architecture::Sequence(settings).build(&regression()).unwrap();
                    check_ragged(&name, &program, seed);
                }
            }
        }
    }
}

#[test]
fn sequences_with_everything() {
    let heads = vec![
        head("class", 4, Loss::CrossEntropy { class_weights: vec![1.0, 2.0, 0.5, 1.0] }),
        head("labels", 3, Loss::BinaryCrossEntropy { positive_weight: vec![] }),
        head("quantiles", 2, Loss::Pinball { quantiles: vec![0.1, 0.9] }),
        head("value", 1, Loss::Huber { delta: 0.5 }),
    ];
    for (seed, pooling) in (100..).zip([Pooling::None, Pooling::Last, Pooling::Attention]) {
        for dropout_kind in [DropoutKind::Element, DropoutKind::Sequence] {
            let settings = Sequence {
                hidden: 17,
                layers: 3,
                directions: Directions::Both,
                dropout: 0.3,
                dropout_kind,
                normalise: NormaliseKind::Layer,
                pooling,
                embedding: 6,
                head_hidden: vec![7, 5],
                ..Sequence::default()
            };
            let interface = Interface {
                features: Features::Tokens { vocabulary: 9 },
                statics: 2,
                heads: heads.clone(),
                ..Interface::default()
            };
            let program = Architecture::Sequence(settings).build(&interface).unwrap();
            check_ragged("everything", &program, seed);
        }
    }
}

#[test]
fn random_small_sequences() {
    let mut draw = Draw::new(77);
    for case in 0..60 {
        let pick = |draw: &mut Draw, n: usize| draw.below(n);
        let settings = Sequence {
            cell: CELLS[pick(&mut draw, 6)],
            hidden: 1 + draw.below(36),
            layers: 1 + draw.below(2),
            directions: [Directions::Forward, Directions::Both][pick(&mut draw, 2)],
            normalise: [NormaliseKind::None, NormaliseKind::Layer][pick(&mut draw, 2)],
            pooling: [Pooling::None, Pooling::Last, Pooling::Mean][pick(&mut draw, 3)],
            ..Sequence::default()
        };
        let interface = Interface {
            features: Features::Numeric { width: 1 + draw.below(20) },
            statics: draw.below(3),
            ..regression()
        };
        let sequences = 1 + draw.below(9);
        let lengths: Vec<usize> = (0..sequences).map(|_| draw.below(7)).collect();
        let name = format!("case {case}: {settings:?}, {interface:?}, {lengths:?}");
        let program = Architecture::Sequence(settings).build(&interface).unwrap();
        check(&name, &program, &vec![lengths], sequences, case);
    }
}

#[test]
fn retain() {
    for (seed, features) in (200..).zip([
        Features::Bags { vocabulary: 8 },
        Features::Tokens { vocabulary: 8 },
        Features::Numeric { width: 4 },
    ]) {
        for cell in CELLS {
            let settings = Retain {
                cell,
                embedding: 6,
                alpha_hidden: 5,
                beta_hidden: 7,
                dropout: 0.2,
                initial: Initial::PyTorch,
            };
            let heads = vec![head("risk", 1, Loss::BinaryCrossEntropy { positive_weight: vec![] })];
            let interface = Interface { features, statics: 2, heads, ..Interface::default() };
            let program = Architecture::Retain(settings).build(&interface).unwrap();
            check_ragged("retain", &program, seed);
        }
    }
}

#[test]
fn encoder_decoders_that_feed_on_their_own_output() {
    let mut seed = 300;
    for cell in CELLS {
        for layers in [1, 2] {
            for horizon in [1, 2, 5] {
                seed += 1;
                let settings =
                    EncoderDecoder { cell, layers, hidden: 6, ..EncoderDecoder::default() };
                let interface = Interface { horizon, ..regression() };
                let program = Architecture::EncoderDecoder(settings).build(&interface).unwrap();
                check_ragged("encoder-decoder", &program, seed);
            }
        }
    }
}

#[test]
fn two_encoders_of_different_lengths() {
    let first = Stack { hidden: 5, directions: Directions::Both, ..Stack::default() };
    let second = Stack { cell: CellKind::Gru, hidden: 7, layers: 2, ..Stack::default() };
    let settings = TwoEncoder { first, second, head_hidden: vec![4], ..TwoEncoder::default() };
    let interface =
        Interface { second: Some(Features::Tokens { vocabulary: 6 }), statics: 1, ..regression() };
    let program = Architecture::TwoEncoder(settings).build(&interface).unwrap();
    let lengths = vec![vec![3, 0, 6, 1], vec![2, 5, 1, 0]];
    check("two encoders", &program, &lengths, 4, 400);
}

#[test]
fn settings_are_read_from_text_and_unknown_keys_refused() {
    let text = r#"{"kind": "sequence", "cell": "gru", "hidden": 12, "directions": "both",
        "reset": "before_product", "dropout_kind": "sequence", "initial": "py_torch"}"#;
    let Architecture::Sequence(settings) = serde_json::from_str(text).unwrap() else {
        panic!("another architecture")
    };
    assert_eq!((settings.cell, settings.hidden, settings.layers), (CellKind::Gru, 12, 1));
    for text in [
        r#"{"kind": "sequence", "hiden": 12}"#,
        r#"{"kind": "retain", "hidden": 12}"#,
        r#"{"kind": "encoder_decoder", "alpha": 12}"#,
        r#"{"kind": "two_encoder", "first": {"hiden": 12}}"#,
        r#"{"kind": "transformer"}"#,
    ] {
        assert!(serde_json::from_str::<Architecture>(text).is_err(), "{text}");
    }
}

#[test]
fn settings_that_make_no_network_are_refused() {
    let refused = |settings: Sequence, interface: &Interface| {
        let error = Architecture::Sequence(settings).build(interface).unwrap_err();
        assert!(matches!(error, Error::Configuration { .. } | Error::Limit { .. }), "{error}");
    };
    refused(Sequence { hidden: 0, ..Sequence::default() }, &regression());
    refused(Sequence { hidden: 1 << 40, ..Sequence::default() }, &regression());
    refused(Sequence { hidden: 50_000, ..Sequence::default() }, &regression());
    refused(Sequence { layers: 0, ..Sequence::default() }, &regression());
    refused(Sequence { dropout: 1.0, ..Sequence::default() }, &regression());
    refused(Sequence { head_hidden: vec![0], ..Sequence::default() }, &regression());
    refused(Sequence::default(), &Interface { heads: vec![], ..regression() });
    let decoder = Architecture::EncoderDecoder(EncoderDecoder::default());
    assert!(decoder.build(&Interface { horizon: 0, ..regression() }).is_err());
    assert!(Architecture::TwoEncoder(TwoEncoder::default()).build(&regression()).is_err());
    let zero = Interface { features: Features::Numeric { width: 0 }, ..regression() };
    assert!(Architecture::Sequence(Sequence::default()).build(&zero).is_err());
}
