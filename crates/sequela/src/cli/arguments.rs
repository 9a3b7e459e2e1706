//! What may be typed after `sequela`.

use clap::{Args, Parser, Subcommand};

use super::console::{Console, Form, Voice};
use super::{compare, data, demo, evaluate, export, import, init, inspect, predict, search, train};

/// Recurrent networks for medical sequences: train, judge and use them.
#[derive(Debug, Parser)]
#[command(
    name = "sequela",
    version,
    long_about = LONG,
    after_long_help = AFTER,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Common {
    /// Print results as JSON, one value a line
    #[arg(long, global = true)]
    json: bool,
    /// Print results and errors only
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Threads to compute with; results do not depend on it [default: by the size of the work]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl Common {
    /// Where words go.
    pub(crate) fn console(&self) -> Console {
        let form = if self.json { Form::Json } else { Form::Text };
        Console::new(form, if self.quiet { Voice::Quiet } else { Voice::Bars })
    }

    /// Number of threads; 0 leaves the choice to the size of the work.
    pub(crate) fn threads(&self) -> usize {
        self.threads.map_or(0, usize::from)
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the main job on built-in data, in under a minute
    Demo(demo::Demo),
    /// Print a first study for a file of series
    Init(init::Init),
    /// Train and judge a model as a study says
    Train(train::Train),
    /// Look for better settings, by the tuning part alone
    Search(search::Search),
    /// Forecast from the end of each series in a file
    Predict(predict::Predict),
    /// Judge a model beside the baselines
    Evaluate(evaluate::Evaluate),
    /// Set two classifiers against each other on the same people
    Compare(compare::Compare),
    /// Show what is inside a model file or a study's program, and its gradients
    Inspect(inspect::Inspect),
    /// Make a model file of weights from PyTorch, Keras or ONNX
    Import(import::Import),
    /// Write a model as an ONNX graph
    Export(export::Export),
    /// List, get, describe and simulate data
    Data(data::Data),
}

const LONG: &str = "\
Recurrent networks for medical sequences: train, judge and use them.

A study (TOML) says which data, which model and how to train it. Training leaves a folder with the
model file, its errors beside simple baselines on people it has not seen, and pictures. Everything
is reproducible to the bit: the same study gives the same numbers on any number of threads, and an
interrupted run resumes as if nothing had happened.";

const AFTER: &str = "\
Examples:
  See the whole of it on built-in data, in under a minute:
      sequela demo heart-rate
  Train on your own series, then forecast:
      sequela init ward.csv > study.toml
      sequela train study.toml --out run
      sequela predict run/model.safetensors ward.csv

Exit codes:
  0   done
  1   done, and something was found to look at (evaluate: a baseline is better)
  2   the arguments or the study are wrong
  3   the data are malformed or do not fit the model
  4   reading or writing failed
  5   a file is not what its digest or schema says
  70  a bug in sequela
  130 stopped by Ctrl-C or SIGTERM; training left a checkpoint, a stream its state

Environment:
  SEQUELA_DATA  folder of data sets (default: ../shared/data)
  SEQUELA_ISA   avx512, avx2 or portable: use no wider instructions (same bits, other speed)

Messages never quote values of the data.";
