//! `sequela export`: a model file as a graph for other programs.

use std::path::PathBuf;

use clap::Args;
use sequela_core::Limits;
use sequela_formats::durable::write_atomic;
use sequela_train::{Model, export_onnx};
use serde_json::json;

use super::console::Console;
use super::evaluate::model_file;
use super::failure::{Failure, Outcome};

/// Arguments of `sequela export`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The graph (ONNX, opset 17) takes values in their units and gives forecasts in theirs; the scales are in it.

  x (batch, time, channels)    values, nothing missing; shorter sequences padded at their end
  lengths (batch), int32       steps of each sequence
  h0, c0 (layers x directions, batch, hidden)   states to begin from: zeros (c0: LSTM only)
  forecast (batch, horizons)   or (batch, time, horizons) where the model forecasts at every step
  hn, cn                       states after the last step, to go on from

A classifier gives, in place of a forecast, what sequela predict says of whole series:
  probability (batch, classes) of each class, in the population that was trained on
  class (batch), int64         the class chosen, by position

Examples:
  sequela export run/model.safetensors --onnx model.onnx
  sequela import model.onnx --out again.safetensors")]
pub(crate) struct Export {
    /// A model file, or the folder of a run
    model: PathBuf,
    /// Graph to write
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
}

impl Export {
    /// Writes the graph.
    pub(crate) fn run(&self, console: Console) -> Result<Outcome, Failure> {
        let file = model_file(&self.model);
        let model = Model::load(&file, &Limits::default())?;
        let bytes = export_onnx(&model).map_err(|error| Failure::from(error).in_file(&file))?;
        write_atomic(&self.onnx, &bytes)?;
        if console.is_json() {
            Console::print_json(&json!({ "onnx": self.onnx, "bytes": bytes.len() }))?;
        } else {
            console.say(&format!("{} bytes in {}", bytes.len(), self.onnx.display()));
        }
        Ok(Outcome::Done)
    }
}
