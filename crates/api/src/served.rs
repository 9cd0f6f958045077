//! What the HTTP door asks of models that are kept ready: the other side of [`crate::switch`].
//!
//! A [`Served`] holds a base and its adapters in memory (one set of weights, whatever the number of adapters) and answers by
//! name. The server owns sockets, shapes, the queue and the counts; a `Served` owns weights, tokenizer and template. Requests
//! and answers are the ones of the commands `generate`, `predict` and `embed`, with `model` being a served name and no `adapter`.

use crate::wire::{
    ApiError, EmbedRequest, Embeddings, GenerateRequest, GenerateUpdate, Generation, PredictRequest, Prediction,
    ServedModel,
};

/// Models that are kept ready and answer by name. Calls block; they come from any thread.
pub trait Served: Send + Sync {
    /// The names, always the same ones, the base first. `n_requests` is counted by the server and left 0 here.
    fn models(&self) -> Vec<ServedModel>;

    /// How many requests may be handed over at once; the server lets the others wait in order. More than 1 is for
    /// implementations that answer several together.
    fn n_at_once(&self) -> usize {
        1
    }

    /// Writes an answer. `sink` hears of it after every token and every piece of the prompt that was read, with empty text
    /// while nothing new is certain; once it returns false, the answer ends soon as
    /// [`Cancelled`](crate::wire::StopReason::Cancelled). `request.model` is one of [`Served::models`].
    ///
    /// # Errors
    /// `invalid_request` for a prompt that is too long or a template that refuses the conversation, `unsupported` for a
    /// classifier, `out_of_memory`, `internal`.
    fn generate(
        &self,
        request: GenerateRequest,
        sink: &mut dyn FnMut(GenerateUpdate) -> bool,
    ) -> Result<Generation, ApiError>;

    /// The label of a text. `request.model` is one of [`Served::models`].
    ///
    /// # Errors
    /// `unsupported` for a model that writes, `out_of_memory`, `internal`.
    fn predict(&self, request: PredictRequest) -> Result<Prediction, ApiError>;

    /// The vectors of texts. `request.model` is one of [`Served::models`].
    ///
    /// # Errors
    /// `invalid_request` for a text without a token, `out_of_memory`, `internal`.
    fn embed(&self, request: EmbedRequest) -> Result<Embeddings, ApiError>;
}
