//! Why a model did not come. No message ever holds a token.

use std::{io, path::PathBuf};

/// The result of asking a hub.
pub type Result<T> = std::result::Result<T, HubError>;

/// Why a model did not come.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Words that name no repository.
    #[error("`{given}` names no repository; they are called OWNER/NAME")]
    BadName {
        /// The words.
        given: String,
    },
    /// The hub knows no such repository, revision or file, or does not show it to strangers.
    #[error("the hub at `{endpoint}` has no `{what}`, or does not show it without a token")]
    NotFound {
        /// The hub.
        endpoint: String,
        /// Repository with revision, or a file in it.
        what: String,
    },
    /// The hub asks who is there, or does not let in who is.
    #[error("the hub at `{endpoint}` does not give `{what}` {}: status {status}", if *with_token { "to this token" } else { "without a token" })]
    Refused {
        /// The hub.
        endpoint: String,
        /// What was asked for.
        what: String,
        /// Whether a token was sent along.
        with_token: bool,
        /// The status.
        status: u16,
    },
    /// Nothing came for too long, or never what was asked for.
    #[error("the hub at `{endpoint}` did not give `{what}` in {n_tries} tries; the last one: {why}")]
    GaveUp {
        /// The hub.
        endpoint: String,
        /// What was asked for.
        what: String,
        /// Tries in a row that brought nothing.
        n_tries: u32,
        /// What the last one met.
        why: String,
    },
    /// A file that is not the one the hub announced.
    #[error(
        "`{file}` came twice with other bytes than the hub announced ({found} instead of {expected}); it was not kept"
    )]
    WrongBytes {
        /// The file.
        file: String,
        /// The hash that was announced.
        expected: String,
        /// The hash of what came.
        found: String,
    },
    /// An answer that makes no sense.
    #[error("the hub at `{endpoint}` answered something else than a list of files for `{what}`: {reason}")]
    BadAnswer {
        /// The hub.
        endpoint: String,
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A repository without a model that could be used.
    #[error("`{repository}` holds no model that can be used: {reason}")]
    NoModel {
        /// The repository.
        repository: String,
        /// What it holds instead.
        reason: String,
    },
    /// Several files of which one must be chosen.
    #[error("`{repository}` holds several GGUF files; choose one of: {names}")]
    Several {
        /// The repository.
        repository: String,
        /// Their names.
        names: String,
    },
    /// A file that the repository does not have.
    #[error("`{repository}` has no file `{file}`; it has: {names}")]
    NoSuchFile {
        /// The repository.
        repository: String,
        /// The file.
        file: String,
        /// What could be meant.
        names: String,
    },
    /// Another process is at it.
    #[error("another program is downloading `{what}` right now")]
    Busy {
        /// The repository.
        what: String,
    },
    /// Whoever asked no longer wants it; what came is kept for the next time.
    #[error("the download was stopped; it goes on from there the next time")]
    Stopped,
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl HubError {
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> HubError + use<> {
        let path = path.to_owned();
        move |source| HubError::Io { action, path, source }
    }
}
