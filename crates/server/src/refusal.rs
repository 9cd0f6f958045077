//! A request that gets no answer: the dialect's error shape, and what the engine's error codes are in HTTP.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use lorikeet_api::{ApiError, ErrorCode};
use serde_json::{Value, json};

/// Why a request is refused: `{"error": {"message", "type", "param", "code"}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
    param: Option<String>,
    code: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, code: Some(code.to_owned()) }
    }

    /// A field that is missing, of the wrong type or out of its range.
    pub(crate) fn field(param: impl Into<String>, message: impl Into<String>) -> Self {
        let param = Some(param.into());
        Self { status: StatusCode::BAD_REQUEST, message: message.into(), param, code: Some("invalid_value".to_owned()) }
    }

    /// A field that means something this server does not do.
    pub(crate) fn unsupported(param: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unsupported_parameter", message).about(param)
    }

    /// The same refusal, about a field.
    pub(crate) fn about(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    /// A server that is being turned off.
    pub(crate) fn stopping() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "cancelled",
            "the server is being turned off; ask again once it is on",
        )
    }

    /// Work that ended without an answer: a defect.
    pub(crate) fn lost() -> Self {
        let message = "the work on this request ended without an answer; the program's log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    pub(crate) fn body(&self) -> Value {
        let kind = if self.status.is_server_error() { "server_error" } else { "invalid_request_error" };
        json!({"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}})
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let code = serde_json::to_value(error.code).ok().and_then(|code| code.as_str().map(str::to_owned));
        let message = match error.hint {
            Some(hint) => format!("{}; {hint}", error.message),
            None => error.message,
        };
        Self { status: status(error.code), message, param: None, code }
    }
}

/// What a code is in HTTP: 4xx where another request could do better.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::InvalidRequest
        | ErrorCode::UnknownSetting
        | ErrorCode::InvalidSetting
        | ErrorCode::Mismatch
        | ErrorCode::Unsupported => StatusCode::BAD_REQUEST,
        ErrorCode::OutOfMemory | ErrorCode::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body())).into_response()
    }
}
