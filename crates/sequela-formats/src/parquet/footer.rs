//! The end of a Parquet file: which columns there are and where their pieces lie.

use super::broken::Broken;
use super::thrift::{Kind, Wire};
use sequela_core::Limits;

/// What a file says of itself.
#[derive(Debug)]
pub(super) struct Footer {
    /// The leaves of the schema, in the order of the pieces of each row group.
    pub(super) columns: Vec<Column>,
    /// Rows of each row group.
    pub(super) groups: Vec<u64>,
    /// The pieces: those of the first row group, then those of the second ...
    pub(super) chunks: Vec<Chunk>,
}

/// A leaf of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) physical: Physical,
    /// How its cells are understood.
    pub(super) meaning: Meaning,
    /// Whether cells may be missing.
    pub(super) optional: bool,
}

/// How cells are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Physical {
    Boolean,
    Int32,
    Int64,
    /// Nanoseconds of the day, then the Julian day: how older programs write times.
    Int96,
    Float,
    Double,
    Bytes,
    /// So many bytes each.
    Fixed(u32),
}

/// What cells are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// True or false.
    Flag,
    /// Whole numbers.
    Integer,
    /// Whole numbers without a sign.
    Unsigned,
    /// Whole numbers, to be divided by ten to this power.
    Decimal(u8),
    /// Numbers.
    Number,
    /// Text.
    Text,
    /// Instants, so many to the second.
    Instant(u32),
    /// Days.
    Date,
    /// Something that is not read.
    Other(&'static str),
}

/// The piece of one column in one row group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) codec: Codec,
}

/// How pages are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Snappy,
    Gzip,
    Zstd,
    /// One that is not read here.
    Other,
}

impl Footer {
    /// Understands the footer of a file of `size` bytes, whose pieces end before `end`.
    pub(super) fn parse(bytes: &[u8], end: u64, limits: &Limits) -> Result<Self, Broken> {
        let mut columns = None;
        let mut groups = Vec::new();
        let mut chunks = Vec::new();
        let mut rows = None;
        let mut wire = Wire::new(bytes);
        wire.fields(&mut |wire, id, kind| {
            match (id, kind) {
                (2, Kind::List) => columns = Some(schema(wire, limits)?),
                (3, Kind::Integer) => rows = Some(wire.count()?),
                (4, Kind::List) => {
                    let leaves = columns.as_ref().map_or(0, Vec::len);
                    row_groups(wire, leaves, &mut groups, &mut chunks)?;
                }
                (8, _) => return Err(ENCRYPTED),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let (Some(columns), Some(rows)) = (columns, rows) else {
            return Err(Broken::Malformed("the footer has no schema or no number of rows"));
        };
        let total = groups.iter().try_fold(0_u64, |sum, rows| sum.checked_add(*rows));
        if total != Some(rows) {
            return Err(Broken::Malformed("the row groups have not the rows of the file"));
        }
        // A run of equal cells takes next to nothing, but not this little.
        let most = end.saturating_mul(1024).saturating_add(1 << 19);
        if rows > most {
            return Err(Broken::Malformed("there are more rows than a file of this size can hold"));
        }
        let mut stored = 0_u64;
        for chunk in &chunks {
            let beyond = chunk.start.checked_add(chunk.length).is_none_or(|last| last > end);
            if chunk.start < 4 || beyond {
                return Err(Broken::Malformed("a column lies outside the file"));
            }
            stored = stored.saturating_add(chunk.length);
        }
        if stored > end {
            return Err(Broken::Malformed("columns lie over each other"));
        }
        Ok(Self { columns, groups, chunks })
    }
}

/// An element of the schema as it is stored.
#[derive(Debug, Default)]
struct Element<'a> {
    physical: Option<i64>,
    length: u64,
    repetition: i64,
    name: &'a [u8],
    children: u64,
    converted: Option<i64>,
    scale: i64,
    logical: Option<Meaning>,
}

/// The leaves of the schema, which is a list of elements, each before its children.
fn schema(wire: &mut Wire<'_>, limits: &Limits) -> Result<Vec<Column>, Broken> {
    let (count, _) = wire.list()?;
    let mut columns = Vec::new();
    // How many children are still to come at each depth; the first is the root's.
    let mut open: Vec<u64> = Vec::new();
    for at in 0..count {
        let element = element(wire)?;
        if at == 0 {
            open.push(element.children);
            continue;
        }
        while open.last() == Some(&0) {
            open.pop();
        }
        let depth = open.len();
        match open.last_mut() {
            Some(left) => *left -= 1,
            None => return Err(Broken::Malformed("the schema has more parts than it says")),
        }
        if element.children > 0 {
            if depth >= DEPTH {
                return Err(Broken::Unsupported(
                    "the schema has lists or structures over 32 deep",
                    "write flat columns",
                ));
            }
            // The group itself is no column, but its name says what its leaves belong to.
            open.push(element.children);
            continue;
        }
        if columns.len() as u64 >= limits.channels {
            return Err(Broken::Limit("the number of columns", limits.channels));
        }
        let mut column = leaf(&element)?;
        if depth > 1 || element.repetition == 2 {
            column.meaning = Meaning::Other("lists or structures");
        }
        columns.push(column);
    }
    if open.iter().any(|left| *left > 0) {
        return Err(Broken::Malformed("the schema has fewer parts than it says"));
    }
    Ok(columns)
}

fn element<'a>(wire: &mut Wire<'a>) -> Result<Element<'a>, Broken> {
    let mut element = Element::default();
    wire.fields(&mut |wire, id, kind| {
        match (id, kind) {
            (1, Kind::Integer) => element.physical = Some(wire.integer()?),
            (2, Kind::Integer) => element.length = wire.count()?,
            (3, Kind::Integer) => element.repetition = wire.integer()?,
            (4, Kind::Bytes) => element.name = wire.bytes()?,
            (5, Kind::Integer) => element.children = wire.count()?,
            (6, Kind::Integer) => element.converted = Some(wire.integer()?),
            (7, Kind::Integer) => element.scale = wire.integer()?,
            (10, Kind::Struct) => element.logical = logical(wire)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(element)
}

/// The annotation of a leaf: a structure with one field, whose number says which it is.
fn logical(wire: &mut Wire<'_>) -> Result<Option<Meaning>, Broken> {
    let mut found = None;
    wire.fields(&mut |wire, id, kind| {
        let mut inner = Inner::default();
        if kind == Kind::Struct {
            inner.read(wire)?;
        }
        found = match id {
            1 | 4 | 12 => Some(Meaning::Text),
            5 => Some(Meaning::Decimal(u8::try_from(inner.scale).unwrap_or(u8::MAX))),
            6 => Some(Meaning::Date),
            7 => Some(Meaning::Other("times of the day")),
            8 => Some(match inner.unit {
                1 => Meaning::Instant(1_000),
                2 => Meaning::Instant(1_000_000),
                3 => Meaning::Instant(1_000_000_000),
                _ => Meaning::Other("instants of an unknown unit"),
            }),
            10 if inner.unsigned => Some(Meaning::Unsigned),
            10 => Some(Meaning::Integer),
            13 | 14 => Some(Meaning::Other("bytes")),
            15 => Some(Meaning::Other("numbers of 16 bits")),
            _ => None,
        };
        Ok(kind == Kind::Struct)
    })?;
    Ok(found)
}

/// What stands in an annotation, whichever it is.
#[derive(Debug, Default)]
struct Inner {
    scale: i64,
    unit: i16,
    unsigned: bool,
}

impl Inner {
    fn read(&mut self, wire: &mut Wire<'_>) -> Result<(), Broken> {
        wire.fields(&mut |wire, id, kind| {
            match (id, kind) {
                (1, Kind::Integer) => self.scale = wire.integer()?,
                (2, Kind::False) => self.unsigned = true,
                (2, Kind::Struct) => {
                    wire.fields(&mut |_, id, _| {
                        self.unit = id;
                        Ok(false)
                    })?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })
    }
}

fn leaf(element: &Element<'_>) -> Result<Column, Broken> {
    let physical = match element.physical {
        Some(0) => Physical::Boolean,
        Some(1) => Physical::Int32,
        Some(2) => Physical::Int64,
        Some(3) => Physical::Int96,
        Some(4) => Physical::Float,
        Some(5) => Physical::Double,
        Some(6) => Physical::Bytes,
        Some(7) => Physical::Fixed(u32::try_from(element.length).unwrap_or(u32::MAX)),
        _ => return Err(Broken::Malformed("a column has no known type")),
    };
    let scale = u8::try_from(element.scale).unwrap_or(u8::MAX);
    let converted = element.converted.and_then(|word| match word {
        0 | 4 | 19 => Some(Meaning::Text),
        5 => Some(Meaning::Decimal(scale)),
        6 => Some(Meaning::Date),
        7 | 8 => Some(Meaning::Other("times of the day")),
        9 => Some(Meaning::Instant(1_000)),
        10 => Some(Meaning::Instant(1_000_000)),
        11..=14 => Some(Meaning::Unsigned),
        20 | 21 => Some(Meaning::Other("bytes or intervals")),
        _ => None,
    });
    let annotated = element.logical.or(converted);
    let meaning = match (physical, annotated) {
        (_, Some(other @ Meaning::Other(_))) => other,
        (Physical::Boolean, _) => Meaning::Flag,
        (Physical::Float | Physical::Double, _) => Meaning::Number,
        (Physical::Int96, _) => Meaning::Instant(1_000_000_000),
        (Physical::Bytes, None | Some(Meaning::Text)) => Meaning::Text,
        (Physical::Int32 | Physical::Int64, Some(Meaning::Decimal(scale))) if scale <= 18 => {
            Meaning::Decimal(scale)
        }
        (Physical::Int32, Some(Meaning::Date)) => Meaning::Date,
        (Physical::Int64, Some(meaning @ Meaning::Instant(_))) => meaning,
        (Physical::Int32 | Physical::Int64, Some(Meaning::Unsigned)) => Meaning::Unsigned,
        (Physical::Int32 | Physical::Int64, None | Some(Meaning::Integer)) => Meaning::Integer,
        (Physical::Bytes | Physical::Fixed(_), Some(Meaning::Decimal(_))) => {
            Meaning::Other("decimals of bytes")
        }
        (Physical::Fixed(_), _) => Meaning::Other("bytes of fixed length"),
        _ => Meaning::Other("an annotation that does not fit"),
    };
    let name = String::from_utf8_lossy(element.name).into_owned();
    Ok(Column { name, physical, meaning, optional: element.repetition == 1 })
}

fn row_groups(
    wire: &mut Wire<'_>,
    leaves: usize,
    groups: &mut Vec<u64>,
    chunks: &mut Vec<Chunk>,
) -> Result<(), Broken> {
    let (count, _) = wire.list()?;
    for _ in 0..count {
        let mut rows = None;
        let before = chunks.len();
        wire.fields(&mut |wire, id, kind| {
            match (id, kind) {
                (1, Kind::List) => {
                    let (count, _) = wire.list()?;
                    if count != leaves {
                        return Err(Broken::Malformed(
                            "a row group has not the columns of the schema",
                        ));
                    }
                    for _ in 0..count {
                        chunks.push(chunk(wire)?);
                    }
                }
                (3, Kind::Integer) => rows = Some(wire.count()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        if chunks.len() - before != leaves {
            return Err(Broken::Malformed("a row group has not the columns of the schema"));
        }
        groups.push(rows.ok_or(Broken::Malformed("a row group has no number of rows"))?);
        if chunks.len() as u64 > MOST_CHUNKS {
            return Err(Broken::Unsupported(
                "columns times row groups are over a million",
                "write larger row groups",
            ));
        }
    }
    Ok(())
}

fn chunk(wire: &mut Wire<'_>) -> Result<Chunk, Broken> {
    let mut found = None;
    wire.fields(&mut |wire, id, kind| {
        match (id, kind) {
            (1, Kind::Bytes) => {
                if !wire.bytes()?.is_empty() {
                    return Err(Broken::Unsupported(
                        "its columns lie in other files",
                        "write it as one file",
                    ));
                }
            }
            (3, Kind::Struct) => found = Some(chunk_metadata(wire)?),
            (8, _) => return Err(ENCRYPTED),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    found.ok_or(Broken::Malformed("a column has no metadata"))
}

fn chunk_metadata(wire: &mut Wire<'_>) -> Result<Chunk, Broken> {
    let (mut codec, mut length, mut data, mut dictionary) = (None, None, None, 0);
    wire.fields(&mut |wire, id, kind| {
        match (id, kind) {
            (4, Kind::Integer) => codec = Some(wire.integer()?),
            (7, Kind::Integer) => length = Some(wire.count()?),
            (9, Kind::Integer) => data = Some(wire.count()?),
            (11, Kind::Integer) => dictionary = wire.count()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let (Some(codec), Some(length), Some(data)) = (codec, length, data) else {
        return Err(Broken::Malformed("the metadata of a column are incomplete"));
    };
    let codec = match codec {
        0 => Codec::None,
        1 => Codec::Snappy,
        2 => Codec::Gzip,
        6 => Codec::Zstd,
        _ => Codec::Other,
    };
    // Some writers give 0 for no dictionary.
    let start = if dictionary > 0 { dictionary.min(data) } else { data };
    Ok(Chunk { start, length, codec })
}

/// Groups within groups of a schema at most.
const DEPTH: usize = 32;
const MOST_CHUNKS: u64 = 1 << 20;
const ENCRYPTED: Broken =
    Broken::Unsupported("the file is encrypted", "write it without encryption");
