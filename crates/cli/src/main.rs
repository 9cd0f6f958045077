//! `lorikeet`, the command line: words in, a command of `lorikeet_api` in the middle, text or JSON out. Knows arguments,
//! tables, bars and exit codes; what a command does is decided below, the same for every door.

mod args;
mod commands;
mod config;
mod declared;
mod failure;
mod interrupt;
mod print;
mod progress;
#[cfg(test)]
mod reference;
mod run_view;
mod table;
mod units;
mod version;

use std::{env, process::ExitCode};

use clap::{Parser, error::ErrorKind};
use tracing_subscriber::EnvFilter;

use crate::{
    args::Cli,
    failure::{ErrorDocument, Failure},
    print::Printer,
};

/// The variable that says what the log on standard error tells, as in `LORIKEET_LOG=debug`.
const LOG_VARIABLE: &str = "LORIKEET_LOG";

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    start_log();
    let mut printer = Printer::new(cli.json);
    match commands::run(cli.command, &mut printer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ended(&failure, &mut printer),
    }
}

/// Tells why the work failed, and the code that says so.
fn ended(failure: &Failure, printer: &mut Printer) -> ExitCode {
    if !matches!(failure, Failure::Reported(_)) {
        print::note(failure.text());
    }
    if let (Failure::Command(error), true) = (failure, printer.wants_json()) {
        // Standard output may be what failed; standard error has said everything by now.
        drop(printer.document(&ErrorDocument { error }));
    }
    ExitCode::from(failure.exit_code())
}

/// Help, version, or words that were wrong.
fn refused(error: &clap::Error) -> ExitCode {
    let wants_json = env::args_os().any(|word| word == "--json");
    let wrong = !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if wrong && wants_json {
        let text = error.render().to_string();
        let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
        let sentence = lines.join(" ").trim_start_matches("error: ").to_owned();
        if let Failure::Command(error) = Failure::words(sentence) {
            drop(Printer::new(true).document(&ErrorDocument { error: &error }));
        }
    }
    // A closed standard error leaves nowhere to say that it is closed.
    drop(error.print());
    ExitCode::from(if wrong { 2 } else { 0 })
}

fn start_log() {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("error"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    log.with_ansi(print::can_draw() && env::var_os("NO_COLOR").is_none()).compact().init();
}
