//! What a classifier said of people whose class is known, as a table that any scorer reads, and two
//! such tables against each other.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use sequela_core::{Limits, Location, Sequence, SubjectId};
use sequela_eval::bootstrap::Bootstrap;
use sequela_eval::classify::{
    Answers, ClassDifference, ClassScore, Figure, SepsisUtility, StepTruth, Truth, compare,
    is_stratified, score,
};
use sequela_eval::table::{Align, Table};
use sequela_formats::bounded;
use sequela_formats::csv::{Cell, LineHeader, to_csv};
use sequela_kernels::Context;
use serde_json::{Value, json};

use super::cases::{Asked, Cases, Gains};
use super::evaluation::RARE_NOTE;
use super::predict::probabilities;
use crate::Error;
use crate::evaluation::estimate;
use crate::model::Model;
use crate::predict::Options;
use crate::study::Study;

/// Probabilities of the second of two classes for people whose class is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// What they are called among others.
    pub name: String,
    /// The probability from which on the second class is decided, where it is known.
    pub threshold: Option<f64>,
    /// What is known of rows that are the steps of series.
    steps: Option<Gains>,
    rows: BTreeMap<Key, (bool, f64)>,
}

/// Whose row, from when, and which of equal ones.
type Key = (SubjectId, String, usize);

impl Predictions {
    /// What a model says of series with their classes.
    ///
    /// # Errors
    /// As [`evaluate`](crate::evaluate); [`Error::Unsupported`] for other than two classes.
    pub fn of_model(
        model: &Model,
        sequences: &[Sequence],
        options: &Options<'_>,
    ) -> Result<Self, Error> {
        let classes = model.classes()?;
        if classes.count() != 2 {
            return Err(Error::Unsupported {
                location: Location::default().field("model").into(),
                what: "models of more than two classes are not compared".into(),
                hint: "judge each on the same people: sequela evaluate MODEL FILE".into(),
            });
        }
        let manifest = model.manifest();
        let asked = Asked::known(&manifest.study);
        let cases = Cases::of(&model.cohort(sequences)?, &manifest.encoder, asked)?;
        let mut context = Context::new(options.threads.max(1))?;
        let said = probabilities(model, classes, &cases, &mut context)?;
        let mut rows = BTreeMap::new();
        for (row, (class, p)) in cases.class.iter().zip(said.chunks_exact(2)).enumerate() {
            let Some(class) = class else { continue };
            let (of, step) = cases.place(row);
            let time = time_of(&sequences[of], step);
            put(&mut rows, cases.subject(row), time, (*class == 1, plain(p[1])));
        }
        let name = crate::network::name(&manifest.study);
        let (threshold, steps) = (classes.threshold, None);
        Ok(Self { name, threshold, steps, rows }.of_study(&manifest.study))
    }

    /// Reads a table with columns `subject_id`, `prediction_time`, `y_true` (0 or 1) and
    /// `probability`, as a run leaves it or as any other program writes it.
    ///
    /// # Errors
    /// What reading a file gives; [`Error::Data`], with file, line and field, for a missing column
    /// or a cell that is no such number.
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
        let column = |name: &str| {
            names.iter().position(|found| found.trim() == name).ok_or_else(|| {
                refuse(
                    1,
                    name,
                    "there is no such column",
                    "the columns are subject_id, prediction_time, y_true, probability",
                )
            })
        };
        let (who, time) = (column("subject_id")?, column("prediction_time")?);
        let (truth, probability) = (column("y_true")?, column("probability")?);
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
                "0" => false,
                "1" => true,
                _ => {
                    return Err(refuse(
                        number,
                        "y_true",
                        "it is neither 0 nor 1",
                        "write 1 for a case",
                    ));
                }
            };
            let p: Option<f64> = cell(probability, "probability")?.parse().ok();
            let Some(p) = p.filter(|p| (0.0..=1.0).contains(p)) else {
                return Err(refuse(
                    number,
                    "probability",
                    "it is not a number from 0 to 1",
                    "write the probability of a case",
                ));
            };
            let subject = SubjectId::new(cell(who, "subject_id")?);
            put(&mut rows, &subject, cell(time, "prediction_time")?.to_owned(), (class, p));
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
        Ok(Self { name, threshold: None, steps: None, rows })
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
    fn step_truth(&self, gains: Gains) -> StepTruth {
        let time = |key: &Key| key.1.parse::<f64>().unwrap_or(f64::NAN);
        let rows: Vec<(&Key, bool)> = self.rows.iter().map(|(key, row)| (key, row.0)).collect();
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
        let rows: Vec<Vec<Cell>> = self
            .rows
            .iter()
            .map(|((subject, time, _), (class, p))| {
                let time = time.parse().map_or_else(|_| Cell::Text(time.clone()), Cell::Number);
                let class = Cell::Integer(i64::from(*class));
                vec![Cell::Text(subject.as_str().to_owned()), time, class, Cell::Number(*p)]
            })
            .collect();
        to_csv(&COLUMNS, &rows)
    }

    /// One less the other, on the same rows.
    ///
    /// Figures of decisions are left out unless both have a threshold.
    ///
    /// # Errors
    /// [`Error::Data`] where the rows are not of the same people at the same times with the same
    /// classes; [`Error::Judge`] where a figure cannot be made.
    pub fn compare(&self, other: &Self, replicates: u32) -> Result<Comparison, Error> {
        self.refuse_others(other)?;
        let mut truth = Truth::new(2);
        for ((subject, _, _), (class, _)) in &self.rows {
            truth.push(subject, u32::from(*class))?;
        }
        if let (Some(gains), Some(_)) = (self.steps, other.steps) {
            truth = truth.of_steps(self.step_truth(gains))?;
        }
        let decides = self.threshold.is_some() && other.threshold.is_some();
        let told = |figure: Figure| decides || !figure.is_of_decisions();
        let (one, two) = (self.answers(), other.answers());
        let bootstrap = Bootstrap { replicates, ..Bootstrap::default() };
        let scores = |answers: &Answers| -> Result<Vec<ClassScore>, Error> {
            let all = score(&truth, answers, &bootstrap)?;
            Ok(all.into_iter().filter(|score| told(score.figure)).collect())
        };
        let differences = compare(&truth, &one, &two, &bootstrap)?;
        let changed = one.decisions.iter().zip(&two.decisions).zip(truth.class());
        let mut flips = [0; 2];
        for ((one, two), class) in changed {
            flips[*class as usize] += usize::from(one != two);
        }
        Ok(Comparison {
            names: [self.name.clone(), other.name.clone()],
            subjects: truth.subject_count(),
            rows: truth.rows(),
            cases: truth.class().iter().filter(|class| **class == 1).count(),
            scores: [scores(&one)?, scores(&two)?],
            differences: differences.into_iter().filter(|d| told(d.figure)).collect(),
            flips: decides.then_some(flips),
            notes: if is_stratified(&truth) { vec![RARE_NOTE.into()] } else { Vec::new() },
        })
    }

    fn answers(&self) -> Answers {
        let threshold = self.threshold.unwrap_or(0.5);
        let p = self.rows.values().map(|(_, p)| *p);
        Answers {
            probabilities: p.clone().flat_map(|p| [1.0 - p, p]).collect(),
            decisions: p.map(|p| u32::from(p >= threshold)).collect(),
        }
    }

    fn refuse_others(&self, other: &Self) -> Result<(), Error> {
        let strangers = |these: &Self, those: &Self| {
            these.rows.keys().filter(|key| !those.rows.contains_key(*key)).count()
        };
        let (here, there) = (strangers(self, other), strangers(other, self));
        if here + there > 0 {
            return Err(Error::data(
                "subject_id, prediction_time",
                format!(
                    "the two were not judged on the same rows: {here} of {} are in the first only, {there} of {} in the second only",
                    self.rows.len(),
                    other.rows.len()
                ),
                "judge both on the same people",
            ));
        }
        let turned = self.rows.iter().filter(|(key, row)| other.rows[*key].0 != row.0).count();
        if turned > 0 {
            return Err(Error::data(
                "y_true",
                format!("{turned} rows are of another class in the second than in the first"),
                "judge both against the same outcomes",
            ));
        }
        Ok(())
    }
}

/// Two classifiers on the same people.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What they are called.
    pub names: [String; 2],
    /// People.
    pub subjects: usize,
    /// Rows.
    pub rows: usize,
    /// Rows that are cases.
    pub cases: usize,
    /// Figures of each.
    pub scores: [Vec<ClassScore>; 2],
    /// The first less the second.
    pub differences: Vec<ClassDifference>,
    /// Rows that are decided otherwise, of controls and of cases.
    pub flips: Option<[usize; 2]>,
    /// What has to be known to read the figures.
    pub notes: Vec<String>,
}

impl Comparison {
    /// Every figure of both, and their difference.
    pub fn table(&self) -> Table {
        let [one, two] = &self.names;
        let (one, two) =
            if one == two { ("first", "second") } else { (one.as_str(), two.as_str()) };
        let less = format!("{one} less {two}");
        let names = [
            ("figure", Align::Left),
            (one, Align::Right),
            (two, Align::Right),
            (&less, Align::Right),
        ];
        let mut table = Table::new(&names);
        for ((a, b), difference) in
            self.scores[0].iter().zip(&self.scores[1]).zip(&self.differences)
        {
            let figure = a.figure;
            let better = if figure.is_error() { " (lower is better)" } else { "" };
            let mut row = vec![format!("{}{better}", figure.name())];
            for estimate in [a.estimate, b.estimate, difference.estimate] {
                row.push(
                    estimate.map_or_else(
                        || "undefined".to_owned(),
                        |estimate| table.figure(&estimate, 3),
                    ),
                );
            }
            table.row(row);
        }
        table
    }

    /// Who was judged, the table, and what differs, for a terminal.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} rows of {} subjects, {} of them cases; intervals and differences by subject, on the \
             same draws\n\n{}",
            self.rows,
            self.subjects,
            self.cases,
            self.table().text()
        );
        if let Some([controls, cases]) = self.flips {
            let _ = writeln!(text, "\ndecided otherwise: {controls} controls, {cases} cases");
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }

    /// Whether a paired difference of a figure that has a better side lies wholly to one side of 0.
    pub fn told_apart(&self) -> bool {
        let apart = |d: &ClassDifference| {
            let estimate = d.estimate.filter(|_| d.figure.aim().is_none());
            estimate.is_some_and(|e| e.interval.is_below(0.0) || e.interval.is_above(0.0))
        };
        self.differences.iter().any(apart)
    }

    /// All of it as JSON.
    pub fn to_json(&self) -> String {
        let figures = |scores: &[ClassScore]| -> Value {
            let each = scores
                .iter()
                .map(|s| (s.figure.key().to_owned(), s.estimate.as_ref().map(estimate).into()));
            Value::Object(each.collect())
        };
        let differences: serde_json::Map<String, Value> = self
            .differences
            .iter()
            .map(|d| (d.figure.key().to_owned(), d.estimate.as_ref().map(estimate).into()))
            .collect();
        let flips =
            self.flips.map(|[controls, cases]| json!({ "controls": controls, "cases": cases }));
        json!({
            "names": self.names,
            "rows": self.rows,
            "subjects": self.subjects,
            "cases": self.cases,
            "figures": [figures(&self.scores[0]), figures(&self.scores[1])],
            "first_less_second": differences,
            "decided_otherwise": flips,
            "notes": self.notes,
        })
        .to_string()
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

fn put(rows: &mut BTreeMap<Key, (bool, f64)>, subject: &SubjectId, time: String, row: (bool, f64)) {
    let mut key = (subject.clone(), time, 0);
    while rows.contains_key(&key) {
        key.2 += 1;
    }
    rows.insert(key, row);
}

const COLUMNS: [&str; 4] = ["subject_id", "prediction_time", "y_true", "probability"];

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
