//! Events in the Medical Event Data Standard to cohorts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sequela_core::{Channel, Limits, Location, Schema, Sequence, SubjectId, Target};
use sequela_formats::meds::{Label, STATIC, Shard, read_labels, read_shards, read_splits};

use super::events::{Event, Maker, Timing};
use crate::gaps::check_hours;
use crate::split::SubjectLists;
use crate::{Cohort, Error};

/// The unit of channels that say how often a code occurred in a step.
pub const COUNT: &str = "count";

/// Which events become sequences.
#[derive(Debug, Clone, PartialEq)]
pub struct MedsOptions {
    /// The codes, each a channel: the mean of its numeric values or, where its unit is [`COUNT`],
    /// how often it occurred.
    pub channels: Vec<Channel>,
    /// Hours of a step of a grid; without it every time with an event of these codes is a step.
    pub every_hours: Option<f64>,
    /// How many hours up to the prediction time, or to the last event where there are no labels,
    /// are looked at; without it all are. It is where the grid begins.
    pub hours: Option<f64>,
    /// A file of labels, each a case; without it the whole of each subject is one.
    pub labels: Option<PathBuf>,
    /// The classes, in words of the labels.
    pub classes: Vec<String>,
    /// Shards that are read at the same time.
    pub threads: usize,
}

/// The cohort of a folder in the layout of MEDS, one sequence for each label, or for each subject
/// where there are no labels, in the order of shards and their subjects.
///
/// A case sees the events of its subject up to **and including** its prediction time; events
/// without a time stand at its first step. Its target is [`Target::Class`], its `id` the subject
/// and the prediction time. **Units** values as they are in the data; times are hours since 1970,
/// of the events or of the end of each step of the grid. **Missing data** a code that did not
/// occur in a step. **Cost** beside the sequences as many shards as threads, 16 bytes for each
/// event.
///
/// # Errors
/// Those of reading; [`Error::Unfit`] for a label that is not among the classes, and where no
/// case has an event; [`Error::Request`] for hours that are not positive.
pub fn meds(folder: &Path, options: &MedsOptions, limits: &Limits) -> Result<Cohort, Error> {
    for (field, hours) in
        [("data.every_seconds", options.every_hours), ("data.hours", options.hours)]
    {
        if let Some(hours) = hours {
            check_hours(field, hours)?;
        }
    }
    let labels = match &options.labels {
        Some(path) => Some(by_subject(path, &options.classes, limits)?),
        None => None,
    };
    let timing = Timing { every_hours: options.every_hours, origin: None };
    let mut cases = Cases {
        options,
        labels,
        limits,
        maker: Maker::new(options.channels.len(), timing),
        sequences: Vec::new(),
        events: Vec::new(),
        others: 0,
        disbelieved: 0,
        empty: 0,
        seen: BTreeSet::new(),
    };
    let mut broken = None;
    read_shards(folder, options.threads, limits, &mut |_, shard| {
        // The first fault of a sequence ends the reading just as one of a file does.
        if broken.is_none() {
            broken = cases.add(&shard).err();
        }
        Ok(())
    })?;
    match broken {
        Some(error) => Err(error),
        None => cases.cohort(folder),
    }
}

/// The codes that most training subjects have, as channels: numeric values where most of their
/// events have one, else counts. Training subjects are those of the part `train` of the split that
/// the data come with.
///
/// **Determinism** ties are broken by the names of codes.
///
/// # Errors
/// Those of reading; [`Error::Unfit`] where the data come with no split.
pub fn frequent_codes(
    folder: &Path,
    most: usize,
    threads: usize,
    limits: &Limits,
) -> Result<Vec<Channel>, Error> {
    let Some(splits) = read_splits(folder, limits)? else { return Err(no_split(folder)) };
    let mut found: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    read_shards(folder, threads, limits, &mut |_, shard| {
        // Of each code: the last subject that had it, subjects, events, events with a value.
        let mut counts = vec![(usize::MAX, 0_u64, 0_u64, 0_u64); shard.names.len()];
        let train = |id: i64| splits.get(&id).is_some_and(|part| part == "train");
        for (at, subject) in shard.subjects.iter().enumerate().filter(|(_, s)| train(s.id)) {
            for row in subject.rows.clone() {
                let count = &mut counts[shard.codes[row] as usize];
                count.1 += u64::from(count.0 != at);
                count.0 = at;
                count.2 += 1;
                count.3 += u64::from(!shard.values[row].is_nan());
            }
        }
        for (name, (_, subjects, events, valued)) in shard.names.iter().zip(counts) {
            if subjects > 0 {
                let sum = found.entry(name.clone()).or_default();
                *sum = (sum.0 + subjects, sum.1 + events, sum.2 + valued);
            }
        }
        Ok(())
    })?;
    let mut codes: Vec<(String, (u64, u64, u64))> = found.into_iter().collect();
    codes.sort_by(|(a, (of_a, ..)), (b, (of_b, ..))| of_b.cmp(of_a).then_with(|| a.cmp(b)));
    codes.truncate(most);
    let channel = |(name, (_, events, valued)): (String, (u64, u64, u64))| {
        let unit = if 2 * valued > events { String::new() } else { COUNT.to_owned() };
        Channel { name, unit }
    };
    Ok(codes.into_iter().map(channel).collect())
}

/// The split that the data come with, of those subjects that a cohort has.
///
/// # Errors
/// Those of reading; [`Error::Unfit`] where there is none.
pub fn published_split(
    folder: &Path,
    cohort: &Cohort,
    limits: &Limits,
) -> Result<SubjectLists, Error> {
    let Some(splits) = read_splits(folder, limits)? else { return Err(no_split(folder)) };
    let known: BTreeSet<SubjectId> = cohort.subjects().into_iter().collect();
    let mut lists = SubjectLists { train: Vec::new(), tune: Vec::new(), test: Vec::new() };
    for (id, part) in splits {
        let name = id.to_string();
        if !known.contains(&SubjectId::new(name.as_str())) {
            continue;
        }
        match part.as_str() {
            "train" => lists.train.push(name),
            "tuning" => lists.tune.push(name),
            "held_out" => lists.test.push(name),
            _ => {}
        }
    }
    Ok(lists)
}

fn no_split(folder: &Path) -> Error {
    Error::unfit(
        Location::file(folder.join("metadata").join("subject_splits.parquet")),
        "the data come with no split",
        "split by subject, and name the codes in data.channels",
    )
}

/// The labels of each subject, with their classes.
fn by_subject(
    path: &Path,
    classes: &[String],
    limits: &Limits,
) -> Result<BTreeMap<i64, Vec<(Label, u32)>>, Error> {
    let mut found: BTreeMap<i64, Vec<(Label, u32)>> = BTreeMap::new();
    for label in read_labels(path, limits)? {
        let class = classes.iter().position(|class| *class == label.value);
        let Some(class) = class.and_then(|class| u32::try_from(class).ok()) else {
            return Err(Error::unfit(
                Location::file(path),
                "a label is not among the classes",
                format!("name them all in data.classes; they are {}", classes.join(", ")),
            ));
        };
        found.entry(label.subject).or_default().push((label, class));
    }
    Ok(found)
}

struct Cases<'a> {
    options: &'a MedsOptions,
    labels: Option<BTreeMap<i64, Vec<(Label, u32)>>>,
    limits: &'a Limits,
    maker: Maker,
    sequences: Vec<Sequence>,
    events: Vec<Event>,
    others: u64,
    disbelieved: u64,
    /// Cases without an event that is looked at.
    empty: u64,
    /// Subjects with a label that were met.
    seen: BTreeSet<i64>,
}

impl Cases<'_> {
    fn add(&mut self, shard: &Shard) -> Result<(), Error> {
        self.disbelieved += shard.disbelieved;
        let of_code = |name: &String| self.options.channels.iter().position(|c| c.name == *name);
        let channels: Vec<Option<usize>> = shard.names.iter().map(of_code).collect();
        for subject in &shard.subjects {
            let rows = subject.rows.clone();
            let others =
                shard.codes[rows.clone()].iter().filter(|code| channels[**code as usize].is_none());
            self.others += others.count() as u64;
            let Some(labels) = &self.labels else {
                self.case(shard, (subject.id, rows), &channels, None)?;
                continue;
            };
            let Some(labels) = labels.get(&subject.id).cloned() else { continue };
            self.seen.insert(subject.id);
            for label in &labels {
                self.case(shard, (subject.id, rows.clone()), &channels, Some(label))?;
            }
        }
        Ok(())
    }

    /// One sequence: what is known of a subject at its prediction time.
    fn case(
        &mut self,
        shard: &Shard,
        (subject, rows): (i64, std::ops::Range<usize>),
        channels: &[Option<usize>],
        label: Option<&(Label, u32)>,
    ) -> Result<(), Error> {
        let span = self.options.hours.map(|hours| hours * MICROSECONDS);
        // Without a label the present is the last event.
        let last = shard.times[rows.clone()].iter().max().copied();
        let last = last.filter(|time| span.is_some() && *time != STATIC).unwrap_or(i64::MAX);
        let end = label.map_or(last, |(label, _)| label.time);
        // Whole microseconds, so that an event at an edge lies on one side of it.
        #[allow(clippy::cast_possible_truncation, reason = "saturates")]
        let start = match span {
            Some(span) if end != i64::MAX => end.saturating_sub(span as i64),
            _ => STATIC,
        };
        self.events.clear();
        let mut statics = Vec::new();
        for row in rows {
            let Some(channel) = channels[shard.codes[row] as usize] else { continue };
            let counts = self.options.channels[channel].unit == COUNT;
            let value = if counts { 1.0 } else { f64::from(shard.values[row]) };
            if value.is_nan() {
                continue;
            }
            let time = shard.times[row];
            if time == STATIC {
                statics.push((channel, value));
            } else if time >= start && time <= end {
                // A step ends before its last instant; the prediction time belongs to the last.
                let hours = hours(time);
                let last = span.is_some() && time == end && self.options.every_hours.is_some();
                let hours = if last { hours.next_down() } else { hours };
                self.events.push(Event { hours, channel, value });
            }
        }
        let origin = if span.is_some() && end != i64::MAX { Some(hours(start)) } else { None };
        let first = origin.or_else(|| self.events.first().map(|event| event.hours));
        let Some(first) = first.filter(|_| !self.events.is_empty() || !statics.is_empty()) else {
            self.empty += 1;
            return Ok(());
        };
        let statics =
            statics.into_iter().map(|(channel, value)| Event { hours: first, channel, value });
        self.events.splice(0..0, statics);
        let every = self.options.every_hours;
        count_together(&mut self.events, &self.options.channels, (every, first));
        let id = match label {
            Some((label, _)) => format!("{subject}@{}", label.time),
            None => subject.to_string(),
        };
        self.maker.begin(origin);
        let mut sequence = self.maker.sequence(&id, &self.events, self.limits)?;
        sequence.subject = SubjectId::new(subject.to_string());
        if let Some((_, class)) = label {
            sequence.target = Target::Class(*class);
        }
        self.sequences.push(sequence);
        Ok(())
    }

    fn cohort(self, folder: &Path) -> Result<Cohort, Error> {
        if self.sequences.is_empty() {
            return Err(Error::unfit(
                Location::file(folder),
                "no case has an event of these codes before its prediction time",
                "check data.channels and data.labels against the codes and subjects of the data",
            ));
        }
        let strangers = self.labels.as_ref().map_or(0, |labels| {
            labels.keys().filter(|subject| !self.seen.contains(*subject)).count()
        });
        let schema = Schema::new(self.options.channels.clone());
        let cohort = Cohort::new(schema, self.sequences, folder.display().to_string())?;
        let notes = [
            (self.others, "events have another code"),
            (self.disbelieved, "values are infinite and became missing"),
            (self.empty, "cases have no event of these codes and were left out"),
            (strangers as u64, "subjects have a label but no event"),
        ];
        let counted = notes.into_iter().filter(|(count, _)| *count > 0);
        Ok(counted
            .fold(cohort, |cohort, (count, what)| cohort.with_note(format!("{count} {what}"))))
    }
}

/// Makes of the events of a counted code in one step one event, whose value is their number.
fn count_together(
    events: &mut Vec<Event>,
    channels: &[Channel],
    (every, first): (Option<f64>, f64),
) {
    if channels.iter().all(|channel| channel.unit != COUNT) {
        return;
    }
    // Where the last event of each channel is, and in which step.
    let mut last: Vec<Option<(f64, usize)>> = vec![None; channels.len()];
    let mut kept: Vec<Event> = Vec::with_capacity(events.len());
    for event in events.drain(..) {
        if channels[event.channel].unit == COUNT {
            let step = every.map_or(event.hours, |every| ((event.hours - first) / every).floor());
            match last[event.channel] {
                Some((known, at)) if known.total_cmp(&step).is_eq() => {
                    kept[at].value += 1.0;
                    continue;
                }
                _ => last[event.channel] = Some((step, kept.len())),
            }
        }
        kept.push(event);
    }
    *events = kept;
}

fn hours(microseconds: i64) -> f64 {
    microseconds as f64 / MICROSECONDS
}

/// Microseconds of an hour.
const MICROSECONDS: f64 = 3.6e9;
