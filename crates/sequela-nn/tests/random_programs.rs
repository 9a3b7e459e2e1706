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
    Activate, Add, Builder, Combine, Concatenate, Constant, Dropout, DropoutKind, Embedding,
    FinalState, Initial, LayoutId, Linear, Loss, LossTerm, Multiply, Node, Normalise, Op, Param,
    ParamKind, ParamSpec, Pool, PoolKind, Program, Recurrent, Reverse, Rows, Scalar, ScaleGradient,
    Select, Shift, Slice, SoftmaxSteps, Spread, Value,
};
use support::{Draw, check};

const CELLS: [Cell; 9] = [
    Cell::Elman(Activation::Tanh),
    Cell::Lstm,
    Cell::Gru(Reset::AfterProduct),
    Cell::Gru(Reset::BeforeProduct),
    Cell::GruD(Reset::AfterProduct),
    Cell::GruD(Reset::BeforeProduct),
    Cell::MinGru,
    Cell::MinLstm,
    Cell::Lru,
];
const PROGRAMS: u64 = 1500;

/// A program that is growing, with the rows of its values.
struct Garden {
    builder: Builder,
    layouts: Vec<LayoutId>,
    values: Vec<(Value, Rows)>,
    recurrent: Vec<(Value, Cell)>,
    params: Vec<(Param, ParamKind)>,
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
        let param = self.builder.param(ParamSpec { name, kind, initial: Initial::Keras });
        self.params.push((param, kind));
        param
    }

    /// Now and then weights that are in use already.
    fn shared(&mut self, fits: impl Fn(&ParamKind) -> bool) -> Option<(Param, ParamKind)> {
        let found: Vec<_> = self.params.iter().filter(|(_, kind)| fits(kind)).copied().collect();
        let share = !found.is_empty() && self.draw.chance(0.6);
        share.then(|| found[self.draw.below(found.len())])
    }

    fn linear(&mut self, x: Value, outputs: usize) -> Value {
        let inputs = self.builder.width(x);
        let kind = ParamKind::Linear { inputs, outputs, bias: Bias::Trained };
        let shared = self.shared(|found| *found == kind);
        let param = shared.map_or_else(|| self.param(kind), |(param, _)| param);
        self.builder.add(Linear { param }, &[x]).unwrap()
    }

    /// One symbol or a bag of symbols for each row, of steps or sequences.
    fn embedding(&mut self) -> (Value, Rows) {
        let forms = [Rows::Steps(self.layouts[0]), Rows::Steps(self.layouts[1]), Rows::Sequences];
        let rows = forms[self.draw.below(3)];
        let vocabulary = 3 + self.draw.below(5);
        let fits =
            |kind: &ParamKind| matches!(kind, ParamKind::Table { rows, .. } if *rows >= vocabulary);
        let width = 1 + self.draw.below(20);
        let shared = self.shared(fits);
        let param = shared.map_or_else(
            || self.param(ParamKind::Table { rows: vocabulary, width }),
            |(param, _)| param,
        );
        let name = format!("{}{}", ["ids", "bags"][self.draw.below(2)], self.values.len());
        let ids = self.builder.ids(&name, rows, vocabulary);
        let combine = [Combine::Sum, Combine::Mean][self.draw.below(2)];
        (self.builder.add(Embedding { param, ids, combine }, &[]).unwrap(), rows)
    }

    fn recurrent(&mut self, x: Value, rows: Rows) -> Value {
        let cell = CELLS[self.draw.below(CELLS.len())];
        let direction = [Direction::Forward, Direction::Reverse][self.draw.below(2)];
        let (inputs, hidden) = (self.builder.width(x), 1 + self.draw.below(20));
        let fits = |kind: &ParamKind| matches!(kind, ParamKind::Recurrent { inputs: found, .. } if *found == inputs);
        let shared = self.shared(fits);
        let (param, cell, hidden) =
            if let Some((param, ParamKind::Recurrent { cell, hidden, .. })) = shared {
                (param, cell, hidden)
            } else {
                let kind = ParamKind::Recurrent { cell, direction, inputs, hidden, layer: 0 };
                (self.param(kind), cell, hidden)
            };
        let mut all = vec![x];
        if cell.fades() {
            let decay = self.fitting(rows, hidden);
            let fade = Activate { kind: Activation::Decay };
            all.push(self.builder.add(fade, &[decay]).unwrap());
        }
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
        let (value, rows) = match self.draw.below(20) {
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
                let kind = ParamKind::Normalise { width };
                let shared = self.shared(|found| *found == kind);
                let param = shared.map_or_else(|| self.param(kind), |(param, _)| param);
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
            18 => self.embedding(),
            19 => {
                let value = self.draw.uniform();
                let width = [1, width][self.draw.below(2)];
                (b.add(Constant { value, rows, width }, &[]).unwrap(), rows)
            }
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
            let weight = self.draw.chance(0.3).then(|| {
                let wide = [1, width][self.draw.below(2)];
                self.builder.input(&format!("weight{index}"), rows, wide).unwrap()
            });
            self.builder.loss(LossTerm { kind, prediction: x, target, weight, scale });
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

/// How often the drawn programs have what is looked for.
fn count(programs: &[Program], found: impl Fn(&Program) -> bool) -> usize {
    programs.iter().filter(|program| found(program)).count()
}

/// Whether some weights are used by several nodes.
fn shares(program: &Program) -> bool {
    let param = |node: &Node| match node.op {
        Op::Linear(Linear { param })
        | Op::Recurrent(Recurrent { param })
        | Op::Normalise(Normalise { param, .. })
        | Op::Embedding(Embedding { param, .. }) => Some(param.index()),
        _ => None,
    };
    let mut used: Vec<usize> = program.nodes().iter().filter_map(param).collect();
    let all = used.len();
    used.sort_unstable();
    used.dedup();
    used.len() < all
}

#[test]
fn everything_is_drawn() {
    let programs: Vec<Program> = (0..PROGRAMS).map(random_program).collect();
    let has = |op: fn(&Op) -> bool| {
        count(&programs, |program| program.nodes().iter().any(|node| op(&node.op)))
    };
    assert!(has(|op| matches!(op, Op::Embedding(_))) > 20);
    assert!(has(|op| matches!(op, Op::Constant(_))) > 20);
    assert!(
        count(&programs, |program| program.inputs().iter().any(|i| i.name.starts_with("bags")))
            > 10
    );
    assert!(count(&programs, shares) > 30);
    let given = |program: &Program| {
        let mut nodes = program.nodes().iter();
        nodes.any(|node| matches!(node.op, Op::Recurrent(_)) && node.inputs.len() > 1)
    };
    assert!(count(&programs, given) > 30, "initial states");
    for cell in CELLS {
        let with = |program: &Program| {
            let mut kinds = program.params().iter().map(|spec| spec.kind);
            kinds.any(
                |kind| matches!(kind, ParamKind::Recurrent { cell: found, .. } if found == cell),
            )
        };
        assert!(count(&programs, with) > 10, "{cell:?}");
    }
}

#[test]
fn the_planner_is_right_whatever_the_program() {
    for seed in 0..PROGRAMS {
        let program = random_program(seed);
        let lengths = vec![vec![2, 0, 5, 1], vec![3, 4, 0, 1]];
        check(&format!("program {seed}: {:?}", program.nodes()), &program, &lengths, 4, seed);
    }
}
