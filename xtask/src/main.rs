//! `cargo xtask …`: the project's own commands, for the people who work on it. Knows nothing of the engine: what it asks of
//! Lorikeet it asks through the `lorikeet` program.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod app;
mod bench;
mod demo;
mod fuzz;
mod generated;
mod house;
mod interop;
mod process;
mod python;
mod say;
mod setup;
mod starter;
mod steps;
mod tally;
mod test;
mod tidy;

#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", about = "The project's own commands")]
struct Xtask {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the main job from end to end: import, measure, train, measure again, answers before and after.
    Demo,
    /// Set up this machine and run every test: Rust, the window's units, the real window.
    Test(test::Options),
    /// Give the readers of files from anywhere millions of broken ones.
    Fuzz(fuzz::Options),
    /// Build the window and open it.
    App,
    /// Load what Lorikeet writes in PEFT, transformers and llama.cpp, and compare.
    Interop(interop::Options),
    /// Measure Lorikeet beside PyTorch, PEFT, llama.cpp and datasets, in turns, and write docs/benchmarks.md.
    Bench(bench::Options),
    /// Hold the repository against the rules of the house.
    Tidy,
    /// Write ui/src/bindings.ts from the list of commands.
    Bindings,
    /// Write the generated documents below docs.
    Docs,
    /// Make the embedded starter model: tokenizer, corpus, samples, weight files, card.
    #[command(subcommand)]
    Starter(starter::Starter),
}

fn main() -> ExitCode {
    match run(Xtask::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Where even the error cannot be told, the code still tells.
            drop(say::line(&say::red(&format!("error: {error:#}"))));
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well.
fn run(command: Command) -> Result<bool> {
    match command {
        Command::Demo => demo::run_demo()?,
        Command::Test(options) => return test::run_tests(&options),
        Command::Fuzz(options) => fuzz::run_fuzz(&options)?,
        Command::Interop(options) => return interop::run_interop(&options),
        Command::Bench(options) => bench::run_bench(&options)?,
        Command::App => app::run_app()?,
        Command::Tidy => tidy::run()?,
        Command::Bindings => generated::bindings()?,
        Command::Docs => generated::docs()?,
        Command::Starter(step) => say::line(&starter::run(&step)?)?,
    }
    Ok(true)
}
