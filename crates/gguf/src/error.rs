//! What can be wrong with a GGUF file.

use std::path::{Path, PathBuf};

/// The result of working on a GGUF file.
pub type Result<T> = std::result::Result<T, GgufError>;

/// Why a file cannot be used, with the file.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Bytes that are no GGUF, or not all of it.
    #[error("`{}` is not a complete GGUF file ({fault}); copy or download it again", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: Fault,
    },
    /// A folder with more than one file to choose from.
    #[error("`{}` holds several GGUF files; give the path of one of them: {names}", path.display())]
    Several {
        /// The folder.
        path: PathBuf,
        /// The files, as a list for reading.
        names: String,
    },
    /// A tensor whose bytes were not those that were announced.
    #[error("`{name}` came with {found} bytes for `{}` where {expected} were announced", path.display())]
    Written {
        /// The file that was being written.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Announced bytes.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
}

impl GgufError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> GgufError + use<> {
        let path = path.to_owned();
        move |source| GgufError::Io { action, path, source }
    }
}

/// What is wrong with the bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Another kind of file.
    #[error("it does not begin with `GGUF`")]
    Magic,
    /// A version that is not read.
    #[error("it has version {found}, and versions 2 and 3 are read")]
    Version {
        /// The version.
        found: u32,
    },
    /// Something reaches beyond the end.
    #[error("{what} at byte {at} needs {needed} more bytes and the file has {left}")]
    Ends {
        /// What was being read.
        what: &'static str,
        /// Where it begins.
        at: usize,
        /// Bytes it announces.
        needed: u64,
        /// Bytes there are.
        left: usize,
    },
    /// A text in another encoding.
    #[error("the text at byte {at} is not UTF-8")]
    Text {
        /// Where it begins.
        at: usize,
    },
    /// A type of value that the format does not have.
    #[error("the value at byte {at} has the unknown type {found}")]
    Kind {
        /// Where it begins.
        at: usize,
        /// The type's number.
        found: u32,
    },
    /// Arrays in arrays.
    #[error("the arrays at byte {at} are nested more than {limit} deep")]
    Depth {
        /// Where the innermost begins.
        at: usize,
        /// The most that is read.
        limit: usize,
    },
    /// A key or a tensor that comes twice.
    #[error("`{name}` is there twice")]
    Twice {
        /// Its name.
        name: String,
    },
    /// A tensor with more dimensions than the format has.
    #[error("the tensor `{name}` has {found} dimensions, and at most 4 are possible")]
    Dimensions {
        /// The tensor.
        name: String,
        /// Its dimensions.
        found: u32,
    },
    /// A place in the file that cannot be.
    #[error("`general.alignment` is not a power of two up to 65536: {found}")]
    Alignment {
        /// The alignment.
        found: u64,
    },
    /// A tensor that begins beyond what can be counted.
    #[error("the tensor `{name}` begins at byte {offset} of the data, which is not in the file")]
    Place {
        /// The tensor.
        name: String,
        /// Where it begins.
        offset: u64,
    },
}
