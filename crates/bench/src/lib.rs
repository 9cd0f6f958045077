//! How fast is this computer? Workloads of known shapes with random weights, run through the same engine and the same loop
//! as a person's runs, and measured: tokens, processor time, memory, and the share of the processor's matrix peak.
//!
//! A workload is data ([`Workload`]). Its material, a model's folder and examples, is written to disk first ([`prepare`]), so
//! that a process that measures ([`measure`]) holds what a real run holds and nothing else. Knows no door: who starts one
//! process for each workload, and how figures look, is decided above. Knows nothing of other programs.

mod examples;
mod material;
mod measured;
mod operations;
mod peak;
mod reading;
mod shape;
mod tokenizers;
mod training;
mod workload;
mod writing;

pub use lorikeet_jobs::MOST_SIMD;
pub use material::{Described, Material, prepare};
pub use measured::{Assignment, Measured, Options, measure};
pub use peak::{Peak, peaks};
pub use shape::{Family, Shape};
pub use workload::{Stored, WORKLOADS, Work, Workload, find, selected};
