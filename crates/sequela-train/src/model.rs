//! The model file: one safetensors file with weights and, as text, everything needed to use them.

use std::path::{Path, PathBuf};

use sequela_core::{Channel, Limits, Location, Schema, Sequence};
use sequela_data::Cohort;
use sequela_data::scaling::ChannelScale;
use sequela_formats::bounded;
use sequela_nn::{ParamSpec, Parameters, Precision, Program, Tensor};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::baselines::BaselineNumbers;
use crate::classify::{Classes, Sees};
use crate::encode::Encoder;
use crate::event::Part;
use crate::judge::Net;
use crate::network;
use crate::series::Examples;
use crate::study::{Study, Task};
use crate::task::{Trainable, Trained};
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
    /// What the baselines of a forecaster know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baselines: Option<BaselineNumbers>,
    /// The classes of a classifier, and how one is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Classes>,
    /// What the model was made from.
    pub provenance: Provenance,
    /// How well a forecaster did on its test part.
    pub metrics: Vec<Metric>,
    /// Where the weights were trained, if not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
}

impl Manifest {
    /// The network that is described.
    pub(crate) fn program(&self) -> Result<Program, Error> {
        match &self.classes {
            Some(classes) => network::classifier(&self.study, &self.encoder, classes.names.len()),
            None => network::model(&self.study, &self.encoder),
        }
    }
}

/// Where imported weights came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    /// Name of the file, without its folder.
    pub file: String,
    /// What wrote it.
    pub kind: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// What neither the file nor its schema said, and how it was taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumed: Vec<String>,
}

impl Imported {
    /// The name of the file without its ending.
    pub(crate) fn stem(&self) -> String {
        let stem = self.file.split('.').next().unwrap_or_default();
        if stem.is_empty() { "imported".into() } else { stem.into() }
    }
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
    /// Those of the other members of an ensemble.
    others: Vec<Parameters>,
    digest: String,
}

impl Model {
    /// A model of these weights.
    ///
    /// # Errors
    /// [`Error::Network`] where the weights are not those of the study's network.
    pub(crate) fn new(manifest: Manifest, tensors: &[Tensor]) -> Result<Self, Error> {
        let program = manifest.program()?;
        // Before there is room for them: a file is not asked for more memory than it fills.
        let wanted: usize = program.params().iter().map(ParamSpec::count).sum();
        let found: usize = tensors.iter().map(|tensor| tensor.values.len()).sum();
        if wanted > found {
            return Err(Error::integrity(
                Location::default().field("weights"),
                format!("there are {found} numbers, the study's network has {wanted}"),
            ));
        }
        let mut parameters = Parameters::new(&program, manifest.study.study.seed)?;
        parameters.load(tensors)?;
        let (others, digest) = (Vec::new(), String::new());
        let mut model = Self { manifest, program, parameters, others, digest };
        model.digest = digest_in(&model.to_file().to_bytes());
        Ok(model)
    }

    /// The same with the weights of the other members of an ensemble.
    ///
    /// # Errors
    /// As [`Model::new`].
    pub(crate) fn with_others(mut self, others: &[Vec<Tensor>]) -> Result<Self, Error> {
        for tensors in others {
            let mut parameters = self.parameters.clone();
            parameters.load(tensors)?;
            self.others.push(parameters);
        }
        Ok(self.signed())
    }

    /// Reads and checks a model file.
    ///
    /// # Errors
    /// [`Error::Integrity`] where the file is cut short, was changed, is no model, is of another
    /// version, or holds a weight that is not a finite number; [`Error::Format`] where it cannot
    /// be read.
    pub fn load(path: &Path, limits: &Limits) -> Result<Self, Error> {
        Self::parse(&bounded::read(path, limits)?, path)
    }

    /// As [`Model::load`], from bytes; `path` stands for the file in messages.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        let file = TensorFile::parse(bytes, path)?;
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
        let names = |scale: &[ChannelScale]| -> Vec<String> {
            scale.iter().map(|channel| channel.name.clone()).collect()
        };
        let channels: Vec<String> = manifest.schema.iter().map(|c| c.name.clone()).collect();
        if names(&encoder.scaler.channels) != channels || encoder.target >= channels.len() {
            return Err(Error::integrity(place("manifest"), "scales and channels disagree"));
        }
        if !encoder.scaler.channels.iter().all(ChannelScale::is_sound) {
            return Err(Error::integrity(place("manifest"), "a scale is not a positive number"));
        }
        if !encoder.envelope.as_ref().is_none_or(|envelope| envelope.is_sound(&channels)) {
            return Err(Error::integrity(place("manifest"), "envelope and channels disagree"));
        }
        let classifies = manifest.study.study.task.tells_classes();
        let count = channels.len();
        let sees = match manifest.study.study.task {
            Task::Label => Sees::Steps { channels: count, width: encoder.width() },
            _ => Sees::Series { channels: count },
        };
        let sound = manifest.classes.as_ref().is_none_or(|known| known.is_sound(sees));
        if classifies != manifest.classes.is_some()
            || classifies == manifest.baselines.is_some()
            || !sound
        {
            return Err(Error::integrity(place("manifest"), "task and classes disagree"));
        }
        if let Err(error) = manifest.study.check(&Location::file(path)) {
            return Err(Error::integrity(
                place("manifest"),
                format!("its study is refused: {error}"),
            ));
        }
        let statics_fit = encoder.statics.len() == manifest.study.window.statics.len();
        if let Some(what) = encoder.static_fault().filter(|_| classifies) {
            return Err(Error::integrity(place("manifest"), what));
        }
        if !statics_fit {
            return Err(Error::integrity(place("manifest"), "statics and study disagree"));
        }
        if !classifies && let Some(what) = encoder.fault(&manifest.study) {
            return Err(Error::integrity(place("manifest"), what));
        }
        let members = manifest.study.ensemble.members;
        let mut others = vec![Vec::new(); members.saturating_sub(1)];
        let mut tensors = Vec::with_capacity(file.arrays.len());
        for (name, array) in file.arrays {
            let Numbers::F32(values) = array.numbers else {
                return Err(Error::integrity(place(&name), "the weight is not F32"));
            };
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let what = format!("weight number {at} is not a finite number");
                return Err(Error::integrity(place(&name), what));
            }
            let (list, name) = match member_of(&name) {
                None => (Some(&mut tensors), name.clone()),
                Some((member, bare)) => (others.get_mut(member - 2), bare.to_owned()),
            };
            let Some(list) = list else {
                let what = format!("the study has {members} members");
                return Err(Error::integrity(place(&name), what));
            };
            list.push(Tensor { name, shape: array.shape, values });
        }
        Self::new(manifest, &tensors)?.with_others(&others)
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
        for (member, parameters) in
            std::iter::once(&self.parameters).chain(&self.others).enumerate()
        {
            for tensor in parameters.tensors() {
                let array = Array { shape: tensor.shape, numbers: Numbers::F32(tensor.values) };
                let name = match member {
                    0 => tensor.name,
                    _ => format!("{MEMBER}{}.{}", member + 1, tensor.name),
                };
                file.arrays.insert(name, array);
            }
        }
        file
    }

    /// The classes that are told apart.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model that does not classify.
    pub fn classes(&self) -> Result<&Classes, Error> {
        self.manifest.classes.as_ref().ok_or_else(|| Error::Unsupported {
            location: Location::default().field("model").into(),
            what: "the model forecasts, it tells no classes".into(),
            hint: "ask it for forecasts".into(),
        })
    }

    /// Names and forecasts of the baselines of a forecaster.
    pub(crate) fn baselines(&self, examples: &Examples) -> Vec<(String, Vec<f32>)> {
        let baselines = self.manifest.baselines.as_ref();
        baselines.map_or_else(Vec::new, |known| known.forecasts(&self.manifest.encoder, examples))
    }

    /// The same model with figures of its test part.
    pub(crate) fn with_metrics(mut self, metrics: Vec<Metric>) -> Self {
        self.manifest.metrics = metrics;
        self.signed()
    }

    /// The same classifier with its threshold, its baselines and figures of its test part.
    pub(crate) fn with_classes(mut self, classes: Classes) -> Self {
        self.manifest.classes = Some(classes);
        self.signed()
    }

    fn signed(mut self) -> Self {
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

    /// The weights; of an ensemble those of its first member.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The weights of the other members of an ensemble.
    pub fn others(&self) -> &[Parameters] {
        &self.others
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

    /// Sequences as a cohort of the model's channels.
    pub(crate) fn cohort(&self, sequences: &[Sequence]) -> Result<Cohort, Error> {
        let channels = self
            .manifest
            .schema
            .iter()
            .map(|channel| Channel { name: channel.name.clone(), unit: channel.unit.clone() });
        Ok(Cohort::new(Schema::new(channels.collect()), sequences.to_vec(), "the series")?)
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
}

/// The channels of a cohort.
pub(crate) fn channels(cohort: &Cohort) -> Vec<ChannelSpec> {
    let channels = cohort.schema().channels().iter();
    channels.map(|c| ChannelSpec { name: c.name.clone(), unit: c.unit.clone() }).collect()
}

/// What a model was made from.
pub(crate) fn provenance(
    data: &dyn Trainable,
    trained: &Trained<'_>,
    training: &Cohort,
) -> Provenance {
    Provenance {
        sequela: env!("CARGO_PKG_VERSION").to_owned(),
        study: trained.study.digest(),
        data: data.fingerprint(),
        training_data: training.fingerprint(),
        parts: data.sizes().map(Part::into),
        epochs: trained.epochs,
    }
}

/// The study without the folders of its data.
pub(crate) fn without_folders(study: &Study) -> Study {
    let mut study = study.clone();
    study.base = PathBuf::new();
    let bare = |path: &mut PathBuf| {
        if let Some(name) = path.file_name() {
            *path = name.into();
        }
    };
    study.data.path_mut().map(bare);
    study.data.label_file_mut().map(bare);
    study
}

/// Member, from 2, and bare name of the weights of another member than the first.
fn member_of(name: &str) -> Option<(usize, &str)> {
    let (member, bare) = name.strip_prefix(MEMBER)?.split_once('.')?;
    let member: usize = member.parse().ok().filter(|member| *member >= 2)?;
    Some((member, bare))
}

fn digest_in(bytes: &[u8]) -> String {
    TensorFile::digest(bytes).to_owned()
}

/// What the names of the weights of other members begin with.
const MEMBER: &str = "member";
const KIND: &str = "sequela model";
/// Version of the format.
const VERSION: &str = "1";
