//! A run's report.

use std::path::PathBuf;

use crate::App;
use crate::wire::{ApiError, RunIdRequest};

/// Body of `run_report`.
pub fn report(app: &App, request: RunIdRequest) -> Result<PathBuf, ApiError> {
    let row = app.library.find_run(&request.id)?;
    Ok(PathBuf::from(row.folder).join("report.html"))
}
