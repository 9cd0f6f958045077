//! Text from a model: sampling, stop rules, streaming.

/// Why no text could be written.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The model.
    #[error(transparent)]
    Model(#[from] lorikeet_models::ModelError),
}
