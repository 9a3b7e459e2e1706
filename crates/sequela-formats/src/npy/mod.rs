//! `NumPy`'s `.npy`: one array of numbers.
//!
//! ```text
//! \x93NUMPY | major minor | header length (u16, or u32 from 2.0) | header ... \n | values
//! header: {'descr': '<f8', 'fortran_order': False, 'shape': (4684,), }
//! ```
//!
//! Reads arrays of one or two dimensions of `bool`, `int8..64`, `uint8..64`, `float16..64`,
//! either byte order, C or Fortran order. Python objects and structured types are refused:
//! nothing in a file is ever executed.
//!
//! **Source** `NumPy` enhancement proposal 1 and `numpy.lib.format`, versions 1.0, 2.0 and 3.0.
//!
//! # Example
//! ```
//! use sequela_core::Limits;
//! use sequela_formats::npy;
//! let bytes = npy::to_npy(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
//! let array = npy::parse_array(&bytes, "a.npy".as_ref(), &Limits::default())?;
//! assert_eq!((array.shape, array.values), (vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]));
//! # Ok::<(), sequela_formats::Error>(())
//! ```

mod header;

use std::path::Path;

use sequela_core::{Limits, Location};

use crate::{Error, bounded};
use header::{Header, Kind};

/// An array of numbers in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct NpyArray {
    /// One or two extents.
    pub shape: Vec<usize>,
    /// The values, last index fastest; NaN and infinities as they are in the file.
    pub values: Vec<f64>,
    /// `NumPy`'s name of the element type, e.g. `<i8`.
    pub element: String,
}

/// Reads an array from a file.
///
/// # Errors
/// As [`bounded::read`] and [`parse_array`].
pub fn read_array(path: &Path, limits: &Limits) -> Result<NpyArray, Error> {
    parse_array(&bounded::read(path, limits)?, path, limits)
}

/// Reads an array from bytes; `name` stands for the file in messages.
///
/// **Cost** linear in the bytes; memory of the values in f64.
///
/// # Errors
/// [`Error::Malformed`] where the header breaks the rules, the file does not hold exactly the
/// declared values, or a 64-bit integer has no exact f64; [`Error::Unsupported`] for other
/// element types and dimensions; [`Error::Limit`] over `steps` or `channels`.
pub fn parse_array(bytes: &[u8], name: &Path, limits: &Limits) -> Result<NpyArray, Error> {
    let location = Location::file(name);
    let (header, data) = Header::parse(bytes, &location)?;
    let (rows, columns) = match *header.shape.as_slice() {
        [rows] => (rows, 1),
        [rows, columns] => (rows, columns),
        _ => {
            return Err(Error::unsupported(
                location,
                format!("the array has {} dimensions", header.shape.len()),
                "save an array of one or two dimensions",
            ));
        }
    };
    check_extent(rows, limits.steps, "the number of rows", &location)?;
    check_extent(columns, limits.channels, "the number of columns", &location)?;
    // Both extents are under their limits, but their product must not wrap either.
    let wanted =
        rows.checked_mul(columns).and_then(|count| count.checked_mul(header.kind.bytes() as u64));
    if wanted != Some(data.len() as u64) {
        return Err(Error::malformed(
            location.byte((bytes.len() - data.len()) as u64),
            format!(
                "the header declares {rows} x {columns} values of {} bytes, but {} bytes follow",
                header.kind.bytes(),
                data.len()
            ),
            "the file may be cut short: fetch or save it again",
        ));
    }
    let values: Vec<f64> = data
        .chunks_exact(header.kind.bytes())
        .map(|chunk| header.kind.number(chunk, header.big_endian))
        .collect();
    if let Some(at) = values.iter().position(|value| header.kind.is_inexact(*value)) {
        return Err(Error::unsupported(
            location.field(format!("value {at}")),
            "the integer is over 2^53",
            "save the array as float64",
        ));
    }
    let values = if header.fortran_order { transposed(&values, rows, columns) } else { values };
    let shape = header.shape.iter().map(|&extent| usize::try_from(extent).unwrap_or(0)).collect();
    Ok(NpyArray { shape, values, element: header.element })
}

/// The bytes of a float64 array in C order, version 1.0 of the format.
///
/// # Panics
/// Never; a shape that does not fit `values` gives a file that readers refuse.
pub fn to_npy(shape: &[usize], values: &[f64]) -> Vec<u8> {
    let mut extents: Vec<String> = shape.iter().map(ToString::to_string).collect();
    if let [only] = extents.as_mut_slice() {
        only.push(',');
    }
    let mut header =
        format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}), }}", extents.join(", "));
    // Magic, version, length and header together fill a multiple of 64 bytes.
    let padding = (64 - (PREFIX + header.len() + 1) % 64) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap_or(u16::MAX);
    let mut bytes = header::MAGIC.to_vec();
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

impl Kind {
    /// The number that `chunk`, of [`Kind::bytes`] bytes, holds.
    fn number(self, chunk: &[u8], big_endian: bool) -> f64 {
        let mut raw = [0_u8; 8];
        for (index, &byte) in chunk.iter().enumerate() {
            let at = if big_endian { chunk.len() - 1 - index } else { index };
            if let Some(slot) = raw.get_mut(at) {
                *slot = byte;
            }
        }
        let word = u64::from_le_bytes(raw);
        let [b0, b1, b2, b3, ..] = raw;
        match self {
            Self::Bool => f64::from(u8::from(b0 != 0)),
            Self::Unsigned(_) => word as f64,
            Self::Signed(1) => f64::from(i8::from_le_bytes([b0])),
            Self::Signed(2) => f64::from(i16::from_le_bytes([b0, b1])),
            Self::Signed(4) => f64::from(i32::from_le_bytes([b0, b1, b2, b3])),
            Self::Signed(_) => i64::from_le_bytes(raw) as f64,
            Self::Float(2) => half(u16::from_le_bytes([b0, b1])),
            Self::Float(4) => f64::from(f32::from_le_bytes([b0, b1, b2, b3])),
            Self::Float(_) => f64::from_bits(word),
        }
    }

    /// Whether `value` came from an integer that f64 may have rounded.
    fn is_inexact(self, value: f64) -> bool {
        matches!(self, Self::Unsigned(8) | Self::Signed(8)) && value.abs() > 9_007_199_254_740_992.0
    }
}

fn check_extent(extent: u64, limit: u64, what: &str, location: &Location) -> Result<(), Error> {
    if extent > limit {
        let location = location.clone().into();
        return Err(Error::Limit { location, what: what.to_owned(), limit });
    }
    Ok(())
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from((bits >> 10) & 31);
    let fraction = f64::from(bits & 1023);
    sign * match exponent {
        0 => fraction * 2.0_f64.powi(-24),
        31 if fraction > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        _ => (1.0 + fraction / 1024.0) * 2.0_f64.powi(exponent - 15),
    }
}

/// Column by column in, row by row out.
fn transposed(values: &[f64], rows: u64, columns: u64) -> Vec<f64> {
    let (rows, columns) =
        (usize::try_from(rows).unwrap_or(0), usize::try_from(columns).unwrap_or(0));
    (0..rows)
        .flat_map(|row| (0..columns).filter_map(move |column| values.get(column * rows + row)))
        .copied()
        .collect()
}

/// Bytes before the header text in version 1.0.
const PREFIX: usize = 10;

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these conversions are exact")]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        assert_eq!(half(0x3C00), 1.0);
        assert_eq!(half(0xC500), -5.0);
        assert_eq!(half(0x0001), 2.0_f64.powi(-24));
        assert_eq!(half(0x7BFF), 65504.0);
        assert_eq!(half(0x7C00), f64::INFINITY);
        assert!(half(0x7E00).is_nan());
    }

    #[test]
    fn what_is_written_is_read() {
        for shape in [vec![6], vec![2, 3], vec![0], vec![6, 1]] {
            let count: usize = shape.iter().product();
            let values: Vec<f64> = (0..count).map(|i| i as f64 - 0.5).collect();
            let bytes = to_npy(&shape, &values);
            assert_eq!((bytes.len() - 8 * count) % 64, 0);
            let array = parse_array(&bytes, "a".as_ref(), &Limits::default()).unwrap();
            assert_eq!((array.shape, array.values), (shape, values));
        }
    }

    #[test]
    fn huge_declared_shapes_are_refused_before_anything_is_allocated() {
        let bytes = to_npy(&[usize::MAX], &[]);
        let error = parse_array(&bytes, "a.npy".as_ref(), &Limits::default()).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{error}");
        let bytes = to_npy(&[100_000_000, 65_536], &[]);
        let error = parse_array(&bytes, "a.npy".as_ref(), &Limits::default()).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
}
