//! Tests of the crate from outside, on the published tokenizers, templates and data sets of the shared folder.

// The lints let test functions unwrap and print, and not the functions they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod gguf;
mod imports;
mod masks;
mod renderings;
mod shared;
mod tokenizers;
