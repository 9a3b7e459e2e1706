//! A network that was found in a file of another program, in sequela's words, and the model that
//! it becomes.

use sequela_core::Location;
use sequela_data::scaling::{ChannelScale, Scaler};
use sequela_nn::{Architecture, CellKind, Directions, Pooling, Sequence, Tensor};

use super::schema::{OutputKind, Schema};
use crate::Error;
use crate::baselines::BaselineNumbers;
use crate::encode::{Encoder, narrow};
use crate::model::{ChannelSpec, Imported, Manifest, Model, PartSizes, Provenance};
use crate::network::HEAD;
use crate::study::{
    About, Audit, Baselines, CsvData, Data, Ensemble, EvaluateSection, Scaling, Split, Study,
    TargetKind, Task, Train, ValueSpec, Window,
};

/// A network and its weights, as PyTorch lays them out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// What wrote the file.
    pub(super) kind: &'static str,
    /// The network without its head's width.
    pub(super) settings: Sequence,
    /// Recurrent weights: layer by layer, forward before reverse.
    pub(super) sides: Vec<Side>,
    /// Dense layers; all but the last are followed by ReLU.
    pub(super) dense: Vec<Dense>,
    /// What the file itself does to its inputs before the network sees them.
    pub(super) scales: Option<Vec<Scale>>,
    /// What neither the file nor the schema says, and how it was taken.
    pub(super) assumed: Vec<String>,
}

/// The weights of one layer and direction: gates i,f,g,o or r,z,n below each other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Side {
    /// F.
    pub(super) inputs: usize,
    /// `(G*H, F)`.
    pub(super) weight_ih: Vec<f32>,
    /// `(G*H, H)`.
    pub(super) weight_hh: Vec<f32>,
    /// `(G*H)`.
    pub(super) bias_ih: Vec<f32>,
    /// `(G*H)`.
    pub(super) bias_hh: Vec<f32>,
}

/// The weights of a dense layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dense {
    pub(super) inputs: usize,
    /// `(outputs, inputs)`.
    pub(super) weight: Vec<f32>,
    /// `(outputs)`.
    pub(super) bias: Vec<f32>,
}

/// `scaled = (value - centre) / spread`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub(super) centre: f64,
    pub(super) spread: f64,
}

impl Dense {
    /// The layer whose output `k` is `y_k * factor + offset` where this one's is `y_k`.
    pub(super) fn after(&self, factor: &[f64], offset: &[f64]) -> Self {
        let of = |list: &[f64], k: usize| list[if list.len() == 1 { 0 } else { k }];
        let rows = self.weight.chunks_exact(self.inputs.max(1)).enumerate();
        let weight = rows.flat_map(|(k, row)| {
            let factor = of(factor, k);
            row.iter().map(move |&w| narrow(f64::from(w) * factor))
        });
        let bias = self.bias.iter().enumerate();
        let bias = bias.map(|(k, &b)| narrow(f64::from(b) * of(factor, k) + of(offset, k)));
        Self { inputs: self.inputs, weight: weight.collect(), bias: bias.collect() }
    }
}

impl Found {
    /// Values of an input row.
    pub(super) fn inputs(&self) -> usize {
        self.sides.first().map_or(0, |side| side.inputs)
    }

    /// Values of an output row.
    pub(super) fn outputs(&self) -> usize {
        self.dense.last().map_or(0, |dense| dense.bias.len())
    }

    /// Checks that layers fit each other; `place` stands for the file.
    pub(super) fn check(&self, place: &Location) -> Result<(), Error> {
        let refuse = |what: String, hint: &str| Err(Error::foreign(place.clone(), what, hint));
        let settings = &self.settings;
        let sides = if settings.directions == Directions::Both { 2 } else { 1 };
        if self.sides.is_empty() || self.dense.is_empty() {
            let what = "there is no recurrent layer with a dense layer on it".into();
            return refuse(what, "export a network of RNN, LSTM or GRU layers and a Linear head");
        }
        for (at, side) in self.sides.iter().enumerate() {
            let wanted = if at < sides { self.inputs() } else { settings.hidden * sides };
            if side.inputs != wanted {
                let what =
                    format!("layer {} takes {} inputs, not {wanted}", at / sides, side.inputs);
                return refuse(what, "layers must follow each other, all of one hidden size");
            }
        }
        let mut width = settings.hidden * sides;
        for dense in &self.dense {
            if dense.inputs != width {
                let what = format!("a dense layer takes {} inputs, not {width}", dense.inputs);
                return refuse(what, "name the dense layers in their order: head = [...]");
            }
            width = dense.bias.len();
        }
        let numbers =
            self.sides.iter().flat_map(Side::all).chain(self.dense.iter().flat_map(Dense::all));
        if numbers.flatten().any(|number| !number.is_finite()) {
            let what = "a weight is not a finite number".into();
            return refuse(what, "import weights from before training broke down");
        }
        Ok(())
    }

    /// The model that this network is, with what the schema says.
    pub(super) fn into_model(
        mut self,
        schema: &Schema,
        imported: Imported,
        place: &Location,
    ) -> Result<Model, Error> {
        self.check(place)?;
        let refuse = |field: &str, what: String, hint: &str| {
            Err(Error::foreign(schema.place(field), what, hint))
        };
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let wanted = schema.channels.len() * (1 + schema.indicators.len());
        if wanted != inputs {
            let what = format!("they make {wanted} inputs, the network has {inputs}");
            return refuse("channels", what, "name every input of the network, in its order");
        }
        if schema.horizons.len() != outputs {
            let what =
                format!("there are {}, the network has {outputs} outputs", schema.horizons.len());
            return refuse("horizons", what, "give one for each output");
        }
        let scales = self.scales(schema)?;
        let target = schema.target_position();
        if schema.output == OutputKind::Value {
            let Scale { centre, spread } = scales[target];
            if let Some(head) = self.dense.last_mut() {
                *head = head.after(&[1.0 / spread], &[-centre / spread]);
            }
        }
        self.settings.layers =
            self.sides.len() / if self.settings.directions == Directions::Both { 2 } else { 1 };
        let hidden = self.dense.len() - 1;
        self.settings.head_hidden = self.dense[..hidden].iter().map(|d| d.bias.len()).collect();
        let study = study(&self, schema, &imported);
        let channels = schema.channels.iter().zip(&scales).map(|(channel, scale)| ChannelScale {
            name: channel.name.clone(),
            centre: scale.centre,
            spread: scale.spread,
            log: None,
            observed: 0,
        });
        let output = schema.target_kind();
        let encoder = Encoder {
            scaler: Scaler { channels: channels.collect() },
            target,
            length: schema.length,
            horizons: schema.horizons.clone(),
            output,
            changes: if output == TargetKind::Value { Vec::new() } else { schema.changes() },
            inputs: schema.inputs,
            missing: schema.missing,
            indicators: schema.indicators.clone(),
            summaries: Vec::new(),
            clip: None,
            statics: Vec::new(),
            longest_gap_hours: None,
            most_missing: 1.0,
            envelope: None,
        };
        let nothing = PartSizes { subjects: 0, sequences: 0, windows: 0 };
        let manifest = Manifest {
            schema: schema
                .channels
                .iter()
                .map(|c| ChannelSpec { name: c.name.clone(), unit: c.unit.clone() })
                .collect(),
            baselines: Some(BaselineNumbers {
                mean: scales[target].centre,
                season: None,
                autoregression: None,
            }),
            classes: None,
            provenance: Provenance {
                sequela: env!("CARGO_PKG_VERSION").into(),
                study: study.digest(),
                data: String::new(),
                training_data: String::new(),
                parts: [nothing; 3],
                epochs: [0, 0],
            },
            metrics: Vec::new(),
            imported: Some(imported),
            study,
            encoder,
        };
        Model::new(manifest, &self.tensors())
    }

    /// The scale of each channel: the file's own, or the schema's.
    fn scales(&self, schema: &Schema) -> Result<Vec<Scale>, Error> {
        let told = schema.channels.iter().any(|c| c.centre.is_some() || c.spread.is_some());
        match &self.scales {
            Some(_) if told || !schema.indicators.is_empty() => Err(Error::foreign(
                schema.place("channels"),
                "the network scales its inputs itself",
                "leave centre, spread and indicators out",
            )),
            Some(own) => Ok(own.clone()),
            None => Ok(schema
                .channels
                .iter()
                .map(|c| Scale { centre: c.centre.unwrap_or(0.0), spread: c.spread.unwrap_or(1.0) })
                .collect()),
        }
    }

    /// All weights under sequela's names.
    fn tensors(self) -> Vec<Tensor> {
        let sides = if self.settings.directions == Directions::Both { 2 } else { 1 };
        let hidden = self.settings.hidden;
        let mut tensors = Vec::new();
        let mut add = |name: String, shape: Vec<usize>, values: Vec<f32>| {
            tensors.push(Tensor { name, shape, values });
        };
        for (at, side) in self.sides.into_iter().enumerate() {
            let end = if at % sides == 1 { "_reverse" } else { "" };
            let layer = at / sides;
            let rows = side.bias_ih.len();
            add(format!("rnn.weight_ih_l{layer}{end}"), vec![rows, side.inputs], side.weight_ih);
            add(format!("rnn.weight_hh_l{layer}{end}"), vec![rows, hidden], side.weight_hh);
            add(format!("rnn.bias_ih_l{layer}{end}"), vec![rows], side.bias_ih);
            add(format!("rnn.bias_hh_l{layer}{end}"), vec![rows], side.bias_hh);
        }
        let last = self.dense.len() - 1;
        for (at, dense) in self.dense.into_iter().enumerate() {
            let name = format!("heads.{HEAD}");
            let name = if at == last { name } else { format!("{name}.hidden{at}") };
            let outputs = dense.bias.len();
            add(format!("{name}.weight"), vec![outputs, dense.inputs], dense.weight);
            add(format!("{name}.bias"), vec![outputs], dense.bias);
        }
        tensors
    }
}

impl Side {
    fn all(&self) -> [&[f32]; 4] {
        [&self.weight_ih, &self.weight_hh, &self.bias_ih, &self.bias_hh]
    }
}

impl Dense {
    fn all(&self) -> [&[f32]; 2] {
        [&self.weight, &self.bias]
    }
}

/// The kind of cell whose weights have so many gates.
pub(super) fn cell_of(gates: usize) -> Option<CellKind> {
    match gates {
        1 => Some(CellKind::Elman),
        3 => Some(CellKind::Gru),
        4 => Some(CellKind::Lstm),
        _ => None,
    }
}

/// A study that says of the network what a training study would; its data are not there.
fn study(found: &Found, schema: &Schema, imported: &Imported) -> Study {
    Study {
        study: About {
            name: schema.name.clone().unwrap_or_else(|| imported.stem()),
            task: Task::Forecast,
            seed: 0,
        },
        data: Data::Csv(CsvData {
            path: "series.csv".into(),
            subject: None,
            time: None,
            values: schema
                .channels
                .iter()
                .map(|c| ValueSpec { name: c.name.clone(), unit: c.unit.clone() })
                .collect(),
            long: None,
            label: None,
            target: Some(schema.channels[schema.target_position()].name.clone()),
            every_seconds: None,
            step: schema.step.clone(),
        }),
        window: Window {
            length: schema.length,
            horizons: schema.horizons.clone(),
            stride: 1,
            longest_gap_hours: None,
            target: schema.target_kind(),
            inputs: schema.inputs,
            missing: schema.missing,
            most_missing: 1.0,
            indicators: schema.indicators.clone(),
            summaries: Vec::new(),
            clip: None,
            statics: Vec::new(),
        },
        split: Split::default(),
        audit: Audit::default(),
        ensemble: Ensemble::default(),
        scale: Scaling::default(),
        model: Architecture::Sequence(found.settings.clone()),
        train: Train::default(),
        evaluate: EvaluateSection {
            baselines: Baselines { autoregression: 0, ..Baselines::default() },
            ..EvaluateSection::default()
        },
        search: None,
        base: std::path::PathBuf::new(),
    }
}

/// Whether a way of pooling leaves an output for every step.
pub(super) fn is_every_step(pooling: Pooling) -> bool {
    pooling == Pooling::None
}
