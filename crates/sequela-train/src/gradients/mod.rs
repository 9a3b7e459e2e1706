//! Gradients that can be seen: how far the loss of the last step reaches back, cell by cell.
//!
//! The study's network is built three times, with Elman, LSTM and GRU cells, from the same seed.
//! Of each, the norm of `dL/dh_t` is measured at every step of a window: with the first weights,
//! and after some training with and without clipping. A norm that falls towards the first step
//! vanishes: what happened there is not learnt. One that grows explodes: steps become wild.
//!
//! It is measured on windows of the training part, without dropout. Where a study predicts at
//! every step, the loss of the last step alone is measured, so that every gradient before it has
//! come by the recurrence.
//!
//! **Source** Pascanu, Mikolov and Bengio 2013, *On the difficulty of training recurrent neural
//! networks* (arXiv 1211.5063); the guide's page `docs/guide/gradients.md`.
//!
//! # Example
//! ```
//! use sequela_train::gradients::{Look, look};
//! use sequela_train::{Options, Override, Study};
//! let few = ["data.subjects=4", "data.hours=0.2", "window.length=30", "model.hidden=8"];
//! let few: Vec<Override> = few.iter().map(|text| Override::parse(text)).collect::<Result<_, _>>()?;
//! let study = Study::builtin("simulated", &few)?;
//! let seen = look(&study, &Look { after: 0, gain: 1.0 }, &Options::default(), &mut |_| {})?;
//! let lstm = &seen.cells[1].moments[0].layers[0];
//! assert_eq!((lstm.hidden.len(), lstm.cell.len()), (30, 30));
//! assert!(seen.to_svg()?.contains("LSTM"));
//! # Ok::<(), sequela_train::Error>(())
//! ```

mod measure;
mod show;

use sequela_core::Location;
use sequela_nn::{Architecture, CellKind, Clip, Initial, Parameters, Program, Sequence};
use serde::Serialize;

use crate::feed::Form;
use crate::fit::Fit;
use crate::predict::Options;
use crate::prepare::Prepared;
use crate::study::{Study, Task, Train};
use crate::task::{self, Trainable as _};
use crate::{Error, network};
use measure::{Measure, Measured};

/// What is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Training steps between the first measurement and the others; 0 for the first alone.
    pub after: u64,
    /// What the first recurrent weights (`weight_hh`) are multiplied by.
    pub gain: f32,
}

impl Default for Look {
    fn default() -> Self {
        Self { after: 200, gain: 1.0 }
    }
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// Name of the study.
    pub study: String,
    /// Steps of a window, T.
    pub length: usize,
    /// Windows measured.
    pub windows: usize,
    /// What the first recurrent weights were multiplied by.
    pub gain: f32,
    /// The clipping that is compared with none: the study's, else by norm 1.
    pub clip: Clip,
    /// Elman, LSTM and GRU.
    pub cells: Vec<CellSeen>,
    /// What is to be known beside the numbers.
    pub notes: Vec<String>,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellSeen {
    /// Its name.
    pub cell: String,
    /// The first weights, then training without and with clipping.
    pub moments: Vec<Moment>,
}

/// How a network came to the weights that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Not at all: its first weights.
    First,
    /// By training without clipping.
    Unclipped,
    /// By training with clipping.
    Clipped,
}

/// One set of weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// How they came about.
    pub when: When,
    /// Training steps made.
    pub steps: u64,
    /// Whether training ended early because the loss or a gradient was not finite any more.
    pub broken: bool,
    /// Loss with these weights, on the measured windows.
    pub loss: f64,
    /// Each recurrent layer, the lowest first.
    pub layers: Vec<LayerSeen>,
    /// Norm of all weights' gradients, before clipping, in each training step; of the measured
    /// batches where there was no training.
    pub norms: Vec<f64>,
    /// Training steps whose gradients were cut.
    pub cut: u64,
}

/// One recurrent layer and direction.
///
/// A norm is over the units and all windows of a batch, its square averaged over batches. The
/// first value is of the step nearest to the loss: the last one, or the first one of a layer that
/// reads in reverse.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerSeen {
    /// The layer, from 0.
    pub layer: usize,
    /// Whether it reads in reverse.
    pub reverse: bool,
    /// Norms of `dL/dh_t`.
    pub hidden: Vec<f64>,
    /// Norms of `dL/dc_t`, for LSTM.
    pub cell: Vec<f64>,
}

/// Measures a study's network with each of the three cells; `told` gets each cell's figures as
/// soon as they are there.
///
/// **Determinism** a function of study, data and `what`; threads make no difference. **Cost** six
/// times `what.after` training steps of the study, and memory for one batch.
///
/// # Errors
/// [`Error::Study`] for a gain that is not a positive number, [`Error::Unsupported`] for a model
/// that is no sequence model, and what loading and cutting the data give. Training that breaks is
/// no error: see [`Moment::broken`].
pub fn look(
    study: &Study,
    what: &Look,
    options: &Options<'_>,
    told: &mut dyn FnMut(&CellSeen),
) -> Result<Seen, Error> {
    if !(what.gain > 0.0 && what.gain.is_finite()) {
        return Err(Error::Study {
            location: Location::default().field("gain").into(),
            what: "it is not a positive number".into(),
            hint: "give for example 1.5".into(),
        });
    }
    if study.study.task != Task::Forecast {
        return Err(Error::Study {
            location: Location::default().field("study.task").into(),
            what: "gradients are shown for forecasts only".into(),
            hint: "write task = \"forecast\", with a [window]".into(),
        });
    }
    let mut prepared = Prepared::new(study, &options.limits)?;
    let threads = task::threads(&prepared, study, options.threads);
    let clip = if study.train.clip == Clip::Off { Clip::Norm(1.0) } else { study.train.clip };
    let (mut cells, mut windows) = (Vec::new(), 0);
    for kind in [CellKind::Elman, CellKind::Lstm, CellKind::Gru] {
        let study = with_cell(study, kind)?;
        prepared.program = network::model(&study, &prepared.encoder)?;
        let bench = Bench { prepared: &prepared, study: &study, look: what, threads };
        let mut measure = Measure::new(&prepared, &study, threads)?;
        let mut moments = vec![bench.first(&mut measure)?];
        if what.after > 0 {
            for (when, clip) in [(When::Unclipped, Clip::Off), (When::Clipped, clip)] {
                moments.push(bench.trained(&mut measure, when, clip)?);
            }
        }
        windows = measure.windows();
        let cell = CellSeen { cell: name(&study), moments };
        told(&cell);
        cells.push(cell);
    }
    Ok(Seen {
        study: study.study.name.clone(),
        length: study.window.length,
        windows,
        gain: what.gain,
        clip,
        cells,
        notes: notes(study, &prepared),
    })
}

/// One network of a look.
struct Bench<'a> {
    prepared: &'a Prepared,
    study: &'a Study,
    look: &'a Look,
    threads: usize,
}

impl Bench<'_> {
    fn first(&self, measure: &mut Measure<'_>) -> Result<Moment, Error> {
        let mut parameters = Parameters::new(&self.prepared.program, self.study.study.seed)?;
        amplify(&mut parameters, self.look.gain)?;
        let Measured { loss, layers, norms } = measure.run(&parameters)?;
        Ok(Moment { when: When::First, steps: 0, broken: false, loss, layers, norms, cut: 0 })
    }

    fn trained(&self, measure: &mut Measure<'_>, when: When, clip: Clip) -> Result<Moment, Error> {
        let train = Train { clip, ..self.study.train.clone() };
        let mut feed = self.prepared.feed(self.study)?;
        let program: &Program = &self.prepared.program;
        let seed = self.study.study.seed;
        let mut fit = Fit::new(program, &train, seed, feed.as_ref(), self.threads)?;
        amplify(&mut fit.parameters, self.look.gain)?;
        let (mut norms, mut cut) = (Vec::new(), 0);
        let ended = fit.advance(feed.as_mut(), self.look.after, &mut |norm, was_cut| {
            norms.push(norm);
            cut += u64::from(was_cut);
        });
        let broken = match ended {
            Ok(()) => false,
            Err(Error::NotFinite { .. }) => true,
            Err(error) => return Err(error),
        };
        let Measured { loss, layers, .. } = measure.run(&fit.parameters)?;
        Ok(Moment { when, steps: norms.len() as u64, broken, loss, layers, norms, cut })
    }
}

/// Multiplies the recurrent weights.
fn amplify(parameters: &mut Parameters, gain: f32) -> Result<(), Error> {
    if gain.to_bits() == 1.0_f32.to_bits() {
        return Ok(());
    }
    let mut tensors = parameters.tensors();
    for tensor in tensors.iter_mut().filter(|tensor| tensor.name.contains("weight_hh")) {
        tensor.values.iter_mut().for_each(|value| *value *= gain);
    }
    Ok(parameters.load(&tensors)?)
}

/// The study with another cell.
fn with_cell(study: &Study, cell: CellKind) -> Result<Study, Error> {
    let Architecture::Sequence(model) = &study.model else {
        return Err(Error::Unsupported {
            location: Location::default().field("model.kind").into(),
            what: "gradients are shown of sequence models".into(),
            hint: "write kind = \"sequence\"".into(),
        });
    };
    // The identity is a start for Elman cells alone.
    let initial = match (model.initial, cell) {
        (Initial::IdentityRecurrent, CellKind::Lstm | CellKind::Gru) => Initial::Keras,
        (initial, _) => initial,
    };
    let model = Architecture::Sequence(Sequence { cell, initial, ..model.clone() });
    Ok(Study { model, ..study.clone() })
}

fn name(study: &Study) -> String {
    match &study.model {
        Architecture::Sequence(model) if model.cell == CellKind::Elman => {
            format!("Elman {}", format!("{:?}", model.activation).to_lowercase())
        }
        _ => network::name(study),
    }
}

fn notes(study: &Study, prepared: &Prepared) -> Vec<String> {
    let mut notes: Vec<String> = prepared.cohort.notes().to_vec();
    if prepared.form == Form::EveryStep {
        notes.push(
            "the study predicts at every step; measured is the loss of each window's last step"
                .into(),
        );
    }
    if let Architecture::Sequence(model) = &study.model
        && !matches!(model.pooling, sequela_nn::Pooling::None | sequela_nn::Pooling::Last)
    {
        notes.push(
            "pooling hands a gradient to every step directly: norms show that beside what comes \
             by the recurrence"
                .into(),
        );
    }
    notes
}
