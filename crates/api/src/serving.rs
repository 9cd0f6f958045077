//! Turning serving on and off, for whichever door can serve, and the models that are kept ready while it is on.

use std::sync::Arc;

use lorikeet_models::Task;

use crate::embedding::vectors;
use crate::loaded::{Parts, Ready};
use crate::trying::{answer, judgement};
use crate::wire::{
    ApiError, EmbedRequest, Embeddings, ErrorCode, GenerateRequest, GenerateUpdate, Generation, Nothing,
    PredictRequest, Prediction, ServeRequest, ServeStatus, ServedKind, ServedModel,
};
use crate::{App, Served, places};

/// Body of `serve_status`.
pub fn status(app: &App, _: Nothing) -> Result<ServeStatus, ApiError> {
    let off = || ServeStatus { running: false, address: None, since_ms: None, models: Vec::new() };
    Ok(app.switch().map_or_else(off, |switch| switch.status()))
}

/// Body of `serve_start`.
pub fn start(app: &App, request: ServeRequest) -> Result<ServeStatus, ApiError> {
    match app.switch() {
        Some(switch) => switch.start(request),
        None => Err(ApiError::new(ErrorCode::Unsupported, "this door has no server").with_hint("use `lorikeet serve`")),
    }
}

/// Body of `serve_stop`.
pub fn stop(app: &App, request: Nothing) -> Result<ServeStatus, ApiError> {
    match app.switch() {
        Some(switch) => switch.stop(),
        None => status(app, request),
    }
}

/// Loads what a request to serve names: the base first, then every adapter under the name of its run or folder. A base is the
/// same loaded model as its first adapter, which is set aside.
///
/// # Errors
/// `not_found`, `mismatch` and `unrecognised_model` for what is named, `out_of_memory` for what is loaded.
pub fn open(app: &App, request: &ServeRequest) -> Result<Arc<dyn Served>, ApiError> {
    let base = Parts::find(app, &request.model, None)?.quantised(request.quantize);
    let is_classifier = |parts: &Parts| parts.config().map(|config| config.task() == Task::Classify);
    let base_classifies = is_classifier(&base)?;
    let mut kept = Kept { models: Vec::new() };
    for adapter in &request.adapters {
        let parts = Parts::find(app, &request.model, Some(adapter))?.quantised(request.quantize);
        let run = parts.info.as_ref().map(|info| info.run.clone()).filter(|run| app.library.find_run(run).is_ok());
        let folder = parts.adapter.as_ref().unwrap_or(&parts.folder);
        let name = run.clone().unwrap_or_else(|| places::last_part(folder));
        let (kind, with_adapter) = (kind(is_classifier(&parts)?, ServedKind::Adapter), parts.adapter.is_some());
        kept.push(Model { name, kind, run, with_adapter, ready: Arc::new(Ready::load(&parts, None)?) });
    }
    // A classifier's base has labels of its own or guesses, so it is no other name for one with an adapter.
    let writing = |model: &&Model| model.with_adapter && model.kind != ServedKind::Classifier;
    let shared = kept.models.iter().find(writing).map(|model| model.ready.clone());
    if !base_classifies || kept.models.is_empty() {
        let ready = shared.map_or_else(|| Ready::load(&base, None).map(Arc::new), Ok)?;
        let row = app.library.find_model(&request.model).ok().and_then(|found| found.row);
        let name = row.map_or_else(|| places::last_part(&base.folder), |row| row.id);
        let kind = kind(base_classifies, ServedKind::Base);
        let model = Model { name, kind, run: None, with_adapter: false, ready };
        kept.push(model);
        kept.models.rotate_right(1);
    }
    Ok(Arc::new(kept))
}

fn kind(is_classifier: bool, otherwise: ServedKind) -> ServedKind {
    if is_classifier { ServedKind::Classifier } else { otherwise }
}

/// A name that can be asked for.
struct Model {
    name: String,
    kind: ServedKind,
    run: Option<String>,
    with_adapter: bool,
    ready: Arc<Ready>,
}

/// Models that are kept ready.
struct Kept {
    models: Vec<Model>,
}

impl Kept {
    /// Adds a model under a name that no other has.
    fn push(&mut self, mut model: Model) {
        let is_taken = |name: &str| self.models.iter().any(|known| known.name == name);
        let (first, mut n) = (model.name.clone(), 2);
        while is_taken(&model.name) {
            model.name = format!("{first}-{n}");
            n += 1;
        }
        self.models.push(model);
    }

    fn get(&self, name: &str) -> Result<&Model, ApiError> {
        let found = self.models.iter().find(|model| model.name == name);
        found.ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("no served model is called `{name}`")))
    }
}

impl Served for Kept {
    fn models(&self) -> Vec<ServedModel> {
        let told = |m: &Model| ServedModel { name: m.name.clone(), kind: m.kind, run: m.run.clone(), n_requests: 0 };
        self.models.iter().map(told).collect()
    }

    fn generate(
        &self,
        request: GenerateRequest,
        sink: &mut dyn FnMut(GenerateUpdate) -> bool,
    ) -> Result<Generation, ApiError> {
        let model = self.get(&request.model)?;
        if model.kind == ServedKind::Classifier {
            let message = format!("`{}` is a classifier and does not write texts", model.name);
            return Err(ApiError::new(ErrorCode::Unsupported, message).with_hint("ask for a prediction instead"));
        }
        answer(&model.ready, model.with_adapter, request, sink)
    }

    fn predict(&self, request: PredictRequest) -> Result<Prediction, ApiError> {
        let model = self.get(&request.model)?;
        if model.kind != ServedKind::Classifier {
            let message = format!("`{}` writes texts and has no labels", model.name);
            return Err(ApiError::new(ErrorCode::Unsupported, message).with_hint("ask for an answer instead"));
        }
        judgement(&model.ready, &request.text)
    }

    fn embed(&self, request: EmbedRequest) -> Result<Embeddings, ApiError> {
        let model = self.get(&request.model)?;
        vectors(&model.ready, model.with_adapter, &request.texts)
    }
}
