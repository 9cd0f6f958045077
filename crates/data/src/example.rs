//! What one row becomes: token ids, which of them are trained, and a label for a classifier.
//!
//! Nothing here knows where the ids came from or what a tensor is.

/// What a run learns from its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Predict the next token (chat, prompt and completion, plain text).
    Causal,
    /// Predict one label per row.
    Classify,
}

/// One sequence ready for training. All vectors have one entry per token, `ids.len()` in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Example {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Whether the token at this place is to be learnt, that is predicted from the tokens before it.
    pub trained: Vec<bool>,
    /// Segment of each token (0 or 1) for encoders that read pairs; all zero elsewhere.
    pub token_types: Vec<u32>,
    /// Index of the row's label in [`crate::Labels`]; only for [`Task::Classify`].
    pub label: Option<u32>,
}

impl Example {
    /// How many tokens contribute to the loss. The first token has nothing before it and is never predicted.
    pub fn n_trained(&self) -> usize {
        self.trained.iter().skip(1).filter(|trained| **trained).count()
    }
}
