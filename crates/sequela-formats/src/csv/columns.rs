//! Which columns of a table are read, and finding them in its header.

use sequela_core::Location;
use serde::{Deserialize, Serialize};

use super::cells::TimeFormat;
use crate::Error;

/// A column of measured values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueColumn {
    /// Name in the header.
    pub name: String,
    /// Unit, e.g. `bpm`; empty where it is not known.
    #[serde(default)]
    pub unit: String,
}

/// The column of times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeColumn {
    /// Name in the header.
    pub name: String,
    /// How the times are written.
    pub format: TimeFormat,
}

/// The columns that make up a series table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeriesColumns {
    /// The column that says whose each row is; without it all rows are one subject's.
    pub subject: Option<String>,
    /// The column of times; without it the steps are taken as equally spaced.
    pub time: Option<TimeColumn>,
    /// The measured values, in the order wanted.
    pub values: Vec<ValueColumn>,
}

impl SeriesColumns {
    /// These value columns (name, unit) and no other.
    pub fn values<const F: usize>(values: [(&str, &str); F]) -> Self {
        let values =
            values.map(|(name, unit)| ValueColumn { name: name.to_owned(), unit: unit.to_owned() });
        Self { values: values.into(), ..Self::default() }
    }

    /// The same with a subject column.
    #[must_use]
    pub fn with_subject(mut self, name: impl Into<String>) -> Self {
        self.subject = Some(name.into());
        self
    }

    /// The same with a time column.
    #[must_use]
    pub fn with_time(mut self, name: impl Into<String>, format: TimeFormat) -> Self {
        self.time = Some(TimeColumn { name: name.into(), format });
        self
    }
}

/// Positions of the wanted columns in a header.
#[derive(Debug)]
pub(super) struct Positions {
    pub(super) subject: Option<usize>,
    pub(super) time: Option<(usize, TimeFormat)>,
    pub(super) values: Vec<usize>,
}

impl Positions {
    /// Finds `columns` in `header`.
    pub(super) fn find(
        columns: &SeriesColumns,
        header: &[String],
        location: &Location,
    ) -> Result<Self, Error> {
        if columns.values.is_empty() {
            return Err(Error::malformed(
                location.clone(),
                "no value column was asked for",
                "name one or more",
            ));
        }
        let find = |name: &str| position(name, header, location);
        let positions = Self {
            subject: columns.subject.as_deref().map(find).transpose()?,
            time: match &columns.time {
                Some(time) => Some((find(&time.name)?, time.format)),
                None => None,
            },
            values: columns.values.iter().map(|v| find(&v.name)).collect::<Result<_, _>>()?,
        };
        let mut all = positions.values.clone();
        all.extend(positions.subject);
        all.extend(positions.time.map(|(at, _)| at));
        all.sort_unstable();
        match all.windows(2).find(|pair| pair.first() == pair.last()) {
            None => Ok(positions),
            Some(pair) => {
                let name = pair.first().and_then(|&at| header.get(at)).cloned();
                Err(Error::malformed(
                    location.clone().field(name.unwrap_or_default()),
                    "the column was asked for twice",
                    "give each column one part: subject, time or value",
                ))
            }
        }
    }
}

/// Refuses a header in which two columns have one name.
pub(crate) fn refuse_duplicates(header: &[String], location: &Location) -> Result<(), Error> {
    let mut names: Vec<&String> = header.iter().filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair.first() == pair.last());
    match twice.and_then(|pair| pair.first()) {
        None => Ok(()),
        Some(name) => Err(Error::malformed(
            location.clone().field(name.as_str()),
            "two columns have this name",
            "rename one of them",
        )),
    }
}

/// Position of the column `name`, or the nearest name there is.
pub(super) fn position(name: &str, header: &[String], location: &Location) -> Result<usize, Error> {
    header.iter().position(|found| found == name).ok_or_else(|| Error::MissingColumn {
        location: location.clone().field(name).into(),
        hint: nearest(name, header),
    })
}

/// The name that was probably meant, else the names that there are.
pub(crate) fn nearest(name: &str, header: &[String]) -> String {
    // A first line with numbers is data: the header was left out, and cells are not quoted.
    if header.iter().any(|cell| cell.trim().parse::<f64>().is_ok()) {
        return "the first line has numbers: give the table a header".to_owned();
    }
    let wanted = name.to_lowercase();
    // What is longer, or more than a line, is no name.
    let names =
        || header.iter().filter(|name| name.len() <= 100 && !name.contains(char::is_control));
    let best = names()
        .map(|found| (strsim::damerau_levenshtein(&wanted, &found.to_lowercase()), found))
        .min_by_key(|(distance, _)| *distance);
    match best {
        Some((distance, found)) if distance <= 1 + name.chars().count() / 3 => {
            format!("did you mean \"{found}\"?")
        }
        _ => {
            let shown: Vec<&str> = names().take(SHOWN).map(String::as_str).collect();
            let more = if header.len() > shown.len() { " ..." } else { "" };
            format!("the columns are {}{more}", shown.join(", "))
        }
    }
}

/// Names of columns listed in a message at most.
const SHOWN: usize = 12;
