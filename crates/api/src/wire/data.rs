//! Examples: importing, listing, and looking at them as a model sees them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{BadRow, SettingValue, Task};

/// What kind of examples a file holds, told by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum DatasetKind {
    /// `instruction, input, output (, system, history)`.
    Alpaca,
    /// `conversations: [{from, value}]`.
    Sharegpt,
    /// `messages: [{role, content}]`.
    Messages,
    /// `prompt` and `completion`.
    PromptCompletion,
    /// A text and a label.
    TextLabel,
    /// Text alone.
    Text,
    /// A `chosen` and a `rejected` answer.
    Preference,
    /// An answer with a true or false `label`.
    Judged,
}

/// One dataset in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct DatasetSummary {
    /// Name in the registry; what `--data` takes.
    pub id: String,
    /// BLAKE3 of the content: the dataset's version.
    pub hash: String,
    /// What the examples are.
    pub kind: DatasetKind,
    /// Rows that can be used.
    pub n_rows: u64,
    /// Rows that were left out.
    pub n_bad: u64,
    /// What people call it; the file's stem unless told otherwise.
    pub name: String,
    /// Form of the file: `jsonl`, `json`, `csv`, `tsv`, `text`.
    pub format: String,
    /// Size of the file as it was read.
    pub n_bytes: u64,
    /// What it is good for, unless the user says otherwise.
    pub task: Task,
    /// What is learned from it where no objective is chosen: `sft`, `dpo` or `kto`.
    pub objective: String,
    /// Where it came from; `null` for a sample.
    pub source_path: Option<String>,
    /// When it was imported.
    pub created_at_ms: u64,
}

/// One dataset in full: `data show` and the answer of `data import`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct DatasetDetails {
    /// The line of the list.
    #[serde(flatten)]
    pub summary: DatasetSummary,
    /// Names of the columns or fields that were used.
    pub columns: Vec<String>,
    /// Labels by how often they occur, most frequent first; empty unless `kind` is `text_label`.
    pub labels: Vec<LabelCount>,
    /// The first three rows, as people read them.
    pub examples: Vec<Example>,
    /// The first ten rows that were left out.
    pub bad_rows: Vec<BadRow>,
}

/// A label and how often it occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct LabelCount {
    /// The label as written in the file.
    pub label: String,
    /// Rows that carry it.
    pub n_rows: u64,
}

/// A row as people read it, before any template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Example {
    /// Who says what, in order. A plain text is one turn with the role `text`.
    pub turns: Vec<ChatMessage>,
    /// The label of a labelled row.
    pub label: Option<String>,
}

/// One message: who says it, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct ChatMessage {
    /// `system`, `user`, `assistant`, `tool`, or `text`.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// Reads a file of examples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct DataImportRequest {
    /// The file; `~` is the home folder.
    pub path: String,
    /// What to call it; the file's stem if left out. Importing the same bytes twice yields the same dataset.
    pub name: Option<String>,
    /// Keep the good rows when some are bad. False: a bad row refuses the file with `bad_rows`.
    #[serde(default)]
    #[ts(as = "Option<_>", optional)]
    pub keep_good: bool,
}

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ImportProgress {
    /// Bytes read.
    pub n_bytes: u64,
    /// Bytes in the file.
    pub n_bytes_total: u64,
    /// Good rows so far.
    pub n_rows: u64,
    /// Bad rows so far.
    pub n_bad: u64,
}

/// Names one dataset, by id or by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct DatasetRequest {
    /// Id or name.
    pub id: String,
}

/// Asks for rows as a model sees them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct DataPreviewRequest {
    /// Dataset, by id or name.
    pub id: String,
    /// Model whose tokenizer and chat template are used, by id, name or path.
    pub model: String,
    /// First row, from 0.
    #[serde(default)]
    #[ts(as = "Option<_>", optional)]
    pub offset: u64,
    /// Rows at most; 20 if left out, 200 at most.
    pub limit: Option<u64>,
    /// Rows are cut after so many tokens; the setting's default if left out.
    pub max_length: Option<u64>,
    /// Settings that change what is trained (as in a run request).
    #[serde(default)]
    #[ts(as = "Option<_>", optional)]
    pub settings: BTreeMap<String, SettingValue>,
}

/// Rows as a model sees them, and what the whole dataset amounts to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct DataPreview {
    /// The rows asked for.
    pub rows: Vec<PreviewRow>,
    /// Rows in the dataset.
    pub n_rows: u64,
    /// Rows the totals below were counted over: all of them, or the first ones of a very large dataset.
    pub n_rows_counted: u64,
    /// Tokens in the counted rows, after cutting.
    pub n_tokens: u64,
    /// Tokens of these that are learned from.
    pub n_trained: u64,
    /// Rows that are longer than `max_length` and lose their ends.
    pub n_truncated: u64,
    /// Rows whose last trained token ends the turn; a run with few of them never learns to stop. `null` when classifying.
    pub n_with_trained_end: Option<u64>,
    /// Length after which rows are cut, in tokens.
    pub max_length: u64,
    /// Lengths before cutting.
    pub lengths: LengthStatistics,
    /// The chat template in use; `null` for plain text and classification.
    pub template: Option<TemplateInfo>,
}

/// One row as a model sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct PreviewRow {
    /// Place in the dataset, from 0.
    pub index: u64,
    /// First words, for a list: of the question for a chat, of the text otherwise. At most 80 characters.
    pub title: String,
    /// Label of a labelled row.
    pub label: Option<String>,
    /// Tokens before cutting; of a pair of answers, those of the longer one.
    pub n_tokens: u64,
    /// Tokens that are learned from, after cutting.
    pub n_trained: u64,
    /// Whether the end was cut off.
    pub truncated: bool,
    /// The tokens in order, after cutting; of a pair of answers, with the chosen one.
    pub tokens: Vec<PreviewToken>,
    /// The same row with the rejected answer; absent unless it is a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub rejected: Option<Vec<PreviewToken>>,
}

/// One token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct PreviewToken {
    /// The text it stands for; the texts of a row joined are the row. Bytes that are no text alone become `�`.
    pub text: String,
    /// Its number in the vocabulary.
    pub id: u32,
    /// Whether it is learned from.
    pub trained: bool,
    /// Whether it is a special token of the vocabulary.
    pub special: bool,
    /// Whose turn it belongs to (`system`, `user`, `assistant`), when the template tells; `null` otherwise.
    pub role: Option<String>,
}

/// Lengths of rows, in tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct LengthStatistics {
    /// Half of the rows are at most this long.
    pub median: u64,
    /// 95 of 100 rows are at most this long.
    pub p95: u64,
    /// The longest row.
    pub longest: u64,
    /// Where it is, from 0.
    pub longest_row: u64,
    /// Width of a bin of the histogram, in tokens.
    pub bin_width: u64,
    /// Rows per bin; bin `i` holds lengths from `i * bin_width` up to, not including, the next.
    pub bins: Vec<u64>,
}

/// A chat template in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct TemplateInfo {
    /// Where it comes from: the model's name.
    pub source: String,
    /// BLAKE3 of the template, stored with every run.
    pub hash: String,
    /// The text of the token that ends a turn, when there is one.
    pub end_of_turn: Option<String>,
}

/// A dataset that comes with the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct SampleSummary {
    /// What `sample_import` takes.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it teaches, in a few words: "sorts text", "answers in a form".
    pub sentence: String,
    /// What the examples are.
    pub kind: DatasetKind,
    /// What it is good for.
    pub task: Task,
    /// Rows in it.
    pub n_rows: u64,
}

/// Names a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct SampleRequest {
    /// Id from the list of samples.
    pub id: String,
}
