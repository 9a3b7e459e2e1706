//! Reading typed values from a [`Document`](super::document::Document), with the path of every
//! fault.
//!
//! serde tells a deserialiser the field names that a struct has and calls the error's own
//! constructors with them; that is all that is needed to suggest the nearest field.

use std::fmt;

use serde::de::{self, DeserializeSeed, IntoDeserializer, Unexpected, Visitor};

use super::document::{Node, Value};

/// What is wrong, and the keys that lead to it, innermost first.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) path: Vec<String>,
}

#[derive(Debug)]
pub(crate) enum FaultKind {
    Unknown { field: String, expected: &'static [&'static str] },
    Missing { field: &'static str },
    Variant { word: String, expected: &'static [&'static str] },
    Other(String),
}

impl Fault {
    fn new(kind: FaultKind) -> Self {
        Self { kind, path: Vec::new() }
    }

    /// A field that its section needs.
    pub(crate) fn missing(section: Option<&str>, field: &'static str) -> Self {
        let path = section.into_iter().map(str::to_owned).collect();
        Self { kind: FaultKind::Missing { field }, path }
    }

    pub(crate) fn under(mut self, key: impl Into<String>) -> Self {
        self.path.push(key.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(FaultKind::Other(message.to_string()))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(FaultKind::Unknown { field: field.to_owned(), expected })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(FaultKind::Missing { field })
    }

    fn unknown_variant(word: &str, expected: &'static [&'static str]) -> Self {
        Self::new(FaultKind::Variant { word: word.to_owned(), expected })
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Str(_) => "text".into(),
            Unexpected::Bool(_) => "true or false".into(),
            Unexpected::Map => "a section".into(),
            Unexpected::Seq => "a list".into(),
            Unexpected::Float(_) => "a number with a decimal point".into(),
            other => other.to_string(),
        };
        Self::new(FaultKind::Other(format!("{} is expected, not {found}", plain(expected))))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(FaultKind::Other(format!("{} is expected, not {found}", plain(expected))))
    }
}

/// serde's names of what is expected, in words.
fn plain(expected: &dyn de::Expected) -> String {
    match expected.to_string().as_str() {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of at least 0".into(),
        "i64" | "i32" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a string" | "path string" => "text in quotes".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        other => other.strip_prefix("internally tagged enum ").map_or_else(
            || other.strip_prefix("struct ").map_or(other.to_owned(), |_| "a section".to_owned()),
            |_| "a section with a kind".to_owned(),
        ),
    }
}

/// Reads a value out of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a Node);

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Text(text) => visitor.visit_str(text),
            Value::Integer(number) => match u64::try_from(*number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_i64(*number),
            },
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Truth(truth) => visitor.visit_bool(*truth),
            Value::Array(nodes) => visitor.visit_seq(Items { nodes: nodes.iter() }),
            Value::Table(table) => visitor.visit_map(Entries { entries: table.iter(), next: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Text(word) => visitor.visit_enum(word.as_str().into_deserializer()),
            Value::Table(table) if table.len() == 1 => {
                visitor.visit_enum(Tagged { entries: table.iter() })
            }
            _ => Err(Fault::new(FaultKind::Other(format!(
                "one of {} is expected",
                variants.join(", ")
            )))),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'a> {
    nodes: std::slice::Iter<'a, Node>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        self.nodes.next().map(|node| seed.deserialize(Reader(node))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.nodes.len())
    }
}

struct Entries<'a> {
    entries: std::collections::btree_map::Iter<'a, String, Node>,
    next: Option<(&'a str, &'a Node)>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((key, node)) = self.entries.next() else { return Ok(None) };
        self.next = Some((key, node));
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) = self
            .next
            .take()
            .ok_or_else(|| Fault::new(FaultKind::Other("a value has no key".into())))?;
        seed.deserialize(Reader(node)).map_err(|fault| fault.under(key))
    }
}

/// `{ norm = 5.0 }`: an enum variant that holds something.
struct Tagged<'a> {
    entries: std::collections::btree_map::Iter<'a, String, Node>,
}

impl<'de, 'a> de::EnumAccess<'de> for Tagged<'a> {
    type Error = Fault;
    type Variant = Held<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        mut self,
        seed: V,
    ) -> Result<(V::Value, Held<'a>), Fault> {
        let (key, node) = self
            .entries
            .next()
            .ok_or_else(|| Fault::new(FaultKind::Other("a choice is expected".into())))?;
        let word = seed.deserialize(key.as_str().into_deserializer())?;
        Ok((word, Held { key, node }))
    }
}

struct Held<'a> {
    key: &'a str,
    node: &'a Node,
}

impl<'de> de::VariantAccess<'de> for Held<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Err(Fault::new(FaultKind::Other(format!("write it as \"{}\"", self.key))))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(Reader(self.node)).map_err(|fault| fault.under(self.key))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_any(Reader(self.node), visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_any(Reader(self.node), visitor)
            .map_err(|fault| fault.under(self.key))
    }
}
