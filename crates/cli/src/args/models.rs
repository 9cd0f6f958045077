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
    /// Bring a model from a hub and register it
    #[command(
        long_about = "Bring a model from a hub and register it.\n\n\
                      Only what a model needs comes: its configuration, its tokenizer and its safetensors, or one GGUF file; \
                      never a pickle. A download that was cut or stopped goes on where it was, inside a file too, and every \
                      large file is checked against the hub's hash. Where the model is here already, nothing is asked. Where \
                      another program (transformers, huggingface_hub) fetched it whole, it is registered where it lies.\n\n\
                      HF_TOKEN is sent to the hub where it is set; HF_ENDPOINT names another hub; \
                      HF_HUB_CACHE or HF_HOME say where other programs fetch to.",
        after_help = "Examples:\n  \
                      lorikeet models get HuggingFaceTB/SmolLM2-135M-Instruct\n  \
                      lorikeet model get OWNER/NAME-GGUF --file NAME-Q4_K_M.gguf"
    )]
    Get {
        /// Its name on the hub
        #[arg(value_name = "OWNER/NAME")]
        model: String,
        /// A branch, a tag or a commit [default: the main branch]
        #[arg(long, value_name = "REVISION")]
        revision: Option<String>,
        /// One GGUF file of several
        #[arg(long, value_name = "FILE.gguf")]
        file: Option<String>,
    },
    /// List what other programs fetched on this computer; `get` and `add` use it where it lies
    Found,
    /// Register a folder as a base model; it stays where it is and is only read
    Add {
        /// Folder with config.json, weights and tokenizer
        folder: PathBuf,
        /// What to call it [default: the folder's name]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
}
