//! A run in numbers, as the registry keeps it once it has ended. What is not known is absent, never invented.

use lorikeet_train::{Scores, Summary};
use serde::{Deserialize, Serialize};

/// A run in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Validation loss of the result.
    pub loss: Option<f64>,
    /// `exp(loss)`, for language models.
    pub perplexity: Option<f64>,
    /// Accuracy of the result, for classifiers.
    pub accuracy: Option<f64>,
    /// F1 averaged over labels, of the result.
    pub f1_macro: Option<f64>,
    /// Mean reward of good answers less that of bad ones, of the result, when learning from preferences.
    pub reward_margin: Option<f64>,
    /// Share of examples that the result orders as the data says.
    pub reward_accuracy: Option<f64>,
    /// Validation loss before the first step.
    pub base_loss: Option<f64>,
    /// Accuracy before the first step.
    pub base_accuracy: Option<f64>,
    /// F1 before the first step.
    pub base_f1_macro: Option<f64>,
    /// Supervised tokens, or rows, of a check.
    pub n_validation: Option<u64>,
    /// Mean training loss of the last steps.
    pub train_loss: Option<f64>,
    /// Step of the result.
    pub best_step: Option<u64>,
    /// Steps finished.
    pub n_steps: Option<u64>,
    /// Whether it ended early because it no longer got better.
    pub stopped_early: Option<bool>,
    /// Supervised tokens, or rows, learned from.
    pub n_trained_tokens: Option<u64>,
    /// Time worked.
    pub seconds: Option<f64>,
    /// Mean speed of the steps.
    pub tokens_per_s: Option<f64>,
    /// Highest memory of the process.
    pub peak_memory_bytes: Option<u64>,
}

impl From<&Summary> for Figures {
    fn from(s: &Summary) -> Self {
        let loss = |scores: Option<Scores>| scores.map(|s| s.loss.mean()).filter(|loss| loss.is_finite());
        let accuracy = |scores: Option<Scores>| scores.and_then(|s| s.labels).map(|l| l.accuracy);
        let f1_macro = |scores: Option<Scores>| scores.and_then(|s| s.labels).map(|l| l.f1_macro);
        Self {
            loss: loss(s.best),
            perplexity: s.best.and_then(|s| s.perplexity()).filter(|p| p.is_finite()),
            accuracy: accuracy(s.best),
            f1_macro: f1_macro(s.best),
            reward_margin: s.best.and_then(|s| s.preference).map(|p| p.margin).filter(|m| m.is_finite()),
            reward_accuracy: s.best.and_then(|s| s.preference).map(|p| p.accuracy),
            base_loss: loss(s.base),
            base_accuracy: accuracy(s.base),
            base_f1_macro: f1_macro(s.base),
            n_validation: s.best.or(s.base).map(|s| s.loss.count as u64),
            train_loss: s.train_loss.filter(|loss| loss.is_finite()),
            best_step: Some(s.best_step),
            n_steps: Some(s.n_steps),
            stopped_early: Some(s.stopped_early),
            n_trained_tokens: Some(s.n_trained_tokens),
            seconds: Some(s.seconds),
            tokens_per_s: Some(s.tokens_per_s),
            peak_memory_bytes: Some(s.peak_memory_bytes),
        }
    }
}
