//! Texts as vectors, by any model that is loaded.

use std::time::Instant;

use lorikeet_models::{EmbeddingSettings, Pooling, Spans, Tokens};

use crate::App;
use crate::failure::invalid;
use crate::loaded::{Parts, Ready};
use crate::wire::{ApiError, EmbedRequest, Embeddings};

/// Texts read together.
const TOGETHER: usize = 16;

/// Body of `embed`.
pub fn embed(app: &App, request: EmbedRequest) -> Result<Embeddings, ApiError> {
    let parts = Parts::find(app, &request.model, request.adapter.as_deref())?;
    let ready = app.loaded.get(&parts, None)?;
    vectors(&ready, parts.adapter.is_some(), &request.texts)
}

/// The vectors of texts by a loaded model.
pub(crate) fn vectors(ready: &Ready, with_adapter: bool, texts: &[String]) -> Result<Embeddings, ApiError> {
    if texts.is_empty() {
        return Err(invalid("there is no text to make a vector of"));
    }
    let (started, settings) = (Instant::now(), EmbeddingSettings::read(ready.folder())?);
    let limit = ready.executor().config().max_positions();
    let limit = settings.max_length.map_or(limit, |length| length.min(limit));
    let (mut embeddings, mut n_tokens, mut n_truncated) = (Vec::with_capacity(texts.len()), 0, 0);
    for texts in texts.chunks(TOGETHER) {
        let (mut tokens, mut starts) = (Tokens::default(), vec![0]);
        for text in texts {
            let read = ready.tokenizer.encode_for_classifier(text, None, limit)?;
            tokens.positions.extend(0..read.ids.len() as u32);
            tokens.ids.extend(read.ids);
            tokens.token_types.extend(read.token_types);
            starts.push(tokens.ids.len());
            n_truncated += u64::from(read.is_truncated);
        }
        n_tokens += tokens.ids.len() as u64;
        tokens.spans = Spans::from_starts(&starts);
        embeddings.extend(ready.executor().embed(with_adapter, &tokens, settings.pooling)?);
    }
    let pooling = match settings.pooling {
        Pooling::Mean => "mean",
        Pooling::First => "first",
        Pooling::Last => "last",
    };
    Ok(Embeddings {
        n_dimensions: embeddings.first().map_or(0, Vec::len) as u64,
        embeddings,
        pooling: pooling.to_owned(),
        n_tokens,
        n_truncated,
        seconds: started.elapsed().as_secs_f64(),
    })
}
