//! Whole models, made from scratch: gradients against finite differences, folders in and out, what is refused and how.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod adapters;
mod configurations;
mod exports;
mod folders;
mod gguf;
mod gradients;
mod properties;
mod quantise;
mod requests;
mod weights;
mod zoo;
