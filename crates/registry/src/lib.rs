//! The registry: one SQLite file that remembers datasets, models, runs and everything a run reports.
//!
//! Each table owns its SQL: one file per table with its migrations, its row, its reads, its writes and its tests.
//! What this crate does not know: tensors, training, files of a run folder, the meaning of settings, metrics or events.
//! Those arrive as JSON values and leave as they came. Which change of a run's status is allowed is decided above, in
//! `jobs`; here a change is only made atomically, against the status it is meant to start from.
//!
//! One [`Registry`] may be shared by the threads of a process, and several processes may have the same file open.

mod artifacts;
mod checkpoints;
mod column;
mod datasets;
mod error;
mod events;
mod ids;
mod metrics;
mod models;
mod page;
mod registry;
mod runs;
mod schema;
mod settings;

#[cfg(test)]
extern crate self as lorikeet_registry;
#[cfg(test)]
#[path = "../tests/support/rows.rs"]
mod rows;

pub use artifacts::{ArtifactRow, Artifacts, NewArtifact};
pub use checkpoints::{CheckpointRow, Checkpoints, NewCheckpoint};
pub use column::UnknownWord;
pub use datasets::{DatasetRow, Datasets, NewDataset};
pub use error::{RegistryError, Result};
pub use events::{EventRow, Events};
pub use ids::slug;
pub use metrics::{CurvePoint, MetricKind, MetricRow, MetricTotals, Metrics};
pub use models::{ModelRow, Models, NewModel};
pub use page::{Cursor, Listing, Page};
pub use registry::Registry;
pub use runs::Runs;
pub use runs::progress::{Best, Progress};
pub use runs::queue::{Ending, RunFailure};
pub use runs::row::{NewRun, Request, RunFilter, RunFolder, RunProcess, RunRow, RunStatus, RunUpdate};
pub use schema::SCHEMA_VERSION;
pub use settings::Settings;
