//! Everything that can go wrong between a file and token ids, with the operands a person needs to mend it.

use std::io;
use std::path::{Path, PathBuf};

use crate::bad_row::BadRows;
use crate::record::Kind;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, where, and how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// What was written.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No space is left.
    #[error("no space is left on the disk of `{}`; free some space or move the data folder", path.display())]
    DiskFull {
        /// What was written.
        path: PathBuf,
    },
    /// The folder may not be written to.
    #[error("the folder of `{}` cannot be written to; check its permissions or choose another data folder", path.display())]
    ReadOnly {
        /// What was written.
        path: PathBuf,
    },
    /// The file holds nothing.
    #[error("`{}` is empty; choose a file with at least one row", path.display())]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// The file is not text at all.
    #[error("`{}` is not text but {what}; {hint}", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// How to mend it.
        hint: &'static str,
    },
    /// The file is text, but no known kind of rows.
    #[error("`{}` holds no rows that can be used: {reason}", path.display())]
    Unrecognised {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        reason: String,
    },
    /// The rows are of a kind that this version does not train on.
    #[error("`{}` holds {what}, which is recognised but cannot be trained on in this version; rows of chat, prompt and completion, preferences, text with a label, or plain text can", path.display())]
    NotTrainable {
        /// The file.
        path: PathBuf,
        /// The kind of its rows.
        kind: Kind,
        /// The kind in words.
        what: &'static str,
    },
    /// Some rows are bad and the good ones were not asked for.
    #[error("{} of {} rows of `{}` cannot be used, so nothing was imported; mend them, or import only the good rows{bad}", bad.n_bad, bad.n_bad + bad.n_good, path.display())]
    BadRows {
        /// The file.
        path: PathBuf,
        /// All of them counted, the first ten in full.
        bad: Box<BadRows>,
    },
    /// Every row is bad.
    #[error("no row of `{}` can be used (rows: {}){bad}", path.display(), bad.n_bad)]
    NoGoodRow {
        /// The file.
        path: PathBuf,
        /// All of them counted, the first ten in full.
        bad: Box<BadRows>,
    },
    /// More labels than a classifier can be meant to tell apart.
    #[error("`{}` has more than {limit} different labels, so its label column is probably not a class; choose another column", path.display())]
    TooManyLabels {
        /// The file.
        path: PathBuf,
        /// The most labels accepted.
        limit: usize,
    },
    /// A stored data set is not whole.
    #[error("the stored data set `{}` is damaged: {reason}; remove the folder and import the file again", path.display())]
    Damaged {
        /// Its folder.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A row number outside the data set.
    #[error("row {row} does not exist; rows of this data set: {n_rows}")]
    NoSuchRow {
        /// The row asked for, counted from 0.
        row: usize,
        /// Rows there are.
        n_rows: usize,
    },
    /// A tokenizer file is missing or cannot be understood.
    #[error("cannot load the tokenizer file `{}`: {reason}", path.display())]
    TokenizerFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The tokenizer makes ids the model has no embedding for.
    #[error("the tokenizer in `{}` does not fit the model: it has the token `{token}` with id {id}, and the model's vocabulary ends before: {vocab_size}", path.display())]
    TokenizerDoesNotFit {
        /// The tokenizer's folder.
        path: PathBuf,
        /// Its largest id.
        id: u32,
        /// The token with that id.
        token: String,
        /// Rows of the model's embedding.
        vocab_size: usize,
    },
    /// The tokenizer failed on a text.
    #[error("the tokenizer failed on a text of {n_bytes} bytes: {reason}")]
    Tokenize {
        /// Length of the text.
        n_bytes: usize,
        /// The tokenizer's reason.
        reason: String,
    },
    /// A chat template is not valid Jinja.
    #[error("the chat template of `{}` cannot be read: {reason}", path.display())]
    TemplateSyntax {
        /// The model's folder.
        path: PathBuf,
        /// The template engine's reason.
        reason: String,
    },
    /// A chat template refused a conversation.
    #[error("the model's chat template refuses this conversation: {reason}")]
    TemplateRefused {
        /// The template's own words, or the engine's.
        reason: String,
    },
    /// What the model says cannot be told from the rest of the rendered conversation.
    #[error(
        "the assistant's turn {turn} cannot be found in what the chat template renders, so no loss mask can be made: {reason}"
    )]
    CannotMask {
        /// The message, counted from 1.
        turn: usize,
        /// What was tried.
        reason: String,
    },
    /// A row could not be turned into an example.
    #[error("row {number}: {source}")]
    Row {
        /// The row, counted from 1.
        number: usize,
        /// What went wrong with it.
        source: Box<Error>,
    },
    /// The rows do not suit the task.
    #[error("rows of kind `{kind}` cannot be used to {task}; {hint}")]
    KindDoesNotSuit {
        /// The kind of the rows.
        kind: Kind,
        /// What was asked for.
        task: &'static str,
        /// What can be done.
        hint: &'static str,
    },
    /// A label that the training rows do not have.
    #[error("the label `{label}` in row {number} does not occur in the training rows; known labels: {known}")]
    UnknownLabel {
        /// The label.
        label: String,
        /// The row, counted from 1.
        number: usize,
        /// The labels of the training rows.
        known: String,
    },
    /// A classifier needs two labels at least.
    #[error("a classifier needs at least two different labels in its training rows; found: {found}")]
    TooFewLabels {
        /// The labels there are.
        found: String,
    },
    /// There is nothing left to learn from.
    #[error(
        "no row has a token left to train on: {n_rows} rows, {n_dropped} of them without a trained token within {max_length} tokens; raise the maximum length or check that the rows have answers"
    )]
    NothingToTrain {
        /// Rows given.
        n_rows: usize,
        /// Rows dropped.
        n_dropped: usize,
        /// The limit on tokens.
        max_length: usize,
    },
    /// A maximum length that leaves no room.
    #[error("a maximum length of {max_length} tokens leaves no room for text; use at least {least}")]
    MaxLengthTooSmall {
        /// The limit given.
        max_length: usize,
        /// The smallest that works.
        least: usize,
    },
}

impl Error {
    /// An error while reading `path`.
    pub(crate) fn read(path: &Path, source: io::Error) -> Error {
        Error::Read { path: path.to_owned(), source }
    }

    /// An error while writing `path`, with the causes a person can do something about told apart.
    pub(crate) fn write(path: &Path, source: io::Error) -> Error {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly { path },
            _ => Error::Write { path, source },
        }
    }

    /// The same error, told of row `row` (counted from 0).
    pub(crate) fn in_row(self, row: usize) -> Error {
        match self {
            already @ (Error::Row { .. } | Error::UnknownLabel { .. }) => already,
            other => Error::Row { number: row + 1, source: Box::new(other) },
        }
    }
}
