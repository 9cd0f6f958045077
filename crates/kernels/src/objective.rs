//! What the loss of a row of logits is: cross-entropy, its smoothed and its focal form, with or without class weights.

/// The loss of one row, before its class's weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RowLoss {
    /// `-log p(t)`; with smoothing `e` over `K` classes `-(1 - e) log p(t) - e / K sum over k of log p(k)`
    /// (Szegedy et al., 2016), as PyTorch's `cross_entropy` and transformers' `LabelSmoother` have it.
    CrossEntropy {
        /// The share `e` that is spread over all classes; 0 for none.
        smoothing: f32,
    },
    /// `-alpha (1 - p(t))^gamma log p(t)` (Lin et al., "Focal Loss", 2017), with one alpha for all classes.
    Focal {
        /// Multiplies every row.
        alpha: f32,
        /// How little counts what is already right.
        gamma: f32,
    },
}

/// A loss over rows: `sum of w(t) loss`, to be divided by [`Objective::weight`] of the same rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// The loss of one row.
    pub loss: RowLoss,
    /// The weight `w` of each class; empty for one each. With smoothing the spread share of a class has its weight too, as
    /// PyTorch weights it.
    pub class_weights: Vec<f32>,
}

impl Default for Objective {
    /// Plain cross-entropy.
    fn default() -> Self {
        Self { loss: RowLoss::CrossEntropy { smoothing: 0.0 }, class_weights: Vec::new() }
    }
}

impl Objective {
    /// The sum of the weights of rows with these targets: how many they are where classes have no weights. Targets beyond
    /// the last class count nothing.
    pub fn weight(&self, targets: impl IntoIterator<Item = u32>) -> f64 {
        targets.into_iter().map(|t| f64::from(self.weight_of(t as usize))).sum()
    }

    /// The weight of a class.
    pub(crate) fn weight_of(&self, class: usize) -> f32 {
        if self.class_weights.is_empty() { 1.0 } else { self.class_weights.get(class).copied().unwrap_or(0.0) }
    }
}
