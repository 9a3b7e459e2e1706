//! `sequela inspect gradients`: how far back a study's loss reaches through each kind of cell.

use std::path::{Path, PathBuf};

use clap::Args;
use sequela_formats::durable;
use sequela_train::gradients::{CellSeen, Look, Seen, look};
use sequela_train::{Options, Study};
use serde_json::json;

use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::run::fresh_folder;
use crate::cli::train::overrides;

/// Arguments of `sequela inspect gradients`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The study's network is built with Elman, LSTM and GRU cells; of each, the norm of dL/dh_t is measured at
every step of a window: with its first weights, and after some training without and with clipping (the
study's, else by norm 1). The folder gets gradients.svg, norms.svg (the gradients of the weights in each
training step) and gradients.md (the table).

Examples:
  sequela inspect gradients
  sequela inspect gradients study.toml --length 300 --out far
  sequela inspect gradients study.toml --gain 2 --set model.activation=relu")]
pub(crate) struct Gradients {
    /// A study (TOML) [default: the built-in simulated heart rate]
    study: Option<PathBuf>,
    /// Another value for a field of the study; may be repeated
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The same seed gives the same figures (study.seed)
    #[arg(long)]
    seed: Option<u64>,
    /// Steps of a window, where the study's are too few (window.length)
    #[arg(long, value_name = "T")]
    length: Option<usize>,
    /// Training steps between the first look and the others; 0 for the first alone
    #[arg(long, value_name = "N", default_value_t = Look::default().after)]
    after: u64,
    /// Multiply the first recurrent weights: what explodes and what vanishes depends on their size
    #[arg(long, value_name = "FACTOR", default_value_t = Look::default().gain)]
    gain: f32,
    /// Folder to make [default: gradients, numbered where it is there already]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Gradients {
    /// Measures, writes and tells.
    pub(super) fn run(&self, threads: usize, console: Console) -> Result<(), Failure> {
        let mut set = self.set.clone();
        set.extend(self.length.map(|length| format!("window.length={length}")));
        let overrides = overrides(&set, self.seed)?;
        let study = match &self.study {
            Some(path) => Study::load(path, &overrides)?,
            None => Study::builtin("simulated", &overrides)?,
        };
        let what = Look { after: self.after, gain: self.gain };
        let options = Options { threads, ..Options::default() };
        let mut told = |cell: &CellSeen| console.say(&format!("{}: measured", cell.cell));
        let seen = look(&study, &what, &options, &mut told)?;
        let folder = self.out.clone().unwrap_or_else(|| fresh_folder(Path::new("gradients")));
        let files = write(&folder, &seen)?;
        if console.is_json() {
            return Console::print_json(&json!({ "folder": folder, "files": files, "seen": seen }));
        }
        Console::print(seen.text())?;
        for file in files {
            console.say(&format!("wrote {}", file.display()));
        }
        Ok(())
    }
}

fn write(folder: &Path, seen: &Seen) -> Result<Vec<PathBuf>, Failure> {
    durable::create_dir(folder)?;
    let mut contents = vec![("gradients.svg", seen.to_svg()?)];
    contents.extend(seen.norms_svg()?.map(|svg| ("norms.svg", svg)));
    contents.push(("gradients.md", seen.to_markdown()));
    let mut files = Vec::new();
    for (name, content) in contents {
        let file = folder.join(name);
        durable::write_atomic(&file, content.as_bytes())?;
        files.push(file);
    }
    Ok(files)
}
