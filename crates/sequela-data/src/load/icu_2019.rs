//! The ICU hours of the PhysioNet/CinC Challenge 2019.

use std::path::Path;

use sequela_core::{Channel, Limits, Schema, Sequence, SubjectId, Target};
use sequela_formats::physionet::{COLUMNS, read_hours};

use crate::{Cohort, Error};

/// What the label of an hour is called, and its classes in their order.
pub const SEPSIS: (&str, [&str; 2]) = ("SepsisLabel", ["no_sepsis", "sepsis"]);

/// The cohort of a folder or archive of `.psv` files (as [`read_hours`] finds them), one sequence
/// for each patient, sorted by name.
///
/// **Shapes** F = 40, the columns of the challenge; T hours of each patient. The target is
/// [`Target::PerStep`], `(T)`: 1 from six hours before the onset of sepsis, else 0; a file
/// without labels has no target. **Units** those of the challenge; times are hours since
/// admission to the ICU (`ICULOS`, which is a channel too).
///
/// **Missing data** `NaN` is not measured.
///
/// # Errors
/// Those of reading.
pub fn physionet2019(path: &Path, limits: &Limits) -> Result<Cohort, Error> {
    let mut sequences = Vec::new();
    let mut broken = None;
    read_hours(path, limits, &mut |hours| {
        let subject = SubjectId::new(hours.patient.as_str());
        let sequence = Sequence::numeric(hours.patient, subject, COLUMNS.len(), &hours.values)
            .and_then(|sequence| sequence.with_times(hours.times));
        match sequence {
            Ok(mut sequence) => {
                if let Some(sepsis) = hours.sepsis {
                    let labels = sepsis.into_iter().map(|coming| Some(u32::from(coming)));
                    sequence.target = Target::PerStep(labels.collect());
                }
                sequences.push(sequence);
            }
            Err(error) => broken = broken.take().or(Some(error)),
        }
        Ok(())
    })?;
    if let Some(error) = broken {
        return Err(error.into());
    }
    sequences.sort_by(|a, b| a.id.cmp(&b.id));
    let channel =
        |(name, unit): (&str, &str)| Channel { name: name.to_owned(), unit: unit.to_owned() };
    let schema = Schema::new(COLUMNS.map(channel).to_vec());
    Cohort::new(schema, sequences, path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_formats::durable::write_atomic;

    #[test]
    fn hours_have_labels_where_the_file_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let header = COLUMNS.map(|(name, _)| name).join("|");
        let nothing = "NaN|".repeat(38);
        let labelled = format!("{header}|SepsisLabel\n71|{nothing}3|0\nNaN|{nothing}4|1\n");
        let plain = format!("{header}\n72|{nothing}1\n");
        for (name, text) in [("p2.psv", labelled), ("p1.psv", plain)] {
            write_atomic(&folder.path().join(name), text.as_bytes()).unwrap();
        }
        let cohort = physionet2019(folder.path(), &Limits::default()).unwrap();
        let [first, second] = cohort.sequences() else { unreachable!() };
        assert_eq!((first.id.as_str(), &first.target), ("p1", &Target::Itself));
        assert_eq!(second.target, Target::PerStep(vec![Some(0), Some(1)]));
        assert_eq!(second.times.as_deref(), Some(&[3.0, 4.0][..]));
        assert_eq!(cohort.missing(), 38 + 2 * 38 + 1);
        assert!(physionet2019(&folder.path().join("p3.psv"), &Limits::default()).is_err());
    }
}
