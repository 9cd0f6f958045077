//! Events and figures of a run on their way to a door.

use lorikeet_jobs::{Figures, RunEvent as Inner, What};

use crate::failure::code_of;
use crate::wire::{Rewards, RunEvent, RunEventKind, RunMetrics, StopReason};

/// An event of `run` as doors tell it.
pub(crate) fn event(run: &str, inner: Inner) -> RunEvent {
    let Inner { seq, step, at_ms, elapsed_ms, what } = inner;
    RunEvent { run: run.to_owned(), seq, step, at_ms, elapsed_ms, what: kind(what) }
}

fn kind(what: What) -> RunEventKind {
    match what {
        What::Started { n_steps, n_epochs, n_trainable, n_parameters, device } => {
            RunEventKind::Started { n_steps, n_epochs, n_trainable, n_parameters, device }
        }
        What::Phase { name, unit, done, total } => RunEventKind::Phase { name, unit, done, total },
        What::Step {
            epoch,
            loss_sum,
            n_supervised,
            learning_rate,
            gradient_norm,
            tokens_per_s,
            memory_bytes,
            preference,
        } => RunEventKind::Step {
            epoch,
            loss: mean(loss_sum, n_supervised),
            loss_sum: finite(loss_sum),
            n_tokens: n_supervised,
            learning_rate,
            gradient_norm: finite(gradient_norm),
            tokens_per_s: finite(tokens_per_s),
            memory_bytes,
            preference: preference.map(rewards),
        },
        What::Evaluated { loss_sum, n, accuracy, f1_macro, preference, best } => {
            let loss = mean(loss_sum, n);
            let perplexity = Some(loss.exp()).filter(|p| accuracy.is_none() && preference.is_none() && p.is_finite());
            let preference = preference.map(rewards);
            RunEventKind::Evaluated { loss, n, perplexity, accuracy, f1_macro, preference, best }
        }
        What::Checkpoint { path, best, n_bytes } => RunEventKind::Checkpoint { path, best, n_bytes },
        What::Sample { prompt, answer, ended } => {
            let stop_reason = if ended { StopReason::Stop } else { StopReason::Length };
            RunEventKind::Sample { prompt, answer, stop_reason }
        }
        What::Warning { message } => RunEventKind::Warning { message },
        What::Paused => RunEventKind::Paused,
        What::Resumed => RunEventKind::Resumed,
        What::Completed { adapter, figures } => RunEventKind::Completed { adapter, metrics: metrics(figures) },
        What::Failed { code, message, hint } => RunEventKind::Failed { code: code_of(&code), message, hint },
        What::Cancelled => RunEventKind::Cancelled,
    }
}

/// How well preferences are met, as doors tell it.
pub(crate) fn rewards(p: lorikeet_jobs::train::PreferenceScores) -> Rewards {
    Rewards {
        margin: finite(p.margin),
        accuracy: p.accuracy,
        chosen_log_probability: finite(p.chosen_log_probability),
        rejected_log_probability: finite(p.rejected_log_probability),
    }
}

/// A mean that JSON can carry: a sum that is no longer a number becomes the largest one.
pub(crate) fn mean(sum: f64, n: u64) -> f64 {
    finite(sum / n.max(1) as f64)
}

fn finite(number: f64) -> f64 {
    if number.is_nan() { f64::MAX } else { number.clamp(f64::MIN, f64::MAX) }
}

/// A run in numbers as doors tell it.
pub(crate) fn metrics(f: Figures) -> RunMetrics {
    RunMetrics {
        loss: f.loss,
        perplexity: f.perplexity,
        accuracy: f.accuracy,
        f1_macro: f.f1_macro,
        reward_margin: f.reward_margin,
        reward_accuracy: f.reward_accuracy,
        base_loss: f.base_loss,
        base_accuracy: f.base_accuracy,
        base_f1_macro: f.base_f1_macro,
        n_validation: f.n_validation,
        train_loss: f.train_loss,
        best_step: f.best_step,
        n_steps: f.n_steps,
        stopped_early: f.stopped_early,
        n_trained_tokens: f.n_trained_tokens,
        seconds: f.seconds,
        tokens_per_s: f.tokens_per_s,
        peak_memory_bytes: f.peak_memory_bytes,
    }
}
