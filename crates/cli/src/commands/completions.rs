//! `lorikeet completions`: what a shell needs to complete our words.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::{args::Cli, failure::Failure, print::Printer};

/// Prints the script of a shell.
pub fn print(shell: Shell, printer: &mut Printer) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "lorikeet", &mut script);
    printer.piece(&String::from_utf8_lossy(&script))
}
