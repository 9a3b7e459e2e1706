//! The columns that the schemas of MEDS have.

use std::path::Path;
use std::sync::Arc;

use sequela_core::{Limits, Location};

use crate::Error;
use crate::csv::nearest;
use crate::parquet::{Batch, Batches, Data, File, Meaning};

/// A Parquet file whose columns are looked up by the names of a schema.
pub(super) struct SchemaFile {
    file: Arc<File>,
    names: Vec<String>,
    path: std::path::PathBuf,
}

impl SchemaFile {
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let file = Arc::new(File::open(path, limits)?);
        Ok(Self { names: file.names(), file, path: path.to_owned() })
    }

    /// The position of a column that has to be there.
    pub(super) fn required(&self, name: &str, kind: Kind) -> Result<usize, Error> {
        self.optional(name, kind)?.ok_or_else(|| Error::MissingColumn {
            location: Location::file(&self.path).field(name).into(),
            hint: nearest(name, &self.names),
        })
    }

    /// The position of a column that may be there.
    pub(super) fn optional(&self, name: &str, kind: Kind) -> Result<Option<usize>, Error> {
        let Some(at) = self.names.iter().position(|known| known == name) else { return Ok(None) };
        let meaning = self.file.meaning(at);
        let fits = match kind {
            Kind::Integer => meaning == Meaning::Integer,
            Kind::Instant => matches!(meaning, Meaning::Instant(_)),
            Kind::Number => meaning == Meaning::Number,
            Kind::Text => meaning == Meaning::Text,
            Kind::Flag => meaning == Meaning::Flag,
        };
        if fits {
            return Ok(Some(at));
        }
        Err(Error::malformed(
            Location::file(&self.path).field(name),
            format!("the column is not of {}, as the schema of MEDS has it", kind.words()),
            "cast it",
        ))
    }

    pub(super) fn read(&self, wanted: &[usize]) -> Result<Batches, Error> {
        self.file.read(wanted)
    }

    /// Rows for which memory may be taken before they are read.
    pub(super) fn expected_rows(&self) -> usize {
        self.file.expected_rows()
    }

    /// Microseconds of the instants of a column, from its own unit.
    pub(super) fn microseconds(&self, column: usize) -> impl Fn(i64) -> i64 + use<> {
        let second = match self.file.meaning(column) {
            Meaning::Instant(second) => i64::from(second),
            _ => 1_000_000,
        };
        let (up, down) = ((1_000_000 / second).max(1), (second / 1_000_000).max(1));
        // A division takes as long as all else, and most files have microseconds.
        move |count| if down == 1 { count.saturating_mul(up) } else { count.div_euclid(down) }
    }

    /// The place of a row, from 0.
    pub(super) fn place(&self, row: u64, field: &str) -> Location {
        Location::file(&self.path).row(row + 1).field(field)
    }
}

/// The types of the schemas.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Integer,
    Instant,
    Number,
    Text,
    Flag,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Integer => "whole numbers (int64)",
            Self::Instant => "instants (timestamp[us])",
            Self::Number => "numbers (float32)",
            Self::Text => "texts",
            Self::Flag => "truth values",
        }
    }
}

/// The whole numbers of a batch.
pub(super) fn integers(batch: Option<&Batch>) -> &[i64] {
    match batch.map(|batch| &batch.data) {
        Some(Data::Integers(list)) => list,
        _ => &[],
    }
}

/// The numbers of a batch.
pub(super) fn numbers(batch: Option<&Batch>) -> &[f64] {
    match batch.map(|batch| &batch.data) {
        Some(Data::Numbers(list)) => list,
        _ => &[],
    }
}

/// The numbers of words of a batch.
pub(super) fn words(batch: Option<&Batch>) -> &[u32] {
    match batch.map(|batch| &batch.data) {
        Some(Data::Words(list)) => list,
        _ => &[],
    }
}
