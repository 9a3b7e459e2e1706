//! Every operation against the reference: outputs and gradients, ragged, with empty sequences.
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
use sequela_nn::{
    Activate, Add, Builder, Combine, Concatenate, Constant, Diagonal, Dropout, DropoutKind,
    Embedding, Error, FinalState, Impute, Initial, LayoutId, Linear, Loss, LossTerm, Multiply,
    Normalise, Param, ParamKind, ParamSpec, Pool, PoolKind, Recurrent, Reverse, Rows, Scalar,
    ScaleGradient, Select, Shift, Slice, SoftmaxSteps, Spread, Value,
};
use support::check;

const RAGGED: [usize; 6] = [3, 0, 5, 1, 5, 2];

/// A program of steps `x` of this width; `make` turns it into what is compared and judged.
fn steps(
    name: &str,
    width: usize,
    make: impl Fn(&mut Builder, LayoutId, Value) -> Result<Value, Error>,
) {
    let mut builder = Builder::new();
    let layout = builder.layout("steps");
    let x = builder.input("x", Rows::Steps(layout), width).unwrap();
    let y = make(&mut builder, layout, x).unwrap();
    finish(name, builder, y);
}

/// Judges `y` by a random linear function of it, and checks the program.
fn finish(name: &str, mut builder: Builder, y: Value) {
    let width = builder.width(y);
    // A product with an input tells rows and columns apart.
    let rows = if name.starts_with("sequences") {
        Rows::Sequences
    } else {
        Rows::Steps(serde_json::from_str("0").unwrap())
    };
    let target = builder.input("target", rows, width).unwrap();
    builder.output("y", y);
    builder.loss(dot(y, target));
    let program = builder.finish().unwrap();
    let text = serde_json::to_string(&program).unwrap();
    assert_eq!(
        serde_json::from_str::<sequela_nn::Program>(&text).unwrap(),
        program,
        "{name}: serde"
    );
    check(name, &program, &vec![RAGGED.to_vec(); program.layouts().len()], RAGGED.len(), 7);
}

fn dot(prediction: Value, target: Value) -> LossTerm {
    LossTerm { kind: Loss::Dot, prediction, target, weight: None, scale: Scalar::Fixed(1.0) }
}

fn param(builder: &mut Builder, name: &str, kind: ParamKind) -> Param {
    builder.param(ParamSpec { name: name.into(), kind, initial: Initial::Keras })
}

fn linear(builder: &mut Builder, name: &str, x: Value, outputs: usize) -> Value {
    let kind = ParamKind::Linear { inputs: builder.width(x), outputs, bias: Bias::Trained };
    let param = param(builder, name, kind);
    builder.add(Linear { param }, &[x]).unwrap()
}

#[test]
fn linear_with_and_without_bias() {
    steps("linear", 5, |b, _, x| Ok(linear(b, "a", x, 19)));
    steps("linear without bias", 5, |b, _, x| {
        let param = param(b, "a", ParamKind::Linear { inputs: 5, outputs: 3, bias: Bias::Absent });
        b.add(Linear { param }, &[x])
    });
}

#[test]
fn one_parameter_used_twice_gathers_both_gradients() {
    steps("shared", 4, |b, _, x| {
        let param = param(b, "a", ParamKind::Linear { inputs: 4, outputs: 4, bias: Bias::Trained });
        let y = b.add(Linear { param }, &[x])?;
        b.add(Linear { param }, &[y])
    });
}

#[test]
fn activations() {
    for kind in [
        Activation::Identity,
        Activation::Tanh,
        Activation::Relu,
        Activation::Sigmoid,
        Activation::Softplus,
        Activation::Decay,
    ] {
        steps(&format!("{kind:?}"), 18, |b, _, x| {
            let y = linear(b, "a", x, 18);
            b.add(Activate { kind }, &[y])
        });
    }
}

#[test]
fn sums_and_products() {
    steps("add", 17, |b, _, x| {
        let y = linear(b, "a", x, 17);
        b.add(Add {}, &[x, y, x])
    });
    steps("multiply", 17, |b, _, x| {
        let y = linear(b, "a", x, 17);
        b.add(Multiply {}, &[x, y])
    });
    steps("square", 3, |b, _, x| b.add(Multiply {}, &[x, x]));
    steps("multiply rows", 17, |b, _, x| {
        let y = linear(b, "a", x, 1);
        b.add(Multiply {}, &[x, y])
    });
}

#[test]
fn choosing() {
    for width in [1, 4] {
        steps("select", 4, |b, layout, x| {
            let mask = b.input("mask", Rows::Steps(layout), width)?;
            let y = linear(b, "a", x, 4);
            b.add(Select {}, &[mask, x, y])
        });
    }
}

#[test]
fn a_weight_for_each_column() {
    for width in [1, 16, 21] {
        steps("diagonal", width, |b, _, x| {
            let param = param(b, "a", ParamKind::Diagonal { width });
            b.add(Diagonal { param }, &[x])
        });
    }
}

#[test]
fn last_values_that_fade() {
    steps("impute", 5, |b, layout, x| {
        let mask = b.input("mask", Rows::Steps(layout), 5)?;
        let decay = linear(b, "a", x, 5);
        let values = b.add(Slice { start: 0, end: 5 }, &[x])?;
        b.add(Impute {}, &[values, mask, decay])
    });
}

#[test]
fn columns() {
    steps("slice", 40, |b, _, x| b.add(Slice { start: 15, end: 37 }, &[x]));
    steps("concatenate", 5, |b, _, x| {
        let y = linear(b, "a", x, 18);
        b.add(Concatenate {}, &[x, y, x])
    });
}

#[test]
fn constants() {
    steps("constant", 3, |b, layout, x| {
        let rows = Rows::Steps(layout);
        let one = b.add(Constant { value: 1.5, rows, width: 3 }, &[])?;
        let y = b.add(Multiply {}, &[x, one])?;
        b.add(Add {}, &[y, one])
    });
}

#[test]
fn layer_norm() {
    for width in [1, 3, 16, 37] {
        steps("normalise", width, |b, _, x| {
            let param = param(b, "norm", ParamKind::Normalise { width });
            b.add(Normalise { param, epsilon: 1e-2 }, &[x])
        });
    }
}

#[test]
fn dropout_of_both_kinds() {
    for kind in [DropoutKind::Element, DropoutKind::Sequence] {
        steps(&format!("dropout {kind:?}"), 21, |b, _, x| b.add(Dropout { rate: 0.4, kind }, &[x]));
    }
}

#[test]
fn scaled_gradients() {
    for scale in [0.0, -0.5, 1.0] {
        steps("scale gradient", 3, |b, _, x| {
            let y = linear(b, "a", x, 3);
            let y = b.add(ScaleGradient { scale: Scalar::Fixed(scale) }, &[y])?;
            b.add(Add {}, &[x, y])
        });
    }
}

#[test]
fn along_the_steps() {
    steps("softmax", 3, |b, _, x| b.add(SoftmaxSteps {}, &[x]));
    steps("reverse", 3, |b, _, x| {
        let y = b.add(Reverse {}, &[x])?;
        b.add(Add {}, &[x, y])
    });
    for by in [-7, -2, -1, 0, 1, 3, 9] {
        steps(&format!("shift {by}"), 3, |b, _, x| {
            let y = b.add(Shift { by }, &[x])?;
            b.add(Multiply {}, &[x, y])
        });
    }
}

#[test]
fn pooling_and_spreading() {
    for kind in [PoolKind::Last, PoolKind::Mean, PoolKind::Max, PoolKind::Sum] {
        steps(&format!("sequences: {kind:?}"), 18, |b, _, x| b.add(Pool { kind }, &[x]));
        steps(&format!("spread {kind:?}"), 3, |b, layout, x| {
            let pooled = b.add(Pool { kind }, &[x])?;
            let spread = b.add(Spread { layout }, &[pooled])?;
            b.add(Multiply {}, &[x, spread])
        });
    }
}

#[test]
fn embeddings_of_symbols() {
    let mut builder = Builder::new();
    let layout = builder.layout("steps");
    let ids = builder.ids("ids", Rows::Steps(layout), 5);
    let table = param(&mut builder, "table", ParamKind::Table { rows: 6, width: 18 });
    let y = builder.add(Embedding { param: table, ids, combine: Combine::Mean }, &[]).unwrap();
    finish("embedding", builder, y);
}

#[test]
fn embeddings_of_bags() {
    for combine in [Combine::Sum, Combine::Mean] {
        let mut builder = Builder::new();
        let ids = builder.ids("ids", Rows::Sequences, 5);
        let table = param(&mut builder, "table", ParamKind::Table { rows: 5, width: 3 });
        let y = builder.add(Embedding { param: table, ids, combine }, &[]).unwrap();
        let target = builder.input("target", Rows::Sequences, 3).unwrap();
        builder.output("y", y);
        builder.loss(dot(y, target));
        let program = builder.finish().unwrap();
        let parameters = support::random_parameters(&program, 1);
        let mut batch = support::random_batch(&program, &vec![], 4, 2);
        batch.set_bags(ids, &[0, 2, 2, 5, 6], &[1, 4, 0, 0, 3, 2]).unwrap();
        support::check_batch("bags", &program, &parameters, &batch, &support::capacity(&vec![], 4));
        assert!(batch.set_bags(ids, &[0, 2, 2, 5, 7], &[1, 4, 0, 0, 3, 2]).is_err());
        assert!(batch.set_bags(ids, &[0, 2, 1, 5, 6], &[1, 4, 0, 0, 3, 2]).is_err());
        assert!(batch.set_bags(ids, &[0, 2, 2, 5, 6], &[1, 4, 0, 0, 3, 5]).is_err());
    }
}

const CELLS: [Cell; 10] = [
    Cell::Elman(Activation::Tanh),
    Cell::Elman(Activation::Relu),
    Cell::Elman(Activation::Sigmoid),
    Cell::Elman(Activation::Identity),
    Cell::Lstm,
    Cell::Gru(Reset::AfterProduct),
    Cell::Gru(Reset::BeforeProduct),
    Cell::MinGru,
    Cell::MinLstm,
    Cell::Lru,
];

fn recurrent(
    b: &mut Builder,
    cell: Cell,
    direction: Direction,
    inputs: usize,
    hidden: usize,
) -> Param {
    param(b, "rnn", ParamKind::Recurrent { cell, direction, inputs, hidden, layer: 0 })
}

#[test]
fn every_cell_in_both_directions() {
    for cell in CELLS {
        for direction in [Direction::Forward, Direction::Reverse] {
            for hidden in [1, 7, 16, 19] {
                steps(&format!("{cell:?} {direction:?} {hidden}"), 3, |b, _, x| {
                    let param = recurrent(b, cell, direction, 3, hidden);
                    b.add(Recurrent { param }, &[x])
                });
            }
        }
    }
}

#[test]
fn a_state_that_fades_in_both_directions() {
    for reset in [Reset::AfterProduct, Reset::BeforeProduct] {
        for direction in [Direction::Forward, Direction::Reverse] {
            for hidden in [1, 16, 19] {
                steps(&format!("{reset:?} {direction:?} {hidden}"), 3, |b, _, x| {
                    let decay = linear(b, "a", x, hidden);
                    let decay = b.add(Activate { kind: Activation::Decay }, &[decay])?;
                    let param = recurrent(b, Cell::GruD(reset), direction, 3, hidden);
                    assert!(b.add(Recurrent { param }, &[x]).is_err());
                    b.add(Recurrent { param }, &[x, decay])
                });
            }
        }
    }
}

#[test]
fn final_states_alone_and_beside_the_steps() {
    for cell in CELLS {
        for direction in [Direction::Forward, Direction::Reverse] {
            let parts: &[StatePart] = if cell.has_cell_state() {
                &[StatePart::Hidden, StatePart::Cell]
            } else {
                &[StatePart::Hidden]
            };
            for &part in parts {
                steps(&format!("sequences: {cell:?} {direction:?} {part:?}"), 3, |b, _, x| {
                    let param = recurrent(b, cell, direction, 3, 5);
                    let h = b.add(Recurrent { param }, &[x])?;
                    b.add(FinalState { part }, &[h])
                });
            }
            steps(&format!("{cell:?} {direction:?} all states"), 3, |b, layout, x| {
                let param = recurrent(b, cell, direction, 3, 5);
                let h = b.add(Recurrent { param }, &[x])?;
                let mut states = vec![b.add(Pool { kind: PoolKind::Last }, &[h])?];
                // The same state twice: both gradients have to arrive.
                for &part in parts.iter().chain(parts) {
                    states.push(b.add(FinalState { part }, &[h])?);
                }
                let sum = b.add(Concatenate {}, &states)?;
                let sum = linear(b, "a", sum, 5);
                let spread = b.add(Spread { layout }, &[sum])?;
                b.add(Multiply {}, &[h, spread])
            });
        }
    }
}

#[test]
fn initial_states() {
    for cell in CELLS {
        for direction in [Direction::Forward, Direction::Reverse] {
            steps(&format!("{cell:?} {direction:?} from a state"), 3, |b, _, x| {
                let h0 = b.input("h0", Rows::Sequences, 5)?;
                let mut inputs = vec![x, h0];
                if cell.has_cell_state() {
                    inputs.push(b.input("c0", Rows::Sequences, 5)?);
                }
                let param = recurrent(b, cell, direction, 3, 5);
                b.add(Recurrent { param }, &inputs)
            });
        }
    }
    steps("only h of an LSTM", 3, |b, _, x| {
        let h0 = b.input("h0", Rows::Sequences, 5)?;
        let param = recurrent(b, Cell::Lstm, Direction::Forward, 3, 5);
        b.add(Recurrent { param }, &[x, h0])
    });
}

#[test]
fn a_decoder_of_single_steps() {
    for cell in CELLS {
        let mut builder = Builder::new();
        let b = &mut builder;
        let x = b.input("x", Rows::Sequences, 3).unwrap();
        let h0 = b.input("h0", Rows::Sequences, 5).unwrap();
        let mut state = vec![h0];
        if cell.has_cell_state() {
            state.push(b.input("c0", Rows::Sequences, 5).unwrap());
        }
        let param = recurrent(b, cell, Direction::Forward, 3, 5);
        let outputs = b
            .unroll(3, state, |b, _, state| {
                let inputs = [&[x], state].concat();
                let h = b.add(Recurrent { param }, &inputs)?;
                let mut next = vec![b.add(FinalState { part: StatePart::Hidden }, &[h])?];
                if cell.has_cell_state() {
                    next.push(b.add(FinalState { part: StatePart::Cell }, &[h])?);
                }
                Ok((h, next))
            })
            .unwrap();
        let y = b.add(Concatenate {}, &outputs).unwrap();
        finish(&format!("sequences: {cell:?} decoder"), builder, y);
    }
}

#[test]
fn a_batch_of_empty_sequences_and_an_empty_batch() {
    let mut builder = Builder::new();
    let layout = builder.layout("steps");
    let x = builder.input("x", Rows::Steps(layout), 3).unwrap();
    let param = recurrent(&mut builder, Cell::Lstm, Direction::Forward, 3, 5);
    let h = builder.add(Recurrent { param }, &[x]).unwrap();
    let last = builder.add(Pool { kind: PoolKind::Last }, &[h]).unwrap();
    let y = linear(&mut builder, "a", last, 2);
    let target = builder.input("target", Rows::Sequences, 2).unwrap();
    builder.output("y", y);
    builder.loss(dot(y, target));
    let program = builder.finish().unwrap();
    check("empty sequences", &program, &vec![vec![0, 0]], 2, 3);
    check("empty batch", &program, &vec![vec![]], 0, 3);
    check("one of one", &program, &vec![vec![1]], 1, 3);
}

#[test]
fn shapes_that_do_not_fit_are_refused_with_the_node() {
    let mut b = Builder::new();
    let layout = b.layout("steps");
    let x = b.input("x", Rows::Steps(layout), 3).unwrap();
    let s = b.input("s", Rows::Sequences, 3).unwrap();
    let a = param(&mut b, "head", ParamKind::Linear { inputs: 4, outputs: 2, bias: Bias::Trained });
    let error = b.add(Linear { param: a }, &[x]).unwrap_err();
    assert_eq!(error.to_string(), "node 2 (linear head): takes rows of 4, not of 3");
    assert!(b.add(Add {}, &[x, s]).is_err());
    assert!(b.add(Multiply {}, &[x]).is_err());
    assert!(b.add(Slice { start: 2, end: 4 }, &[x]).is_err());
    assert!(b.add(SoftmaxSteps {}, &[s]).is_err());
    assert!(b.add(Pool { kind: PoolKind::Last }, &[s]).is_err());
    assert!(b.add(FinalState { part: StatePart::Hidden }, &[x]).is_err());
    assert!(b.add(Recurrent { param: a }, &[x]).is_err());
    assert!(b.add(Dropout { rate: 1.0, kind: DropoutKind::Element }, &[x]).is_err());
    let gru = recurrent(&mut b, Cell::Gru(Reset::AfterProduct), Direction::Forward, 3, 3);
    let h = b.add(Recurrent { param: gru }, &[x]).unwrap();
    assert!(b.add(FinalState { part: StatePart::Cell }, &[h]).is_err());
    assert!(b.add(Recurrent { param: gru }, &[x, s, s]).is_err());
    assert!(b.add(Recurrent { param: gru }, &[x, x]).is_err());
}
