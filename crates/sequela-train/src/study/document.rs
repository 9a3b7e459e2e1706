//! A study as a tree of values that know where they came from.
//!
//! The tree is what `--set` changes and what the typed study is read from; it exists so that a
//! message about any value can name its line, or the override that set it.

use std::collections::BTreeMap;
use std::path::Path;

use sequela_core::Location;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, FaultKind};
use crate::Error;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A line of the file, from 1.
    Line(u64),
    /// A `--set`.
    Override,
}

/// A value and its origin.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// What TOML can say, without dates: no field of a study is one.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Truth(bool),
    Array(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

/// A whole study file.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) root: Node,
    name: std::path::PathBuf,
}

impl Document {
    /// The tree of a TOML text; `name` stands for the file in messages.
    pub(crate) fn parse(text: &str, name: &Path) -> Result<Self, Error> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            Error::Study {
                location: Location::file(name).line(line).into(),
                what: error.message().lines().collect::<Vec<_>>().join(", "),
                hint: "see the TOML syntax at https://toml.io".into(),
            }
        })?;
        let root = Node { value: read_table(table.get_ref(), text)?, origin: Origin::Line(1) };
        Ok(Self { root, name: name.to_owned() })
    }

    /// Changes one value, making the sections above it where they are not there.
    pub(crate) fn set(&mut self, change: &Override) -> Result<(), Error> {
        let mut node = &mut self.root;
        for (depth, key) in change.path.iter().enumerate() {
            let last = depth + 1 == change.path.len();
            let Value::Table(table) = &mut node.value else {
                let parent = change.path[..depth].join(".");
                return Err(Error::Study {
                    location: change.location().into(),
                    what: format!("{parent} is a value, not a section"),
                    hint: format!("set {parent} itself"),
                });
            };
            let origin = Origin::Override;
            if last {
                table.insert(key.clone(), Node { value: change.value.clone(), origin });
                return Ok(());
            }
            let empty = Value::Table(BTreeMap::new());
            node = table.entry(key.clone()).or_insert(Node { value: empty, origin });
        }
        Ok(())
    }

    /// The place of the value at `path`, or of the deepest section of it that exists.
    pub(crate) fn location(&self, path: &[String]) -> Location {
        let mut node = &self.root;
        let mut origin = &self.root.origin;
        for key in path {
            let Value::Table(table) = &node.value else { break };
            let Some(next) = table.get(key) else { break };
            node = next;
            origin = &next.origin;
        }
        let location = match origin {
            Origin::Line(line) => Location::file(&self.name).line(*line),
            Origin::Override => Location::file("--set"),
        };
        if path.is_empty() { location } else { location.field(path.join(".")) }
    }

    /// Whether a value was written at `path`.
    pub(crate) fn has(&self, path: &[&str]) -> bool {
        self.at(path).is_some()
    }

    /// What stands at a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(&self.root, |node, key| match &node.value {
            Value::Table(table) => table.get(*key),
            _ => None,
        })
    }

    /// The message for a fault that was met while reading the tree.
    pub(crate) fn explain(&self, fault: Fault) -> Error {
        let mut path = fault.path;
        path.reverse();
        let section = if path.is_empty() { "a study".to_owned() } else { path.join(".") };
        let (what, hint) = match fault.kind {
            FaultKind::Unknown { field, expected } => {
                let hint = super::nearest::hint(&field, expected);
                path.push(field);
                (format!("{section} has no such field"), hint)
            }
            FaultKind::Missing { field } => {
                (format!("{field} is missing"), format!("add {field} = ... to [{section}]"))
            }
            FaultKind::Variant { word, expected } => {
                ("there is no such choice".into(), super::nearest::hint(&word, expected))
            }
            FaultKind::Other(what) => (what, "see `sequela init` for an example".into()),
        };
        Error::Study { location: self.location(&path).into(), what, hint }
    }
}

/// One `--set`: a path of keys and a value.
#[derive(Debug, Clone)]
pub struct Override {
    path: Vec<String>,
    value: Value,
    text: String,
}

impl Override {
    /// Reads `path.to.field=value`; the value is TOML, and what is not (`data.path=a.csv`) is
    /// taken as text.
    ///
    /// # Errors
    /// [`Error::Study`] where there is no `=` or a key is empty.
    ///
    /// # Example
    /// ```
    /// use sequela_train::Override;
    /// assert!(Override::parse("train.epochs=5").is_ok());
    /// assert!(Override::parse("window.horizons=[1, 5]").is_ok());
    /// assert!(Override::parse("train.epochs").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |what: &str| Error::Study {
            location: Location::file("--set").field(text).into(),
            what: what.into(),
            hint: "write it as --set train.epochs=5".into(),
        };
        let (path, value) = text.split_once('=').ok_or_else(|| refuse("there is no ="))?;
        let path: Vec<String> = path.split('.').map(|key| key.trim().to_owned()).collect();
        if path.iter().any(String::is_empty) {
            return Err(refuse("a key is empty"));
        }
        let value = value.trim();
        let line = format!("value = {value}");
        let parsed = DeTable::parse(&line).ok().and_then(|table| {
            let node = table.get_ref().get("value")?;
            let only = table.get_ref().len() == 1;
            only.then(|| read_value(node.get_ref(), &line).ok()).flatten()
        });
        let value = parsed.map_or_else(|| Value::Text(value.to_owned()), overridden);
        Ok(Self { path, value, text: text.to_owned() })
    }

    fn location(&self) -> Location {
        Location::file("--set").field(&self.text)
    }
}

/// A value of which every part came from an override, not from a line of a file.
fn overridden(value: Value) -> Value {
    let of = |node: Node| Node { value: overridden(node.value), origin: Origin::Override };
    match value {
        Value::Array(nodes) => Value::Array(nodes.into_iter().map(of).collect()),
        Value::Table(table) => {
            Value::Table(table.into_iter().map(|(key, node)| (key, of(node))).collect())
        }
        other => other,
    }
}

fn read_table(table: &DeTable<'_>, text: &str) -> Result<Value, Error> {
    let mut entries = BTreeMap::new();
    for (key, value) in table {
        let origin = Origin::Line(line_of(text, key.span().start));
        let value = read_value(value.get_ref(), text)?;
        entries.insert(key.get_ref().to_string(), Node { value, origin });
    }
    Ok(Value::Table(entries))
}

fn read_value(value: &DeValue<'_>, text: &str) -> Result<Value, Error> {
    let refuse = |what: &str| Error::Study {
        location: Location::default().into(),
        what: what.into(),
        hint: "write the number in another way, or as text in quotes".into(),
    };
    Ok(match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(truth) => Value::Truth(*truth),
        DeValue::Integer(number) => Value::Integer(
            i64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| refuse("a whole number is too large"))?,
        ),
        DeValue::Float(number) => {
            Value::Float(number.as_str().parse().map_err(|_| refuse("a number cannot be read"))?)
        }
        DeValue::Datetime(_) => return Err(refuse("a date is not expected in a study")),
        DeValue::Array(items) => {
            let mut nodes = Vec::with_capacity(items.len());
            for item in items {
                let origin = Origin::Line(line_of(text, item.span().start));
                nodes.push(Node { value: read_value(item.get_ref(), text)?, origin });
            }
            Value::Array(nodes)
        }
        DeValue::Table(table) => read_table(table, text)?,
    })
}

fn line_of(text: &str, byte: usize) -> u64 {
    1 + text.as_bytes().iter().take(byte).filter(|&&byte| byte == b'\n').count() as u64
}
