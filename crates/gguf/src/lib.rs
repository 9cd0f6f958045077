//! The GGUF container, as the `ggml` project specifies it: one file with metadata (sizes, vocabulary, chat template) and
//! tensors. This crate knows bytes, names and places; what a key means and how numbers are stored is not known here.
//!
//! Reading is a pure function over bytes ([`Header::parse`]) that copies nothing and allocates only in proportion to what
//! is there, whatever a file announces. Own code, because the readers at hand allocate by announced counts or panic.

mod error;
mod header;
mod mapped;
mod value;
mod write;

pub use error::{Fault, GgufError, Result};
pub use header::{Header, TensorInfo};
pub use mapped::{Mapped, locate};
pub use value::{Array, Kind, Value};
pub use write::{TensorPlan, write};
