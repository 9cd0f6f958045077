//! Models from a hub: the files of a repository come over HTTP into a folder that is whole or not there. A download goes on
//! inside a file where a cut connection or a killed process left it, every large file is checked against the hash the hub
//! states for it, and where the folder is there already no question is asked.
//!
//! What other programs fetched into Hugging Face's cache on this computer is found where it lies, so that nothing comes twice.
//!
//! This crate knows addresses, files and hashes. What a model is, it does not know beyond the names of the files that make
//! one.

mod cached;
mod client;
mod error;
mod fetch;
mod get;
mod listing;
mod repository;

pub use cached::{CachedModel, HubCache};
pub use client::{Hub, Patience, Token};
pub use error::{HubError, Result};
pub use get::Progress;
pub use repository::{Repository, Wanted};

/// The hub when no other is named.
pub const ENDPOINT: &str = "https://huggingface.co";
