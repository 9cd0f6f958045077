//! The numbers of transformers and PEFT against ours: every fixture folder found under
//! `$LORIKEET_SHARED/parity/fixtures`, through every back end.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod adapters;
mod compare;
mod differences;
mod families;
mod gguf;
mod matrix;
mod threads;
