//! What one cell says: a number, a time, or nothing.

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

/// How the times of a table are written.
///
/// All are turned into hours. Numbers count from whatever origin the table has; date-times count
/// from 1970-01-01T00:00:00, in UTC where they carry an offset (or `Z`), else as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TimeFormat {
    /// Numbers of days.
    Days,
    /// Numbers of hours.
    Hours,
    /// Numbers of minutes.
    Minutes,
    /// Numbers of seconds.
    Seconds,
    /// Numbers of milliseconds.
    Milliseconds,
    /// ISO 8601, with `T` or a space between date and time, or a date alone.
    DateTime,
}

impl TimeFormat {
    /// The name used in studies: `hours`, `date_time` ...
    pub fn name(self) -> &'static str {
        match self {
            Self::Days => "days",
            Self::Hours => "hours",
            Self::Minutes => "minutes",
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::DateTime => "date_time",
        }
    }

    /// The format called `name`.
    ///
    /// # Example
    /// ```
    /// use sequela_formats::csv::TimeFormat;
    /// assert_eq!(TimeFormat::from_name("date_time"), Some(TimeFormat::DateTime));
    /// assert_eq!(TimeFormat::from_name("fortnights"), None);
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Days, Self::Hours, Self::Minutes, Self::Seconds, Self::Milliseconds, Self::DateTime]
            .into_iter()
            .find(|format| format.name() == name)
    }

    /// Hours of a number in this unit; `None` for date-times.
    pub fn to_hours(self, number: f64) -> Option<f64> {
        self.hours().map(|(numerator, denominator)| number * numerator / denominator)
    }

    /// Hours in one unit; `None` for date-times.
    fn hours(self) -> Option<(f64, f64)> {
        // Numerator and denominator, so that 60 minutes are exactly one hour.
        match self {
            Self::Days => Some((24.0, 1.0)),
            Self::Hours => Some((1.0, 1.0)),
            Self::Minutes => Some((1.0, 60.0)),
            Self::Seconds => Some((1.0, 3600.0)),
            Self::Milliseconds => Some((1.0, 3_600_000.0)),
            Self::DateTime => None,
        }
    }
}

/// What is wrong with a cell, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub what: &'static str,
    /// What to do about it.
    pub hint: &'static str,
}

/// Whether a trimmed cell stands for a missing value.
pub fn is_missing(cell: &str) -> bool {
    cell.is_empty() || MISSING.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// The number in a cell; `None` where it is missing.
pub(super) fn number(cell: &str) -> Result<Option<f64>, Fault> {
    let cell = cell.trim();
    if is_missing(cell) {
        return Ok(None);
    }
    match cell.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Some(value)),
        Ok(_) => Err(INFINITE),
        Err(_) if is_decimal_comma(cell) => Err(Fault {
            what: "the number is written with a decimal comma",
            hint: "write a decimal point",
        }),
        Err(_) => Err(Fault {
            what: "the text is not a number",
            hint: "correct it, or leave the cell empty if the value is not known",
        }),
    }
}

/// The number in a cell as it is kept; missing is NaN, as `Sequence::numeric` takes it.
pub(super) fn value(cell: &str) -> Result<f32, Fault> {
    number(cell)?.map_or(Ok(f32::NAN), narrow)
}

/// A measured number as it is kept: the nearest f32.
///
/// # Errors
/// A fault for a number that no f32 holds.
pub fn narrow(value: f64) -> Result<f32, Fault> {
    #[allow(clippy::cast_possible_truncation, reason = "values are kept in f32, checked below")]
    let narrow = value as f32;
    if narrow.is_finite() {
        Ok(narrow)
    } else {
        Err(Fault { what: "the number is too large", hint: "give the column in another unit" })
    }
}

/// The time in a cell, in hours.
///
/// # Errors
/// A fault where the cell is empty or does not hold a time of that format.
pub fn time(cell: &str, format: TimeFormat) -> Result<f64, Fault> {
    let cell = cell.trim();
    let missing = TIME_MISSING;
    match format.hours() {
        Some(_) => match number(cell) {
            Ok(Some(value)) => format.to_hours(value).ok_or(missing),
            Ok(None) => Err(missing),
            Err(_) if date_time(cell).is_some() => Err(A_DATE),
            Err(fault) => Err(fault),
        },
        None if is_missing(cell) => Err(missing),
        None => date_time(cell).ok_or(NO_TIME),
    }
}

/// Hours since 1970 of an ISO 8601 date-time or date.
pub(super) fn date_time(cell: &str) -> Option<f64> {
    Some(timestamp(cell)?.as_nanosecond() as f64 / 3.6e12)
}

/// Microseconds since 1970 of an ISO 8601 date-time or date, in UTC where it carries an offset, else as written.
pub(crate) fn instant(cell: &str) -> Result<i64, Fault> {
    if is_missing(cell) {
        return Err(TIME_MISSING);
    }
    timestamp(cell).map(Timestamp::as_microsecond).ok_or(NO_TIME)
}

fn timestamp(cell: &str) -> Option<Timestamp> {
    // The crate's parser takes bare digits for a date; here those are numbers.
    if !cell.contains('-') && !cell.contains(':') {
        return None;
    }
    cell.parse::<Timestamp>().ok().or_else(|| {
        let as_written: DateTime = cell.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(as_written).ok()
    })
}

fn is_decimal_comma(cell: &str) -> bool {
    cell.matches(',').count() == 1
        && cell.replace(',', ".").parse::<f64>().is_ok_and(f64::is_finite)
}

pub(super) const INFINITE: Fault =
    Fault { what: "the value is infinite", hint: "leave the cell empty if the value is not known" };
pub(super) const TIME_MISSING: Fault =
    Fault { what: "the time is missing", hint: "give each row a time" };
pub(super) const A_DATE: Fault = Fault {
    what: "the time is a date, not a number",
    hint: "declare the time column as date_time",
};
pub(super) const NO_TIME: Fault = Fault {
    what: "the time is not a date and time",
    hint: "write it as 2024-05-01T08:30:00, or declare the unit of its numbers",
};
const MISSING: [&str; 5] = ["na", "n/a", "nan", "null", "none"];

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these conversions are exact")]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_missing_cells() {
        for missing in ["", "  ", "NA", "NaN", "nan", "null", "None", "n/a"] {
            assert_eq!(number(missing), Ok(None), "{missing:?}");
        }
        assert_eq!(number(" 72.5 "), Ok(Some(72.5)));
        assert_eq!(number("1e3"), Ok(Some(1000.0)));
        assert_eq!(number("72,5").unwrap_err().hint, "write a decimal point");
        assert!(number("inf").unwrap_err().what.contains("infinite"));
        assert!(number("1e999").unwrap_err().what.contains("infinite"));
        assert!(number("high").unwrap_err().what.contains("not a number"));
        assert!(value("1e39").unwrap_err().what.contains("too large"));
    }

    #[test]
    fn times_become_hours() {
        assert_eq!(time("90", TimeFormat::Minutes), Ok(1.5));
        assert_eq!(time("2", TimeFormat::Days), Ok(48.0));
        assert_eq!(time("1800", TimeFormat::Seconds), Ok(0.5));
        let hours = |text| time(text, TimeFormat::DateTime);
        assert_eq!(hours("1970-01-02"), Ok(24.0));
        assert_eq!(hours("1970-01-01T01:30:00Z"), Ok(1.5));
        assert_eq!(hours("1970-01-01 01:30:00+01:00"), Ok(0.5));
        assert_eq!(hours("1970-01-01 00:00:01.5"), Ok(1.5 / 3600.0));
        assert!(hours("yesterday").is_err());
        assert!(hours("17").is_err());
        assert!(hours("").unwrap_err().what.contains("missing"));
        let fault = time("2024-01-01T00:00:00", TimeFormat::Hours).unwrap_err();
        assert!(fault.hint.contains("date_time"));
    }
}
