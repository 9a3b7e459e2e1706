//! The tables of what happened, all of one shape.

use sequela_core::{Limits, Location};

use super::gather::{Gathered, Happened, Key, Said};
use super::source::Source;
use crate::Error;
use crate::csv::{Fault, Row, Rows, nearest, refuse_duplicates};
use crate::meds::Counted;

/// A table of what happened.
#[derive(Debug)]
pub(super) struct Happenings {
    name: &'static str,
    /// What `_concept_id` and `_source_concept_id` follow.
    concept: &'static str,
    /// What `_date` and `_datetime` follow.
    start: &'static str,
    /// The same, where its end is an event.
    end: Option<&'static str>,
}

impl Happenings {
    /// Reads it, where it is there.
    ///
    /// # Errors
    /// As [`read_omop`](super::read_omop).
    pub(super) fn read(
        &self,
        source: &mut Source,
        gathered: &mut Gathered,
        limits: &Limits,
    ) -> Result<(), Error> {
        source.table(self.name, limits, |rows| self.rows(rows, gathered))?;
        Ok(())
    }

    fn rows(&self, rows: &mut dyn Rows, gathered: &mut Gathered) -> Result<(), Error> {
        let columns = Columns::of(rows)?;
        let person = columns.required("person_id")?;
        let concept_name = format!("{}_concept_id", self.concept);
        let source_name = format!("{}_source_concept_id", self.concept);
        let concept = columns.required(&concept_name)?;
        let of_source = columns.optional(&source_name);
        let start = Moment::of(&columns, self.start)?;
        let end = self.end.map(|end| Moment::of(&columns, end)).transpose()?;
        let found = Found::of(&columns);
        let mut wanted = vec![person, concept];
        wanted.extend(of_source);
        wanted.extend(start.columns());
        wanted.extend(end.iter().flat_map(Moment::columns));
        wanted.extend(found.columns());
        wanted.sort_unstable();
        rows.select(&wanted)?;
        let place = rows.place().clone();
        let mut counted = Counted { source: self.name.to_owned(), rows: 0, events: 0 };
        let mut strangers = 0;
        while let Some(row) = rows.next_row()? {
            let cells = Cells { row: &row, place: &place };
            counted.rows += 1;
            let id = cells.person(person)?;
            if !gathered.people.contains(&id) {
                strangers += 1;
                continue;
            }
            let there = |id: &i64| *id != 0;
            let from_source = match of_source {
                Some(at) => cells.whole(at, &source_name)?.filter(there),
                None => None,
            };
            let concept = match from_source {
                Some(concept) => Some(concept),
                None => cells.whole(concept, &concept_name)?.filter(there),
            };
            let key = concept.map_or(Key::Unknown(self.name), Key::Concept);
            let time = Some(start.required(&cells)?);
            let (value, text, unit) = found.read(&cells)?;
            gathered.push(Happened { person: id, time, key, value, text, unit });
            counted.events += 1;
            if let Some(end) = &end
                && let Some(time) = end.optional(&cells)?
            {
                let key = concept.map_or(Key::UnknownEnd(self.name), Key::End);
                gathered.push(Happened::plain(id, Some(time), key));
                counted.events += 1;
            }
        }
        known_people(self.name, strangers, gathered);
        gathered.counts.push(counted);
        Ok(())
    }
}

/// Notes how many rows were left out.
pub(super) fn known_people(table: &str, strangers: u64, gathered: &mut Gathered) {
    if strangers > 0 {
        gathered.notes.push(format!(
            "{strangers} rows of {table} are of people that PERSON does not have, and were left out"
        ));
    }
}

/// The columns of a table, by name in either case.
pub(super) struct Columns {
    names: Vec<String>,
    place: Location,
}

impl Columns {
    pub(super) fn of(rows: &dyn Rows) -> Result<Self, Error> {
        let names: Vec<String> =
            rows.header().iter().map(|name| name.trim().to_lowercase()).collect();
        let place = rows.first();
        refuse_duplicates(&names, &place)?;
        Ok(Self { names, place })
    }

    pub(super) fn optional(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    pub(super) fn required(&self, name: &str) -> Result<usize, Error> {
        self.optional(name).ok_or_else(|| Error::MissingColumn {
            location: self.place.clone().field(name).into(),
            hint: nearest(name, &self.names),
        })
    }
}

/// A time in two columns: one of times, one of days.
pub(super) struct Moment {
    time: Option<usize>,
    day: Option<usize>,
    /// The name of the column of days.
    name: String,
}

impl Moment {
    /// The columns `STEM_datetime` and `STEM_date`, of which one has to be there.
    pub(super) fn of(columns: &Columns, stem: &str) -> Result<Self, Error> {
        let name = format!("{stem}_date");
        let time = columns.optional(&format!("{stem}_datetime"));
        let day = columns.optional(&name);
        if time.is_none() {
            columns.required(&name)?;
        }
        Ok(Self { time, day, name })
    }

    pub(super) fn columns(&self) -> Vec<usize> {
        self.time.into_iter().chain(self.day).collect()
    }

    /// The time, in microseconds since 1970; `None` where both cells are empty.
    pub(super) fn optional(&self, cells: &Cells<'_, '_>) -> Result<Option<i64>, Error> {
        let there = |at: &usize| !cells.row.cell(*at).is_missing();
        let (at, is_time) = match (self.time.filter(there), self.day.filter(there)) {
            (Some(at), _) => (at, true),
            (None, Some(at)) => (at, false),
            (None, None) => return Ok(None),
        };
        let time = cells.row.cell(at).instant();
        let name = if is_time { format!("{}time", self.name) } else { self.name.clone() };
        time.map(Some).map_err(|fault| cells.malformed(&name, fault))
    }

    /// The time, which has to be there.
    pub(super) fn required(&self, cells: &Cells<'_, '_>) -> Result<i64, Error> {
        self.optional(cells)?.ok_or_else(|| {
            let fault = Fault { what: "the date is missing", hint: "give each row a date" };
            cells.malformed(&self.name, fault)
        })
    }
}

/// The columns of what was found.
struct Found {
    value: Option<usize>,
    in_words: Option<usize>,
    as_concept: Option<usize>,
    as_source: Option<usize>,
    unit_concept: Option<usize>,
    unit_source: Option<usize>,
}

impl Found {
    fn of(columns: &Columns) -> Self {
        Self {
            value: columns.optional("value_as_number"),
            in_words: columns.optional("value_as_string"),
            as_concept: columns.optional("value_as_concept_id"),
            as_source: columns.optional("value_source_value"),
            unit_concept: columns.optional("unit_concept_id"),
            unit_source: columns.optional("unit_source_value"),
        }
    }

    fn columns(&self) -> impl Iterator<Item = usize> + use<> {
        let values = [self.value, self.in_words, self.as_concept, self.as_source];
        values.into_iter().chain([self.unit_concept, self.unit_source]).flatten()
    }

    /// The value, what was found in words where there is no value, and the unit.
    fn read(&self, cells: &Cells<'_, '_>) -> Result<(f32, Option<Said>, Option<Said>), Error> {
        let value = match self.value {
            None => f32::NAN,
            Some(at) => {
                let value = cells.row.cell(at).value();
                value.map_err(|fault| cells.malformed("value_as_number", fault))?
            }
        };
        let text = |at: Option<usize>| {
            let cell = at.map(|at| cells.row.cell(at)).filter(|cell| !cell.is_missing());
            cell.map(|cell| cell.text().into_owned()).unwrap_or_default()
        };
        let said = |concept: Option<i64>, text: String| match concept.filter(|id| *id != 0) {
            Some(id) => Some(Said::Concept(id, text)),
            None => Some(Said::Text(text)).filter(|said| *said != Said::Text(String::new())),
        };
        let concept = |at: Option<usize>, name| match at {
            None => Ok(None),
            Some(at) => cells.whole(at, name),
        };
        let in_words = if value.is_finite() {
            None
        } else {
            let words = text(self.in_words);
            let words = if words.is_empty() { text(self.as_source) } else { words };
            said(concept(self.as_concept, "value_as_concept_id")?, words)
        };
        let unit = said(concept(self.unit_concept, "unit_concept_id")?, text(self.unit_source));
        Ok((value, in_words, unit))
    }
}

/// The cells of a row, with its place.
pub(super) struct Cells<'a, 'b> {
    pub(super) row: &'a Row<'b>,
    pub(super) place: &'a Location,
}

impl Cells<'_, '_> {
    /// The whole number in a cell; `None` where it is empty.
    pub(super) fn whole(&self, column: usize, name: &str) -> Result<Option<i64>, Error> {
        whole(self.row, column).map_err(|fault| self.malformed(name, fault))
    }

    /// Whose the row is.
    pub(super) fn person(&self, column: usize) -> Result<i64, Error> {
        let missing = Fault { what: "the person is missing", hint: "say whose row this is" };
        self.whole(column, "person_id")?.ok_or_else(|| self.malformed("person_id", missing))
    }

    pub(super) fn malformed(&self, name: &str, fault: Fault) -> Error {
        Error::malformed(self.row.place(self.place).field(name), fault.what, fault.hint)
    }
}

/// The whole number in a cell; `None` where it is empty.
///
/// `8507.0` is one, too: so programs write columns of whole numbers in which some are missing.
pub(super) fn whole(row: &Row<'_>, column: usize) -> Result<Option<i64>, Fault> {
    let cell = row.cell(column);
    if cell.is_missing() {
        return Ok(None);
    }
    let text = cell.text();
    let digits = text.strip_suffix(".0").unwrap_or(&text);
    digits.parse().map(Some).map_err(|_| NOT_WHOLE)
}

const NOT_WHOLE: Fault =
    Fault { what: "the text is not a whole number", hint: "OMOP numbers its people and concepts" };

const fn happenings(
    name: &'static str,
    concept: &'static str,
    start: &'static str,
    end: Option<&'static str>,
) -> Happenings {
    Happenings { name, concept, start, end }
}

/// All but PERSON, DEATH and CONCEPT, in the order of events that have one time.
pub(super) const TABLES: [Happenings; 6] = [
    happenings("VISIT_OCCURRENCE", "visit", "visit_start", Some("visit_end")),
    happenings("CONDITION_OCCURRENCE", "condition", "condition_start", None),
    happenings("PROCEDURE_OCCURRENCE", "procedure", "procedure", None),
    happenings("MEASUREMENT", "measurement", "measurement", None),
    happenings("OBSERVATION", "observation", "observation", None),
    happenings("DRUG_EXPOSURE", "drug", "drug_exposure_start", None),
];
