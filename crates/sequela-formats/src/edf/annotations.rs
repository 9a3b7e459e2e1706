//! Lists of annotations with their times, which EDF+ keeps in a signal of their own.
//!
//! ```text
//! +180.5 21 2 20 Lights off 20 Close door 20 0
//! onset, duration (may be absent), texts, the end of a list
//! ```
//!
//! The first list of each data record begins with an empty text: its onset is the start of the record.

use sequela_core::Location;

use crate::Error;

/// Something that was noted at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// Seconds from the start time of the file.
    pub onset: f64,
    /// Seconds it lasts, where they are given.
    pub duration: Option<f64>,
    /// What was noted. It may be about a person: it is for the user, not for logs.
    pub text: String,
}

/// The lists in the bytes of one signal of one record, which stand at `place` behind `at`.
///
/// Gives the onset of the first list where its first text is empty, which then is no annotation;
/// where `keeps_time` is [`Keeps::Events`] it is one like the others.
pub(super) fn parse_lists(
    bytes: &[u8],
    keeps: Keeps,
    (place, at): (&Location, u64),
    out: &mut Vec<Annotation>,
) -> Result<Option<f64>, Error> {
    let mut start = None;
    let mut offset = 0;
    let mut first = keeps == Keeps::Time;
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        if rest.first() == Some(&0) {
            // Unused bytes are zero up to the end; some writers leave zeros between lists.
            offset += 1;
            continue;
        }
        let here = offset as u64 + at;
        let fault = |what: &str| {
            let place = place.clone().byte(here).field("annotations");
            Error::malformed(place, what, "fetch the file again, or leave its annotations out")
        };
        let end = rest.iter().position(|&byte| byte == 0);
        let list = end.and_then(|end| rest.get(..end)).ok_or_else(|| fault("a list has no end"))?;
        offset += list.len() + 1;
        // The last text ends with its mark too.
        let body = list.strip_suffix(&[TEXT]).ok_or_else(|| fault("a text has no end"))?;
        let mut parts = body.split(|&byte| byte == TEXT);
        let times = parts.next().unwrap_or_default();
        let mut times = times.splitn(2, |&byte| byte == DURATION);
        let onset = times.next().and_then(|bytes| seconds(bytes, Sign::Needed));
        let onset = onset.ok_or_else(|| fault("an onset is not a number with its sign"))?;
        let duration = match times.next() {
            // A mark without a number is met; the standard has no mark then.
            None | Some([]) => None,
            Some(bytes) => {
                let duration = seconds(bytes, Sign::Refused);
                Some(duration.ok_or_else(|| fault("a duration is not a number"))?)
            }
        };
        let mut texts = parts.peekable();
        if std::mem::take(&mut first) && texts.peek().is_none_or(|text| text.is_empty()) {
            start = Some(onset);
            texts.next();
        }
        let room = MOST_IN_RECORD.saturating_sub(out.len());
        out.extend(texts.by_ref().take(room).map(|text| Annotation {
            onset,
            duration,
            text: text_of(text),
        }));
        if texts.next().is_some() {
            return Err(Error::Limit {
                location: place.clone().byte(here).field("annotations").into(),
                what: "the number of annotations in a record".to_owned(),
                limit: MOST_IN_RECORD as u64,
            });
        }
    }
    Ok(start)
}

/// Annotations that one record may have: they are kept before they are counted with those of others.
const MOST_IN_RECORD: usize = 1 << 18;

/// What the first list of a signal of annotations is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    /// The start of the record.
    Time,
    /// Annotations, as the others.
    Events,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Needed,
    Refused,
}

/// Digits with a point between them, and before them a sign where one is needed.
fn seconds(bytes: &[u8], sign: Sign) -> Option<f64> {
    let signed = matches!(bytes, [b'+' | b'-', ..]);
    let digits = if signed { bytes.get(1..)? } else { bytes };
    let are_digits = digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if signed != (sign == Sign::Needed) || !are_digits || !digits.iter().any(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok().filter(|seconds: &f64| seconds.is_finite())
}

/// UTF-8, as the standard has it, or else Latin-1.
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// Ends an onset or a text.
pub(super) const TEXT: u8 = 20;
/// Stands before a duration.
pub(super) const DURATION: u8 = 21;

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(bytes: &[u8], keeps: Keeps) -> Result<(Option<f64>, Vec<Annotation>), String> {
        let mut out = Vec::new();
        let place = (&Location::file("n.edf"), 1000);
        let start =
            parse_lists(bytes, keeps, place, &mut out).map_err(|error| error.to_string())?;
        Ok((start, out))
    }

    /// As the standard prints them, which sets its marks in these letters.
    fn marked(text: &str) -> Vec<u8> {
        text.bytes()
            .map(|byte| match byte {
                b'@' => TEXT,
                b'#' => DURATION,
                b'|' => 0,
                other => other,
            })
            .collect()
    }

    #[test]
    fn the_examples_of_the_standard() {
        let text = "+180@Lights off@Close door@|+180@Lights off@|+1800.2#25.5@Apnea@|";
        let (start, found) = lists(&marked(text), Keeps::Events).unwrap();
        let shown: Vec<_> = found.iter().map(|a| (a.onset, a.duration, a.text.as_str())).collect();
        let apnoea = (1800.2, Some(25.5), "Apnea");
        assert_eq!(start, None);
        let off = (180.0, None, "Lights off");
        assert_eq!(shown, [off, (180.0, None, "Close door"), off, apnoea]);
        let (start, found) = lists(&marked("+567@@|+567.5@x@||||"), Keeps::Time).unwrap();
        assert_eq!((start, found.len()), (Some(567.0), 1));
        let (start, found) = lists(&marked("-0.25@@y@@|"), Keeps::Time).unwrap();
        assert_eq!((start, found.len(), found[0].text.as_str()), (Some(-0.25), 2, "y"));
        // Without a text there is nothing to keep but the time.
        assert_eq!(lists(&marked("+3@|"), Keeps::Time).unwrap(), (Some(3.0), vec![]));
        assert_eq!(lists(&marked("+3@late@|"), Keeps::Time).unwrap().0, None);
        let latin = [&b"+1\x14caf"[..], &[0xE9, TEXT, 0]].concat();
        assert_eq!(lists(&latin, Keeps::Events).unwrap().1[0].text, "caf\u{e9}");
    }

    #[test]
    fn texts_without_end_are_refused_before_they_are_kept() {
        let endless = [&b"+0"[..], &vec![TEXT; MOST_IN_RECORD + 2], &[0]].concat();
        let told = lists(&endless, Keeps::Events).unwrap_err();
        assert!(told.contains("the number of annotations in a record"), "{told}");
        let full = [&b"+0"[..], &vec![TEXT; MOST_IN_RECORD + 1], &[0]].concat();
        assert_eq!(lists(&full, Keeps::Events).unwrap().1.len(), MOST_IN_RECORD);
    }

    #[test]
    fn broken_lists_are_told_by_their_byte_and_not_quoted() {
        for (text, what) in [
            ("+1@Smith", "a list has no end"),
            ("+1@Smith|", "a text has no end"),
            ("1@Smith@|", "an onset is not a number with its sign"),
            ("+1e3@Smith@|", "an onset is not"),
            ("+inf@Smith@|", "an onset is not"),
            ("+@Smith@|", "an onset is not"),
            ("+1#-2@Smith@|", "a duration is not a number"),
        ] {
            let bytes = [&[0, 0][..], &marked(text)].concat();
            let told = lists(&bytes, Keeps::Events).unwrap_err();
            assert!(told.starts_with("n.edf at byte 1002, field annotations: "), "{told}");
            assert!(told.contains(what) && !told.contains("Smith"), "{text}: {told}");
        }
    }
}
