//! Programs drawn at random: whatever is put together, the planner gives the reference's numbers.
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
    Activate, Add, Builder, Concatenate, Dropout, DropoutKind, FinalState, Initial, LayoutId,
    Linear, Loss, LossTerm, Multiply, Normalise, Param, ParamKind, ParamSpec, Pool, PoolKind,
    Program, Recurrent, Reverse, Rows, Scalar, ScaleGradient, Select, Shift, Slice, SoftmaxSteps,
    Spread, Value,
};
use support::{Draw, check};

/// A program that is growing, with the rows of its values.
struct Garden {
    builder: Builder,
    layouts: Vec<LayoutId>,
    values: Vec<(Value, Rows)>,
    recurrent: Vec<(Value, Cell)>,
    params: Vec<Param>,
    draw: Draw,
    names: usize,
}

impl Garden {
    fn any(&mut self) -> (Value, Rows) {
        let at = self.draw.below(self.values.len());
        self.values[at]
    }

    /// Some value of this form, made to fit by a linear layer.
    fn fitting(&mut self, rows: Rows, width: usize) -> Value {
        let fits: Vec<Value> = self
            .values
            .iter()
            .filter(|(_, found)| *found == rows)
            .map(|(value, _)| *value)
            .collect();
        let value = fits[self.draw.below(fits.len())];
        if self.builder.width(value) == width { value } else { self.linear(value, width) }
    }

    fn param(&mut self, kind: ParamKind) -> Param {
        self.names += 1;
        let name = format!("p{}", self.names);
        self.builder.param(ParamSpec { name, kind, initial: Initial::Keras })
    }

    fn linear(&mut self, x: Value, outputs: usize) -> Value {
        let inputs = self.builder.width(x);
        let param = self.param(ParamKind::Linear { inputs, outputs, bias: Bias::Trained });
        self.params.push(param);
        self.builder.add(Linear { param }, &[x]).unwrap()
    }

    fn recurrent(&mut self, x: Value, rows: Rows) -> Value {
        let cells = [
            Cell::Elman(Activation::Tanh),
            Cell::Lstm,
            Cell::Gru(Reset::AfterProduct),
            Cell::Gru(Reset::BeforeProduct),
            Cell::MinGru,
            Cell::MinLstm,
            Cell::Lru,
        ];
        let cell = cells[self.draw.below(cells.len())];
        let direction = [Direction::Forward, Direction::Reverse][self.draw.below(2)];
        let (inputs, hidden) = (self.builder.width(x), 1 + self.draw.below(20));
        let kind = ParamKind::Recurrent { cell, direction, inputs, hidden, layer: 0 };
        let param = self.param(kind);
        let mut all = vec![x];
        if rows == Rows::Sequences || self.draw.chance(0.3) {
            all.push(self.fitting(Rows::Sequences, hidden));
            if cell.has_cell_state() && self.draw.chance(0.5) {
                all.push(self.fitting(Rows::Sequences, hidden));
            }
        }
        let h = self.builder.add(Recurrent { param }, &all).unwrap();
        self.recurrent.push((h, cell));
        h
    }

    /// One more operation.
    fn grow(&mut self) {
        let (x, rows) = self.any();
        let width = self.builder.width(x);
        let by_step = rows != Rows::Sequences;
        let b = &mut self.builder;
        let (value, rows) = match self.draw.below(18) {
            0 => {
                let outputs = 1 + self.draw.below(35);
                (self.linear(x, outputs), rows)
            }
            1 => {
                let kinds = [Activation::Tanh, Activation::Sigmoid, Activation::Softplus];
                (b.add(Activate { kind: kinds[self.draw.below(3)] }, &[x]).unwrap(), rows)
            }
            2 => {
                let y = self.fitting(rows, width);
                (self.builder.add(Add {}, &[x, y, x]).unwrap(), rows)
            }
            3 => {
                let wide = [1, width][self.draw.below(2)];
                let y = self.fitting(rows, wide);
                (self.builder.add(Multiply {}, &[x, y]).unwrap(), rows)
            }
            4 => {
                let y = self.fitting(rows, width);
                let names = format!("mask{}", self.values.len());
                let mask = self.builder.input(&names, rows, 1).unwrap();
                (self.builder.add(Select {}, &[mask, x, y]).unwrap(), rows)
            }
            5 => {
                let param = self.param(ParamKind::Normalise { width });
                // Rows of one or two values have a variance of almost nothing.
                (self.builder.add(Normalise { param, epsilon: 0.1 }, &[x]).unwrap(), rows)
            }
            6 => {
                let kind = [DropoutKind::Element, DropoutKind::Sequence][self.draw.below(2)];
                (b.add(Dropout { rate: 0.3, kind }, &[x]).unwrap(), rows)
            }
            7 if width < 60 => {
                let y = self.fitting(rows, width);
                (self.builder.add(Concatenate {}, &[x, y]).unwrap(), rows)
            }
            8 => {
                let start = self.draw.below(width);
                let end = start + 1 + self.draw.below(width - start);
                (b.add(Slice { start, end }, &[x]).unwrap(), rows)
            }
            9 => {
                let scale = Scalar::Fixed(self.draw.uniform());
                (b.add(ScaleGradient { scale }, &[x]).unwrap(), rows)
            }
            10..=12 => (self.recurrent(x, rows), rows),
            13 if !self.recurrent.is_empty() => {
                let (h, cell) = self.recurrent[self.draw.below(self.recurrent.len())];
                let both = [StatePart::Hidden, StatePart::Cell];
                let part = both[if cell.has_cell_state() { self.draw.below(2) } else { 0 }];
                (b.add(FinalState { part }, &[h]).unwrap(), Rows::Sequences)
            }
            14 if by_step => (b.add(SoftmaxSteps {}, &[x]).unwrap(), rows),
            15 if by_step => {
                let kinds = [PoolKind::Last, PoolKind::Mean, PoolKind::Sum, PoolKind::Max];
                let kind = kinds[self.draw.below(4)];
                (b.add(Pool { kind }, &[x]).unwrap(), Rows::Sequences)
            }
            16 if by_step => {
                let by = i32::try_from(self.draw.below(7)).unwrap() - 3;
                (b.add(Shift { by }, &[x]).unwrap(), rows)
            }
            17 if by_step => (b.add(Reverse {}, &[x]).unwrap(), rows),
            _ if !by_step => {
                let layout = self.layouts[self.draw.below(self.layouts.len())];
                (b.add(Spread { layout }, &[x]).unwrap(), Rows::Steps(layout))
            }
            _ => return,
        };
        self.values.push((value, rows));
    }

    /// Some losses and outputs on what has grown.
    fn finish(mut self) -> Program {
        for index in 0..2 + self.draw.below(3) {
            let (x, rows) =
                if index == 0 { self.values[self.values.len() - 1] } else { self.any() };
            let width = self.builder.width(x);
            let target = self.builder.input(&format!("target{index}"), rows, width).unwrap();
            let kind = if self.draw.chance(0.5) { Loss::Dot } else { Loss::MeanSquared };
            let scale = Scalar::Fixed(0.5);
            self.builder.loss(LossTerm { kind, prediction: x, target, weight: None, scale });
            if self.draw.chance(0.6) {
                let (x, _) = self.any();
                self.builder.output(&format!("y{index}"), x);
            }
        }
        self.builder.finish().unwrap()
    }
}

fn random_program(seed: u64) -> Program {
    let mut builder = Builder::new();
    let layouts = vec![builder.layout("steps"), builder.layout("others")];
    let mut values = Vec::new();
    let forms = [Rows::Steps(layouts[0]), Rows::Steps(layouts[1]), Rows::Sequences];
    for (index, rows) in forms.into_iter().enumerate() {
        values.push((builder.input(&format!("x{index}"), rows, 2 + index).unwrap(), rows));
    }
    let (recurrent, params) = (Vec::new(), Vec::new());
    let draw = Draw::new(seed);
    let mut garden = Garden { builder, layouts, values, recurrent, params, draw, names: 0 };
    for _ in 0..4 + garden.draw.below(12) {
        garden.grow();
    }
    garden.finish()
}

#[test]
fn the_planner_is_right_whatever_the_program() {
    for seed in 0..150 {
        let program = random_program(seed);
        let lengths = vec![vec![2, 0, 5, 1], vec![3, 4, 0, 1]];
        check(&format!("program {seed}: {:?}", program.nodes()), &program, &lengths, 4, seed);
    }
}
