//! From a study to everything that training a classifier needs.

use std::path::PathBuf;

use sequela_core::{Limits, Location};
use sequela_data::Cohort;
use sequela_data::split::Parts;
use sequela_nn::{Loss, Program};

use super::Classes;
use super::cases::{Asked, Cases};
use super::feed::{SeriesFeed, Told};
use super::groups::Grouping;
use super::turns::Turns;
use super::{audit, finish, labels};
use crate::encode::Encoder;
use crate::event::Part;
use crate::feed::{Feed, Order, Ports};
use crate::fit::Fit;
use crate::judge::Judge;
use crate::judged::Judged;
use crate::model::channels;
use crate::study::{Study, hex};
use crate::task::{Fed, Trainable, Trained};
use crate::{Error, Observer, network};

/// A study with its series and classes.
pub(crate) struct Classification {
    pub(super) cohort: Cohort,
    pub(super) parts: Parts,
    pub(super) encoder: Encoder,
    program: Program,
    pub(super) classes: Classes,
    pub(super) train: Cases,
    /// The parts of it that networks are tuned on in turn.
    pub(super) turns: Option<Turns>,
    pub(super) tune: Cases,
    /// The series that are judged: those of training where no test part is kept apart.
    pub(super) test: Cases,
    pub(super) judged_on_training: bool,
    pub(super) notes: Vec<String>,
    /// Subjects in the data, those without a class too.
    pub(super) read: usize,
}

impl Classification {
    /// Loads, splits and scales.
    pub(crate) fn new(study: &Study, limits: &Limits) -> Result<Self, Error> {
        let labels::Labelled { cohort, parts, names, mut notes, read } =
            labels::load(study, limits)?;
        if names.len() != 2 && matches!(study.train.loss, Loss::BinaryCrossEntropy { .. }) {
            return Err(Error::Study {
                location: Location::file("study").field("train.loss.kind").into(),
                what: format!(
                    "binary cross-entropy is for two classes, and there are {}",
                    names.len()
                ),
                hint: "write loss = { kind = \"cross_entropy\" }".into(),
            });
        }
        if let Some(rule) = study.evaluate.recalibrate
            && rule.needs_two_classes()
            && names.len() != 2
        {
            return Err(Error::Study {
                location: Location::file("study").field("evaluate.recalibrate").into(),
                what: format!("it is for two classes, and there are {}", names.len()),
                hint: "write recalibrate = \"temperature\"".into(),
            });
        }
        let schema = channels(&cohort);
        for (at, text) in study.evaluate.subgroups.iter().enumerate() {
            let place = Location::file("study").field(format!("evaluate.subgroups[{at}]"));
            Grouping::parse(text, &schema, &place)?;
        }
        // Forecasts alone have a channel that they are about.
        let encoder = Encoder::fit(study, &parts.train, 0)?;
        let asked = Asked::known(study);
        let train = Cases::of(&parts.train, &encoder, asked)?;
        notes.push(audit::audit(study, &parts, &encoder, &train, &names)?);
        let turns = Turns::deal(study, &parts.train)?;
        let tune = Cases::of(&parts.tune, &encoder, asked)?;
        let judged_on_training = parts.test.is_empty();
        let test = if judged_on_training { &parts.train } else { &parts.test };
        let test = Cases::of(test, &encoder, asked)?;
        let classes = Classes::of(study, &names, &train.counts(names.len()))?;
        let program = network::classifier_in_training(study, &encoder, names.len())?;
        Ok(Self {
            cohort,
            parts,
            encoder,
            program,
            classes,
            train,
            turns,
            tune,
            test,
            judged_on_training,
            notes,
            read,
        })
    }

    fn series<'a>(
        &'a self,
        cases: &'a Cases,
        batch: usize,
        order: Order,
    ) -> Result<SeriesFeed<'a>, Error> {
        let ports = Ports::find(&self.program, network::CLASS)?;
        let weights = &self.classes.weights;
        Ok(SeriesFeed::new((&self.encoder, cases), weights, ports, batch, order))
    }
}

impl Classification {
    /// What a member of an ensemble is trained on.
    fn feed_of(&self, study: &Study, member: usize) -> Result<Box<dyn Feed + '_>, Error> {
        let order = Order::Shuffled(study.study.seed);
        let mut feed = self.series(&self.train, study.train.batch, order)?;
        if study.train.replicate > 0.0 {
            feed = feed.telling(Told::EveryStep(f64::from(study.train.replicate)));
        }
        if let Some(turns) = &self.turns {
            feed = feed.among(turns.others(turns.of(member)));
        }
        Ok(Box::new(feed.at_most(study.train.windows_per_epoch)))
    }

    /// What it is tuned on.
    fn judge_of(&self, study: &Study, member: usize) -> Result<Option<Judge<'_>>, Error> {
        let tune = if self.turns.is_some() { &self.train } else { &self.tune };
        if tune.len() == 0 {
            return Ok(None);
        }
        let mut feed = self.series(tune, tune.at_once(study.train.batch), Order::Given)?;
        if study.train.replicate > 0.0 {
            feed = feed.telling(Told::EveryStep(0.0));
        }
        if let Some(turns) = &self.turns {
            feed = feed.among(turns.held(turns.of(member)).to_vec());
        }
        Judge::new(&self.program, Box::new(feed)).map(Some)
    }
}

impl Trainable for Classification {
    fn program(&self) -> &Program {
        &self.program
    }

    fn sizes(&self) -> [Part; 3] {
        let size = |cohort: &Cohort| Part {
            subjects: cohort.subjects().len(),
            sequences: cohort.len(),
            windows: cohort.len(),
        };
        [size(&self.parts.train), size(&self.parts.tune), size(&self.parts.test)]
    }

    /// Series and the number of each class, and what the classes are called.
    fn fingerprint(&self) -> String {
        use sha2::{Digest as _, Sha256};
        let names = self.classes.names.join("\n");
        hex(&Sha256::digest(format!("{}\n{names}", self.cohort.fingerprint())))
    }

    fn feed(&self, study: &Study) -> Result<Box<dyn Feed + '_>, Error> {
        self.feed_of(study, 1)
    }

    fn judge(&self, study: &Study) -> Result<Option<Judge<'_>>, Error> {
        self.judge_of(study, 1)
    }

    fn member(&self, study: &Study, member: usize) -> Result<Fed<'_>, Error> {
        Ok((self.feed_of(study, member)?, self.judge_of(study, member)?))
    }

    fn rows(&self, study: &Study) -> usize {
        let series = self.train.series.len().max(1);
        self.train.total_steps().div_ceil(series).saturating_mul(study.train.batch.min(series))
    }

    fn finish(
        &self,
        trained: &Trained<'_>,
        fit: &mut Fit<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<Option<(Judged, Vec<PathBuf>)>, Error> {
        finish::finish(self, trained, fit, observer).map(Some)
    }
}
