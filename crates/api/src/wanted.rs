//! What a request names, found and checked: the parts of a run to be, and the result of one that was.

use std::path::PathBuf;

use lorikeet_jobs::train::{Goal, Method as Moves, Settings, Work};
use lorikeet_models::ModelConfig;
use lorikeet_registry::{DatasetRow, ModelRow, RunRow, RunStatus as Status};

use crate::wire::{ApiError, ErrorCode, Method, RunRequest, Task};
use crate::{App, data, places, settings};

/// A request with everything it names found and checked.
pub(crate) struct Wanted {
    pub model: ModelRow,
    pub folder: PathBuf,
    pub config: ModelConfig,
    pub data: DatasetRow,
    pub validation: Option<DatasetRow>,
    pub task: Task,
    pub method: Method,
    pub settings: Settings,
}

impl Wanted {
    /// Finds and checks what `request` names; files are imported.
    pub fn find(app: &App, request: &RunRequest) -> Result<Wanted, ApiError> {
        let mut settings = settings::resolve(request)?;
        if let Some(given) = settings.adapter.take() {
            let folder = adapter_folder(app, &given)?;
            settings.adopt(&folder, &|name| request.settings.contains_key(name))?;
            settings.adapter = Some(folder.display().to_string());
        }
        let method = request.method.unwrap_or(Method::Lora);
        let (model, folder) = app.library.use_model(&request.model)?;
        let config = ModelConfig::read(&folder, None)?;
        let data = app.library.use_dataset(&request.data)?;
        let validation = request.validation.as_deref().map(|given| app.library.use_dataset(given)).transpose()?;
        let task = request.task.unwrap_or_else(|| data::natural_task(&data));
        let learned = match task {
            Task::Causal => lorikeet_data::Task::Causal,
            Task::Classify => lorikeet_data::Task::Classify,
        };
        let work = Work { task: learned, method: settings::moves(method), natural: data::natural_goal(&data) };
        settings.check(&work)?;
        Ok(Wanted { model, folder, config, data, validation, task, method, settings })
    }

    /// Classes that the run will tell apart, when classifying.
    pub fn n_labels(&self) -> Option<usize> {
        let labels = self.data.labels.as_ref().and_then(|labels| labels.as_array()).map(Vec::len);
        (self.task == Task::Classify).then(|| labels.or(self.config.labels)).flatten()
    }

    /// Why this cannot be trained, seen without reading a row.
    pub fn refusal(&self) -> Option<ApiError> {
        let (family, data) = (&self.config.model_type, &self.data.name);
        let mismatch = |message: String, hint: &str| Some(ApiError::new(ErrorCode::Mismatch, message).with_hint(hint));
        let writes = self.config.task() == lorikeet_models::Task::Causal;
        match (self.task, writes, data::natural_task(&self.data)) {
            (Task::Causal, false, _) => mismatch(
                format!("`{}` is a `{family}` model, which gives labels and does not write texts", self.model.name),
                "choose a model that writes, such as `starter`, or the task `classify`",
            ),
            (Task::Classify, _, Task::Causal) => mismatch(
                format!("the rows of `{data}` have no labels"),
                "choose the task `causal`, or rows with a text and a label",
            ),
            (Task::Causal, _, Task::Classify) => {
                mismatch(format!("the rows of `{data}` are texts with labels"), "choose the task `classify`")
            }
            _ => self.unfit_objective().and_then(|(message, hint)| mismatch(message, hint)),
        }
    }

    /// Why these examples do not suit the objective.
    fn unfit_objective(&self) -> Option<(String, &'static str)> {
        let natural = data::natural_goal(&self.data);
        let goal = self.settings.objective.unwrap_or(natural);
        if goal == natural || (goal, natural) == (Goal::Orpo, Goal::Dpo) {
            return None;
        }
        let message =
            format!("the rows of `{}` are not what the objective `{}` learns from", self.data.name, goal.name());
        Some((message, "leave `objective` empty to learn what these examples are for"))
    }
}

/// The folder of the adapter that `given` names: the folder itself, or a run.
fn adapter_folder(app: &App, given: &str) -> Result<PathBuf, ApiError> {
    let path = places::expand(given)?;
    if path.is_dir() {
        return Ok(path);
    }
    if places::is_path_like(given) {
        let message = format!("there is no adapter at `{}`", path.display());
        return Err(ApiError::new(ErrorCode::NotFound, message));
    }
    let result = RunResult::find(app, given)?;
    if result.is_whole {
        let message = format!("the run `{given}` trained every weight and left no adapter");
        let hint = "give its result as the model, and leave the adapter out";
        return Err(ApiError::new(ErrorCode::Mismatch, message).with_hint(hint));
    }
    Ok(result.folder)
}

/// Names a result: the run's best, whole model or adapter.
pub(crate) struct RunResult {
    pub row: RunRow,
    pub folder: PathBuf,
    pub is_whole: bool,
}

impl RunResult {
    /// The result of the run that `given` names.
    pub fn find(app: &App, given: &str) -> Result<RunResult, ApiError> {
        let row = app.library.find_run(given)?;
        let folder = app.library.result_of(&row);
        let best = app.registry().checkpoints().best(&row.id)?.or(app.registry().checkpoints().latest(&row.id)?);
        let folder = match (folder.is_dir(), best) {
            (true, _) => folder,
            // A run that has not ended is tried out with its best checkpoint.
            (false, Some(checkpoint)) if row.status != Status::Completed => PathBuf::from(checkpoint.path),
            _ => {
                let message = format!("the run `{}` has no result yet: it is {}", row.id, row.status);
                return Err(ApiError::new(ErrorCode::WrongState, message)
                    .with_hint("wait until it has saved for the first time"));
            }
        };
        let is_whole = row.method == Moves::Full.name();
        Ok(RunResult { row, folder, is_whole })
    }
}
