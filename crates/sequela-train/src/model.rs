//! The model file: one safetensors file with weights and, as text, everything needed to use them.

use std::fmt::Write as _;
use std::path::Path;

use sequela_core::{Limits, Location, Schema};
use sequela_data::Cohort;
use sequela_nn::{Parameters, Precision, Program, Tensor};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::baselines::BaselineNumbers;
use crate::encode::Encoder;
use crate::event::Part;
use crate::judge::Net;
use crate::network;
use crate::study::Study;
use crate::tensors::{Array, Numbers, TensorFile};

/// What a model file says about its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The study; of the path of its data only the last part.
    pub study: Study,
    /// The channels that the model is fed, in order.
    pub schema: Vec<ChannelSpec>,
    /// How windows become inputs and outputs forecasts.
    pub encoder: Encoder,
    /// What the baselines know.
    pub baselines: BaselineNumbers,
    /// What the model was made from.
    pub provenance: Provenance,
    /// How well it did on its test part.
    pub metrics: Vec<Metric>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelSpec {
    /// Name.
    pub name: String,
    /// Unit; empty where it is not known.
    pub unit: String,
}

/// What a model was made from. It names no subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Version of sequela.
    pub sequela: String,
    /// SHA-256 of the study.
    pub study: String,
    /// SHA-256 of all data.
    pub data: String,
    /// SHA-256 of the training part.
    pub training_data: String,
    /// Sizes of training, tuning and test part.
    pub parts: [PartSizes; 3],
    /// Epochs made, and the one whose weights these are.
    pub epochs: [u64; 2],
}

/// Sizes of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartSizes {
    /// People.
    pub subjects: usize,
    /// Records.
    pub sequences: usize,
    /// Windows.
    pub windows: usize,
}

impl From<Part> for PartSizes {
    fn from(part: Part) -> Self {
        Self { subjects: part.subjects, sequences: part.sequences, windows: part.windows }
    }
}

/// One figure of one forecaster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// The forecaster.
    pub forecaster: String,
    /// Steps ahead.
    pub horizon: usize,
    /// Mean absolute error, in the target's unit.
    pub mae: f64,
    /// Root mean squared error.
    pub rmse: f64,
}

/// Weights with their manifest.
///
/// # Example
/// ```no_run
/// use sequela_core::Limits;
/// use sequela_train::Model;
/// let model = Model::load("run/model.safetensors".as_ref(), &Limits::default())?;
/// println!("{}", model.describe());
/// # Ok::<(), sequela_train::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Model {
    manifest: Manifest,
    program: Program,
    parameters: Parameters,
    digest: String,
}

impl Model {
    /// A model of these weights.
    ///
    /// # Errors
    /// [`Error::Network`] where the weights are not those of the study's network.
    pub(crate) fn new(manifest: Manifest, tensors: &[Tensor]) -> Result<Self, Error> {
        let program = network::model(&manifest.study, &manifest.encoder)?;
        let mut parameters = Parameters::new(&program, manifest.study.study.seed)?;
        parameters.load(tensors)?;
        let mut model = Self { manifest, program, parameters, digest: String::new() };
        model.digest = digest_in(&model.to_file().to_bytes());
        Ok(model)
    }

    /// Reads and checks a model file.
    ///
    /// # Errors
    /// [`Error::Integrity`] where the file is cut short, was changed, is no model, is of another
    /// version, or holds a weight that is not a finite number; [`Error::Format`] where it cannot
    /// be read.
    pub fn load(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let file = TensorFile::load(path, limits)?;
        let place = |field: &str| Location::file(path).field(field);
        if file.text("kind", path)? != KIND {
            return Err(Error::integrity(place("kind"), "this is not a model file of sequela"));
        }
        let version = file.text("version", path)?;
        if version != VERSION {
            return Err(Error::Integrity {
                location: place("version").into(),
                what: format!("the model is of format {version}, this program reads {VERSION}"),
                hint: "use the version of sequela that wrote it".into(),
            });
        }
        let manifest: Manifest =
            serde_json::from_str(file.text("manifest", path)?).map_err(|error| {
                Error::integrity(place("manifest"), format!("it does not fit its schema ({error})"))
            })?;
        let encoder = &manifest.encoder;
        let names = |scale: &[sequela_data::scaling::ChannelScale]| -> Vec<String> {
            scale.iter().map(|channel| channel.name.clone()).collect()
        };
        let channels: Vec<String> = manifest.schema.iter().map(|c| c.name.clone()).collect();
        if names(&encoder.scaler.channels) != channels || encoder.target >= channels.len() {
            return Err(Error::integrity(place("manifest"), "scales and channels disagree"));
        }
        let mut tensors = Vec::with_capacity(file.arrays.len());
        for (name, array) in file.arrays {
            let Numbers::F32(values) = array.numbers else {
                return Err(Error::integrity(place(&name), "the weight is not F32"));
            };
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let what = format!("weight number {at} is not a finite number");
                return Err(Error::integrity(place(&name), what));
            }
            tensors.push(Tensor { name, shape: array.shape, values });
        }
        Self::new(manifest, &tensors)
    }

    /// Writes the model file, wholly or not at all.
    ///
    /// # Errors
    /// [`Error::Format`] where writing fails.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        self.to_file().save(path)
    }

    /// The file as bytes; the same model gives the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_file().to_bytes()
    }

    fn to_file(&self) -> TensorFile {
        let mut file = TensorFile::default();
        let manifest = serde_json::to_string(&self.manifest).unwrap_or_default();
        file.texts.insert("kind".into(), KIND.into());
        file.texts.insert("version".into(), VERSION.into());
        file.texts.insert("manifest".into(), manifest);
        for tensor in self.parameters.tensors() {
            let array = Array { shape: tensor.shape, numbers: Numbers::F32(tensor.values) };
            file.arrays.insert(tensor.name, array);
        }
        file
    }

    /// The same model with figures of its test part.
    pub(crate) fn with_metrics(mut self, metrics: Vec<Metric>) -> Self {
        self.manifest.metrics = metrics;
        self.digest = digest_in(&self.to_file().to_bytes());
        self
    }

    /// What the file says about the weights.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The network.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// SHA-256 that is written in the file.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Name and unit of the channel that is forecast.
    pub fn target(&self) -> &ChannelSpec {
        &self.manifest.schema[self.manifest.encoder.target]
    }

    pub(crate) fn net(&self) -> Net<'_> {
        Net {
            program: &self.program,
            parameters: &self.parameters,
            encoder: &self.manifest.encoder,
            form: network::form(&self.manifest.study),
            quantiles: network::quantiles(&self.manifest.study.train.loss),
            precision: Precision::F32,
        }
    }

    /// Refuses data of other channels or units.
    pub(crate) fn check_schema(&self, schema: &Schema, name: &str) -> Result<(), Error> {
        let refuse = |field: &str, what: String| {
            Err(Error::Schema {
                location: Location::file(name).field(field).into(),
                what,
                hint: "give the channels and units that the model was trained on".into(),
            })
        };
        if schema.len() != self.manifest.schema.len() {
            let (found, wanted) = (schema.len(), self.manifest.schema.len());
            return refuse(
                "channels",
                format!("there are {found} channels, the model takes {wanted}"),
            );
        }
        for (found, wanted) in schema.channels().iter().zip(&self.manifest.schema) {
            if found.name != wanted.name {
                let what = format!("the model takes {} in its place", wanted.name);
                return refuse(&found.name, what);
            }
            let known = !found.unit.is_empty() && !wanted.unit.is_empty();
            if known && found.unit != wanted.unit {
                let what = format!("its unit is {}, the model takes {}", found.unit, wanted.unit);
                return refuse(&found.name, what);
            }
        }
        Ok(())
    }

    /// The model in words, for people.
    pub fn describe(&self) -> String {
        let manifest = &self.manifest;
        let (study, encoder) = (&manifest.study, &manifest.encoder);
        let mut text = String::new();
        let step = study.data.step();
        let horizons: Vec<String> = encoder.horizons.iter().map(usize::to_string).collect();
        let _ = writeln!(text, "model        {} ({})", study.study.name, network::name(study));
        let _ = writeln!(
            text,
            "forecasts    {} ({}) {} {step}s ahead, from the last {} {step}s",
            self.target().name,
            self.target().unit,
            horizons.join(", "),
            encoder.length
        );
        for (channel, scale) in manifest.schema.iter().zip(&encoder.scaler.channels) {
            let _ = writeln!(
                text,
                "input        {} ({}), scaled by ({} - {:.4}) / {:.4}",
                channel.name, channel.unit, channel.name, scale.centre, scale.spread
            );
        }
        let _ = writeln!(text, "weights      {} numbers", self.parameters.count());
        for tensor in self.parameters.tensors() {
            let _ = writeln!(text, "             {} {:?}", tensor.name, tensor.shape);
        }
        let [train, tune, test] = &manifest.provenance.parts;
        let _ = writeln!(
            text,
            "trained on   {} subjects ({} windows), tuned on {}, judged on {}",
            train.subjects, train.windows, tune.subjects, test.subjects
        );
        let [epochs, best] = manifest.provenance.epochs;
        let _ = writeln!(text, "epochs       {epochs}, weights of epoch {best}");
        if study.train.precision != Precision::F32 {
            let precision = study.train.precision.name();
            let _ =
                writeln!(text, "precision    trained with products in {precision}, judged in f32");
        }
        for metric in &manifest.metrics {
            let _ = writeln!(
                text,
                "error        {:>4} {step}s ahead, {}: MAE {:.3}, RMSE {:.3} {}",
                metric.horizon,
                metric.forecaster,
                metric.mae,
                metric.rmse,
                self.target().unit
            );
        }
        let _ = writeln!(text, "made by      sequela {}", manifest.provenance.sequela);
        let _ = writeln!(text, "data         sha256 {}", manifest.provenance.data);
        let _ = writeln!(text, "file         sha256 {}", self.digest);
        text
    }
}

/// The channels of a cohort.
pub(crate) fn channels(cohort: &Cohort) -> Vec<ChannelSpec> {
    let channels = cohort.schema().channels().iter();
    channels.map(|c| ChannelSpec { name: c.name.clone(), unit: c.unit.clone() }).collect()
}

/// The study without the folders of its data.
pub(crate) fn without_folders(study: &Study) -> Study {
    let mut study = study.clone();
    study.base = std::path::PathBuf::new();
    if let Some(path) = study.data.path_mut()
        && let Some(name) = path.file_name()
    {
        *path = name.into();
    }
    study
}

fn digest_in(bytes: &[u8]) -> String {
    TensorFile::digest(bytes).to_owned()
}

const KIND: &str = "sequela model";
/// Version of the format.
const VERSION: &str = "1";
