//! `lorikeet runs …`.

use clap::Subcommand;

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List the runs, newest first
    List {
        /// Runs at most
        #[arg(long, value_name = "RUNS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
        /// First run, from 0
        #[arg(long, value_name = "RUN", default_value_t = 0)]
        offset: u64,
    },
    /// Show one run: numbers, settings, checkpoints
    #[command(after_help = "JSON: id, status, settings, metrics, checkpoints, request, folder, adapter and more")]
    Show {
        /// Run by id or name
        id: String,
    },
    /// Write a run's report, one HTML file with its plots, and say where it is
    #[command(after_help = "JSON: path")]
    Report {
        /// Run by id or name
        id: String,
    },
    /// Stop a run after its current step; its checkpoints are kept
    Cancel {
        /// Run by id or name
        id: String,
    },
}
