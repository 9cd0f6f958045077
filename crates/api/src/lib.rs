//! Every command of every door: what is asked, what is answered, and the bodies, a file per domain.
//!
//! Knows datasets, models, runs and the data folder; does not know windows, terminals or sockets. A door adds one line: it
//! turns what it received into a name and a JSON request and shows the JSON answer.

pub mod app;
pub mod bindings;
pub mod commands;
mod compatibility;
mod counting;
pub mod data;
pub(crate) mod dispatch;
mod embedded;
pub mod embedding;
mod estimate;
pub mod export;
mod failure;
pub mod hub;
mod library;
mod loaded;
pub mod models;
mod places;
mod report;
pub mod runs;
pub mod served;
pub mod serving;
mod settings;
mod starter;
mod summary;
pub mod switch;
mod told;
pub mod trying;
mod wanted;
pub mod wire;

pub use app::App;
pub use bindings::bindings;
pub use compatibility::document as compatibility;
pub use dispatch::{dispatch, dispatch_stream};
pub use lorikeet_jobs::Scope;
pub use served::Served;
pub use settings::declared as declared_settings;
pub use switch::ServeSwitch;
pub use wire::{ApiError, ErrorCode};

/// Version of the code with its commit, stored with every run.
pub const CODE_VERSION: &str = env!("LORIKEET_CODE_VERSION");
