//! Numbers that are stored as they are.

use super::batch::Data;
use super::broken::Broken;
use super::footer::Physical;

/// Appends numbers that are stored as they are.
pub(super) fn plain_numbers(
    physical: Physical,
    unsigned: bool,
    bytes: &[u8],
    into: &mut Data,
) -> Result<(), Broken> {
    match (physical, into) {
        (Physical::Int32, Data::Integers(into)) => {
            let (words, _) = bytes.as_chunks::<4>();
            if unsigned {
                into.extend(words.iter().map(|word| i64::from(u32::from_le_bytes(*word))));
            } else {
                into.extend(words.iter().map(|word| i64::from(i32::from_le_bytes(*word))));
            }
        }
        (Physical::Int64, Data::Integers(into)) => {
            let (words, _) = bytes.as_chunks::<8>();
            into.extend(words.iter().map(|word| i64::from_le_bytes(*word)));
        }
        (Physical::Int96, Data::Integers(into)) => {
            let (words, _) = bytes.as_chunks::<12>();
            into.extend(words.iter().map(instant_of_96));
        }
        (Physical::Float, Data::Numbers(into)) => {
            let (words, _) = bytes.as_chunks::<4>();
            into.extend(words.iter().map(|word| f64::from(f32::from_le_bytes(*word))));
        }
        (Physical::Double, Data::Numbers(into)) => {
            let (words, _) = bytes.as_chunks::<8>();
            into.extend(words.iter().map(|word| f64::from_le_bytes(*word)));
        }
        _ => return Err(TYPE),
    }
    Ok(())
}

/// Nanoseconds since 1970 of the day's nanoseconds and the Julian day.
pub(super) fn instant_of_96(word: &[u8; 12]) -> i64 {
    let (nanoseconds, day) = word.split_at(8);
    let nanoseconds = nanoseconds.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes));
    let day = day.first_chunk().map_or(0, |bytes| i64::from(i32::from_le_bytes(*bytes)));
    (day - 2_440_588).saturating_mul(86_400_000_000_000).saturating_add(nanoseconds)
}

/// Bytes of a value that is stored as it is.
pub(super) fn width(physical: Physical) -> Result<usize, Broken> {
    match physical {
        Physical::Int32 | Physical::Float => Ok(4),
        Physical::Int64 | Physical::Double => Ok(8),
        Physical::Int96 => Ok(12),
        _ => Err(TYPE),
    }
}

/// Bytes behind their length in four bytes, and where they end.
pub(super) fn prefixed(page: &[u8], at: usize) -> Result<(&[u8], usize), Broken> {
    let length = page.get(at..).and_then(<[u8]>::first_chunk).ok_or(Broken::Cut)?;
    let start = at + 4;
    let end = start.checked_add(u32::from_le_bytes(*length) as usize).ok_or(Broken::Cut)?;
    Ok((page.get(start..end).ok_or(Broken::Cut)?, end))
}

/// The low 32 bits.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the low bits are meant"
)]
pub(super) fn narrowed(value: i64, unsigned: bool) -> i64 {
    if unsigned { i64::from(value as u32) } else { i64::from(value as i32) }
}

pub(super) const TYPE: Broken =
    Broken::Malformed("an encoding does not go with the type of its column");
