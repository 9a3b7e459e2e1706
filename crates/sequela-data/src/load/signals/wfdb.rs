//! The signals of WFDB records to sequences.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location, Schema};
use sequela_formats::collection::{is_archive, names_in};
use sequela_formats::wfdb::{Waveform, read_header, read_waveforms};

use super::assembler::{Assembler, Part};
use super::{Known, SignalOptions, agreed, one_rate};
use crate::load::Subjects;
use crate::{Cohort, Error};

/// The cohort of the signals of a WFDB record (its `.hea` file) or of the records in a folder, one sequence
/// for each, sorted by name.
///
/// `records` are the names of those that are meant; empty means all. Segments of a record of several are
/// read as parts of it. One record at a time is in memory.
///
/// **Units** those of the headers, which must agree; times are hours from the start of each record.
/// **Missing data** samples that the record marks as missing, and signals that a segment lacks.
///
/// # Errors
/// Those of reading; [`Error::Unfit`] where there is no record, one lacks a signal, units differ, signals
/// have several rates and no `every_seconds` is given, or a record has over `steps` values.
pub fn wfdb_signals(
    path: &Path,
    records: &[String],
    (options, subjects): (&SignalOptions, Subjects),
    limits: &Limits,
) -> Result<Cohort, Error> {
    let mut channels = options.channels.clone();
    let (mut sequences, mut notes) = (Vec::new(), Vec::new());
    for file in headers(path, records, limits)? {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let waveforms = read_waveforms(&file, None, limits)?;
        let chosen: Vec<&Waveform> = if channels.is_empty() {
            waveforms.signals.iter().collect()
        } else {
            let find = |name: &str| find(&waveforms.signals, name, &file);
            channels.iter().map(|channel| find(&channel.name)).collect::<Result<_, _>>()?
        };
        let rate = |signal: &Waveform| waveforms.frequency * f64::from(signal.samples_per_frame);
        let known: Vec<Known<'_>> = chosen
            .iter()
            .map(|signal| Known { name: &signal.name, unit: &signal.unit, frequency: rate(signal) })
            .collect();
        agreed(&mut channels, &known, &file)?;
        one_rate(options.every_seconds, &known, &file)?;
        let mut assembler = Assembler::new(&file, chosen.len(), options.every_seconds, limits);
        let parts: Vec<Part<'_>> = chosen
            .iter()
            .map(|signal| Part { frequency: rate(signal), values: &signal.values })
            .collect();
        assembler.add(0.0, &parts)?;
        notes.extend(waveforms.notes.iter().cloned());
        sequences.push(assembler.finish(&stem, subjects.of(&stem))?);
    }
    let cohort = Cohort::new(Schema::new(channels), sequences, path.display().to_string())?;
    if let Some(seconds) = options.every_seconds {
        notes.push(format!("each step is the mean of {seconds} s"));
    }
    Ok(notes.into_iter().fold(cohort, Cohort::with_note))
}

fn find<'a>(signals: &'a [Waveform], name: &str, path: &Path) -> Result<&'a Waveform, Error> {
    signals.iter().find(|signal| signal.name == name).ok_or_else(|| {
        let there: Vec<&str> = signals.iter().map(|signal| signal.name.as_str()).collect();
        Error::unfit(
            Location::file(path).field(name),
            "the record has no such signal",
            format!("its signals are {}", there.join(", ")),
        )
    })
}

/// The headers of the records that are meant, without those of segments.
pub(super) fn headers(
    path: &Path,
    records: &[String],
    limits: &Limits,
) -> Result<Vec<PathBuf>, Error> {
    if is_archive(&path.to_string_lossy()) {
        return Err(Error::unfit(
            Location::file(path),
            "signals are not read from an archive",
            "unpack it, and name the folder",
        ));
    }
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let names = names_in(path)?;
    let stems: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".hea")).collect();
    if let Some(name) = records.iter().find(|name| !stems.contains(&name.as_str())) {
        return Err(Error::unfit(
            Location::file(path),
            format!("there is no record {name} in it"),
            "correct the name, or leave it out",
        ));
    }
    let file = |stem: &str| path.join(format!("{stem}.hea"));
    if !records.is_empty() {
        return Ok(records.iter().map(|name| file(name)).collect());
    }
    let mut segments = BTreeSet::new();
    for stem in &stems {
        let parts = read_header(&file(stem), limits)?.segments;
        segments.extend(parts.into_iter().map(|segment| segment.record));
    }
    let whole: Vec<PathBuf> =
        stems.iter().filter(|stem| !segments.contains(**stem)).map(|stem| file(stem)).collect();
    if whole.is_empty() {
        return Err(Error::unfit(
            Location::file(path),
            "there is no record (no .hea file) in it",
            "name a folder of WFDB records",
        ));
    }
    Ok(whole)
}
