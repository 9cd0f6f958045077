//! Training: settings, optimiser, schedule, steps, the loop, checkpoints, evaluation and events. Knows models, examples and
//! files; knows no database, no window and no clock but the one that measures speed.

mod error;
mod optimiser;
mod schedule;

pub use error::{Result, TrainError};
pub use optimiser::{Moments, Optimiser, OptimiserSettings};
pub use schedule::{Decay, Schedule};
