//! The end of a forecaster's training: baselines, figures, pictures.

use std::path::PathBuf;

use sequela_nn::Precision;

use crate::evaluation::{Evaluation, truth};
use crate::feed::{Form, Order, Ports, WindowFeed};
use crate::fit::{End, Fit};
use crate::judge::{BATCH, Judge, Net};
use crate::judged::Judged;
use crate::model::{Manifest, Model, channels, provenance, without_folders};
use crate::overlap::Overlap;
use crate::predict::forecasts;
use crate::prepare::Prepared;
use crate::report;
use crate::sink::Nowhere;
use crate::stretch::Stretch;
use crate::study::{FeedForward, Study, Train};
use crate::task::Trained;
use crate::{Error, Event, Observer, network};

/// Values of the widest window that a feed-forward net is set beside: its first layer grows with
/// them.
const WIDEST_FLAT: usize = 10_000;

/// Judges a trained forecaster beside its baselines and writes its files; none where it was
/// stopped.
pub(crate) fn finish(
    prepared: &Prepared,
    trained: &Trained<'_>,
    fit: &mut Fit<'_>,
    observer: &mut Observer<'_>,
) -> Result<Option<(Judged, Vec<PathBuf>)>, Error> {
    let study = trained.study;
    observer(&Event::Baseline { name: "persistence, mean, season, autoregression" });
    let baselines = prepared.baselines(study);
    let manifest = Manifest {
        study: without_folders(study),
        schema: channels(&prepared.cohort),
        encoder: prepared.encoder.clone(),
        baselines: Some(baselines),
        classes: None,
        provenance: provenance(prepared, trained, &prepared.parts.train),
        metrics: Vec::new(),
        imported: None,
    };
    let model = Model::new(manifest, &fit.parameters.tensors())?;
    let mut named = vec![(
        network::name(study),
        forecasts(&model, prepared.judged(), &prepared.test, &mut fit.context)?,
    )];
    named.extend(model.baselines(&prepared.test));
    let values = prepared.encoder.length * prepared.encoder.width();
    let flat = study.evaluate.baselines.feed_forward.as_ref();
    if let Some(net) = flat.filter(|_| values <= WIDEST_FLAT) {
        observer(&Event::Baseline { name: "feed-forward net" });
        // The training is done and saved: a stop here costs this baseline alone.
        let Some(forecasts) = feed_forward(trained, prepared, net, fit.context.threads())? else {
            return Ok(None);
        };
        named.push(("feed-forward net".to_owned(), forecasts));
    }
    observer(&Event::Evaluating { windows: prepared.test.windows.len(), task: study.study.task });
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
    let mut files = report::forecast_files(&model, &evaluation, trained, &stretch)?;
    files.insert(1, Overlap::file(&model.manifest().provenance, &prepared.parts));
    let files = report::write(trained.folder, files, observer)?;
    Ok(Some((Judged::Forecasts(evaluation), files)))
}

/// Forecasts of a feed-forward net that is trained by the same loop; none where it was
/// stopped.
fn feed_forward(
    trained: &Trained<'_>,
    prepared: &Prepared,
    net: &FeedForward,
    threads: usize,
) -> Result<Option<Vec<f32>>, Error> {
    let (study, encoder) = (trained.study, &prepared.encoder);
    let program = network::feed_forward(study, encoder, &net.hidden)?;
    let train = Train {
        memory: None,
        epochs: if net.epochs == 0 { study.train.epochs } else { net.epochs },
        ..study.train.clone()
    };
    let form = (Ports::find(&program, network::HEAD)?, Form::Flat);
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
    let stop = trained.options.stop;
    if fit.run(&mut feed, &mut judge, &mut Nowhere, stop, &mut |_| {})? == End::Stopped {
        return Ok(None);
    }
    fit.keep_best()?;
    let net = Net {
        precision: Precision::F32,
        program: &program,
        parameters: &fit.parameters,
        encoder,
        form: Form::Flat,
        quantiles: network::quantiles(&train.loss),
    };
    net.forecasts(&mut fit.context, &prepared.test).map(Some)
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
