//! EDF and BDF files to sequences.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location, Schema, SubjectId};
use sequela_formats::collection::names_in;
use sequela_formats::edf::{Calibration, Reader};

use super::assembler::{Assembler, Part};
use super::{Known, Owners, SignalOptions, agreed, one_rate};
use crate::{Cohort, Error};

/// The cohort of an EDF or BDF file or of those in a folder, one sequence for each, sorted by name.
///
/// Files are read record by record: one record and the steps are in memory. Sequences are called like
/// their files; nothing of what identifies a patient is kept, see [`Owners`].
///
/// **Shapes** F is the number of channels. **Units** those of the files, which must agree; times are hours from
/// the start of each recording. **Missing data** with `every_seconds` gaps of a discontinuous file are
/// missing steps; without it times leap.
///
/// # Errors
/// Those of reading; [`Error::Unfit`] where there is no such file, units differ, signals have several rates and
/// no `every_seconds` is given, or a recording has over `steps` values.
pub fn edf(path: &Path, options: &SignalOptions, limits: &Limits) -> Result<Cohort, Error> {
    let files = files(path)?;
    let mut channels = options.channels.clone();
    let mut owners = BTreeMap::new();
    let (mut sequences, mut notes, mut annotations) = (Vec::new(), Vec::new(), 0);
    for file in &files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let mut reader = Reader::open(file, limits)?;
        let subject = match options.owners {
            Owners::Files => SubjectId::new(stem.as_ref()),
            Owners::Patients => owner(&reader, &stem, &mut owners),
        };
        let labels: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
        let chosen = reader.chosen(&labels)?;
        let header = reader.header();
        let known: Vec<Known<'_>> = chosen
            .iter()
            .filter_map(|&(at, _)| header.signals.get(at))
            .map(|signal| Known {
                name: &signal.label,
                unit: &signal.unit,
                frequency: header.frequency(signal),
            })
            .collect();
        if known.is_empty() {
            return Err(Error::unfit(
                Location::file(file),
                "it has annotations and no signal",
                "leave it out",
            ));
        }
        agreed(&mut channels, &known, file)?;
        one_rate(options.every_seconds, &known, file)?;
        let rates: Vec<f64> = known.iter().map(|signal| signal.frequency).collect();
        let mut assembler = Assembler::new(file, rates.len(), options.every_seconds, limits);
        annotations += walk(&mut reader, &chosen, &rates, &mut assembler)?;
        notes.extend(reader.notes().into_iter().map(|note| format!("{stem}: {note}")));
        sequences.push(assembler.finish(&stem, subject)?);
    }
    let count = sequences.len();
    let cohort = Cohort::new(Schema::new(channels), sequences, path.display().to_string())?;
    let subjects = cohort.subjects().len();
    if subjects < count {
        notes.push(format!(
            "{count} recordings are of {subjects} patients, by their identification (owners = \
             \"files\" takes each for its own)"
        ));
    }
    if let Some(seconds) = options.every_seconds {
        notes.push(format!("each step is the mean of {seconds} s"));
    }
    if annotations > 0 {
        notes.push(format!("{annotations} annotations are in the recordings and are not used"));
    }
    Ok(notes.into_iter().fold(cohort, Cohort::with_note))
}

/// Gives all records to the assembler; how many annotations there are.
fn walk(
    reader: &mut Reader<'_>,
    chosen: &[(usize, Calibration)],
    rates: &[f64],
    assembler: &mut Assembler<'_>,
) -> Result<usize, Error> {
    let mut annotations = 0;
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); chosen.len()];
    while let Some(record) = reader.next_record()? {
        for (values, &(at, calibration)) in values.iter_mut().zip(chosen) {
            values.clear();
            record.physical(at, calibration, values);
        }
        let part = |(&frequency, values)| Part { frequency, values };
        let parts: Vec<Part<'_>> =
            rates.iter().zip(values.iter().map(Vec::as_slice)).map(part).collect();
        assembler.add(record.onset, &parts)?;
        annotations += record.annotations.len();
    }
    Ok(annotations)
}

/// The files at a path, sorted by name.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let is_edf = |name: &String| {
        let end = name.rsplit_once('.').map(|(_, end)| end.to_lowercase());
        end.is_some_and(|end| end == "edf" || end == "bdf")
    };
    let files: Vec<PathBuf> =
        names_in(path)?.iter().filter(|name| is_edf(name)).map(|name| path.join(name)).collect();
    if files.is_empty() {
        return Err(Error::unfit(
            Location::file(path),
            "there is no .edf or .bdf file in it",
            "name a file, or a folder that has some",
        ));
    }
    Ok(files)
}

/// Whether the identification of a patient tells one from others. Of EDF+ it is code, sex, date of
/// birth and name, `X` where one is not known: the code tells, or date and name together; many have
/// the same sex. What has not these four is taken as it is.
fn tells_who(patient: &str) -> bool {
    let words: Vec<&str> = patient.split_whitespace().collect();
    match words.as_slice() {
        [code, "X" | "F" | "M", birth, name, ..] => *code != "X" || (*birth != "X" && *name != "X"),
        words => words.iter().any(|word| *word != "X"),
    }
}

/// The subject of a recording: that of the first with the same patient identification.
fn owner(reader: &Reader<'_>, stem: &str, owners: &mut BTreeMap<String, SubjectId>) -> SubjectId {
    let patient = reader.header().identification.patient.trim();
    let is_known = tells_who(patient);
    let own = || SubjectId::new(stem);
    if is_known { owners.entry(patient.to_owned()).or_insert_with(own).clone() } else { own() }
}

#[cfg(test)]
mod tests {
    use super::tells_who;

    #[test]
    fn the_sex_alone_tells_nobody_from_others() {
        for unknown in
            ["", "X X X X", "X F X X", "X M X X", "X F X Female_33yr", "X M 02-MAY-1951 X"]
        {
            assert!(!tells_who(unknown), "{unknown}");
        }
        for known in ["P7 F X X", "X F 02-MAY-1951 Doe", "Bed 3", "P7"] {
            assert!(tells_who(known), "{known}");
        }
    }
}
