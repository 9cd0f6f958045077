//! Base models: listing, adding a folder, looking at one.

use std::path::Path;

use lorikeet_data::{TemplateOrigin, Tokenizer};
use lorikeet_models::{Architecture, ModelConfig, ModelFiles, hash_folder};
use lorikeet_registry::{ModelRow, Page, RunFilter, RunStatus};
use serde_json::Value;

use crate::starter::{self, STARTER_PLACE};
use crate::wire::{
    ApiError, ErrorCode, ModelAddRequest, ModelDetails, ModelRequest, ModelSource, ModelSummary, Nothing, Task,
    TemplateInfo,
};
use crate::{App, places};

/// Runs whose figures are averaged.
const MEASURED_RUNS: u32 = 20;

/// Body of `models_list`.
pub fn list(app: &App, _: Nothing) -> Result<Vec<ModelSummary>, ApiError> {
    if starter::is_embedded() {
        app.library.starter()?;
    }
    let mut rows = app.registry().models().list(Page::first(Page::MAX_LIMIT))?.rows;
    rows.retain(|row| row.path != STARTER_PLACE || starter::is_embedded());
    rows.sort_by_key(|row| {
        (row.path != STARTER_PLACE, std::cmp::Reverse(row.last_used_at_ms.unwrap_or(row.added_at_ms)))
    });
    rows.iter().map(|row| summary(app, row)).collect()
}

/// Body of `model_add`.
pub fn add(app: &App, request: ModelAddRequest) -> Result<ModelSummary, ApiError> {
    let folder = places::expand(&request.path)?;
    if !folder.exists() {
        let message = format!("there is no model at `{}`", folder.display());
        let hint = "give the folder that holds `config.json`, or a GGUF file";
        return Err(ApiError::new(ErrorCode::NotFound, message).with_hint(hint));
    }
    let name = request.name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| places::model_name(&folder));
    summary(app, &app.library.register(&folder, &name)?)
}

/// The folder a model lies in, for a door that hands it to something else than a command.
///
/// # Errors
/// Where there is no such model.
pub fn folder(app: &App, request: &ModelRequest) -> Result<std::path::PathBuf, ApiError> {
    Ok(app.library.find_model(&request.model)?.folder)
}

/// Body of `model_inspect`.
pub fn inspect(app: &App, request: ModelRequest) -> Result<ModelDetails, ApiError> {
    let found = app.library.find_model(&request.model)?;
    let folder = found.folder.as_path();
    let (config, tokenizer) = (ModelConfig::read(folder, None)?, Tokenizer::open(folder)?);
    let files = ModelFiles::open(folder)?;
    let (hash, summary) = match &found.row {
        Some(row) => (row.hash.clone(), summary(app, row)?),
        None => (hash_folder(folder)?, unregistered(folder, &config, &files, &tokenizer)),
    };
    let template = (config.task() == lorikeet_models::Task::Causal).then(|| template_info(&summary.name, &tokenizer));
    let (n_layers, hidden_size, n_heads) = match &config.architecture {
        Architecture::Decoder(d) => (d.layers.len(), d.width, d.heads),
        Architecture::Encoder(e) => (e.layers, e.width, e.heads),
    };
    Ok(ModelDetails {
        hash,
        n_layers: n_layers as u64,
        hidden_size: hidden_size as u64,
        n_heads: n_heads as u64,
        vocab_size: config.vocabulary() as u64,
        max_position_embeddings: config.max_positions() as u64,
        dtype: files.main_precision().to_owned(),
        target_modules: target_modules(&config),
        labels: config.label_names.clone(),
        card: card(folder),
        template,
        summary,
    })
}

/// A model's line in the list.
pub(crate) fn summary(app: &App, row: &ModelRow) -> Result<ModelSummary, ApiError> {
    let detail = |key: &str| row.details.as_ref().and_then(|details| details.get(key));
    let is_starter = row.path == STARTER_PLACE;
    let measured = Measured::of(app, &row.id)?;
    Ok(ModelSummary {
        id: row.id.clone(),
        name: row.name.clone(),
        source: if is_starter { ModelSource::Starter } else { ModelSource::Folder },
        path: (!is_starter).then(|| row.path.clone()),
        available: is_starter || is_there(Path::new(&row.path)),
        family: row.architecture.clone(),
        tasks: serde_json::from_value(row.tasks.clone()).unwrap_or_default(),
        n_parameters: row.n_parameters,
        n_bytes: row.n_bytes,
        licence: detail("licence").and_then(Value::as_str).map(str::to_owned),
        has_chat_template: detail("has_chat_template").and_then(Value::as_bool).unwrap_or_default(),
        train_tokens_per_s: measured.tokens_per_s,
        train_memory_bytes: measured.memory_bytes,
        n_measured_runs: measured.n_runs,
        last_used_at_ms: row.last_used_at_ms,
    })
}

fn unregistered(folder: &Path, config: &ModelConfig, files: &ModelFiles, tokenizer: &Tokenizer) -> ModelSummary {
    let path = folder.display().to_string();
    ModelSummary {
        id: path.clone(),
        name: places::model_name(folder),
        source: ModelSource::Folder,
        path: Some(path),
        available: true,
        family: config.model_type.clone(),
        tasks: tasks(config).to_vec(),
        n_parameters: files.n_parameters() as u64,
        n_bytes: files.n_bytes() as u64,
        licence: None,
        has_chat_template: tokenizer.template().origin() == TemplateOrigin::Model,
        train_tokens_per_s: None,
        train_memory_bytes: None,
        n_measured_runs: 0,
        last_used_at_ms: None,
    }
}

/// What earlier runs of a model measured on this computer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Measured {
    pub tokens_per_s: Option<f64>,
    pub memory_bytes: Option<u64>,
    pub n_runs: u64,
}

impl Measured {
    /// Over the latest completed runs.
    pub fn of(app: &App, model_id: &str) -> Result<Measured, ApiError> {
        let filter = RunFilter { model_id: Some(model_id.to_owned()), ..RunFilter::in_status(&[RunStatus::Completed]) };
        let rows = app.registry().runs().list(&filter, Page::first(MEASURED_RUNS))?.rows;
        let figures: Vec<&Value> = rows.iter().filter_map(|row| row.metrics.as_ref()).collect();
        let speeds: Vec<f64> = figures.iter().filter_map(|f| f.get("tokens_per_s")?.as_f64()).collect();
        let memory = figures.iter().filter_map(|f| f.get("peak_memory_bytes")?.as_u64()).max();
        let mean = (!speeds.is_empty()).then(|| speeds.iter().sum::<f64>() / speeds.len() as f64);
        Ok(Measured { tokens_per_s: mean, memory_bytes: memory, n_runs: speeds.len() as u64 })
    }
}

/// The chat template in use.
pub(crate) fn template_info(source: &str, tokenizer: &Tokenizer) -> TemplateInfo {
    TemplateInfo {
        source: source.to_owned(),
        hash: tokenizer.template().hash().to_owned(),
        end_of_turn: tokenizer.end_of_turn().map(|token| token.text.clone()),
    }
}

/// Whether a model's files are still where they were.
fn is_there(path: &Path) -> bool {
    path.is_file() || path.join("config.json").is_file() || folder_file(path).is_some()
}

/// The GGUF file of a folder without safetensors.
fn folder_file(folder: &Path) -> Option<std::path::PathBuf> {
    lorikeet_models::gguf::locate(folder).ok().flatten()
}

/// What a base can be trained for: one that writes learns to give labels too, with a new head.
pub(crate) fn tasks(config: &ModelConfig) -> &'static [Task] {
    match config.task() {
        lorikeet_models::Task::Causal => &[Task::Causal, Task::Classify],
        lorikeet_models::Task::Classify => &[Task::Classify],
    }
}

/// Names of a family's linear maps, each once.
fn target_modules(config: &ModelConfig) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (path, ..) in config.linears().0 {
        let name = path.rsplit('.').next().unwrap_or(path);
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The model's own words about itself, without the front matter.
fn card(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("README.md")).ok()?;
    let body = match text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---")) {
        Some((_, body)) => body.trim_start_matches('-'),
        None => &text,
    };
    Some(body.trim().to_owned()).filter(|body| !body.is_empty())
}
