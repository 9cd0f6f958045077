//! `POST /predict`: the label of a text, or of several in one request.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use lorikeet_api::wire::{PredictRequest, Prediction};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::serving::Serving;

/// Texts of one request.
const TEXTS: usize = 1024;

/// The texts of a request: one is answered flat, a list with a list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

/// Answers a request for labels.
pub(crate) async fn answer(serving: Arc<Serving>, fields: &Fields) -> Result<Response, Refusal> {
    let texts = texts(fields)?;
    let model = serving.find_classifier(fields.text("model")?)?.name.clone();
    let (is_one, texts) = match texts {
        Texts::One(text) => (true, vec![text]),
        Texts::Several(texts) => (false, texts),
    };
    let predictions = predict(Arc::clone(&serving), model.clone(), texts).await?;
    serving.count(&model);
    let mut found: Vec<Value> = predictions.iter().map(shape).collect();
    let body = match found.pop() {
        Some(Value::Object(only)) if is_one => {
            let mut body = serde_json::Map::from_iter([("model".to_owned(), Value::from(model))]);
            body.extend(only);
            Value::Object(body)
        }
        last => {
            found.extend(last);
            json!({"model": model, "predictions": found})
        }
    };
    Ok(Json(body).into_response())
}

fn shape(prediction: &Prediction) -> Value {
    json!({"label": prediction.label, "probabilities": prediction.probabilities})
}

fn texts(fields: &Fields) -> Result<Texts, Refusal> {
    match (fields.text("text")?, fields.list("texts")?) {
        (Some(text), None) => Ok(Texts::One(text.to_owned())),
        (None, Some(texts)) if (1..=TEXTS).contains(&texts.len()) => {
            let wrong = |i: usize| Refusal::field(format!("texts[{i}]"), format!("`texts[{i}]` must be a text"));
            let read = |(i, text): (usize, &Value)| text.as_str().map(str::to_owned).ok_or_else(|| wrong(i));
            Ok(Texts::Several(texts.iter().enumerate().map(read).collect::<Result<_, _>>()?))
        }
        (None, Some(texts)) => {
            let message = format!("`texts` must hold from 1 to {TEXTS} texts, found: {}", texts.len());
            Err(Refusal::field("texts", message))
        }
        _ => Err(Refusal::field("text", "the request needs either a `text` or a list of `texts`")),
    }
}

/// Predicts one text after the other; dropping this future ends the work before the next text.
async fn predict(serving: Arc<Serving>, model: String, texts: Vec<String>) -> Result<Vec<Prediction>, Refusal> {
    let turn = serving.turn().await?;
    let (ready, answer) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let one = |text| {
            if ready.is_closed() || serving.is_ending() {
                return Err(Refusal::stopping());
            }
            let request = PredictRequest { model: model.clone(), adapter: None, text, quantize: None };
            serving.served.predict(request).map_err(Refusal::from)
        };
        let predictions = texts.into_iter().map(one).collect();
        // Nobody there to take it: the connection is gone.
        let _ = ready.send(predictions);
    });
    answer.await.map_err(|_| Refusal::lost())?
}
