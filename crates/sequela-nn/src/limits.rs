//! Upper bounds on sizes, checked before anything is allocated.

use crate::Error;
use sequela_core::Location;

/// Nodes and parameters of one program.
pub(crate) const NODES: usize = 1 << 16;
/// Values of one row; hidden units of one layer.
pub(crate) const WIDTH: usize = 1 << 16;
/// Rows of one table (a vocabulary).
pub(crate) const VOCABULARY: usize = 1 << 24;
/// Weights of one program: 1 GiB of f32, and three times as much again under Adam.
pub(crate) const WEIGHTS: usize = 1 << 28;
/// Bytes of one plan.
pub(crate) const PLAN_BYTES: usize = 1 << 38;

/// Refuses a size over its limit.
pub(crate) fn check(
    field: &str,
    what: &'static str,
    found: usize,
    limit: usize,
) -> Result<(), Error> {
    if found > limit {
        return Err(Error::Limit {
            location: Location::default().field(field),
            what,
            found: found as u64,
            limit: limit as u64,
        });
    }
    Ok(())
}
