//! `lorikeet train`: what is trained on what; the settings are declared elsewhere and join here.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lorikeet_api::wire::{Method, Task};

use super::SettingFlags;

/// Flags of `train`.
#[derive(Debug, Args)]
#[command(
    long_about = "Train a model on examples.\n\n\
                  The model and the examples are all it needs; every setting has a default. The result is an adapter folder \
                  that PEFT and others load (with --method full, a whole model). Ctrl-C stops after the current step and saves \
                  the whole state; --resume goes on from there, also after a crash or a power cut, and ends with the same \
                  result as a run that was never interrupted.",
    after_help = "Examples:\n  \
                  lorikeet train --model starter --data orders.jsonl\n  \
                  lorikeet train --model ./SmolLM2-135M --data chats.jsonl --epochs 1 --rank 16 --output ./adapter\n  \
                  lorikeet train --config run.yaml --learning-rate 1e-4\n  \
                  lorikeet train --resume orders-1\n\n\
                  JSON: one line per event with event, run, seq, step; the last is \"completed\" with adapter and metrics"
)]
pub struct TrainArgs {
    /// Base model: id or name, or a folder with config.json, weights and tokenizer
    #[arg(long, value_name = "PATH_OR_NAME", required_unless_present_any = ["config", "resume"])]
    pub model: Option<String>,
    /// Examples: a file, or a dataset by id or name
    #[arg(long, value_name = "FILE_OR_ID", required_unless_present_any = ["config", "resume"])]
    pub data: Option<String>,
    /// What is learned [default: what the examples are made for]
    #[arg(long)]
    pub task: Option<TaskWord>,
    /// What moves: a small adapter, or every weight [default: lora]
    #[arg(long)]
    pub method: Option<MethodWord>,
    /// Ready-made settings; single settings override them
    #[arg(long, value_name = "PRESET", value_parser = ["quick", "balanced", "thorough"])]
    pub preset: Option<String>,
    /// Examples to check with, which are not learned from [default: a share of the examples]
    #[arg(long, value_name = "FILE_OR_ID", conflicts_with = "validation_split")]
    pub validation: Option<String>,
    /// What to call the run [default: made from the examples' name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Folder for the result [default: inside the data folder]
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Read settings and flags from a YAML file; flags override it
    #[arg(
        long,
        value_name = "FILE.yaml",
        long_help = "Read settings and flags from a YAML file; flags override it. Keys are the flags' names with `_` for `-`: \
                     model, data, task, method, preset, validation, name, output, resume, and every setting. Every run saves \
                     such a file in its folder, so that it can be repeated. Files of mlx-lm and Axolotl are read too; their \
                     keys that have no counterpart are named."
    )]
    pub config: Option<PathBuf>,
    /// Go on with a run that was stopped, interrupted or failed: its id or name
    #[arg(long, value_name = "RUN")]
    pub resume: Option<String>,
    /// Only say what the run would do and cost: steps, time, memory, disk, where the result loads
    #[arg(long, conflicts_with = "resume")]
    pub dry_run: bool,
    /// The declared settings
    #[command(flatten)]
    pub settings: SettingFlags,
}

/// What is learned, as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum TaskWord {
    /// Continue or answer text
    Causal,
    /// Put a text under one of several labels
    Classify,
}

impl From<TaskWord> for Task {
    fn from(word: TaskWord) -> Self {
        match word {
            TaskWord::Causal => Task::Causal,
            TaskWord::Classify => Task::Classify,
        }
    }
}

/// What moves, as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum MethodWord {
    /// Low-rank adapters; the base stays as it is
    Lora,
    /// Every weight
    Full,
}

impl From<MethodWord> for Method {
    fn from(word: MethodWord) -> Self {
        match word {
            MethodWord::Lora => Method::Lora,
            MethodWord::Full => Method::Full,
        }
    }
}
