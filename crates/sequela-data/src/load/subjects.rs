//! Whose record is whose, where file names do not tell.

use sequela_core::SubjectId;
use serde::{Deserialize, Serialize};

/// How the subject of a record is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subjects {
    /// Every record is a subject of its own.
    #[default]
    Records,
    /// The MIT-BIH Arrhythmia Database: 48 records of 47 subjects; 201 and 202 are one man's.
    Mitbih,
}

impl Subjects {
    /// The subject of the record called `record`.
    ///
    /// **Source** the database's own directory: records 201 and 202 came from the same subject
    /// (Moody and Mark, IEEE Eng in Med and Biol 20 (2001) 45).
    ///
    /// # Example
    /// ```
    /// use sequela_data::load::Subjects;
    /// assert_eq!(Subjects::Mitbih.of("201"), Subjects::Mitbih.of("202"));
    /// assert_ne!(Subjects::Records.of("201"), Subjects::Records.of("202"));
    /// ```
    pub fn of(self, record: &str) -> SubjectId {
        let same = match self {
            Self::Records => None,
            Self::Mitbih => SHARED.iter().find(|(other, _)| *other == record),
        };
        SubjectId::new(same.map_or(record, |(_, subject)| *subject))
    }
}

/// Records that are not their own subject, and whose they are.
const SHARED: [(&str, &str); 1] = [("202", "201")];
