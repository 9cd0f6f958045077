//! Training runs: what one will cost, starting it, watching it, steering it, and what came out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{ApiError, ExportForm, Method, RunEvent, SettingValue, Task};

/// Everything a run needs. `run_estimate` and `run_start` take the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct RunRequest {
    /// Base model by id, name or path.
    pub model: String,
    /// Examples by id, name or file; a file is imported first.
    pub data: String,
    /// Examples to check with, by id, name or file; a share of `data` (setting `validation_split`) if left out.
    pub validation: Option<String>,
    /// What to call the run; a free name made from the examples' name if left out (`support-7`).
    pub name: Option<String>,
    /// What to train; the natural task of the examples if left out.
    pub task: Option<Task>,
    /// What moves; LoRA if left out.
    pub method: Option<Method>,
    /// `quick`, `balanced` or `thorough`; applied before `settings`.
    pub preset: Option<String>,
    /// Settings by name; see `settings_schema`. Unknown names are refused with the nearest known one.
    #[serde(default)]
    #[ts(as = "Option<_>", optional)]
    pub settings: BTreeMap<String, SettingValue>,
    /// Folder for the result; inside the data folder if left out.
    pub output: Option<String>,
}

/// What a run will do and cost. A number that rests on nothing is `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RunEstimate {
    /// The name the run would get.
    pub name: String,
    /// The task the run would have.
    pub task: Task,
    /// Optimiser steps.
    pub n_steps: u64,
    /// Passes over the examples.
    pub n_epochs: f64,
    /// Examples that are learned from.
    pub n_rows_train: u64,
    /// Examples that are kept aside.
    pub n_rows_validation: u64,
    /// Tokens read while training, all passes.
    pub n_tokens: u64,
    /// Tokens learned from, all passes.
    pub n_trained_tokens: u64,
    /// Numbers that move.
    pub n_trainable: u64,
    /// Numbers in all.
    pub n_parameters: u64,
    /// Time of everything.
    pub seconds: Option<f64>,
    /// Time of the steps alone.
    pub training_seconds: Option<f64>,
    /// Time of the checks.
    pub evaluating_seconds: Option<f64>,
    /// Speed the times rest on.
    pub tokens_per_s: Option<f64>,
    /// What the times and the memory rest on, in one sentence ("Measured here in 12 earlier runs.").
    pub basis: String,
    /// Memory by purpose.
    pub memory: MemoryEstimate,
    /// Disk for everything that is kept.
    pub disk_bytes: u64,
    /// Checkpoints that are kept at once.
    pub n_checkpoints: u64,
    /// Size of the result.
    pub adapter_bytes: u64,
    /// Where the result will load.
    pub loads_in: Vec<LoadsIn>,
    /// What to know before the start, most serious first.
    pub notes: Vec<EstimateNote>,
    /// What would make the run fit into memory, where it does not; also among the notes.
    pub would_fit: Vec<Mend>,
    /// Every setting as it would be used, defaults and preset included.
    pub settings: BTreeMap<String, SettingValue>,
    /// Runs that would come first.
    pub n_queued: u64,
}

/// Memory by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct MemoryEstimate {
    /// All of it.
    pub total_bytes: u64,
    /// The base's weights.
    pub base_bytes: u64,
    /// What moves: weights, gradients, optimiser.
    pub trainable_bytes: u64,
    /// The longest batch.
    pub batch_bytes: u64,
    /// What is free now.
    pub available_bytes: u64,
    /// What the program may hold in all: what it holds and what is free, or the setting `memory_limit`; `null` where the
    /// system does not tell.
    pub limit_bytes: Option<u64>,
}

/// How another program loads the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct LoadsIn {
    /// `PEFT`, `transformers`, `vLLM`, `llama.cpp`, `Ollama`, `LM Studio`, `MLX`.
    pub program: String,
    /// As it is saved, as an export, or not.
    #[serde(flatten)]
    pub way: LoadingWay,
}

/// How a program loads a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum LoadingWay {
    /// As it is saved.
    Saved,
    /// As an export in this form.
    Export {
        /// The form.
        form: ExportForm,
    },
    /// Not.
    Not {
        /// Why.
        why: NotLoaded,
    },
}

/// Why a program does not load a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum NotLoaded {
    /// It loads adapters, and this is a whole model.
    NoAdapter,
    /// It loads models that write, and this one gives labels.
    GivesLabels,
    /// It does not have this family.
    UnknownFamily,
}

/// Something to know before the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct EstimateNote {
    /// How serious.
    pub level: NoteLevel,
    /// One sentence with the number in it.
    pub text: String,
    /// A change of one setting that mends it.
    pub mend: Option<Mend>,
}

/// How serious a note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum NoteLevel {
    /// `run_start` would refuse.
    Refused,
    /// To look at.
    Warning,
    /// Checked and well.
    Good,
    /// For you to know.
    Information,
}

/// A change of settings that mends a note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Mend {
    /// What the button says: "Raise to 768".
    pub label: String,
    /// The settings with their new values.
    pub settings: BTreeMap<String, SettingValue>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waits for its turn.
    Queued,
    /// Works.
    Running,
    /// Waits for the user, or was interrupted and can go on.
    Paused,
    /// Finished.
    Completed,
    /// Ended by an error.
    Failed,
    /// Stopped by the user.
    Cancelled,
}

/// One run in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RunSummary {
    /// What `runs show` takes.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where it stands.
    pub status: RunStatus,
    /// What it trains.
    pub task: Task,
    /// What moves.
    pub method: Method,
    /// Base model: id.
    pub model: String,
    /// Base model: name.
    pub model_name: String,
    /// Examples: id.
    pub data: String,
    /// Examples: name.
    pub data_name: String,
    /// When it was asked for.
    pub created_at_ms: u64,
    /// When it first worked.
    pub started_at_ms: Option<u64>,
    /// When it ended.
    pub ended_at_ms: Option<u64>,
    /// Time worked, without pauses.
    pub elapsed_ms: u64,
    /// Time left; `null` when not running or not yet known.
    pub remaining_ms: Option<u64>,
    /// Steps finished.
    pub step: u64,
    /// Steps planned; `null` before the examples were counted.
    pub n_steps: Option<u64>,
    /// Passes finished, with the fraction of the current one.
    pub epoch: f64,
    /// Best validation loss, or the smoothed training loss where nothing is kept aside.
    pub best_loss: Option<f64>,
    /// Step of the best validation loss.
    pub best_step: Option<u64>,
    /// Accuracy at that step; `null` for language models.
    pub accuracy: Option<f64>,
    /// Mean speed.
    pub tokens_per_s: Option<f64>,
    /// Highest memory so far.
    pub peak_memory_bytes: Option<u64>,
    /// A small curve: validation loss by step (training loss where nothing is kept aside), at most 40 points.
    pub curve: Vec<CurvePoint>,
    /// Why it failed.
    pub error: Option<ApiError>,
}

/// A point of a small curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct CurvePoint {
    /// Step.
    pub step: u64,
    /// Loss.
    pub loss: f64,
}

/// Asks for a page of runs, newest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct RunsRequest {
    /// First run, from 0.
    #[serde(default)]
    #[ts(as = "Option<_>", optional)]
    pub offset: u64,
    /// Runs at most; 100 if left out.
    pub limit: Option<u64>,
}

/// A page of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RunsPage {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// Runs in all.
    pub n_total: u64,
}

/// Names one run, by id or by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct RunIdRequest {
    /// Id or name.
    pub id: String,
}

/// One run in full: `runs show`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RunDetails {
    /// The line of the list.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// The request it was made from, so that it can be made again with changes.
    pub request: RunRequest,
    /// Every setting as it is used.
    pub settings: BTreeMap<String, SettingValue>,
    /// The run in numbers, as far as it has come.
    pub metrics: RunMetrics,
    /// Checkpoints that are kept, newest first.
    pub checkpoints: Vec<CheckpointSummary>,
    /// Folder with everything the run writes.
    pub folder: String,
    /// Folder with the result, once there is one.
    pub adapter: Option<String>,
    /// Version of the examples.
    pub dataset_hash: String,
    /// Version of the base.
    pub model_hash: String,
    /// Version of the chat template; `null` without one.
    pub template_hash: Option<String>,
    /// Version of the code.
    pub code_version: String,
    /// Where it is computed.
    pub device: String,
    /// Number of the last event that is recorded; `run_history` gives all up to it, `run_follow` goes on after it.
    pub last_seq: u64,
    /// What was estimated before the start.
    pub estimated_seconds: Option<f64>,
    /// What was estimated before the start.
    pub estimated_memory_bytes: Option<u64>,
}

/// A run in numbers. Everything is `null` until it is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct RunMetrics {
    /// Validation loss of the result (the best checkpoint).
    pub loss: Option<f64>,
    /// `exp(loss)`.
    pub perplexity: Option<f64>,
    /// Accuracy of the result.
    pub accuracy: Option<f64>,
    /// F1 averaged over labels, of the result.
    pub f1_macro: Option<f64>,
    /// Mean reward of good answers less that of bad ones; absent unless learned from preferences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reward_margin: Option<f64>,
    /// Share of examples that the result orders as the data says; absent unless learned from preferences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reward_accuracy: Option<f64>,
    /// Validation loss before the first step.
    pub base_loss: Option<f64>,
    /// Accuracy before the first step.
    pub base_accuracy: Option<f64>,
    /// F1 before the first step.
    pub base_f1_macro: Option<f64>,
    /// Supervised tokens (rows when classifying) of a check.
    pub n_validation: Option<u64>,
    /// Mean training loss of the last steps.
    pub train_loss: Option<f64>,
    /// Step of the result.
    pub best_step: Option<u64>,
    /// Steps finished.
    pub n_steps: Option<u64>,
    /// Whether it ended early because it no longer got better.
    pub stopped_early: Option<bool>,
    /// Supervised tokens learned from.
    pub n_trained_tokens: Option<u64>,
    /// Time worked.
    pub seconds: Option<f64>,
    /// Mean speed.
    pub tokens_per_s: Option<f64>,
    /// Highest memory.
    pub peak_memory_bytes: Option<u64>,
}

/// One checkpoint that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct CheckpointSummary {
    /// Step.
    pub step: u64,
    /// Folder.
    pub path: String,
    /// Whether it is the best.
    pub best: bool,
    /// Validation loss there, when it was measured.
    pub loss: Option<f64>,
    /// Size on disk.
    pub n_bytes: u64,
    /// When it was saved.
    pub at_ms: u64,
}

/// Asks for what is recorded of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct RunHistoryRequest {
    /// Run by id or name.
    pub id: String,
    /// Only what came after this event; everything if left out.
    pub since_seq: Option<u64>,
}

/// What is recorded of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RunHistory {
    /// Number of the last event that is contained; follow from here.
    pub last_seq: u64,
    /// All `step` events, as columns.
    pub steps: StepColumns,
    /// All other events, oldest first; of `phase` only the last of each stretch.
    pub events: Vec<RunEvent>,
}

/// Steps as columns of equal length.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct StepColumns {
    /// Step.
    pub step: Vec<u64>,
    /// Passes finished.
    pub epoch: Vec<f64>,
    /// Mean loss.
    pub loss: Vec<f64>,
    /// Learning rate.
    pub learning_rate: Vec<f64>,
    /// Norm of the gradient before clipping.
    pub gradient_norm: Vec<f64>,
    /// Speed.
    pub tokens_per_s: Vec<f64>,
    /// Memory of the process.
    pub memory_bytes: Vec<u64>,
    /// Time.
    pub at_ms: Vec<u64>,
}

/// A report that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct RunReport {
    /// The file.
    pub path: String,
}

/// Asks to be told what a run does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct RunFollowRequest {
    /// Run by id or name.
    pub id: String,
    /// Only what comes after this event; everything if left out.
    pub since_seq: Option<u64>,
}

/// Events since the last batch, in order and without gaps: at most 30 batches a second. An empty one comes at least every half
/// second and only asks whether somebody still listens. Where a run goes on from a checkpoint, its numbers go back to it:
/// what was told of later steps is done again and told again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RunEvents {
    /// The events.
    pub events: Vec<RunEvent>,
}
