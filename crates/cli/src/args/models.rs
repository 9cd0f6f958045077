//! `lorikeet models …`.

use std::path::PathBuf;

use clap::Subcommand;

/// What to do with base models.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the base models, the built-in one first
    List,
    /// Show one model: size, shape, labels, what it can be trained for
    Show {
        /// Model by id, name or folder
        model: String,
    },
    /// Register a folder as a base model; it stays where it is and is only read
    Add {
        /// Folder with config.json, weights and tokenizer
        folder: PathBuf,
        /// What to call it [default: the folder's name]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
}
