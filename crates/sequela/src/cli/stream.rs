//! `sequela predict --stream`: a line in, a line out, for many subjects at once.
//!
//! One thread reads what is waiting; this one steps it, answers it and keeps the state file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use clap::{Args, ValueEnum};
use sequela_core::{Class, Limits};
use sequela_formats::lock::RunLock;
use sequela_nn::Precision;
use sequela_train::{Data, Dialogue, DialogueOptions, InputFormat, Model, OnFault, StreamOptions};

use super::console::Console;
use super::failure::{Failure, Outcome};
use super::signal::stop_flag;

/// Arguments of `sequela predict --stream`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of --stream")]
pub(crate) struct Streaming {
    /// A line in, a line out
    #[arg(long, conflicts_with_all = ["every", "out"])]
    stream: bool,
    /// What lines look like
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Auto, requires = "stream")]
    input_format: Format,
    /// Column or key that says whose a line is [default: as in training, else by its name]
    #[arg(long, value_name = "NAME", requires = "stream")]
    subject: Option<String>,
    /// Column or key of the time [default: as in training, else by its name]
    #[arg(long, value_name = "NAME", requires = "stream")]
    time: Option<String>,
    /// What follows a line that is not understood
    #[arg(long, value_enum, default_value_t = OnError::Stop, requires = "stream")]
    on_error: OnError,
    /// Take the subjects' states from this file where it is there, and keep them in it
    #[arg(long, value_name = "FILE", requires = "stream")]
    state: Option<PathBuf>,
    /// Lines between two writings of the state; it is written at the end in any case
    #[arg(long, value_name = "N", default_value_t = 100_000, requires = "state",
          value_parser = clap::value_parser!(u64).range(1..))]
    save_every: u64,
    /// Refuse more subjects than this
    #[arg(long, value_name = "N", default_value_t = 100_000, requires = "stream",
          value_parser = clap::value_parser!(u32).range(1..))]
    max_subjects: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Told by the first line
    Auto,
    /// A header line with the model's channels by name
    Csv,
    /// The model's channels in its order, without a header
    Values,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnError {
    /// Answer the lines before it, and end
    Stop,
    /// Answer it by what is wrong with it, and go on
    Skip,
}

impl Streaming {
    /// Whether lines are to be answered one by one.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.stream
    }

    /// Answers each line of the input by one line, until it ends or a signal comes.
    pub(crate) fn run(
        &self,
        model: &Model,
        file: &Path,
        (threads, precision): (usize, Precision),
        console: Console,
    ) -> Result<Outcome, Failure> {
        let name = if file == Path::new("-") { Path::new("standard input") } else { file };
        let options = self.options((threads, precision), console);
        let every_seconds = match &model.manifest().study.data {
            Data::Csv(data) => data.every_seconds,
            Data::Simulated(data) => data.every_seconds,
            _ => None,
        };
        if let Some(seconds) = every_seconds {
            console.say(&format!(
                "the model was trained on a step every {seconds} s: each line is taken for one"
            ));
        }
        let dialogue = Dialogue::new(model, name, options)?;
        let mut session = Session { dialogue, state: None, console, told: false };
        if let Some(path) = &self.state {
            session.open(path, self.save_every)?;
        }
        let stop = stop_flag()?;
        let input: Box<dyn Read + Send> = if file == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(file).map_err(|error| unreadable(name, &error))?)
        };
        let chunks = read_ahead(input, &stop)?;
        let heard = session.listen(&chunks, &stop, name);
        // Also after a line that was not understood: those before it are in the state.
        if !matches!(heard, Err(Failure::ClosedPipe)) {
            session.save()?;
        }
        let outcome = heard?;
        if let Some((all, outside)) = session.dialogue.outside().filter(|(all, _)| *all > 0) {
            console.say(&format!("{outside} of {all} lie outside of what was seen in training"));
        }
        let faults = session.dialogue.faults();
        if faults == 0 || outcome == Outcome::Stopped {
            return Ok(outcome);
        }
        console.say(&format!("{faults} lines were answered by a fault"));
        Ok(Outcome::Findings)
    }

    fn options(
        &self,
        (threads, precision): (usize, Precision),
        console: Console,
    ) -> DialogueOptions {
        let streams = StreamOptions {
            threads,
            precision,
            max_subjects: self.max_subjects as usize,
            ..StreamOptions::default()
        };
        DialogueOptions {
            format: match self.input_format {
                Format::Auto => InputFormat::Auto,
                Format::Csv => InputFormat::Csv,
                Format::Values => InputFormat::Values,
                Format::Json => InputFormat::Json,
            },
            subject: self.subject.clone(),
            time: self.time.clone(),
            on_fault: match self.on_error {
                OnError::Stop => OnFault::Stop,
                OnError::Skip => OnFault::Skip,
            },
            json: console.is_json(),
            streams,
            limits: Limits::default(),
        }
    }
}

/// A dialogue and the file that its states are kept in.
struct Session<'a> {
    dialogue: Dialogue<'a>,
    state: Option<State>,
    console: Console,
    /// Whether it was told how lines are read.
    told: bool,
}

/// Where states are kept.
struct State {
    path: PathBuf,
    /// Lines between two writings.
    every: u64,
    /// Lines that were answered before this run.
    before: u64,
    /// Lines of this run that are in the file.
    saved: u64,
    _lock: RunLock,
}

impl Session<'_> {
    /// Takes the states from a file where it is there.
    fn open(&mut self, path: &Path, every: u64) -> Result<(), Failure> {
        let lock = RunLock::beside(path)?;
        let mut before = 0;
        if path.exists() {
            before = self.dialogue.streams().restore(path, &Limits::default())?;
            let subjects = self.dialogue.streams().subjects();
            let path = path.display();
            self.console.say(&format!("{path}: {subjects} subjects after {before} lines"));
        } else {
            self.console.say(&format!("{}: 0 subjects after 0 lines", path.display()));
        }
        let path = path.to_owned();
        self.state = Some(State { path, every, before, saved: 0, _lock: lock });
        Ok(())
    }

    /// Answers what comes, until the input ends, a signal comes, or a line is not understood.
    fn listen(
        &mut self,
        chunks: &Receiver<io::Result<Vec<u8>>>,
        stop: &AtomicBool,
        name: &Path,
    ) -> Result<Outcome, Failure> {
        let mut answers = Vec::new();
        let mut waiting = Vec::new();
        loop {
            let stopped = stop.load(Ordering::Relaxed);
            match chunks.recv_timeout(if stopped { GRACE } else { POLL }) {
                Ok(chunk) => waiting.push(chunk),
                Err(_) if stopped => return Ok(Outcome::Stopped),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while waiting.len() < TOGETHER
                && let Ok(chunk) = chunks.try_recv()
            {
                waiting.push(chunk);
            }
            let mut bytes = Vec::new();
            let mut broken = None;
            for chunk in waiting.drain(..) {
                match chunk {
                    Ok(chunk) if bytes.is_empty() => bytes = chunk,
                    Ok(chunk) => bytes.extend_from_slice(&chunk),
                    Err(error) => broken = Some(error),
                }
            }
            let heard = self.dialogue.hear(&bytes, &mut answers);
            self.answer(&mut answers)?;
            heard?;
            if let Some(error) = broken {
                return Err(unreadable(name, &error));
            }
            if self.state.as_ref().is_some_and(|s| self.dialogue.answered() - s.saved >= s.every) {
                self.save()?;
            }
        }
        let heard = self.dialogue.finish(&mut answers);
        self.answer(&mut answers)?;
        heard?;
        Ok(Outcome::Done)
    }

    /// Writes and flushes answers.
    fn answer(&mut self, answers: &mut Vec<u8>) -> Result<(), Failure> {
        if !self.told
            && let Some(reading) = self.dialogue.reading()
        {
            self.told = true;
            let bytes = self.dialogue.streams().bytes_per_subject();
            self.console.say(&format!("reading {reading}; each subject takes {bytes} bytes"));
        }
        if !answers.is_empty() {
            Console::print(&answers)?;
            answers.clear();
        }
        Ok(())
    }

    /// Writes the state file, where there is one.
    fn save(&mut self) -> Result<(), Failure> {
        let Some(state) = &mut self.state else { return Ok(()) };
        let answered = self.dialogue.answered();
        self.dialogue.streams().save(&state.path, state.before + answered)?;
        state.saved = answered;
        Ok(())
    }
}

/// Reads on another thread whatever is waiting, a little ahead; ends with the input or at a
/// signal.
fn read_ahead(
    mut input: Box<dyn Read + Send>,
    stop: &Arc<AtomicBool>,
) -> Result<Receiver<io::Result<Vec<u8>>>, Failure> {
    let (sender, receiver): (SyncSender<io::Result<Vec<u8>>>, _) = sync_channel(TOGETHER);
    let stop = Arc::clone(stop);
    let read = move || {
        while !stop.load(Ordering::Relaxed) {
            let mut chunk = vec![0; CHUNK];
            let read = match input.read(&mut chunk) {
                Ok(0) => return,
                Ok(read) => {
                    chunk.truncate(read);
                    Ok(chunk)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let ends = read.is_err();
            if sender.send(read).is_err() || ends {
                return;
            }
        }
    };
    std::thread::Builder::new().name("reader".into()).spawn(read).map_err(|error| {
        let message = format!("a thread for reading cannot be started ({error})");
        Failure::new(Class::Io, message, "allow the process one thread more")
    })?;
    Ok(receiver)
}

fn unreadable(name: &Path, error: &io::Error) -> Failure {
    let message = format!("{}: reading failed ({error})", name.display());
    Failure::new(Class::Io, message, "check the path and who may read it")
}

/// Bytes read at once: what a pipe holds.
const CHUNK: usize = 64 << 10;
/// Chunks that are stepped together at most, and read ahead.
const TOGETHER: usize = 4;
/// How long a signal may go unseen while nothing comes.
const POLL: Duration = Duration::from_millis(100);
/// How long after a signal lines that were sent before it are waited for.
const GRACE: Duration = Duration::from_millis(20);
