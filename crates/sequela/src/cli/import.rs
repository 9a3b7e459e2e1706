//! `sequela import`: weights of other programs become a model file.

use std::path::PathBuf;

use clap::Args;
use sequela_core::Limits;
use sequela_train::{draft_schema, import_model};
use serde_json::json;

use super::console::Console;
use super::failure::{Failure, Outcome};

/// Arguments of `sequela import`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Reads state dicts of PyTorch (nn.RNN, nn.LSTM, nn.GRU and Linear, as .safetensors), weights of Keras
(.keras and .weights.h5, brought over by scripts/keras_to_safetensors.py) and graphs (.onnx) of RNN, LSTM
or GRU layers with a dense head. What weights do not say stands in a schema (TOML):

  length = 60                  # steps that a forecast is made from
  horizons = [1, 5, 30]        # steps ahead, one for each output of the network
  step = \"min\"                 # what one step is called
  channels = [                 # inputs of the network, in its order; it sees (value - centre) / spread
    { name = \"heart_rate\", unit = \"bpm\", centre = 75.0, spread = 12.0 },
  ]
  target = \"heart_rate\"        # what is forecast [default: the first channel]
  output = \"scaled\"            # (value - centre) / spread [default], or value, change, level
  # where the file does not say it:
  pooling = \"last\"             # last [default], none (a forecast at every step), mean, max
  activation = \"tanh\"          # of nn.RNN: tanh [default] or relu
  recurrent = [\"lstm1\", \"lstm2\"], head = [\"fc1\", \"fc2\"], ignore = [\"other\"]   # names, in order

A graph that sequela exported needs no schema. docs/guide/exchange.md has all fields and limits.

Examples:
  sequela import lstm.safetensors --draft > schema.toml
  sequela import lstm.safetensors --schema schema.toml --out model.safetensors
  sequela predict model.safetensors ward.csv")]
pub(crate) struct Import {
    /// Weights: .safetensors or .onnx
    file: PathBuf,
    /// What the weights do not say (TOML, see below)
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Print a first schema for these weights, to be filled in
    #[arg(long, conflicts_with_all = ["schema", "out"])]
    draft: bool,
    /// Model file to write
    #[arg(long, value_name = "FILE", default_value = "model.safetensors")]
    out: PathBuf,
}

impl Import {
    /// Reads the weights and writes the model file.
    pub(crate) fn run(&self, console: Console) -> Result<Outcome, Failure> {
        let limits = Limits::default();
        if self.draft {
            let draft = draft_schema(&self.file, &limits)?;
            if console.is_json() {
                Console::print_json(&json!({ "schema": draft }))?;
            } else {
                Console::print(draft)?;
            }
            return Ok(Outcome::Done);
        }
        let model = import_model(&self.file, self.schema.as_deref(), &limits)?;
        model.save(&self.out)?;
        if console.is_json() {
            Console::print_json(&json!({ "model": self.out, "digest": model.digest() }))?;
        } else {
            let assumed = model.manifest().imported.as_ref().map(|imported| &imported.assumed);
            if let Some(assumed) = assumed.filter(|assumed| !assumed.is_empty()) {
                console.say(&format!(
                    "the file does not say, and was taken as: {}",
                    assumed.join(", ")
                ));
            }
            console.say(&format!(
                "a model of {} weights in {}",
                model.parameters().count(),
                self.out.display()
            ));
        }
        Ok(Outcome::Done)
    }
}
