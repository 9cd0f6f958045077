//! From the errors of the rooms below to what a door says: the code and hint that `jobs` gives, and the details that a screen
//! can show.

use lorikeet_data::Error as DataError;
use lorikeet_generate::GenerateError;
use lorikeet_jobs::{Failure, train::TrainError};
use lorikeet_models::ModelError;
use lorikeet_registry::RegistryError;

use crate::wire::{ApiError, BadRow, ErrorCode, ErrorDetails};

/// The code of a word in the registry; a word of a newer version is a defect of this one.
pub(crate) fn code_of(word: &str) -> ErrorCode {
    serde_json::from_value(serde_json::Value::from(word)).unwrap_or(ErrorCode::Internal)
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let Failure { code, message, hint } = failure;
        ApiError { code: code_of(code), message, hint, details: None }
    }
}

impl From<DataError> for ApiError {
    fn from(error: DataError) -> Self {
        let details = match &error {
            DataError::BadRows { bad, .. } | DataError::NoGoodRow { bad, .. } => Some(ErrorDetails::BadRows {
                n_good: bad.n_good,
                n_bad: bad.n_bad,
                first: bad.first.iter().map(bad_row).collect(),
            }),
            _ => None,
        };
        let can_keep = matches!(error, DataError::BadRows { .. });
        let mut answer = ApiError { details, ..ApiError::from(Failure::from(error)) };
        if answer.details.is_some() {
            // The rows stand in the details, a line each.
            answer.message = answer.message.lines().next().unwrap_or_default().trim_end_matches(':').to_owned();
        }
        if can_keep {
            answer.hint = Some("mend these rows, or import only the good ones".to_owned());
        }
        answer
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        let details = match &error {
            RegistryError::NotFound { id, nearest, .. } => {
                Some(ErrorDetails::Nearest { given: id.clone(), nearest: nearest.clone() })
            }
            _ => None,
        };
        ApiError { details, ..ApiError::from(Failure::from(error)) }
    }
}

impl From<TrainError> for ApiError {
    fn from(error: TrainError) -> Self {
        let details = match &error {
            TrainError::UnknownSetting { name, nearest } => {
                Some(ErrorDetails::Nearest { given: name.clone(), nearest: nearest.clone() })
            }
            _ => None,
        };
        ApiError { details, ..ApiError::from(Failure::from(error)) }
    }
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        Failure::from(error).into()
    }
}

impl From<GenerateError> for ApiError {
    fn from(error: GenerateError) -> Self {
        Failure::from(error).into()
    }
}

/// A row as a door shows it.
pub(crate) fn bad_row(row: &lorikeet_data::BadRow) -> BadRow {
    let reason = match row.excerpt.as_str() {
        "" => row.reason.clone(),
        excerpt => format!("{}: `{excerpt}`", row.reason),
    };
    BadRow { line: row.line, column: Some(row.column), reason }
}

/// A refusal with `invalid_request`.
pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message)
}

/// A failed reading or writing of `path`.
pub(crate) fn io(action: &str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> ApiError + use<> {
    let words = format!("cannot {action} `{}`", path.display());
    move |source| {
        let written = action_writes(&words);
        let mut answer = ApiError::from(Failure::io(format!("{words}: {source}"), &source));
        if written && source.kind() == std::io::ErrorKind::PermissionDenied {
            answer.code = ErrorCode::ReadOnly;
        }
        answer
    }
}

fn action_writes(words: &str) -> bool {
    !words.starts_with("cannot read")
}
