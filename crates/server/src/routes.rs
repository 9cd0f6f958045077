//! The routes, and what is said to a request that finds none.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use lorikeet_api::wire::ServedModel;
use serde_json::{Value, json};

use crate::fields::Fields;
use crate::frame::Dialect;
use crate::refusal::Refusal;
use crate::serving::Serving;
use crate::{chat, completion, embedding, gate, predict, writing};

/// Largest body: a conversation of a million tokens.
const BODY_BYTES: usize = 8 << 20;

type Shared = State<Arc<Serving>>;
type Body = Result<Bytes, BytesRejection>;

/// Every route over what they share.
pub(crate) fn router(serving: Arc<Serving>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/v1/models", get(models))
        .route("/v1/models/{*name}", get(model))
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/completions", post(completions))
        .route("/v1/embeddings", post(embeddings))
        .route("/predict", post(predictions))
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn(gate::pass))
        .with_state(serving)
}

async fn health(State(serving): Shared) -> Json<Value> {
    let names: Vec<String> = serving.models().into_iter().map(|model| model.name).collect();
    Json(json!({"status": "ok", "models": names}))
}

async fn models(State(serving): Shared) -> Json<Value> {
    let shapes: Vec<Value> = serving.models().iter().map(|model| shape(model, serving.since_s)).collect();
    Json(json!({"object": "list", "data": shapes}))
}

async fn model(State(serving): Shared, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    serving.find(&name).map(|model| Json(shape(model, serving.since_s)))
}

fn shape(model: &ServedModel, created_s: u64) -> Value {
    json!({"id": model.name, "object": "model", "created": created_s, "owned_by": "lorikeet"})
}

async fn chat_completions(State(serving): Shared, body: Body) -> Result<Response, Refusal> {
    writing::answer(serving, chat::read(&fields(body)?)?, Dialect::Chat).await
}

async fn completions(State(serving): Shared, body: Body) -> Result<Response, Refusal> {
    writing::answer(serving, completion::read(&fields(body)?)?, Dialect::Completion).await
}

async fn predictions(State(serving): Shared, body: Body) -> Result<Response, Refusal> {
    predict::answer(serving, &fields(body)?).await
}

async fn embeddings(State(serving): Shared, body: Body) -> Result<Response, Refusal> {
    embedding::answer(serving, &fields(body)?).await
}

fn fields(body: Body) -> Result<Fields, Refusal> {
    let body = body.map_err(|cause| match cause.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the body is larger than this server reads, in bytes: {BODY_BYTES}");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
        }
        status => Refusal::new(status, "unreadable_body", format!("the body cannot be read: {}", cause.body_text())),
    })?;
    Fields::of_body(&body)
}

async fn no_route(method: Method, uri: Uri) -> Refusal {
    let message =
        format!("there is nothing at `{}` to `{method}`; `GET /v1/models` lists what can be asked", uri.path());
    Refusal::new(StatusCode::NOT_FOUND, "unknown_url", message)
}

async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    let message = format!("`{}` is not asked with `{method}`; the `Allow` header names the method", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
