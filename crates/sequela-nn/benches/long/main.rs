//! Sequences of many steps: time and memory of a training pass that keeps everything, of one
//! within a budget, and of truncated training.
//!
//! ```text
//! cargo bench -p sequela-nn --bench long                 all cases
//! cargo bench -p sequela-nn --bench long -- "time lstm"  those whose name contains this
//! ```
//!
//! Each line is one JSON object. `runner_mb` is what the runner holds (the test `allocations` counts
//! it on the heap), `batch_mb` the batch beside it, `rss_mb` the peak of a process of its own.
//! Passes of both kinds take turns in one process, so that a machine that slows down slows both.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark prints its figures and stops at what is wrong"
)]

use sequela_core::Random;
use sequela_kernels::Context;
use sequela_nn::{
    Architecture, Batch, Capacity, CellKind, Directions, Features, Gradients, Head, Interface,
    Keep, Loss, Parameters, Pooling, Program, Runner, Sequence, Wanted,
};
use std::process::Command;
use std::time::Instant;

/// One network and one length.
#[derive(Clone, Copy)]
struct Case {
    cell: CellKind,
    layers: usize,
    directions: Directions,
    pooling: Pooling,
    /// B, T, F, H.
    sizes: [usize; 4],
    threads: usize,
}

impl Case {
    fn name(&self) -> String {
        let [b, t, f, h] = self.sizes;
        let both = if self.directions == Directions::Both { "bi" } else { "" };
        let (cell, layers) = (format!("{:?}", self.cell).to_lowercase(), self.layers);
        let pooling = format!("{:?}", self.pooling).to_lowercase();
        format!("{both}{cell}{layers} {pooling} B{b} T{t} F{f} H{h} threads {}", self.threads)
    }

    fn program(&self) -> Program {
        let network = Sequence {
            cell: self.cell,
            layers: self.layers,
            directions: self.directions,
            pooling: self.pooling,
            hidden: self.sizes[3],
            ..Sequence::default()
        };
        let interface = Interface {
            features: Features::Numeric { width: self.sizes[2] },
            heads: vec![Head { name: "y".to_owned(), outputs: 1, loss: Loss::MeanSquared }],
            ..Interface::default()
        };
        Architecture::Sequence(network).build(&interface).unwrap()
    }

    fn batch(&self, program: &Program, steps: usize) -> Batch {
        let b = self.sizes[0];
        let capacity = Capacity::uniform(program, b, b * steps);
        let mut batch = Batch::new(program, &capacity).unwrap();
        batch.set_lengths(program.layout("steps").unwrap(), &vec![steps; b]).unwrap();
        for (at, spec) in program.inputs().iter().enumerate() {
            let random = Random::new(7, at as u64);
            let mut matrix = batch.input_mut(program.input(&spec.name).unwrap());
            let weight = spec.name.starts_with("weight");
            for row in 0..matrix.rows() {
                for (k, value) in matrix.row_mut(row).iter_mut().enumerate() {
                    let drawn = random.normal((row as u64) << 8 | k as u64) as f32;
                    *value = if weight { 1.0 } else { drawn };
                }
            }
        }
        batch
    }
}

/// A runner with all that a pass needs.
struct Trainer<'a> {
    runner: Runner,
    parameters: &'a Parameters,
    gradients: Gradients,
}

impl<'a> Trainer<'a> {
    fn new(
        case: &Case,
        program: &Program,
        steps: usize,
        parameters: &'a Parameters,
        bytes: Option<u64>,
    ) -> Self {
        let b = case.sizes[0];
        let wanted = vec![Wanted::Parameters];
        let keep = match bytes {
            Some(bytes) => Keep::Within { bytes, wanted },
            None => Keep::Gradients(wanted),
        };
        let runner =
            Runner::new(program, &Capacity::uniform(program, b, b * steps), &keep).unwrap();
        let gradients = Gradients::new(parameters);
        Self { runner, parameters, gradients }
    }

    fn pass(&mut self, context: &mut Context, batch: &Batch) -> f64 {
        let start = Instant::now();
        let loss = self.runner.train(context, self.parameters, batch, &mut self.gradients);
        assert!(loss.unwrap().is_finite());
        start.elapsed().as_secs_f64()
    }
}

/// Passes that keep everything and passes within a share of that, in turns.
fn time(case: &Case, share: f64) {
    let program = case.program();
    let parameters = Parameters::new(&program, 0).unwrap();
    let mut context = Context::new(case.threads).unwrap();
    let steps = case.sizes[1];
    let batch = case.batch(&program, steps);
    let batch_bytes = Batch::bytes_for(
        &program,
        &Capacity::uniform(&program, case.sizes[0], case.sizes[0] * steps),
    );
    let mut whole = Trainer::new(case, &program, steps, &parameters, None);
    let budget = (share * (whole.runner.bytes() as usize + batch_bytes) as f64) as u64;
    let mut within = Trainer::new(case, &program, steps, &parameters, Some(budget));
    let (mut all, mut cut) = (Vec::new(), Vec::new());
    let repeats = std::env::var("BENCH_N").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    for repeat in 0..=repeats {
        let seconds = [whole.pass(&mut context, &batch), within.pass(&mut context, &batch)];
        assert_eq!(whole.gradients.flat(), within.gradients.flat());
        // The first pass touches fresh pages.
        if repeat > 0 {
            all.push(seconds[0]);
            cut.push(seconds[1]);
        }
    }
    for values in [&mut all, &mut cut] {
        values.sort_by(f64::total_cmp);
    }
    let (middle, least) = (all.len() / 2, 0);
    println!(
        "{{\"bench\": \"time {}\", \"share\": {share}, \"whole_s\": {:.4}, \"within_s\": {:.4}, \"ratio\": {:.3}, \"ratio_of_least\": {:.3}, \"pieces\": {}, \"whole_runner_mb\": {:.1}, \"within_runner_mb\": {:.1}, \"batch_mb\": {:.1}, \"n\": {repeats}}}",
        case.name(),
        all[middle],
        cut[middle],
        cut[middle] / all[middle],
        cut[least] / all[least],
        within.runner.pieces(),
        megabytes(whole.runner.bytes() as usize),
        megabytes(within.runner.bytes() as usize),
        megabytes(batch_bytes),
    );
}

/// What a process of its own takes for a few passes: everything kept (0), a budget in MB, or
/// truncated training with pieces of so many steps (negative).
fn memory(case: &Case, what: i64) {
    let program = case.program();
    let parameters = Parameters::new(&program, 0).unwrap();
    let mut context = Context::new(case.threads).unwrap();
    let truncated = usize::try_from(-what).ok().filter(|&steps| steps > 0);
    let steps = truncated.unwrap_or(case.sizes[1]);
    let budget = (what > 0).then(|| u64::try_from(what).unwrap() << 20);
    let batch = case.batch(&program, steps);
    let mut trainer = Trainer::new(case, &program, steps, &parameters, budget);
    let mut seconds = 0.0;
    for _ in 0..case.sizes[1] / steps {
        seconds += trainer.pass(&mut context, &batch);
        if truncated.is_some() {
            trainer.runner.carry_states().unwrap();
        }
    }
    let batch = Batch::bytes_for(
        &program,
        &Capacity::uniform(&program, case.sizes[0], case.sizes[0] * steps),
    );
    println!("{} {batch} {seconds} {}", trainer.runner.bytes(), trainer.runner.pieces());
}

fn memory_of(case: &Case, at: usize, what: i64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .env("BENCH_CHILD", format!("{at} {what}"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let kind = match what {
        0 => "everything kept".to_owned(),
        1.. => format!("budget {what} MiB"),
        _ => format!("pieces of {} steps", -what),
    };
    println!(
        "{{\"bench\": \"memory {}\", \"kind\": \"{kind}\", \"pieces\": {}, \"seconds\": {:.3}, \"runner_mb\": {:.1}, \"batch_mb\": {:.1}, \"rss_mb\": {:.1}}}",
        case.name(),
        numbers[3],
        numbers[2],
        numbers[0] / 1_048_576.0,
        numbers[1] / 1_048_576.0,
        numbers[4] / 1024.0,
    );
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// Kilobytes that this process has had in memory at most.
fn peak_kilobytes() -> u64 {
    #[allow(clippy::disallowed_methods, reason = "a file of the kernel's")]
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

const LONG: Case = Case {
    cell: CellKind::Lstm,
    layers: 1,
    directions: Directions::Forward,
    pooling: Pooling::Last,
    sizes: [8, 100_000, 12, 128],
    threads: 2,
};

/// Cases of time with their share of the memory.
fn timed() -> Vec<(Case, f64)> {
    let both = Directions::Both;
    vec![
        (LONG, 0.25),
        (LONG, 0.12),
        (Case { threads: 1, ..LONG }, 0.25),
        (Case { pooling: Pooling::None, ..LONG }, 0.25),
        (Case { cell: CellKind::Gru, ..LONG }, 0.25),
        (Case { layers: 2, ..LONG }, 0.25),
        (Case { cell: CellKind::MinGru, layers: 2, ..LONG }, 0.25),
        (Case { cell: CellKind::MinLstm, layers: 2, ..LONG }, 0.25),
        (Case { cell: CellKind::Lru, layers: 2, sizes: [8, 50_000, 12, 128], ..LONG }, 0.25),
        (Case { directions: both, sizes: [8, 50_000, 12, 128], ..LONG }, 0.6),
        (Case { sizes: [1, 100_000, 12, 64], threads: 1, ..LONG }, 0.25),
    ]
}

/// Cases of memory, over T.
fn measured() -> Vec<Case> {
    [10_000, 30_000, 100_000].map(|t| Case { sizes: [8, t, 12, 128], ..LONG }).to_vec()
}

fn main() {
    if let Ok(child) = std::env::var("BENCH_CHILD") {
        let (at, what) = child.split_once(' ').unwrap();
        memory(&measured()[at.parse::<usize>().unwrap()], what.parse().unwrap());
        println!("{}", peak_kilobytes());
        return;
    }
    let only: String = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect::<Vec<_>>()
        .join(" ");
    for (case, share) in timed() {
        if format!("time {}", case.name()).contains(&only) {
            time(&case, share);
        }
    }
    for (at, case) in measured().iter().enumerate() {
        if format!("memory {}", case.name()).contains(&only) {
            for what in [0, 256, -500] {
                memory_of(case, at, what);
            }
        }
    }
}
