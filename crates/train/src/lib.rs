//! Training: settings, optimiser, schedule, steps, the loop, checkpoints, evaluation and events. Knows models, examples and
//! files; knows no database, no window and no clock but the one that measures speed.

mod adapters;
mod checkpoint;
mod error;
mod evaluate;
mod event;
mod job;
mod judge;
mod memory;
mod optimiser;
mod order;
mod plan;
mod preference;
mod prepare;
mod result;
mod samples;
mod schedule;
mod scores;
mod session;
pub mod settings;

pub use checkpoint::{Progress, checkpoints, newest_progress};
pub use error::{Result, TrainError};
pub use evaluate::{evaluate, measure, softmax, surprise, tokens_of};
pub use event::{Event, EventKind, Phase, Summary};
pub use job::{Control, Method, Observer, Outcome, TrainJob};
pub use judge::Judge;
pub use memory::{BatchSize, Footprint, Needs, Scale, Way};
pub use optimiser::{Moments, Optimiser, OptimiserSettings};
pub use order::{n_units, units};
pub use plan::Plan;
pub use preference::{AnswerSums, Criterion, Goal, Judgement, PreferenceScores, PreferenceSums, divergence};
pub use prepare::Examples;
pub use result::{ResultInfo, task_name};
pub use samples::Decoding;
pub use schedule::{Decay, Schedule};
pub use scores::{Confusion, Found, LabelScores, Measured, Ranking, Scores};
pub use session::train;
pub use settings::{
    ClassWeights, DeviceChoice, LossChoice, PrecisionChoice, QuantiseChoice, RecomputeChoice, Settings, When, Work,
};
