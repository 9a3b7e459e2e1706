//! Weights from elsewhere and back: PyTorch, Keras and ONNX.
//!
//! ```text
//! state dict (.safetensors) --torch--+
//! Keras weights, converted --keras---+--> Found --with a schema--> Model
//! graph (.onnx) --onnx---------------+                              |
//! graph (.onnx) <--onnx::export-------------------------------------+
//! ```
//!
//! Weights say nothing about names, units, windows and horizons: a small TOML file does. The page
//! `docs/guide/exchange.md` has it all with examples.

#[cfg(test)]
mod class_tests;
mod found;
mod gates;
mod keras;
mod onnx;
mod schema;
#[cfg(test)]
mod tests;
mod torch;

use std::path::Path;

use sequela_core::{Limits, Location};
use sequela_formats::bounded;
use sequela_formats::onnx::parse_model;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::encode::narrow;
use crate::model::{Imported, Model};
use crate::study::{Task, hex};
use crate::tensors::{Numbers, TensorFile};
use found::Found;
use schema::Schema;

/// The model in a file of another program, with what the schema file says about it.
///
/// `.safetensors` is taken as a state dict of PyTorch, or as weights of Keras where
/// `scripts/keras_to_safetensors.py` wrote it; `.onnx` as a graph. A graph that
/// [`export_onnx`] wrote needs no schema and becomes the very model again.
///
/// **Determinism** the same file and schema give the same model file, to the byte.
///
/// # Errors
/// [`Error::Foreign`] with file and place for what is not read (with what is); [`Error::Study`]
/// for a schema that is wrong; [`Error::Integrity`] or [`Error::Format`] for a damaged file.
///
/// # Example
/// ```no_run
/// use sequela_core::Limits;
/// use sequela_train::import_model;
/// let (weights, schema) = ("lstm.safetensors".as_ref(), Some("schema.toml".as_ref()));
/// let model = import_model(weights, schema, &Limits::default())?;
/// model.save("model.safetensors".as_ref())?;
/// # Ok::<(), sequela_train::Error>(())
/// ```
pub fn import_model(path: &Path, schema: Option<&Path>, limits: &Limits) -> Result<Model, Error> {
    let bytes = bounded::read(path, limits)?;
    if schema.is_none()
        && is_graph(path)
        && let Some(model) = onnx::read_own(&parse_model(&bytes, path, limits)?)
    {
        return Ok(model);
    }
    let Some(schema) = schema else {
        let found = find(&bytes, path, &Schema::bare(), limits)?;
        let (inputs, outputs) = (found.inputs(), found.outputs());
        return Err(Error::foreign(
            Location::file(path),
            format!(
                "weights of {} do not say what their {inputs} inputs and {outputs} outputs are",
                found.kind
            ),
            "write it down: sequela import FILE --draft > schema.toml, fill it in, and give --schema",
        ));
    };
    let schema = Schema::load(schema, limits)?;
    let found = find(&bytes, path, &schema, limits)?;
    let imported = Imported {
        file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        kind: found.kind.to_owned(),
        sha256: hex(&Sha256::digest(&bytes)),
        assumed: found.assumed.clone(),
    };
    found.into_model(&schema, imported, &Location::file(path))
}

/// A first schema for a file of another program, to be filled in.
///
/// # Errors
/// As [`import_model`].
pub fn draft_schema(path: &Path, limits: &Limits) -> Result<String, Error> {
    let bytes = bounded::read(path, limits)?;
    let found = find(&bytes, path, &Schema::bare(), limits)?;
    found.check(&Location::file(path))?;
    Ok(schema::draft(&found))
}

/// A model as an ONNX graph: scales, network and units, with free numbers of sequences and steps.
///
/// | input | shape | | output | shape |
/// |---|---|---|---|---|
/// | `x` | (B, T, F), in units, nothing missing | | `forecast` | (B, K) in units, or (B, T, K) |
/// | `lengths` | (B), int32 | | `hn`, for an LSTM `cn` | (L*D, B, H) |
/// | `h0`, for an LSTM `c0` | (L*D, B, H), zeros to begin | | | |
///
/// A model with indicators has the input `indicators` (B, T, F for each) too. A classifier gives
/// `probability` (B, K) and `class` (B), int64, in place of `forecast`. **Determinism** the
/// same model gives the same bytes.
///
/// # Errors
/// [`Error::Foreign`] for operations that are not written as ONNX; [`Error::Unsupported`] for a model
/// of steps, with statics, and for one that takes logarithms of its channels.
pub fn export_onnx(model: &Model) -> Result<Vec<u8>, Error> {
    if model.manifest().study.study.task == Task::Label {
        return Err(Error::Unsupported {
            location: Location::default().field("study.task").into(),
            what: "a class of each step is not written as ONNX yet".into(),
            hint: "ask the model itself: sequela predict MODEL FILE".into(),
        });
    }
    if model.manifest().encoder.scaler.channels.iter().any(|scale| scale.log.is_some()) {
        return Err(Error::Unsupported {
            location: Location::default().field("scale.kind").into(),
            what: "logarithms of channels are not written as ONNX yet".into(),
            hint: "train with kind = \"standard\" in [scale], or ask the model itself: sequela predict \
                   MODEL FILE"
                .into(),
        });
    }
    if !model.manifest().encoder.statics.is_empty() {
        return Err(Error::Unsupported {
            location: Location::default().field("window.statics").into(),
            what: "statics beside the steps are not written as ONNX yet".into(),
            hint:
                "train without window.statics, or ask the model itself: sequela predict MODEL FILE"
                    .into(),
        });
    }
    Ok(onnx::export(model)?.to_bytes())
}

fn is_graph(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "onnx")
}

fn find(bytes: &[u8], path: &Path, schema: &Schema, limits: &Limits) -> Result<Found, Error> {
    if is_graph(path) {
        return onnx::read(&parse_model(bytes, path, limits)?, path);
    }
    let place = Location::file(path);
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match extension.as_str() {
        "safetensors" => {}
        "h5" | "hdf5" | "keras" => {
            let hint =
                "bring it over with python scripts/keras_to_safetensors.py FILE OUT.safetensors";
            return Err(Error::foreign(place, "weights of Keras are not read directly", hint));
        }
        "pt" | "pth" | "bin" | "ckpt" => {
            let hint = "save them with safetensors.torch.save_file(model.state_dict(), FILE)";
            return Err(Error::foreign(
                place,
                "pickled weights can run code and are not read",
                hint,
            ));
        }
        _ => {
            let hint = "give a file called .safetensors or .onnx";
            return Err(Error::foreign(place, "files of this name are not read", hint));
        }
    }
    let file = TensorFile::parse_foreign(bytes, path)?;
    if file.texts.get("kind").is_some_and(|kind| kind.starts_with("sequela ")) {
        let hint = "use it as it is: sequela predict FILE DATA";
        return Err(Error::foreign(place, "this is a file of sequela already", hint));
    }
    if file.texts.contains_key(keras::KEY) {
        return keras::read(&file, path, schema);
    }
    torch::read(&file, path, schema)
}

/// An array of a file as single numbers.
struct Values {
    shape: Vec<usize>,
    values: Vec<f32>,
}

fn values(file: &TensorFile, key: &str, name: &Path) -> Result<Values, Error> {
    let refuse = |what: &str| {
        Err(Error::foreign(Location::file(name).field(key), what, "save weights as float32"))
    };
    let Some(array) = file.arrays.get(key) else { return refuse("the array is missing") };
    let values = match &array.numbers {
        Numbers::F32(numbers) => numbers.clone(),
        Numbers::F64(numbers) => numbers.iter().map(|&number| narrow(number)).collect(),
        _ => return refuse("the array holds whole numbers"),
    };
    Ok(Values { shape: array.shape.clone(), values })
}
