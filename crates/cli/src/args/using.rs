//! `lorikeet evaluate | generate | predict | serve`: using what was trained.

use clap::{Args, ValueEnum};
use lorikeet_api::wire::Quantisation;

/// Values of `--quantize`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Quantize {
    /// Blocks of 8 bits
    #[value(name = "q8_0")]
    Q8_0,
    /// Blocks of 4 bits, and of 6 for the output
    #[value(name = "q4_k")]
    Q4K,
}

impl Quantize {
    /// As requests say it.
    pub fn wanted(self) -> Quantisation {
        match self {
            Quantize::Q8_0 => Quantisation::Q8_0,
            Quantize::Q4K => Quantisation::Q4K,
        }
    }
}

/// Flags of `evaluate`.
#[derive(Debug, Args)]
#[command(
    long_about = "Measure a model, with or without an adapter, on examples.\n\n\
                  A language model is measured by its loss (nats per learned token) and perplexity, a classifier by its loss, \
                  accuracy and F1.",
    after_help = "JSON: n, loss, n_tokens, perplexity (language models), accuracy, f1_macro and labels (classifiers), seconds"
)]
pub struct EvaluateArgs {
    /// Model by id, name or folder
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Adapter folder, or a run whose best result is used [default: the model alone]
    #[arg(long, value_name = "DIR_OR_RUN")]
    pub adapter: Option<String>,
    /// Examples: a file, or a dataset by id or name
    #[arg(long, value_name = "FILE_OR_ID")]
    pub data: String,
    /// Tokens after which a row is cut [default: as when training]
    #[arg(long, value_name = "TOKENS")]
    pub max_length: Option<u64>,
    /// Rows read together
    #[arg(long, value_name = "ROWS")]
    pub batch_size: Option<u64>,
    /// Measure only the first rows
    #[arg(long, value_name = "ROWS")]
    pub limit: Option<u64>,
    /// Keep the base in fewer bits [default: as its files have it]
    #[arg(long, value_name = "FORMAT")]
    pub quantize: Option<Quantize>,
    /// Also write tokens and logits of the first eight rows to a file, to compare with another program
    #[arg(long, value_name = "FILE.safetensors")]
    pub logits: Option<std::path::PathBuf>,
}

/// Flags of `generate`.
#[derive(Debug, Args)]
#[command(
    long_about = "Let a model write an answer to a prompt. The prompt is wrapped in the model's chat template, if it has one.\n\n\
                  On a terminal the answer appears as it is written.",
    after_help = "JSON: text, n_tokens, stop_reason (stop, length), n_prompt_tokens, first_token_ms, seconds, tokens_per_s"
)]
pub struct GenerateArgs {
    /// Model by id, name or folder
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Adapter folder, or a run whose best result is used [default: the model alone]
    #[arg(long, value_name = "DIR_OR_RUN")]
    pub adapter: Option<String>,
    /// What to answer
    #[arg(long, value_name = "TEXT")]
    pub prompt: String,
    /// What the model is told before the prompt
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    pub system: Option<String>,
    /// Continue the prompt as it is, without the chat template
    #[arg(long)]
    pub raw: bool,
    /// Tokens after which the answer is cut [default: 256]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_tokens: Option<u64>,
    /// How freely words are chosen; 0 takes the likeliest each time [default: 0]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = temperature)]
    pub temperature: Option<f64>,
    /// Choose only among the likeliest tokens that together have this share
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true, value_parser = top_p)]
    pub top_p: Option<f64>,
    /// Choose only among so many likeliest tokens
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..))]
    pub top_k: Option<u64>,
    /// End the answer before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// The same seed gives the same answer
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Keep the base in fewer bits [default: as its files have it]
    #[arg(long, value_name = "FORMAT")]
    pub quantize: Option<Quantize>,
}

/// Flags of `predict`.
#[derive(Debug, Args)]
#[command(after_help = "JSON: label, probabilities, seconds")]
pub struct PredictArgs {
    /// Model by id, name or folder
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Adapter folder, or a run whose best result is used [default: the model alone]
    #[arg(long, value_name = "DIR_OR_RUN")]
    pub adapter: Option<String>,
    /// The text
    #[arg(long, value_name = "TEXT")]
    pub text: String,
    /// Keep the base in fewer bits [default: as its files have it]
    #[arg(long, value_name = "FORMAT")]
    pub quantize: Option<Quantize>,
}

/// Flags of `embed`.
#[derive(Debug, Args)]
#[command(
    long_about = "Turn texts into vectors of length one, to compare them by their products.\n\n\
                  A vector is the mean of the model's last hidden states over the tokens of the text, or what the model's own \
                  `1_Pooling/config.json` says.",
    after_help = "JSON: embeddings, n_dimensions, pooling, n_tokens, n_truncated, seconds"
)]
pub struct EmbedArgs {
    /// Model by id, name or folder
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Adapter folder, or a run whose best result is used [default: the model alone]
    #[arg(long, value_name = "DIR_OR_RUN")]
    pub adapter: Option<String>,
    /// Texts
    #[arg(value_name = "TEXT", required_unless_present = "file")]
    pub texts: Vec<String>,
    /// A file with a text on each line
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    pub file: Option<std::path::PathBuf>,
}

/// Flags of `serve`.
#[derive(Debug, Args)]
#[command(
    long_about = "Let other programs on this computer use a model over HTTP, until Ctrl-C.\n\n\
                  Only programs on this computer can connect. The doors are OpenAI's: /v1/models, /v1/chat/completions, \
                  /v1/completions, /v1/embeddings; for a classifier /predict; and /health. The base and every adapter are chosen by name.",
    after_help = "JSON: running, address, since_ms, models; printed once the port listens"
)]
pub struct ServeArgs {
    /// Model by id, name or folder
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Adapter folder or run, served beside the base; may be given several times
    #[arg(long, value_name = "DIR_OR_RUN")]
    pub adapter: Vec<String>,
    /// Port; 0 takes any free one [default: 8384]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Keep the base in fewer bits [default: as its files have it]
    #[arg(long, value_name = "FORMAT")]
    pub quantize: Option<Quantize>,
}

fn temperature(text: &str) -> Result<f64, String> {
    number(text, 0.0, 100.0)
}

fn top_p(text: &str) -> Result<f64, String> {
    number(text, 0.0, 1.0)
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let within = |number: &f64| (least..=most).contains(number);
    text.parse().ok().filter(within).ok_or_else(|| format!("takes a number from {least} to {most}"))
}
