//! Which part of the people somebody belongs to: by a channel, as it is or in bands.

use std::collections::BTreeMap;

use sequela_core::{Location, Sequence, Steps};

use crate::Error;
use crate::model::ChannelSpec;
use crate::study::nearest;

/// A channel that parts people, and the edges of its bands.
///
/// Written `male`, one group for each value, or `age:45,65,80`, bands below, between and from
/// these edges on. The value of a series is the first that was observed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grouping {
    channel: usize,
    pub(crate) name: String,
    edges: Vec<f64>,
}

impl Grouping {
    /// Reads one, of the channels of a model; `place` is where it stands.
    pub(crate) fn parse(
        text: &str,
        channels: &[ChannelSpec],
        place: &Location,
    ) -> Result<Self, Error> {
        let refuse = |what: String, hint: String| {
            Err(Error::Study { location: place.clone().into(), what, hint })
        };
        let (name, edges) = text.split_once(':').unwrap_or((text, ""));
        let name = name.trim();
        let Some(channel) = channels.iter().position(|channel| channel.name == name) else {
            let names: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
            return refuse(
                format!("the model has no channel {name} to part people by"),
                nearest::hint(name, &names),
            );
        };
        let edges: Vec<Option<f64>> = edges
            .split(',')
            .filter(|edge| !edge.trim().is_empty())
            .map(|edge| edge.trim().parse().ok().filter(|edge: &f64| edge.is_finite()))
            .collect();
        let Some(edges) = edges.into_iter().collect::<Option<Vec<f64>>>() else {
            return refuse("an edge is not a number".into(), "write for example age:45,65".into());
        };
        if edges.windows(2).any(|pair| pair[0] >= pair[1]) {
            return refuse("the edges do not rise".into(), "write for example age:45,65".into());
        }
        Ok(Self { channel, name: name.to_owned(), edges })
    }

    /// The groups in their order, each with the positions of its series; series that have no
    /// value are a last one, `not known`.
    pub(crate) fn parts<'a>(
        &self,
        sequences: impl IntoIterator<Item = &'a Sequence>,
    ) -> Result<Vec<(String, Vec<usize>)>, Error> {
        let mut parts: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for (at, sequence) in sequences.into_iter().enumerate() {
            parts.entry(self.key(sequence)).or_default().push(at);
            if parts.len() > MOST {
                return Err(Error::data(
                    self.name.as_str(),
                    format!("it has more than {MOST} different values"),
                    format!("give edges of bands, for example {}:45,65", self.name),
                ));
            }
        }
        Ok(parts.into_iter().map(|(key, rows)| (self.words(key), rows)).collect())
    }

    fn key(&self, sequence: &Sequence) -> Key {
        let Steps::Numeric { values, observed, features } = &sequence.steps else {
            return Key::Unknown;
        };
        let mut column = values.iter().zip(observed).skip(self.channel).step_by(*features);
        let Some((value, _)) = column.find(|(_, seen)| **seen) else { return Key::Unknown };
        if self.edges.is_empty() {
            return Key::Value(Ordered(f64::from(*value)));
        }
        Key::Band(self.edges.iter().filter(|edge| f64::from(*value) >= **edge).count())
    }

    fn words(&self, key: Key) -> String {
        match key {
            Key::Unknown => "not known".to_owned(),
            Key::Value(Ordered(value)) => format!("{value}"),
            Key::Band(at) => match (at.checked_sub(1).map(|at| self.edges[at]), self.edges.get(at))
            {
                (None, Some(high)) => format!("below {high}"),
                (Some(low), Some(high)) => format!("{low} to below {high}"),
                (Some(low), None) => format!("{low} and above"),
                (None, None) => "all".to_owned(),
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Value(Ordered),
    Band(usize),
    Unknown,
}

/// A finite number with its order.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Groups by value at most.
const MOST: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::SubjectId;

    fn channels() -> Vec<ChannelSpec> {
        ["hr", "age"].map(|name| ChannelSpec { name: name.into(), unit: String::new() }).to_vec()
    }

    fn people(ages: &[f32]) -> Vec<Sequence> {
        let of = |(at, age): (usize, &f32)| {
            let rows = [70.0, f32::NAN, 71.0, *age, 72.0, 1.0];
            Sequence::numeric(at.to_string(), SubjectId::new(at.to_string()), 2, &rows).unwrap()
        };
        ages.iter().enumerate().map(of).collect()
    }

    #[test]
    fn bands_and_values_come_in_their_order() {
        let place = Location::file("x");
        let bands = Grouping::parse("age: 45, 65", &channels(), &place).unwrap();
        let parts = bands.parts(&people(&[80.0, 30.0, 45.0, 64.9, 65.0])).unwrap();
        let names: Vec<&str> = parts.iter().map(|part| part.0.as_str()).collect();
        assert_eq!(names, ["below 45", "45 to below 65", "65 and above"]);
        assert_eq!(parts[2].1, [0, 4]);
        let values = Grouping::parse("age", &channels(), &place).unwrap();
        let parts = values.parts(&people(&[10.0, 2.0, f32::NAN, 2.0])).unwrap();
        let names: Vec<&str> = parts.iter().map(|part| part.0.as_str()).collect();
        assert_eq!(names, ["1", "2", "10"]);
        let many: Vec<f32> = (0..20_u8).map(f32::from).collect();
        let error = values.parts(&people(&many)).unwrap_err().to_string();
        assert!(error.contains("more than 12 different values; give edges"), "{error}");
    }

    #[test]
    fn what_cannot_part_people_is_refused() {
        let place = Location::file("study").field("evaluate.subgroups[0]");
        let error =
            |text: &str| Grouping::parse(text, &channels(), &place).unwrap_err().to_string();
        assert!(error("agee").contains("no channel agee to part people by; did you mean \"age\"?"));
        assert!(error("age:x").contains("an edge is not a number"));
        assert!(error("age:65,45").contains("the edges do not rise"));
    }
}
