//! Timing, and the JSON lines.

use sequela_kernels::{Context, peak};
use std::time::Instant;

/// What the lines of one run share.
pub(crate) struct Report {
    pub(crate) workload: &'static str,
    pub(crate) threads: usize,
    pub(crate) peak: f64,
}

/// The work of one repeat, in multiply-adds counted twice.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    /// As the other frameworks count: three times the products of the forward pass.
    pub(crate) nominal: f64,
    /// What is computed: no gradient of the first layer's input, no product with a zero state.
    pub(crate) executed: f64,
}

impl Report {
    pub(crate) fn new(workload: &'static str, context: &mut Context) -> Self {
        Self { workload, threads: context.threads(), peak: peak::gflops(context) }
    }

    pub(crate) fn emit(
        &self,
        (case, variant): (&str, &str),
        unit: &str,
        seconds: &[f64],
        work: Option<Work>,
    ) {
        let scale = match unit {
            "ms" => 1e3,
            "us" => 1e6,
            _ => 1.0,
        };
        let mut sorted = seconds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let median = f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]);
        let work = work.map_or(String::new(), |work| {
            format!(
                ", \"gflops\": {:.2}, \"executed_gflops\": {:.2}, \"fraction\": {:.3}, \"best_fraction\": {:.3}",
                work.nominal / median / 1e9,
                work.executed / median / 1e9,
                work.executed / median / 1e9 / self.peak,
                work.executed / sorted[0] / 1e9 / self.peak,
            )
        });
        println!(
            "{{\"fw\": \"sequela\", \"workload\": \"{}\", \"case\": \"{case}\", \"variant\": \"{variant}\", \"threads\": {}, \"unit\": \"{unit}\", \"min\": {:.4}, \"median\": {:.4}, \"max\": {:.4}, \"n\": {n}{work}, \"peak_gflops\": {:.1}, \"peak_mb\": {:.1}}}",
            self.workload,
            self.threads,
            sorted[0] * scale,
            median * scale,
            sorted[n - 1] * scale,
            self.peak,
            peak_megabytes(),
        );
    }
}

fn setting(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Seconds of each repeat: `warm` unmeasured ones, then until the budget or `most` is reached.
pub(crate) fn timed(warm: usize, most: usize, mut f: impl FnMut()) -> Vec<f64> {
    let (budget, least) = (setting("BENCH_S", 3.0), setting("BENCH_MIN", 5.0) as usize);
    for _ in 0..warm {
        f();
    }
    let (start, mut seconds) = (Instant::now(), Vec::new());
    while seconds.len() < most && (seconds.len() < least || start.elapsed().as_secs_f64() < budget)
    {
        let repeat = Instant::now();
        f();
        seconds.push(repeat.elapsed().as_secs_f64());
    }
    seconds
}

/// How many processes of w1 to run.
pub(crate) fn processes() -> usize {
    setting("BENCH_W1", 3.0) as usize
}

/// The most memory this process has held (Linux; 0 elsewhere).
fn peak_megabytes() -> f64 {
    #[allow(clippy::disallowed_methods, reason = "a file of the system, a page long")]
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
