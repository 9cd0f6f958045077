//! The program itself: where it keeps things, what it runs on, what is alive, how it should look.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::RunSummary;

/// What `doctor` and the Settings page show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct AppInfo {
    /// Version of the product, as in `0.1.0`.
    pub version: String,
    /// Version of the code with its commit, stored with every run.
    pub code_version: String,
    /// The one folder that holds everything Lorikeet writes.
    pub data_folder: String,
    /// False when nothing can be written there; every command that writes then fails with `read_only`.
    pub data_folder_writable: bool,
    /// Free space on the disk that holds it.
    pub disk_available_bytes: u64,
    /// Devices of this build, best first; the CPU is always one of them.
    pub devices: Vec<DeviceInfo>,
    /// Threads that training uses when nothing else is said.
    pub n_threads: u32,
    /// Memory of the computer.
    pub memory_total_bytes: u64,
    /// Memory that is free now.
    pub memory_available_bytes: u64,
    /// What is missing or looks wrong, one sentence each; empty when all is well.
    pub problems: Vec<String>,
}

/// One place where a model can be computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct DeviceInfo {
    /// As given to the `device` setting: `cpu`, `cuda`, `metal`.
    pub id: String,
    /// What the maker calls it.
    pub name: String,
    /// Whether it can be used now.
    pub available: bool,
    /// Why not, when not.
    pub why: Option<String>,
}

/// What is alive, asked for about once a second by the window's sidebar: cheap, no tensors, one or two indexed queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Activity {
    /// The run that trains or is paused now.
    pub running: Option<RunSummary>,
    /// Runs that wait.
    pub n_queued: u64,
    /// All runs ever recorded; 0 means the first run is still to come.
    pub n_runs: u64,
    /// All datasets.
    pub n_datasets: u64,
    /// Whether models are served to other programs.
    pub serving: bool,
}

/// How the window looks: kept in the data folder, so that it moves with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct Preferences {
    /// Light, dark, or as the system is set.
    pub theme: Theme,
}

/// Light, dark, or as the system is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// As the system is set.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

/// Asks what lies at a path, before anything is done with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct PathRequest {
    /// A file or folder; `~` is the home folder.
    pub path: String,
}

/// What lies at a path: decides whether something dropped on the window is examples or a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct PathInfo {
    /// The path, absolute.
    pub path: String,
    /// Its last part.
    pub name: String,
    /// What it looks like, judged by names and first bytes only.
    pub kind: PathKind,
    /// Size of a file; `null` for a folder.
    pub n_bytes: Option<u64>,
}

/// What a path looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// A file that may hold examples.
    Data,
    /// A folder with `config.json` and weights, or a weights file.
    Model,
    /// A folder of PEFT's or MLX's with `adapter_config.json`, or a GGUF adapter.
    Adapter,
    /// Something else.
    Other,
    /// Nothing is there.
    Missing,
}
