//! Using a model: checking it against examples, asking it, sorting with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{ChatMessage, Rewards};

/// Measures a model, with or without an adapter, on examples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct EvaluateRequest {
    /// Model by id, name or path.
    pub model: String,
    /// Adapter folder, or a run whose best result is used; the base alone if left out.
    pub adapter: Option<String>,
    /// Dataset by id, name or file.
    pub data: String,
    /// Rows are cut after so many tokens.
    pub max_length: Option<u64>,
    /// Rows read together.
    pub batch_size: Option<u64>,
    /// Only the first rows.
    pub limit: Option<u64>,
    /// Keeps the base in fewer bits; as its files have it if left out.
    pub quantize: Option<Quantisation>,
}

/// A base kept in fewer bits while it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
pub enum Quantisation {
    /// Blocks of 8 bits.
    #[serde(rename = "q8_0")]
    Q8_0,
    /// Blocks of 4 bits, and of 6 for the matrix that gives the logits.
    #[serde(rename = "q4_k")]
    Q4K,
}

/// What a measurement found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Evaluation {
    /// Rows measured.
    pub n: u64,
    /// Mean over supervised tokens (rows when classifying), from totals.
    pub loss: f64,
    /// Supervised tokens.
    pub n_tokens: u64,
    /// `exp(loss)`; `null` when classifying.
    pub perplexity: Option<f64>,
    /// Share of rows whose label was found; `null` for language models.
    pub accuracy: Option<f64>,
    /// F1 averaged over labels; `null` for language models.
    pub f1_macro: Option<f64>,
    /// How well preferences are met; absent unless the examples are preferences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub preference: Option<Rewards>,
    /// Everything that was counted of the labels; `null` for language models.
    pub labels: Option<LabelReport>,
    /// Time it took.
    pub seconds: f64,
}

/// How well labels were found, by scikit-learn's definitions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct LabelReport {
    /// Each label.
    pub per_label: Vec<LabelFound>,
    /// Rows by true label (row) and given label (column), in the order of `per_label`.
    pub confusion: Vec<Vec<u64>>,
    /// The mean over labels.
    pub precision_macro: f64,
    /// The mean over labels.
    pub recall_macro: f64,
    /// The mean over labels by their rows.
    pub precision_weighted: f64,
    /// The mean over labels by their rows.
    pub recall_weighted: f64,
    /// The mean over labels by their rows.
    pub f1_weighted: f64,
    /// Mean recall of the labels that some row has.
    pub balanced_accuracy: f64,
    /// Correlation of true and given labels, from -1 to 1.
    pub matthews: f64,
    /// Agreement beyond chance (Cohen), at most 1.
    pub kappa: f64,
    /// Of two labels: how often a row with the second is ranked above one without; `null` otherwise.
    pub roc_auc: Option<f64>,
    /// Of two labels: mean precision down the ranking for the second; `null` otherwise.
    pub average_precision: Option<f64>,
}

/// How well one label was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct LabelFound {
    /// Its name.
    pub label: String,
    /// Rows that have it.
    pub n: u64,
    /// Share of the rows given it that have it.
    pub precision: f64,
    /// Share of the rows with it that were given it.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

/// How far a piece of work has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct WorkProgress {
    /// What is counted: `rows`, `tokens`, `bytes`.
    pub unit: String,
    /// So many are done.
    pub done: u64,
    /// Of so many, when known.
    pub total: Option<u64>,
}

/// Asks a model to write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct GenerateRequest {
    /// Model by id, name or path.
    pub model: String,
    /// Adapter folder, or a run whose best result is used; the base alone if left out.
    pub adapter: Option<String>,
    /// What the user says, wrapped by the chat template when there is one. Exactly one of `prompt` and `messages`.
    pub prompt: Option<String>,
    /// A whole conversation instead.
    pub messages: Option<Vec<ChatMessage>>,
    /// Said before everything else; only together with `prompt`.
    pub system: Option<String>,
    /// True: `prompt` is continued as it is, without a chat template.
    #[serde(default)]
    #[ts(as = "Option<_>", optional)]
    pub raw: bool,
    /// Longest answer, 256 if left out.
    pub max_tokens: Option<u64>,
    /// 0 takes the likeliest token each time; 0 if left out.
    pub temperature: Option<f64>,
    /// Only the likeliest tokens that together have this share.
    pub top_p: Option<f64>,
    /// Only so many likeliest tokens.
    pub top_k: Option<u64>,
    /// The answer ends before any of these.
    pub stop: Option<Vec<String>>,
    /// Same seed, same answer.
    pub seed: Option<u64>,
    /// Keeps the base in fewer bits; as its files have it if left out.
    pub quantize: Option<Quantisation>,
}

/// A piece of an answer, as soon as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct GenerateUpdate {
    /// Text to append.
    pub text: String,
    /// Tokens written so far.
    pub n_tokens: u64,
    /// Speed since the first token.
    pub tokens_per_s: f64,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Generation {
    /// What was written.
    pub text: String,
    /// Tokens written.
    pub n_tokens: u64,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Tokens read before.
    pub n_prompt_tokens: u64,
    /// Time until the first token, after loading.
    pub first_token_ms: u64,
    /// Time of all of it, after loading.
    pub seconds: f64,
    /// Speed of writing.
    pub tokens_per_s: f64,
}

/// Why an answer ended; the first two are spelled as in the OpenAI dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model ended its turn, or a stop text came.
    Stop,
    /// The longest answer, or the model's longest text, was reached.
    Length,
    /// Nobody listens any more.
    Cancelled,
}

/// Asks a classifier for the label of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct PredictRequest {
    /// Model by id, name or path.
    pub model: String,
    /// Adapter folder, or a run whose best result is used.
    pub adapter: Option<String>,
    /// The text.
    pub text: String,
    /// Keeps the base in fewer bits; as its files have it if left out.
    pub quantize: Option<Quantisation>,
}

/// Asks for the vectors of texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct EmbedRequest {
    /// Model by id, name or path.
    pub model: String,
    /// Adapter folder, or a run whose best result is used; the base alone if left out.
    pub adapter: Option<String>,
    /// The texts.
    pub texts: Vec<String>,
}

/// Vectors of length one, in the order of the texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Embeddings {
    /// A vector for each text.
    pub embeddings: Vec<Vec<f32>>,
    /// Numbers in each.
    pub n_dimensions: u64,
    /// What of the last hidden states they are: `mean`, `first` or `last`.
    pub pooling: String,
    /// Tokens read.
    pub n_tokens: u64,
    /// Texts that were longer than the model reads, and were cut.
    pub n_truncated: u64,
    /// Time it took, after loading.
    pub seconds: f64,
}

/// A label and how sure the model is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Prediction {
    /// The likeliest label.
    pub label: String,
    /// Every label with its probability; they add up to 1.
    pub probabilities: BTreeMap<String, f64>,
    /// Time it took, after loading.
    pub seconds: f64,
}
