//! What a run says while it works: a closed, numbered list. Whoever listens adds the run's name and the time.

use std::path::PathBuf;

/// An event with its number and the step it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Number, from 1, without gaps within a run; goes on after a resume.
    pub seq: u64,
    /// Optimiser steps finished.
    pub step: u64,
    /// Time the run has worked, without pauses.
    pub elapsed_ms: u64,
    /// What happened.
    pub what: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// Everything is loaded; the first step comes next.
    Started {
        /// Optimiser steps planned.
        n_steps: u64,
        /// Passes planned.
        n_epochs: f64,
        /// Numbers that move.
        n_trainable: u64,
        /// Numbers in all.
        n_parameters: u64,
        /// What computes.
        device: String,
    },
    /// A stretch of other work.
    Phase {
        /// Which.
        phase: Phase,
        /// So much is done.
        done: u64,
        /// Of so much, when known.
        total: Option<u64>,
    },
    /// One optimiser step.
    Step {
        /// Passes finished, with a fraction.
        epoch: f64,
        /// Sum of losses, in nats.
        loss_sum: f64,
        /// Supervised tokens, or rows when classifying.
        n_supervised: u64,
        /// Learning rate of this step.
        learning_rate: f64,
        /// Norm of the gradient before clipping.
        gradient_norm: f64,
        /// Tokens of the step by its time.
        tokens_per_s: f64,
        /// Memory of the process.
        memory_bytes: u64,
        /// How well preferences are met in this step, when learning from them.
        preference: Option<crate::PreferenceScores>,
    },
    /// A measurement on the examples kept aside.
    Evaluated {
        /// What was measured.
        scores: crate::Scores,
        /// Whether it is the best so far.
        best: bool,
    },
    /// The whole state was saved.
    Checkpoint {
        /// Folder.
        path: PathBuf,
        /// Whether it is the best so far.
        best: bool,
        /// Size on disk.
        n_bytes: u64,
    },
    /// An answer to a question from the examples kept aside.
    Sample {
        /// The question.
        prompt: String,
        /// The answer.
        answer: String,
        /// Whether the model ended it by itself.
        ended: bool,
    },
    /// Something to look at that does not stop the run.
    Warning {
        /// One sentence.
        message: String,
    },
    /// Waits.
    Paused,
    /// Works again.
    Resumed,
    /// Finished.
    Completed {
        /// Folder of the result.
        result: PathBuf,
        /// The run in numbers.
        summary: Summary,
    },
    /// Stopped on request; the state was saved.
    Cancelled,
}

/// Work that is not a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Weights are mapped.
    Loading,
    /// Rows become tokens.
    Tokenizing,
    /// The longest batch is tried.
    Probing,
    /// The examples kept aside are measured.
    Evaluating,
    /// State is written.
    Saving,
}

impl Phase {
    /// Name and unit.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Phase::Loading => ("loading", "bytes"),
            Phase::Tokenizing => ("tokenizing", "rows"),
            Phase::Probing => ("probing", "tokens"),
            Phase::Evaluating => ("evaluating", "batches"),
            Phase::Saving => ("saving", "files"),
        }
    }
}

/// A finished run in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Scores of the result, where examples were kept aside.
    pub best: Option<crate::Scores>,
    /// Scores before the first step.
    pub base: Option<crate::Scores>,
    /// Step of the result.
    pub best_step: u64,
    /// Steps finished.
    pub n_steps: u64,
    /// Mean training loss of the last steps.
    pub train_loss: Option<f64>,
    /// Whether it ended because it no longer got better.
    pub stopped_early: bool,
    /// Supervised tokens learned from.
    pub n_trained_tokens: u64,
    /// Time worked.
    pub seconds: f64,
    /// All tokens of all steps by the time of the steps.
    pub tokens_per_s: f64,
    /// Highest memory of the process.
    pub peak_memory_bytes: u64,
}
