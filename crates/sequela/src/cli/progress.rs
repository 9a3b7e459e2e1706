//! What is said while a model is trained: a bar on a terminal, lines elsewhere, JSON for machines.

use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sequela_train::{Event, Part, Task};
use serde_json::{Value, json};

use super::console::{Console, Voice};
use super::failure::Failure;

/// The listener of one training run.
pub(crate) struct Progress<'a> {
    console: Console,
    stop: &'a AtomicBool,
    bar: Option<ProgressBar>,
    /// The last line was for this epoch.
    told: u64,
    stopping_told: bool,
    /// The first failure to write; nothing is written after it.
    failure: Option<Failure>,
}

impl<'a> Progress<'a> {
    /// A listener that also tells that a stop was asked for.
    pub(crate) fn new(console: Console, stop: &'a AtomicBool) -> Self {
        Self { console, stop, bar: None, told: 0, stopping_told: false, failure: None }
    }

    /// Takes in one event.
    pub(crate) fn hear(&mut self, event: &Event<'_>) {
        if self.console.is_json() {
            if let (None, Some(value)) = (&self.failure, machine(event))
                && let Err(failure) = Console::print_json(&value)
            {
                self.failure = Some(failure);
                // Nobody reads on: stop at the next checkpoint instead of computing for no one.
                self.stop.store(true, Ordering::SeqCst);
            }
            return;
        }
        self.tell_stopping();
        match event {
            Event::Step { epoch, epochs, step, steps, loss, rate, seconds_left } => {
                let (at, all) = ((epoch - 1) * steps + step, epochs * steps);
                let bar = self.bar(all);
                bar.set_position(at);
                bar.set_message(format!(
                    "epoch {epoch}/{epochs}  loss {loss:.4}  rate {rate:.1e}  {} left",
                    duration(*seconds_left)
                ));
            }
            Event::Epoch { epoch, epochs, seconds, .. } => {
                // About twenty lines for a run, more where an epoch takes long.
                let every = epochs.div_ceil(20).max(1);
                if *epoch == 1 || epoch % every == 0 || epoch == epochs || *seconds > 5.0 {
                    self.told = *epoch;
                    self.line(event);
                }
            }
            // The steps are over: what follows has no bar.
            Event::Baseline { .. }
            | Event::Evaluating { .. }
            | Event::Fold { .. }
            | Event::Member { .. } => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                self.line(event);
            }
            _ => self.line(event),
        }
    }

    /// Ends the bar; the failure to write, if there was one.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.failure.map_or(Ok(()), Err)
    }

    fn bar(&mut self, length: u64) -> &ProgressBar {
        let seen = self.console.voice() == Voice::Bars;
        self.bar.get_or_insert_with(|| {
            let target =
                if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
            let style = ProgressStyle::with_template("{bar:24} {percent:>3} %  {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::with_draw_target(Some(length), target).with_style(style)
        })
    }

    fn line(&self, event: &Event<'_>) {
        let Some(line) = sentence(event) else { return };
        match &self.bar {
            Some(bar) if self.console.voice() == Voice::Bars => {
                bar.suspend(|| self.console.say(&line));
            }
            _ => self.console.say(&line),
        }
    }

    fn tell_stopping(&mut self) {
        if self.stop.load(Ordering::Relaxed) && !self.stopping_told {
            self.stopping_told = true;
            self.console
                .say("stopping: a checkpoint is being written (Ctrl-C again stops at once)");
        }
    }
}

/// The line for an event; `None` for those that are told otherwise.
fn sentence(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Prepared { name, task, train, tune, test, parameters, bytes, threads, .. } => {
            format!(
                "{name}: {}{}{}\n{parameters} parameters, {:.1} MB of memory for the steps, {threads} \
             thread{}",
                part(train, "to train on", *task),
                part(tune, ", to tune on", *task),
                part(test, ", to judge on", *task),
                *bytes as f64 / 1e6,
                if *threads == 1 { "" } else { "s" }
            )
        }
        Event::Member { member, members } => format!("member {member} of {members}"),
        Event::Fold { fold, folds } => format!("\nfold {fold} of {folds}"),
        Event::Resumed { epoch, step } => format!("resumed at epoch {epoch}, step {step}"),
        Event::Epoch { epoch, epochs, train_loss, tune_loss, rate, seconds_left, best, .. } => {
            let tune = tune_loss.map_or_else(String::new, |loss| format!("  tuning {loss:.5}"));
            let best = if *best && tune_loss.is_some() { "  best so far" } else { "" };
            let left = duration(*seconds_left);
            format!(
                "epoch {epoch:>3}/{epochs}  loss {train_loss:.5}{tune}  rate {rate:.1e}  {left} left{best}"
            )
        }
        Event::EarlyStop { epoch, best_epoch } => format!(
            "stopped early after epoch {epoch}: no better since epoch {best_epoch}, whose weights are kept"
        ),
        Event::Baseline { name } => format!("baseline: {name}"),
        Event::Evaluating { windows, task } => {
            format!("judging on {windows} {}", example(*task, *windows))
        }
        _ => return None,
    })
}

/// The JSON value for an event; steps are too many to be told.
fn machine(event: &Event<'_>) -> Option<Value> {
    Some(match event {
        Event::Prepared { name, train, tune, test, parameters, bytes, threads, steps, .. } => {
            let part = |part: &Part| json!({ "subjects": part.subjects, "sequences": part.sequences, "windows": part.windows });
            json!({ "event": "prepared", "name": name, "train": part(train), "tune": part(tune),
                "test": part(test), "parameters": parameters, "bytes": bytes, "threads": threads,
                "steps_per_epoch": steps })
        }
        Event::Member { member, members } => {
            json!({ "event": "member", "member": member, "members": members })
        }
        Event::Fold { fold, folds } => json!({ "event": "fold", "fold": fold, "folds": folds }),
        Event::Resumed { epoch, step } => {
            json!({ "event": "resumed", "epoch": epoch, "step": step })
        }
        Event::Epoch {
            epoch,
            epochs,
            train_loss,
            tune_loss,
            rate,
            gradient_norm,
            best,
            seconds,
            seconds_left,
        } => json!({ "event": "epoch", "epoch": epoch, "epochs": epochs, "train_loss": train_loss,
            "tune_loss": tune_loss, "rate": rate, "gradient_norm": gradient_norm, "best": best,
            "seconds": seconds, "seconds_left": seconds_left }),
        Event::EarlyStop { epoch, best_epoch } => {
            json!({ "event": "early_stop", "epoch": epoch, "best_epoch": best_epoch })
        }
        Event::Checkpoint { path, epoch, step } => {
            json!({ "event": "checkpoint", "path": path, "epoch": epoch, "step": step })
        }
        Event::Wrote { path } => json!({ "event": "wrote", "path": path }),
        _ => return None,
    })
}

/// `to tune on: 141634 windows of 5 subjects`; nothing for an empty part.
fn part(part: &Part, what: &str, task: Task) -> String {
    if part.windows == 0 {
        return String::new();
    }
    let plural = if part.subjects == 1 { "" } else { "s" };
    let examples = example(task, part.windows);
    format!("{what} {} {examples} of {} subject{plural}", part.windows, part.subjects)
}

/// What a network is shown at once.
fn example(task: Task, count: usize) -> &'static str {
    match (task, count) {
        (Task::Classify | Task::Label, _) => "series",
        (_, 1) => "window",
        _ => "windows",
    }
}

/// A time for people: `3 s`, `2 min 05 s`, `1 h 10 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "unknown time".to_owned();
    }
    let whole = std::time::Duration::from_secs_f64(seconds.min(1e9)).as_secs();
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_say_them() {
        assert_eq!(duration(0.4), "0 s");
        assert_eq!(duration(125.0), "2 min 05 s");
        assert_eq!(duration(4200.0), "1 h 10 min");
        assert_eq!(duration(f64::NAN), "unknown time");
    }
}
