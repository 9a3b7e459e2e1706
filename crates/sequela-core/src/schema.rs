//! What the columns of a sequence are.

/// One channel: its name and its unit, as the standard that owns it spells them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Channel {
    /// Name, e.g. `heart_rate`.
    pub name: String,
    /// Unit, e.g. `bpm`; empty where there is none or it is not known.
    pub unit: String,
}

/// The ordered channels of a data set. Two schemas are the same if names, units and order are.
///
/// # Example
/// ```
/// use sequela_core::{Channel, Schema};
/// let schema = Schema::new(vec![Channel { name: "heart_rate".into(), unit: "bpm".into() }]);
/// assert_eq!(schema.position("heart_rate"), Some(0));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    channels: Vec<Channel>,
}

impl Schema {
    /// A schema of these channels, in this order.
    pub fn new(channels: Vec<Channel>) -> Self {
        Self { channels }
    }

    /// The channels in order.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// Number of channels, F.
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether there is no channel.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// The index of the channel called `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.channels.iter().position(|channel| channel.name == name)
    }
}
