//! Every operation on every back end of this build: forward against a plain 64-bit computation, backward against finite
//! differences of it, the back ends against each other.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod activations;
mod attention;
mod blocks;
mod determinism;
mod equality;
mod harness;
mod levels;
mod matrix;
mod norms;
mod objective;
mod precision;
mod products;
mod properties;
mod reference;
mod refusals;
mod rows;
