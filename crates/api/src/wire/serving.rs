//! The switch: letting other programs on this computer use a model.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::Quantisation;

/// Turns serving on. While it is on, another request replaces what is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct ServeRequest {
    /// Base model by id, name or path.
    pub model: String,
    /// Adapters by folder or run; each is served under its name beside the base.
    #[serde(default)]
    #[ts(as = "Option<_>", optional)]
    pub adapters: Vec<String>,
    /// 8384 if left out; 0 takes any free port.
    pub port: Option<u16>,
    /// Keeps the base in fewer bits; as its files have it if left out.
    pub quantize: Option<Quantisation>,
}

/// Whether and what is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ServeStatus {
    /// Whether it is on.
    pub running: bool,
    /// Where, without a trailing slash, as in `http://127.0.0.1:8384`; `null` when off.
    pub address: Option<String>,
    /// Since when.
    pub since_ms: Option<u64>,
    /// What can be asked for; empty when off.
    pub models: Vec<ServedModel>,
}

/// One name that can be asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ServedModel {
    /// What `model` takes in a request.
    pub name: String,
    /// What it is.
    pub kind: ServedKind,
    /// The run it came from, for an adapter made here.
    pub run: Option<String>,
    /// Requests answered since the switch was turned on.
    pub n_requests: u64,
}

/// What a served name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ServedKind {
    /// The base model alone.
    Base,
    /// The base with an adapter.
    Adapter,
    /// A classifier: answers `/predict`.
    Classifier,
}
