//! `cargo xtask …`: the project's own commands, for the people who work on it.

use std::io::Write;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod starter;

#[derive(Debug, Parser)]
#[command(name = "xtask", about = "The project's own commands")]
struct Xtask {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the embedded starter model: tokenizer, corpus, samples, weight files, card.
    #[command(subcommand)]
    Starter(starter::Starter),
}

fn main() -> Result<()> {
    let told = match Xtask::parse().command {
        Command::Starter(step) => starter::run(&step)?,
    };
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}
