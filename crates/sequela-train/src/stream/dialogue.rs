//! A line in, a line out: bytes of many subjects' steps to bytes of forecasts.

use std::path::Path;

use sequela_core::{Limits, Location};
use sequela_formats::csv::LineFault;

use crate::Error;
use crate::model::Model;

use super::answers::{Answer, Writer};
use super::input::{Input, Kind, Refusal, Said};
use super::{StreamOptions, Streams};

/// What lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputFormat {
    /// JSON where the first line begins with a brace, values where it has numbers only, else CSV.
    #[default]
    Auto,
    /// A table with a header line: the model's channels by name, perhaps subject and time.
    Csv,
    /// The model's channels in their order, parted by commas, without a header.
    Values,
    /// One JSON object a line.
    Json,
}

/// What answers look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    Csv,
    Json,
}

/// What follows a line that is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFault {
    /// The lines before it are answered, then the dialogue ends with an error.
    #[default]
    Stop,
    /// It is answered by what is wrong with it, and counted; its subject stays as it was. The
    /// first lines, which tell how the others are read, have to be right all the same.
    Skip,
}

/// How a [`Dialogue`] is held.
#[derive(Debug, Clone, Default)]
pub struct DialogueOptions {
    /// What lines look like.
    pub format: InputFormat,
    /// The column or key of the subject, where it is not to be guessed.
    pub subject: Option<String>,
    /// The column or key of the time, where it is not to be guessed.
    pub time: Option<String>,
    /// What follows a line that is not understood.
    pub on_fault: OnFault,
    /// Whether answers are JSON whatever the lines are.
    pub json: bool,
    /// What is used for the states.
    pub streams: StreamOptions,
    /// Bounds on what is read; [`Limits::line_bytes`] for each line.
    pub limits: Limits,
}

/// Lines of steps in, a line of forecasts out for each, in their order.
///
/// Everything that one call brings is stepped together. **Determinism** the answers do not
/// depend on how the bytes are cut into calls; see [`Streams`] for the forecasts.
///
/// # Example
/// ```no_run
/// use sequela_core::Limits;
/// use sequela_train::{Dialogue, DialogueOptions, Model};
/// let model = Model::load("run/model.safetensors".as_ref(), &Limits::default())?;
/// let mut dialogue = Dialogue::new(&model, "standard input".as_ref(), DialogueOptions::default())?;
/// let mut answers = Vec::new();
/// dialogue.hear(b"patient,heart_rate\np1,71\np2,88\np1,7", &mut answers)?;
/// dialogue.hear(b"2\n", &mut answers)?;
/// dialogue.finish(&mut answers)?;
/// assert_eq!(answers.iter().filter(|&&byte| byte == b'\n').count(), 4, "a header and three");
/// # Ok::<(), sequela_train::Error>(())
/// ```
#[derive(Debug)]
pub struct Dialogue<'a> {
    streams: Streams<'a>,
    options: DialogueOptions,
    place: Location,
    input: Input,
    writer: Option<Writer>,
    /// The beginning of a line whose end is still to come.
    begun: Vec<u8>,
    /// Whether the line at hand is too long and passed over to its end.
    passing: bool,
    line: u64,
    values: Vec<f32>,
    pending: Vec<Pending>,
    /// Subjects and times of the pending lines, one after the other.
    echoes: String,
    answered: u64,
    faults: u64,
    /// Windows inside and outside of what was seen in training.
    placed: [u64; 2],
}

/// A line that waits for its answer.
#[derive(Debug)]
struct Pending {
    line: u64,
    /// Where in the echoes subject and time end.
    ends: [usize; 2],
    outcome: Result<usize, LineFault>,
}

impl<'a> Dialogue<'a> {
    /// A dialogue that begins; `name` stands for the input in messages.
    ///
    /// # Errors
    /// As [`Streams::new`].
    pub fn new(model: &'a Model, name: &Path, options: DialogueOptions) -> Result<Self, Error> {
        Ok(Self {
            streams: Streams::new(model, &options.streams)?,
            place: Location::file(name),
            input: Input::Unknown,
            writer: None,
            begun: Vec::new(),
            passing: false,
            line: 0,
            values: vec![0.0; model.manifest().schema.len()],
            pending: Vec::new(),
            echoes: String::new(),
            answered: 0,
            faults: 0,
            placed: [0; 2],
            options,
        })
    }

    /// The states, to be saved or restored between two calls.
    pub fn streams(&mut self) -> &mut Streams<'a> {
        &mut self.streams
    }

    /// Lines that were answered, by forecasts or by a fault.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Lines that were answered by a fault.
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// Lines that were answered from a whole window, and how many of these windows lie outside of what
    /// the model has seen in training; none where the model file does not know.
    pub fn outside(&self) -> Option<(u64, u64)> {
        let [inside, outside] = self.placed;
        let knows = self.streams.model().manifest().encoder.envelope.is_some();
        knows.then_some((inside + outside, outside))
    }

    /// How the lines are read, in words, once that is known.
    pub fn reading(&self) -> Option<String> {
        let form = match &self.input {
            Input::Unknown | Input::Header(_) => return None,
            Input::Bare(_) => return Some("values of one subject, without a header".to_owned()),
            Input::Table(_) => "CSV",
            Input::Json(_) => "JSON",
        };
        let (subject, time) = self.input.keys();
        let subject =
            subject.map_or("all of one subject".to_owned(), |name| format!("subjects by {name}"));
        let time = time.map_or("no times".to_owned(), |time| {
            format!("times by {} ({})", time.name, time.format.name())
        });
        Some(format!("{form}, {subject}, {time}"))
    }

    /// Takes the next bytes and appends the answers to all lines that end in them to `answers`.
    ///
    /// # Errors
    /// [`Error::Data`] with line and field for a line that is not understood, under
    /// [`OnFault::Stop`]; [`Error::Format`] for a header without the model's channels. The lines
    /// before it are answered, their steps are taken, and nothing more should be heard.
    pub fn hear(&mut self, bytes: &[u8], answers: &mut Vec<u8>) -> Result<(), Error> {
        let heard = self.lines(bytes, answers);
        self.answer(answers)?;
        heard
    }

    /// Takes the end of the input: the last line may have none.
    ///
    /// # Errors
    /// As [`Dialogue::hear`].
    pub fn finish(&mut self, answers: &mut Vec<u8>) -> Result<(), Error> {
        if self.begun.is_empty() { Ok(()) } else { self.hear(b"\n", answers) }
    }

    fn lines(&mut self, bytes: &[u8], answers: &mut Vec<u8>) -> Result<(), Error> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            self.line += 1;
            if self.passing {
                self.passing = false;
                continue;
            }
            if self.begun.is_empty() {
                self.line_of(line)?;
            } else {
                let mut begun = std::mem::take(&mut self.begun);
                begun.extend_from_slice(line);
                let taken = self.line_of(&begun);
                begun.clear();
                self.begun = begun;
                taken?;
            }
            if self.pending.len() >= QUEUE {
                self.answer(answers)?;
            }
        }
        if !self.passing {
            self.begun.extend_from_slice(rest);
            if self.begun.len() as u64 > self.options.limits.line_bytes {
                self.begun = Vec::new();
                self.passing = true;
                self.line += 1;
                let fault = self.too_long();
                self.fault(fault)?;
                self.line -= 1;
            }
        }
        Ok(())
    }

    fn too_long(&self) -> LineFault {
        let limit = self.options.limits.line_bytes;
        LineFault::of_line(format!("the line is over {limit} bytes"), "send one step a line")
    }

    fn line_of(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() as u64 > self.options.limits.line_bytes {
            let fault = self.too_long();
            return self.fault(fault);
        }
        let bytes = match bytes.strip_prefix(b"\xEF\xBB\xBF") {
            Some(after) if self.line == 1 => after,
            _ => bytes,
        };
        let Ok(line) = std::str::from_utf8(bytes) else {
            return self.fault(LineFault::of_line("the text is not UTF-8", "send UTF-8"));
        };
        let line = line.strip_suffix('\r').unwrap_or(line);
        let place = self.place.clone();
        match self.input.look(line, self.streams.model(), &self.options, &place) {
            Ok(Kind::Step) => self.step(line),
            Ok(Kind::Header | Kind::Blank) => Ok(()),
            Err(Refusal::Line(fault)) => self.fault(fault),
            Err(Refusal::Input(error)) => Err(error),
        }
    }

    fn step(&mut self, line: &str) -> Result<(), Error> {
        let mut said = Said::default();
        let read = self.input.read(line, &mut said, &mut self.values);
        let subject = said.subject.as_deref().unwrap_or_default();
        self.echoes.push_str(subject);
        let end = self.echoes.len();
        let time = said.time.as_ref().map(|(time, text)| {
            self.echoes.push_str(text);
            *time
        });
        let ends = [end, self.echoes.len()];
        self.streams.make_room()?;
        let taken = read.and_then(|()| self.streams.queue(subject, time, &self.values));
        self.pend(ends, taken)
    }

    /// Answers the line at hand by a fault.
    fn fault(&mut self, fault: LineFault) -> Result<(), Error> {
        self.pend([self.echoes.len(); 2], Err(fault))
    }

    fn pend(&mut self, ends: [usize; 2], outcome: Result<usize, LineFault>) -> Result<(), Error> {
        // How the rest is read hangs on the first lines: these have to be right.
        let stops = self.options.on_fault == OnFault::Stop
            || matches!(self.input, Input::Unknown | Input::Header(_));
        if let (Err(fault), true) = (&outcome, stops) {
            let LineFault { field, what, hint } = fault.clone();
            let place = self.place.clone().line(self.line);
            let location = match field {
                Some(field) => place.field(self.named(field)),
                None => place,
            };
            let (what, hint) = (what.into_owned(), hint.into_owned());
            return Err(Error::Data { location: location.into(), what, hint });
        }
        self.pending.push(Pending { line: self.line, ends, outcome });
        Ok(())
    }

    /// The name that the input has for a field.
    fn named(&self, field: String) -> String {
        let time = self.input.keys().1.filter(|_| field == "time");
        time.map_or(field, |time| time.name.clone())
    }

    /// Takes the queued steps and writes the answers to all pending lines.
    fn answer(&mut self, answers: &mut Vec<u8>) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.streams.run()?;
        let writer = self.writer(answers);
        let mut start = 0;
        for Pending { line, ends, outcome } in &self.pending {
            let placing = outcome.as_ref().ok().and_then(|&at| self.streams.placing(at));
            let outcome = outcome.as_ref().map(|&at| self.streams.forecasts(at));
            self.faults += u64::from(outcome.is_err());
            if let Some(placing) = placing {
                self.placed[usize::from(!placing.is_inside())] += 1;
            }
            let [subject, time] = [&self.echoes[start..ends[0]], &self.echoes[ends[0]..ends[1]]];
            writer.write(&Answer { line: *line, subject, time, outcome, placing }, answers);
            start = ends[1];
        }
        self.answered += self.pending.len() as u64;
        self.pending.clear();
        self.echoes.clear();
        self.streams.clear()
    }

    /// How answers are written, told by the first ones: a table gets its header.
    fn writer(&mut self, out: &mut Vec<u8>) -> Writer {
        if let Some(writer) = self.writer {
            return writer;
        }
        let model = self.streams.model();
        let (subject, time) = self.input.keys();
        let json = self.options.json || matches!(self.input, Input::Json(_));
        let writer = Writer {
            answers: if json { Answers::Json } else { Answers::Csv },
            keys: [subject.is_some(), time.is_some()],
            faults: self.options.on_fault == OnFault::Skip,
            horizons: model.manifest().encoder.horizons.len(),
            placed: model.manifest().encoder.envelope.is_some(),
        };
        if let (Input::Table(_), false) = (&self.input, json) {
            let names = [subject.unwrap_or_default(), time.map_or("", |time| &time.name)];
            writer.header(model, names, out);
        }
        self.writer = Some(writer);
        writer
    }
}

/// Lines that are stepped together at most.
const QUEUE: usize = 8192;
