//! Runs as jobs: the queue, the state machine, the worker that executes a run, the recorder that remembers what it says, and
//! those who follow it.
//!
//! Here training and registry meet: training knows no SQL, the registry knows no tensors. Where a run happens (this process,
//! later a child process or another computer) is behind [`Runner`], and where a loaded model answers behind [`Executor`];
//! above this crate nobody knows. This crate does not know requests, forms or names of samples.

mod device;
mod event;
mod executor;
mod export;
mod failure;
mod figures;
mod follow;
mod hub;
mod jobs;
mod process;
mod recorder;
mod runner;
pub mod state;
mod wanted;
mod worker;

pub use device::{MOST_SIMD, Place, devices};
pub use event::{RunEvent, What};
pub use executor::{Executor, Source, open};
pub use export::{Comparison, ExportForm, ExportJob, GGUF_ADAPTER, GGUF_MODEL, export};
pub use failure::{Failure, codes};
pub use figures::Figures;
pub use follow::recorded_since;
pub use jobs::Jobs;
pub use lorikeet_train as train;
pub use process::{
    cpu_seconds, memory_available_bytes, memory_budget_bytes, memory_bytes, peak_memory_bytes, this_process,
};
pub use runner::{InProcess, JobSpec, Link, RunSource, Runner};
pub use worker::{INTERRUPTED, Scope};
