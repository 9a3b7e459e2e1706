//! The four workloads.

use crate::measure::{Report, processes, timed};
use crate::network::{Shape, Trainer, fill, precision};
use sequela_core::Random;
use sequela_kernels::Context;
use sequela_nn::{
    Batch, Capacity, CellKind, Directions, Keep, Parameters, Precision, Runner, Stream,
};
use std::process::Command;
use std::time::Instant;

const ARTICLE: Shape = Shape {
    cell: CellKind::Lstm,
    layers: 2,
    directions: Directions::Forward,
    sizes: [32, 1, 1, 50],
};

/// w1: the article's program as whole processes: start, 100 epochs, end.
pub(crate) fn article(threads: usize) {
    let report = Report::new("w1", &mut Context::new(threads).unwrap());
    let (mut walls, mut trains) = (Vec::new(), Vec::new());
    for _ in 0..processes() {
        let start = Instant::now();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["w1", &threads.to_string()])
            .env("BENCH_CHILD", "1")
            .output()
            .unwrap();
        walls.push(start.elapsed().as_secs_f64());
        let text = String::from_utf8(child.stdout).unwrap();
        let train = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
        trains.push(train.unwrap());
    }
    report.emit(("seed", "wall"), "s", &walls, None);
    report.emit(("seed", "train"), "s", &trains, None);
}

/// The child of w1: 999 examples of one step, batches of 32, 100 epochs, shuffled.
pub(crate) fn article_child(threads: usize) {
    let start = Instant::now();
    let noise = Random::new(42, 0);
    let series: Vec<f32> = (0..1000_u64)
        .map(|i| (100.0 + 10.0 * noise.normal(i) + if i < 500 { 0.0 } else { 5.0 }) as f32)
        .collect();
    let mut trainer = Trainer::new(&ARTICLE, threads, 32, 32);
    let mut batch = trainer.batch(32, 32);
    let mut order: Vec<usize> = (0..999).collect();
    let mut loss = 0.0;
    for epoch in 0..100 {
        Random::new(7, epoch).shuffle(&mut order);
        loss = 0.0;
        for examples in order.chunks(32) {
            trainer.single_steps(&mut batch, examples.len());
            for (b, &at) in examples.iter().enumerate() {
                trainer.example(&mut batch, b, series[at], series[at + 1]);
            }
            loss += trainer.step(&batch) * examples.len() as f64 / 999.0;
        }
    }
    println!("train {} loss {loss}", start.elapsed().as_secs_f64());
}

/// A variant with its precision, where that is not f32.
fn named(variant: &str) -> String {
    match precision() {
        Precision::F32 => variant.to_owned(),
        Precision::Bf16 => format!("{variant} bf16"),
    }
}

/// w2: one training step of dense batches.
pub(crate) fn training(threads: usize, only: &str) {
    let report = Report::new("w2", &mut Context::new(threads).unwrap());
    let (lstm, gru) = (CellKind::Lstm, CellKind::Gru);
    let (one, both) = (Directions::Forward, Directions::Both);
    for (cell, layers, directions, sizes) in [
        (lstm, 1, one, [32, 48, 37, 64]),
        (lstm, 1, one, [64, 128, 64, 256]),
        (lstm, 1, one, [64, 1000, 12, 128]),
        (lstm, 1, one, [128, 200, 128, 512]),
        (lstm, 2, one, [64, 128, 64, 256]),
        (gru, 1, one, [64, 128, 64, 256]),
        (lstm, 1, both, [64, 128, 64, 256]),
    ] {
        let [b, t, i, h] = sizes;
        let kind = if cell == gru { "gru" } else { "lstm" };
        let bi = if directions == both { "bi" } else { "" };
        let case = format!("{bi}{kind}{layers} B{b} T{t} I{i} H{h}");
        if !case.contains(only) {
            continue;
        }
        let shape = Shape { cell, layers, directions, sizes };
        let mut trainer = Trainer::new(&shape, threads, b, b * t);
        let mut batch = trainer.batch(b, b * t);
        trainer.fill(&mut batch, &vec![t; b], 1);
        let seconds = timed(2, 60, || {
            trainer.step(&batch);
        });
        report.emit(
            (&case, &named("train step")),
            "ms",
            &seconds,
            Some(shape.work(b * t, b, true)),
        );
    }
}

/// w3: streaming steps, and inference of whole batches.
pub(crate) fn inference(threads: usize, only: &str) {
    const STEPS: usize = 500;
    let mut context = Context::new(threads).unwrap();
    let report = Report::new("w3", &mut context);
    let (cell, directions) = (CellKind::Lstm, Directions::Forward);
    for h in [64, 256] {
        let case = format!("stream I37 H{h}");
        if !case.contains(only) {
            continue;
        }
        let shape = Shape { cell, layers: 1, directions, sizes: [1, 1, 37, h] };
        let program = shape.program();
        let parameters = Parameters::new(&program, 0).unwrap();
        let stream = Stream::new(&program, 1).unwrap();
        let mut stream = stream.with_precision(precision(), &context).unwrap();
        let x = program.input("x").unwrap();
        let values: Vec<f32> = (0..37).map(|i| Random::new(1, 1).normal(i) as f32).collect();
        let seconds = timed(2, 15, || {
            for _ in 0..STEPS {
                stream.write(x, 0, &values).unwrap();
                stream.step(&mut context, &parameters).unwrap();
            }
        });
        let each: Vec<f64> = seconds.iter().map(|s| s / STEPS as f64).collect();
        report.emit((&case, &named("step")), "us", &each, None);
    }
    for (cell, name) in [(CellKind::Lstm, ""), (CellKind::Gru, " GRU")] {
        let case = format!("batch B64 T128 I64 H256{name}");
        if !case.contains(only) {
            continue;
        }
        let shape = Shape { cell, layers: 1, directions, sizes: [64, 128, 64, 256] };
        let program = shape.program();
        let parameters = Parameters::new(&program, 0).unwrap();
        let capacity = Capacity::uniform(&program, 64, 64 * 128);
        let runner = Runner::new(&program, &capacity, &Keep::Nothing).unwrap();
        let mut runner = runner.with_precision(precision(), &context).unwrap();
        let mut batch = Batch::new(&program, &capacity).unwrap();
        fill(&program, &mut batch, &[128; 64], 1);
        let seconds = timed(3, 60, || {
            runner.forward(&mut context, &parameters, &batch).unwrap();
        });
        let work = shape.work(64 * 128, 64, false);
        report.emit((&case, &named("forward")), "ms", &seconds, Some(work));
    }
}

/// w4: eight batches of 64 ragged sequences, as they come and sorted by length; one step is one
/// batch. `dense` is the same number of steps in sequences of one length.
pub(crate) fn ragged(threads: usize, only: &str) {
    let report = Report::new("w4", &mut Context::new(threads).unwrap());
    let mut lengths: Vec<usize> = include_str!("lengths.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(|word| word.parse().unwrap())
        .collect();
    let total: usize = lengths.iter().sum();
    let shape = Shape {
        cell: CellKind::Lstm,
        layers: 1,
        directions: Directions::Forward,
        sizes: [64, 200, 37, 128],
    };
    for name in ["random", "bucketed", "dense"] {
        match name {
            "bucketed" => lengths.sort_unstable(),
            "dense" => lengths.fill(total / 512),
            _ => {}
        }
        let case = format!("varlen B64 T1..200 I37 H128 {name}");
        if !case.contains(only) {
            continue;
        }
        let mut trainer = Trainer::new(&shape, threads, 64, 64 * 200);
        let batches: Vec<Batch> = lengths
            .chunks(64)
            .enumerate()
            .map(|(n, lengths)| {
                let mut batch = trainer.batch(64, lengths.iter().sum());
                trainer.fill(&mut batch, lengths, n as u64);
                batch
            })
            .collect();
        let rows: usize = lengths.iter().sum();
        let seconds = timed(1, 10, || {
            for batch in &batches {
                trainer.step(batch);
            }
        });
        let each: Vec<f64> = seconds.iter().map(|s| s / 8.0).collect();
        let all = shape.work(rows, 512, true);
        let work =
            crate::measure::Work { nominal: all.nominal / 8.0, executed: all.executed / 8.0 };
        report.emit((&case, "packed"), "ms", &each, Some(work));
    }
}
