//! What a classifier said of people whose class is known, as a table that any scorer reads, and two
//! such tables against each other.

use std::collections::BTreeMap;
use std::path::Path;

use sequela_core::{Limits, Location, Sequence, SubjectId};
use sequela_eval::classify::{SepsisUtility, StepTruth};
use sequela_formats::bounded;
use sequela_formats::csv::{Cell, LineHeader, to_csv};
use sequela_kernels::Context;

use super::cases::{Asked, Cases, Gains};
use super::dossier::PREDICTIONS;
use super::predict::probabilities;
use crate::Error;
use crate::model::Model;
use crate::predict::Options;
use crate::run::{MODEL, STUDY};
use crate::study::Study;

/// Probabilities of classes for people whose class is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// What they are called among others.
    pub name: String,
    /// The probability from which on the second of two classes is decided, where it is known.
    pub threshold: Option<f64>,
    /// The same of each fold, for rows that a cross-validation judged.
    pub(super) fold_thresholds: Vec<Option<f64>>,
    /// What is known of rows that are the steps of series.
    pub(super) steps: Option<Gains>,
    /// More than two classes by name, in the order of names; none for two.
    pub(super) classes: Vec<String>,
    pub(super) rows: BTreeMap<Key, Row>,
}

/// What is known and what was said of one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) class: u32,
    /// Of each class.
    pub(super) p: Vec<f64>,
    /// The fold that judged it, from 1; 0 without folds.
    pub(super) fold: usize,
}

/// Whose row, from when, and which of equal ones.
pub(super) type Key = (SubjectId, String, usize);

impl Predictions {
    /// What a model says of series with their classes.
    ///
    /// # Errors
    /// As [`evaluate`](crate::evaluate).
    pub fn of_model(
        model: &Model,
        sequences: &[Sequence],
        options: &Options<'_>,
    ) -> Result<Self, Error> {
        let classes = model.classes()?;
        let manifest = model.manifest();
        let asked = Asked::known(&manifest.study);
        let cases = Cases::of(&model.cohort(sequences)?, &manifest.encoder, asked)?;
        let mut context = Context::new(options.threads.max(1))?;
        let said = probabilities(model, classes, &cases, &mut context)?;
        let mut rows = BTreeMap::new();
        let count = classes.count();
        // Classes stand in the order of their names, as in tables that are read.
        let order = if count == 2 { vec![0, 1] } else { by_name(&classes.names) };
        for (row, (class, p)) in cases.class.iter().zip(said.chunks_exact(count)).enumerate() {
            let Some(class) = class else { continue };
            let (of, step) = cases.place(row);
            let time = time_of(&sequences[of], step);
            let p = match count {
                2 => both(plain(p[1])),
                _ => order.iter().map(|&of| plain(p[of])).collect(),
            };
            let class = order.iter().position(|&of| of == *class as usize).unwrap_or(0);
            let class = u32::try_from(class).unwrap_or(0);
            put(&mut rows, cases.subject(row), time, Row { class, p, fold: 0 });
        }
        let name = crate::network::name(&manifest.study);
        let names = if count == 2 { &[][..] } else { &order };
        let names = names.iter().map(|&of| classes.names[of].clone()).collect();
        let plain = Self {
            name,
            threshold: classes.threshold,
            fold_thresholds: Vec::new(),
            steps: None,
            classes: names,
            rows,
        };
        Ok(plain.of_study(&manifest.study))
    }

    /// The `predictions.csv` that a run left in its folder, or a cross-validation, with the
    /// thresholds that the model files keep.
    ///
    /// # Errors
    /// As [`Predictions::read`]; what loading a model gives.
    pub fn of_run(folder: &Path, limits: &Limits) -> Result<Self, Error> {
        let found = Self::read(&folder.join(PREDICTIONS), limits)?;
        let threshold = |model: &Model| model.manifest().classes.as_ref().and_then(|c| c.threshold);
        let folds = found.rows.values().map(|row| row.fold).max().unwrap_or(0);
        if folds == 0 {
            let model = Model::load(&folder.join(MODEL), limits)?;
            return Ok(found.decided_from(threshold(&model)).of_study(&model.manifest().study));
        }
        let study = Study::load(&folder.join(STUDY), &[])?;
        let thresholds = (1..=folds).map(|fold| -> Result<Option<f64>, Error> {
            let path = super::fold_folder(folder, fold).join(MODEL);
            Ok(threshold(&Model::load(&path, limits)?))
        });
        let fold_thresholds = thresholds.collect::<Result<_, _>>()?;
        Ok(Self { fold_thresholds, ..found.of_study(&study) })
    }

    /// Reads a table with columns `subject_id`, `prediction_time`, `y_true` and `probability`, as
    /// a run leaves it or as any other program writes it; `y_true` is 1 for a case, else 0.
    ///
    /// With more than two classes there is a column `probability of NAME` for each of them, and
    /// `y_true` is a name. A column `fold` says which fold of a cross-validation judged the row.
    ///
    /// # Errors
    /// What reading a file gives; [`Error::Data`], with file, line and field, for a missing column
    /// or a cell that is no such number.
    #[allow(clippy::too_many_lines, reason = "one column after the other, each with its refusal")]
    pub fn read(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let bytes = bounded::read(path, limits)?;
        let mut lines = (1_u64..).zip(bounded::text(&bytes, path)?.lines());
        let refuse = |line: u64, field: &str, what: &str, hint: &str| Error::Data {
            location: Location::file(path).line(line).field(field).into(),
            what: what.into(),
            hint: hint.into(),
        };
        let bad_line =
            |line: u64| refuse(line, "row", "it cannot be read", "quote cells that hold commas");
        let first = lines.next().map_or("", |(_, line)| line.trim_start_matches('\u{feff}'));
        let header = LineHeader::parse(first).map_err(|_| bad_line(1))?;
        let names = header.cells(first).map_err(|_| bad_line(1))?;
        let place = |name: &str| names.iter().position(|found| found.trim() == name);
        let column = |name: &str| {
            place(name).ok_or_else(|| {
                refuse(
                    1,
                    name,
                    "there is no such column",
                    "the columns are subject_id, prediction_time, y_true, probability",
                )
            })
        };
        let (who, time) = (column("subject_id")?, column("prediction_time")?);
        let (truth, fold) = (column("y_true")?, place("fold"));
        let classes: Vec<String> = {
            let told = names.iter().filter_map(|name| name.trim().strip_prefix(OF_CLASS));
            let mut told: Vec<String> = told.map(|name| name.trim().to_owned()).collect();
            told.sort_unstable();
            told
        };
        if classes.len() == 1 || classes.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(refuse(
                1,
                "probability of",
                "there are not several classes with a column each",
                "give each class a column, or of two classes the second alone: probability",
            ));
        }
        // Of two classes the column of the case, else one of each class.
        let told: Vec<(usize, String)> = if classes.is_empty() {
            vec![(column("probability")?, "probability".to_owned())]
        } else {
            let names = classes.iter().map(|class| format!("{OF_CLASS}{class}"));
            names.map(|name| Ok((column(&name)?, name))).collect::<Result<_, Error>>()?
        };
        let mut rows = BTreeMap::new();
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let cells = header.cells(line).map_err(|_| bad_line(number))?;
            let cell = |at: usize, name: &str| {
                let found = cells.get(at).map(|cell| cell.trim());
                found.ok_or_else(|| {
                    refuse(number, name, "the row is too short", "give every row all columns")
                })
            };
            let class = match cell(truth, "y_true")? {
                "0" if classes.is_empty() => Some(0),
                "1" if classes.is_empty() => Some(1),
                name => classes.iter().position(|class| class == name),
            };
            let Some(class) = class.and_then(|class| u32::try_from(class).ok()) else {
                let (what, hint) = if classes.is_empty() {
                    ("it is neither 0 nor 1", "write 1 for a case")
                } else {
                    ("it is no class that has a column", "write the name of a class")
                };
                return Err(refuse(number, "y_true", what, hint));
            };
            let mut p = Vec::with_capacity(told.len().max(2));
            for (at, name) in &told {
                let one: Option<f64> = cell(*at, name)?.parse().ok();
                let Some(one) = one.filter(|p| (0.0..=1.0).contains(p)) else {
                    return Err(refuse(
                        number,
                        name,
                        "it is not a number from 0 to 1",
                        "write the probability of a case",
                    ));
                };
                p.push(one);
            }
            if classes.is_empty() {
                p = both(p[0]);
            } else if (p.iter().sum::<f64>() - 1.0).abs() > ADD_UP {
                return Err(refuse(
                    number,
                    "probability of",
                    "the probabilities of the row do not add up to 1",
                    "write one for every class",
                ));
            }
            let fold = match fold {
                None => 0,
                Some(at) => match cell(at, "fold")?.parse() {
                    Ok(fold) if (1..=MOST_FOLDS).contains(&fold) => fold,
                    _ => {
                        return Err(refuse(
                            number,
                            "fold",
                            "it is no number of a fold",
                            "write a number from 1, or leave the column out",
                        ));
                    }
                },
            };
            let subject = SubjectId::new(cell(who, "subject_id")?);
            let row = Row { class, p, fold };
            put(&mut rows, &subject, cell(time, "prediction_time")?.to_owned(), row);
        }
        if rows.is_empty() {
            return Err(refuse(
                1,
                "subject_id",
                "there is no row",
                "give at least one row of each class",
            ));
        }
        let name =
            path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let (threshold, fold_thresholds, steps) = (None, Vec::new(), None);
        Ok(Self { name, threshold, fold_thresholds, steps, classes, rows })
    }

    /// A probability with its own shortest digits.
    pub(super) fn shown(p: f64) -> f64 {
        let narrow = crate::encode::narrow(p);
        if (f64::from(narrow) - p).abs() > 0.0 { p } else { plain(narrow) }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The same, decided from this probability on.
    #[must_use]
    pub fn decided_from(self, threshold: Option<f64>) -> Self {
        Self { threshold, ..self }
    }

    /// The same, judged as this study judges: of steps with their alarms, and with the utility of
    /// hourly warnings where it has one.
    #[must_use]
    pub fn of_study(self, study: &Study) -> Self {
        let steps = match Asked::known(study) {
            Asked::KnownSteps(gains) => Some(gains),
            _ => None,
        };
        Self { steps, ..self }
    }

    /// What is known of the rows as steps, in the order of time.
    pub(super) fn step_truth(&self, gains: Gains) -> StepTruth {
        let time = |key: &Key| key.1.parse::<f64>().unwrap_or(f64::NAN);
        let rows: Vec<(&Key, bool)> =
            self.rows.iter().map(|(key, row)| (key, row.class == 1)).collect();
        let mut truth = StepTruth { days: None, gains: vec![[0.0; 2]; rows.len()] };
        let (mut start, mut hours, mut steps) = (0, 0.0, 0.0);
        for of_one in rows.chunk_by(|a, b| a.0.0 == b.0.0) {
            let mut order: Vec<usize> = (0..of_one.len()).collect();
            order.sort_by(|&a, &b| time(of_one[a].0).total_cmp(&time(of_one[b].0)));
            let labels: Vec<bool> = order.iter().map(|&at| of_one[at].1).collect();
            for (&at, gain) in order.iter().zip(SepsisUtility::gains(&labels)) {
                truth.gains[start + at] = gain;
            }
            if let [first, .., last] = order[..] {
                hours += time(of_one[last].0) - time(of_one[first].0);
                steps += (order.len() - 1) as f64;
            }
            start += of_one.len();
        }
        truth.days = (hours > 0.0).then(|| hours / steps / 24.0);
        if gains == Gains::Unknown {
            truth.gains.clear();
        }
        truth
    }

    /// The table.
    pub fn to_csv(&self) -> Vec<u8> {
        let has_folds = self.rows.values().any(|row| row.fold > 0);
        let rows = self.rows.iter().map(|((subject, time, _), row)| {
            let time = time.parse().map_or_else(|_| Cell::Text(time.clone()), Cell::Number);
            let mut cells = vec![Cell::Text(subject.as_str().to_owned()), time];
            if has_folds {
                cells.push(Cell::Integer(i64::try_from(row.fold).unwrap_or(0)));
            }
            match self.classes.get(row.class as usize) {
                Some(name) => cells.push(Cell::Text(name.clone())),
                None => cells.push(Cell::Integer(i64::from(row.class))),
            }
            let told = if self.classes.is_empty() { &row.p[1..] } else { &row.p };
            cells.extend(told.iter().map(|&p| Cell::Number(p)));
            cells
        });
        let header = columns(has_folds, &self.classes);
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        to_csv(&header, &rows.collect::<Vec<_>>())
    }

    /// Number of classes, K.
    pub(super) fn count(&self) -> usize {
        self.classes.len().max(2)
    }

    /// From which probability on the case of a row is decided.
    pub(super) fn threshold_of(&self, row: &Row) -> Option<f64> {
        match row.fold.checked_sub(1) {
            Some(fold) => self.fold_thresholds.get(fold).copied().flatten().or(self.threshold),
            None => self.threshold,
        }
    }

    /// Whether decisions are known: of two classes by a threshold, of more the most probable.
    pub(super) fn decides(&self) -> bool {
        !self.classes.is_empty() || self.rows.values().all(|row| self.threshold_of(row).is_some())
    }
}

/// Hours of the last step that was looked at, else how many steps there were.
pub(super) fn time_of(sequence: &Sequence, last: usize) -> String {
    let time = sequence.times.as_ref().and_then(|times| times.get(last));
    time.map_or_else(|| (last + 1).to_string(), f64::to_string)
}

/// Through its own shortest digits, so that 0.3 is not 0.30000001.
fn plain(p: f32) -> f64 {
    p.to_string().parse().unwrap_or(f64::from(p))
}

/// The positions of names, in the order of names.
fn by_name(names: &[String]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&a, &b| names[a].cmp(&names[b]));
    order
}

/// Of control and case.
fn both(case: f64) -> Vec<f64> {
    vec![1.0 - case, case]
}

/// The columns of a table of predictions; of two classes, which have no names here, the case alone.
pub(super) fn columns(has_folds: bool, classes: &[String]) -> Vec<String> {
    let mut all = vec!["subject_id".to_owned(), "prediction_time".to_owned()];
    if has_folds {
        all.push("fold".to_owned());
    }
    all.push("y_true".to_owned());
    if classes.is_empty() {
        all.push("probability".to_owned());
    }
    all.extend(classes.iter().map(|class| format!("{OF_CLASS}{class}")));
    all
}

fn put(rows: &mut BTreeMap<Key, Row>, subject: &SubjectId, time: String, row: Row) {
    let (first, last) = ((subject.clone(), time.clone(), 0), (subject.clone(), time, usize::MAX));
    let number = rows.range(&first..=&last).next_back().map_or(0, |(key, _)| key.2 + 1);
    rows.insert((first.0, first.1, number), row);
}

/// Before the name of a class in the name of its column.
const OF_CLASS: &str = "probability of ";
/// How far the probabilities of a row may be from 1 together: six digits of each are enough.
const ADD_UP: f64 = 1e-4;
/// Numbers of folds that are taken.
const MOST_FOLDS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Predictions, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        sequela_formats::durable::write_atomic(&path, text.as_bytes()).unwrap();
        Predictions::read(&path, &Limits::default())
    }

    const GOOD: &str = "subject_id,prediction_time,y_true,probability\na,48,1,0.9\nb,48,0,0.2\nc,48,0,0.4\nd,48,1,0.3\n";

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let predictions = read(GOOD).unwrap();
        assert_eq!(predictions.to_csv(), GOOD.as_bytes());
        let evil = read("probability,y_true,prediction_time,subject_id\n0.5,1,3,=cmd()\n").unwrap();
        let text = String::from_utf8(evil.to_csv()).unwrap();
        assert!(text.ends_with("'=cmd(),3,1,0.5\n"), "{text}");
    }

    #[test]
    fn bad_tables_are_refused_with_their_line_and_without_values() {
        for (from, to, wanted) in [
            ("y_true", "truth", "p.csv:1, field y_true: there is no such column"),
            (
                "c,48,0,0.4",
                "c,48,0,1.4",
                "p.csv:4, field probability: it is not a number from 0 to 1",
            ),
            ("c,48,0,0.4", "c,48,yes,0.4", "p.csv:4, field y_true: it is neither 0 nor 1"),
            ("c,48,0,0.4", "c,48", "p.csv:4"),
            ("c,48,0,0.4", "\"c,48", "p.csv:4"),
        ] {
            let error = read(&GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(wanted) && !error.contains("1.4"), "{error}");
        }
        assert!(read("subject_id,prediction_time,y_true,probability\n").is_err());
        assert!(read("").is_err());
    }

    const THREE: &str = "subject_id,prediction_time,fold,y_true,probability of b,probability of a,probability of c\n\
        p,1,1,a,0.2,0.7,0.1\nq,1,2,b,0.2,0.5,0.3\nr,1,1,c,0.25,0.25,0.5\n";

    #[test]
    fn more_classes_have_a_column_each_in_any_order() {
        let three = read(THREE).unwrap();
        let text = String::from_utf8(three.to_csv()).unwrap();
        assert!(text.contains("fold,y_true,probability of a,probability of b,probability of c\np,1,1,a,0.7,0.2,0.1"), "{text}");
        assert_eq!(read(&text).unwrap(), three);
        let same = three.compare(&three, 20).unwrap();
        assert_eq!(
            (same.counts.as_slice(), same.flips.as_deref()),
            (&[1, 1, 1][..], Some(&[0; 3][..]))
        );
        assert!(same.text().starts_with("3 rows of 3 subjects, 1 a, 1 b, 1 c;"), "{}", same.text());
        for (from, to, wanted) in [
            ("q,1,2,b", "q,1,2,d", "p.csv:3, field y_true: it is no class that has a column"),
            (
                "0.25,0.25,0.5",
                "0.25,0.25,0.4",
                "p.csv:4, field probability of: the probabilities of",
            ),
            (
                "0.25,0.25,0.5",
                "0.25,0.25,1.5",
                "p.csv:4, field probability of c: it is not a number",
            ),
            ("r,1,1", "r,1,0", "p.csv:4, field fold: it is no number of a fold"),
            ("probability of b", "probability of a", "p.csv:1, field probability of"),
        ] {
            let error = read(&THREE.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        let two = read(GOOD).unwrap();
        let error = two.compare(&three, 10).unwrap_err().to_string();
        assert!(error.contains("do not tell the same classes"), "{error}");
    }

    #[test]
    fn other_people_or_outcomes_are_not_compared() {
        let one = read(GOOD).unwrap();
        let same = one.compare(&one, 100).unwrap();
        assert!(!same.told_apart() && same.flips.is_none());
        assert!(same.differences.iter().all(|d| d.estimate.is_none_or(|e| e.value.abs() < 1e-15)));
        assert!(same.text().starts_with("4 rows of 4 subjects, 2 of them cases"));
        let error = |text: &str| one.compare(&read(text).unwrap(), 10).unwrap_err().to_string();
        assert!(
            error(&GOOD.replace("d,48", "e,48")).contains("1 of 4 are in the first only, 1 of 4")
        );
        assert!(error(&GOOD.replace("d,48", "d,24")).contains("not judged on the same rows"));
        assert!(error(&GOOD.replace("d,48,1", "d,48,0")).contains("1 rows are of another class"));
    }
}
