//! PERSON and DEATH.

use sequela_core::Limits;

use super::gather::{Gathered, Happened, Key};
use super::source::Source;
use super::table::{Cells, Columns, Moment, known_people};
use crate::Error;
use crate::csv::{Fault, instant};
use crate::meds::Counted;

/// Reads PERSON: birth, and what does not change.
///
/// # Errors
/// As [`read_omop`](super::read_omop).
pub(super) fn read(
    source: &mut Source,
    gathered: &mut Gathered,
    limits: &Limits,
) -> Result<(), Error> {
    let mut without_birth = 0_u64;
    source.table(PERSON, limits, |rows| {
        let columns = Columns::of(rows)?;
        let person = columns.required("person_id")?;
        let [year, month, day] = ["year_of_birth", "month_of_birth", "day_of_birth"]
            .map(|name| columns.optional(name).map(|at| (at, name)));
        let born = columns.optional("birth_datetime").map(|at| (at, "birth_datetime"));
        let traits = TRAITS.map(|name| columns.optional(name).map(|at| (at, name)));
        let dated = [year, month, day, born];
        let all = traits.iter().chain(&dated).flatten().map(|(at, _)| *at);
        rows.select(&std::iter::once(person).chain(all).collect::<Vec<_>>())?;
        let place = rows.place().clone();
        let mut counted = Counted { source: PERSON.to_owned(), rows: 0, events: 0 };
        while let Some(row) = rows.next_row()? {
            let cells = Cells { row: &row, place: &place };
            let id = cells.person(person)?;
            if !gathered.people.insert(id) {
                return Err(Error::malformed(
                    row.place(&place).field("person_id"),
                    "this person stands further up, too",
                    "give each person one row",
                ));
            }
            if gathered.people.len() as u64 > limits.subjects {
                return Err(Error::Limit {
                    location: row.place(&place).field("person_id").into(),
                    what: "the number of people".to_owned(),
                    limit: limits.subjects,
                });
            }
            counted.rows += 1;
            for (at, name) in traits.iter().flatten() {
                if let Some(concept) = cells.whole(*at, name)?.filter(|concept| *concept != 0) {
                    gathered.push(Happened::plain(id, None, Key::Concept(concept)));
                    counted.events += 1;
                }
            }
            match birth(&cells, dated)? {
                None => without_birth += 1,
                time => {
                    gathered.push(Happened::plain(id, time, Key::Named("MEDS_BIRTH")));
                    counted.events += 1;
                }
            }
        }
        gathered.counts.push(counted);
        Ok(())
    })?;
    if without_birth > 0 {
        gathered.notes.push(format!("{without_birth} people have no year of birth"));
    }
    Ok(())
}

/// Reads DEATH.
///
/// # Errors
/// As [`read_omop`](super::read_omop).
pub(super) fn read_deaths(
    source: &mut Source,
    gathered: &mut Gathered,
    limits: &Limits,
) -> Result<(), Error> {
    // Who dies in a visit dies before its end is written down, and nothing comes after death.
    gathered.end_visits();
    source.table("DEATH", limits, |rows| {
        let columns = Columns::of(rows)?;
        let person = columns.required("person_id")?;
        let time = Moment::of(&columns, "death")?;
        rows.select(&[&[person][..], &time.columns()].concat())?;
        let place = rows.place().clone();
        let mut counted = Counted { source: "DEATH".to_owned(), rows: 0, events: 0 };
        let mut strangers = 0;
        while let Some(row) = rows.next_row()? {
            let cells = Cells { row: &row, place: &place };
            counted.rows += 1;
            let id = cells.person(person)?;
            if !gathered.people.contains(&id) {
                strangers += 1;
                continue;
            }
            let time = time.required(&cells)?;
            gathered.push(Happened::plain(id, Some(time), Key::Named("MEDS_DEATH")));
            counted.events += 1;
        }
        known_people("DEATH", strangers, gathered);
        gathered.counts.push(counted);
        Ok(())
    })?;
    Ok(())
}

/// When a person was born: the time if there is one, else the day, of whose parts the first is taken where they are
/// missing.
fn birth(
    cells: &Cells<'_, '_>,
    [year, month, day, born]: [Option<(usize, &'static str)>; 4],
) -> Result<Option<i64>, Error> {
    if let Some((at, name)) = born
        && !cells.row.cell(at).is_missing()
    {
        let time = cells.row.cell(at).instant();
        return time.map(Some).map_err(|fault| cells.malformed(name, fault));
    }
    let part = |column: Option<(usize, &'static str)>| match column {
        None => Ok(None),
        Some((at, name)) => cells.whole(at, name),
    };
    let Some(year) = part(year)? else { return Ok(None) };
    let (month, day) = (part(month)?.unwrap_or(1), part(day)?.unwrap_or(1));
    // Numbers of any length are refused by the reader of dates.
    instant(&format!("{year:04}-{month:02}-{day:02}")).map(Some).map_err(|_| {
        let what = "year, month and day of birth are no date";
        let hint = "correct them, or leave day and month empty";
        cells.malformed("year_of_birth", Fault { what, hint })
    })
}

const PERSON: &str = "PERSON";
const TRAITS: [&str; 3] = ["gender_concept_id", "race_concept_id", "ethnicity_concept_id"];
