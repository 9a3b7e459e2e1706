//! Where each step of a sequence lies, from it and the steps before it alone.
//!
//! A step is set beside training sequences that were about as long by then: after 1 step, 2 to 3, 4
//! to 7 and so on. What is missing in the first hour of a stay is not missing in the twentieth. The
//! middle of a channel is that of the last [`RECENT`] values seen of it, and that of the distances
//! of the steps likewise: a unit that changes on the way is told some values later, not after half
//! of a long stay, and one artefact still moves nothing.

use sequela_core::{Sequence, Steps, quantile};

use super::look::{ChannelLook, Look};
use super::placing::Placing;
use super::{Envelope, MOST_WINDOWS};
use crate::Cohort;

impl Envelope {
    /// The envelope of a training part of which each step is answered: that of [`Envelope::of`],
    /// and what its sequences looked like up to their steps ([`Envelope::so_far`]).
    ///
    /// Of each sequence one step counts for each doubling of steps, in turn the first, second ... of
    /// them. Steps so late that fewer than a thousand sequences (half of them, of a smaller part; or
    /// one in a hundred of a larger one) have them are told by the last doubling before.
    ///
    /// **Cost** about three walks over the steps, and sorts of as many values as sequences.
    pub fn of_steps(train: &Cohort) -> Self {
        let mut whole = Self::of(train);
        let lengths: Vec<usize> = train.sequences().iter().map(Sequence::len).collect();
        let all = lengths.iter().filter(|length| **length > 0).count();
        let enough = (all / 2).min(ENOUGH).max(all / 100).max(1);
        let reach = |first: usize| lengths.iter().filter(|length| **length >= first).count();
        let firsts: Vec<usize> = (0..MOST_BANDS)
            .map(|band| 1_usize << band)
            .take_while(|first| *first == 1 || reach(*first) >= enough)
            .collect();
        for (band, &first) in firsts.iter().enumerate() {
            let is_last = band + 1 == firsts.len();
            let end = if is_last { usize::MAX } else { 2 * first };
            let long = train.sequences().iter().filter(|sequence| sequence.len() >= first);
            let stride = reach(first).div_ceil(MOST_WINDOWS).max(1);
            let looks = long.step_by(stride).enumerate().filter_map(|(turn, sequence)| {
                let steps = first + turn % (end.min(sequence.len() + 1) - first);
                look_up_to(sequence, steps)
            });
            let mut envelope = Self::of_looks(train, &looks.collect::<Vec<_>>());
            let last = if is_last { whole.steps[1] } else { (end - 1) as f64 };
            envelope.steps = [first as f64, last.max(first as f64)];
            whole.so_far.push(envelope);
        }
        whole
    }

    /// Where each step of a sequence of the same channels lies; none where the envelope does not
    /// know what sequences looked like so far.
    ///
    /// **Causality** what is said of a step is the same whatever comes after it. **Missing data** is
    /// counted over all cells up to the step; else as [`Envelope::place`]. **Cost** one walk.
    ///
    /// # Example
    /// ```
    /// use sequela_core::{Channel, Schema, Sequence, SubjectId};
    /// use sequela_data::{Cohort, envelope::Envelope};
    /// let schema = Schema::new(vec![Channel { name: "temperature".into(), unit: "C".into() }]);
    /// let of = |who: &str, values: &[f32]| Sequence::numeric(who, SubjectId::new(who), 1, values);
    /// let train = vec![of("a", &[36.4, 36.6])?, of("b", &[38.9, 38.5])?];
    /// let envelope = Envelope::of_steps(&Cohort::new(schema, train, "by hand")?);
    /// let steps = envelope.place_steps(&of("c", &[37.0, f32::NAN])?).unwrap_or_default();
    /// assert_eq!((steps[0].word(), steps[0].missing), ("inside", 0.0));
    /// assert_eq!((steps[1].word(), steps[1].missing), ("outside", 0.5));
    /// assert_eq!(steps[1].why(), "more is missing than in training (up to 0.0 %)");
    /// # Ok::<(), sequela_data::Error>(())
    /// ```
    pub fn place_steps(&self, sequence: &Sequence) -> Option<Vec<Placing>> {
        let last = self.so_far.len().checked_sub(1)?;
        let mut placings = Vec::with_capacity(sequence.len());
        let mut so_far = SoFar::new(sequence)?;
        while let Some(look) = so_far.next() {
            let band = look.steps.ilog2() as usize;
            placings.push(self.so_far[band.min(last)].judge(look));
        }
        Some(placings)
    }
}

/// What a sequence looks like up to some number of its steps.
fn look_up_to(sequence: &Sequence, steps: usize) -> Option<Look> {
    let mut so_far = SoFar::new(sequence)?;
    for _ in 0..steps {
        so_far.next()?;
    }
    Some(so_far.look)
}

/// A walk over the steps of a sequence, and what it looks like up to the last one taken.
struct SoFar<'a> {
    values: &'a [f32],
    observed: &'a [bool],
    times: Option<&'a [f64]>,
    look: Look,
    missing: usize,
    distances: Recent,
    recent: Vec<Recent>,
}

impl<'a> SoFar<'a> {
    /// Before the first step; none where steps are no numbers.
    fn new(sequence: &'a Sequence) -> Option<Self> {
        let Steps::Numeric { values, observed, features } = &sequence.steps else { return None };
        let nothing = || ChannelLook { count: 0, middle: f64::NAN, share: 0.0 };
        let channels = (0..*features).map(|_| nothing()).collect();
        Some(Self {
            values,
            observed,
            times: sequence.times.as_deref(),
            look: Look { steps: 0, missing: 1.0, interval: None, channels },
            missing: 0,
            distances: Recent::default(),
            recent: vec![Recent::default(); *features],
        })
    }

    /// Takes the next step; none after the last one.
    fn next(&mut self) -> Option<&Look> {
        let (look, features) = (&mut self.look, self.recent.len());
        let cells = look.steps * features..(look.steps + 1) * features;
        let values = self.values.get(cells.clone()).filter(|values| !values.is_empty())?;
        let observed = self.observed.get(cells)?;
        if let Some([before, now]) =
            look.steps.checked_sub(1).and_then(|at| self.times?.get(at..at + 2)?.first_chunk())
        {
            self.distances.push(now - before);
            look.interval = self.distances.middle();
        }
        look.steps += 1;
        let steps = look.steps as f64;
        for (at, channel) in look.channels.iter_mut().enumerate() {
            if observed[at] {
                self.recent[at].push(f64::from(values[at]));
                channel.middle = self.recent[at].middle().unwrap_or(f64::NAN);
                channel.count += 1;
            } else {
                self.missing += 1;
            }
            channel.share = channel.count as f64 / steps;
        }
        look.missing = self.missing as f64 / (look.steps * features) as f64;
        Some(look)
    }
}

/// The last few numbers of a kind.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    values: [f64; RECENT],
    pushed: usize,
}

impl Recent {
    fn push(&mut self, value: f64) {
        self.values[self.pushed % RECENT] = value;
        self.pushed += 1;
    }

    fn middle(&self) -> Option<f64> {
        let mut values = self.values;
        let some = &mut values[..self.pushed.min(RECENT)];
        some.sort_unstable_by(f64::total_cmp);
        quantile(some, 0.5)
    }
}

/// The values of a channel that its middle so far is of.
const RECENT: usize = 7;
/// Doublings of steps that are told apart at most.
pub(super) const MOST_BANDS: usize = 24;
/// Sequences that the ends of a doubling are taken from at least: of fewer, a 0.1st percentile is that
/// of one of them.
const ENOUGH: usize = 1000;
