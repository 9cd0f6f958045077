//! Training runs: what one would cost, starting it, watching it, steering it, and what came out.

use std::path::Path;

use lorikeet_jobs::{Figures, Place, What, recorded_since};
use lorikeet_registry::{NewRun, Page, RunFilter, RunFolder, RunRow};

pub use crate::estimate::estimate;
pub use crate::report::report;
use crate::summary::{figures, summary};
use crate::wanted::Wanted;
use crate::wire::{
    ApiError, CheckpointSummary, ErrorCode, ErrorDetails, Mend, Method, Nothing, RunDetails, RunEstimate, RunEvents,
    RunFollowRequest, RunHistory, RunHistoryRequest, RunIdRequest, RunMetrics, RunRequest, RunSummary, RunsPage,
    RunsRequest, SettingValue, SettingsRequest, SettingsSchema, StepColumns, Task,
};
use crate::{App, library, places, settings, told};

/// Body of `settings_schema`.
pub fn settings_schema(_: &App, request: SettingsRequest) -> Result<SettingsSchema, ApiError> {
    Ok(settings::schema(request.task.unwrap_or(Task::Causal), request.method.unwrap_or(Method::Lora)))
}

/// Body of `run_start`.
pub fn start(app: &App, request: RunRequest) -> Result<RunSummary, ApiError> {
    let wanted = Wanted::find(app, &request)?;
    if let Some(refusal) = wanted.refusal() {
        return Err(refusal);
    }
    let place = Place::choose(wanted.settings.device)?;
    let mut request = request;
    request.output = request.output.as_deref().map(output_folder).transpose()?;
    let estimated = crate::estimate::of(app, &wanted, &request).ok();
    if estimated.as_ref().is_some_and(|e| e.n_trained_tokens == 0) {
        let max_length = wanted.settings.max_length;
        let message = format!("no token of `{}` would be learned from within {max_length} tokens", wanted.data.name);
        return Err(ApiError::new(ErrorCode::NothingToTrain, message)
            .with_hint("raise `max_length`, or look at the preview to see which parts are answers"));
    }
    if let Some(refusal) = estimated.as_ref().and_then(will_not_fit) {
        return Err(refusal);
    }
    let written = |error: serde_json::Error| ApiError::new(ErrorCode::Internal, error.to_string());
    let estimate = estimated.map(|e| serde_json::json!({"seconds": e.seconds, "memory_bytes": e.memory.total_bytes}));
    let new = NewRun {
        name: request.name.clone().filter(|name| !name.trim().is_empty()),
        process: None,
        task: task_word(wanted.task).to_owned(),
        method: settings::moves(wanted.method).name().to_owned(),
        dataset_id: Some(wanted.data.id.clone()),
        dataset_hash: Some(wanted.data.hash.clone()),
        validation_dataset_id: wanted.validation.as_ref().map(|row| row.id.clone()),
        model_id: Some(wanted.model.id.clone()),
        model_hash: Some(wanted.model.hash.clone()),
        template_hash: wanted.model.template_hash.clone().filter(|_| wanted.task == Task::Causal),
        settings: serde_json::to_value(wanted.settings.to_values()).map_err(written)?,
        made_from: Some(serde_json::to_value(&request).map_err(written)?),
        estimate,
        code_version: crate::CODE_VERSION.to_owned(),
        device: place.name().to_owned(),
        n_threads: wanted.settings.threads.unwrap_or_else(all_threads) as u32,
        n_steps_planned: None,
        folder: RunFolder::Inside(app.library.runs_folder().to_string_lossy().into_owned()),
        notes: String::new(),
    };
    let row = app.jobs.add(&new)?;
    app.registry().models().touch(&wanted.model.id)?;
    if !Path::new(&row.folder).join("run.yaml").exists() {
        settings::write_run_file(&row)?;
    }
    summary(app, &row)
}

/// Why a run that would begin at once cannot: it needs more than the program may hold. One that waits for others is asked again
/// when its turn comes.
fn will_not_fit(estimate: &RunEstimate) -> Option<ApiError> {
    let (needed_bytes, limit_bytes) = (estimate.memory.total_bytes, estimate.memory.limit_bytes?);
    if needed_bytes <= limit_bytes || estimate.n_queued > 0 {
        return None;
    }
    let words =
        |mend: &Mend| mend.settings.iter().map(|(name, v)| set_word(name, v)).collect::<Vec<_>>().join(" with ");
    let ways: Vec<String> = estimate.would_fit.iter().map(words).collect();
    let error = ApiError::new(ErrorCode::OutOfMemory, "this run needs more memory than the program may hold")
        .with_details(ErrorDetails::Memory { needed_bytes, available_bytes: limit_bytes });
    let hint = match ways.as_slice() {
        [] => "choose a smaller model, or raise `memory_limit` where other programs can make room".to_owned(),
        ways => format!("one of these would do: {}", ways.join("; ")),
    };
    Some(error.with_hint(hint))
}

/// A setting as a person types it.
fn set_word(name: &str, value: &SettingValue) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    format!("`{name}` {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn all_threads() -> u64 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u64)
}

pub(crate) fn task_word(task: Task) -> &'static str {
    match task {
        Task::Causal => "causal",
        Task::Classify => "classify",
    }
}

/// A folder for a result, absolute.
fn output_folder(given: &str) -> Result<String, ApiError> {
    let folder = places::expand(given)?;
    library::check_free(&folder)?;
    Ok(folder.to_string_lossy().into_owned())
}

/// Body of `runs_list`.
pub fn list(app: &App, request: RunsRequest) -> Result<RunsPage, ApiError> {
    let limit = request.limit.unwrap_or(100).min(u64::from(Page::MAX_LIMIT)) as u32;
    let runs = app.registry().runs();
    let rows = runs.list(&RunFilter::default(), Page::at(request.offset, limit))?.rows;
    let n_total = runs.count(&RunFilter::default())?;
    let lines = if request.limit == Some(0) { Vec::new() } else { rows };
    Ok(RunsPage { runs: lines.iter().map(|row| summary(app, row)).collect::<Result<_, _>>()?, n_total })
}

/// Body of `run_show`.
pub fn show(app: &App, request: RunIdRequest) -> Result<RunDetails, ApiError> {
    let row = app.library.find_run(&request.id)?;
    let estimate = |key: &str| row.estimate.as_ref().and_then(|e| e.get(key).cloned());
    let result = app.library.result_of(&row);
    Ok(RunDetails {
        summary: summary(app, &row)?,
        request: made_from(&row),
        settings: settings::values(&row.settings),
        metrics: metrics(app, &row)?,
        checkpoints: checkpoints(app, &row)?,
        folder: row.folder.clone(),
        adapter: result.is_dir().then(|| result.display().to_string()),
        dataset_hash: row.dataset_hash.clone().unwrap_or_default(),
        model_hash: row.model_hash.clone().unwrap_or_default(),
        template_hash: row.template_hash.clone(),
        code_version: row.code_version.clone(),
        device: row.device.clone(),
        last_seq: row.seq,
        estimated_seconds: estimate("seconds").and_then(|v| v.as_f64()),
        estimated_memory_bytes: estimate("memory_bytes").and_then(|v| v.as_u64()),
    })
}

/// The request a run was made from.
fn made_from(row: &RunRow) -> RunRequest {
    let stored = row.made_from.clone().and_then(|value| serde_json::from_value(value).ok());
    stored.unwrap_or_else(|| RunRequest {
        model: row.model_id.clone().unwrap_or_default(),
        data: row.dataset_id.clone().unwrap_or_default(),
        validation: row.validation_dataset_id.clone(),
        name: None,
        task: None,
        method: None,
        preset: None,
        settings: settings::values(&row.settings),
        output: None,
    })
}

/// The figures of a run: those it ended with, or those it has come to.
pub(crate) fn metrics(app: &App, row: &RunRow) -> Result<RunMetrics, ApiError> {
    if row.metrics.is_some() {
        return Ok(told::metrics(figures(row)));
    }
    let totals = app.registry().metrics().totals(&row.id)?;
    let mut found = Figures { seconds: Some(totals.elapsed_ms as f64 / 1e3), ..Figures::default() };
    found.n_steps = Some(row.step);
    (found.tokens_per_s, found.peak_memory_bytes) = (totals.mean_tokens_per_s, totals.peak_memory_bytes);
    (found.best_step, found.n_trained_tokens) = (row.best_step, Some(totals.n_trained_tokens));
    for event in all_recorded(app, row, 0)? {
        let What::Evaluated { loss_sum, n, accuracy, f1_macro, preference, best } = event.what else { continue };
        let loss = told::mean(loss_sum, n);
        found.n_validation = Some(n);
        if event.step == 0 {
            (found.base_loss, found.base_accuracy, found.base_f1_macro) = (Some(loss), accuracy, f1_macro);
        } else if best {
            (found.loss, found.accuracy, found.f1_macro) = (Some(loss), accuracy, f1_macro);
            found.perplexity = Some(loss.exp()).filter(|p| accuracy.is_none() && preference.is_none() && p.is_finite());
            found.reward_margin = preference.map(|p| p.margin);
            found.reward_accuracy = preference.map(|p| p.accuracy);
        }
    }
    Ok(told::metrics(found))
}

fn checkpoints(app: &App, row: &RunRow) -> Result<Vec<CheckpointSummary>, ApiError> {
    let mut rows = app.registry().checkpoints().of_run(&row.id)?;
    rows.retain(|row| !row.deleted);
    rows.reverse();
    let line = |row: lorikeet_registry::CheckpointRow| CheckpointSummary {
        step: row.step,
        path: row.path,
        best: row.is_best,
        loss: row.validation_loss,
        n_bytes: row.n_bytes,
        at_ms: row.created_at_ms,
    };
    Ok(rows.into_iter().map(line).collect())
}

/// Everything recorded of a run after `since`.
pub(crate) fn all_recorded(app: &App, row: &RunRow, since: u64) -> Result<Vec<lorikeet_jobs::RunEvent>, ApiError> {
    let (mut all, mut last) = (Vec::new(), since);
    loop {
        let some = recorded_since(app.registry(), &row.id, last)?;
        let Some(newest) = some.last() else { return Ok(all) };
        last = newest.seq;
        all.extend(some);
    }
}

/// Body of `run_history`.
pub fn history(app: &App, request: RunHistoryRequest) -> Result<RunHistory, ApiError> {
    let row = app.library.find_run(&request.id)?;
    let since = request.since_seq.unwrap_or(0);
    let (mut steps, mut events, mut last_seq) = (StepColumns::default(), Vec::new(), since);
    for event in all_recorded(app, &row, since)? {
        last_seq = event.seq;
        match event.what {
            What::Step {
                epoch,
                loss_sum,
                n_supervised,
                learning_rate,
                gradient_norm,
                tokens_per_s,
                memory_bytes,
                ..
            } => {
                steps.step.push(event.step);
                steps.epoch.push(epoch);
                steps.loss.push(told::mean(loss_sum, n_supervised));
                steps.learning_rate.push(learning_rate);
                steps.gradient_norm.push(gradient_norm);
                steps.tokens_per_s.push(tokens_per_s);
                steps.memory_bytes.push(memory_bytes);
                steps.at_ms.push(event.at_ms);
            }
            _ => events.push(told::event(&row.id, event)),
        }
    }
    Ok(RunHistory { last_seq, steps, events })
}

/// Body of `run_pause`.
pub fn pause(app: &App, request: RunIdRequest) -> Result<RunSummary, ApiError> {
    summary(app, &app.jobs.pause(&request.id)?)
}

/// Body of `run_resume`.
pub fn resume(app: &App, request: RunIdRequest) -> Result<RunSummary, ApiError> {
    summary(app, &app.jobs.resume(&request.id)?)
}

/// Body of `run_cancel`.
pub fn cancel(app: &App, request: RunIdRequest) -> Result<RunSummary, ApiError> {
    summary(app, &app.jobs.cancel(&request.id)?)
}

/// Body of `run_checkpoint`.
pub fn checkpoint(app: &App, request: RunIdRequest) -> Result<RunSummary, ApiError> {
    summary(app, &app.jobs.checkpoint(&request.id)?)
}

/// Body of `run_follow`.
pub fn follow(
    app: &App,
    request: RunFollowRequest,
    sink: &mut dyn FnMut(RunEvents) -> bool,
) -> Result<Nothing, ApiError> {
    let id = app.library.find_run(&request.id)?.id;
    app.jobs.follow(&id, request.since_seq.unwrap_or(0), &mut |events| {
        sink(RunEvents { events: events.into_iter().map(|event| told::event(&id, event)).collect() })
    })?;
    Ok(Nothing {})
}

/// Whether a run is over for good or by a stop.
pub fn has_ended(app: &App, id: &str) -> Result<bool, ApiError> {
    Ok(app.library.find_run(id)?.status.is_final())
}
