//! The two problems, as batches that are a function of a number.

use sequela::core::Random;
use sequela::nn::{Batch, Error, Features, Head, Loss, Pooling, Program};

/// Symbols that are to be remembered, and how many of them.
const SYMBOLS: u64 = 8;
const COPIED: usize = 10;
/// The symbols for "nothing" and "now".
const BLANK: usize = 8;
const GO: usize = 9;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Two of T numbers in [0, 1) are marked, one in each half; their sum is asked for at the end
    /// (Hochreiter and Schmidhuber 1997). The error is the mean square.
    Adding,
    /// Ten symbols out of eight, T blanks, a signal, then the ten are to be said again (Arjovsky,
    /// Shah and Bengio 2016). The error is the cross-entropy of those ten.
    Copying,
}

impl Problem {
    pub(crate) const ALL: [Self; 2] = [Self::Adding, Self::Copying];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Adding => "adding",
            Self::Copying => "copying",
        }
    }

    /// The error of one who knows the rules but remembers nothing: the variance of the sum, the
    /// entropy of a symbol.
    pub(crate) fn without_memory(self) -> f64 {
        match self {
            Self::Adding => 1.0 / 6.0,
            Self::Copying => libm::log(SYMBOLS as f64),
        }
    }

    /// Steps of a sequence of length T.
    pub(crate) fn steps(self, length: usize) -> usize {
        match self {
            Self::Adding => length,
            Self::Copying => length + 2 * COPIED,
        }
    }

    pub(crate) fn features(self) -> Features {
        match self {
            Self::Adding => Features::Numeric { width: 2 },
            Self::Copying => Features::Numeric { width: 10 },
        }
    }

    pub(crate) fn pooling(self) -> Pooling {
        match self {
            Self::Adding => Pooling::Last,
            Self::Copying => Pooling::None,
        }
    }

    pub(crate) fn head(self) -> Head {
        let (outputs, loss) = match self {
            Self::Adding => (1, Loss::MeanSquared),
            Self::Copying => (SYMBOLS as usize, Loss::CrossEntropy { class_weights: vec![] }),
        };
        Head { name: "answer".to_owned(), outputs, loss }
    }

    /// Writes `sequences` sequences of length T that follow from `number`.
    pub(crate) fn fill(
        self,
        program: &Program,
        batch: &mut Batch,
        (length, sequences): (usize, usize),
        number: u64,
    ) -> Result<(), Error> {
        let steps = self.steps(length);
        if let Some(layout) = program.layout("steps") {
            batch.set_lengths(layout, &vec![steps; sequences])?;
        }
        let ports = ["x", "target.answer", "weight.answer"].map(|name| program.input(name));
        let [Some(x), Some(target), Some(weight)] = ports else { return Ok(()) };
        for b in 0..sequences {
            let random = Random::new(number, b as u64);
            let (inputs, targets, weights) = match self {
                Self::Adding => adding(&random, length),
                Self::Copying => copying(&random, steps),
            };
            batch.write(x, b, &inputs)?;
            batch.write(target, b, &targets)?;
            batch.write(weight, b, &weights)?;
        }
        Ok(())
    }
}

/// Inputs, targets and weights of one sequence.
type Written = (Vec<f32>, Vec<f32>, Vec<f32>);

#[allow(clippy::cast_possible_truncation, reason = "numbers in [0, 1) are kept in f32")]
fn adding(random: &Random, length: usize) -> Written {
    let half = length / 2;
    let draw = |at: u64, below: usize| random.below(at, below as u64) as usize;
    let marked = [draw(0, half), half + draw(1, length - half)];
    let value = |t: usize| random.uniform(2 + t as u64) as f32;
    let x = (0..length).flat_map(|t| [value(t), f32::from(u8::from(marked.contains(&t)))]);
    (x.collect(), vec![value(marked[0]) + value(marked[1])], vec![1.0])
}

fn copying(random: &Random, steps: usize) -> Written {
    let symbols: Vec<usize> =
        (0..COPIED as u64).map(|at| random.below(at, SYMBOLS) as usize).collect();
    let asked = steps - COPIED;
    let shown = |t: usize| match t {
        t if t < COPIED => symbols[t],
        t if t + 1 == asked => GO,
        _ => BLANK,
    };
    let x = (0..steps).flat_map(|t| (0..10).map(move |k| (t, k)));
    let x = x.map(|(t, k)| f32::from(u8::from(shown(t) == k))).collect();
    let said = |t: usize| t.checked_sub(asked).map_or(0.0, |at| symbols[at] as f32);
    let weight = |t: usize| f32::from(u8::from(t >= asked));
    (x, (0..steps).map(said).collect(), (0..steps).map(weight).collect())
}
