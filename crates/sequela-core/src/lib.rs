//! The shared words of sequela: what a sequence, a subject, a schema and a batch layout are.
//!
//! This crate does no I/O and knows no model. Everything above it speaks in these types:
//!
//! ```text
//! file --formats--> Sequence --data--> windows --batch--> Layout + matrices --nn--> prediction
//! ```
//!
//! Missing values are a mask, never a magic number; rows of a batch are packed, never padded.

#![forbid(unsafe_code)]

mod error;
mod layout;
mod limits;
mod location;
mod quantile;
mod random;
mod schema;
mod sequence;

pub use error::{Class, Error};
pub use layout::Layout;
pub use limits::Limits;
pub use location::Location;
pub use quantile::quantile;
pub use random::Random;
pub use schema::{Channel, Schema};
pub use sequence::{Sequence, Steps, SubjectId, Target};
