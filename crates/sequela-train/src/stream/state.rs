//! The state file: what is remembered of every subject, bit for bit.
//!
//! It is a safetensors file with a digest, like the model; it names the subjects and holds the
//! last values that were measured, so it is to be guarded like the data.

use std::path::Path;

use sequela_core::{Limits, Location};

use crate::Error;
use crate::tensors::{Array, Numbers, TensorFile};

use super::Streams;
use super::subjects::Widths;

impl Streams<'_> {
    /// Writes the state of all subjects, wholly or not at all; queued steps are taken first.
    /// `lines` is kept with it, for a sender that goes on where this state ends.
    ///
    /// **Cost** memory for twice the states while it writes.
    ///
    /// # Errors
    /// As [`Streams::run`]; [`Error::Format`] where writing fails, an earlier state is whole.
    pub fn save(&mut self, path: &Path, lines: u64) -> Result<(), Error> {
        self.run()?;
        let content = self.subjects.content();
        let Widths { floats, counts, past, .. } = self.subjects.widths();
        let subjects = content.names.len();
        let mut file = TensorFile::default();
        for (key, text) in [("kind", KIND), ("version", VERSION), ("model", self.model.digest())] {
            file.texts.insert(key.into(), text.into());
        }
        let names: Vec<&str> = content.names.iter().map(AsRef::as_ref).collect();
        file.texts.insert("lines".into(), lines.to_string());
        file.texts.insert("subjects".into(), serde_json::json!(names).to_string());
        let signed = |counts: &[u64]| {
            Numbers::I64(counts.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect())
        };
        for (name, width, numbers) in [
            ("times", 1, Numbers::F64(content.times.to_vec())),
            ("steps", 1, signed(content.steps)),
            ("states", floats, Numbers::F32(content.floats.to_vec())),
            ("counts", counts, signed(content.counts)),
            ("past", past, Numbers::F64(content.past.to_vec())),
        ] {
            file.arrays.insert(name.into(), Array { shape: vec![subjects, width], numbers });
        }
        file.save(path)
    }

    /// Takes the state of all subjects from a file; the number of lines that was kept with it.
    ///
    /// # Errors
    /// [`Error::Integrity`] where the file is damaged or was changed, is no state, or is the
    /// state of another model; [`Error::TooLarge`] where it has more subjects than are allowed;
    /// [`Error::Format`] where it cannot be read. Nothing is taken then.
    pub fn restore(&mut self, path: &Path, limits: &Limits) -> Result<u64, Error> {
        let file = TensorFile::load(path, limits)?;
        let place = |field: &str| Location::file(path).field(field);
        let refuse = |field: &str, what: &str| Err(Error::integrity(place(field), what));
        if file.text("kind", path)? != KIND {
            return refuse("kind", "this is not a state of streams");
        }
        let other = |field: &str, what: &str, hint: &str| {
            let (location, what, hint) = (place(field).into(), what.to_owned(), hint.to_owned());
            Err(Error::Integrity { location, what, hint })
        };
        if file.text("version", path)? != VERSION {
            let hint = "use the version of sequela that wrote it, or begin with a new state file";
            return other("version", "the state is of another format", hint);
        }
        if file.text("model", path)? != self.model.digest() {
            let hint = "name the model that it was saved with, or another state file";
            return other("model", "this is the state of another model", hint);
        }
        let Ok(lines) = file.text("lines", path)?.parse() else {
            return refuse("lines", "it is not a number");
        };
        let Ok(names) = serde_json::from_str::<Vec<String>>(file.text("subjects", path)?) else {
            return refuse("subjects", "it is not a list of names");
        };
        if names.len() > self.subjects.most() {
            return Err(Error::TooLarge {
                location: place("subjects").into(),
                what: format!("the number of subjects, {},", names.len()),
                limit: self.subjects.most() as u64,
                hint: "raise --max-subjects (max_subjects)".into(),
            });
        }
        let widths = self.subjects.widths();
        let Some(arrays) = Arrays::of(&file, names.len(), widths) else {
            return refuse("states", "its arrays are not those of the model's state");
        };
        let mut subjects = super::Subjects::new(widths, self.subjects.most());
        for (slot, name) in names.iter().enumerate() {
            let Some(memory) = subjects.restore(name, arrays.times[slot]) else {
                return refuse("subjects", "a subject is there twice");
            };
            let of = |width: usize| slot * width..(slot + 1) * width;
            let unsigned = |&n: &i64| u64::try_from(n).unwrap_or(0);
            *memory.steps = unsigned(&arrays.steps[slot]);
            memory.floats.copy_from_slice(&arrays.states[of(widths.floats)]);
            for (to, from) in memory.counts.iter_mut().zip(&arrays.counts[of(widths.counts)]) {
                *to = unsigned(from);
            }
            memory.past.copy_from_slice(&arrays.past[of(widths.past)]);
            if let Some(watch) = &self.watch {
                watch.recount(memory);
            }
        }
        self.clear()?;
        self.subjects = subjects;
        Ok(lines)
    }
}

/// The arrays of a state, of the sizes that the model asks for.
struct Arrays<'a> {
    times: &'a [f64],
    steps: &'a [i64],
    states: &'a [f32],
    counts: &'a [i64],
    past: &'a [f64],
}

impl<'a> Arrays<'a> {
    fn of(file: &'a TensorFile, subjects: usize, widths: Widths) -> Option<Self> {
        let array = |name: &str, width: usize| {
            let array = file.arrays.get(name)?;
            (array.shape == [subjects, width]).then_some(&array.numbers)
        };
        let doubles = |name: &str, width: usize| match array(name, width)? {
            Numbers::F64(values) => Some(values.as_slice()),
            _ => None,
        };
        let integers = |name: &str, width: usize| match array(name, width)? {
            Numbers::I64(values) => Some(values.as_slice()),
            _ => None,
        };
        let Numbers::F32(states) = array("states", widths.floats)? else { return None };
        let arrays = Self {
            times: doubles("times", 1)?,
            steps: integers("steps", 1)?,
            states,
            counts: integers("counts", widths.counts)?,
            past: doubles("past", widths.past)?,
        };
        // A count is of steps that were: nothing was seen after the last one.
        let sound = (0..subjects).all(|slot| {
            let counts = &arrays.counts[slot * widths.counts..(slot + 1) * widths.counts];
            arrays.steps[slot] >= 0
                && counts.iter().all(|count| (0..=arrays.steps[slot]).contains(count))
                && !arrays.times[slot].is_infinite()
        });
        sound.then_some(arrays)
    }
}

const KIND: &str = "sequela stream state";
/// 2: the last window of each subject and its times, for the envelope.
const VERSION: &str = "2";
