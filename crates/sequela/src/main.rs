//! The command line: arguments in, one function for each verb, an exit code out.
//!
//! Everything that is worth having lives in the library crates; here is only what talks to a
//! person. `cli/arguments.rs` says what may be typed, `cli/VERB.rs` does it, `cli/failure.rs`
//! tells what went wrong.
#![forbid(unsafe_code)]

mod cli;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser as _;

use cli::arguments::{Arguments, Verb};
use cli::console::{Console, Form, Voice};
use cli::failure::{Failure, Outcome, explain_panics, finish};
use cli::signal::outlive_file_limits;

fn main() -> ExitCode {
    explain_panics();
    outlive_file_limits();
    let (console, result) = match Arguments::try_parse() {
        Ok(arguments) => {
            let console = arguments.common.console();
            let run = AssertUnwindSafe(|| run(&arguments, console));
            (console, catch_unwind(run).unwrap_or(Err(Failure::Bug)))
        }
        Err(said) if said.use_stderr() => {
            Console::tell(said.to_string().trim_end());
            return ExitCode::from(2);
        }
        // Help and version are results like any other.
        Err(said) => {
            let console = Console::new(Form::Text, Voice::Lines);
            (console, Console::print(said.to_string()).map(|()| Outcome::Done))
        }
    };
    finish(result, console)
}

fn run(arguments: &Arguments, console: Console) -> Result<Outcome, Failure> {
    let threads = arguments.common.threads();
    match &arguments.verb {
        Verb::Demo(demo) => demo.run(threads, console),
        Verb::Init(init) => init.run(console),
        Verb::Train(train) => train.run(threads, console),
        Verb::Search(search) => search.run(threads, console),
        Verb::Predict(predict) => predict.run(threads, console),
        Verb::Evaluate(evaluate) => evaluate.run(threads, console),
        Verb::Compare(compare) => compare.run(threads, console),
        Verb::Inspect(inspect) => inspect.run(threads, console),
        Verb::Import(import) => import.run(console),
        Verb::Export(export) => export.run(console),
        Verb::Data(data) => data.run(console),
    }
}
