//! Fused recurrent kernels on f32 slices.
//!
//! **Owner computes**: every output number is finished by one thread that walks its sum in one
//! fixed order, with fused multiply-add everywhere. So results are the same bits for any number
//! of threads, for AVX-512, AVX2 and portable code, for a sequence alone or in any batch, in
//! one call or step by step.
//!
//! **Except in bf16**: [`Precision::Bf16`], off by default, rounds the operands of the products of
//! recurrent layers to bf16 and sums in f32, on processors with AVX-512 BF16 (and AMX, if there).
//! h is then off by 1e-4 in the mean and 1e-3 at most, gradients by about 0.1 %; the last bits
//! depend on processor, threads and batch.
//!
//! | module | what it does |
//! |---|---|
//! | [`recurrent`] | Elman, LSTM and GRU over packed ragged batches, forward and back through time |
//! | [`linear`] | `y = x W^T + b` and its gradients |
//! | [`activation`] | exp, tanh, sigmoid and kin |
//! | [`optimiser`] | SGD, RMSprop, Adam, AdamW on packed weights; norms and clipping |
//! | [`mod@reference`] | the same mathematics, naive, in f64, differentiated by a tape |
//!
//! This is the only crate with `unsafe`. Layers of it, from the bottom: `isa` proves what the
//! processor can do, `simd` is one vector type per instruction set, `tile` holds the two register
//! tiles that all matrix work is made of, `panel` the packed weights, and the cells add what
//! happens to a tile before it is stored.

#![allow(
    clippy::inline_always,
    reason = "a kernel must be compiled as a whole inside the function with the target feature"
)]
#![allow(clippy::doc_markdown, reason = "equations and names of methods are not code")]
#![allow(
    clippy::needless_range_loop,
    reason = "tiles index their sums by constants: the loops unroll, iterators may not"
)]
#![cfg_attr(
    test,
    allow(clippy::float_cmp, clippy::cast_possible_truncation, reason = "tests compare bits")
)]

pub mod activation;
mod buffer;
mod context;
mod error;
pub(crate) mod half;
mod isa;
pub mod linear;
mod memory;
pub mod optimiser;
mod outer;
mod panel;
pub mod peak;
mod pool;
mod product;
pub mod recurrent;
pub mod reference;
mod simd;
mod tile;

/// Rows whose gradients are summed into those of the weights at once: sums over steps go from the
/// last chunk of whole steps with so many rows to the first.
pub const CHUNK_ROWS: usize = 256;

pub use buffer::{Buffer, LANES, Matrix, MatrixMut, Write, stride};
pub use context::Context;
pub use error::Error;
pub use half::Precision;
pub use isa::Isa;
