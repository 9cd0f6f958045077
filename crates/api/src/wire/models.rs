//! Base models: the built-in one, and those the user pointed at.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::Task;

/// One base model in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ModelSummary {
    /// Name in the registry; what `--model` takes beside a path.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where it comes from.
    pub source: ModelSource,
    /// Folder it is read from; it is never written to. `null` for the built-in one.
    pub path: Option<String>,
    /// False when the folder is gone.
    pub available: bool,
    /// `model_type` of its configuration, such as `llama`, `gemma2` or `bert`.
    pub family: String,
    /// What it can be trained to do, most natural first.
    pub tasks: Vec<Task>,
    /// Numbers it consists of.
    pub n_parameters: u64,
    /// Size of its weights on disk.
    pub n_bytes: u64,
    /// Licence, when its folder says one.
    pub licence: Option<String>,
    /// Whether it brings a chat template.
    pub has_chat_template: bool,
    /// Speed of training as measured in earlier runs on this computer; `null` before the first.
    pub train_tokens_per_s: Option<f64>,
    /// Highest memory of these runs.
    pub train_memory_bytes: Option<u64>,
    /// How many runs these two rest on.
    pub n_measured_runs: u64,
    /// When a run last used it.
    pub last_used_at_ms: Option<u64>,
}

/// Where a model comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ModelSource {
    /// Built into the program.
    Starter,
    /// A folder the user pointed at; only read.
    Folder,
}

/// Names one model by id, name or path. Inspecting a path registers nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct ModelRequest {
    /// Id, name or path.
    pub model: String,
}

/// Registers a folder as a base model; it stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct ModelAddRequest {
    /// Folder with `config.json`, weights and tokenizer; `~` is the home folder.
    pub path: String,
    /// What to call it; the folder's name if left out.
    pub name: Option<String>,
}

/// One model in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ModelDetails {
    /// The line of the list.
    #[serde(flatten)]
    pub summary: ModelSummary,
    /// BLAKE3 over configuration, weights and tokenizer, stored with every run.
    pub hash: String,
    /// Blocks.
    pub n_layers: u64,
    /// Width of a block.
    pub hidden_size: u64,
    /// Attention heads.
    pub n_heads: u64,
    /// Tokens in the vocabulary.
    pub vocab_size: u64,
    /// Longest text it was made for, in tokens.
    pub max_position_embeddings: u64,
    /// Number format of the weights: `f32`, `f16`, `bf16`.
    pub dtype: String,
    /// Names an adapter can be put on, as `target_modules` takes them.
    pub target_modules: Vec<String>,
    /// Labels of a classifier's head, in order; empty without one.
    pub labels: Vec<String>,
    /// What it can and cannot do, in a few honest sentences; `null` when its folder says nothing.
    pub card: Option<String>,
    /// The chat template, when it brings one.
    pub template: Option<super::TemplateInfo>,
}

/// Brings a model from a hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct ModelGetRequest {
    /// Its name there: `OWNER/NAME`.
    pub model: String,
    /// A branch, a tag or a commit; the main branch if left out.
    pub revision: Option<String>,
    /// One GGUF file of several; the whole model if left out.
    pub file: Option<String>,
}

/// A model that another program fetched from a hub on this computer. It is used where it lies and only read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct CachedModel {
    /// Its name on the hub: `OWNER/NAME`.
    pub name: String,
    /// Its folder or GGUF file, as `model_add` takes it.
    pub path: String,
    /// Size of what makes the model.
    pub n_bytes: u64,
}

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct DownloadProgress {
    /// The file that comes right now; empty while the hub is asked what there is.
    pub file: String,
    /// Files that are whole.
    pub n_files: u64,
    /// Files in all.
    pub n_files_total: u64,
    /// Bytes that are there, those of an earlier attempt included.
    pub n_bytes: u64,
    /// Bytes in all.
    pub n_bytes_total: u64,
}

/// Where models come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct HubSettings {
    /// The hub's address.
    pub endpoint: String,
    /// Whether a token is sent to it; the token itself is never shown.
    pub has_token: bool,
    /// Whether the token is the environment's (`HF_TOKEN`), which comes before the one that is set here.
    pub from_environment: bool,
}

/// Changes where models come from. What is left out stays; an empty word goes back to the default, or to no token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct HubSettingsRequest {
    /// The hub's address.
    pub endpoint: Option<String>,
    /// The token that is sent to it.
    pub token: Option<String>,
}

impl std::fmt::Debug for HubSettingsRequest {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        f.debug_struct("HubSettingsRequest").field("endpoint", &self.endpoint).field("token", &token).finish()
    }
}
