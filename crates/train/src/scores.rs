//! What a measurement on held-out examples gives: sums first, division last.
//!
//! Definitions are scikit-learn's: what would be a division by nothing (the precision of a label that was never given, the
//! recall of one that no row has) counts as 0, and an average is over every label of the model.

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

/// Results of an evaluation with everything that was counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The figures that every check has.
    pub scores: Scores,
    /// What was given for what, when classifying.
    pub confusion: Option<Confusion>,
    /// How sure it was of the second of two labels.
    pub ranking: Option<Ranking>,
}

impl Scores {
    /// `exp` of the mean loss, for language models.
    pub fn perplexity(&self) -> Option<f64> {
        (self.labels.is_none() && self.preference.is_none()).then(|| self.loss.mean().exp())
    }
}

/// Precision, recall and their harmonic mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    /// Share of the rows given a label that have it.
    pub precision: f64,
    /// Share of the rows with a label that were given it.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

/// Counts of (true, predicted) pairs, K x K.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    n_labels: usize,
    counts: Vec<u64>,
}

fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
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

    /// Labels.
    pub fn n_labels(&self) -> usize {
        self.n_labels
    }

    /// Rows with this true and this predicted label.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts.get(truth * self.n_labels + predicted).copied().unwrap_or(0)
    }

    /// Rows that have the label.
    pub fn n_true(&self, label: usize) -> u64 {
        (0..self.n_labels).map(|p| self.count(label, p)).sum()
    }

    /// Rows that were given the label.
    pub fn n_predicted(&self, label: usize) -> u64 {
        (0..self.n_labels).map(|t| self.count(t, label)).sum()
    }

    fn total(&self) -> f64 {
        self.counts.iter().sum::<u64>() as f64
    }

    /// Rows of each label by truth, by prediction, and right ones.
    fn margins(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        (0..self.n_labels).map(|k| (self.n_true(k) as f64, self.n_predicted(k) as f64, self.count(k, k) as f64))
    }

    /// How well one label was found.
    pub fn found(&self, label: usize) -> Found {
        let (truth, predicted, right) = (self.n_true(label), self.n_predicted(label), self.count(label, label) as f64);
        Found {
            precision: share(right, predicted as f64),
            recall: share(right, truth as f64),
            f1: share(2.0 * right, (truth + predicted) as f64),
        }
    }

    /// The mean over labels, each counting `weight` of it.
    fn mean(&self, weight: impl Fn(usize) -> f64) -> Found {
        let (mut sum, mut total) = (Found::default(), 0.0);
        for k in 0..self.n_labels {
            let (found, w) = (self.found(k), weight(k));
            sum.precision += w * found.precision;
            sum.recall += w * found.recall;
            sum.f1 += w * found.f1;
            total += w;
        }
        Found { precision: share(sum.precision, total), recall: share(sum.recall, total), f1: share(sum.f1, total) }
    }

    /// The mean over labels.
    pub fn found_macro(&self) -> Found {
        self.mean(|_| 1.0)
    }

    /// The mean over labels, each counting as many times as rows have it.
    pub fn found_weighted(&self) -> Found {
        self.mean(|k| self.n_true(k) as f64)
    }

    /// Over all rows at once, which for one label a row is the accuracy three times.
    pub fn found_micro(&self) -> Found {
        let accuracy = self.scores().accuracy;
        Found { precision: accuracy, recall: accuracy, f1: accuracy }
    }

    /// Accuracy and macro F1.
    pub fn scores(&self) -> LabelScores {
        let right: f64 = self.margins().map(|(_, _, right)| right).sum();
        LabelScores { accuracy: share(right, self.total()), f1_macro: self.found_macro().f1 }
    }

    /// Mean recall of the labels that some row has: what accuracy would be if all were as frequent.
    pub fn balanced_accuracy(&self) -> f64 {
        let recalls: Vec<f64> =
            self.margins().filter(|(truth, ..)| *truth > 0.0).map(|(truth, _, right)| right / truth).collect();
        share(recalls.iter().sum(), recalls.len() as f64)
    }

    /// Matthews' correlation of truth and prediction, for any number of labels (Gorodkin, 2004); 0 where one of them is
    /// always the same.
    pub fn matthews(&self) -> f64 {
        let total = self.total();
        let (mut right, mut both, mut truths, mut predictions) = (0.0, 0.0, 0.0, 0.0);
        for (t, p, r) in self.margins() {
            right += r;
            both += t * p;
            truths += t * t;
            predictions += p * p;
        }
        let spread = ((total * total - truths) * (total * total - predictions)).sqrt();
        share(right * total - both, spread)
    }

    /// Cohen's kappa: agreement beyond what chance would give; 0 where chance alone would agree.
    pub fn kappa(&self) -> f64 {
        let total = self.total();
        let right: f64 = self.margins().map(|(_, _, right)| right).sum();
        let chance: f64 = self.margins().map(|(t, p, _)| t * p).sum();
        share(right * total - chance, total * total - chance)
    }
}

/// The score of each row for the second of two labels, and whether the row has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking(Vec<(f64, bool)>);

impl Ranking {
    /// Adds a row.
    pub fn add(&mut self, score: f64, is_positive: bool) {
        self.0.push((score, is_positive));
    }

    /// Rows with and without the label above and at each distinct score, from the highest down.
    fn steps(&self) -> Vec<(f64, f64)> {
        let mut rows = self.0.clone();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let groups = rows.chunk_by(|a, b| a.0 == b.0);
        let counted = groups.map(|group| {
            let positive = group.iter().filter(|(_, is_positive)| *is_positive).count();
            (positive as f64, (group.len() - positive) as f64)
        });
        counted.collect()
    }

    /// Probability that a row with the label has a higher score than one without, ties by half; `None` without both.
    pub fn roc_auc(&self) -> Option<f64> {
        let (mut above, mut area, mut without) = (0.0, 0.0, 0.0);
        for (positive, negative) in self.steps() {
            area += negative * (above + positive / 2.0);
            above += positive;
            without += negative;
        }
        (above > 0.0 && without > 0.0).then(|| area / (above * without))
    }

    /// Mean precision at each row with the label, from the highest score down; `None` where no row has it.
    pub fn average_precision(&self) -> Option<f64> {
        let (mut above, mut rows, mut sum) = (0.0, 0.0, 0.0);
        for (positive, negative) in self.steps() {
            above += positive;
            rows += positive + negative;
            sum += positive * above / rows;
        }
        (above > 0.0).then(|| sum / above)
    }
}
