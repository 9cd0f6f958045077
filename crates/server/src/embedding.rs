//! `POST /v1/embeddings`: texts as vectors of length one, in OpenAI's shape.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lorikeet_api::wire::{EmbedRequest, Embeddings};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::serving::Serving;

/// Texts of one request, as OpenAI allows.
const TEXTS: usize = 2048;

/// Answers a request for vectors.
pub(crate) async fn answer(serving: Arc<Serving>, fields: &Fields) -> Result<Response, Refusal> {
    let model = serving.find(fields.needed_text("model")?)?.name.clone();
    let (texts, as_base64) = (texts(fields)?, as_base64(fields)?);
    fields.refuse_unless("dimensions", |_| false, "asks for shorter vectors, which this server does not make")?;
    let found = embed(Arc::clone(&serving), EmbedRequest { model: model.clone(), adapter: None, texts }).await?;
    serving.count(&model);
    let entry = |(index, vector): (usize, &Vec<f32>)| {
        let embedding = if as_base64 { Value::from(encoded(vector)) } else { json!(vector) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let data: Vec<Value> = found.embeddings.iter().enumerate().map(entry).collect();
    let usage = json!({"prompt_tokens": found.n_tokens, "total_tokens": found.n_tokens});
    Ok(Json(json!({"object": "list", "data": data, "model": model, "usage": usage})).into_response())
}

/// The little-endian bytes of 32-bit floats.
fn encoded(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|v| v.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// A text, or a list of texts.
fn texts(fields: &Fields) -> Result<Vec<String>, Refusal> {
    let wrong = || Refusal::field("input", "`input` must be a text or a list of texts; token ids are not read");
    match fields.value("input") {
        None => Err(fields.missing("input")),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(texts)) if (1..=TEXTS).contains(&texts.len()) => {
            texts.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(Value::Array(texts)) => {
            let message = format!("`input` must hold from 1 to {TEXTS} texts, found: {}", texts.len());
            Err(Refusal::field("input", message))
        }
        Some(_) => Err(wrong()),
    }
}

fn as_base64(fields: &Fields) -> Result<bool, Refusal> {
    match fields.text("encoding_format")? {
        None | Some("float") => Ok(false),
        Some("base64") => Ok(true),
        Some(other) => {
            let message = format!("`encoding_format` must be `float` or `base64`, found: `{other}`");
            Err(Refusal::field("encoding_format", message))
        }
    }
}

async fn embed(serving: Arc<Serving>, request: EmbedRequest) -> Result<Embeddings, Refusal> {
    let turn = serving.turn().await?;
    let (ready, answer) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        // Nobody there to take it: the connection is gone.
        let _ = ready.send(serving.served.embed(request).map_err(Refusal::from));
    });
    answer.await.map_err(|_| Refusal::lost())?
}
