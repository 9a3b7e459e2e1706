//! The PhysioNet/CinC Challenge 2012: measurements of ICU stays as they came, and how each ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location};

use super::lines::{Lines, stem};
use crate::collection::{Wanted, names_in, visit};
use crate::{Error, bounded, csv};

/// One measurement: a line of a stay's file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// Minutes since admission.
    pub minutes: u32,
    /// Position in [`PARAMETERS`].
    pub parameter: u8,
    /// The number as it stands there; -1 is used for what is not known.
    pub value: f64,
}

/// One stay.
#[derive(Debug, Clone, PartialEq)]
pub struct Stay {
    /// Its `RecordID`.
    pub record: String,
    /// In the order of the file, which is that of time.
    pub measurements: Vec<Measurement>,
    /// Lines that name no parameter and were passed over; the published files have some.
    pub unnamed: u32,
}

/// How stays ended: whether the patient died in hospital, by `RecordID`.
pub type Outcomes = BTreeMap<String, bool>;

/// Calls `take` with every stay of a folder or archive: `set-a.tar.gz`, `set-a`, or a folder that
/// holds some of them (two levels deep).
///
/// # Errors
/// Those of reading and as [`parse_stay`]; [`Error::Malformed`] where no file is that of a stay.
pub fn read_stays(
    path: &Path,
    limits: &Limits,
    take: &mut dyn FnMut(Stay) -> Result<(), Error>,
) -> Result<(), Error> {
    let wanted = Wanted { name: &is_stay, file_bytes: LARGEST_STAY, depth: 2 };
    let files = visit(path, wanted, limits, &mut |file| {
        take(parse_stay(file.bytes, stem(file.name), file.place, limits)?)
    })?;
    if files > 0 {
        return Ok(());
    }
    Err(Error::malformed(
        Location::file(path),
        "there is no file of a stay (RecordID.txt) in it",
        "name set-a.tar.gz, the folder set-a, or one that holds them",
    ))
}

/// Whether a file's name is that of a stay: digits and `.txt`.
pub(crate) fn is_stay(name: &str) -> bool {
    name.strip_suffix(".txt")
        .is_some_and(|stem| !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Reads the file of one stay; `record` is the `RecordID` that its name tells, `place` stands for
/// it in messages.
///
/// # Errors
/// [`Error::Malformed`] with line and field: another header, a line of other than three cells, a
/// time that is not `hh:mm` or goes backwards, a parameter that is not one of the challenge's, a
/// value that is no finite number, another `RecordID` than that of the file's name, a last line
/// without an end; [`Error::Limit`] for long lines and more than `limits.steps` of them.
///
/// # Example
/// ```
/// use sequela_formats::physionet::{PARAMETERS, parse_stay};
/// let text = b"Time,Parameter,Value\n00:00,RecordID,7\n01:30,HR,73\n";
/// let stay = parse_stay(text, "7", "7.txt".as_ref(), &sequela_core::Limits::default())?;
/// let [heart_rate] = stay.measurements[..] else { unreachable!() };
/// assert_eq!((heart_rate.minutes, heart_rate.value), (90, 73.0));
/// assert_eq!(PARAMETERS[usize::from(heart_rate.parameter)], "HR");
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub fn parse_stay(
    bytes: &[u8],
    record: &str,
    place: &Path,
    limits: &Limits,
) -> Result<Stay, Error> {
    let mut lines = Lines::of(bytes, place, limits)?;
    if lines.next()? != Some(HEADER) {
        return Err(lines.fault(
            "",
            format!("the first line is not {HEADER}"),
            "give a file of the challenge of 2012",
        ));
    }
    let mut stay = Stay { record: record.to_owned(), measurements: Vec::new(), unnamed: 0 };
    let mut last = 0;
    let mut named = false;
    while let Some(line) = lines.next()? {
        let mut cells = line.split(',');
        let (Some(time), Some(parameter), Some(value), None) =
            (cells.next(), cells.next(), cells.next(), cells.next())
        else {
            return Err(lines.fault("", "the line has not three cells", "correct it"));
        };
        let minutes = minutes(time).ok_or_else(|| {
            lines.fault("Time", "the time is not hh:mm", "write for example 07:30")
        })?;
        if minutes < last {
            return Err(lines.fault("Time", "the time goes backwards", "sort the lines by time"));
        }
        last = minutes;
        if parameter == RECORD {
            if value != record {
                return Err(lines.fault(
                    RECORD,
                    "it is not that of the file's name",
                    "give the file its own name back",
                ));
            }
            named = true;
            continue;
        }
        if parameter.is_empty() {
            stay.unnamed += 1;
            continue;
        }
        let Some(parameter) = position(parameter) else {
            let hint = csv::nearest(parameter, &PARAMETERS.map(str::to_owned));
            return Err(lines.fault("Parameter", "there is no such parameter", hint));
        };
        let value =
            value.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| {
                lines.fault(
                    "Value",
                    "the value is not a number",
                    "correct it, or leave the line out",
                )
            })?;
        if stay.measurements.len() as u64 >= limits.steps {
            return Err(Error::Limit {
                location: lines.here().into(),
                what: "the number of measurements of one stay".to_owned(),
                limit: limits.steps,
            });
        }
        stay.measurements.push(Measurement { minutes, parameter, value });
    }
    if named {
        return Ok(stay);
    }
    Err(lines.fault(RECORD, "no line has it", "give a file of the challenge of 2012"))
}

/// How the stays of some path ended: the files `Outcomes-*.txt` in it, or beside it where it has
/// none; `None` where there are none at all.
///
/// # Errors
/// Those of reading and as [`parse_outcomes`].
pub fn read_outcomes(path: &Path, limits: &Limits) -> Result<Option<Outcomes>, Error> {
    let folder = |path: &Path| -> Result<Vec<PathBuf>, Error> {
        let is_outcomes = |name: &String| {
            name.strip_prefix("Outcomes-").is_some_and(|rest| rest.strip_suffix(".txt").is_some())
        };
        let names = names_in(path)?;
        Ok(names.iter().filter(|name| is_outcomes(name)).map(|name| path.join(name)).collect())
    };
    let mut files = if path.is_dir() { folder(path)? } else { Vec::new() };
    if files.is_empty() {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        files = absolute.parent().map(folder).transpose()?.unwrap_or_default();
    }
    if files.is_empty() {
        return Ok(None);
    }
    let mut all = Outcomes::new();
    for file in files {
        all.extend(parse_outcomes(&bounded::read(&file, limits)?, &file, limits)?);
    }
    Ok(Some(all))
}

/// Reads a file of outcomes: its columns `RecordID` and `In-hospital_death` (0 or 1); the others
/// are not looked at.
///
/// # Errors
/// As [`parse_labels`](csv::parse_labels); [`Error::Malformed`] for a death that is neither 0
/// nor 1.
pub fn parse_outcomes(bytes: &[u8], name: &Path, limits: &Limits) -> Result<Outcomes, Error> {
    let labels = csv::parse_labels(bytes, name, (RECORD, DEATH), limits)?;
    labels
        .words
        .into_iter()
        .map(|(record, word)| match word.as_str() {
            "0" => Ok((record, false)),
            "1" => Ok((record, true)),
            _ => Err(Error::malformed(
                Location::file(name).field(DEATH),
                "an outcome is neither 0 nor 1",
                "write 1 where the patient died in hospital, else 0",
            )),
        })
        .collect()
}

/// Minutes of `hh:mm`.
fn minutes(time: &str) -> Option<u32> {
    let (hours, minutes) = time.split_once(':')?;
    let number = |digits: &str| {
        let whole = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        whole.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60).then_some(60 * hours + minutes)
}

fn position(parameter: &str) -> Option<u8> {
    // Sorted by bytes, see the test.
    let found = PARAMETERS.binary_search_by(|known| known.as_bytes().cmp(parameter.as_bytes()));
    found.ok().and_then(|at| u8::try_from(at).ok())
}

/// What is measured, sorted: four general descriptors (`Age`, `Gender`, `Height`, `ICUType`) and
/// 37 variables, of which `Weight` is given at admission too.
pub const PARAMETERS: [&str; 41] = [
    "ALP",
    "ALT",
    "AST",
    "Age",
    "Albumin",
    "BUN",
    "Bilirubin",
    "Cholesterol",
    "Creatinine",
    "DiasABP",
    "FiO2",
    "GCS",
    "Gender",
    "Glucose",
    "HCO3",
    "HCT",
    "HR",
    "Height",
    "ICUType",
    "K",
    "Lactate",
    "MAP",
    "MechVent",
    "Mg",
    "NIDiasABP",
    "NIMAP",
    "NISysABP",
    "Na",
    "PaCO2",
    "PaO2",
    "Platelets",
    "RespRate",
    "SaO2",
    "SysABP",
    "Temp",
    "TroponinI",
    "TroponinT",
    "Urine",
    "WBC",
    "Weight",
    "pH",
];

const HEADER: &str = "Time,Parameter,Value";
const RECORD: &str = "RecordID";
const DEATH: &str = "In-hospital_death";
/// Bytes of the largest file of a stay; the largest published one has 40 KiB.
const LARGEST_STAY: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn stay(text: &str) -> Result<Stay, Error> {
        parse_stay(text.as_bytes(), "7", Path::new("set.tar/7.txt"), &Limits::default())
    }

    #[test]
    fn parameters_are_sorted() {
        assert!(PARAMETERS.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()));
        assert_eq!(position("pH").map(usize::from), Some(40));
        assert_eq!(position("ph"), None);
    }

    #[test]
    fn faults_name_file_line_and_field_but_no_value() {
        let head = "Time,Parameter,Value\n00:00,RecordID,7\n";
        for (line, expected) in [
            ("00:01,HR,secret", "set.tar/7.txt:3, field Value: the value is not a number"),
            ("00:01,HR,inf", "the value is not a number"),
            ("00:01,HRR,1", "field Parameter: there is no such parameter; did you mean \"HR\"?"),
            ("00:60,HR,1", "field Time: the time is not hh:mm"),
            ("-1:00,HR,1", "field Time: the time is not hh:mm"),
            ("00:01,HR", "7.txt:3: the line has not three cells"),
            ("00:01,HR,1,2", "the line has not three cells"),
            ("00:00,RecordID,8", "field RecordID: it is not that of the file's name"),
            ("01:00,HR,1\n00:59,HR,1", "7.txt:4, field Time: the time goes backwards"),
        ] {
            let message = stay(&format!("{head}{line}\n")).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("secret") && !message.contains('\n'), "{message}");
        }
        assert!(stay("Time;Parameter;Value\n").is_err());
        assert!(stay("Time,Parameter,Value\n").is_err());
        let cut = stay(&format!("{head}00:01,HR,73")).unwrap_err().to_string();
        assert!(cut.contains("7.txt:3: the last line does not end"), "{cut}");
        assert_eq!(stay(&format!("{head}00:01,,5\n")).unwrap().unnamed, 1);
    }

    #[test]
    fn outcomes_are_zero_or_one() {
        let read = |text: &str| parse_outcomes(text.as_bytes(), Path::new("o"), &Limits::default());
        let found = read("RecordID,SOFA,In-hospital_death\n1,3,0\n2,4,1\n").unwrap();
        assert_eq!(found, Outcomes::from([("1".to_owned(), false), ("2".to_owned(), true)]));
        assert!(read("RecordID,In-hospital_death\n1,2\n").is_err());
        assert!(read("RecordID,Survival\n1,2\n").is_err());
    }
}
