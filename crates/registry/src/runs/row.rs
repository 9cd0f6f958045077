//! A run as a row: its words, what creating one takes, what reading one gives.

use rusqlite::{Row, ToSql};
use serde_json::Value;

use crate::column::{Json, words};
use crate::runs::queue::RunFailure;

words! {
    /// Where a run stands. Which change is allowed is decided in `jobs`.
    RunStatus, "run status":
    /// Waiting for a process to take it.
    Queued = "queued",
    /// A process executes it.
    Running = "running",
    /// Held between two steps, on request.
    Paused = "paused",
    /// Ended as planned (early stopping included).
    Completed = "completed",
    /// Ended by an error.
    Failed = "failed",
    /// Ended on request.
    Cancelled = "cancelled",
}

impl RunStatus {
    /// Whether the run has ended.
    pub const fn is_final(self) -> bool {
        matches!(self, RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled)
    }
}

words! {
    /// What another process asks of the one that executes the run.
    Request, "run request":
    /// Nothing.
    None = "none",
    /// Hold after the current step.
    Pause = "pause",
    /// Go on.
    Resume = "resume",
    /// Stop after the current step and end as cancelled.
    Cancel = "cancel",
    /// Write a checkpoint after the current step.
    Checkpoint = "checkpoint",
}

/// One process on this computer. The start time tells it from a later process that was given the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunProcess {
    /// The system's process number.
    pub pid: u32,
    /// When that process started, in milliseconds since 1970.
    pub started_at_ms: u64,
}

/// Where the files of a new run go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunFolder {
    /// Exactly here.
    At(String),
    /// In a folder named by the run's id, inside this one.
    Inside(String),
}

/// A run to create.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRun {
    /// What a person calls it, from which the id is made; without it the id counts up after the dataset's id (or `run`).
    pub name: Option<String>,
    /// The process that executes the run from the start; `None` puts it in the queue.
    pub process: Option<RunProcess>,
    /// What is learned, such as `causal` or `classify`.
    pub task: String,
    /// How, such as `lora` or `full`.
    pub method: String,
    /// The training dataset's id.
    pub dataset_id: Option<String>,
    /// The training dataset's version.
    pub dataset_hash: Option<String>,
    /// The validation dataset's id, when it is a dataset of its own.
    pub validation_dataset_id: Option<String>,
    /// The base model's id.
    pub model_id: Option<String>,
    /// Hash of the base model's weights.
    pub model_hash: Option<String>,
    /// Hash of the chat template.
    pub template_hash: Option<String>,
    /// The settings as resolved.
    pub settings: Value,
    /// The request it is made from, as typed, JSON: to make it again with changes.
    pub made_from: Option<Value>,
    /// What was estimated before the start (time, memory), JSON.
    pub estimate: Option<Value>,
    /// The version of this program.
    pub code_version: String,
    /// The device as asked for or chosen.
    pub device: String,
    /// Compute threads.
    pub n_threads: u32,
    /// Optimiser steps, where already known.
    pub n_steps_planned: Option<u64>,
    /// Where its files go.
    pub folder: RunFolder,
    /// A person's note.
    pub notes: String,
}

/// What may become known after a run was created; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunUpdate {
    /// Where its files are.
    pub folder: Option<String>,
    /// The device chosen.
    pub device: Option<String>,
    /// Compute threads.
    pub n_threads: Option<u32>,
    /// Optimiser steps.
    pub n_steps_planned: Option<u64>,
    /// The training dataset's id.
    pub dataset_id: Option<String>,
    /// The training dataset's version.
    pub dataset_hash: Option<String>,
    /// The validation dataset's id.
    pub validation_dataset_id: Option<String>,
    /// The base model's id.
    pub model_id: Option<String>,
    /// Hash of the base model's weights.
    pub model_hash: Option<String>,
    /// Hash of the chat template.
    pub template_hash: Option<String>,
    /// The settings as resolved.
    pub settings: Option<Value>,
    /// What was estimated before the start, JSON.
    pub estimate: Option<Value>,
    /// What a person calls it; the id stays.
    pub name: Option<String>,
    /// A person's note.
    pub notes: Option<String>,
}

/// A run as remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    /// Readable and unique, such as `spam-3`.
    pub id: String,
    /// What a person calls it.
    pub name: String,
    /// Where it stands.
    pub status: RunStatus,
    /// What another process asks of it.
    pub request: Request,
    /// What is learned.
    pub task: String,
    /// How.
    pub method: String,
    /// The training dataset's id.
    pub dataset_id: Option<String>,
    /// The training dataset's version.
    pub dataset_hash: Option<String>,
    /// The validation dataset's id.
    pub validation_dataset_id: Option<String>,
    /// The base model's id.
    pub model_id: Option<String>,
    /// Hash of the base model's weights.
    pub model_hash: Option<String>,
    /// Hash of the chat template.
    pub template_hash: Option<String>,
    /// The settings as resolved.
    pub settings: Value,
    /// The request it was made from, as typed, JSON.
    pub made_from: Option<Value>,
    /// What was estimated before the start, JSON.
    pub estimate: Option<Value>,
    /// The version of this program that made it.
    pub code_version: String,
    /// The device.
    pub device: String,
    /// Compute threads.
    pub n_threads: u32,
    /// Optimiser steps.
    pub n_steps_planned: Option<u64>,
    /// Optimiser steps done.
    pub step: u64,
    /// Number of the last metric or event recorded; 0 before the first.
    pub seq: u64,
    /// The process that executes it, while one does.
    pub process: Option<RunProcess>,
    /// When that process last gave a sign, in milliseconds since 1970.
    pub heartbeat_at_ms: Option<u64>,
    /// When it was created.
    pub created_at_ms: u64,
    /// When it first ran.
    pub started_at_ms: Option<u64>,
    /// When it ended.
    pub ended_at_ms: Option<u64>,
    /// Where its files are.
    pub folder: String,
    /// Why it failed.
    pub failure: Option<RunFailure>,
    /// The final figures, a JSON object.
    pub metrics: Option<Value>,
    /// The step with the best validation value.
    pub best_step: Option<u64>,
    /// That value.
    pub best_value: Option<f64>,
    /// A person's note.
    pub notes: String,
}

/// Which runs a list holds; the default holds all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only these statuses; empty for any.
    pub statuses: Vec<RunStatus>,
    /// Only runs on this dataset (exact id).
    pub dataset_id: Option<String>,
    /// Only runs of this base model (exact id).
    pub model_id: Option<String>,
}

impl RunFilter {
    /// Runs in one of these statuses.
    pub fn in_status(statuses: &[RunStatus]) -> RunFilter {
        RunFilter { statuses: statuses.to_vec(), ..RunFilter::default() }
    }

    /// A condition that mentions only what is filtered, so that the table's indexes can serve it, and its values.
    pub(crate) fn condition(&self) -> (String, Vec<Box<dyn ToSql>>) {
        let mut condition = String::from("TRUE");
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        if !self.statuses.is_empty() {
            condition.push_str(&format!(" AND status IN ({})", placeholders(self.statuses.len())));
            values.extend(self.statuses.iter().map(|status| Box::new(*status) as Box<dyn ToSql>));
        }
        for (column, wanted) in [("dataset_id", &self.dataset_id), ("model_id", &self.model_id)] {
            if let Some(id) = wanted {
                condition.push_str(&format!(" AND {column} = ?"));
                values.push(Box::new(id.clone()));
            }
        }
        (condition, values)
    }
}

/// `?, ?, ?` for `n` values.
pub(crate) fn placeholders(n: usize) -> String {
    vec!["?"; n].join(", ")
}

pub(crate) const COLUMNS: &str = "number, id, name, status, request, task, method, dataset_id, dataset_hash, \
     validation_dataset_id, model_id, model_hash, template_hash, settings, made_from, estimate, code_version, device, n_threads, \
     n_steps_planned, step, seq, pid, process_started_at_ms, heartbeat_at_ms, created_at_ms, started_at_ms, \
     ended_at_ms, folder, error_code, error_message, error_hint, metrics, best_step, best_value, notes";

pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        id: row.get("id")?,
        name: row.get("name")?,
        status: row.get("status")?,
        request: row.get("request")?,
        task: row.get("task")?,
        method: row.get("method")?,
        dataset_id: row.get("dataset_id")?,
        dataset_hash: row.get("dataset_hash")?,
        validation_dataset_id: row.get("validation_dataset_id")?,
        model_id: row.get("model_id")?,
        model_hash: row.get("model_hash")?,
        template_hash: row.get("template_hash")?,
        settings: row.get::<_, Json>("settings")?.0,
        made_from: row.get::<_, Option<Json>>("made_from")?.map(|json| json.0),
        estimate: row.get::<_, Option<Json>>("estimate")?.map(|json| json.0),
        code_version: row.get("code_version")?,
        device: row.get("device")?,
        n_threads: row.get("n_threads")?,
        n_steps_planned: row.get("n_steps_planned")?,
        step: row.get("step")?,
        seq: row.get("seq")?,
        process: process(row)?,
        heartbeat_at_ms: row.get("heartbeat_at_ms")?,
        created_at_ms: row.get("created_at_ms")?,
        started_at_ms: row.get("started_at_ms")?,
        ended_at_ms: row.get("ended_at_ms")?,
        folder: row.get("folder")?,
        failure: failure(row)?,
        metrics: row.get::<_, Option<Json>>("metrics")?.map(|json| json.0),
        best_step: row.get("best_step")?,
        best_value: row.get("best_value")?,
        notes: row.get("notes")?,
    })
}

fn process(row: &Row<'_>) -> rusqlite::Result<Option<RunProcess>> {
    let pid: Option<u32> = row.get("pid")?;
    let started_at_ms: Option<u64> = row.get("process_started_at_ms")?;
    Ok(pid.zip(started_at_ms).map(|(pid, started_at_ms)| RunProcess { pid, started_at_ms }))
}

fn failure(row: &Row<'_>) -> rusqlite::Result<Option<RunFailure>> {
    let code: Option<String> = row.get("error_code")?;
    let message: Option<String> = row.get("error_message")?;
    let hint: Option<String> = row.get("error_hint")?;
    Ok(code.zip(message).map(|(code, message)| RunFailure { code, message, hint }))
}
