//! The command line, driven through the built binary: what it says about itself, the path from a file of examples to a tuned
//! model, and what it does with words and files that are wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod bad_files;
mod bad_folders;
mod bad_words;
mod found;
mod help;
mod hostile;
mod interrupted;
mod memory;
mod preferences;
mod serving;
mod spine;
