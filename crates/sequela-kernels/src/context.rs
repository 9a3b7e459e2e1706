//! What every kernel call is given: the instruction set and the threads.

use crate::pool::Pool;
use crate::simd::Kernel;
use crate::{Error, Isa};
use std::ops::Range;

/// The instruction set and the worker threads that kernels run on.
///
/// Neither changes a bit of any result; a context is made once and used for everything.
///
/// # Example
/// ```
/// use sequela_kernels::Context;
/// let context = Context::new(2)?;
/// assert_eq!(context.threads(), 2);
/// # Ok::<(), sequela_kernels::Error>(())
/// ```
pub struct Context {
    pub(crate) isa: Isa,
    pool: Pool,
    worth: usize,
}

/// A handoff costs about 1 us when the worker is awake, and what it wrote comes back from another
/// core's cache: give each thread 30 us or more.
const WORTH: usize = 4 << 20;

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Context({}, {} threads)", self.isa.name(), self.threads())
    }
}

impl Context {
    /// A context of `threads` threads (at least 1) on the best instruction set, or on the one
    /// that the environment variable `SEQUELA_ISA` names.
    ///
    /// # Errors
    /// [`Error::Isa`] for a bad `SEQUELA_ISA`, [`Error::Thread`] where a thread cannot start.
    pub fn new(threads: usize) -> Result<Self, Error> {
        Self::with_isa(Isa::from_environment()?, threads)
    }

    /// A context on a chosen instruction set.
    ///
    /// # Errors
    /// [`Error::Thread`] where a thread cannot start.
    pub fn with_isa(isa: Isa, threads: usize) -> Result<Self, Error> {
        Ok(Self { isa, pool: Pool::new(threads.max(1))?, worth: WORTH })
    }

    /// The same context, which takes one more thread for every `multiplications` of a call
    /// (4 million by default, at least 1). Changes speed, never bits.
    #[must_use]
    pub fn with_worth(mut self, multiplications: usize) -> Self {
        self.worth = multiplications.max(1);
        self
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// How many threads a piece of work of this many multiplications is worth.
    pub(crate) fn parts_for(&self, work: usize) -> usize {
        self.threads().min(work / self.worth + 1)
    }

    /// Runs `job(k)` for `k` in `0..parts`, each on its own thread.
    pub(crate) fn run_parts(
        &mut self,
        parts: usize,
        job: &(dyn Fn(usize) + Sync),
    ) -> Result<(), Error> {
        self.pool.run(parts, job)
    }

    /// Runs one kernel on the calling thread.
    #[inline]
    pub(crate) fn run<K: Kernel>(&self, kernel: K) {
        self.isa.run(kernel);
    }
}

/// The `part`-th of `parts` nearly equal ranges of `0..n`.
pub(crate) fn share(n: usize, part: usize, parts: usize) -> Range<usize> {
    n * part / parts..n * (part + 1) / parts
}

/// A job whose pointers several threads may use: each writes its own part.
pub(crate) struct Shared<T>(T);
// SAFETY: whoever made the value vouched for how threads use it.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// # Safety
    /// Threads that share the value must write disjoint parts through its pointers (owner
    /// computes), and read only what no thread writes in the same run.
    pub(crate) unsafe fn new(job: T) -> Self {
        Self(job)
    }

    pub(crate) fn get(&self) -> &T {
        &self.0
    }
}
