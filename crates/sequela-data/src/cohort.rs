//! Many sequences of one schema, and where they come from.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use sequela_core::{Location, Schema, Sequence, Steps, SubjectId, Target};
use sha2::{Digest, Sha256};

use crate::Error;

/// The sequences of a data set.
///
/// Every numeric sequence has the channels of the schema, and no two have the same name; nothing
/// downstream checks again.
///
/// # Example
/// ```
/// use sequela_core::{Channel, Schema, Sequence, SubjectId};
/// use sequela_data::Cohort;
/// let schema = Schema::new(vec![Channel { name: "hr".into(), unit: "bpm".into() }]);
/// let sequence = Sequence::numeric("a", SubjectId::new("p1"), 1, &[70.0, 71.0])?;
/// let cohort = Cohort::new(schema, vec![sequence], "by hand")?;
/// assert_eq!(cohort.steps(), 2);
/// assert_eq!(cohort.subjects().len(), 1);
/// # Ok::<(), sequela_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    schema: Schema,
    sequences: Vec<Sequence>,
    source: String,
    notes: Vec<String>,
}

impl Cohort {
    /// A cohort of these sequences; `source` says in words where they come from.
    ///
    /// # Errors
    /// [`Error::Unfit`] where a sequence has other channels than the schema, or two have one
    /// name.
    pub fn new(
        schema: Schema,
        sequences: Vec<Sequence>,
        source: impl Into<String>,
    ) -> Result<Self, Error> {
        let mut names = BTreeSet::new();
        for sequence in &sequences {
            let place = || Location::default().field(sequence.id.as_str());
            if let Steps::Numeric { features, .. } = &sequence.steps
                && *features != schema.len()
            {
                return Err(Error::unfit(
                    place(),
                    format!("the sequence has {features} channels, not {}", schema.len()),
                    "give all sequences the same channels",
                ));
            }
            if !names.insert(sequence.id.as_str()) {
                return Err(Error::unfit(
                    place(),
                    "two sequences have this name",
                    "rename one of them",
                ));
            }
        }
        Ok(Self { schema, sequences, source: source.into(), notes: Vec::new() })
    }

    /// The same cohort with a remark on how it was made, e.g. how many values became missing.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The channels, F of them.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The sequences, in the order of their source.
    pub fn sequences(&self) -> &[Sequence] {
        &self.sequences
    }

    /// Where the sequences come from, in words.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Remarks on how the cohort was made.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.sequences.len()
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// Steps of all sequences together.
    pub fn steps(&self) -> usize {
        self.sequences.iter().map(Sequence::len).sum()
    }

    /// Missing values of all sequences together.
    pub fn missing(&self) -> usize {
        self.sequences.iter().map(Sequence::missing).sum()
    }

    /// The subjects, sorted, each once.
    pub fn subjects(&self) -> Vec<SubjectId> {
        let subjects: BTreeSet<&SubjectId> = self.sequences.iter().map(|s| &s.subject).collect();
        subjects.into_iter().cloned().collect()
    }

    /// The cohort of the sequences at these positions, in this order; positions past the end
    /// are left out.
    #[must_use]
    pub fn select(&self, positions: &[usize]) -> Self {
        let sequences =
            positions.iter().filter_map(|&at| self.sequences.get(at)).cloned().collect();
        self.with_sequences(sequences)
    }

    /// The same cohort with a target for each subject; sequences of subjects without one are left
    /// out.
    #[must_use]
    pub fn with_targets(&self, targets: &BTreeMap<SubjectId, Target>) -> Self {
        let labelled = |sequence: &Sequence| {
            let target = targets.get(&sequence.subject)?.clone();
            Some(Sequence { target, ..sequence.clone() })
        };
        self.with_sequences(self.sequences.iter().filter_map(labelled).collect())
    }

    /// SHA-256, in hexadecimal, over schema and sequences: names, subjects, times, values, masks,
    /// statics, targets. The source and the notes do not count, nor what masked values hold.
    ///
    /// **Determinism** the same on every machine. **Cost** linear in the values.
    pub fn fingerprint(&self) -> String {
        let mut digest = Fingerprint(Sha256::new());
        digest.text("sequela cohort 1");
        digest.number(self.schema.len() as u64);
        for channel in self.schema.channels() {
            digest.text(&channel.name);
            digest.text(&channel.unit);
        }
        digest.number(self.sequences.len() as u64);
        for sequence in &self.sequences {
            digest.sequence(sequence);
        }
        let mut text = String::with_capacity(64);
        for byte in digest.0.finalize() {
            text.push(hex_digit(byte >> 4));
            text.push(hex_digit(byte & 15));
        }
        text
    }

    /// Where a sequence comes from, for messages.
    pub(crate) fn place(&self, sequence: &Sequence) -> Location {
        Location::file(&self.source).field(sequence.id.as_str())
    }

    /// The same schema and source with other sequences, which must fit them.
    pub(crate) fn with_sequences(&self, sequences: Vec<Sequence>) -> Self {
        Self {
            schema: self.schema.clone(),
            sequences,
            source: self.source.clone(),
            notes: self.notes.clone(),
        }
    }
}

/// The steps `range` of a sequence, which must lie inside it.
pub(crate) fn slice(sequence: &Sequence, range: Range<usize>) -> Sequence {
    let steps = match &sequence.steps {
        Steps::Numeric { values, observed, features } => {
            let cells = range.start * features..range.end * features;
            Steps::Numeric {
                values: values[cells.clone()].to_vec(),
                observed: observed[cells].to_vec(),
                features: *features,
            }
        }
        Steps::Tokens(tokens) => Steps::Tokens(tokens[range.clone()].to_vec()),
        // A kind of steps that this crate does not know cannot be cut.
        other => other.clone(),
    };
    let target = match &sequence.target {
        Target::PerStep(labels) => Target::PerStep(labels[range.clone()].to_vec()),
        other => other.clone(),
    };
    Sequence {
        id: sequence.id.clone(),
        subject: sequence.subject.clone(),
        times: sequence.times.as_ref().map(|times| times[range].to_vec()),
        steps,
        statics: sequence.statics.clone(),
        target,
    }
}

/// What a digest is made of, piece by piece.
pub(crate) struct Fingerprint(pub(crate) Sha256);

impl Fingerprint {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn optional(&mut self, value: Option<u64>) {
        self.number(u64::from(value.is_some()));
        self.number(value.unwrap_or(0));
    }

    fn sequence(&mut self, sequence: &Sequence) {
        self.text(&sequence.id);
        self.text(sequence.subject.as_str());
        self.contents(sequence);
        // Targets are few and small; their Rust spelling is exact.
        self.text(&format!("{:?}", sequence.target));
    }

    /// Times, values, masks and statics, whoever they are of.
    pub(crate) fn contents(&mut self, sequence: &Sequence) {
        self.number(sequence.len() as u64);
        self.number(u64::from(sequence.times.is_some()));
        for time in sequence.times.iter().flatten() {
            self.number(time.to_bits());
        }
        match &sequence.steps {
            Steps::Numeric { values, observed, .. } => {
                for (value, &seen) in values.iter().zip(observed) {
                    self.optional(seen.then(|| u64::from(value.to_bits())));
                }
            }
            Steps::Tokens(tokens) => {
                for &token in tokens {
                    self.number(u64::from(token));
                }
            }
            other => self.text(&format!("{other:?}")),
        }
        self.number(sequence.statics.len() as u64);
        for value in &sequence.statics {
            self.optional(value.map(|value| u64::from(value.to_bits())));
        }
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::Channel;

    fn cohort(values: &[f32]) -> Cohort {
        let schema = Schema::new(vec![Channel { name: "hr".into(), unit: "bpm".into() }]);
        let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, values).unwrap();
        Cohort::new(schema, vec![sequence], "test").unwrap()
    }

    #[test]
    fn fingerprints_tell_values_and_masks_apart() {
        let one = cohort(&[1.0, 2.0]).fingerprint();
        assert_eq!(one.len(), 64);
        assert_eq!(one, cohort(&[1.0, 2.0]).with_note("x").fingerprint());
        assert_ne!(one, cohort(&[1.0, 2.5]).fingerprint());
        assert_ne!(cohort(&[0.0]).fingerprint(), cohort(&[f32::NAN]).fingerprint());
    }

    #[test]
    fn other_channels_and_equal_names_are_refused() {
        let base = cohort(&[1.0]);
        let twice = vec![base.sequences[0].clone(), base.sequences[0].clone()];
        assert!(Cohort::new(base.schema.clone(), twice, "").is_err());
        assert!(Cohort::new(Schema::default(), base.sequences, "").is_err());
    }

    #[test]
    fn slices_keep_times_and_labels() {
        let mut sequence = cohort(&[1.0, 2.0, 3.0]).sequences.remove(0);
        sequence.target = Target::PerStep(vec![Some(1), None, Some(3)]);
        let sequence = sequence.with_times(vec![0.0, 1.0, 2.0]).unwrap();
        let part = slice(&sequence, 1..3);
        assert_eq!((part.len(), part.times.as_deref()), (2, Some(&[1.0, 2.0][..])));
        assert_eq!(part.target, Target::PerStep(vec![None, Some(3)]));
    }
}
