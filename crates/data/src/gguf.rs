//! The vocabulary in a GGUF file's metadata: as the tokenizer files of Hugging Face that it was made of, and back.
//!
//! Only these files are made here. What reads a model's folder reads them too, so that a token is a token wherever the
//! model came from.

mod pieces;
mod read;
mod splits;
mod write;

pub(crate) use read::{GgufFiles, read};
pub(crate) use splits::cuts_at_blanks;
pub use write::gguf_vocabulary;

/// The types of tokens in GGUF files.
mod kinds {
    pub(super) const NORMAL: i32 = 1;
    pub(super) const UNKNOWN: i32 = 2;
    pub(super) const CONTROL: i32 = 3;
    pub(super) const USER_DEFINED: i32 = 4;
    pub(super) const UNUSED: i32 = 5;
    pub(super) const BYTE: i32 = 6;
}
