//! What a failed command says at a door: a code a program can match, a sentence, and how to mend it.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The closed list of reasons. Doors map them: every code is exit code 1 in the terminal, except `InvalidRequest`,
/// `UnknownSetting` and `InvalidSetting`, which are 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// No command, dataset, model, run, checkpoint or file of that name.
    NotFound,
    /// The request has a missing, unknown or impossible field.
    InvalidRequest,
    /// A setting nobody declared; `ErrorDetails::Nearest` names the closest one.
    UnknownSetting,
    /// A setting outside its range or of the wrong type.
    InvalidSetting,
    /// Some rows cannot be used; `ErrorDetails::BadRows` lists the first ones.
    BadRows,
    /// The file cannot be read: missing right, truncated, broken encoding.
    UnreadableFile,
    /// The file was read but holds no kind of examples that is known, or none at all.
    UnrecognisedData,
    /// The folder or file holds no model of a known family, or a broken one.
    UnrecognisedModel,
    /// Parts that do not belong together: tokenizer and weights, adapter and base, task and data.
    Mismatch,
    /// No token would be trained, so the run is refused.
    NothingToTrain,
    /// A label that occurs only in the validation data.
    UnseenLabel,
    /// The work does not fit into memory.
    OutOfMemory,
    /// The disk is full.
    DiskFull,
    /// The data folder cannot be written.
    ReadOnly,
    /// The thing exists but is not in a state that allows this (pausing a finished run).
    WrongState,
    /// The port is taken by another program.
    PortInUse,
    /// Asked for a device or feature that this computer or build does not have.
    Unsupported,
    /// Loss or gradient stopped being a finite number.
    Diverged,
    /// The receiver went away or the user stopped the work.
    Cancelled,
    /// A defect in Lorikeet; the message says where.
    Internal,
}

/// A failed command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Why, for programs.
    pub code: ErrorCode,
    /// What and where, in one sentence: lower case, literals in backticks, the value last after a colon.
    pub message: String,
    /// How to mend it, in one sentence.
    pub hint: Option<String>,
    /// What a screen can show beside the sentence.
    pub details: Option<ErrorDetails>,
}

impl ApiError {
    /// An error with a code and a sentence, no hint and no details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, details: None }
    }

    /// The same error with a sentence on how to mend it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with structured details.
    #[must_use]
    pub fn with_details(mut self, details: ErrorDetails) -> Self {
        self.details = Some(details);
        self
    }
}

/// The structured part of an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ErrorDetails {
    /// Rows that cannot be used: all counted, the first ten in full.
    BadRows {
        /// Rows that can be used.
        n_good: u64,
        /// Rows that cannot.
        n_bad: u64,
        /// The first ten of them.
        first: Vec<BadRow>,
    },
    /// A name nobody knows, and the closest known one.
    Nearest {
        /// What was asked for.
        given: String,
        /// The closest known name, when one is close enough.
        nearest: Option<String>,
    },
    /// Memory needed against memory there.
    Memory {
        /// What the work needs.
        needed_bytes: u64,
        /// What is free.
        available_bytes: u64,
    },
}

/// A row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct BadRow {
    /// Line in the file, from 1 (record number for a JSON array).
    pub line: u64,
    /// Column in that line, from 1, where known.
    pub column: Option<u64>,
    /// Why, in one sentence.
    pub reason: String,
}
