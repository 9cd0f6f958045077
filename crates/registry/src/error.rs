//! What can go wrong with the registry, in words a person can act on.
//!
//! Inside the crate a closure over a connection ends in a [`Fault`]: either a sentence already made, or whatever SQLite
//! said. [`Fault::explain`] turns the second kind into the first, because only the registry knows the file it has open.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// The result of every public function of this crate.
pub type Result<T> = std::result::Result<T, RegistryError>;

/// Everything a caller can be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The folder that should hold the registry does not exist and cannot be made.
    #[error("cannot create the data folder `{}`; choose a folder you may write to: {source}", path.display())]
    CreateFolder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file, or the folder around it, does not accept writes.
    #[error(
        "cannot write the registry `{}`; give your user write permission on the file and its folder, \
         or choose another data folder: {source}", path.display()
    )]
    NotWritable {
        /// The registry file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file is damaged, or is no SQLite file at all.
    #[error(
        "the registry `{}` is damaged or is not a registry; move it away (with its `-wal` and `-shm` files) to start \
         with an empty one, run folders stay as they are: {source}", path.display()
    )]
    Damaged {
        /// The registry file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A healthy SQLite file that another program made.
    #[error(
        "the file `{}` is a database of another program and was left untouched; choose another data folder; \
         its application id is: {application_id:#010x}", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The id in its header.
        application_id: i32,
    },
    /// A newer Lorikeet wrote this file.
    #[error(
        "the registry `{}` was written by a newer Lorikeet and was left untouched; update Lorikeet or choose another \
         data folder; this version reads schemas up to {known}, the file has: {found}", path.display()
    )]
    TooNew {
        /// The registry file.
        path: PathBuf,
        /// The schema version in the file.
        found: i64,
        /// The newest schema version this build knows.
        known: u32,
    },
    /// The file system cannot share memory between processes, as network drives cannot.
    #[error(
        "the registry `{}` cannot be shared between processes here; choose a data folder on a local disk; SQLite fell \
         back to the journal mode: {mode}", path.display()
    )]
    NoWriteAheadLog {
        /// The registry file.
        path: PathBuf,
        /// The journal mode SQLite answered with.
        mode: String,
    },
    /// Another process held the write lock for longer than the registry waits.
    #[error("the registry `{}` is busy: another process kept writing to it while {doing}; try again: {source}", path.display())]
    Busy {
        /// The registry file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// No space left.
    #[error("the disk of the registry `{}` is full, nothing was changed while {doing}; free some space: {source}", path.display())]
    DiskFull {
        /// The registry file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Anything else SQLite refuses.
    #[error("the registry `{}` failed while {doing}: {source}", path.display())]
    Sqlite {
        /// The registry file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// No row has this id.
    #[error("{}", not_found(noun, id, nearest.as_deref()))]
    NotFound {
        /// `dataset`, `model` or `run`.
        noun: &'static str,
        /// The id as given.
        id: String,
        /// The most similar id that exists.
        nearest: Option<String>,
    },
    /// The beginning of an id fits several rows.
    #[error("`{prefix}` fits several {noun}s; give more of it: {}", quoted(matches))]
    Ambiguous {
        /// `dataset`, `model` or `run`.
        noun: &'static str,
        /// The prefix as given.
        prefix: String,
        /// The first few ids that fit.
        matches: Vec<String>,
    },
    /// A row cannot be deleted because a run refers to it.
    #[error("the {noun} `{id}` cannot be removed while a run uses it; remove the run first: `{run_id}`")]
    InUse {
        /// `dataset` or `model`.
        noun: &'static str,
        /// Its id.
        id: String,
        /// One run that uses it.
        run_id: String,
    },
    /// A metric or event carries a number that the run has already passed.
    #[error(
        "run `{run_id}` got a row numbered outside {first}..={last}, nothing of the batch was kept; its number is: {seq}"
    )]
    OutOfOrder {
        /// The run.
        run_id: String,
        /// The first number that would have been right.
        first: u64,
        /// The last number the batch announced.
        last: u64,
        /// The number the row has.
        seq: u64,
    },
}

fn not_found(noun: &str, id: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("no {noun} has the id `{id}`; the nearest is: `{nearest}`"),
        None => format!("no {noun} has the id: `{id}`"),
    }
}

fn quoted(ids: &[String]) -> String {
    ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}

/// An error inside a closure over a connection, not yet tied to the file.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite's own error.
    Sql(rusqlite::Error),
    /// Already in words.
    Known(Box<RegistryError>),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sql(error)
    }
}

impl From<RegistryError> for Fault {
    fn from(error: RegistryError) -> Self {
        Fault::Known(Box::new(error))
    }
}

impl Fault {
    /// Names the file and the action, and sorts SQLite's code into what the person can do about it.
    pub(crate) fn explain(self, path: &Path, doing: &'static str) -> RegistryError {
        let source = match self {
            Fault::Known(error) => return *error,
            Fault::Sql(source) => source,
        };
        let path = path.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                RegistryError::NotWritable { path, source }
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => RegistryError::Damaged { path, source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => RegistryError::Busy { path, doing, source },
            Some(ErrorCode::DiskFull) => RegistryError::DiskFull { path, doing, source },
            _ => RegistryError::Sqlite { path, doing, source },
        }
    }
}
