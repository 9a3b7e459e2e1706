//! One trial of a round: a run that is trained up to an epoch, and not judged.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use sequela_core::{Limits, Location};
use sequela_formats::durable;
use sequela_formats::lock::RunLock;

use crate::checkpoint::Belongs;
use crate::fit::{EpochMetrics, Fit};
use crate::run::{METRICS, STUDY, check_precision};
use crate::sink::RunSink;
use crate::study::Study;
use crate::{Error, Event, report, task};

/// What a trial listens to and tells while it is trained.
pub(super) struct Watch<'a> {
    /// Whether it is to be stopped.
    pub(super) stop: &'a dyn Fn() -> bool,
    /// Is told each epoch that is made.
    pub(super) epoch: &'a mut dyn FnMut(),
}

/// Trains a study in its folder up to the end of epoch `until`, from where it was left; the lines
/// of its epochs, or none where it was stopped before.
///
/// # Errors
/// [`Error::Data`] where nobody is left to tune on; and as [`crate::train`].
pub(super) fn train_until(
    study: &Study,
    folder: &Path,
    until: u64,
    limits: &Limits,
    watch: &mut Watch<'_>,
) -> Result<Option<Vec<EpochMetrics>>, Error> {
    durable::create_dir(folder)?;
    let _lock = RunLock::acquire(folder)?;
    durable::sweep(folder)?;
    durable::write_atomic(&folder.join(STUDY), study.to_toml().as_bytes())?;
    let prepared = task::prepare(study, limits)?;
    check_precision(prepared.as_ref(), study)?;
    let mut feed = prepared.feed(study)?;
    let mut judge = prepared.judge(study)?;
    if judge.is_none() {
        return Err(Error::Data {
            location: Location::file(STUDY).field("split").into(),
            what: "there is nobody to tune on, so that trials cannot be compared".into(),
            hint: "give split.fractions a tune part of 0.2".into(),
        });
    }
    let seed = study.study.seed;
    let mut fit = Fit::new(prepared.program(), &study.train, seed, feed.as_ref(), 1)?;
    let belongs = Belongs { study: study.digest(), data: prepared.fingerprint() };
    let mut sink = RunSink::open(folder, belongs, &mut fit)?;
    if fit.progress.epoch < until && !fit.progress.finished {
        // A run stops by its checkpoint, which it goes on from in the next round.
        let stop = AtomicBool::new((watch.stop)());
        fit.run(feed.as_mut(), &mut judge, &mut sink, Some(&stop), &mut |event| {
            let made = matches!(event, Event::Epoch { epoch, .. } if *epoch >= until);
            if let Event::Epoch { .. } = event {
                (watch.epoch)();
            }
            if made || (watch.stop)() {
                stop.store(true, Ordering::Relaxed);
            }
        })?;
    }
    sink.sync()?;
    if fit.progress.epoch < until && !fit.progress.finished {
        return Ok(None);
    }
    let mut history = report::history(&folder.join(METRICS))?;
    history.truncate(usize::try_from(until).unwrap_or(usize::MAX));
    Ok(Some(history))
}
