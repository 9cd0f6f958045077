//! Turning serving on and off, for whichever door can serve.

use crate::App;
use crate::wire::{ApiError, ErrorCode, Nothing, ServeRequest, ServeStatus};

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
