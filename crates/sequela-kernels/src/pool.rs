//! Worker threads with a spin-then-park handoff. All unsafe code of threading is in this file.

use crate::Error;
use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, Thread};

type Job = *const (dyn Fn(usize) + Sync);

/// What one worker shares with its owner, on its own cache lines.
#[repr(align(128))]
struct Slot {
    /// Raised by the owner when a job is there.
    ordered: AtomicU64,
    /// Set to `ordered` by the worker when the job is done.
    done: AtomicU64,
    parked: AtomicBool,
    stop: AtomicBool,
    job: UnsafeCell<Option<Job>>,
    panic: Mutex<Option<String>>,
}

// SAFETY: `job` is written only while the worker waits (`done == ordered`), and read by the
// worker only after `ordered` was raised with release order; everything else is atomic or locked.
unsafe impl Sync for Slot {}
// SAFETY: the job pointer refers to a `Sync` closure that outlives the call of `run`.
unsafe impl Send for Slot {}

struct Worker {
    slot: Arc<Slot>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

/// Threads that wait for work; the caller of [`Pool::run`] is one of them.
pub(crate) struct Pool {
    workers: Vec<Worker>,
    spin: u32,
}

/// Rounds of spinning before a thread parks: about 50 us, longer than any gap inside a step.
const SPIN: u32 = 20_000;

impl Pool {
    /// A pool of `threads` threads, the caller among them.
    pub(crate) fn new(threads: usize) -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // With more threads than cores, spinning would keep the working thread from its core.
        let spin = if threads > cores { 0 } else { SPIN };
        let mut pool = Self { workers: Vec::new(), spin };
        for index in 1..threads {
            let slot = Arc::new(Slot {
                ordered: AtomicU64::new(0),
                done: AtomicU64::new(0),
                parked: AtomicBool::new(false),
                stop: AtomicBool::new(false),
                job: UnsafeCell::new(None),
                panic: Mutex::new(None),
            });
            let shared = Arc::clone(&slot);
            let handle = std::thread::Builder::new()
                .name(format!("sequela-{index}"))
                .spawn(move || work(&shared, index, spin))
                .map_err(|error| Error::Thread { index, message: error.to_string() })?;
            let thread = handle.thread().clone();
            pool.workers.push(Worker { slot, thread, handle: Some(handle) });
        }
        Ok(pool)
    }

    /// Number of threads.
    pub(crate) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `job(k)` once for each `k` in `0..parts`, all at the same time, and waits.
    /// `parts` must not be over the number of threads.
    pub(crate) fn run(&mut self, parts: usize, job: &(dyn Fn(usize) + Sync)) -> Result<(), Error> {
        assert!(parts <= self.threads(), "more parts than threads");
        let Some(helpers) = parts.checked_sub(1) else { return Ok(()) };
        let helpers = &self.workers[..helpers];
        for worker in helpers {
            #[expect(
                clippy::transmute_ptr_to_ptr,
                reason = "a cast cannot widen the lifetime of a trait object"
            )]
            // SAFETY: the lifetime is widened for storage only: every worker has finished with
            // the job before this function returns, also when `job` panics here or there.
            let job =
                unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Job>(job) };
            // SAFETY: the worker is idle (`done == ordered`), so nobody reads the cell.
            unsafe { *worker.slot.job.get() = Some(job) };
            worker.slot.ordered.fetch_add(1, Ordering::SeqCst);
            if worker.slot.parked.load(Ordering::SeqCst) {
                worker.thread.unpark();
            }
        }
        let own = catch_unwind(AssertUnwindSafe(|| job(0))).map_err(|payload| text(&*payload));
        let mut message = own.err();
        for worker in helpers {
            let ordered = worker.slot.ordered.load(Ordering::Relaxed);
            let mut rounds = 0;
            while worker.slot.done.load(Ordering::Acquire) != ordered {
                rounds += 1;
                if rounds > self.spin {
                    std::thread::yield_now();
                } else {
                    std::hint::spin_loop();
                }
            }
            if let Ok(mut panic) = worker.slot.panic.lock()
                && let Some(text) = panic.take()
            {
                message.get_or_insert(text);
            }
        }
        message.map_or(Ok(()), |message| Err(Error::Panicked { message }))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.slot.stop.store(true, Ordering::SeqCst);
            worker.slot.ordered.fetch_add(1, Ordering::SeqCst);
            worker.thread.unpark();
            if let Some(handle) = worker.handle.take() {
                let _ = handle.join();
            }
        }
    }
}

fn work(slot: &Slot, index: usize, spin: u32) {
    let mut seen = 0;
    loop {
        let mut rounds = 0;
        while slot.ordered.load(Ordering::Acquire) == seen {
            rounds += 1;
            if rounds < spin {
                std::hint::spin_loop();
                continue;
            }
            slot.parked.store(true, Ordering::SeqCst);
            if slot.ordered.load(Ordering::SeqCst) == seen {
                std::thread::park();
            }
            slot.parked.store(false, Ordering::SeqCst);
            rounds = 0;
        }
        seen += 1;
        if slot.stop.load(Ordering::SeqCst) {
            return;
        }
        // SAFETY: the owner wrote the job before it raised `ordered`, and does not touch it
        // again, nor let the closure go, until `done` is set below.
        let job = unsafe { (*slot.job.get()).map(|job| &*job) };
        if let Some(job) = job
            && let Err(payload) = catch_unwind(AssertUnwindSafe(|| job(index)))
            && let Ok(mut panic) = slot.panic.lock()
        {
            *panic = Some(text(&*payload));
        }
        slot.done.store(seen, Ordering::Release);
    }
}

fn text(payload: &(dyn Any + Send)) -> String {
    let plain = payload.downcast_ref::<&str>().map(ToString::to_string);
    plain
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn every_part_runs_once_with_more_threads_than_cores() {
        let mut pool = Pool::new(7).unwrap();
        let counts: Vec<AtomicUsize> = (0..7).map(|_| AtomicUsize::new(0)).collect();
        for parts in [1, 3, 0, 7, 7, 2] {
            pool.run(parts, &|k| {
                counts[k].fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
        }
        let counts: Vec<usize> = counts.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [5, 4, 3, 2, 2, 2, 2]);
    }

    #[test]
    fn a_panic_of_any_part_is_an_error_and_the_pool_lives_on() {
        let mut pool = Pool::new(3).unwrap();
        for guilty in 0..3 {
            let error = pool.run(3, &|k| assert!(k != guilty, "part {k} broke")).unwrap_err();
            assert_eq!(error, Error::Panicked { message: format!("part {guilty} broke") });
        }
        pool.run(3, &|_| {}).unwrap();
    }

    #[test]
    fn a_worker_that_parked_wakes_up() {
        let mut pool = Pool::new(2).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        let ran = AtomicUsize::new(0);
        pool.run(2, &|_| {
            ran.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
        assert_eq!(ran.into_inner(), 2);
    }
}
