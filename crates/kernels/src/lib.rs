//! Operations with a backward, on every device. This crate knows tensors and nothing else: no layers, no files, no
//! models, no settings.
//!
//! A [`Backend`] is a short list of operations. [`Fused`] implements it for the CPU with pooled buffers, threads and
//! SIMD; [`Composed`] writes each operation in candle tensor operations, so that it runs wherever candle does (CPU, CUDA,
//! Metal); [`Tally`] computes nothing and counts what would be held. Blocks and their hand-written backwards are written once over the list, one crate up.

mod backend;
pub mod composed;
mod error;
pub mod fused;
mod matrix;
mod objective;
mod precision;
mod quantise;
pub mod random;
mod tally;

pub use backend::{Activation, AdamWStep, AttentionShape, Backend, Spans, Term};
pub use composed::Composed;
pub use error::{KernelError, Result};
pub use fused::{Fused, Simd};
pub use matrix::{HostMatrix, RowOrder};
pub use objective::{Objective, RowLoss};
pub use precision::Precision;
pub use tally::Tally;
