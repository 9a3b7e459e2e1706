//! How far back each cell remembers: the adding problem and the copying problem, T steps long.
//!
//! ```text
//! cargo run --release --example memory                        a small run, some seconds
//! cargo run --release --example memory -- all                 every row of the table, an hour
//! cargo run --release --example memory -- adding lstm 200     one row of it
//! cargo run --release --example memory -- adding lstm 200 8000   the same after 8000 steps
//! cargo run --release --example memory -- all all 50 2000 3   rows of T = 50 from seed 3
//! cargo run --release --example memory -- draw < rows.md > memory.svg   a picture of such rows
//! ```
//!
//! Every row is one training, from seed 1 unless told otherwise: 2000 steps of Adam at 3e-3, gradients cut at norm 1, 32
//! new sequences in each step, others for each seed. The error is that on 1000 further sequences, the
//! same for all. The page `docs/guide/long-sequences.md` shows and explains the table.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]
#![allow(clippy::cast_possible_truncation, reason = "draws below a few hundred")]

mod draw;
mod problems;

use problems::Problem;
use sequela::kernels::Context;
use sequela::nn::{
    Architecture, Batch, Capacity, CellKind, Clip, Convention, Error, Gradients, Interface, Keep,
    Method, Optimiser, Parameters, Program, Runner, Sequence, Wanted,
};
use std::time::Instant;

/// Sequences of one step.
const BATCH: usize = 32;
/// Hidden units of a layer.
const HIDDEN: usize = 64;
const ADAM: Method =
    Method::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, convention: Convention::PyTorch };

/// Cells with their layers: units that do not meet each other inside a layer meet in the next.
const CELLS: [(&str, CellKind, usize); 6] = [
    ("elman", CellKind::Elman, 1),
    ("lstm", CellKind::Lstm, 1),
    ("gru", CellKind::Gru, 1),
    ("min_gru", CellKind::MinGru, 2),
    ("min_lstm", CellKind::MinLstm, 2),
    ("lru", CellKind::Lru, 2),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words == ["draw"] {
        let svg = draw::picture(std::io::stdin().lines())?;
        print!("{svg}");
        return Ok(());
    }
    println!("| problem | cell | layers | weights | T | error | without memory | seed | seconds |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let (problems, steps, lengths) = match words[..] {
        [] => (&[Problem::Adding][..], 300, &[20][..]),
        _ => (&Problem::ALL[..], 2000, &[50, 200, 500, 1000][..]),
    };
    let steps = words.get(3).map_or(Ok(steps), |word| word.parse())?;
    let seed = words.get(4).map_or(Ok(1), |word| word.parse())?;
    let wanted =
        |place: usize, name: &str| words.get(place).is_none_or(|word| ["all", name].contains(word));
    for &problem in problems.iter().filter(|problem| wanted(0, problem.name())) {
        for (name, cell, layers) in CELLS.into_iter().filter(|(name, ..)| wanted(1, name)) {
            for &length in lengths.iter().filter(|length| wanted(2, &length.to_string())) {
                let start = Instant::now();
                let (error, weights) = train((problem, length), (cell, layers), steps, seed)?;
                println!(
                    "| {} | {name} | {layers} | {weights} | {length} | {error:.4} | {:.4} | {seed} | {:.0} |",
                    problem.name(),
                    problem.without_memory(),
                    start.elapsed().as_secs_f64(),
                );
            }
        }
    }
    Ok(())
}

/// Trains one network; its error on sequences that it has not seen, and how many weights it has.
fn train(
    (problem, length): (Problem, usize),
    (cell, layers): (CellKind, usize),
    steps: u64,
    seed: u64,
) -> Result<(f64, usize), Error> {
    let network = Sequence {
        cell,
        layers,
        hidden: HIDDEN,
        pooling: problem.pooling(),
        ..Sequence::default()
    };
    let program = Architecture::Sequence(network).build(&Interface {
        features: problem.features(),
        heads: vec![problem.head()],
        ..Interface::default()
    })?;
    let capacity = Capacity::uniform(&program, BATCH, BATCH * problem.steps(length));
    let mut context = Context::new(1)?;
    let mut parameters = Parameters::new(&program, seed)?;
    let mut gradients = Gradients::new(&parameters);
    let mut optimiser = Optimiser::new(ADAM, &parameters)?;
    let mut runner = Runner::new(&program, &capacity, &Keep::Gradients(vec![Wanted::Parameters]))?;
    let mut batch = Batch::new(&program, &capacity)?;
    let first = seed.saturating_sub(1) << 41;
    for step in first..first + steps {
        problem.fill(&program, &mut batch, (length, BATCH), step)?;
        runner.train(&mut context, &parameters, &batch, &mut gradients)?;
        gradients.clip(&mut context, Clip::Norm(1.0));
        optimiser.update(&mut context, &mut parameters, &gradients, 3e-3)?;
    }
    let error = test(&program, problem, length, &mut runner, &mut context, &parameters)?;
    Ok((error, parameters.count()))
}

fn test(
    program: &Program,
    problem: Problem,
    length: usize,
    runner: &mut Runner,
    context: &mut Context,
    parameters: &Parameters,
) -> Result<f64, Error> {
    let capacity = Capacity::uniform(program, BATCH, BATCH * problem.steps(length));
    let mut batch = Batch::new(program, &capacity)?;
    let batches = 1000_u64.div_ceil(BATCH as u64);
    let mut sum = 0.0;
    for number in 0..batches {
        problem.fill(program, &mut batch, (length, BATCH), (1 << 40) + number)?;
        runner.forward(context, parameters, &batch)?;
        sum += runner.loss(&batch)?;
    }
    Ok(sum / batches as f64)
}
