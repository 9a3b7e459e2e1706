//! From the data section of a study to a cohort and its parts.

use std::path::{Path, PathBuf};

use sequela_core::{Channel, Limits, Location, Schema, Sequence, SubjectId};
use sequela_data::load::{
    AnnotatedBeats, MedsOptions, SignalOptions, Stays, annotated_beats, frequent_codes, intervals,
    meds, physionet2012, physionet2019, published_split, series, wfdb_signals,
};
use sequela_data::plausible::check_units;
use sequela_data::resample::{Grid, resample_all};
use sequela_data::simulate::{HeartRateSimulation, SimulatedSteps, article};
use sequela_data::split::{
    self as subjects, Parts, SubjectLists, by_lists, by_subject, by_time, check_leakage,
};
use sequela_data::{Cohort, datasets};
use sequela_formats::csv::{LongColumns, SeriesColumns, TimeColumn, TimeFormat, ValueColumn};
use sequela_formats::npy::read_array;

use crate::Error;
use crate::study::{
    Content, CsvData, Data, EdfData, MedsData, NpyData, Physionet2012Data, Split, SplitBy, Study,
    TimeWord, ValueSpec, WfdbData,
};

/// Where a file of a study is: as it is if absolute, else beside the study, else in the present
/// folder, else among the data sets.
pub(crate) fn find(path: &Path, base: &Path, field: &str) -> Result<PathBuf, Error> {
    let beside = base.join(path);
    if path.is_absolute() || beside.exists() {
        return Ok(beside);
    }
    if path.exists() {
        return Ok(path.to_owned());
    }
    datasets::find(&path.to_string_lossy()).map_err(|error| Error::Folder {
        location: Location::file(path).into(),
        what: "there is no such file beside the study or in the present folder".into(),
        hint: format!("check {field} ({error})"),
    })
}

/// How a file or folder is read, told from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// `.npy`.
    Array,
    /// A folder, or a tar archive.
    Records,
    /// Anything else.
    Table,
}

impl FileKind {
    /// The kind of a path.
    pub(crate) fn of(path: &Path) -> Self {
        let is = |wanted: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(wanted));
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if is("npy") {
            Self::Array
        } else if path.is_dir() || is("tgz") || is("txz") || name.contains(".tar") {
            Self::Records
        } else {
            Self::Table
        }
    }
}

/// The cohort of a study.
pub(crate) fn load(study: &Study, limits: &Limits) -> Result<Cohort, Error> {
    let at = |path: &Path| find(path, &study.base, "data.path");
    let cohort = match &study.data {
        Data::Csv(data) => csv(data, &at(&data.path)?, limits)?,
        Data::Npy(data) => npy(data, &at(&data.path)?, limits)?,
        Data::Wfdb(data) => wfdb(data, &at(&data.path)?, limits)?,
        Data::Edf(data) => edf(data, &at(&data.path)?, limits)?,
        Data::Physionet2012(data) => {
            let outcomes = data.outcomes.as_deref();
            let outcomes = outcomes.map(|file| find(file, &study.base, "data.outcomes"));
            stays(data, &at(&data.path)?, outcomes.transpose()?, limits)?
        }
        Data::Physionet2019(data) => physionet2019(&at(&data.path)?, limits)?,
        Data::Meds(data) => {
            let labels = data.labels.as_deref();
            let labels = labels.map(|file| find(file, &study.base, "data.labels")).transpose()?;
            meds_cohort(data, None, (&at(&data.path)?, labels), limits)?
        }
        Data::Simulated(data) => HeartRateSimulation {
            subjects: data.subjects,
            hours: data.hours,
            seed: study.study.seed,
            steps: data.every_seconds.map_or(SimulatedSteps::Beats, SimulatedSteps::EverySeconds),
        }
        .run()?,
        Data::Article(_) => article::cohort()?,
    };
    let findings = check_units(&cohort);
    Ok(findings
        .iter()
        .fold(cohort, |cohort, finding| cohort.with_note(format!("finding: {}", finding.text()))))
}

/// The cohort of a table.
pub(crate) fn csv(data: &CsvData, path: &Path, limits: &Limits) -> Result<Cohort, Error> {
    let time = data
        .time
        .as_ref()
        .map(|time| TimeColumn { name: time.name.clone(), format: time_format(time.format) });
    let values = data
        .values
        .iter()
        .map(|value| ValueColumn { name: value.name.clone(), unit: value.unit.clone() })
        .collect();
    if let (Some(long), Some(subject), Some(time)) = (&data.long, &data.subject, &time) {
        let columns = LongColumns {
            subject: subject.clone(),
            time: time.clone(),
            name: long.name.clone(),
            value: long.value.clone(),
            unit: long.unit.clone(),
            channels: values,
        };
        let every_hours = data.every_seconds.map(|seconds| seconds / 3600.0);
        return Ok(sequela_data::load::long(path, &columns, every_hours, limits)?);
    }
    let columns = SeriesColumns { subject: data.subject.clone(), time, values };
    let cohort = series(path, &columns, limits)?;
    Ok(match data.every_seconds {
        Some(seconds) => {
            let grid = Grid { step_hours: seconds / 3600.0, carry_forward: 0 };
            resample_all(&cohort, &grid, limits)?
        }
        None => cohort,
    })
}

/// The cohort of an array.
pub(crate) fn npy(data: &NpyData, path: &Path, limits: &Limits) -> Result<Cohort, Error> {
    if data.content == Content::BeatIntervals {
        return Ok(intervals(path, &data.beats, limits)?);
    }
    let array = read_array(path, limits)?;
    let steps = array.shape.last().copied().unwrap_or(0).max(1);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let one = array.values.len() <= steps;
    let mut sequences = Vec::new();
    for (row, values) in array.values.chunks(steps).enumerate() {
        let id = if one { stem.to_string() } else { format!("{stem}-{}", row + 1) };
        let values: Vec<f32> = values.iter().map(|&value| crate::encode::narrow(value)).collect();
        sequences.push(
            Sequence::numeric(&id, SubjectId::new(&id), 1, &values)
                .map_err(sequela_data::Error::from)?,
        );
    }
    let schema = Schema::new(vec![Channel { name: data.name.clone(), unit: data.unit.clone() }]);
    Ok(Cohort::new(schema, sequences, path.display().to_string())?)
}

/// The cohort of recordings.
pub(crate) fn edf(data: &EdfData, path: &Path, limits: &Limits) -> Result<Cohort, Error> {
    let options = SignalOptions {
        channels: data.values.iter().map(channel).collect(),
        every_seconds: data.every_seconds,
        owners: data.owners,
    };
    Ok(sequela_data::load::edf(path, &options, limits)?)
}

fn channel(value: &ValueSpec) -> Channel {
    Channel { name: value.name.clone(), unit: value.unit.clone() }
}

/// The cohort of annotated records, or of their signals where these are named.
pub(crate) fn wfdb(data: &WfdbData, path: &Path, limits: &Limits) -> Result<Cohort, Error> {
    if !data.values.is_empty() {
        let options = SignalOptions {
            channels: data.values.iter().map(channel).collect(),
            every_seconds: data.every_seconds,
            ..SignalOptions::default()
        };
        return Ok(wfdb_signals(path, &data.records, (&options, data.subjects), limits)?);
    }
    let options = AnnotatedBeats {
        annotator: data.annotator.clone(),
        subjects: data.subjects,
        beats: data.beats,
    };
    let cohort = annotated_beats(&[path.to_owned()], &options, limits)?;
    if data.records.is_empty() {
        return Ok(cohort);
    }
    let is_there = |name: &String| cohort.sequences().iter().any(|record| record.id == *name);
    if let Some(name) = data.records.iter().find(|name| !is_there(name)) {
        return Err(Error::data(
            "data.records",
            format!("there is no record {name} with annotated beats in {}", path.display()),
            "correct the name, or leave it out",
        ));
    }
    let meant = |record: &&Sequence| data.records.contains(&record.id);
    let records = cohort.sequences().iter().filter(meant).cloned().collect();
    let chosen = Cohort::new(cohort.schema().clone(), records, cohort.source())?;
    Ok(cohort.notes().iter().fold(chosen, |chosen, note| chosen.with_note(note.as_str())))
}

/// The cohort of ICU stays as a study reads them, with the outcomes of a file, or of those in or
/// beside the path.
pub(crate) fn stays(
    data: &Physionet2012Data,
    path: &Path,
    outcomes: Option<PathBuf>,
    limits: &Limits,
) -> Result<Cohort, Error> {
    let every_hours = data.every_seconds.map(|seconds| seconds / 3600.0);
    Ok(physionet2012(path, &Stays { every_hours, hours: data.hours, outcomes }, limits)?)
}

/// The cohort of events as a study reads them, with the channels of a model that is there already.
pub(crate) fn meds_cohort(
    data: &MedsData,
    known: Option<&Schema>,
    (path, labels): (&Path, Option<PathBuf>),
    limits: &Limits,
) -> Result<Cohort, Error> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let channels = match (known, data.frequent) {
        (Some(schema), _) => schema.channels().to_vec(),
        (None, Some(most)) => frequent_codes(path, most, threads, limits)?,
        (None, None) => data.channels.iter().map(channel).collect(),
    };
    let hours = |seconds: f64| seconds / 3600.0;
    let options = MedsOptions {
        channels,
        every_hours: data.every_seconds.map(hours),
        hours: data.hours,
        labels,
        classes: data.classes.clone(),
        threads,
    };
    Ok(meds(path, &options, limits)?)
}

/// The reader's word for a study's.
pub(crate) fn time_format(word: TimeWord) -> TimeFormat {
    match word {
        TimeWord::Days => TimeFormat::Days,
        TimeWord::Hours => TimeFormat::Hours,
        TimeWord::Minutes => TimeFormat::Minutes,
        TimeWord::Seconds => TimeFormat::Seconds,
        TimeWord::Milliseconds => TimeFormat::Milliseconds,
        TimeWord::DateTime => TimeFormat::DateTime,
    }
}

/// Position of the channel that is forecast.
pub(crate) fn target(study: &Study, schema: &Schema) -> Result<usize, Error> {
    let (Data::Csv(CsvData { target: Some(target), .. })
    | Data::Edf(EdfData { target: Some(target), .. })
    | Data::Wfdb(WfdbData { target: Some(target), .. })) = &study.data
    else {
        return Ok(0);
    };
    schema.position(target).ok_or_else(|| {
        Error::data("data.target", "it is not among the channels", "name one of data.values")
    })
}

/// Training, tuning and test part.
pub(crate) fn split(study: &Study, cohort: &Cohort) -> Result<Parts, Error> {
    let Split { by, fractions, .. } = &study.split;
    match by {
        SplitBy::Time => {
            let reach = study.window.length + study.window.horizons.last().copied().unwrap_or(0);
            let nothing_apart = fractions.tune <= 0.0 && fractions.test <= 0.0;
            Ok(by_time(cohort, *fractions, if nothing_apart { 0 } else { reach })?)
        }
        // Groups and starts are refused for forecasts when the study is checked.
        SplitBy::Subject | SplitBy::Group | SplitBy::Start | SplitBy::Published => {
            let split = match listed(study, cohort)? {
                Some(split) => split,
                None if cohort.subjects().len() < 2 => {
                    return Err(Error::data(
                        "split.by",
                        "there is one subject only, which cannot be split by subject",
                        "write by = \"time\" in [split]",
                    ));
                }
                None => by_subject(cohort, *fractions, study.study.seed)?,
            };
            check_leakage(cohort, &split)?;
            Ok(split.parts(cohort))
        }
    }
}

/// The split by the study's lists of subjects, where it has any.
pub(crate) fn listed(study: &Study, cohort: &Cohort) -> Result<Option<subjects::Split>, Error> {
    let Split { train, tune, test, .. } = &study.split;
    if let (SplitBy::Published, Some(path)) = (study.split.by, study.data.path()) {
        let folder = find(path, &study.base, "data.path")?;
        let lists = published_split(&folder, cohort, &Limits::default())?;
        return Ok(Some(by_lists(cohort, &lists)?));
    }
    if !study.split.is_listed() {
        return Ok(None);
    }
    let lists = SubjectLists { train: train.clone(), tune: tune.clone(), test: test.clone() };
    Ok(Some(by_lists(cohort, &lists)?))
}
