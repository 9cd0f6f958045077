//! The server from outside: real requests over a real connection to a real model.

// The lints let test functions unwrap and print, and not the functions they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod client;
mod embeddings;
mod engine;
mod predictions;
mod refusals;
mod running;
mod shapes;
mod streams;
mod switch;
