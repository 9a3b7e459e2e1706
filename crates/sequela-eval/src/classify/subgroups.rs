//! The same figures for parts of the people: sex, age band, unit.

use super::{Answers, ClassScore, Figure, Truth, score};
use crate::Error;
use crate::bootstrap::Bootstrap;
use crate::table::{Align, Table};

/// One part of the people.
#[derive(Debug, Clone, PartialEq)]
pub struct Subgroup {
    /// What parts them: `sex`.
    pub by: String,
    /// Which part it is: `female`.
    pub name: String,
    /// Subjects in it.
    pub subjects: usize,
    /// How many of them had a row of each class.
    pub counts: Vec<usize>,
    /// Its figures; none where the part is too small to be told.
    pub scores: Option<Vec<ClassScore>>,
}

/// The least part whose figures are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Least {
    /// Subjects.
    pub subjects: usize,
    /// Subjects of each class.
    pub of_each_class: usize,
}

impl Default for Least {
    fn default() -> Self {
        Self { subjects: 50, of_each_class: 10 }
    }
}

/// Figures of parts of the rows, each with a name and the positions of its rows.
///
/// # Errors
/// [`Error::Value`] for a position past the end; as [`score`].
///
/// # Example
/// ```
/// use sequela_core::SubjectId;
/// use sequela_eval::bootstrap::Bootstrap;
/// use sequela_eval::classify::{Answers, Least, Truth, subgroups};
/// let mut truth = Truth::new(2);
/// let mut answers = Answers::default();
/// for n in 0..90 {
///     truth.push(&SubjectId::new(n.to_string()), u32::from(n % 3 == 0))?;
///     answers.probabilities.extend([0.7, 0.3]);
///     answers.decisions.push(0);
/// }
/// let sex = [("female".to_owned(), (0..60).collect()), ("male".to_owned(), (60..90).collect())];
/// let groups = subgroups(&truth, &answers, ("sex", &sex), Least::default(), &Bootstrap::default())?;
/// assert_eq!((groups[0].subjects, groups[0].counts[1]), (60, 20));
/// assert!(groups[0].scores.is_some() && groups[1].scores.is_none());
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn subgroups(
    truth: &Truth,
    answers: &Answers,
    (by, parts): (&str, &[(String, Vec<usize>)]),
    least: Least,
    bootstrap: &Bootstrap,
) -> Result<Vec<Subgroup>, Error> {
    let part = |(name, rows): &(String, Vec<usize>)| {
        let part = truth.select(rows)?;
        let counts = part.subjects_of_each();
        let subjects = part.subject_count();
        let enough =
            subjects >= least.subjects && counts.iter().all(|&count| count >= least.of_each_class);
        let scores = if enough {
            Some(score(&part, &answers.select(rows, truth.classes()), bootstrap)?)
        } else {
            None
        };
        Ok(Subgroup { by: by.to_owned(), name: name.clone(), subjects, counts, scores })
    };
    parts.iter().map(part).collect()
}

/// Subgroups in rows: who, how many, how many of `case`, and the figures.
pub fn subgroup_table(groups: &[Subgroup], case: &str, least: Least) -> Table {
    let mut columns = vec![("by", Align::Left), ("group", Align::Left), ("n", Align::Right)];
    columns.push((case, Align::Right));
    columns.extend(TOLD.iter().map(|figure| (figure.name(), Align::Right)));
    let mut table = Table::new(&columns);
    for group in groups {
        let events = group.counts.get(1).copied().unwrap_or(0);
        let mut row = vec![
            group.by.clone(),
            group.name.clone(),
            group.subjects.to_string(),
            events.to_string(),
        ];
        for figure in TOLD {
            let scores = group.scores.as_deref();
            let found = scores.map(|scores| scores.iter().find(|score| score.figure == figure));
            row.push(match found {
                None => "too few".to_owned(),
                Some(found) => match found.and_then(|score| score.estimate) {
                    Some(estimate) => table.figure(&estimate, 3),
                    None => "undefined".to_owned(),
                },
            });
        }
        table.row(row);
    }
    if groups.iter().any(|group| group.scores.is_none()) {
        table.note(&format!(
            "too few: fewer than {} subjects, or than {} of a class",
            least.subjects, least.of_each_class
        ));
    }
    table
}

/// The figures of a part that are told.
const TOLD: [Figure; 4] =
    [Figure::Auroc, Figure::Auprc, Figure::ObservedLessExpected, Figure::Sensitivity];

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::SubjectId;

    #[test]
    fn small_parts_and_strangers_are_told_without_figures() {
        let mut truth = Truth::new(2);
        let mut answers = Answers::default();
        for n in 0..70_u32 {
            truth.push(&SubjectId::new(n.to_string()), u32::from(n % 4 == 0)).unwrap();
            let p = f64::from(n % 7) / 10.0 + 0.1;
            answers.probabilities.extend([1.0 - p, p]);
            answers.decisions.push(u32::from(p > 0.5));
        }
        let groups = [("a".to_owned(), (0..60).collect()), ("b".to_owned(), (60..64).collect())];
        let bootstrap = Bootstrap { replicates: 50, ..Bootstrap::default() };
        let least = Least::default();
        let parts = subgroups(&truth, &answers, ("ward", &groups), least, &bootstrap).unwrap();
        assert_eq!(parts.iter().map(|part| part.subjects).collect::<Vec<_>>(), [60, 4]);
        assert!(parts[1].scores.is_none());
        let whole = score(
            &truth.select(&(0..60).collect::<Vec<_>>()).unwrap(),
            &answers.select(&(0..60).collect::<Vec<_>>(), 2),
            &bootstrap,
        );
        assert_eq!(parts[0].scores.as_ref(), whole.ok().as_ref());
        let text = subgroup_table(&parts, "died", least).text();
        assert!(text.contains("too few: fewer than 50 subjects"), "{text}");
        let strangers = [("c".to_owned(), vec![70])];
        assert!(subgroups(&truth, &answers, ("ward", &strangers), least, &bootstrap).is_err());
    }
}
