//! The words of the command line: sub-commands and flags, with the help a stranger reads. Knows nothing of what they do.

mod bench;
mod data;
mod export;
mod models;
mod runs;
mod settings;
mod train;
mod using;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

pub use bench::BenchArgs;
pub use data::DataCommand;
pub use export::ExportArgs;
pub use models::ModelsCommand;
pub use runs::RunsCommand;
pub use settings::{SettingFlags, heading};
pub use train::TrainArgs;
pub use using::{EmbedArgs, EvaluateArgs, GenerateArgs, PredictArgs, Quantize, ServeArgs};

/// Fine-tune language models on this computer
#[derive(Debug, Parser)]
#[command(
    name = "lorikeet",
    bin_name = "lorikeet",
    version = crate::version::version(),
    propagate_version = true,
    max_term_width = 120,
    long_about = "Fine-tune language models on this computer: from a file of examples to a tuned model, offline.\n\n\
                  Everything Lorikeet writes lies in one folder: $LORIKEET_HOME if it is set, otherwise the platform's \
                  folder for application data. `lorikeet doctor` says where that is.",
    after_help = "Examples:\n  \
                  lorikeet train --model starter --data orders.jsonl    train on a file of examples\n  \
                  lorikeet runs list                                    see what was trained\n  \
                  lorikeet generate --model starter --adapter orders-1 --prompt \"Two teas, please\"\n  \
                  lorikeet serve --model starter --adapter orders-1     let other programs use it\n\n\
                  Exit codes: 0 done, 1 the work failed, 2 the words were wrong."
)]
pub struct Cli {
    /// Print one JSON document on standard output (`train`: one JSON line per event)
    #[arg(long, global = true, display_order = 1000)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Import files of examples and look at them
    #[command(subcommand)]
    Data(DataCommand),
    /// Train a model on examples
    Train(Box<TrainArgs>),
    /// See and steer training runs
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Measure a model on examples
    Evaluate(EvaluateArgs),
    /// Let a model write an answer
    Generate(GenerateArgs),
    /// Ask a classifier for the label of a text
    Predict(PredictArgs),
    /// Turn texts into vectors
    Embed(EmbedArgs),
    /// Write a result in the form another program loads
    Export(ExportArgs),
    /// Let other programs on this computer use a model over HTTP
    Serve(ServeArgs),
    /// See the base models, register folders, bring models from a hub
    #[command(subcommand, alias = "model")]
    Models(ModelsCommand),
    /// Say how fast this computer is
    Bench(BenchArgs),
    /// Say what Lorikeet runs on, where it keeps things, and what is missing
    Doctor,
    /// Print completions for a shell
    #[command(long_about = "Print completions for a shell.\n\n\
                            bash:  lorikeet completions bash > ~/.local/share/bash-completion/completions/lorikeet\n\
                            zsh:   lorikeet completions zsh > a folder of $fpath, as _lorikeet\n\
                            fish:  lorikeet completions fish > ~/.config/fish/completions/lorikeet.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
}
