//! The ICU stays of the PhysioNet/CinC Challenge 2012.

use std::path::{Path, PathBuf};

use sequela_core::{Channel, Limits, Schema, Sequence, Target};
use sequela_formats::bounded;
use sequela_formats::physionet::{
    Outcomes, PARAMETERS, Stay, parse_outcomes, read_outcomes, read_stays,
};

use super::events::{Event, Maker, Timing};
use crate::gaps::check_hours;
use crate::{Cohort, Error};

/// How the stays of the challenge of 2012 become sequences.
#[derive(Debug, Clone, PartialEq)]
pub struct Stays {
    /// Hours of one step of a grid from admission, each cell the mean of what was measured in
    /// it; without it a step is a minute at which anything was measured.
    pub every_hours: Option<f64>,
    /// What was measured so many hours after admission or later is not looked at.
    pub hours: f64,
    /// The file of outcomes; without it those in or beside the path, if there are any.
    pub outcomes: Option<PathBuf>,
}

impl Default for Stays {
    fn default() -> Self {
        Self { every_hours: None, hours: 48.0, outcomes: None }
    }
}

impl Stays {
    /// What the class of a stay is called.
    pub const OUTCOME: &str = "in_hospital_death";
    /// The classes in their order.
    pub const CLASSES: [&str; 2] = ["survived", "died"];
    /// Number of channels, F.
    pub const CHANNELS: usize = CHANNELS.len();
}

/// The cohort of a folder or archive of stays (as [`read_stays`] finds them), one sequence for
/// each, sorted by `RecordID`, with the class 1 ([`Target::Class`]) where the patient died in
/// hospital, 0 where not, and no target where no outcome is known.
///
/// **Units** those of the schema. Times are hours since admission: of the measurement, or, on a
/// grid, of the end of each step. A sequence goes to its last step with a value.
///
/// The general descriptors (age, sex, height, type of unit) are channels that are observed once,
/// at admission; the type of unit is four channels of 0 and 1.
///
/// **Missing data** -1 stands for unknown in these files. Missing are also, and counted in a
/// note, values that no patient has: a height outside 100 to 230 cm, a weight below 20 kg, a
/// temperature below 20 C, a pH outside 6 to 8, and 0 for rates, pressures and gases.
///
/// # Errors
/// Those of reading; [`Error::Request`] where `hours` or `every_hours` is not positive, or a step
/// is shorter than a minute or too short for `limits.steps`.
pub fn physionet2012(path: &Path, options: &Stays, limits: &Limits) -> Result<Cohort, Error> {
    check_hours("data.hours", options.hours)?;
    if let Some(every) = options.every_hours {
        check_hours("data.every_seconds", every)?;
        if every < 1.0 / 60.0 || options.hours / every > limits.steps as f64 {
            return Err(Error::request(
                "data.every_seconds",
                "the step is shorter than the minute in which times are given, or too short for \
                 data.hours",
                "take a longer step",
            ));
        }
    }
    let outcomes = match &options.outcomes {
        Some(file) => Some(parse_outcomes(&bounded::read(file, limits)?, file, limits)?),
        None => read_outcomes(path, limits)?,
    };
    let mut reader = Reader::new(options, outcomes, limits);
    let mut broken = None;
    read_stays(path, limits, &mut |stay| {
        // The first fault of a sequence ends the reading just as one of a file does.
        if broken.is_none() {
            broken = reader.add(&stay).err();
        }
        Ok(())
    })?;
    match broken {
        Some(error) => Err(error),
        None => reader.cohort(path),
    }
}

struct Reader<'a> {
    options: &'a Stays,
    limits: &'a Limits,
    outcomes: Option<Outcomes>,
    /// The channel of each parameter; the first of four for the type of unit.
    channels: [usize; PARAMETERS.len()],
    sequences: Vec<Sequence>,
    maker: Maker,
    events: Vec<Event>,
    disbelieved: u64,
    unnamed: u64,
    late: u64,
}

impl<'a> Reader<'a> {
    fn new(options: &'a Stays, outcomes: Option<Outcomes>, limits: &'a Limits) -> Self {
        let channel = |parameter: &str| {
            let name = match parameter {
                "Age" => "age",
                "Gender" => "male",
                "Height" => "height",
                UNIT_TYPE => CHANNELS[FIRST_UNIT].0,
                other => other,
            };
            CHANNELS.iter().position(|(known, _)| *known == name).unwrap_or(0)
        };
        let timing = Timing { every_hours: options.every_hours, origin: Some(0.0) };
        Self {
            options,
            limits,
            outcomes,
            channels: PARAMETERS.map(channel),
            sequences: Vec::new(),
            maker: Maker::new(CHANNELS.len(), timing),
            events: Vec::new(),
            disbelieved: 0,
            unnamed: 0,
            late: 0,
        }
    }

    fn add(&mut self, stay: &Stay) -> Result<(), Error> {
        self.unnamed += u64::from(stay.unnamed);
        self.events.clear();
        for measured in &stay.measurements {
            let parameter = PARAMETERS[usize::from(measured.parameter)];
            let hours = f64::from(measured.minutes) / 60.0;
            if hours >= self.options.hours {
                self.late += 1;
                continue;
            }
            if !is_believed(parameter, measured.value) {
                self.disbelieved += u64::from(!is_unknown(measured.value));
                continue;
            }
            let channel = self.channels[usize::from(measured.parameter)];
            if parameter == UNIT_TYPE {
                for unit in 0..UNITS {
                    let here = (measured.value - (unit + 1) as f64).abs() < 0.5;
                    let value = f64::from(u8::from(here));
                    self.events.push(Event { hours, channel: channel + unit, value });
                }
            } else {
                self.events.push(Event { hours, channel, value: measured.value });
            }
        }
        let mut sequence = self.maker.sequence(&stay.record, &self.events, self.limits)?;
        if let Some(died) = self.outcomes.as_ref().and_then(|known| known.get(&stay.record)) {
            sequence.target = Target::Class(u32::from(*died));
        }
        self.sequences.push(sequence);
        Ok(())
    }

    fn cohort(mut self, path: &Path) -> Result<Cohort, Error> {
        self.sequences.sort_by(|a, b| a.id.cmp(&b.id));
        let channel =
            |(name, unit): (&str, &str)| Channel { name: name.to_owned(), unit: unit.to_owned() };
        let schema = Schema::new(CHANNELS.map(channel).to_vec());
        let hours = self.options.hours;
        let notes = [
            (self.disbelieved, "values that no patient has became missing".to_owned()),
            (self.late, format!("values from {hours} h after admission on were left out")),
            (self.unnamed, "lines name no parameter and were passed over".to_owned()),
        ];
        let cohort = Cohort::new(schema, self.sequences, path.display().to_string())?;
        let counted = notes.into_iter().filter(|(count, _)| *count > 0);
        Ok(counted
            .fold(cohort, |cohort, (count, what)| cohort.with_note(format!("{count} {what}"))))
    }
}

fn is_unknown(value: f64) -> bool {
    (value + 1.0).abs() <= f64::EPSILON
}

/// Whether a number can be what it says it is.
fn is_believed(parameter: &str, value: f64) -> bool {
    let in_range = match parameter {
        "Height" => (100.0..=230.0).contains(&value),
        "Weight" | "Temp" => value >= 20.0,
        "pH" => (6.0..=8.0).contains(&value),
        UNIT_TYPE => (1.0..=4.0).contains(&value),
        "DiasABP" | "HR" | "MAP" | "NIDiasABP" | "NIMAP" | "NISysABP" | "PaCO2" | "PaO2"
        | "RespRate" | "SysABP" => value > 0.0,
        _ => true,
    };
    in_range && !is_unknown(value)
}

const UNIT_TYPE: &str = "ICUType";
const FIRST_UNIT: usize = 3;
const UNITS: usize = 4;

/// Names and units of the channels: the descriptors, then the variables by name.
const CHANNELS: [(&str, &str); 44] = [
    ("age", "years"),
    ("male", ""),
    ("height", "cm"),
    ("unit_coronary", ""),
    ("unit_cardiac_surgery", ""),
    ("unit_medical", ""),
    ("unit_surgical", ""),
    ("Albumin", "g/dL"),
    ("ALP", "IU/L"),
    ("ALT", "IU/L"),
    ("AST", "IU/L"),
    ("Bilirubin", "mg/dL"),
    ("BUN", "mg/dL"),
    ("Cholesterol", "mg/dL"),
    ("Creatinine", "mg/dL"),
    ("DiasABP", "mmHg"),
    ("FiO2", ""),
    ("GCS", ""),
    ("Glucose", "mg/dL"),
    ("HCO3", "mmol/L"),
    ("HCT", "%"),
    ("HR", "bpm"),
    ("K", "mEq/L"),
    ("Lactate", "mmol/L"),
    ("MAP", "mmHg"),
    ("MechVent", ""),
    ("Mg", "mmol/L"),
    ("Na", "mEq/L"),
    ("NIDiasABP", "mmHg"),
    ("NIMAP", "mmHg"),
    ("NISysABP", "mmHg"),
    ("PaCO2", "mmHg"),
    ("PaO2", "mmHg"),
    ("pH", ""),
    ("Platelets", "cells/nL"),
    ("RespRate", "bpm"),
    ("SaO2", "%"),
    ("SysABP", "mmHg"),
    ("Temp", "C"),
    ("TroponinI", "ug/L"),
    ("TroponinT", "ug/L"),
    ("Urine", "mL"),
    ("WBC", "cells/nL"),
    ("Weight", "kg"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::Steps;
    use sequela_formats::durable::write_atomic;

    const STAY: &str = "Time,Parameter,Value\n00:00,RecordID,7\n00:00,Age,54\n00:00,Height,-1\n\
        00:00,ICUType,4\n00:00,Weight,0.5\n00:10,HR,70\n00:50,HR,80\n02:30,HR,90\n02:30,HR,100\n\
        02:45,Temp,-17.8\n48:00,HR,60\n";

    fn cohort(options: &Stays) -> Result<Cohort, Error> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("set-a")).unwrap();
        write_atomic(&folder.path().join("set-a/7.txt"), STAY.as_bytes()).unwrap();
        let outcomes = b"RecordID,In-hospital_death\n7,1\n8,0\n";
        write_atomic(&folder.path().join("Outcomes-a.txt"), outcomes).unwrap();
        let found = physionet2012(folder.path(), options, &Limits::default())?;
        let inner = physionet2012(&folder.path().join("set-a"), options, &Limits::default())?;
        assert_eq!(inner.fingerprint(), found.fingerprint());
        Ok(found)
    }

    fn of_channel(cohort: &Cohort, name: &str) -> Vec<Option<f32>> {
        let at = cohort.schema().position(name).unwrap();
        let Steps::Numeric { values, observed, .. } = &cohort.sequences()[0].steps else {
            unreachable!()
        };
        let cells = values.iter().zip(observed).skip(at).step_by(CHANNELS.len());
        cells.map(|(value, seen)| seen.then_some(*value)).collect()
    }

    #[test]
    fn a_grid_holds_the_means_of_its_steps() {
        let hourly = Stays { every_hours: Some(1.0), ..Stays::default() };
        let cohort = cohort(&hourly).unwrap();
        assert_eq!(of_channel(&cohort, "HR"), [Some(75.0), None, Some(95.0)]);
        assert_eq!(of_channel(&cohort, "age"), [Some(54.0), None, None]);
        assert_eq!(of_channel(&cohort, "unit_surgical")[0], Some(1.0));
        assert_eq!(of_channel(&cohort, "unit_medical")[0], Some(0.0));
        for empty in ["Weight", "height", "Temp"] {
            assert_eq!(of_channel(&cohort, empty), [None; 3], "{empty}");
        }
        let sequence = &cohort.sequences()[0];
        assert_eq!(sequence.times.as_deref(), Some(&[1.0, 2.0, 3.0][..]));
        assert_eq!(sequence.target, Target::Class(1));
        assert_eq!(
            cohort.notes(),
            [
                "2 values that no patient has became missing",
                "1 values from 48 h after admission on were left out"
            ]
        );
    }

    #[test]
    fn times_stay_as_they_are_without_a_grid() {
        let cohort = cohort(&Stays::default()).unwrap();
        let times = cohort.sequences()[0].times.clone().unwrap();
        assert_eq!(times, [0.0, 10.0 / 60.0, 50.0 / 60.0, 2.5]);
        assert_eq!(of_channel(&cohort, "HR"), [None, Some(70.0), Some(80.0), Some(95.0)]);
    }

    #[test]
    fn impossible_grids_are_refused() {
        for every in [0.0, -1.0, f64::NAN, 1e-9] {
            assert!(cohort(&Stays { every_hours: Some(every), ..Stays::default() }).is_err());
        }
        assert!(cohort(&Stays { hours: 0.0, ..Stays::default() }).is_err());
    }
}
