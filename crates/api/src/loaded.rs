//! Models that are loaded: what a question names, found, put into memory, and kept for the next question. A base and the same
//! base with an adapter are one loaded model.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lorikeet_data::Tokenizer;
use lorikeet_jobs::train::{DeviceChoice, ResultInfo, Settings};
use lorikeet_jobs::{Executor, Place, Source, open};
use lorikeet_models::{AdapterForm, ModelConfig, Quantise, Task};

use crate::wanted::RunResult;
use crate::wire::{ApiError, ErrorCode, Quantisation};
use crate::{App, places};

/// Models that are kept loaded.
const MOST_LOADED: usize = 2;
/// A loaded model with its tokenizer.
pub(crate) struct Ready {
    source: Source,
    /// Whether it writes texts.
    writes: bool,
    pub tokenizer: Tokenizer,
    pub info: Option<ResultInfo>,
    executor: Mutex<Box<dyn Executor>>,
}

impl Ready {
    /// Loads what `parts` name.
    pub fn load(parts: &Parts, n_labels: Option<usize>) -> Result<Ready, ApiError> {
        let source = parts.source(n_labels);
        let tokenizer = Tokenizer::open(&parts.folder)?;
        let executor = open(&source, Place::choose(DeviceChoice::Auto)?, None)?;
        let writes = executor.config().task() == Task::Causal;
        Ok(Ready { source, writes, tokenizer, info: parts.info.clone(), executor: Mutex::new(executor) })
    }

    /// Folder of the base.
    pub fn folder(&self) -> &std::path::Path {
        &self.source.folder
    }

    /// The model itself, for one question at a time.
    pub fn executor(&self) -> MutexGuard<'_, Box<dyn Executor>> {
        self.executor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Models that are loaded, the one used last at the end.
#[derive(Default)]
pub(crate) struct Loaded(Mutex<Vec<Arc<Ready>>>);

/// What a request names: a base, and perhaps an adapter on it.
pub(crate) struct Parts {
    pub folder: PathBuf,
    pub adapter: Option<PathBuf>,
    pub info: Option<ResultInfo>,
    /// How the base is kept.
    pub quantise: Option<Quantise>,
}

impl Parts {
    /// The same with the base in fewer bits, where that is asked for.
    pub fn quantised(mut self, wanted: Option<Quantisation>) -> Parts {
        self.quantise = wanted.map(|wanted| match wanted {
            Quantisation::Q8_0 => Quantise::Q8_0,
            Quantisation::Q4K => Quantise::Q4K,
        });
        self
    }

    pub fn find(app: &App, model: &str, adapter: Option<&str>) -> Result<Parts, ApiError> {
        // A run of all weights is a model of its own.
        let whole_run = |given: &str| RunResult::find(app, given).ok().filter(|result| result.is_whole);
        let (folder, info) = match app.library.find_model(model) {
            Ok(found) => (found.folder, None),
            Err(error) => match whole_run(model) {
                Some(result) => (result.folder.clone(), ResultInfo::read(&result.folder)?),
                None => return Err(error),
            },
        };
        let Some(adapter) = adapter else {
            let info = if info.is_some() { info } else { ResultInfo::read(&folder)? };
            return Ok(Parts { folder, adapter: None, info, quantise: None });
        };
        let path = places::expand(adapter)?;
        let (result, run) = match path.is_dir() || AdapterForm::of(&path).is_some() {
            true => (path, None),
            false if places::is_path_like(adapter) => {
                let message = format!("there is no adapter at `{}`", path.display());
                return Err(ApiError::new(ErrorCode::NotFound, message));
            }
            false => {
                let result = RunResult::find(app, adapter)?;
                (result.folder, Some(result.row))
            }
        };
        let info = ResultInfo::read(&result)?.or_else(|| run.as_ref().map(|row| labels_of(app, row)));
        if AdapterForm::of(&result).is_some() {
            return Ok(Parts { folder, adapter: Some(result), info, quantise: None });
        }
        // The result of training all weights takes the base's place; its tokenizer is that of the base.
        Ok(Parts { folder: result, adapter: None, info, quantise: None })
    }

    /// What the model's folder says, with the classifier that an adapter brings.
    pub fn config(&self) -> Result<ModelConfig, ApiError> {
        Ok(match &self.adapter {
            Some(adapter) => ModelConfig::read_with_adapter(&self.folder, adapter)?,
            None => ModelConfig::read(&self.folder, None)?,
        })
    }

    fn source(&self, n_labels: Option<usize>) -> Source {
        Source { folder: self.folder.clone(), adapter: self.adapter.clone(), n_labels, quantise: self.quantise }
    }
}

/// What a run that has no result yet says of its checkpoints.
fn labels_of(app: &App, row: &lorikeet_registry::RunRow) -> ResultInfo {
    let labels = || {
        let data = app.registry().datasets().get(row.dataset_id.as_deref()?).ok()?;
        let dataset = app.library.store.dataset(&data.hash).ok()?;
        Some(dataset.description().labels.iter().map(|label| label.name.clone()).collect::<Vec<_>>())
    };
    let max_length = row.settings.get("max_length").and_then(serde_json::Value::as_u64);
    ResultInfo {
        run: row.id.clone(),
        task: row.task.clone(),
        base_model: row.model_id.clone().unwrap_or_default(),
        base_folder: String::new(),
        base_hash: row.model_hash.clone().unwrap_or_default(),
        template_hash: row.template_hash.clone().unwrap_or_default(),
        dataset_hash: row.dataset_hash.clone().unwrap_or_default(),
        labels: labels().unwrap_or_default(),
        max_length: max_length.unwrap_or(Settings::default().max_length),
        preference: None,
    }
}

impl Loaded {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Ready>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loaded model for `parts`. A base alone is also served by the same base with an adapter, which is set aside then;
    /// not where a classifier came with the adapter.
    pub fn get(&self, parts: &Parts, n_labels: Option<usize>) -> Result<Arc<Ready>, ApiError> {
        let source = parts.source(n_labels);
        let serves = |ready: &Ready| {
            ready.source == source || (ready.writes && source.adapter.is_none() && ready.source.folder == source.folder)
        };
        let mut kept = self.lock();
        if let Some(at) = kept.iter().position(|ready| serves(ready)) {
            let ready = kept.remove(at);
            kept.push(ready.clone());
            return Ok(ready);
        }
        if kept.len() >= MOST_LOADED {
            kept.remove(0);
        }
        let ready = Arc::new(Ready::load(parts, n_labels)?);
        kept.push(ready.clone());
        Ok(ready)
    }
}

impl App {
    /// Forgets loaded models, whose files may have changed.
    pub fn unload(&self) {
        self.loaded.lock().clear();
    }
}
