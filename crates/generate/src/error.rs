//! Why no text could be written.

use lorikeet_models::ModelError;

use crate::DecodeError;

/// The result of writing text.
pub type Result<T> = std::result::Result<T, GenerateError>;

/// Why no text could be written.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A setting outside its range.
    #[error("`{name}` must be {expected}, found: {found}")]
    Setting {
        /// The setting, as it is called in [`crate::Sampling`] or [`crate::GenerateSettings`].
        name: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// Nothing to continue.
    #[error("the prompt has no token; give the model at least its beginning token or one word")]
    EmptyPrompt,
    /// A prompt that leaves the model no place for an answer.
    #[error(
        "the prompt has {n_tokens} tokens and this model reads texts of at most {limit} tokens, answer included; \
         shorten the prompt to fewer than: {limit}"
    )]
    PromptTooLong {
        /// Tokens of the prompt.
        n_tokens: usize,
        /// Tokens of the longest text the model reads.
        limit: usize,
    },
    /// Scores that are no numbers.
    #[error(
        "the model's scores for the token at place {position} are not numbers; its weights or its adapter are damaged \
         or the training that made them diverged"
    )]
    NotANumber {
        /// Place in the text, the prompt counted, from 0.
        position: usize,
    },
    /// Token ids that do not become text.
    #[error("the model's tokens cannot be turned into text: {0}")]
    Text(#[source] DecodeError),
}
