//! The starter model inside the program, laid out as a folder at its first use: whole, or not there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::embedded::{STARTER, STARTER_HASH};
use crate::failure::io;
use crate::wire::{ApiError, ErrorCode};

/// The place of the starter model in the registry.
pub(crate) const STARTER_PLACE: &str = "builtin:starter";
/// Its name.
pub(crate) const STARTER_NAME: &str = "starter";

/// Whether this build has a starter model.
pub(crate) fn is_embedded() -> bool {
    !STARTER.is_empty()
}

/// The folder of the starter model below `models`, written if it is not there.
pub(crate) fn folder(models: &Path) -> Result<PathBuf, ApiError> {
    if !is_embedded() {
        return Err(ApiError::new(ErrorCode::Unsupported, "this build has no starter model")
            .with_hint("give the folder of another model"));
    }
    let place = models.join(format!("{STARTER_NAME}-{STARTER_HASH}"));
    if place.is_dir() {
        return Ok(place);
    }
    fs::create_dir_all(models).map_err(io("create", models))?;
    let beside = tempfile::Builder::new().prefix(".starter-").tempdir_in(models).map_err(io("write in", models))?;
    for (name, bytes) in STARTER {
        lorikeet_models::write_file(&beside.path().join(name), bytes)?;
    }
    match fs::rename(beside.path(), &place) {
        // Moved: nothing is left to remove.
        Ok(()) => drop(beside.keep()),
        // Another process was faster.
        Err(_) if place.is_dir() => {}
        Err(error) => return Err(io("create", &place)(error)),
    }
    Ok(place)
}
