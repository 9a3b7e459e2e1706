//! Annotations to bytes in the MIT format.

use std::path::Path;

use sequela_core::Location;

use super::annotations::{AUX, Annotation, Annotations, CHN, LAST_CODE, NOTE, NUM, SKIP, SUB};
use super::codes::Code;
use crate::Error;

/// The bytes of an annotation file; `name` stands for it in messages.
///
/// Ticks, definitions and notes go before the annotations, as notes at sample 0.
///
/// # Errors
/// [`Error::Unsupported`] with the number of the annotation where samples go backwards, a code is not between 1 and
/// 49, a text has more than 255 bytes or ends with a zero byte, or an annotation would be read as one of those notes.
///
/// # Example
/// ```
/// use sequela_core::Limits;
/// use sequela_formats::wfdb::{Annotation, Annotations, Code, parse_annotations, to_annotations};
/// let beat = |sample| Annotation {
///     sample,
///     code: Code(1),
///     subtype: 0,
///     channel: 0,
///     number: 0,
///     aux: String::new(),
/// };
/// let annotations = Annotations { list: vec![beat(18), beat(77)], ..Annotations::default() };
/// let bytes = to_annotations(&annotations, "r.atr".as_ref())?;
/// assert_eq!(bytes, [0x12, 0x04, 0x3B, 0x04, 0, 0]);
/// assert_eq!(parse_annotations(&bytes, "r.atr".as_ref(), &Limits::default())?, annotations);
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub fn to_annotations(annotations: &Annotations, name: &Path) -> Result<Vec<u8>, Error> {
    let mut words = Words { bytes: Vec::new(), sample: 0, channel: 0, number: 0 };
    let place = Location::file(name);
    let mut note = |text: &str| {
        let note = Annotation {
            sample: 0,
            code: NOTE,
            subtype: 0,
            channel: 0,
            number: 0,
            aux: text.to_owned(),
        };
        words.add(&note).map_err(|what| refuse(&place, "notes", what))
    };
    if let Some(ticks) = annotations.time_resolution {
        note(&format!("## time resolution: {ticks}"))?;
    }
    if !annotations.definitions.is_empty() {
        note("## annotation type definitions")?;
        for one in &annotations.definitions {
            note(&format!("{} {} {}", one.code.0, one.symbol, one.description))?;
        }
        note("## end of definitions")?;
    }
    for text in &annotations.notes {
        note(text)?;
    }
    for (number, annotation) in (1_u64..).zip(&annotations.list) {
        let field = || format!("annotation {number}");
        if annotation.sample == 0 && annotation.code == NOTE {
            return Err(refuse(&place, &field(), "a note at sample 0 speaks of the file"));
        }
        words.add(annotation).map_err(|what| refuse(&place, &field(), what))?;
    }
    words.bytes.extend([0, 0]);
    Ok(words.bytes)
}

struct Words {
    bytes: Vec<u8>,
    sample: u64,
    channel: u8,
    number: i8,
}

impl Words {
    /// A code and ten bits.
    fn word(&mut self, code: u8, value: u16) {
        self.bytes.extend((u16::from(code) << 10 | value & 0x3FF).to_le_bytes());
    }

    fn add(&mut self, annotation: &Annotation) -> Result<(), &'static str> {
        let Annotation { sample, code: Code(code), subtype, channel, number, aux } = annotation;
        if !(1..LAST_CODE).contains(code) {
            return Err("its code is not between 1 and 49");
        }
        let mut interval = sample.checked_sub(self.sample).ok_or("the samples go backwards")?;
        if i64::try_from(*sample).is_err() {
            return Err("its sample is over 2^63");
        }
        while interval > 0x3FF {
            let part = interval.min(0x7FFF_FFFF);
            self.word(SKIP, 0);
            // The high half comes first.
            let [a, b, c, d] = u32::try_from(part).unwrap_or(0).to_le_bytes();
            self.bytes.extend([c, d, a, b]);
            interval -= part;
        }
        self.sample = *sample;
        self.word(*code, u16::try_from(interval).unwrap_or(0));
        let byte = |value: i8| u16::from(value.cast_unsigned());
        if *subtype != 0 {
            self.word(SUB, byte(*subtype));
        }
        // These two hold until another comes.
        if *channel != self.channel {
            self.channel = *channel;
            self.word(CHN, u16::from(*channel));
        }
        if *number != self.number {
            self.number = *number;
            self.word(NUM, byte(*number));
        }
        if !aux.is_empty() {
            let length = u8::try_from(aux.len()).map_err(|_| "its text has over 255 bytes")?;
            if aux.ends_with('\0') {
                return Err("its text ends with a zero byte");
            }
            self.word(AUX, u16::from(length));
            self.bytes.extend(aux.bytes());
            self.bytes.extend((length % 2 == 1).then_some(0));
        }
        Ok(())
    }
}

fn refuse(place: &Location, field: &str, what: &str) -> Error {
    let hint = "correct the annotation, or leave it out";
    Error::unsupported(place.clone().field(field), what, hint)
}
