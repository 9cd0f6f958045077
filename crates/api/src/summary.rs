//! A run's line in a list, from its row and what it recorded.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use lorikeet_jobs::Figures;
use lorikeet_registry::{MetricKind, RunRow, RunStatus as Status};

use crate::App;
use crate::failure::code_of;
use crate::told::mean;
use crate::wire::{ApiError, CurvePoint, Method, RunStatus, RunSummary, Task};

/// Points of a small curve.
const CURVE_POINTS: u32 = 40;

/// Lines that are kept.
const MOST_KEPT: usize = 4096;

/// What changes when the line of a run that has ended does: status, name, last number, and when it ended.
type Version = (Status, String, u64, Option<u64>);

/// Lines of runs that have ended: a list is asked for often, and its curves are made of every step.
#[derive(Debug, Default)]
pub(crate) struct Summaries(Mutex<HashMap<String, (Version, RunSummary)>>);

/// The line of `row`.
pub(crate) fn summary(app: &App, row: &RunRow) -> Result<RunSummary, ApiError> {
    if !row.status.is_final() {
        return fresh(app, row);
    }
    let lock = || app.summaries.0.lock().unwrap_or_else(PoisonError::into_inner);
    let version = (row.status, row.name.clone(), row.seq, row.ended_at_ms);
    if let Some((_, known)) = lock().get(&row.id).filter(|(known, _)| *known == version) {
        return Ok(known.clone());
    }
    let made = fresh(app, row)?;
    let mut kept = lock();
    if kept.len() >= MOST_KEPT {
        kept.clear();
    }
    kept.insert(row.id.clone(), (version, made.clone()));
    Ok(made)
}

fn fresh(app: &App, row: &RunRow) -> Result<RunSummary, ApiError> {
    let registry = app.registry();
    let figures = figures(row);
    let totals = registry.metrics().totals(&row.id)?;
    let mut curve = registry.metrics().curve(&row.id, MetricKind::Validation, CURVE_POINTS)?;
    if curve.len() < 2 {
        curve = registry.metrics().curve(&row.id, MetricKind::Train, CURVE_POINTS)?;
    }
    let curve: Vec<CurvePoint> =
        curve.iter().map(|p| CurvePoint { step: p.step, loss: mean(p.loss_sum, p.n_tokens) }).collect();
    let name_of =
        |id: &Option<String>, name: Option<String>| (id.clone().unwrap_or_default(), name.unwrap_or_default());
    let model_name = row.model_id.as_deref().map(|id| registry.models().get(id)).transpose()?.map(|m| m.name);
    let data_name = row.dataset_id.as_deref().map(|id| registry.datasets().get(id)).transpose()?.map(|d| d.name);
    let (model, model_name) = name_of(&row.model_id, model_name);
    let (data, data_name) = name_of(&row.dataset_id, data_name);
    let best_loss = row.best_value.or(figures.loss).or_else(|| curve.last().map(|point| point.loss));
    Ok(RunSummary {
        id: row.id.clone(),
        name: row.name.clone(),
        status: status(row.status),
        task: if row.task == "classify" { Task::Classify } else { Task::Causal },
        method: if row.method == "full" { Method::Full } else { Method::Lora },
        model,
        model_name,
        data,
        data_name,
        created_at_ms: row.created_at_ms,
        started_at_ms: row.started_at_ms,
        ended_at_ms: row.ended_at_ms,
        elapsed_ms: figures.seconds.map_or(totals.elapsed_ms, |s| (s * 1e3) as u64),
        remaining_ms: remaining(app, row, totals.elapsed_ms)?,
        step: row.step,
        n_steps: row.n_steps_planned,
        epoch: totals.epoch.unwrap_or_default(),
        best_loss,
        best_step: row.best_step,
        accuracy: figures.accuracy.or(best_accuracy(app, row)?),
        tokens_per_s: figures.tokens_per_s.or(totals.mean_tokens_per_s),
        peak_memory_bytes: figures.peak_memory_bytes.or(totals.peak_memory_bytes),
        curve,
        error: row.failure.as_ref().map(|f| ApiError {
            code: code_of(&f.code),
            message: f.message.clone(),
            hint: f.hint.clone(),
            details: None,
        }),
    })
}

/// The figures of a run that has ended.
pub(crate) fn figures(row: &RunRow) -> Figures {
    row.metrics.clone().and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
}

pub(crate) fn status(status: Status) -> RunStatus {
    match status {
        Status::Queued => RunStatus::Queued,
        Status::Running => RunStatus::Running,
        Status::Paused => RunStatus::Paused,
        Status::Completed => RunStatus::Completed,
        Status::Failed => RunStatus::Failed,
        Status::Cancelled => RunStatus::Cancelled,
    }
}

/// Time left: what the steps since the first one took each, times the steps left.
fn remaining(app: &App, row: &RunRow, elapsed_ms: u64) -> Result<Option<u64>, ApiError> {
    let (Status::Running, Some(n_steps)) = (row.status, row.n_steps_planned) else { return Ok(None) };
    let first = app.registry().metrics().since(&row.id, 0, 1)?.into_iter().next();
    let Some(first) = first.filter(|first| row.step > first.step) else { return Ok(None) };
    let per_step = elapsed_ms.saturating_sub(first.elapsed_ms) as f64 / (row.step - first.step) as f64;
    Ok(Some((per_step * n_steps.saturating_sub(row.step) as f64) as u64))
}

/// The accuracy of the last check, for a classifier that has not ended.
fn best_accuracy(app: &App, row: &RunRow) -> Result<Option<f64>, ApiError> {
    if row.task != "classify" {
        return Ok(None);
    }
    let last = app.registry().metrics().last(&row.id, MetricKind::Validation)?;
    Ok(last.and_then(|row| row.extra).and_then(|extra| extra.get("accuracy")?.as_f64()))
}
