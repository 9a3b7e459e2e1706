//! A run: a folder that holds a study, its training, the model, and how well it does.

use std::path::{Path, PathBuf};
use std::time::Instant;

use sequela_core::Location;
use sequela_formats::durable;
use sequela_formats::lock::RunLock;
use sequela_formats::log::AppendLog;

use crate::checkpoint::{Belongs, Snapshot, restore};
use crate::evaluation::{Evaluation, truth};
use crate::event::Part;
use crate::feed::{Form, Order, Ports, WindowFeed};
use crate::fit::{End, EpochMetrics, Fit, Sink};
use crate::judge::{BATCH, Judge, Net};
use crate::model::{Manifest, Model, Provenance, channels, without_folders};
use crate::predict::{Options, forecasts};
use crate::prepare::Prepared;
use crate::report::{self, Pictures};
use crate::stretch::Stretch;
use crate::study::{FeedForward, Study, Train};
use crate::{Error, Event, Observer, network, source};

/// How a call ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Everything is done.
    Finished(Box<Report>),
    /// It was stopped, and can go on.
    Stopped(Stopped),
}

/// A finished run.
#[derive(Debug, Clone)]
pub struct Report {
    /// The run folder.
    pub folder: PathBuf,
    /// The model file.
    pub model: PathBuf,
    /// How well it does.
    pub evaluation: Evaluation,
    /// Epochs made.
    pub epochs: u64,
    /// The epoch whose weights the model has.
    pub best_epoch: u64,
    /// Training loss of the last epoch.
    pub train_loss: f64,
    /// Tuning loss of the best epoch.
    pub tune_loss: Option<f64>,
    /// Time that this call took.
    pub seconds: f64,
    /// Files of the run folder.
    pub files: Vec<PathBuf>,
}

/// A run that was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The run folder.
    pub folder: PathBuf,
    /// Epochs made.
    pub epoch: u64,
    /// Steps made of the next one.
    pub step: u64,
    /// What it goes on from.
    pub checkpoint: PathBuf,
}

/// Trains and judges the model of a study, in a new folder.
///
/// **Determinism** a function of the study and the data; threads, stops and the machine make no
/// difference to any file but `timing.jsonl`. **Cost** see the events.
///
/// # Errors
/// [`Error::Folder`] where the folder holds a run already; what loading, splitting, training and
/// writing give. Files written before an error stay whole.
pub fn train(
    study: &Study,
    folder: &Path,
    options: &Options<'_>,
    observer: &mut Observer<'_>,
) -> Result<Outcome, Error> {
    let start = Instant::now();
    let named = folder.join(STUDY);
    if named.exists() {
        return Err(Error::Folder {
            location: Location::file(folder).into(),
            what: "the folder holds a run already".into(),
            hint: "go on with it by --resume, or choose another folder".into(),
        });
    }
    // Before anything is made: a study that cannot run leaves nothing behind.
    let prepared = Prepared::new(study, &options.limits)?;
    durable::create_dir(folder)?;
    let _lock = RunLock::acquire(folder)?;
    durable::sweep(folder)?;
    let study = placed(study)?;
    durable::write_atomic(&named, study.to_toml().as_bytes())?;
    Run { study: &study, folder, options, start }.go(&prepared, observer)
}

/// Goes on with a run that was stopped, or makes a finished one's files anew.
///
/// # Errors
/// [`Error::Folder`] where the folder holds no run, or study or data have changed since;
/// [`Error::Integrity`] where the checkpoint is damaged; and as [`train`].
pub fn resume(
    folder: &Path,
    options: &Options<'_>,
    observer: &mut Observer<'_>,
) -> Result<Outcome, Error> {
    let start = Instant::now();
    let named = folder.join(STUDY);
    if !named.exists() {
        return Err(Error::Folder {
            location: Location::file(folder).into(),
            what: "there is no run in this folder".into(),
            hint: "name the folder of a run, which has a study.toml".into(),
        });
    }
    let study = Study::load(&named, &[])?;
    let _lock = RunLock::acquire(folder)?;
    durable::sweep(folder)?;
    let prepared = Prepared::new(&study, &options.limits)?;
    Run { study: &study, folder, options, start }.go(&prepared, observer)
}

/// The study with a path that does not depend on where its file lies.
fn placed(study: &Study) -> Result<Study, Error> {
    let mut study = study.clone();
    let base = std::mem::take(&mut study.base);
    if let Some(path) = study.data.path_mut() {
        let found = source::find(path, &base)?;
        // What is found among the data sets keeps its short name.
        let among_sets = path.is_relative() && !base.join(&*path).exists() && !path.exists();
        if !among_sets {
            *path = std::path::absolute(&found).unwrap_or(found);
        }
    }
    Ok(study)
}

struct Run<'a> {
    study: &'a Study,
    folder: &'a Path,
    options: &'a Options<'a>,
    start: Instant,
}

impl Run<'_> {
    fn go(&self, prepared: &Prepared, observer: &mut Observer<'_>) -> Result<Outcome, Error> {
        let study = self.study;
        let threads = prepared.threads(study, self.options.threads);
        let mut feed = prepared.feed(study)?;
        let mut judge = prepared.judge(study)?;
        let seed = study.study.seed;
        let mut fit = Fit::new(&prepared.program, &study.train, seed, feed.as_ref(), threads)?;
        let [train, tune, test] = prepared.sizes();
        observer(&Event::Prepared {
            name: &study.study.name,
            train,
            tune,
            test,
            parameters: fit.parameters.count(),
            bytes: fit.bytes(),
            threads,
            steps: feed.steps(),
        });
        let belongs = Belongs { study: study.digest(), data: prepared.cohort.fingerprint() };
        let mut sink = RunSink::open(self.folder, belongs, &mut fit)?;
        if fit.progress.steps > 0 {
            let (epoch, step) = (fit.progress.epoch, fit.progress.step);
            observer(&Event::Resumed { epoch, step });
        }
        let end = fit.run(feed.as_mut(), &mut judge, &mut sink, self.options.stop, observer)?;
        if end == End::Stopped {
            return Ok(self.stopped(&fit));
        }
        sink.log.sync()?;
        let history = report::history(&self.folder.join(METRICS))?;
        let epochs = [fit.progress.epoch, fit.progress.best.map_or(fit.progress.epoch, |b| b.0)];
        let epochs = match fit.best {
            Some(_) => epochs,
            None => [epochs[0]; 2],
        };
        fit.keep_best()?;
        self.finish(prepared, fit, &history, epochs, observer)
    }

    fn finish(
        &self,
        prepared: &Prepared,
        mut fit: Fit<'_>,
        history: &[EpochMetrics],
        epochs: [u64; 2],
        observer: &mut Observer<'_>,
    ) -> Result<Outcome, Error> {
        let study = self.study;
        observer(&Event::Baseline { name: "persistence, mean, season, autoregression" });
        let baselines = prepared.baselines(study);
        let manifest = Manifest {
            study: without_folders(study),
            schema: channels(&prepared.cohort),
            encoder: prepared.encoder.clone(),
            baselines,
            provenance: Provenance {
                sequela: env!("CARGO_PKG_VERSION").to_owned(),
                study: study.digest(),
                data: prepared.cohort.fingerprint(),
                training_data: prepared.parts.train.fingerprint(),
                parts: prepared.sizes().map(Part::into),
                epochs,
            },
            metrics: Vec::new(),
        };
        let model = Model::new(manifest, &fit.parameters.tensors())?;
        let mut named = vec![(
            network::name(study),
            forecasts(&model, prepared.judged(), &prepared.test, &mut fit.context)?,
        )];
        let baselines = &model.manifest().baselines;
        named.extend(baselines.forecasts(&prepared.encoder, &prepared.test));
        let values = prepared.encoder.length * prepared.encoder.width();
        let flat = study.evaluate.baselines.feed_forward.as_ref();
        if let Some(net) = flat.filter(|_| values <= WIDEST_FLAT) {
            observer(&Event::Baseline { name: "feed-forward net" });
            // The training is done and saved: a stop here costs this baseline alone.
            let Some(forecasts) = self.feed_forward(prepared, net, fit.context.threads())? else {
                return Ok(self.stopped(&fit));
            };
            named.push(("feed-forward net".to_owned(), forecasts));
        }
        observer(&Event::Evaluating { windows: prepared.test.windows.len() });
        let truth = truth(&prepared.encoder, prepared.judged(), &prepared.test)?;
        let about = (model.target().name.as_str(), model.target().unit.as_str(), study.data.step());
        let mut evaluation = Evaluation::judge(&truth, &named, study.evaluate.replicates, about)?;
        evaluation.notes = notes(study, prepared);
        if flat.is_some() && values > WIDEST_FLAT {
            let why = format!("a window has {values} values, more than {WIDEST_FLAT}");
            evaluation.notes.push(format!("the feed-forward net is left out: {why}"));
        }
        let model = model.with_metrics(evaluation.metrics());
        let (name, judged) = &named[0];
        let stretch = Stretch::typical(&model, name, prepared, judged, &mut fit.context)?;
        let pictures = Pictures { history, stretch: &stretch, model: &model, best: epochs[1] };
        let files = report::write(self.folder, &model, &evaluation, &pictures, observer)?;
        let last = history.last();
        Ok(Outcome::Finished(Box::new(Report {
            folder: self.folder.to_owned(),
            model: self.folder.join(MODEL),
            evaluation,
            epochs: epochs[0],
            best_epoch: epochs[1],
            train_loss: last.map_or(f64::NAN, |line| line.train_loss),
            tune_loss: fit.progress.best.map(|(_, loss)| loss),
            seconds: self.start.elapsed().as_secs_f64(),
            files,
        })))
    }

    fn stopped(&self, fit: &Fit<'_>) -> Outcome {
        Outcome::Stopped(Stopped {
            folder: self.folder.to_owned(),
            epoch: fit.progress.epoch,
            step: fit.progress.step,
            checkpoint: self.folder.join(CHECKPOINT),
        })
    }

    /// Forecasts of a feed-forward net that is trained by the same loop; none where it was
    /// stopped.
    fn feed_forward(
        &self,
        prepared: &Prepared,
        net: &FeedForward,
        threads: usize,
    ) -> Result<Option<Vec<f32>>, Error> {
        let (study, encoder) = (self.study, &prepared.encoder);
        let program = network::feed_forward(study, encoder, &net.hidden)?;
        let train = Train {
            memory: None,
            epochs: if net.epochs == 0 { study.train.epochs } else { net.epochs },
            ..study.train.clone()
        };
        let form = (Ports::find(&program)?, Form::Flat);
        let order = Order::Shuffled(study.study.seed);
        let mut feed = WindowFeed::new(encoder, &prepared.train, form, train.batch, order)
            .at_most(train.windows_per_epoch);
        let mut judge = if prepared.tune.windows.is_empty() {
            None
        } else {
            let tune = WindowFeed::new(encoder, &prepared.tune, form, BATCH, Order::Given);
            Some(Judge::new(&program, Box::new(tune))?)
        };
        let mut fit = Fit::new(&program, &train, study.study.seed, &feed, threads)?;
        let stop = self.options.stop;
        if fit.run(&mut feed, &mut judge, &mut Nowhere, stop, &mut |_| {})? == End::Stopped {
            return Ok(None);
        }
        fit.keep_best()?;
        let net = Net {
            program: &program,
            parameters: &fit.parameters,
            encoder,
            form: Form::Flat,
            quantiles: network::quantiles(&train.loss),
        };
        net.forecasts(&mut fit.context, &prepared.test).map(Some)
    }
}

fn notes(study: &Study, prepared: &Prepared) -> Vec<String> {
    let mut notes: Vec<String> = prepared.cohort.notes().to_vec();
    if prepared.judged_on_training {
        notes.push(
            "no test part was kept apart: the figures are of the very windows that were trained on"
                .into(),
        );
    } else if study.split.by == crate::study::SplitBy::Time {
        notes.push(
            "the split is by time: the figures say nothing about people not seen in training"
                .into(),
        );
    }
    if matches!(study.data, crate::study::Data::Article(_)) {
        notes.push(
            "the series is noise and one step: no model can be much better than the mean".into(),
        );
    }
    notes
}

/// The files that a training writes.
struct RunSink {
    log: AppendLog,
    timing: AppendLog,
    checkpoint: PathBuf,
    saved: bool,
    belongs: Belongs,
}

impl RunSink {
    /// Opens the files, and puts the state of the checkpoint into `fit` where there is one.
    fn open(folder: &Path, belongs: Belongs, fit: &mut Fit<'_>) -> Result<Self, Error> {
        let checkpoint = folder.join(CHECKPOINT);
        let saved = checkpoint.exists();
        let length = if saved { restore(&checkpoint, &belongs, fit)? } else { 0 };
        Ok(Self {
            log: AppendLog::resume(&folder.join(METRICS), length)?,
            timing: AppendLog::open(&folder.join(TIMING))?,
            checkpoint,
            saved,
            belongs,
        })
    }
}

impl Sink for RunSink {
    fn epoch(&mut self, metrics: &EpochMetrics, seconds: f64) -> Result<(), Error> {
        self.log.append_line(&serde_json::to_string(metrics).unwrap_or_default())?;
        let line = serde_json::json!({ "epoch": metrics.epoch, "seconds": seconds });
        self.timing.append_line(&line.to_string())?;
        Ok(())
    }

    fn checkpoint(&mut self, snapshot: &Snapshot) -> Result<&Path, Error> {
        // The lines that a checkpoint counts have to be there whatever happens after it.
        self.log.sync()?;
        snapshot.to_file(&self.belongs).save(&self.checkpoint)?;
        self.saved = true;
        Ok(&self.checkpoint)
    }

    fn length(&self) -> u64 {
        self.log.len()
    }

    fn last(&self) -> Option<&Path> {
        self.saved.then_some(self.checkpoint.as_path())
    }
}

/// Keeps nothing.
pub(crate) struct Nowhere;

impl Sink for Nowhere {
    fn epoch(&mut self, _metrics: &EpochMetrics, _seconds: f64) -> Result<(), Error> {
        Ok(())
    }

    fn checkpoint(&mut self, _snapshot: &Snapshot) -> Result<&Path, Error> {
        Ok(Path::new(""))
    }

    fn length(&self) -> u64 {
        0
    }

    fn last(&self) -> Option<&Path> {
        None
    }
}

/// The study as it was run.
pub(crate) const STUDY: &str = "study.toml";
/// One line for each epoch.
pub(crate) const METRICS: &str = "metrics.jsonl";
/// How long each epoch took.
pub(crate) const TIMING: &str = "timing.jsonl";
/// The state of the run.
pub(crate) const CHECKPOINT: &str = "checkpoint.safetensors";
/// The model file.
pub(crate) const MODEL: &str = "model.safetensors";

/// Values of the widest window that a feed-forward net is set beside: its first layer grows with
/// them.
const WIDEST_FLAT: usize = 10_000;
