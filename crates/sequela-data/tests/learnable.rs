//! The simulated heart rate has something to learn: a linear autoregression, fitted on some
//! people by least squares, forecasts others better than repeating the last value.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use sequela_core::Steps;
use sequela_data::simulate::HeartRateSimulation;
use sequela_data::split::{Fractions, by_subject};
use sequela_data::{Cohort, windows::WindowPlan};

const LAGS: usize = 24;

/// Lags (and a constant) of each window, and its target.
fn rows(cohort: &Cohort, horizon: usize) -> Vec<([f64; LAGS + 1], f64)> {
    let plan = WindowPlan::new(LAGS, &[horizon]);
    let windows = plan.with_targets(cohort).unwrap();
    let mut rows = Vec::new();
    for window in windows.list {
        let sequence = &cohort.sequences()[window.sequence];
        let Steps::Numeric { values, observed, .. } = &sequence.steps else { unreachable!() };
        let steps = window.start..=window.last() + horizon;
        if observed[steps].contains(&false) {
            continue;
        }
        let mut row = [1.0; LAGS + 1];
        for (lag, cell) in row.iter_mut().take(LAGS).enumerate() {
            *cell = f64::from(values[window.start + lag]);
        }
        rows.push((row, f64::from(values[window.last() + horizon])));
    }
    rows
}

/// Solves the normal equations by elimination.
fn least_squares(rows: &[([f64; LAGS + 1], f64)]) -> [f64; LAGS + 1] {
    const N: usize = LAGS + 1;
    let mut system = [[0.0; N + 1]; N];
    for (row, target) in rows {
        for i in 0..N {
            for j in 0..N {
                system[i][j] += row[i] * row[j];
            }
            system[i][N] += row[i] * target;
        }
    }
    for pivot in 0..N {
        let above = system[pivot];
        for row in &mut system[pivot + 1..] {
            let factor = row[pivot] / above[pivot];
            row.iter_mut().zip(above).for_each(|(cell, over)| *cell -= factor * over);
        }
    }
    let mut weights = [0.0; N];
    for row in (0..N).rev() {
        let known: f64 = (row + 1..N).map(|column| system[row][column] * weights[column]).sum();
        weights[row] = (system[row][N] - known) / system[row][row];
    }
    weights
}

#[test]
fn autoregression_beats_persistence_on_people_it_has_not_seen() {
    let cohort = HeartRateSimulation::default().run().unwrap();
    let split = by_subject(&cohort, Fractions { tune: 0.0, test: 0.34 }, 1).unwrap();
    let parts = split.parts(&cohort);
    for (horizon, least_gain) in [(1, 0.1), (5, 0.15), (30, 0.1)] {
        let weights = least_squares(&rows(&parts.train, horizon));
        let (mut model, mut persistence) = (0.0, 0.0);
        for (row, target) in rows(&parts.test, horizon) {
            let forecast: f64 = row.iter().zip(&weights).map(|(x, w)| x * w).sum();
            model += (forecast - target).abs();
            persistence += (row[LAGS - 1] - target).abs();
        }
        let gain = 1.0 - model / persistence;
        assert!(gain > least_gain, "horizon {horizon}: gain {gain}");
    }
}
