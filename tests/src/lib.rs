//! What the end-to-end tests share: where the test material lies and how a recorded fixture is read. Holds no test and
//! knows no door; nothing of the product depends on it.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)]

pub mod fixture;
pub mod loopback_hub;
pub mod material;
pub mod readers;
pub mod run;
pub mod shared_data;
pub mod terminal;
