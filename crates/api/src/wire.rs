//! The shapes that cross a door: what is asked and what is answered, in JSON.
//!
//! These are twins of inner types, not the inner types themselves: a field may be renamed inside without breaking a script
//! that reads `--json`, a window that was built last year, or a client of the HTTP door. The same structures are printed by
//! the terminal (`--json`), returned to the window and sent over HTTP, always in `snake_case`.
//!
//! Rules that hold for every type here:
//! - A request refuses unknown fields; every `Option` in a request may be left out and then means "the default".
//! - An answer always carries every field; what is not known is `null`, never an invented number.
//! - Instants are milliseconds since 1970 (`_at_ms`), spans are milliseconds (`_ms`) or seconds (`seconds`), sizes are bytes
//!   (`_bytes`), counts are `n_…`, shares are fractions from 0 to 1. Losses are nats per supervised token (or per row when
//!   classifying). Numbers are finite.
//! - Paths are absolute and given as text.

pub mod app;
pub mod data;
pub mod error;
pub mod events;
pub mod exports;
pub mod models;
pub mod runs;
pub mod serving;
pub mod settings;
pub mod trying;

#[cfg(test)]
mod tests;

pub use app::*;
pub use data::*;
pub use error::*;
pub use events::*;
pub use exports::*;
pub use models::*;
pub use runs::*;
pub use serving::*;
pub use settings::*;
pub use trying::*;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A request that needs no words: an empty object, or `null`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What a model is trained to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Continue or answer text (causal language modelling).
    Causal,
    /// Put a text under one of several labels (sequence classification).
    Classify,
}

/// Which parameters move while training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Low-rank adapters in the projections; the base stays as it is.
    Lora,
    /// Every parameter.
    Full,
}
