//! Lines of JSON: one object for each step.

use std::borrow::Cow;
use std::fmt;

use sequela_formats::csv::{Fault, LineFault, SeriesColumns, TimeColumn, is_missing, narrow, time};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::input::Said;

/// Reads objects with one key for each channel, absent or null where nothing was measured, and
/// keys for subject and time. A key that means nothing here is refused: it may be a channel that
/// is misspelt.
///
/// **Cost** linear in the line; nothing is allocated once lines have been as long.
#[derive(Debug)]
pub(super) struct JsonLine {
    columns: SeriesColumns,
    subject: Option<String>,
    time: Option<f64>,
    time_text: String,
    /// Channels and keys that the line has named already.
    named: Vec<bool>,
    fault: Option<LineFault>,
}

impl JsonLine {
    pub(super) fn new(columns: SeriesColumns) -> Self {
        let named = vec![false; columns.values.len() + 2];
        Self { columns, subject: None, time: None, time_text: String::new(), named, fault: None }
    }

    /// Names and values of the first object, as text.
    pub(super) fn pairs(line: &str) -> Result<Vec<(String, String)>, LineFault> {
        let value: Value = serde_json::from_str(line).map_err(|error| syntax(&error))?;
        let Value::Object(object) = value else { return Err(no_object()) };
        let text = |value: Value| match value {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        };
        Ok(object.into_iter().map(|(name, value)| (name, text(value))).collect())
    }

    /// Names of the keys of subject and time.
    pub(super) fn keys(&self) -> (Option<&str>, Option<&TimeColumn>) {
        (self.columns.subject.as_deref(), self.columns.time.as_ref())
    }

    /// Reads a line; what was understood before a fault stays in `said`.
    pub(super) fn read<'a>(
        &'a mut self,
        line: &str,
        said: &mut Said<'a>,
        to: &mut [f32],
    ) -> Result<(), LineFault> {
        to.fill(f32::NAN);
        (self.subject, self.time, self.fault) = (None, None, None);
        self.named.fill(false);
        let mut parser = serde_json::Deserializer::from_str(line);
        let read = Object { line: self, to }.deserialize(&mut parser).and_then(|()| parser.end());
        let fault = self.fault.take();
        if let Some(subject) = &self.subject {
            said.subject = Some(Cow::Borrowed(subject));
        }
        if let Some(time) = self.time {
            said.time = Some((time, Cow::Borrowed(&self.time_text)));
        }
        if let Err(error) = read {
            return Err(fault.unwrap_or_else(|| syntax(&error)));
        }
        let missing = |name: &str, what, hint| LineFault::of_field(name, Fault { what, hint });
        match &self.columns {
            SeriesColumns { subject: Some(name), .. } if self.subject.is_none() => {
                Err(missing(name, "the subject is missing", "say whose line this is"))
            }
            SeriesColumns { time: Some(column), .. } if self.time.is_none() => {
                Err(missing(&column.name, "the time is missing", "give each line a time"))
            }
            _ => Ok(()),
        }
    }

    fn key(&self, name: &str) -> Option<Key> {
        let channels = &self.columns.values;
        if let Some(at) = channels.iter().position(|channel| channel.name == name) {
            Some(Key::Channel(at))
        } else if self.columns.subject.as_deref() == Some(name) {
            Some(Key::Subject)
        } else if self.columns.time.as_ref().is_some_and(|time| time.name == name) {
            Some(Key::Time)
        } else {
            None
        }
    }

    /// Takes the value of a key.
    fn take(&mut self, key: Key, cell: &Cell<'_>, to: &mut [f32]) -> Result<(), Fault> {
        let place = match key {
            Key::Channel(at) => at,
            Key::Subject => self.columns.values.len(),
            Key::Time => self.columns.values.len() + 1,
        };
        if std::mem::replace(&mut self.named[place], true) {
            return Err(Fault { what: "the key is there twice", hint: "give it once" });
        }
        match key {
            Key::Channel(at) => to[at] = cell.value()?,
            Key::Subject => match cell {
                Cell::Text(text) if !is_missing(text.trim()) => {
                    self.subject = Some(text.trim().to_owned());
                }
                Cell::Whole(number) => self.subject = Some(number.clone()),
                _ => {
                    let hint = "give a text or a whole number";
                    return Err(Fault { what: "the subject is no name", hint });
                }
            },
            Key::Time => {
                let Some(format) = self.columns.time.as_ref().map(|time| time.format) else {
                    return Ok(());
                };
                self.time_text.clear();
                match cell {
                    Cell::Text(text) => self.time_text.push_str(text.trim()),
                    Cell::Whole(number) => self.time_text.push_str(number),
                    Cell::Number(number) => self.time_text.push_str(&number.to_string()),
                    Cell::Null | Cell::Other => {}
                }
                self.time = Some(time(&self.time_text, format)?);
            }
        }
        Ok(())
    }
}

/// What a key means.
#[derive(Debug, Clone, Copy)]
enum Key {
    Channel(usize),
    Subject,
    Time,
}

/// A value of an object.
#[derive(Debug)]
enum Cell<'a> {
    Null,
    Number(f64),
    /// With its digits.
    Whole(String),
    Text(Cow<'a, str>),
    Other,
}

impl Cell<'_> {
    fn value(&self) -> Result<f32, Fault> {
        let hint = "give a number, or null where nothing was measured";
        match self {
            Self::Null => Ok(f32::NAN),
            Self::Number(number) => narrow(*number),
            Self::Whole(digits) => digits
                .parse()
                .map_err(|_| Fault { what: "the value is not a number", hint })
                .and_then(narrow),
            Self::Text(_) => Err(Fault { what: "the value is a text, not a number", hint }),
            Self::Other => Err(Fault { what: "the value is not a number", hint }),
        }
    }
}

/// An object on its way into a line.
struct Object<'a, 'v> {
    line: &'a mut JsonLine,
    to: &'v mut [f32],
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let Some(key) = self.line.key(&name) else {
                let names: Vec<&str> =
                    self.line.columns.values.iter().map(|value| value.name.as_str()).collect();
                let hint = format!("leave it out; the model's channels are {}", names.join(", "));
                let what = "the model has no such channel".into();
                let field = Some(name.into_owned());
                self.line.fault = Some(LineFault { field, what, hint: hint.into() });
                return Err(A::Error::custom("key"));
            };
            let cell = map.next_value_seed(CellSeed)?;
            if let Err(fault) = self.line.take(key, &cell, self.to) {
                self.line.fault = Some(LineFault::of_field(name.into_owned(), fault));
                return Err(A::Error::custom("value"));
            }
        }
        Ok(())
    }
}

/// A key, borrowed where it can be.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

struct CellSeed;

impl<'de> DeserializeSeed<'de> for CellSeed {
    type Value = Cell<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellSeed {
    type Value = Cell<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(Cell::Null)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Cell::Number(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Cell::Whole(number.to_string()))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Cell::Whole(number.to_string()))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Cell::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Cell::Other)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Cell::Other)
    }
}

/// The parser's refusal, without its words: they quote the line.
fn syntax(error: &serde_json::Error) -> LineFault {
    if error.is_data() {
        return no_object();
    }
    let what = format!("the line is not valid JSON at byte {}", error.column());
    LineFault::of_line(what, "send one whole object a line")
}

fn no_object() -> LineFault {
    LineFault::of_line("the line is not a JSON object", "send one whole object a line")
}
