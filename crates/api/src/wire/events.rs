//! What a run says while it works: a closed, numbered list, the twin of the list in `train`.
//!
//! `lorikeet train --json` prints one of these per line. The registry keeps them, so a window that reloads reads what
//! happened up to number n and follows from n + 1.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{ErrorCode, RunMetrics, StopReason};

/// One event of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RunEvent {
    /// The run's id.
    pub run: String,
    /// Number of the event, from 1, without gaps within a run; goes on after a pause or a resume.
    pub seq: u64,
    /// Optimiser steps finished when it happened; 0 before the first.
    pub step: u64,
    /// When.
    pub at_ms: u64,
    /// Time the run has worked so far, without pauses.
    pub elapsed_ms: u64,
    /// What happened: the field `event` names it, its own fields stand beside.
    #[serde(flatten)]
    pub what: RunEventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum RunEventKind {
    /// Everything is loaded; the first step comes next. Comes again after a resume.
    Started {
        /// Optimiser steps planned.
        n_steps: u64,
        /// Passes over the examples planned; a fraction when the steps end within one.
        n_epochs: f64,
        /// Numbers that move.
        n_trainable: u64,
        /// Numbers in all.
        n_parameters: u64,
        /// Where it is computed: `cpu`, `cuda`, `metal`.
        device: String,
    },
    /// A stretch of work before, between or after steps: loading, reading examples, trying the longest batch, checking, saving.
    Phase {
        /// `loading`, `tokenizing`, `probing`, `evaluating`, `saving`, `sampling`.
        name: String,
        /// What is counted: `bytes`, `rows`, `batches`, `tokens`.
        unit: String,
        /// So many are done.
        done: u64,
        /// Of so many, when known.
        total: Option<u64>,
    },
    /// One optimiser step.
    Step {
        /// Passes finished, with the fraction of the current one.
        epoch: f64,
        /// Mean over the supervised tokens (rows when classifying) of this step.
        loss: f64,
        /// The sum it was made from.
        loss_sum: f64,
        /// Supervised tokens (rows when classifying) of this step.
        n_tokens: u64,
        /// Learning rate of this step.
        learning_rate: f64,
        /// Norm of the gradient before clipping.
        gradient_norm: f64,
        /// Speed: all tokens of the step, supervised or not, by its time.
        tokens_per_s: f64,
        /// Memory of the process now.
        memory_bytes: u64,
        /// How well preferences are met in this step; absent unless learned from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        preference: Option<Rewards>,
    },
    /// A measurement on the examples kept aside. One at step 0 measures the base.
    Evaluated {
        /// Mean over supervised tokens (rows when classifying), from totals.
        loss: f64,
        /// Supervised tokens (rows when classifying).
        n: u64,
        /// `exp(loss)`; `null` when classifying.
        perplexity: Option<f64>,
        /// Share of labels found; `null` for language models.
        accuracy: Option<f64>,
        /// F1 averaged over labels; `null` for language models.
        f1_macro: Option<f64>,
        /// How well preferences are met; absent unless learned from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        preference: Option<Rewards>,
        /// Whether it is the best so far.
        best: bool,
    },
    /// The whole state was saved.
    Checkpoint {
        /// Folder.
        path: String,
        /// Whether it is the best so far.
        best: bool,
        /// Size on disk.
        n_bytes: u64,
    },
    /// An answer to one of the run's own questions. One at step 0 is the base's answer.
    Sample {
        /// The question.
        prompt: String,
        /// The answer.
        answer: String,
        /// Why it ended.
        stop_reason: StopReason,
    },
    /// Something to look at that does not stop the run.
    Warning {
        /// One sentence.
        message: String,
    },
    /// Waits for `run_resume`.
    Paused,
    /// Works again.
    Resumed,
    /// Finished; nothing follows.
    Completed {
        /// Folder with the adapter (or the whole model, for `full`).
        adapter: String,
        /// The run in numbers.
        metrics: RunMetrics,
    },
    /// Ended by an error; nothing follows unless it is resumed.
    Failed {
        /// Why, for programs.
        code: ErrorCode,
        /// What and where.
        message: String,
        /// How to mend it.
        hint: Option<String>,
    },
    /// Stopped by the user; nothing follows unless it is resumed.
    Cancelled,
}

/// How well preferences are met. A reward is the preference strength times how much likelier than the reference the model
/// holds an answer, in nats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct Rewards {
    /// Mean reward of good answers less that of bad ones.
    pub margin: f64,
    /// Share of examples ordered (or judged) as the data says.
    pub accuracy: f64,
    /// Mean log-probability of good answers, in nats.
    pub chosen_log_probability: f64,
    /// Mean log-probability of bad answers, in nats.
    pub rejected_log_probability: f64,
}
