//! Annotation files in the MIT format.

use std::path::Path;

use sequela_core::{Limits, Location};

use super::codes::Code;
use crate::{Error, bounded};

/// One annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Sample it belongs to, from 0.
    pub sample: u64,
    /// What happened.
    pub code: Code,
    /// Kind within the code (0 where there is none).
    pub subtype: i8,
    /// Signal it belongs to.
    pub channel: u8,
    /// Number of the annotator's own.
    pub number: i8,
    /// Text with it, e.g. a rhythm `(AFIB`; without the padding at its end.
    pub aux: String,
}

/// The meaning that a file gives to a code of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The code.
    pub code: Code,
    /// Its symbol.
    pub symbol: String,
    /// Its meaning.
    pub description: String,
}

/// What an annotation file holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Annotations {
    /// The annotations, samples never going backwards; without those of code 0, which mark
    /// nothing, and without notes at sample 0, which speak of the file.
    pub list: Vec<Annotation>,
    /// Ticks in a second, where the file gives them; else those of the record's header.
    pub time_resolution: Option<f64>,
    /// Codes that the file defines.
    pub definitions: Vec<Definition>,
    /// Other notes at sample 0: what program made the file, and how.
    pub notes: Vec<String>,
}

/// Reads annotations from a file.
///
/// # Errors
/// As [`bounded::read`] and [`parse_annotations`].
pub fn read_annotations(path: &Path, limits: &Limits) -> Result<Annotations, Error> {
    parse_annotations(&bounded::read(path, limits)?, path, limits)
}

/// Reads annotations from bytes; `name` stands for the file in messages.
///
/// **Cost** linear in the bytes; about 48 bytes of memory for each annotation.
///
/// # Errors
/// [`Error::Malformed`] with the byte where the file is cut short, an extra field stands before
/// the first annotation, samples go backwards, or something follows the end mark;
/// [`Error::Limit`] over `steps` annotations.
pub fn parse_annotations(bytes: &[u8], name: &Path, limits: &Limits) -> Result<Annotations, Error> {
    let location = Location::file(name);
    let mut words = Words { bytes, at: 0, location: &location };
    let mut list: Vec<Annotation> = Vec::new();
    let mut sample = 0_i64;
    let (mut channel, mut number) = (0_u8, 0_i8);
    loop {
        let start = words.at;
        let [low, high] = words.next()?;
        let (code, interval) = (high >> 2, i64::from(u16::from_le_bytes([low, high & 3])));
        if code == 0 && interval == 0 {
            break;
        }
        let present = list.last_mut();
        match (code, present) {
            (SKIP, _) => {
                let interval = words_to_i32(words.next()?, words.next()?);
                sample = words.later(sample, interval)?;
            }
            (NUM, Some(last)) => {
                number = i8::from_le_bytes([low]);
                last.number = number;
            }
            (SUB, Some(last)) => last.subtype = i8::from_le_bytes([low]),
            (CHN, Some(last)) => {
                channel = low;
                last.channel = channel;
            }
            (AUX, Some(last)) => last.aux = words.text(usize::try_from(interval).unwrap_or(0))?,
            (NUM | SUB | CHN | AUX, None) => {
                return Err(words.fault(start, "a field stands before the first annotation"));
            }
            (LAST_CODE.., _) => return Err(words.fault(start, "the code is not a known one")),
            (_, present) => {
                sample = words.later(sample, interval)?;
                let before = present.map_or(0, |last| last.sample);
                let now = u64::try_from(sample).ok().filter(|&now| now >= before);
                let Some(now) = now else {
                    return Err(words.fault(start, "the samples go backwards"));
                };
                if list.len() as u64 >= limits.steps {
                    return Err(Error::Limit {
                        location: location.byte(start as u64).into(),
                        what: "the number of annotations".to_owned(),
                        limit: limits.steps,
                    });
                }
                let (subtype, aux) = (0, String::new());
                let code = Code(code);
                list.push(Annotation { sample: now, code, subtype, channel, number, aux });
            }
        }
    }
    // Some writers fill the last block with zeros.
    let rest = bytes.get(words.at..).unwrap_or_default();
    if let Some(offset) = rest.iter().position(|&byte| byte != 0) {
        return Err(words.fault(words.at + offset, "something follows the end mark"));
    }
    Ok(sorted_out(list))
}

/// Takes out what is no annotation: code 0, and the notes that speak of the file itself.
fn sorted_out(list: Vec<Annotation>) -> Annotations {
    let mut annotations = Annotations::default();
    let mut defining = false;
    for annotation in list {
        if annotation.sample > 0 || annotation.code != NOTE {
            if annotation.code != NOTHING {
                annotations.list.push(annotation);
            }
        } else if let Some(text) = annotation.aux.strip_prefix("## time resolution: ") {
            let ticks = text.trim().parse::<f64>().ok();
            annotations.time_resolution = ticks.filter(|&t| t > 0.0 && t.is_finite());
        } else if annotation.aux == "## annotation type definitions" {
            defining = true;
        } else if annotation.aux == "## end of definitions" {
            defining = false;
        } else if defining {
            annotations.definitions.extend(definition(&annotation.aux));
        } else {
            annotations.notes.push(annotation.aux);
        }
    }
    annotations
}

/// `CODE SYMBOL DESCRIPTION`.
fn definition(text: &str) -> Option<Definition> {
    let (code, rest) = text.split_once(' ')?;
    let (symbol, description) = rest.split_once(' ')?;
    let code = Code(code.parse().ok()?);
    Some(Definition { code, symbol: symbol.to_owned(), description: description.to_owned() })
}

/// A long integer of the PDP-11: high word first, each word low byte first.
fn words_to_i32(high: [u8; 2], low: [u8; 2]) -> i64 {
    let ([h0, h1], [l0, l1]) = (high, low);
    i64::from(i32::from_le_bytes([l0, l1, h0, h1]))
}

/// Walks the words of a file.
struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
    location: &'a Location,
}

impl Words<'_> {
    fn next(&mut self) -> Result<[u8; 2], Error> {
        match self.bytes.get(self.at..) {
            Some([low, high, ..]) => {
                self.at += 2;
                Ok([*low, *high])
            }
            _ => Err(self.fault(self.at, "the file is cut short: its end mark is missing")),
        }
    }

    /// The text of `length` bytes, which fill whole words.
    fn text(&mut self, length: usize) -> Result<String, Error> {
        let end = self.at + length;
        let padded = end + length % 2;
        let text = self.bytes.get(self.at..end).filter(|_| padded <= self.bytes.len());
        let text = text.ok_or_else(|| self.fault(self.at, "a text is cut short"))?;
        let text = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
        self.at = padded;
        Ok(text)
    }

    fn later(&self, sample: i64, interval: i64) -> Result<i64, Error> {
        sample
            .checked_add(interval)
            .ok_or_else(|| self.fault(self.at, "the sample number is over 2^63"))
    }

    fn fault(&self, at: usize, what: &str) -> Error {
        let hint = "fetch the annotation file again";
        Error::malformed(self.location.clone().byte(at as u64), what, hint)
    }
}

const NOTHING: Code = Code(0);
pub(super) const NOTE: Code = Code(22);
pub(super) const SKIP: u8 = 59;
pub(super) const NUM: u8 = 60;
pub(super) const SUB: u8 = 61;
pub(super) const CHN: u8 = 62;
pub(super) const AUX: u8 = 63;
/// The first code that no annotation has.
pub(super) const LAST_CODE: u8 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn word(code: u16, interval: u16) -> [u8; 2] {
        (code << 10 | interval).to_le_bytes()
    }

    fn parse(words: &[[u8; 2]]) -> Result<Annotations, Error> {
        parse_annotations(&words.concat(), "a.atr".as_ref(), &Limits::default())
    }

    #[test]
    fn extra_fields_belong_to_the_annotation_before_them() {
        let words = [
            word(28, 10),
            word(63, 3),
            *b"(A",
            *b"F\0",
            word(62, 1),
            word(60, 5),
            word(1, 20),
            word(61, 255),
            word(59, 0),
            [0xFF, 0xFF],
            [0xFF, 0xFF],
            word(1, 2),
            word(0, 0),
            [0, 0],
        ];
        let list = parse(&words).unwrap().list;
        assert_eq!(list.len(), 3);
        assert_eq!((list[0].aux.as_str(), list[0].channel, list[0].number), ("(AF", 1, 5));
        assert_eq!((list[1].sample, list[1].subtype), (30, -1));
        assert_eq!((list[2].sample, list[2].subtype, list[2].number), (31, 0, 5));
    }

    #[test]
    fn notes_at_the_start_tell_ticks_and_codes() {
        let note = |text: &str| {
            let mut words = vec![word(22, 0), word(63, u16::try_from(text.len()).unwrap())];
            words.extend(text.as_bytes().chunks(2).map(|c| [c[0], *c.get(1).unwrap_or(&0)]));
            words
        };
        let mut words = note("## time resolution: 999.56");
        words.extend(note("## annotation type definitions"));
        words.extend(note("42 w my wave"));
        words.extend(note("## end of definitions"));
        words.extend(note("made by hand"));
        words.extend([word(0, 3), word(42, 4), word(0, 0)]);
        let annotations = parse(&words).unwrap();
        assert_eq!(annotations.time_resolution, Some(999.56));
        assert_eq!(annotations.definitions[0].symbol, "w");
        assert_eq!(annotations.notes, ["made by hand"]);
        assert_eq!(annotations.list.len(), 1);
        assert_eq!((annotations.list[0].code, annotations.list[0].sample), (Code(42), 7));
    }

    #[test]
    fn broken_files_are_refused_with_the_byte() {
        let text = parse(&[word(1, 5)]).unwrap_err().to_string();
        assert!(text.starts_with("a.atr at byte 2: the file is cut short"), "{text}");
        assert!(parse(&[word(60, 1), word(0, 0)]).is_err());
        assert!(parse(&[word(51, 1), word(0, 0)]).is_err());
        assert!(parse(&[word(0, 0), word(1, 5)]).is_err());
        let backwards =
            [word(1, 100), word(59, 0), [0xFF, 0xFF], [0xF0, 0xFF], word(1, 2), word(0, 0)];
        assert!(parse(&backwards).unwrap_err().to_string().contains("backwards"));
    }
}
