//! The PhysioNet/CinC Challenge 2019: hours of ICU stays, each with whether sepsis is coming.

use std::path::Path;

use sequela_core::{Limits, Location};

use super::lines::{Lines, stem};
use crate::Error;
use crate::collection::{Wanted, visit};
use crate::csv::narrow;

/// The hours of one patient.
#[derive(Debug, Clone, PartialEq)]
pub struct Hours {
    /// The name of the file without its end, e.g. `p000001`.
    pub patient: String,
    /// Hours since admission to the ICU (`ICULOS`), rising.
    pub times: Vec<f64>,
    /// `(T, F)` row by row in the order of [`COLUMNS`], finite or NaN; NaN was not measured.
    pub values: Vec<f32>,
    /// Whether `SepsisLabel` is 1, for each hour: from six hours before the onset. `None` where
    /// the file has no such column.
    pub sepsis: Option<Vec<bool>>,
}

/// Calls `take` with the hours of every patient of a folder or archive of `.psv` files, or of a
/// folder that holds some of them (two levels deep).
///
/// # Errors
/// Those of reading and as [`parse_hours`]; [`Error::Malformed`] where there is no such file.
pub fn read_hours(
    path: &Path,
    limits: &Limits,
    take: &mut dyn FnMut(Hours) -> Result<(), Error>,
) -> Result<(), Error> {
    let wanted = Wanted { name: &is_hours, file_bytes: LARGEST_PATIENT, depth: 2 };
    let files = visit(path, wanted, limits, &mut |file| {
        take(parse_hours(file.bytes, stem(file.name), file.place, limits)?)
    })?;
    if files > 0 {
        return Ok(());
    }
    Err(Error::malformed(
        Location::file(path),
        "there is no file of a patient (.psv) in it",
        "name a folder or an archive of them, such as training_setA",
    ))
}

/// Whether a file's name is that of a patient.
pub(crate) fn is_hours(name: &str) -> bool {
    name.strip_suffix(".psv").is_some_and(|stem| !stem.is_empty())
}

/// Reads the file of one patient; `place` stands for it in messages.
///
/// **Missing data** `NaN` is not measured; the hour and the label must be there.
///
/// # Errors
/// [`Error::Malformed`] with line and field: other columns, a line of another number of cells, a
/// cell that is no finite number, an hour that is missing or does not rise, a label that is
/// neither 0 nor 1, no hour at all, a last line without an end; [`Error::Limit`] for long lines
/// and more than `limits.steps` hours.
///
/// # Example
/// ```
/// use sequela_formats::physionet::{COLUMNS, parse_hours};
/// let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
/// let nothing = "NaN|".repeat(38);
/// let text = format!("{}|SepsisLabel\n71|{nothing}1|0\n", names.join("|"));
/// let name = "p000001.psv".as_ref();
/// let hours = parse_hours(text.as_bytes(), "p000001", name, &sequela_core::Limits::default())?;
/// assert_eq!((hours.values[0], hours.times[0], hours.sepsis), (71.0, 1.0, Some(vec![false])));
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub fn parse_hours(
    bytes: &[u8],
    patient: &str,
    place: &Path,
    limits: &Limits,
) -> Result<Hours, Error> {
    let mut lines = Lines::of(bytes, place, limits)?;
    let header = lines.next()?.unwrap_or_default();
    let labelled = is_labelled(header).ok_or_else(|| {
        let found = header.split('|');
        let other = COLUMNS.iter().zip(found.chain(std::iter::repeat("")));
        let other = other.clone().find(|((name, _), found)| name != found);
        let field = other.map_or(LABEL, |((name, _), _)| name);
        lines.fault(
            field,
            "the columns are not those of the challenge",
            "give the 40 columns in its order, then SepsisLabel where it is known",
        )
    })?;
    let mut hours = Hours {
        patient: patient.to_owned(),
        times: Vec::new(),
        values: Vec::new(),
        sepsis: labelled.then(Vec::new),
    };
    while let Some(line) = lines.next()? {
        if hours.times.len() as u64 >= limits.steps {
            return Err(Error::Limit {
                location: lines.here().into(),
                what: "the number of hours of one patient".to_owned(),
                limit: limits.steps,
            });
        }
        hours.add(line, &lines)?;
    }
    if hours.times.is_empty() {
        return Err(Error::malformed(
            Location::file(place),
            "there is a header but no hour",
            "give it at least one",
        ));
    }
    Ok(hours)
}

impl Hours {
    fn add(&mut self, line: &str, lines: &Lines<'_>) -> Result<(), Error> {
        let mut cells = line.split('|');
        let missing = || lines.fault("", "the line has too few cells", "give one for each column");
        for (name, _) in COLUMNS {
            let cell = cells.next().ok_or_else(missing)?;
            let value = number(cell).map_err(|(what, hint)| lines.fault(name, what, hint))?;
            if name == HOUR {
                let time = f64::from(value);
                if time.is_nan() || self.times.last().is_some_and(|&last| time <= last) {
                    let hint = "give the hours in their order, each once";
                    return Err(lines.fault(name, "the hour is missing or does not rise", hint));
                }
                self.times.push(time);
            }
            self.values.push(value);
        }
        if let Some(labels) = &mut self.sepsis {
            labels.push(match cells.next().ok_or_else(missing)? {
                "0" => false,
                "1" => true,
                _ => {
                    return Err(lines.fault(LABEL, "the label is neither 0 nor 1", "correct it"));
                }
            });
        }
        match cells.next() {
            None => Ok(()),
            Some(_) => {
                Err(lines.fault("", "the line has too many cells", "give one for each column"))
            }
        }
    }
}

/// Whether the header of a file has a label; `None` where it is not one of the challenge's.
fn is_labelled(header: &str) -> Option<bool> {
    let mut found = header.split('|');
    let known = COLUMNS.iter().all(|(name, _)| found.next() == Some(name));
    match (known, found.next(), found.next()) {
        (true, None, _) => Some(false),
        (true, Some(LABEL), None) => Some(true),
        _ => None,
    }
}

fn number(cell: &str) -> Result<f32, (&'static str, &'static str)> {
    if cell == "NaN" {
        return Ok(f32::NAN);
    }
    let fault = ("the cell is not a number", "correct it, or write NaN");
    let value = cell.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or(fault)?;
    narrow(value).map_err(|fault| (fault.what, fault.hint))
}

/// Names and units of the measured columns, F = 40, in the order of the files.
pub const COLUMNS: [(&str, &str); 40] = [
    ("HR", "bpm"),
    ("O2Sat", "%"),
    ("Temp", "C"),
    ("SBP", "mmHg"),
    ("MAP", "mmHg"),
    ("DBP", "mmHg"),
    ("Resp", "bpm"),
    ("EtCO2", "mmHg"),
    ("BaseExcess", "mmol/L"),
    ("HCO3", "mmol/L"),
    ("FiO2", ""),
    ("pH", ""),
    ("PaCO2", "mmHg"),
    ("SaO2", "%"),
    ("AST", "IU/L"),
    ("BUN", "mg/dL"),
    ("Alkalinephos", "IU/L"),
    ("Calcium", "mg/dL"),
    ("Chloride", "mmol/L"),
    ("Creatinine", "mg/dL"),
    ("Bilirubin_direct", "mg/dL"),
    ("Glucose", "mg/dL"),
    ("Lactate", "mg/dL"),
    ("Magnesium", "mmol/dL"),
    ("Phosphate", "mg/dL"),
    ("Potassium", "mmol/L"),
    ("Bilirubin_total", "mg/dL"),
    ("TroponinI", "ng/mL"),
    ("Hct", "%"),
    ("Hgb", "g/dL"),
    ("PTT", "s"),
    ("WBC", "10^3/uL"),
    ("Fibrinogen", "mg/dL"),
    ("Platelets", "10^3/uL"),
    ("Age", "years"),
    ("Gender", ""),
    ("Unit1", ""),
    ("Unit2", ""),
    ("HospAdmTime", "h"),
    ("ICULOS", "h"),
];

const HOUR: &str = "ICULOS";
const LABEL: &str = "SepsisLabel";
/// Bytes of the largest file of a patient; the largest published one has 60 KiB.
const LARGEST_PATIENT: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> String {
        COLUMNS.map(|(name, _)| name).join("|")
    }

    fn hours(text: &str) -> Result<Hours, Error> {
        parse_hours(text.as_bytes(), "p1", Path::new("s.tar/p1.psv"), &Limits::default())
    }

    #[test]
    fn a_file_without_labels_is_read() {
        let text = format!("{}\n{}3\n{}5\n", header(), "NaN|".repeat(39), "1|".repeat(39));
        let hours = hours(&text).unwrap();
        assert_eq!((hours.times.as_slice(), hours.sepsis.is_none()), (&[3.0, 5.0][..], true));
        assert_eq!(hours.values.len(), 80);
    }

    #[test]
    fn faults_name_file_line_and_field_but_no_value() {
        let (head, row) = (header(), "NaN|".repeat(38));
        for (body, expected) in [
            (format!("{head}\n"), "s.tar/p1.psv: there is a header but no hour"),
            (format!("{head}\n1|2\n"), "p1.psv:2: the line has too few cells"),
            (format!("{head}\n1|{row}1|0\n"), "p1.psv:2: the line has too many cells"),
            (format!("{head}|SepsisLabel\n1|{row}1|7\n"), "field SepsisLabel: the label is"),
            (format!("{head}\nsecret|{row}1\n"), "p1.psv:2, field HR: the cell is not a number"),
            (format!("{head}\n1e39|{row}1\n"), "field HR: the number is too large"),
            (format!("{head}\n1|{row}1\n1|{row}1\n"), "p1.psv:3, field ICULOS: the hour is"),
            (format!("{head}\n1|{row}NaN\n"), "p1.psv:2, field ICULOS"),
            (format!("{}\n", head.replacen("Temp", "Fever", 1)), "p1.psv:1, field Temp"),
            (format!("{head}|SepsisLabel|x\n"), "field SepsisLabel: the columns are not"),
            (format!("{head}\n1|{row}1"), "p1.psv:2: the last line does not end"),
        ] {
            let message = hours(&body).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("secret") && !message.contains('\n'), "{message}");
        }
    }
}
