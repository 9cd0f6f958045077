//! What lies in the data folder and beyond it, by the names people use: examples by id, name or file, models by id, name or
//! folder, results by run or folder. Big models are hashed once, and again only when their files changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lorikeet_data::{Store, Task, TemplateOrigin, Tokenizer};
use lorikeet_jobs::train::{Method, Settings};
use lorikeet_jobs::{Failure, JobSpec, RunSource, codes};
use lorikeet_models::{ModelConfig, ModelFiles, hash_folder};
use lorikeet_registry::{ModelRow, NewModel, Registry, RunRow};
use serde_json::{Value, json};

use crate::failure::{invalid, io};
use crate::starter::{self, STARTER_NAME, STARTER_PLACE};
use crate::wire::{ApiError, ErrorCode};
use crate::{places, settings};

/// The data folder and its registry.
pub(crate) struct Library {
    pub home: PathBuf,
    pub registry: Arc<Registry>,
    pub store: Store,
}

/// A model that was found.
#[derive(Clone, Debug)]
pub(crate) struct FoundModel {
    /// Its row, where it is registered.
    pub row: Option<ModelRow>,
    /// The folder its files are in, or its GGUF file.
    pub folder: PathBuf,
}

impl Library {
    fn models_folder(&self) -> PathBuf {
        self.home.join("models")
    }

    /// The folder of the runs.
    pub fn runs_folder(&self) -> PathBuf {
        self.home.join("runs")
    }

    /// The model that `given` names, without registering it.
    pub fn find_model(&self, given: &str) -> Result<FoundModel, ApiError> {
        if given.eq_ignore_ascii_case(STARTER_NAME) {
            let row = self.starter()?;
            return Ok(FoundModel { folder: starter::folder(&self.models_folder())?, row: Some(row) });
        }
        if !places::is_path_like(given) {
            match self.registry.models().get(given) {
                Ok(row) => return Ok(FoundModel { folder: self.folder_of(&row)?, row: Some(row) }),
                Err(error) if !places::is_model(Path::new(given)) => {
                    return Err(ApiError::from(error).with_hint(MODEL_HINT));
                }
                Err(_) => {}
            }
        }
        let folder = places::expand(given)?;
        // A file of a model's folder stands for the folder; a GGUF file is the whole model.
        let is_part = folder.is_file() && !places::is_gguf(&folder);
        let folder = if is_part { folder.parent().unwrap_or(&folder).to_owned() } else { folder };
        if !folder.exists() {
            let message = format!("there is no model at `{}`", folder.display());
            return Err(ApiError::new(ErrorCode::NotFound, message).with_hint(MODEL_HINT));
        }
        let row = self.registry.models().find_path(&folder.to_string_lossy())?;
        Ok(FoundModel { row, folder })
    }

    /// The model that `given` names, registered, with its row as its files are now.
    pub fn use_model(&self, given: &str) -> Result<(ModelRow, PathBuf), ApiError> {
        let found = self.find_model(given)?;
        match found.row {
            Some(row) if row.path == STARTER_PLACE => Ok((row, found.folder)),
            row => {
                let name = row.map_or_else(|| places::model_name(&found.folder), |row| row.name);
                Ok((self.register(&found.folder, &name)?, found.folder))
            }
        }
    }

    /// Registers a folder as a base model, or takes up what changed in it.
    pub fn register(&self, folder: &Path, name: &str) -> Result<ModelRow, ApiError> {
        // The name of the built-in model stays its own.
        let taken = lorikeet_registry::slug(name, "model") == STARTER_NAME;
        let name = if taken { format!("{name}-folder") } else { name.to_owned() };
        self.insert(folder, &folder.to_string_lossy(), &name)
    }

    /// The starter model's row.
    pub fn starter(&self) -> Result<ModelRow, ApiError> {
        let folder = starter::folder(&self.models_folder())?;
        self.insert(&folder, STARTER_PLACE, STARTER_NAME)
    }

    fn insert(&self, folder: &Path, place: &str, name: &str) -> Result<ModelRow, ApiError> {
        let stamp = stamp(folder)?;
        if let Some(row) = self.registry.models().find_path(place)?
            && row.details.as_ref().and_then(|details| details.get("stamp")) == Some(&stamp)
        {
            return Ok(row);
        }
        let new = describe(folder, place, name, stamp)?;
        Ok(self.registry.models().insert(&new)?)
    }

    /// The folder of a registered model.
    pub fn folder_of(&self, row: &ModelRow) -> Result<PathBuf, ApiError> {
        match row.path.as_str() {
            STARTER_PLACE => starter::folder(&self.models_folder()),
            path => Ok(PathBuf::from(path)),
        }
    }

    /// The run that `given` names, where it is not a path.
    pub fn find_run(&self, given: &str) -> Result<RunRow, ApiError> {
        Ok(self.registry.runs().get(given)?)
    }

    /// The folder of a run's result.
    pub fn result_of(&self, row: &RunRow) -> PathBuf {
        let output = row.made_from.as_ref().and_then(|request| request.get("output")).and_then(Value::as_str);
        output.map_or_else(|| Path::new(&row.folder).join("adapter"), PathBuf::from)
    }
}

const MODEL_HINT: &str = "give `starter`, the name of a model you added, or the folder of one";

impl RunSource for Library {
    fn job(&self, row: &RunRow) -> Result<JobSpec, Failure> {
        let lower = |error: ApiError| {
            let hint = error.hint.clone();
            Failure { code: code_word(error.code), message: error.message, hint }
        };
        let model_id = row.model_id.as_deref().unwrap_or_default();
        let model = self.registry.models().get(model_id)?;
        let model_folder = self.folder_of(&model).map_err(lower)?;
        if !model_folder.exists() {
            let message = format!("the base model of the run is no longer at `{}`", model_folder.display());
            return Err(Failure::new(codes::NOT_FOUND, message).with_hint("put the folder back, or start a new run"));
        }
        let now = self.insert(&model_folder, &model.path, &model.name).map_err(lower)?;
        if Some(&now.hash) != row.model_hash.as_ref() {
            let message = format!("the base model `{}` is no longer the one the run began with", model.name);
            return Err(Failure::new(codes::MISMATCH, message).with_hint("put its files back, or start a new run"));
        }
        let result = self.result_of(row);
        check_free(&result).map_err(lower)?;
        let validation = row.validation_dataset_id.as_deref().map(|id| self.registry.datasets().get(id)).transpose()?;
        let values: BTreeMap<String, Value> = serde_json::from_value(row.settings.clone()).map_err(|e| {
            Failure::new(codes::INTERNAL, format!("the settings of run `{}` cannot be read: {e}", row.id))
        })?;
        Ok(JobSpec {
            run: row.id.clone(),
            model_folder,
            model_name: model.name,
            model_hash: now.hash,
            task: task_of(&row.task),
            method: if row.method == Method::Full.name() { Method::Full } else { Method::Lora },
            settings: Settings::from_values(&values)?,
            datasets: self.store.root().to_owned(),
            dataset_hash: row.dataset_hash.clone().unwrap_or_default(),
            validation_hash: validation.map(|row| row.hash),
            folder: PathBuf::from(&row.folder),
            result,
            started_unix_s: (row.created_at_ms / 1000) as i64,
        })
    }

    fn resolved(&self, row: &RunRow) {
        if let Err(error) = settings::write_run_file(row) {
            tracing::warn!("the settings of run `{}` cannot be written beside it: {error}", row.id);
        }
    }
}

/// Refuses a folder for a result that holds other files: the result takes the place of what is there.
pub(crate) fn check_free(folder: &Path) -> Result<(), ApiError> {
    let is_taken = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some() && !folder.join("lorikeet.json").is_file(),
        Err(_) => folder.exists(),
    };
    if is_taken {
        let message = format!("the output folder is not empty: `{}`", folder.display());
        return Err(invalid(message).with_hint("name a folder that does not exist yet"));
    }
    Ok(())
}

/// The word of a code, as the registry keeps it.
fn code_word(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NotFound => codes::NOT_FOUND,
        ErrorCode::DiskFull => codes::DISK_FULL,
        ErrorCode::ReadOnly => codes::READ_ONLY,
        ErrorCode::UnreadableFile => codes::UNREADABLE_FILE,
        ErrorCode::UnrecognisedModel => codes::UNRECOGNISED_MODEL,
        ErrorCode::Unsupported => codes::UNSUPPORTED,
        ErrorCode::InvalidRequest => codes::INVALID_REQUEST,
        ErrorCode::Mismatch => codes::MISMATCH,
        _ => codes::INTERNAL,
    }
}

/// The task of a word in the registry.
pub(crate) fn task_of(word: &str) -> Task {
    if word == "classify" { Task::Classify } else { Task::Causal }
}

/// Names, sizes and times of the files that make a model: as long as they stay, its hash stays.
fn stamp(model: &Path) -> Result<Value, ApiError> {
    let mut files = Vec::new();
    let parts = if model.is_file() { vec![model.to_owned()] } else { files_in(model)? };
    for path in parts {
        let name = places::last_part(&path);
        let about = std::fs::metadata(&path).map_err(io("read", &path))?;
        let ends = [".json", ".safetensors", ".gguf", ".jinja", "README.md"];
        if about.is_file() && ends.iter().any(|end| name.ends_with(end)) {
            let since = about.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
            files.push((name, about.len(), since.map_or(0, |t| t.as_nanos() as u64)));
        }
    }
    files.sort();
    Ok(json!(files))
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, ApiError> {
    let entries = std::fs::read_dir(folder).map_err(io("read", folder))?;
    entries.map(|entry| Ok(entry.map_err(io("read", folder))?.path())).collect()
}

/// Reads what the registry keeps of a model.
fn describe(folder: &Path, place: &str, name: &str, stamp: Value) -> Result<NewModel, ApiError> {
    let config = ModelConfig::read(folder, None)?;
    let files = ModelFiles::open(folder)?;
    let tokenizer = Tokenizer::open(folder)?;
    tokenizer.check_fits(config.vocabulary())?;
    let template = tokenizer.template();
    let details = json!({
        "stamp": stamp,
        "licence": licence(folder),
        "has_chat_template": template.origin() == TemplateOrigin::Model,
    });
    Ok(NewModel {
        name: name.to_owned(),
        path: place.to_owned(),
        hash: hash_folder(folder)?,
        architecture: config.model_type.clone(),
        tasks: json!(crate::models::tasks(&config)),
        n_parameters: files.n_parameters() as u64,
        n_bytes: files.n_bytes() as u64,
        template_hash: Some(template.hash().to_owned()),
        details: Some(details),
    })
}

/// The licence that a model's card names in its front matter.
fn licence(folder: &Path) -> Option<String> {
    let card = std::fs::read_to_string(folder.join("README.md")).ok()?;
    let (front, _) = card.strip_prefix("---\n")?.split_once("\n---")?;
    let line = front.lines().find_map(|line| line.strip_prefix("license:"))?;
    Some(line.trim().trim_matches('"').to_owned()).filter(|word| !word.is_empty())
}
