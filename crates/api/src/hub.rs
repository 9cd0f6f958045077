//! Models from a hub: getting one, those that other programs fetched from it already, and which hub with which token.
//!
//! The token stands in a file of its own that only its owner may read, or in the environment; never in the registry, a log or
//! an answer.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use lorikeet_hub::{ENDPOINT, Hub, HubError, Patience, Token, Wanted};
use lorikeet_jobs::{Failure, codes};
use lorikeet_models::ModelConfig;

use crate::App;
use crate::app::disk_available;
use crate::failure::{invalid, io};
use crate::wire::{
    ApiError, CachedModel, DownloadProgress, ErrorCode, HubSettings, HubSettingsRequest, ModelGetRequest, ModelSummary,
    Nothing,
};

/// The environment's words, which come before the settings.
const TOKEN_VARIABLE: &str = "HF_TOKEN";
const ENDPOINT_VARIABLE: &str = "HF_ENDPOINT";
/// The setting in the registry.
const ENDPOINT_SETTING: &str = "hub_endpoint";
/// Left free on the disk.
const RESERVE_BYTES: u64 = 256 << 20;

/// Body of `model_get`.
pub fn get(
    app: &App,
    request: ModelGetRequest,
    sink: &mut dyn FnMut(DownloadProgress) -> bool,
) -> Result<ModelSummary, ApiError> {
    let wanted = Wanted::new(&request.model, request.revision.as_deref(), request.file.as_deref())?;
    let folder = app.home().join("models");
    let cached = || app.hub_cache.as_ref()?.find(&wanted);
    let place = match cached().filter(|_| !wanted.place(&folder).exists()) {
        Some(model) => model.path,
        None => download(app, &wanted, &folder, sink)?,
    };
    let name = request.model.rsplit('/').next().unwrap_or(&request.model).to_owned();
    crate::models::summary(app, &app.library.register(&place, &name)?)
}

/// Brings a model below `folder`, as long as the disk has room; returns where it is.
fn download(
    app: &App,
    wanted: &Wanted,
    folder: &Path,
    sink: &mut dyn FnMut(DownloadProgress) -> bool,
) -> Result<PathBuf, ApiError> {
    let hub = Hub::new(&endpoint(app)?, token(app)?, Patience::default());
    let mut too_large = None;
    let place = hub.get(wanted, folder, &mut |p| {
        let free = disk_available(folder).unwrap_or(u64::MAX).saturating_sub(RESERVE_BYTES);
        if p.n_bytes_total - p.n_bytes > free {
            too_large = Some((p.n_bytes_total - p.n_bytes, free));
            return false;
        }
        sink(DownloadProgress {
            file: p.file.to_owned(),
            n_files: p.n_files as u64,
            n_files_total: p.n_files_total as u64,
            n_bytes: p.n_bytes,
            n_bytes_total: p.n_bytes_total,
        })
    });
    if let Some((needed, free)) = too_large {
        let name = wanted.repository.as_str();
        let message = format!("`{name}` needs {needed} more bytes, and the disk has {free} to spare");
        return Err(ApiError::new(ErrorCode::DiskFull, message).with_hint("free some space; what came is kept"));
    }
    Ok(place?)
}

/// Body of `models_found`.
pub fn found(app: &App, _: Nothing) -> Result<Vec<CachedModel>, ApiError> {
    let Some(cache) = &app.hub_cache else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for model in cache.models()? {
        let path = model.path.to_string_lossy().into_owned();
        let is_registered = app.registry().models().find_path(&path)?.is_some();
        // A family that is not read would be refused when it is chosen.
        if !is_registered && !has_come(app, &model.name) && ModelConfig::read(&model.path, None).is_ok() {
            found.push(CachedModel { name: model.name, path, n_bytes: model.n_bytes });
        }
    }
    Ok(found)
}

/// Whether the main branch of a repository was downloaded into the data folder.
fn has_come(app: &App, name: &str) -> bool {
    Wanted::new(name, None, None).is_ok_and(|wanted| wanted.place(&app.home().join("models")).exists())
}

/// Body of `hub_settings`.
pub fn settings(app: &App, _: Nothing) -> Result<HubSettings, ApiError> {
    let from_environment = variable(TOKEN_VARIABLE).is_some();
    let has_token = token(app)?.is_some();
    Ok(HubSettings { endpoint: endpoint(app)?, has_token, from_environment })
}

/// Body of `hub_set`.
pub fn set(app: &App, request: HubSettingsRequest) -> Result<HubSettings, ApiError> {
    if let Some(endpoint) = request.endpoint {
        let endpoint = endpoint.trim().trim_end_matches('/').to_owned();
        if !endpoint.is_empty() && !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            return Err(invalid(format!("the address of a hub begins with `https://`: {endpoint}")));
        }
        app.registry().settings().set(ENDPOINT_SETTING, &serde_json::Value::from(endpoint))?;
    }
    if let Some(words) = request.token {
        keep_token(app, &words)?;
    }
    settings(app, Nothing {})
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn endpoint(app: &App) -> Result<String, ApiError> {
    let set = app.registry().settings().get(ENDPOINT_SETTING)?;
    let set = set.as_ref().and_then(|value| value.as_str()).filter(|address| !address.is_empty());
    Ok(variable(ENDPOINT_VARIABLE).or_else(|| set.map(str::to_owned)).unwrap_or_else(|| ENDPOINT.to_owned()))
}

fn token_file(app: &App) -> PathBuf {
    app.home().join("hub-token")
}

fn token(app: &App) -> Result<Option<Token>, ApiError> {
    if let Some(words) = variable(TOKEN_VARIABLE) {
        return Ok(Token::new(&words));
    }
    let file = token_file(app);
    match std::fs::read_to_string(&file) {
        Ok(words) => Ok(Token::new(&words)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", &file)(error)),
    }
}

/// Keeps a token, or forgets the one there is where `words` are none.
fn keep_token(app: &App, words: &str) -> Result<(), ApiError> {
    let file = token_file(app);
    if words.trim().is_empty() {
        return match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", &file)(error)),
            _ => Ok(()),
        };
    }
    if Token::new(words).is_none() {
        return Err(invalid("a token is one word of letters, digits and signs"));
    }
    let beside = tempfile::NamedTempFile::new_in(app.home()).map_err(io("write in", app.home()))?;
    // A temporary file may be read by its owner only, and stays so when it gets its name.
    beside.as_file().write_all(words.trim().as_bytes()).map_err(io("write", &file))?;
    beside.persist(&file).map_err(|error| io("write", &file)(error.error))?;
    Ok(())
}

impl From<HubError> for ApiError {
    fn from(error: HubError) -> Self {
        let message = error.to_string();
        match error {
            HubError::BadName { .. } => invalid(message),
            HubError::NotFound { .. } => ApiError::new(ErrorCode::NotFound, message).with_hint(format!(
                "look at the name; what is not public needs a token, in the settings or as `{TOKEN_VARIABLE}`"
            )),
            HubError::Refused { with_token: false, .. } => ApiError::new(ErrorCode::NotFound, message)
                .with_hint(format!("give a token that may read it, in the settings or as `{TOKEN_VARIABLE}`")),
            HubError::Refused { .. } => ApiError::new(ErrorCode::NotFound, message)
                .with_hint("accept the model's terms on its page, or take another token"),
            HubError::GaveUp { .. } => ApiError::new(ErrorCode::UnreadableFile, message)
                .with_hint("try again later; it goes on from where it was"),
            HubError::WrongBytes { .. } | HubError::BadAnswer { .. } => {
                ApiError::new(ErrorCode::UnreadableFile, message)
            }
            HubError::NoModel { .. } => ApiError::new(ErrorCode::UnrecognisedModel, message),
            HubError::Several { .. } | HubError::NoSuchFile { .. } => {
                invalid(message).with_hint("name one with `file` (`--file`)")
            }
            HubError::Busy { .. } => ApiError::new(ErrorCode::WrongState, message),
            HubError::Stopped => ApiError::new(ErrorCode::Cancelled, message),
            HubError::Io { source, .. } => {
                let failure = Failure::io(message, &source);
                let code =
                    if source.kind() == std::io::ErrorKind::PermissionDenied { codes::READ_ONLY } else { failure.code };
                Failure { code, ..failure }.into()
            }
        }
    }
}
