//! What a measurement on held-out examples gives: sums first, division last.
//!
//! Definitions are scikit-learn's: F1 of a class without any true or predicted row counts as 0, and the macro average
//! is over every class of the model.

use lorikeet_models::LossSum;

use crate::PreferenceScores;

/// Results of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Sum and number of losses.
    pub loss: LossSum,
    /// Share of labels found and the mean F1 of all labels, when classifying.
    pub labels: Option<LabelScores>,
    /// How well preferences are met, when learning from them.
    pub preference: Option<PreferenceScores>,
}

/// How well labels were found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelScores {
    /// Share of rows whose label was found.
    pub accuracy: f64,
    /// Mean over labels of the harmonic mean of precision and recall.
    pub f1_macro: f64,
}

impl Scores {
    /// `exp` of the mean loss, for language models.
    pub fn perplexity(&self) -> Option<f64> {
        (self.labels.is_none() && self.preference.is_none()).then(|| self.loss.mean().exp())
    }
}

/// Counts of (true, predicted) pairs, K x K.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    n_labels: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// No pairs of `n_labels` labels.
    pub fn new(n_labels: usize) -> Self {
        Self { n_labels, counts: vec![0; n_labels * n_labels] }
    }

    /// Counts a row; labels beyond the last one are not counted.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        if truth < self.n_labels
            && let Some(count) = self.counts.get_mut(truth * self.n_labels + predicted)
        {
            *count += 1;
        }
    }

    /// Rows with this true and this predicted label.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts.get(truth * self.n_labels + predicted).copied().unwrap_or(0)
    }

    /// Accuracy and macro F1.
    pub fn scores(&self) -> LabelScores {
        let total: u64 = self.counts.iter().sum();
        let right: u64 = (0..self.n_labels).map(|k| self.count(k, k)).sum();
        let f1 = (0..self.n_labels).map(|k| {
            let truth: u64 = (0..self.n_labels).map(|p| self.count(k, p)).sum();
            let predicted: u64 = (0..self.n_labels).map(|t| self.count(t, k)).sum();
            if truth + predicted == 0 { 0.0 } else { 2.0 * self.count(k, k) as f64 / (truth + predicted) as f64 }
        });
        LabelScores {
            accuracy: right as f64 / total.max(1) as f64,
            f1_macro: f1.sum::<f64>() / self.n_labels.max(1) as f64,
        }
    }
}
