//! The commands as a door calls them, on a real data folder, a real (tiny) model and the samples of the program.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod ahead;
mod errors;
mod exports;
mod labels;
mod life;
mod ready;
mod support;
mod wishes;
