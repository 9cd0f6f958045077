//! `lorikeet data …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with examples.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Read a file of examples and keep it as a dataset
    Import(ImportArgs),
    /// List the datasets, newest first
    List,
    /// Show one dataset: columns, labels, first rows
    Show {
        /// Dataset by id or name
        id: String,
    },
    /// Show rows as a model reads them, with the learned part marked
    Preview(PreviewArgs),
    /// List the sample datasets that come with Lorikeet
    Samples,
}

/// Flags of `data import`.
#[derive(Debug, Args)]
#[command(
    long_about = "Read a file of examples and keep it as a dataset.\n\n\
                  JSON Lines, JSON, CSV, TSV and text are read. What the rows mean is told by their content: instruction and \
                  output (Alpaca), conversations (ShareGPT), messages (OpenAI), prompt and completion, text and label, or \
                  plain text.\n\n\
                  A row that cannot be used refuses the file and is reported with line, column and reason; --keep-good keeps \
                  the others. Importing the same bytes twice yields the same dataset.",
    after_help = "JSON: id, hash, kind, n_rows, n_bad, name, format, n_bytes, task, columns, labels, examples, bad_rows"
)]
pub struct ImportArgs {
    /// The file
    #[arg(required_unless_present = "sample")]
    pub file: Option<PathBuf>,
    /// What to call the dataset [default: the file's name without its ending]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Keep the good rows when some rows cannot be used
    #[arg(long)]
    pub keep_good: bool,
    /// Import a sample dataset instead of a file; `lorikeet data samples` lists them
    #[arg(long, value_name = "SAMPLE", conflicts_with_all = ["file", "name", "keep_good"])]
    pub sample: Option<String>,
}

/// Flags of `data preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// Dataset by id or name
    pub id: String,
    /// Model whose tokens and chat template are used: id, name or folder
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// First row, from 0
    #[arg(long, value_name = "ROW", default_value_t = 0)]
    pub offset: u64,
    /// Rows at most
    #[arg(long, value_name = "ROWS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub limit: u64,
    /// Tokens after which a row is cut [default: as when training]
    #[arg(long, value_name = "TOKENS")]
    pub max_length: Option<u64>,
}
