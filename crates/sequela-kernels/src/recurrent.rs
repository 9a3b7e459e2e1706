//! Recurrent layers over packed ragged batches, forward and back through time.
//!
//! One layer, one direction; stacks and bidirectional layers are made of several. Rows are
//! packed as [`sequela_core::Layout`] says, so padding is never computed. Sums over k run over
//! `[bias | x_t | h_{t-1}]` in this order, in one pass with the gates of 16 units in one
//! register tile; the gate functions are applied before anything is stored.
//!
//! Backward is exact over the whole sequence. Gradients of the weights are cut by weight panel
//! (each number is summed by one thread, over steps and rows in a fixed order).

mod backward;
mod backward_step;
mod cell;
mod elementwise;
mod elman;
mod fade;
mod forward;
mod gru;
mod gru_before;
#[cfg_attr(not(target_arch = "x86_64"), path = "recurrent/half_absent.rs")]
mod half;
#[cfg(target_arch = "x86_64")]
mod half_back;
#[cfg(target_arch = "x86_64")]
mod half_weights;
mod lru;
mod lstm;
mod min_gru;
mod min_lstm;
mod piece;
mod shape;
mod stream;
mod weights;
mod workspace;

pub use backward::{Backward, backward, backward_piece, transpose};
pub use forward::{Forward, Initial, forward};
pub use piece::{Piece, Place, Seam};
pub use shape::{Cell, Direction, RecurrentShape, Reset, StatePart, WeightMatrix};
pub use shape::{Weights, WeightsMut};
pub use stream::{State, step};
pub use workspace::{Capacity, Keep, Workspace};
