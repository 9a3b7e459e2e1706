//! Two classifiers on the same people: every figure of both, and their paired difference.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sequela_eval::bootstrap::Bootstrap;
use sequela_eval::classify::{
    Answers, ClassDifference, ClassScore, Figure, Truth, is_stratified, verdicts,
};
use sequela_eval::table::{Align, Table};
use serde_json::{Value, json};

use super::evaluation::RARE_NOTE;
use super::predictions::{Predictions, Row};
use crate::Error;
use crate::evaluation::estimate;

impl Predictions {
    /// One less the other, on the same rows.
    ///
    /// Figures of decisions are left out unless both have a threshold.
    ///
    /// # Errors
    /// [`Error::Data`] where the rows are not of the same people at the same times with the same
    /// classes; [`Error::Judge`] where a figure cannot be made.
    pub fn compare(&self, other: &Self, replicates: u32) -> Result<Comparison, Error> {
        self.refuse_others(other)?;
        let mut truth = Truth::new(self.count());
        for ((subject, _, _), row) in &self.rows {
            truth.push(subject, row.class)?;
        }
        if let (Some(gains), Some(_)) = (self.steps, other.steps) {
            truth = truth.of_steps(self.step_truth(gains))?;
        }
        let decides = self.decides() && other.decides();
        let told = |figure: Figure| decides || !figure.is_of_decisions();
        let (one, two) = (self.answers(), other.answers());
        let bootstrap = Bootstrap { replicates, ..Bootstrap::default() };
        let mut found = verdicts(&truth, &[&one, &two], &bootstrap)?.into_iter();
        let [first, second] = [found.next(), found.next()].map(|found| {
            let found = found.map(|one| (one.scores, one.first_less_this)).unwrap_or_default();
            let scores: Vec<ClassScore> =
                found.0.into_iter().filter(|score| told(score.figure)).collect();
            (scores, found.1)
        });
        let changed = one.decisions.iter().zip(&two.decisions).zip(truth.class());
        let mut flips = vec![0; self.count()];
        for ((one, two), class) in changed {
            flips[*class as usize] += usize::from(one != two);
        }
        let counts = (0..self.count()).map(|class| truth.is(class));
        let counts = counts.map(|is| is.iter().filter(|is| **is).count()).collect();
        let mut notes = if is_stratified(&truth) { vec![RARE_NOTE.into()] } else { Vec::new() };
        notes.extend(self.other_folds(other));
        Ok(Comparison {
            names: [self.name.clone(), other.name.clone()],
            subjects: truth.subject_count(),
            rows: truth.rows(),
            classes: self.classes.clone(),
            counts,
            scores: [first.0, second.0],
            differences: second.1.into_iter().filter(|d| told(d.figure)).collect(),
            flips: decides.then_some(flips),
            notes,
        })
    }

    fn answers(&self) -> Answers {
        let decide = |row: &Row| {
            if self.classes.is_empty() {
                return u32::from(row.p[1] >= self.threshold_of(row).unwrap_or(0.5));
            }
            // The first of equals, as the model decides.
            let most = row.p.iter().copied().fold(0.0, f64::max);
            let at = row.p.iter().position(|&p| p >= most).unwrap_or(0);
            u32::try_from(at).unwrap_or(0)
        };
        Answers {
            probabilities: self.rows.values().flat_map(|row| row.p.iter().copied()).collect(),
            decisions: self.rows.values().map(decide).collect(),
        }
    }

    /// What there is to say of folds that are not the same.
    fn other_folds(&self, other: &Self) -> Option<String> {
        let pairs = || self.rows.iter().map(|(key, row)| (row.fold, other.rows[key].fold));
        let mut partners: BTreeMap<usize, usize> = BTreeMap::new();
        let mut back: BTreeMap<usize, usize> = BTreeMap::new();
        // Folds may have other numbers: what counts is who was judged together.
        let same = pairs().all(|(one, two)| {
            *partners.entry(one).or_insert(two) == two && *back.entry(two).or_insert(one) == one
        });
        (!same).then(|| {
            "the two parted people into folds differently: their models were trained on other \
             people, which the intervals do not know"
                .to_owned()
        })
    }

    fn refuse_others(&self, other: &Self) -> Result<(), Error> {
        if self.classes != other.classes {
            return Err(Error::data(
                "y_true",
                "the two do not tell the same classes",
                "compare classifiers of the same classes, by the same names",
            ));
        }
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
        let turned =
            self.rows.iter().filter(|(key, row)| other.rows[*key].class != row.class).count();
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
    /// More than two classes by name; none for two.
    pub classes: Vec<String>,
    /// Rows of each class.
    pub counts: Vec<usize>,
    /// Figures of each.
    pub scores: [Vec<ClassScore>; 2],
    /// The first less the second.
    pub differences: Vec<ClassDifference>,
    /// Rows that are decided otherwise, of each class.
    pub flips: Option<Vec<usize>>,
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
        let who = if self.classes.is_empty() {
            format!("{} of them cases", self.counts.get(1).copied().unwrap_or(0))
        } else {
            self.each(&self.counts)
        };
        let mut text = format!(
            "{} rows of {} subjects, {who}; intervals and differences by subject, on the same \
             draws\n\n{}",
            self.rows,
            self.subjects,
            self.table().text()
        );
        match self.flips.as_deref() {
            Some([controls, cases]) => {
                let _ = writeln!(text, "\ndecided otherwise: {controls} controls, {cases} cases");
            }
            Some(flips) => {
                let _ = writeln!(text, "\ndecided otherwise: {}", self.each(flips));
            }
            None => {}
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }

    /// `40 stable, 20 worse`
    fn each(&self, counts: &[usize]) -> String {
        let each = self.classes.iter().zip(counts);
        each.map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
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
        let by_class = |counts: &[usize]| -> Value {
            let each = self.classes.iter().cloned().zip(counts.iter().map(|&count| count.into()));
            Value::Object(each.collect())
        };
        let flips = self.flips.as_deref().map(|flips| match flips {
            [controls, cases] => json!({ "controls": controls, "cases": cases }),
            flips => by_class(flips),
        });
        let counts = (!self.classes.is_empty()).then(|| by_class(&self.counts));
        let cases = self.classes.is_empty().then(|| self.counts.get(1));
        json!({
            "names": self.names,
            "rows": self.rows,
            "subjects": self.subjects,
            "cases": cases,
            "counts": counts,
            "figures": [figures(&self.scores[0]), figures(&self.scores[1])],
            "first_less_second": differences,
            "decided_otherwise": flips,
            "notes": self.notes,
        })
        .to_string()
    }
}
