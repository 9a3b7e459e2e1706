//! How the step size changes over a run.

use serde::{Deserialize, Serialize};

use crate::study::Schedule;

/// What a schedule remembers; saved with every checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScheduleState {
    /// What the first step size is multiplied by, from plateaus.
    pub(crate) factor: f32,
    /// The best loss so far.
    pub(crate) best: Option<f64>,
    /// Epochs since then.
    pub(crate) waited: u64,
}

impl Default for ScheduleState {
    fn default() -> Self {
        Self { factor: 1.0, best: None, waited: 0 }
    }
}

/// Where a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Steps made.
    pub(crate) step: u64,
    /// Steps of the whole run.
    pub(crate) steps: u64,
    /// Epochs made.
    pub(crate) epoch: u64,
}

impl Schedule {
    /// The share of the first step size at a moment.
    pub(crate) fn share(self, state: &ScheduleState, now: Moment) -> f32 {
        let (share, warmup) = match self {
            Self::Constant { warmup } => (1.0, warmup),
            Self::Step { epochs, factor, warmup } => {
                let times = i32::try_from(now.epoch / epochs.max(1)).unwrap_or(i32::MAX);
                (factor.powi(times), warmup)
            }
            Self::Cosine { floor, warmup } => {
                let length = now.steps.saturating_sub(warmup).saturating_sub(1).max(1);
                let done = now.step.saturating_sub(warmup).min(length) as f64 / length as f64;
                let wave = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done));
                let floor = f64::from(floor);
                (crate::encode::narrow(floor + (1.0 - floor) * wave), warmup)
            }
            Self::Plateau { warmup, .. } => (state.factor, warmup),
        };
        if now.step < warmup {
            share * crate::encode::narrow((now.step + 1) as f64 / warmup as f64)
        } else {
            share
        }
    }

    /// Takes note of the loss after an epoch.
    pub(crate) fn observe(self, state: &mut ScheduleState, loss: f64) {
        let Self::Plateau { patience, factor, floor, .. } = self else { return };
        if state.best.is_none_or(|best| loss < best) {
            state.best = Some(loss);
            state.waited = 0;
            return;
        }
        state.waited += 1;
        if state.waited >= patience {
            state.factor = (state.factor * factor).max(floor);
            state.waited = 0;
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the shares are exact")]
mod tests {
    use super::*;

    fn at(step: u64, epoch: u64) -> Moment {
        Moment { step, steps: 101, epoch }
    }

    #[test]
    fn warm_up_leads_to_the_rate_in_a_line() {
        let schedule = Schedule::Constant { warmup: 4 };
        let shares: Vec<f32> =
            (0..6).map(|step| schedule.share(&ScheduleState::default(), at(step, 0))).collect();
        assert_eq!(shares, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn the_cosine_ends_at_its_floor() {
        let schedule = Schedule::Cosine { floor: 0.1, warmup: 0 };
        let state = ScheduleState::default();
        assert_eq!(schedule.share(&state, at(0, 0)), 1.0);
        assert!((schedule.share(&state, at(50, 0)) - 0.55).abs() < 1e-6);
        assert!((schedule.share(&state, at(100, 0)) - 0.1).abs() < 1e-6);
    }

    #[test]
    fn steps_and_plateaus_multiply() {
        let step = Schedule::Step { epochs: 2, factor: 0.5, warmup: 0 };
        assert_eq!(step.share(&ScheduleState::default(), at(9, 5)), 0.25);
        let plateau = Schedule::Plateau { patience: 2, factor: 0.5, floor: 0.3, warmup: 0 };
        let mut state = ScheduleState::default();
        for loss in [1.0, 0.9, 0.95, 0.9] {
            plateau.observe(&mut state, loss);
        }
        assert_eq!(plateau.share(&state, at(0, 4)), 0.5);
        for loss in [1.0, 1.0, 1.0, 1.0] {
            plateau.observe(&mut state, loss);
        }
        assert_eq!(plateau.share(&state, at(0, 8)), 0.3);
    }
}
