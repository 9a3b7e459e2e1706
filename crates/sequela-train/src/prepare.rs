//! From a study to everything that training needs: data, parts, encoder, program.

use std::path::PathBuf;

use sequela_core::Limits;
use sequela_data::split::Parts;
use sequela_data::{Cohort, audit};
use sequela_nn::Program;

use crate::baselines::{BaselineNumbers, Wanted};
use crate::carried::all_stretches;
use crate::encode::Encoder;
use crate::event::Part;
use crate::feed::{CarriedFeed, Feed, Form, Order, Ports, WindowFeed};
use crate::fit::Fit;
use crate::judge::{self, BATCH, Judge};
use crate::judged::Judged;
use crate::series::Examples;
use crate::study::{SplitBy, Study};
use crate::task::{self, Trainable, Trained};
use crate::{Error, Observer, network, source};

/// A study with its data.
pub(crate) struct Prepared {
    pub(crate) cohort: Cohort,
    pub(crate) parts: Parts,
    pub(crate) encoder: Encoder,
    pub(crate) program: Program,
    pub(crate) form: Form,
    pub(crate) train: Examples,
    pub(crate) tune: Examples,
    /// The windows that are judged, and of which part: the training part where no test part is
    /// kept apart.
    pub(crate) test: Examples,
    pub(crate) judged_on_training: bool,
    stretches: Vec<(usize, std::ops::Range<usize>)>,
    tune_stretches: Vec<(usize, std::ops::Range<usize>)>,
}

impl Prepared {
    /// Loads, splits, scales and cuts.
    pub(crate) fn new(study: &Study, limits: &Limits) -> Result<Self, Error> {
        let cohort = source::load(study, limits)?;
        let target = source::target(study, cohort.schema())?;
        let parts = source::split(study, &cohort)?;
        let encoder = Encoder::fit(study, &parts.train, target)?;
        // Parts of one person's time are equal in no more than chance.
        if study.audit.records && study.split.by == SplitBy::Subject {
            audit::same_records(&parts)?;
        }
        audit::fitted_on(&parts.train, &encoder.scaler, study.scale.kind)?;
        audit::from_the_future(&parts.train, target, &study.window.horizons)?;
        let train = encoder.examples(&parts.train, study.window.stride)?;
        let tune = encoder.examples(&parts.tune, study.window.stride)?;
        let judged_on_training = parts.test.is_empty();
        let judged = if judged_on_training { &parts.train } else { &parts.test };
        let test = encoder.examples(judged, study.evaluate.stride)?;
        let program = network::model(study, &encoder)?;
        Ok(Self {
            stretches: all_stretches(&encoder, &parts.train),
            tune_stretches: all_stretches(&encoder, &parts.tune),
            form: network::form(study),
            cohort,
            parts,
            encoder,
            program,
            train,
            tune,
            test,
            judged_on_training,
        })
    }

    /// The part that is judged.
    pub(crate) fn judged(&self) -> &Cohort {
        if self.judged_on_training { &self.parts.train } else { &self.parts.test }
    }

    fn windows(&self, study: &Study, ports: Ports) -> WindowFeed<'_> {
        let order = Order::Shuffled(study.study.seed);
        let form = (ports, self.form);
        WindowFeed::new(&self.encoder, &self.train, form, study.train.batch, order)
            .at_most(study.train.windows_per_epoch)
    }

    /// The fitted baselines.
    pub(crate) fn baselines(&self, study: &Study) -> BaselineNumbers {
        let wanted = Wanted {
            season: study.evaluate.baselines.season,
            order: study.evaluate.baselines.autoregression,
        };
        BaselineNumbers::fit(&self.encoder, &self.train, &self.tune, wanted)
    }
}

impl Trainable for Prepared {
    fn program(&self) -> &Program {
        &self.program
    }

    fn fingerprint(&self) -> String {
        self.cohort.fingerprint()
    }

    fn sizes(&self) -> [Part; 3] {
        let size = |cohort: &Cohort, windows: usize| Part {
            subjects: cohort.subjects().len(),
            sequences: cohort.len(),
            windows,
        };
        let tested = if self.judged_on_training { 0 } else { self.test.windows.len() };
        [
            size(&self.parts.train, self.train.windows.len()),
            size(&self.parts.tune, self.tune.windows.len()),
            size(&self.parts.test, tested),
        ]
    }

    fn feed(&self, study: &Study) -> Result<Box<dyn Feed + '_>, Error> {
        let ports = Ports::find(&self.program, network::HEAD)?;
        let (batch, seed) = (study.train.batch, study.study.seed);
        Ok(match study.train.truncate {
            Some(piece) => Box::new(CarriedFeed::new(
                &self.encoder,
                (&self.train, &self.stretches),
                ports,
                (batch, piece),
                seed,
            )),
            None => Box::new(self.windows(study, ports)),
        })
    }

    fn judge(&self, study: &Study) -> Result<Option<Judge<'_>>, Error> {
        if self.tune.windows.is_empty() {
            return Ok(None);
        }
        let ports = Ports::find(&self.program, network::HEAD)?;
        let feed: Box<dyn Feed + '_> = if let Some(piece) = study.train.truncate {
            let data = (&self.tune, self.tune_stretches.as_slice());
            let seed = study.study.seed;
            Box::new(CarriedFeed::new(&self.encoder, data, ports, (BATCH, piece), seed))
        } else {
            let form = (ports, self.form);
            let batch = judge::batch(self.encoder.length);
            Box::new(WindowFeed::new(&self.encoder, &self.tune, form, batch, Order::Given))
        };
        Judge::new(&self.program, feed).map(Some)
    }

    fn rows(&self, study: &Study) -> usize {
        let steps = study.train.truncate.unwrap_or(self.encoder.length);
        study.train.batch.min(self.train.windows.len()).saturating_mul(steps)
    }

    fn finish(
        &self,
        trained: &Trained<'_>,
        fit: &mut Fit<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<Option<(Judged, Vec<PathBuf>)>, Error> {
        task::finish_forecast(self, trained, fit, observer)
    }
}
