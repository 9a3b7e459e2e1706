//! The workloads that other frameworks are measured by, through the product's own training
//! step: one JSON line for each case, in the form of their own benchmark scripts.
//!
//! `cargo bench -p sequela-nn --bench peers -- {w1|w2|w3|w4} [THREADS] [CASE]`
//!
//! `BENCH_PRECISION=bf16` for w2 and w3 in bf16; `BENCH_S` seconds for each case (3), `BENCH_MIN` least repeats (5), `BENCH_W1` processes of
//! w1 (3). `peak_gflops` is the machine's peak of fused multiply-adds, measured in the same
//! process; `fraction` is the part of it that the work executed attains; `peak_mb` is the most
//! memory the process has held.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "a benchmark prints, and stops at the first thing that is wrong"
)]

mod measure;
mod network;
mod workloads;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let workload = arguments.next().unwrap_or_default();
    let threads = arguments.next().and_then(|argument| argument.parse().ok()).unwrap_or(2);
    let case = arguments.next().unwrap_or_default();
    match workload.as_str() {
        "w1" if std::env::var_os("BENCH_CHILD").is_some() => workloads::article_child(threads),
        "w1" => workloads::article(threads),
        "w2" => workloads::training(threads, &case),
        "w3" => workloads::inference(threads, &case),
        "w4" => workloads::ragged(threads, &case),
        _ => println!("usage: peers {{w1|w2|w3|w4}} [THREADS] [CASE]"),
    }
}
