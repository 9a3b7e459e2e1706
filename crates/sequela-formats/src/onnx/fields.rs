//! What a field holds, where it holds what the standard says.

use super::wire::{Content, Field, Message};
use crate::Error;

pub(super) fn count(
    message: &Message<'_>,
    field: Field<'_>,
    have: usize,
    most: usize,
) -> Result<(), Error> {
    if have < most {
        return Ok(());
    }
    let what = "the number of entries of a list".into();
    Err(Error::Limit { location: message.place(field.at).into(), what, limit: most as u64 })
}

pub(super) fn unsupported(message: &Message<'_>, field: Field<'_>, what: &str) -> Error {
    let hint = "export it as one file of dense weights (external_data=False)";
    Error::unsupported(message.place(field.at), what, hint)
}

pub(super) fn wrong_kind(message: &Message<'_>, field: Field<'_>) -> Error {
    let what = format!("field {} does not hold what the standard says", field.number);
    message.malformed(field.at, what)
}

pub(super) fn inner<'a>(message: &Message<'a>, field: Field<'a>) -> Result<Message<'a>, Error> {
    match field.content {
        Content::Bytes(inner) => Ok(inner),
        _ => Err(wrong_kind(message, field)),
    }
}

pub(super) fn text(message: &Message<'_>, field: Field<'_>) -> Result<String, Error> {
    let bytes = inner(message, field)?.bytes();
    let text = std::str::from_utf8(bytes)
        .map_err(|_| message.malformed(field.at, "a text is not UTF-8"))?;
    Ok(text.to_owned())
}

pub(super) fn integer(message: &Message<'_>, field: Field<'_>) -> Result<i64, Error> {
    match field.content {
        Content::Varint(value) => Ok(value.cast_signed()),
        _ => Err(wrong_kind(message, field)),
    }
}

pub(super) fn single(message: &Message<'_>, field: Field<'_>) -> Result<f32, Error> {
    match field.content {
        Content::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
        _ => Err(wrong_kind(message, field)),
    }
}

/// Whole numbers, one in a field or all in one.
pub(super) fn integers(
    message: &Message<'_>,
    field: Field<'_>,
    out: &mut Vec<i64>,
) -> Result<(), Error> {
    match field.content {
        Content::Varint(value) => out.push(value.cast_signed()),
        Content::Bytes(mut packed) => {
            while !packed.is_at_end() {
                out.push(packed.varint()?.cast_signed());
            }
        }
        _ => return Err(wrong_kind(message, field)),
    }
    Ok(())
}

pub(super) fn singles(
    message: &Message<'_>,
    field: Field<'_>,
    out: &mut Vec<f32>,
) -> Result<(), Error> {
    match field.content {
        Content::Fixed32(bytes) => out.push(f32::from_le_bytes(bytes)),
        Content::Bytes(packed) if packed.bytes().len().is_multiple_of(4) => {
            out.extend(packed.bytes().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
        }
        _ => return Err(wrong_kind(message, field)),
    }
    Ok(())
}

pub(super) fn doubles(
    message: &Message<'_>,
    field: Field<'_>,
    out: &mut Vec<f64>,
) -> Result<(), Error> {
    match field.content {
        Content::Fixed64(bytes) => out.push(f64::from_le_bytes(bytes)),
        Content::Bytes(packed) if packed.bytes().len().is_multiple_of(8) => {
            out.extend(packed.bytes().as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)));
        }
        _ => return Err(wrong_kind(message, field)),
    }
    Ok(())
}
