//! Several trials at once.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use sequela_core::Limits;

use super::draw::Candidate;
use super::trial::{Watch, train_until};
use super::{SearchEvent, best_of};
use crate::Error;
use crate::fit::EpochMetrics;
use crate::predict::Options;

/// Who trains, and what stops them.
pub(super) struct Workers<'a> {
    count: usize,
    stop: Option<&'a AtomicBool>,
    limits: Limits,
}

impl<'a> Workers<'a> {
    pub(super) fn new(options: &Options<'a>) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let count = if options.threads > 0 { options.threads } else { cores() };
        Self { count, stop: options.stop, limits: options.limits }
    }
}

/// The epochs of a trial; none where its loss did not stay finite.
type History = Option<Vec<EpochMetrics>>;

/// What a worker tells.
enum News {
    Epoch,
    /// The place of a trial in the round, and its end: none where it was stopped.
    End(usize, Result<Option<History>, Error>),
}

/// Trains all trials of a round up to an epoch; their histories in order, or none where a stop was
/// asked for.
///
/// # Errors
/// The error of the trial with the lowest number; the others are stopped, and can go on.
pub(super) fn train_round(
    workers: &Workers<'_>,
    trials: &[(&Candidate, PathBuf)],
    until: u64,
    observer: &mut dyn FnMut(&SearchEvent<'_>),
) -> Result<Option<Vec<History>>, Error> {
    let (next, halt) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut ends: Vec<Option<Result<Option<History>, Error>>> =
        trials.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        let (tell, news) = mpsc::channel();
        for _ in 0..workers.count.min(trials.len()) {
            let (tell, next, halt) = (tell.clone(), &next, &halt);
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some((candidate, folder)) = trials.get(place) else { break };
                    let stop = || {
                        let wanted = workers.stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
                        wanted || halt.load(Ordering::Relaxed)
                    };
                    let mut epoch = || drop(tell.send(News::Epoch));
                    let mut watch = Watch { stop: &stop, epoch: &mut epoch };
                    let end = match train_until(
                        &candidate.study,
                        folder,
                        until,
                        &workers.limits,
                        &mut watch,
                    ) {
                        Ok(history) => Ok(history.map(Some)),
                        Err(Error::NotFinite { .. }) => Ok(Some(None)),
                        Err(error) => Err(error),
                    };
                    let ended = end.is_err() || matches!(end, Ok(None));
                    drop(tell.send(News::End(place, end)));
                    if ended {
                        halt.store(true, Ordering::Relaxed);
                        break;
                    }
                }
            });
        }
        drop(tell);
        for heard in news {
            match heard {
                News::Epoch => observer(&SearchEvent::Epoch),
                News::End(at, end) => {
                    if let Ok(Some(history)) = &end {
                        let candidate = trials[at].0;
                        observer(&SearchEvent::Trial {
                            number: candidate.number,
                            best: history.as_deref().and_then(best_of),
                            values: &candidate.values,
                        });
                    }
                    ends[at] = Some(end);
                }
            }
        }
    });
    // An error first: it is what stopped the others.
    let ends: Vec<_> = ends.into_iter().map(Option::transpose).collect::<Result<_, _>>()?;
    Ok(ends.into_iter().map(Option::flatten).collect())
}
