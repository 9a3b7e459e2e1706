//! Prints one of the pictures on simulated data, to be looked at:
//!
//! ```text
//! cargo run -p sequela-eval --example draw_pictures -- loss > loss.svg
//! ```
//!
//! The others are `loss-linear`, `short`, `forecast`, `long` and `bars`.
#![allow(clippy::print_stdout, reason = "an example that prints its result")]

use sequela_core::Random;
use sequela_eval::Error;
use sequela_eval::bootstrap::{Estimate, Interval};
use sequela_eval::picture::{
    Band, BarSeries, ErrorBars, ForecastLine, ForecastLines, LossCurve, Scale,
};

fn main() -> Result<(), Error> {
    let svg = match std::env::args().nth(1).as_deref() {
        Some("forecast") => forecast(240)?,
        Some("long") => forecast(100_000)?,
        Some("bars") => bars()?,
        Some("short") => loss(4, Scale::Linear),
        Some("loss-linear") => loss(100, Scale::Linear),
        _ => loss(100, Scale::Log),
    };
    print!("{svg}");
    Ok(())
}

fn loss(epochs: u64, scale: Scale) -> String {
    let random = Random::new(1, 1);
    let part = |floor: f64, stream: u64| {
        (0..epochs).map(move |epoch| {
            let noise = 0.05 * random.normal(stream * epochs + epoch);
            floor + libm::exp(-(epoch as f64) / 12.0) * (1.0 + noise) + 0.01 * noise
        })
    };
    let train: Vec<f64> = part(0.08, 0).collect();
    let tune: Vec<f64> =
        part(0.12, 1).enumerate().map(|(epoch, loss)| loss + 0.0004 * epoch as f64).collect();
    let best = (0..tune.len()).min_by(|&a, &b| tune[a].total_cmp(&tune[b])).map(|at| at + 1);
    LossCurve {
        title: "Heart-rate forecaster, LSTM 64: loss over training",
        loss: "loss (MSE of scaled heart rate)",
        train: &train,
        tune: &tune,
        best_epoch: best,
        scale,
    }
    .to_svg()
}

fn forecast(steps: u32) -> Result<String, Error> {
    let random = Random::new(2, 2);
    let times: Vec<f64> = (0..steps).map(|t| f64::from(t) / 4.0).collect();
    let clean = |t: f64| {
        72.0 + 6.0 * libm::sin(t / 6.0) + 22.0 * libm::exp(-(t - 35.0) * (t - 35.0) / 40.0)
    };
    let hidden = |at: usize| (100..118).contains(&at) || at == 40;
    let truth: Vec<f64> = times
        .iter()
        .enumerate()
        .map(|(at, &t)| if hidden(at) { f64::NAN } else { clean(t) + random.normal(at as u64) })
        .collect();
    let model: Vec<f64> = times.iter().map(|&t| clean(t - 0.4)).collect();
    let persistence: Vec<f64> = (0..times.len())
        .map(|at| at.checked_sub(20).map_or(f64::NAN, |past| truth[past]))
        .collect();
    let low: Vec<f64> = model.iter().map(|value| value - 3.0).collect();
    let high: Vec<f64> = model.iter().map(|value| value + 3.0).collect();
    ForecastLines {
        title: "Simulated heart rate, subject 7: forecast 5 min ahead against truth",
        time: "time (min)",
        quantity: "heart rate (bpm)",
        times: &times,
        truth: &truth,
        forecasts: &[
            ForecastLine { name: "LSTM, 5 min ahead", values: &model },
            ForecastLine { name: "persistence", values: &persistence },
        ],
        band: Some(Band { name: "80 % interval", low: &low, high: &high }),
    }
    .to_svg()
}

fn bars() -> Result<String, Error> {
    let figure = |value: f64| Estimate {
        value,
        interval: Interval::Subjects { low: 0.9 * value, high: 1.13 * value, subjects: 12 },
    };
    let row = |values: [f64; 3]| values.map(figure);
    let rows =
        [[1.9, 3.1, 4.2], [2.0, 4.0, 6.3], [1.9, 3.4, 4.9], [7.9, 7.9, 8.0], [2.1, 3.3, 4.6]]
            .map(row);
    let names = ["LSTM", "persistence", "autoregression", "mean", "feed-forward"];
    let series: Vec<BarSeries<'_>> =
        names.iter().zip(&rows).map(|(name, figures)| BarSeries { name, figures }).collect();
    ErrorBars {
        title: "Error on patients not seen in training (95 % intervals by patient)",
        groups: &["1 beat", "5 beats", "30 beats"],
        horizon: "forecast horizon",
        figure: "MAE (bpm)",
        series: &series,
    }
    .to_svg()
}
