//! Heart rates of people who do not exist, with what makes real ones forecastable.
//!
//! Each beat follows the last after `RR = 60 / rate`, where the rate at that moment is the sum of
//!
//! | part | form | source |
//! |---|---|---|
//! | resting rate | one number for each subject, about 50 to 90 bpm | - |
//! | 1/f variability | five Ornstein-Uhlenbeck processes of equal variance, 8 s to 2000 s | Kobayashi and Musha 1982 |
//! | respiratory sinus arrhythmia | a wave of 0.2 to 0.33 Hz, weaker with age and in exercise | McSharry et al. 2003; Task Force 1996 |
//! | Mayer wave | a wave of about 0.1 Hz | McSharry et al. 2003; Task Force 1996 |
//! | circadian drift | a cosine of 24 h, lowest near 3 h | Degaute et al. 1991 |
//! | exercise | bouts; the rate rises and recovers exponentially towards a share of the reserve | Stirling et al. 2008; Imai et al. 1994 |
//! | ectopic beats | premature by a third, then a compensatory pause | - |
//!
//! The reserve reaches up to 208 - 0.7 age (Tanaka et al. 2001). Detections jitter by 2 ms, and
//! now and then the record is silent for up to two minutes. The sizes are plausible, not fitted
//! to anyone: use the series to try programs, never to draw conclusions about hearts.
//!
//! **Source** Kobayashi and Musha, IEEE Trans Biomed Eng 29 (1982) 456; McSharry et al., IEEE
//! Trans Biomed Eng 50 (2003) 289; Task Force of the ESC and NASPE, Circulation 93 (1996) 1043;
//! Degaute et al., Hypertension 18 (1991) 199; Stirling et al., J Nonlinear Math Phys 15 suppl 3
//! (2008) 426; Imai et al., J Am Coll Cardiol 24 (1994) 1529; Tanaka et al., J Am Coll
//! Cardiol 37 (2001) 153.

#![allow(clippy::doc_markdown, reason = "a name of a person is no code")]

use std::f64::consts::TAU;

use sequela_core::{Limits, Random, SubjectId};
use serde::{Deserialize, Serialize};

use crate::heart_rate::{Beat, BeatCounts, BeatOptions, from_beats, schema};
use crate::resample::{Grid, resample_all};
use crate::{Cohort, Error, streams};

/// What the steps of the simulated sequences are.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimulatedSteps {
    /// One for each interval between beats.
    #[default]
    Beats,
    /// The mean rate of every so many seconds.
    EverySeconds(f64),
}

/// A simulated study of resting and active people.
///
/// # Example
/// ```
/// use sequela_data::simulate::HeartRateSimulation;
/// let cohort = HeartRateSimulation { subjects: 2, hours: 0.1, ..Default::default() }.run()?;
/// assert_eq!(cohort.subjects().len(), 2);
/// assert!(cohort.steps() > 500);
/// # Ok::<(), sequela_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeartRateSimulation {
    /// Number of subjects.
    pub subjects: usize,
    /// Hours of each record.
    pub hours: f64,
    /// Seed; the same seed gives the same cohort on every machine.
    pub seed: u64,
    /// What the steps are.
    pub steps: SimulatedSteps,
}

impl Default for HeartRateSimulation {
    fn default() -> Self {
        Self { subjects: 12, hours: 1.0, seed: 42, steps: SimulatedSteps::Beats }
    }
}

impl HeartRateSimulation {
    /// The simulated cohort: one sequence for each subject, `s01`, `s02` ...
    ///
    /// **Units** bpm, hours from the start of the record. **Missing data** silences of the
    /// record, as missing steps. **Determinism** a function of the settings; a subject's record
    /// does not depend on how many others there are. **Cost** about 1 microsecond for each beat.
    ///
    /// # Errors
    /// [`Error::Request`] for no subject, more than 100 000, or hours that are not in 0 to 1000.
    pub fn run(&self) -> Result<Cohort, Error> {
        if self.subjects == 0 || self.subjects > 100_000 {
            return Err(Error::request(
                "simulate.subjects",
                "there must be 1 to 100000",
                "give for example 12",
            ));
        }
        if !(self.hours > 0.0 && self.hours <= 1000.0) {
            return Err(Error::request(
                "simulate.hours",
                "they must be above 0 and at most 1000",
                "give for example 1",
            ));
        }
        let options = BeatOptions::default();
        let mut counts = BeatCounts::default();
        let mut sequences = Vec::with_capacity(self.subjects);
        let digits = self.subjects.to_string().len().max(2);
        for index in 0..self.subjects {
            let name = format!("s{:0digits$}", index + 1);
            let beats = Subject::draw(self.seed, index as u64).beats(self.hours * 3600.0);
            let (sequence, count) =
                from_beats(name.as_str(), SubjectId::new(&name), &beats, &options)?;
            counts = counts.plus(count);
            sequences.push(sequence);
        }
        let source = format!("simulated heart rates, seed {}", self.seed);
        let cohort = Cohort::new(schema(), sequences, source)?.with_note(counts.note(&options));
        match self.steps {
            SimulatedSteps::Beats => Ok(cohort),
            SimulatedSteps::EverySeconds(seconds) => {
                let grid = Grid { step_hours: seconds / 3600.0, carry_forward: 0 };
                resample_all(&cohort, &grid, &Limits::default())
            }
        }
    }
}

/// One simulated person.
struct Subject {
    draws: Draws,
    resting: f64,
    reserve: f64,
    /// Standard deviation of each of the slow processes, bpm.
    slow: f64,
    breathing: f64,
    breathing_hz: f64,
    mayer: f64,
    circadian: f64,
    /// Hour of the day at the start of the record.
    clock: f64,
    /// Seconds in which a bout takes hold, and in which it wears off.
    onset: f64,
    recovery: f64,
    /// Chance that a beat is premature.
    ectopic: f64,
}

impl Subject {
    fn draw(seed: u64, index: u64) -> Self {
        let mut draws = Draws { random: Random::new(seed, streams::SIMULATION + index), next: 0 };
        let age = draws.between(20.0, 75.0);
        let youth = (75.0 - age) / 55.0;
        let resting = (68.0 + 8.0 * draws.normal()).clamp(50.0, 90.0);
        // Most people have few ectopic beats, some have many.
        let rarity = draws.uniform();
        Self {
            resting,
            reserve: 208.0 - 0.7 * age - resting,
            slow: draws.between(1.2, 2.2),
            breathing: draws.between(0.8, 1.6) * (1.5 + 3.0 * youth),
            breathing_hz: draws.between(0.2, 0.33),
            mayer: draws.between(1.0, 3.0),
            circadian: draws.between(4.0, 8.0),
            clock: draws.between(0.0, 24.0),
            onset: draws.between(25.0, 60.0),
            recovery: draws.between(40.0, 100.0),
            ectopic: 0.03 * rarity * rarity * rarity * rarity,
            draws,
        }
    }

    /// The beats that a recorder finds within `seconds`.
    fn beats(mut self, seconds: f64) -> Vec<Beat> {
        let mut beats = Vec::new();
        let mut now = 0.0;
        let mut slow = [0.0_f64; TIME_CONSTANTS.len()];
        for process in &mut slow {
            *process = self.slow * self.draws.normal();
        }
        let (mut breath, mut mayer) = (self.draws.uniform(), self.draws.uniform());
        let mut drift = 0.0;
        let mut bout =
            Bout { load: 0.0, until: self.draws.exponential(BETWEEN_BOUTS), effort: 0.0 };
        let mut silence = Silence { from: self.draws.exponential(BETWEEN_SILENCES), until: 0.0 };
        let mut premature = false;
        while now < seconds {
            let rate = self.rate(now, &slow, breath, mayer, bout.effort);
            // A premature beat shortens its interval; the pause after it makes up for that.
            let pause = std::mem::replace(&mut premature, false);
            premature = !pause && self.draws.uniform() < self.ectopic;
            let stretch = match (premature, pause) {
                (true, _) => 0.65,
                (_, true) => 1.35,
                _ => 1.0,
            };
            let interval = stretch * 60.0 / rate;
            now += interval;
            for (process, constant) in slow.iter_mut().zip(TIME_CONSTANTS) {
                let kept = libm::exp(-interval / constant);
                *process =
                    *process * kept + self.slow * (1.0 - kept * kept).sqrt() * self.draws.normal();
            }
            // Breathing wanders by a tenth, on the scale of half a minute.
            let kept = libm::exp(-interval / 30.0);
            drift = drift * kept + 0.1 * (1.0 - kept * kept).sqrt() * self.draws.normal();
            breath = (breath + interval * self.breathing_hz * (1.0 + drift)).fract();
            mayer = (mayer + interval * 0.1 * (1.0 + 0.5 * drift)).fract();
            self.advance(&mut bout, now, interval);
            if silence.covers(now, &mut self.draws) {
                continue;
            }
            let jitter = 0.002 * self.draws.normal().clamp(-3.0, 3.0);
            beats.push(Beat { seconds: now + jitter, normal: !premature });
        }
        beats
    }

    /// The rate at a moment, in bpm.
    fn rate(&self, now: f64, slow: &[f64], breath: f64, mayer: f64, effort: f64) -> f64 {
        let hour = self.clock + now / 3600.0;
        let rest = self.resting + slow.iter().sum::<f64>()
            - self.circadian * libm::cos(TAU * (hour - 3.0) / 24.0);
        // The vagus lets go as effort rises, and its waves with it.
        let vagal = (1.0 - 1.2 * effort).max(0.1);
        let waves = self.breathing * libm::sin(TAU * breath) + self.mayer * libm::sin(TAU * mayer);
        (rest + vagal * waves + effort * self.reserve).clamp(35.0, 210.0)
    }

    /// Moves effort towards the load of the present bout, and begins and ends bouts.
    fn advance(&mut self, bout: &mut Bout, now: f64, interval: f64) {
        let constant = if bout.load > bout.effort { self.onset } else { self.recovery };
        bout.effort += (bout.load - bout.effort) * (1.0 - libm::exp(-interval / constant));
        if now >= bout.until {
            if bout.load > 0.0 {
                bout.load = 0.0;
                bout.until = now + self.draws.exponential(BETWEEN_BOUTS);
            } else {
                bout.load = self.draws.between(0.15, 0.7);
                bout.until = now + self.draws.between(90.0, 480.0);
            }
        }
    }
}

/// Exercise: the load asked for, until when, and the share of the reserve in use.
struct Bout {
    load: f64,
    until: f64,
    effort: f64,
}

/// The next (or present) time without a record.
struct Silence {
    from: f64,
    until: f64,
}

impl Silence {
    fn covers(&mut self, now: f64, draws: &mut Draws) -> bool {
        if now < self.from {
            return false;
        }
        if self.until <= self.from {
            self.until = self.from + draws.between(15.0, 120.0);
        }
        if now < self.until {
            return true;
        }
        self.from = now + draws.exponential(BETWEEN_SILENCES);
        false
    }
}

/// Random numbers of one subject, one after another.
struct Draws {
    random: Random,
    next: u64,
}

impl Draws {
    /// Normal numbers take two places of the generator, so all draws do.
    fn advance(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn uniform(&mut self) -> f64 {
        let at = self.advance();
        self.random.uniform(2 * at)
    }

    fn normal(&mut self) -> f64 {
        let at = self.advance();
        self.random.normal(at)
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.uniform())
    }
}

/// Seconds; about a factor of four apart, whose sum falls as 1/f between them.
const TIME_CONSTANTS: [f64; 5] = [8.0, 32.0, 125.0, 500.0, 2000.0];
/// Mean seconds from the end of a bout to the next.
const BETWEEN_BOUTS: f64 = 900.0;
/// Mean seconds from one silence to the next.
const BETWEEN_SILENCES: f64 = 1800.0;

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::Steps;

    #[test]
    fn a_subject_does_not_depend_on_the_others() {
        let base = HeartRateSimulation { subjects: 2, hours: 0.05, ..Default::default() };
        let few = base.run().unwrap();
        let many = HeartRateSimulation { subjects: 5, ..base }.run().unwrap();
        assert_eq!(few.sequences(), &many.sequences()[..2]);
        let other = HeartRateSimulation { seed: 1, ..base }.run().unwrap();
        assert_ne!(few.fingerprint(), other.fingerprint());
    }

    #[test]
    fn rates_are_physiological_and_some_are_missing() {
        let cohort = HeartRateSimulation::default().run().unwrap();
        assert_eq!(cohort.len(), 12);
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for sequence in cohort.sequences() {
            assert!((2500..9000).contains(&sequence.len()), "{}", sequence.len());
            let Steps::Numeric { values, observed, .. } = &sequence.steps else { unreachable!() };
            for (&value, _) in values.iter().zip(observed).filter(|(_, seen)| **seen) {
                low = low.min(value);
                high = high.max(value);
            }
        }
        assert!(low > 20.0 && low < 60.0 && high > 110.0 && high < 300.0, "{low} {high}");
        assert!(cohort.missing() > 5 && cohort.missing() < 60, "{}", cohort.missing());
    }

    #[test]
    fn fixed_intervals_are_means_of_beats() {
        let steps = SimulatedSteps::EverySeconds(5.0);
        let simulation =
            HeartRateSimulation { subjects: 1, hours: 0.5, steps, ..Default::default() };
        let cohort = simulation.run().unwrap();
        assert!((355..=361).contains(&cohort.steps()), "{}", cohort.steps());
    }

    #[test]
    fn senseless_settings_are_refused() {
        let base = HeartRateSimulation::default();
        for simulation in [
            HeartRateSimulation { subjects: 0, ..base },
            HeartRateSimulation { hours: f64::NAN, ..base },
            HeartRateSimulation { hours: 1e9, ..base },
            HeartRateSimulation { steps: SimulatedSteps::EverySeconds(0.0), ..base },
        ] {
            assert_eq!(simulation.run().unwrap_err().class().exit_code(), 2);
        }
    }
}
