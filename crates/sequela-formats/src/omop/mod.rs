//! The OMOP common data model, version 5.3 and 5.4: tables of a person's visits, conditions and measurements.
//!
//! ```text
//! PERSON                birth (MEDS_BIRTH); gender, race and ethnicity, without a time
//! VISIT_OCCURRENCE      its start, and its end (VISIT_END//...)
//! CONDITION_OCCURRENCE, DRUG_EXPOSURE, PROCEDURE_OCCURRENCE   one event for each row, at its start
//! MEASUREMENT, OBSERVATION   one event for each row, with value, unit, and what was found in words
//! DEATH                 MEDS_DEATH
//! CONCEPT               names of the codes
//! ```
//!
//! Tables are found by their names, in either case, as text (`.csv`, `.tsv`, also gzipped) or Parquet, in a folder,
//! in a folder within, or in a zip archive. Only PERSON has to be there.
//!
//! **Codes** are `VOCABULARY//code`, such as `SNOMED//44054006`, of the source concept, and of the standard concept
//! where that is 0: as `meds_etl` chooses. A concept that CONCEPT does not have is `OMOP//concept_id`; a row without
//! any is `OMOP//TABLE//0`. **Units** are the codes of the unit concepts (UCUM), else `unit_source_value`. **Times**
//! are those of the columns `..._datetime`, and where such a cell is empty or the column is not there, midnight of
//! `..._date`.
//!
//! **Source** the OMOP common data model 5.4 of OHDSI; the package `meds_etl`.

mod concepts;
mod gather;
mod people;
mod source;
mod table;
mod zipped;

use std::path::Path;

use sequela_core::Limits;

use self::gather::Gathered;
use self::source::Source;
use crate::Error;
use crate::meds::Coded;

pub use self::source::is_omop;

/// Reads the tables of a folder or a zip archive.
///
/// Events of one time keep the order of the tables, with ends of visits after what happened in them and death last,
/// as many extracts have dates alone. Rows of people that PERSON does not have are left out and counted in the notes.
///
/// **Missing data** an empty value is no value; the event stays. **Cost** linear in the bytes; tables of text are read
/// line by line, and about 60 bytes are held for each event.
///
/// # Errors
/// [`Error::Malformed`] with file, line and column for a cell that is no number or time, a person without a number or
/// with two rows, a row without a date; [`Error::MissingColumn`]; [`Error::Limit`] over `limits.subjects`; those of
/// reading. None has a value of a cell.
///
/// # Example
/// ```
/// use sequela_core::Limits;
/// use sequela_formats::{durable::write_atomic, omop::read_omop};
/// let folder = tempfile::tempdir().unwrap();
/// let person = b"PERSON_ID,GENDER_CONCEPT_ID,YEAR_OF_BIRTH\n1,8532,1950\n";
/// write_atomic(&folder.path().join("PERSON.csv"), person)?;
/// let death = b"person_id,death_date\n1,2020-02-01\n";
/// write_atomic(&folder.path().join("death.csv"), death)?;
/// let coded = read_omop(folder.path(), &Limits::default())?;
/// let name = |at: usize| coded.codes[coded.events[at].code as usize].name.as_str();
/// assert_eq!([name(0), name(1), name(2)], ["Gender//F", "MEDS_BIRTH", "MEDS_DEATH"]);
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub fn read_omop(path: &Path, limits: &Limits) -> Result<Coded, Error> {
    let mut source = Source::open(path, limits)?;
    let mut gathered = Gathered::default();
    people::read(&mut source, &mut gathered, limits)?;
    for table in &table::TABLES {
        table.read(&mut source, &mut gathered, limits)?;
    }
    people::read_deaths(&mut source, &mut gathered, limits)?;
    let concepts = concepts::read(&mut source, &gathered.wanted(), limits)?;
    Ok(gathered.finish(&concepts))
}
