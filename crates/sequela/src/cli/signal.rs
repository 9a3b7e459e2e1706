//! Ctrl-C and SIGTERM: the first asks for a checkpoint, the second ends the program at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sequela_core::Class;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::failure::Failure;

/// The flag that a signal sets from now on.
pub(crate) fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset, only the second exits.
        flag::register_conditional_shutdown(signal, STOPPED, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| {
                let message = format!("signals cannot be watched ({error})");
                Failure::new(Class::Io, message, "run it in an ordinary shell")
            })?;
    }
    Ok(stop)
}

/// Lets a write over the limit of file sizes fail like one to a full disk, instead of ending the
/// program without a word.
pub(crate) fn outlive_file_limits() {
    #[cfg(unix)]
    // Where it cannot be had, the system ends the program as before: files stay whole either way.
    let _ = flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// Exit code of a run that a signal stopped.
pub(crate) const STOPPED: i32 = 130;
