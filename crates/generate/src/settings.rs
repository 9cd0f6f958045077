//! What is asked of an answer besides its words: how tokens are chosen, how long it may be, what ends it.

use crate::{GenerateError, Result, Sampling};

/// How an answer is written and what ends it.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateSettings {
    /// How each token is chosen.
    pub sampling: Sampling,
    /// Longest answer, in tokens. The model's longest text may end it earlier.
    pub max_tokens: usize,
    /// Tokens that end the answer; they are no part of it.
    pub stop_ids: Vec<u32>,
    /// Texts that end the answer before they are given out, also where several tokens spell them. None may be empty.
    pub stop_texts: Vec<String>,
}

impl Default for GenerateSettings {
    /// Greedy, 256 tokens, nothing that ends it earlier.
    fn default() -> Self {
        Self { sampling: Sampling::default(), max_tokens: 256, stop_ids: Vec::new(), stop_texts: Vec::new() }
    }
}

impl GenerateSettings {
    /// Whether every setting is in its range.
    ///
    /// # Errors
    /// [`GenerateError::Setting`] names the first one that is not.
    pub fn check(&self) -> Result<()> {
        if self.stop_texts.iter().any(String::is_empty) {
            let found = format!("{:?}", self.stop_texts);
            return Err(GenerateError::Setting { name: "stop_texts", expected: "texts that are not empty", found });
        }
        self.sampling.check()
    }
}
