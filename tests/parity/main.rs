//! The numbers of transformers and PEFT against ours: every fixture folder found under
//! `$LORIKEET_SHARED/parity/fixtures`, and the smaller ones in `recorded`, through every back end.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod adapters;
mod compare;
mod differences;
mod dpo;
mod families;
mod gguf;
mod labels;
mod matrix;
mod oracle;
mod recorded;
mod threads;
