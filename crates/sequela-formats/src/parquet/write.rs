//! Writing a table as Parquet, so that others read it.
//!
//! Numbers are plain, texts have a dictionary, pages are packed with snappy, cells may be missing
//! in every column. The same table always gives the same bytes.

use std::collections::BTreeMap;

use super::page::{PLAIN, RLE, RLE_DICTIONARY};

/// The cells of a column that is to be written.
#[derive(Debug, Clone)]
pub(crate) enum ColumnData<'a> {
    /// Whole numbers.
    Integers(Vec<Option<i64>>),
    /// Numbers of 32 bits.
    Numbers(Vec<Option<f32>>),
    /// Truth values.
    Flags(Vec<Option<bool>>),
    /// Microseconds since 1970, in no time zone.
    Instants(Vec<Option<i64>>),
    /// Texts.
    Texts(Vec<Option<&'a str>>),
}

impl ColumnData<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Integers(cells) | Self::Instants(cells) => cells.len(),
            Self::Numbers(cells) => cells.len(),
            Self::Flags(cells) => cells.len(),
            Self::Texts(cells) => cells.len(),
        }
    }

    /// Number of the physical type in the format.
    fn physical(&self) -> i64 {
        match self {
            Self::Flags(_) => 0,
            Self::Integers(_) | Self::Instants(_) => 2,
            Self::Numbers(_) => 4,
            Self::Texts(_) => 6,
        }
    }
}

/// The bytes of a Parquet file with these columns, which have equally many cells.
pub(crate) fn write_table(columns: &[(&str, ColumnData<'_>)]) -> Vec<u8> {
    let rows = columns.iter().map(|(_, data)| data.len()).max().unwrap_or(0);
    let mut file = b"PAR1".to_vec();
    let mut groups = Pen::default();
    let starts: Vec<usize> = (0..rows).step_by(ROWS).collect();
    groups.list(4, STRUCT, starts.len());
    for start in starts {
        let end = rows.min(start + ROWS);
        let before = file.len();
        groups.open();
        groups.list(1, STRUCT, columns.len());
        for (name, data) in columns {
            let chunk = push_chunk(&mut file, data, start..end);
            groups.open();
            groups.integer(2, chunk.start);
            groups.structure(3);
            groups.small(1, data.physical());
            groups.list(2, SMALL, 3);
            for encoding in [PLAIN, RLE, RLE_DICTIONARY] {
                groups.zigzag(encoding);
            }
            groups.list(3, BYTES, 1);
            groups.text(name.as_bytes());
            groups.small(4, SNAPPY);
            groups.integer(5, whole(end - start));
            groups.integer(6, chunk.unpacked);
            groups.integer(7, whole(file.len()) - chunk.start);
            groups.integer(9, chunk.data);
            if chunk.data > chunk.start {
                groups.integer(11, chunk.start);
            }
            groups.close();
            groups.close();
        }
        groups.integer(2, whole(file.len() - before));
        groups.integer(3, whole(end - start));
        groups.close();
    }
    let mut footer = Pen::default();
    footer.small(1, 2);
    footer.list(2, STRUCT, columns.len() + 1);
    footer.open();
    footer.bytes(4, b"schema");
    footer.small(5, whole(columns.len()));
    footer.close();
    for (name, data) in columns {
        push_element(&mut footer, name, data);
    }
    footer.integer(3, whole(rows));
    footer.append(4, &groups);
    footer.bytes(6, b"sequela");
    footer.close();
    file.extend_from_slice(&footer.bytes);
    file.extend_from_slice(&u32::try_from(footer.bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    file.extend_from_slice(b"PAR1");
    file
}

/// A leaf of the schema.
fn push_element(pen: &mut Pen, name: &str, data: &ColumnData<'_>) {
    pen.open();
    pen.small(1, data.physical());
    pen.small(3, 1);
    pen.bytes(4, name.as_bytes());
    match data {
        ColumnData::Texts(_) => {
            pen.small(6, 0);
            pen.structure(10);
            pen.structure(1);
            pen.close();
            pen.close();
        }
        ColumnData::Instants(_) => {
            pen.structure(10);
            pen.structure(8);
            pen.head(1, FALSE);
            pen.structure(2);
            pen.structure(2);
            pen.close();
            pen.close();
            pen.close();
            pen.close();
        }
        _ => {}
    }
    pen.close();
}

/// Where a piece of a column was written.
struct Written {
    start: i64,
    /// Where its first page of cells is, behind the dictionary.
    data: i64,
    unpacked: i64,
}

fn push_chunk(file: &mut Vec<u8>, data: &ColumnData<'_>, rows: std::ops::Range<usize>) -> Written {
    let start = whole(file.len());
    let mut written = Written { start, data: start, unpacked: 0 };
    let cells = rows.len();
    let mut page = Vec::new();
    let mut encoding = PLAIN;
    match data {
        ColumnData::Integers(list) | ColumnData::Instants(list) => {
            let list = list.get(rows).unwrap_or_default();
            push_levels(&mut page, list.iter().map(Option::is_some));
            page.extend(list.iter().flatten().flat_map(|value| value.to_le_bytes()));
        }
        ColumnData::Numbers(list) => {
            let list = list.get(rows).unwrap_or_default();
            push_levels(&mut page, list.iter().map(Option::is_some));
            page.extend(list.iter().flatten().flat_map(|value| value.to_le_bytes()));
        }
        ColumnData::Flags(list) => {
            let list = list.get(rows).unwrap_or_default();
            push_levels(&mut page, list.iter().map(Option::is_some));
            push_bits(&mut page, list.iter().flatten().map(|flag| u64::from(*flag)), 1);
        }
        ColumnData::Texts(list) => {
            let list = list.get(rows).unwrap_or_default();
            let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
            let mut dictionary = Vec::new();
            let mut values = Vec::new();
            for text in list.iter().flatten() {
                let next = numbers.len() as u64;
                values.push(*numbers.entry(text).or_insert_with(|| {
                    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                    dictionary.extend_from_slice(&length.to_le_bytes());
                    dictionary.extend_from_slice(text.as_bytes());
                    next
                }));
            }
            written.unpacked += push_page(file, &dictionary, numbers.len(), None);
            written.data = whole(file.len());
            push_levels(&mut page, list.iter().map(Option::is_some));
            let width = (64 - (numbers.len() as u64).saturating_sub(1).leading_zeros()).max(1);
            page.push(u8::try_from(width).unwrap_or(64));
            push_varint(&mut page, (values.len().div_ceil(8) as u64) << 1 | 1);
            push_bits(&mut page, values.into_iter(), width);
            encoding = RLE_DICTIONARY;
        }
    }
    written.unpacked += push_page(file, &page, cells, Some(encoding));
    written
}

/// Appends a page with its header and gives its size when unpacked; one without an encoding is a
/// dictionary.
fn push_page(file: &mut Vec<u8>, page: &[u8], cells: usize, encoding: Option<i64>) -> i64 {
    // Its only fault is more than 4 GiB, which no row group here has.
    let packed = snap::raw::Encoder::new().compress_vec(page).unwrap_or_default();
    let mut pen = Pen::default();
    pen.small(1, if encoding.is_some() { 0 } else { 2 });
    pen.small(2, whole(page.len()));
    pen.small(3, whole(packed.len()));
    pen.structure(if encoding.is_some() { 5 } else { 7 });
    pen.small(1, whole(cells));
    pen.small(2, encoding.unwrap_or(PLAIN));
    if encoding.is_some() {
        pen.small(3, RLE);
        pen.small(4, RLE);
    }
    pen.close();
    pen.close();
    file.extend_from_slice(&pen.bytes);
    file.extend_from_slice(&packed);
    whole(page.len() + pen.bytes.len())
}

/// Appends which cells are there: their length, then packed bits.
fn push_levels(page: &mut Vec<u8>, present: impl ExactSizeIterator<Item = bool>) {
    let mut runs = Vec::new();
    push_varint(&mut runs, (present.len().div_ceil(8) as u64) << 1 | 1);
    push_bits(&mut runs, present.map(u64::from), 1);
    page.extend_from_slice(&u32::try_from(runs.len()).unwrap_or(u32::MAX).to_le_bytes());
    page.extend_from_slice(&runs);
}

/// Appends numbers of `width` bits, and zeros up to a multiple of eight numbers.
fn push_bits(page: &mut Vec<u8>, numbers: impl Iterator<Item = u64>, width: u32) {
    let (mut word, mut filled, mut count) = (0_u64, 0_u32, 0_u64);
    let mut push = |number: u64| {
        word |= number << filled;
        filled += width;
        while filled >= 8 {
            page.push(u8::try_from(word & 0xFF).unwrap_or(0));
            word >>= 8;
            filled -= 8;
        }
    };
    for number in numbers {
        push(number);
        count += 1;
    }
    for _ in 0..(8 - count % 8) % 8 {
        push(0);
    }
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7F).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap_or(0));
}

fn whole(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Writes structures of Thrift's compact protocol.
#[derive(Debug)]
struct Pen {
    bytes: Vec<u8>,
    /// The last field of each structure that is open.
    last: Vec<i16>,
}

impl Default for Pen {
    fn default() -> Self {
        Self { bytes: Vec::new(), last: vec![0] }
    }
}

impl Pen {
    fn head(&mut self, id: i16, kind: u8) {
        let last = self.last.last().copied().unwrap_or(0);
        // Fields are written in their order and never more than fifteen apart.
        let step = u8::try_from(id - last).unwrap_or(0);
        self.bytes.push((step << 4) | kind);
        if let Some(last) = self.last.last_mut() {
            *last = id;
        }
    }

    fn integer(&mut self, id: i16, value: i64) {
        self.head(id, INTEGER);
        self.zigzag(value);
    }

    /// A number that the format has as one of 32 bits.
    fn small(&mut self, id: i16, value: i64) {
        self.head(id, SMALL);
        self.zigzag(value);
    }

    fn zigzag(&mut self, value: i64) {
        push_varint(&mut self.bytes, ((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn bytes(&mut self, id: i16, text: &[u8]) {
        self.head(id, BYTES);
        self.text(text);
    }

    fn text(&mut self, text: &[u8]) {
        push_varint(&mut self.bytes, text.len() as u64);
        self.bytes.extend_from_slice(text);
    }

    fn list(&mut self, id: i16, kind: u8, count: usize) {
        self.head(id, LIST);
        match u8::try_from(count) {
            Ok(few) if few < 15 => self.bytes.push((few << 4) | kind),
            _ => {
                self.bytes.push(0xF0 | kind);
                push_varint(&mut self.bytes, count as u64);
            }
        }
    }

    fn structure(&mut self, id: i16) {
        self.head(id, STRUCT);
        self.open();
    }

    /// Begins a structure that is an element of a list.
    fn open(&mut self) {
        self.last.push(0);
    }

    fn close(&mut self) {
        self.last.pop();
        self.bytes.push(0);
    }

    /// Appends what another pen wrote as field `id`, which was its first.
    fn append(&mut self, id: i16, other: &Self) {
        let before = self.bytes.len();
        let last = self.last.last().copied().unwrap_or(0);
        self.bytes.extend_from_slice(&other.bytes);
        // Its head counts from no field, and here others came before.
        if let Some(head) = self.bytes.get_mut(before) {
            *head = (*head & 0xF) | (u8::try_from(id - last).unwrap_or(0) << 4);
        }
        if let Some(last) = self.last.last_mut() {
            *last = id;
        }
    }
}

const FALSE: u8 = 2;
const SMALL: u8 = 5;
const INTEGER: u8 = 6;
const BYTES: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;
const SNAPPY: i64 = 1;
/// Rows of a row group.
const ROWS: usize = 1 << 17;
