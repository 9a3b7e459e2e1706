//! safetensors: named arrays and a map of texts in one file, with a digest over all of it.
//!
//! ```text
//! u64 header length | {"__metadata__":{"sha256":"...", ...},"NAME":{"dtype":"F32",...},...} | data
//! ```
//!
//! The writer is canonical: the same content gives the same bytes. The digest is SHA-256 over
//! the whole file with the digest's own 64 characters set to `0`. The reader also takes files
//! that other programs wrote; those have no digest.
//!
//! **Source** the safetensors format 0.6, <https://github.com/huggingface/safetensors>.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use sequela_core::{Limits, Location};
use sequela_formats::{bounded, durable};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::study::hex;

/// The numbers of one array.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Numbers {
    /// `F32`.
    F32(Vec<f32>),
    /// `F64`.
    F64(Vec<f64>),
    /// `I32`.
    I32(Vec<i32>),
    /// `I64`.
    I64(Vec<i64>),
}

impl Numbers {
    fn name(&self) -> &'static str {
        match self {
            Self::F32(_) => "F32",
            Self::F64(_) => "F64",
            Self::I32(_) => "I32",
            Self::I64(_) => "I64",
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::F32(numbers) => numbers.len(),
            Self::F64(numbers) => numbers.len(),
            Self::I32(numbers) => numbers.len(),
            Self::I64(numbers) => numbers.len(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::F32(_) | Self::I32(_) => 4,
            Self::F64(_) | Self::I64(_) => 8,
        }
    }

    fn append(&self, out: &mut Vec<u8>) {
        match self {
            Self::F32(numbers) => numbers.iter().for_each(|n| out.extend(n.to_le_bytes())),
            Self::F64(numbers) => numbers.iter().for_each(|n| out.extend(n.to_le_bytes())),
            Self::I32(numbers) => numbers.iter().for_each(|n| out.extend(n.to_le_bytes())),
            Self::I64(numbers) => numbers.iter().for_each(|n| out.extend(n.to_le_bytes())),
        }
    }

    fn read(dtype: &str, bytes: &[u8]) -> Option<Self> {
        fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
            bytes.as_chunks::<N>().0.iter().copied()
        }
        Some(match dtype {
            "F32" => Self::F32(words(bytes).map(f32::from_le_bytes).collect()),
            "F64" => Self::F64(words(bytes).map(f64::from_le_bytes).collect()),
            "I32" => Self::I32(words(bytes).map(i32::from_le_bytes).collect()),
            "I64" => Self::I64(words(bytes).map(i64::from_le_bytes).collect()),
            _ => return None,
        })
    }
}

/// One array: sizes, outermost first, and numbers in row order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Sizes.
    pub shape: Vec<usize>,
    /// Numbers.
    pub numbers: Numbers,
}

impl Array {
    /// A list of `F32`.
    pub fn flat(values: &[f32]) -> Self {
        Self { shape: vec![values.len()], numbers: Numbers::F32(values.to_vec()) }
    }

    /// A list of `F64`.
    pub fn flat_f64(values: &[f64]) -> Self {
        Self { shape: vec![values.len()], numbers: Numbers::F64(values.to_vec()) }
    }
}

/// Texts and arrays of a file.
///
/// # Example
/// ```
/// use sequela_train::{Array, TensorFile};
/// let mut file = TensorFile::default();
/// file.texts.insert("kind".into(), "example".into());
/// file.arrays.insert("a".into(), Array::flat(&[1.0, 2.0]));
/// let bytes = file.to_bytes();
/// assert_eq!(TensorFile::parse(&bytes, "a.safetensors".as_ref())?, file);
/// let mut flipped = bytes;
/// *flipped.last_mut().unwrap() ^= 1;
/// assert!(TensorFile::parse(&flipped, "a.safetensors".as_ref()).is_err());
/// # Ok::<(), sequela_train::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TensorFile {
    /// The metadata, without the digest.
    pub texts: BTreeMap<String, String>,
    /// The arrays.
    pub arrays: BTreeMap<String, Array>,
}

impl TensorFile {
    /// The file as bytes, digest included.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut header = String::from(HEAD);
        header.push_str(&"0".repeat(64));
        header.push('"');
        for (key, text) in &self.texts {
            let _ = write!(header, ",{}:{}", quoted(key), quoted(text));
        }
        header.push('}');
        let mut offset = 0;
        for (name, array) in self.in_file_order() {
            let end = offset + array.numbers.len() * array.numbers.size();
            let shape = array.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
            let _ = write!(
                header,
                ",{}:{{\"dtype\":\"{}\",\"shape\":[{shape}],\"data_offsets\":[{offset},{end}]}}",
                quoted(name),
                array.numbers.name(),
            );
            offset = end;
        }
        header.push('}');
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        let mut bytes = Vec::with_capacity(8 + header.len() + offset);
        bytes.extend((header.len() as u64).to_le_bytes());
        bytes.extend(header.as_bytes());
        for (_, array) in self.in_file_order() {
            array.numbers.append(&mut bytes);
        }
        let digest = hex(&Sha256::digest(&bytes));
        bytes[DIGEST_AT..DIGEST_AT + 64].copy_from_slice(digest.as_bytes());
        bytes
    }

    /// The digest that is written in bytes that [`TensorFile::to_bytes`] gave.
    pub(crate) fn digest(bytes: &[u8]) -> &str {
        let digest = bytes.get(DIGEST_AT..DIGEST_AT + 64).unwrap_or_default();
        std::str::from_utf8(digest).unwrap_or_default()
    }

    /// Wide numbers first, so that all are aligned; by name within.
    fn in_file_order(&self) -> impl Iterator<Item = (&String, &Array)> {
        let of_size = |size| self.arrays.iter().filter(move |(_, a)| a.numbers.size() == size);
        of_size(8).chain(of_size(4))
    }

    /// Writes the file, wholly or not at all.
    ///
    /// # Errors
    /// [`Error::Format`] where writing fails; an earlier file is whole.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        Ok(durable::write_atomic(path, &self.to_bytes())?)
    }

    /// Reads a file that this program wrote, and checks its digest.
    ///
    /// # Errors
    /// As [`TensorFile::parse`], and what reading gives.
    pub fn load(path: &Path, limits: &Limits) -> Result<Self, Error> {
        Self::parse(&bounded::read(path, limits)?, path)
    }

    /// As [`TensorFile::load`], from bytes.
    ///
    /// # Errors
    /// [`Error::Integrity`] where the file is cut short, has no digest or another than it says,
    /// or breaks the format; the message names the place.
    pub fn parse(bytes: &[u8], name: &Path) -> Result<Self, Error> {
        let found = bytes.get(DIGEST_AT..DIGEST_AT + 64);
        let (Some(found), true) = (found, bytes.get(8..DIGEST_AT) == Some(HEAD.as_bytes())) else {
            // A file that is cut short or foreign: the format's own check says which.
            Self::parse_foreign(bytes, name)?;
            return Err(Error::integrity(
                Location::file(name),
                "the file has no digest where sequela writes one",
            ));
        };
        // The format first: it can tell a cut file from a changed one.
        let file = Self::parse_foreign(bytes, name)?;
        let mut digest = Sha256::new();
        digest.update(&bytes[..DIGEST_AT]);
        digest.update([b'0'; 64]);
        digest.update(&bytes[DIGEST_AT + 64..]);
        if hex(&digest.finalize()).as_bytes() != found {
            return Err(Error::integrity(
                Location::file(name).field("sha256"),
                "the file was changed: its SHA-256 is not the one that is written in it",
            ));
        }
        Ok(file)
    }

    /// Reads any safetensors file of numbers, without a digest check.
    ///
    /// # Errors
    /// [`Error::Integrity`] where the file breaks the format.
    pub fn parse_foreign(bytes: &[u8], name: &Path) -> Result<Self, Error> {
        let refuse = |byte: usize, what: &str| {
            Error::integrity(Location::file(name).byte(byte as u64), what)
        };
        let length: [u8; 8] = bytes
            .get(..8)
            .and_then(|head| head.try_into().ok())
            .ok_or_else(|| refuse(0, "the file is cut short: it has no header length"))?;
        let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
        let header = length.checked_add(8).and_then(|end| bytes.get(8..end)).ok_or_else(|| {
            refuse(8, "the file is cut short inside its header, or is no safetensors file")
        })?;
        let data = &bytes[8 + length..];
        let header: Value = serde_json::from_slice(header)
            .map_err(|error| refuse(8 + error.column(), "the header is not valid JSON"))?;
        let Value::Object(entries) = header else {
            return Err(refuse(8, "the header is not a map"));
        };
        let mut file = Self::default();
        let mut covered = Vec::new();
        for (key, entry) in &entries {
            if key == "__metadata__" {
                file.texts = texts(entry).ok_or_else(|| refuse(8, "the metadata is not text"))?;
                continue;
            }
            let place = || Location::file(name).field(key.as_str());
            let (range, array) =
                array(entry, data).map_err(|what| Error::integrity(place(), what))?;
            covered.push(range);
            file.arrays.insert(key.clone(), array);
        }
        covered.sort_unstable();
        let mut end = 0;
        for (start, stop) in covered {
            if start != end {
                return Err(refuse(8 + length + end, "the arrays leave a hole or overlap"));
            }
            end = stop;
        }
        if end != data.len() {
            return Err(refuse(8 + length + end, "there are bytes after the last array"));
        }
        Ok(file)
    }

    /// The `F32` array called `name`.
    pub(crate) fn f32(&self, name: &str, file: &Path) -> Result<&[f32], Error> {
        match self.arrays.get(name).map(|array| &array.numbers) {
            Some(Numbers::F32(values)) => Ok(values),
            _ => Err(Error::integrity(
                Location::file(file).field(name),
                "the array is missing or not F32",
            )),
        }
    }

    /// The text called `name`.
    pub(crate) fn text(&self, name: &str, file: &Path) -> Result<&str, Error> {
        self.texts.get(name).map(String::as_str).ok_or_else(|| {
            Error::integrity(Location::file(file).field(name), "the entry is missing")
        })
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

fn texts(entry: &Value) -> Option<BTreeMap<String, String>> {
    let map = entry.as_object()?;
    map.iter()
        .filter(|(key, _)| key.as_str() != "sha256")
        .map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// Byte range and content of one entry.
fn array(entry: &Value, data: &[u8]) -> Result<((usize, usize), Array), &'static str> {
    let sizes = |key: &str| -> Option<Vec<usize>> {
        let list = entry.get(key)?.as_array()?;
        list.iter().map(|n| n.as_u64().and_then(|n| usize::try_from(n).ok())).collect()
    };
    let shape = sizes("shape").ok_or("its shape is not a list of sizes")?;
    let offsets = sizes("data_offsets").ok_or("its offsets are not sizes")?;
    let &[start, end] = offsets.as_slice() else { return Err("it has not two offsets") };
    let bytes = data.get(start..end).ok_or("the file is cut short: the array lies past its end")?;
    let dtype = entry.get("dtype").and_then(Value::as_str).unwrap_or_default();
    let numbers =
        Numbers::read(dtype, bytes).ok_or("its numbers are of a kind that is not read")?;
    let count = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    if count.and_then(|count| count.checked_mul(numbers.size())) != Some(bytes.len()) {
        return Err("its shape and its bytes disagree");
    }
    Ok(((start, end), Array { shape, numbers }))
}

/// What every file of ours begins with after the header length.
const HEAD: &str = "{\"__metadata__\":{\"sha256\":\"";
/// Where the digest begins.
const DIGEST_AT: usize = 8 + HEAD.len();
