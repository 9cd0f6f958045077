//! Why a command did not do what it was asked, how that is told, and the exit code that says so to a script: 1 when the work
//! failed, 2 when the words were wrong.

use std::io;

use lorikeet_api::wire::{ApiError, ErrorCode, ErrorDetails};
use serde::Serialize;
use thiserror::Error;

use crate::units;

/// What ended a command.
#[derive(Debug, Error)]
pub enum Failure {
    /// The command was carried out and failed.
    #[error(transparent)]
    Command(#[from] Box<ApiError>),
    /// The result could not be written.
    #[error("standard output cannot be written: {0}")]
    Output(io::Error),
    /// Already told in full, as text or as an event; the exit code is left to say.
    #[error("already reported")]
    Reported(u8),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Failure::Command(Box::new(error))
    }
}

/// The document that `--json` prints in place of an answer.
#[derive(Serialize)]
pub struct ErrorDocument<'a> {
    /// What failed.
    pub error: &'a ApiError,
}

impl Failure {
    /// The words on the command line or in a configuration file were wrong.
    pub fn words(message: impl Into<String>) -> Self {
        ApiError::new(ErrorCode::InvalidRequest, message).into()
    }

    /// A value that JSON cannot carry, which is a defect.
    pub fn unwritable(error: serde_json::Error) -> Self {
        ApiError::new(ErrorCode::Internal, format!("the answer cannot be written as JSON: {error}")).into()
    }

    /// 1 when the work failed, 2 when the words were wrong.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Command(error) => exit_code(error.code),
            Failure::Output(_) => 1,
            Failure::Reported(exit_code) => *exit_code,
        }
    }

    /// What a person reads: the sentence, what belongs to it, how to mend it.
    pub fn text(&self) -> String {
        let Failure::Command(error) = self else { return format!("error: {self}") };
        let mut lines = vec![format!("error: {}", error.message)];
        lines.extend(error.details.as_ref().map(details).unwrap_or_default());
        lines.extend(error.hint.as_ref().map(|hint| format!("help: {hint}")));
        lines.join("\n")
    }
}

/// The exit code of a reason.
pub fn exit_code(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::InvalidRequest | ErrorCode::UnknownSetting | ErrorCode::InvalidSetting => 2,
        _ => 1,
    }
}

/// What stands below the sentence.
fn details(details: &ErrorDetails) -> Vec<String> {
    match details {
        ErrorDetails::BadRows { n_good, n_bad, first } => {
            let mut lines: Vec<String> = first.iter().map(|row| format!("  {}", place_and_reason(row))).collect();
            let n_more = n_bad.saturating_sub(first.len() as u64);
            if n_more > 0 {
                lines.push(format!("  and {} more", units::count(n_more)));
            }
            lines.push(format!(
                "  {} of {} rows are good",
                units::count(*n_good),
                units::count(n_good.saturating_add(*n_bad))
            ));
            lines
        }
        // The sentence names both already.
        ErrorDetails::Nearest { .. } => Vec::new(),
        ErrorDetails::Memory { needed_bytes, available_bytes } => {
            vec![format!("  needed: {}, free: {}", units::bytes(*needed_bytes), units::bytes(*available_bytes))]
        }
    }
}

/// Where a bad row stands and why it cannot be used.
pub fn place_and_reason(row: &lorikeet_api::wire::BadRow) -> String {
    match row.column {
        Some(column) => format!("line {}, column {column}: {}", row.line, row.reason),
        None => format!("line {}: {}", row.line, row.reason),
    }
}

#[cfg(test)]
mod tests {
    use lorikeet_api::wire::BadRow;

    use super::*;

    #[test]
    fn words_are_two_and_work_is_one() {
        assert_eq!(Failure::words("no").exit_code(), 2);
        for (code, exit) in [(ErrorCode::UnknownSetting, 2), (ErrorCode::InvalidSetting, 2), (ErrorCode::DiskFull, 1)] {
            assert_eq!(Failure::from(ApiError::new(code, "no")).exit_code(), exit, "{code:?}");
        }
    }

    #[test]
    fn bad_rows_are_told_with_their_places() {
        let first = vec![
            BadRow { line: 3, column: Some(7), reason: "a quote is never closed".into() },
            BadRow { line: 9, column: None, reason: "the text is empty".into() },
        ];
        let error = ApiError::new(ErrorCode::BadRows, "`a.csv` has rows that cannot be used: 1,200")
            .with_details(ErrorDetails::BadRows { n_good: 4000, n_bad: 1200, first })
            .with_hint("keep the good rows with `--keep-good`");
        insta::assert_snapshot!(Failure::from(error).text(), @"
        error: `a.csv` has rows that cannot be used: 1,200
          line 3, column 7: a quote is never closed
          line 9: the text is empty
          and 1,198 more
          4,000 of 5,200 rows are good
        help: keep the good rows with `--keep-good`
        ");
    }
}
