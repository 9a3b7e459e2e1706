//! Where windows lie that move on step by step, without a look at all of each.
//!
//! A middle lies between two ends where at most half of the values lie beyond either: it is enough to
//! count them. Only of a window that may lie outside is the whole looked at, by the very lines that
//! [`Envelope::place_window`] goes by.

use super::look::Look;
use super::placing::{ChannelReason, End, Outside, Placing, RARELY, Reason, SLACK, limits};
use super::{ChannelEnvelope, Envelope};

/// An envelope of windows for many subjects' last windows, each of which moves on by a step at a time.
///
/// What it remembers of a subject is for the caller to keep ([`RollingMemory`]).
///
/// # Example
/// ```
/// use sequela_core::{Channel, Schema, Sequence, SubjectId};
/// use sequela_data::Cohort;
/// use sequela_data::envelope::{Envelope, Rolling, RollingMemory};
/// let schema = Schema::new(vec![Channel { name: "heart_rate".into(), unit: "bpm".into() }]);
/// let beats = [61.0, 64.0, 70.0, 66.0];
/// let one = Sequence::numeric("a", SubjectId::new("a"), 1, &beats)?;
/// let envelope = Envelope::of_windows(&Cohort::new(schema, vec![one], "by hand")?, 2);
/// let rolling = Rolling::new(&envelope, 2);
/// let (mut values, mut counts) = ([0.0; 2], vec![0; rolling.counts()]);
/// let mut words = Vec::new();
/// for (steps, value) in (0_u64..).zip([62.0, 63.0, f32::NAN, 190.0]) {
///     let memory = RollingMemory { values: &mut values, times: &mut [], counts: &mut counts };
///     words.push(rolling.push(memory, steps, None, &[value]).map(|placing| placing.word()));
/// }
/// assert_eq!(words, [None, Some("inside"), Some("outside"), Some("outside")]);
/// # Ok::<(), sequela_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rolling {
    envelope: Envelope,
    /// L.
    length: usize,
    /// Whether so many steps lie inside.
    is_length_inside: bool,
    /// Between what distances lie, where they are judged.
    distance: Option<[f64; 2]>,
    channels: Vec<Bounds>,
    /// All that can lie outside, in words: a stream may say the same again and again.
    words: Vec<(Reason, Outside)>,
}

/// What the middle of a channel and its count have to lie within.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// None where it was never observed in training.
    middle: Option<[f64; 2]>,
    /// So many observations are more often than in training.
    too_many: usize,
    /// Whether it has to be there.
    is_wanted: bool,
}

/// What is remembered of the last window of one subject.
#[derive(Debug)]
pub struct RollingMemory<'a> {
    /// The last steps, `(L, F)`, each in the place that its number, modulo L, says.
    pub values: &'a mut [f32],
    /// Their times in hours in the same places; [`Rolling::times`] of them.
    pub times: &'a mut [f64],
    /// [`Rolling::counts`] of them; a function of the others.
    pub counts: &'a mut [u32],
}

impl Rolling {
    /// For windows of so many steps, by an envelope of such windows.
    pub fn new(envelope: &Envelope, length: usize) -> Self {
        let length = length.max(1);
        let bounds = |known: &ChannelEnvelope| {
            let often = |count: usize| count as f64 / length as f64 > known.observed[1] + SLACK;
            Bounds {
                middle: known.middle.map(limits),
                too_many: (3..=length).find(|count| often(*count)).unwrap_or(usize::MAX),
                is_wanted: known.absent < RARELY && known.middle.is_some(),
            }
        };
        let [fewest, most] = limits(envelope.steps);
        Self {
            length,
            is_length_inside: (fewest..=most).contains(&(length as f64)),
            distance: envelope.interval_hours.map(limits).filter(|_| length > 1),
            channels: envelope.channels.iter().map(bounds).collect(),
            words: words(envelope),
            envelope: envelope.clone(),
        }
    }

    /// Times that are remembered of a subject: L where distances are judged, else none.
    pub fn times(&self) -> usize {
        if self.distance.is_some() { self.length } else { 0 }
    }

    /// Counts that are remembered of a subject.
    pub fn counts(&self) -> usize {
        3 * self.channels.len() + 2
    }

    /// Takes the next step of a subject who has had `steps` since the beginning; where its last
    /// window lies, once there is a whole one.
    ///
    /// **Missing data** NaN is what was not observed; without times distances are not judged.
    /// **Cost** constant for each channel; where something may lie outside, that of
    /// [`Envelope::place_window`].
    pub fn push(
        &self,
        memory: RollingMemory<'_>,
        steps: u64,
        time: Option<f64>,
        values: &[f32],
    ) -> Option<Placing> {
        let RollingMemory { values: ring, times, counts } = memory;
        let features = self.channels.len();
        let at = usize::try_from(steps % self.length as u64).unwrap_or(0);
        let is_full = steps >= self.length as u64;
        if steps == 0 {
            counts.fill(0);
        }
        let (of_distances, of_channels) = counts.split_at_mut(2);
        let row = &mut ring[at * features..(at + 1) * features];
        let each = self.channels.iter().zip(of_channels.chunks_exact_mut(3));
        for ((bounds, counts), (old, new)) in each.zip(row.iter_mut().zip(values)) {
            if is_full {
                bounds.count(*old, counts, u32::wrapping_sub);
            }
            bounds.count(*new, counts, u32::wrapping_add);
            *old = *new;
        }
        if let (Some(bounds), false) = (self.distance, times.is_empty()) {
            if is_full {
                let next = if at + 1 == self.length { 0 } else { at + 1 };
                count(bounds, times[next] - times[at], of_distances, u32::wrapping_sub);
            }
            times[at] = time.unwrap_or(f64::NAN);
            if steps > 0 {
                let before = at.checked_sub(1).unwrap_or(self.length - 1);
                count(bounds, times[at] - times[before], of_distances, u32::wrapping_add);
            }
        }
        if steps + 1 < self.length as u64 {
            return None;
        }
        let seen: usize = of_channels.chunks_exact(3).map(|counts| counts[0] as usize).sum();
        let cells = self.length * features;
        let missing = (cells - seen.min(cells)) as f64 / cells.max(1) as f64;
        if self.is_inside(counts, missing) {
            return Some(Placing { missing, outside: Vec::new() });
        }
        Some(self.look(ring, times, at))
    }

    /// Counts a subject's last window anew, of whom all but the counts are known.
    pub fn recount(&self, memory: RollingMemory<'_>, steps: u64) {
        let RollingMemory { values: ring, times, counts } = memory;
        counts.fill(0);
        let (length, features) = (self.length as u64, self.channels.len());
        let (of_distances, of_channels) = counts.split_at_mut(2);
        let place = |step: u64| usize::try_from(step % length).unwrap_or(0);
        for step in steps.saturating_sub(length)..steps {
            let row = &ring[place(step) * features..(place(step) + 1) * features];
            let each = self.channels.iter().zip(of_channels.chunks_exact_mut(3));
            for ((bounds, counts), value) in each.zip(row) {
                bounds.count(*value, counts, u32::wrapping_add);
            }
            if let (Some(bounds), false) = (self.distance, times.is_empty())
                && step > steps.saturating_sub(length)
            {
                let distance = times[place(step)] - times[place(step - 1)];
                count(bounds, distance, of_distances, u32::wrapping_add);
            }
        }
    }

    /// Whether the counts alone say that a whole window lies inside.
    fn is_inside(&self, counts: &[u32], missing: f64) -> bool {
        let (of_distances, of_channels) = counts.split_at(2);
        let most = |number: usize| number.saturating_sub(1) / 2;
        let mut any = false;
        let mut channels = self.channels.iter().zip(of_channels.chunks_exact(3));
        channels.all(|(bounds, counts)| {
            let [seen, low, high] = [0, 1, 2].map(|at| counts[at] as usize);
            any |= seen > 0;
            let middle = bounds.middle.is_some() && low.max(high) <= most(seen);
            if seen == 0 { !bounds.is_wanted } else { middle && seen < bounds.too_many }
        }) && any
            && self.is_length_inside
            && missing <= self.envelope.missing[1] + SLACK
            && of_distances.iter().all(|&beyond| beyond as usize <= most(self.length - 1))
    }

    /// Looks at all of a window whose last step is at a place of the ring.
    fn look(&self, ring: &[f32], times: &[f64], at: usize) -> Placing {
        let features = self.channels.len();
        let (newer, older) = ring.split_at((at + 1) * features);
        let values: Vec<f32> = older.iter().chain(newer).copied().collect();
        let observed: Vec<bool> = values.iter().map(|value| value.is_finite()).collect();
        let times: Option<Vec<f64>> = times.split_at_checked(at + 1).and_then(|(newer, older)| {
            let times = older.iter().chain(newer).copied();
            times.map(|time| (!time.is_nan()).then_some(time)).collect()
        });
        let look = Look::of_cells((&values, &observed), features, times.as_deref());
        let mut placing = Placing { missing: 1.0, outside: Vec::new() };
        if let Some(look) = look {
            placing.missing = look.missing;
            self.envelope.reasons(&look, |reason| placing.outside.push(self.tell(reason)));
        }
        placing
    }

    /// A reason in words.
    fn tell(&self, reason: Reason) -> Outside {
        // Those of a channel stand together, after those of the whole.
        let from = match reason {
            Reason::Channel(at, _) => self.words.len() - OF_CHANNEL * (self.channels.len() - at),
            _ => 0,
        };
        let found = self.words.iter().skip(from).find(|(known, _)| *known == reason);
        found.map_or_else(|| self.envelope.tell(reason), |(_, outside)| outside.clone())
    }
}

/// Every reason in words: those of the whole, then those of each channel.
fn words(envelope: &Envelope) -> Vec<(Reason, Outside)> {
    let ends = [End::Low, End::High];
    let mut reasons = vec![Reason::Nothing, Reason::MoreMissing];
    reasons.extend(ends.map(Reason::Steps));
    reasons.extend(ends.map(Reason::Distance));
    for at in 0..envelope.channels.len() {
        let each: [ChannelReason; OF_CHANNEL] = [
            ChannelReason::Value(End::Low),
            ChannelReason::Value(End::High),
            ChannelReason::Absent,
            ChannelReason::Often,
            ChannelReason::Unknown,
        ];
        reasons.extend(each.map(|reason| Reason::Channel(at, reason)));
    }
    reasons.into_iter().map(|reason| (reason, envelope.tell(reason))).collect()
}

/// Reasons that a channel may have.
const OF_CHANNEL: usize = 5;

impl Bounds {
    /// Counts a value, or takes it out of the counts: observed, below and above where the middle may
    /// lie.
    fn count(&self, value: f32, counts: &mut [u32], step: fn(u32, u32) -> u32) {
        if value.is_finite() {
            counts[0] = step(counts[0], 1);
            if let Some(bounds) = self.middle {
                count(bounds, f64::from(value), &mut counts[1..], step);
            }
        }
    }
}

/// Counts a number that lies below or above, or takes it out of the counts.
fn count([low, high]: [f64; 2], value: f64, counts: &mut [u32], step: fn(u32, u32) -> u32) {
    counts[0] = step(counts[0], u32::from(value < low));
    counts[1] = step(counts[1], u32::from(value > high));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cohort;
    use sequela_core::{Channel, Random, Schema, Sequence, Steps, SubjectId};

    const LENGTH: usize = 6;

    /// Three channels with gaps, of which the last is rare; some unusual values, and hours.
    fn person(n: u64, steps: u64, strange: u64) -> Sequence {
        let random = Random::new(n, 22);
        let mut time = 0.0;
        let (mut rows, mut times) = (Vec::new(), Vec::new());
        for step in 0..steps {
            for channel in 0..3_u64 {
                let at = 100 * step + 10 * channel;
                let often = [12, 8, 2][usize::try_from(channel).unwrap()];
                let far = if random.below(at, strange) == 0 { 6.0 } else { 1.0 };
                let value = 80.0 + 10.0 * far * random.normal(at + 1);
                let there = random.below(at + 2, 13) < often;
                #[allow(clippy::cast_possible_truncation, reason = "any value is as good")]
                rows.push(if there { value as f32 } else { f32::NAN });
            }
            time += if random.below(step, 3 * strange) == 0 { 5.0 } else { 1.0 };
            times.push(time);
        }
        let name = format!("p{n}");
        let sequence = Sequence::numeric(name.clone(), SubjectId::new(name), 3, &rows).unwrap();
        sequence.with_times(times).unwrap()
    }

    fn envelope() -> Envelope {
        let channel = |name: &str| Channel { name: name.into(), unit: String::new() };
        let schema = Schema::new(["a", "b", "c"].map(channel).to_vec());
        let train = (0..60).map(|n| person(n, 40, 50)).collect();
        Envelope::of_windows(&Cohort::new(schema, train, "made").unwrap(), LENGTH)
    }

    #[test]
    fn each_window_lies_where_a_look_at_all_of_it_says() {
        let envelope = envelope();
        let rolling = Rolling::new(&envelope, LENGTH);
        let (mut inside, mut outside) = (0, 0);
        for n in 1000..1100 {
            let person = person(n, 50, if n % 2 == 0 { 3 } else { 40 });
            let Steps::Numeric { values: rows, observed, .. } = &person.steps else { continue };
            let times = person.times.as_ref().unwrap();
            let (mut ring, mut past) = (vec![0.0; LENGTH * 3], vec![0.0; rolling.times()]);
            let (mut counts, mut again) = (vec![7; rolling.counts()], vec![9; rolling.counts()]);
            for (step, time) in times.iter().enumerate() {
                let cell = |cell: usize| if observed[cell] { rows[cell] } else { f32::NAN };
                let row: Vec<f32> = (3 * step..3 * step + 3).map(cell).collect();
                let memory =
                    RollingMemory { values: &mut ring, times: &mut past, counts: &mut counts };
                let found = rolling.push(memory, step as u64, Some(*time), &row);
                let from = (step + 1).checked_sub(LENGTH);
                let wanted = from.map(|from| envelope.place_window(&person, from..step + 1));
                assert_eq!(found, wanted, "{n} {step}");
                match found {
                    Some(placing) if placing.is_inside() => inside += 1,
                    Some(_) => outside += 1,
                    None => {}
                }
                let memory =
                    RollingMemory { values: &mut ring, times: &mut past, counts: &mut again };
                rolling.recount(memory, step as u64 + 1);
                assert_eq!(again, counts, "{n} {step}");
            }
        }
        assert!(inside > 1000 && outside > 500, "{inside} {outside}");
    }
}
