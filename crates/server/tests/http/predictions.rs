//! Labels over HTTP.

use serde_json::json;

use crate::client::post;
use crate::engine::{BASE, SORTER, serve};

#[test]
fn a_text_has_a_label_and_probabilities() {
    let Some((server, engine)) = serve() else { return };
    let reply = post(server.address(), "/predict", &json!({"text": "A fine day"}));
    assert_eq!(reply.status, 200);
    let (reply, direct) = (reply.json(), engine.probabilities("A fine day"));
    let fields: Vec<&String> = reply.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["model", "label", "probabilities"]);
    assert_eq!(reply["model"], SORTER);
    let given: Vec<f64> = (0..3).map(|i| reply["probabilities"][format!("label {i}")].as_f64().unwrap()).collect();
    let differs = |(a, b): (&f64, &f64)| (a - b).abs() > 1e-12;
    assert!(!given.iter().zip(&direct).any(differs), "{given:?} for {direct:?}");
    assert!((given.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let best = reply["label"].as_str().unwrap();
    assert!(given.iter().all(|p| *p <= reply["probabilities"][best].as_f64().unwrap()));
    assert_eq!(server.models()[2].n_requests, 1);
}

#[test]
fn several_texts_are_answered_in_their_order() {
    let Some((server, _)) = serve() else { return };
    let texts = ["A fine day", "Rain again", "Who knows"];
    let reply = post(server.address(), "/predict", &json!({"model": SORTER, "texts": texts})).json();
    let fields: Vec<&String> = reply.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["model", "predictions"]);
    let predictions = reply["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 3);
    for (text, prediction) in texts.iter().zip(predictions) {
        let one = post(server.address(), "/predict", &json!({"text": text})).json();
        assert_eq!((&one["label"], &one["probabilities"]), (&prediction["label"], &prediction["probabilities"]));
    }
    let single = post(server.address(), "/predict", &json!({"texts": ["A fine day"]})).json();
    assert_eq!(single["predictions"].as_array().unwrap().len(), 1);
}

#[test]
fn requests_without_a_label_to_find_are_refused() {
    let Some((server, _)) = serve() else { return };
    let refused = |body: serde_json::Value| {
        let reply = post(server.address(), "/predict", &body);
        (reply.status, reply.json()["error"]["message"].as_str().unwrap().to_owned())
    };
    let either = "the request needs either a `text` or a list of `texts`".to_owned();
    assert_eq!(refused(json!({})), (400, either.clone()));
    assert_eq!(refused(json!({"text": "a", "texts": ["b"]})), (400, either));
    assert_eq!(refused(json!({"texts": []})), (400, "`texts` must hold from 1 to 1024 texts, found: 0".into()));
    assert_eq!(refused(json!({"texts": ["a", 2]})), (400, "`texts[1]` must be a text".into()));
    assert_eq!(refused(json!({"text": 5})), (400, "`text` must be a text, found: 5".into()));
    let writer = "the model `tiny` writes and gives no labels; ask `POST /v1/chat/completions`";
    assert_eq!(refused(json!({"model": BASE, "text": "a"})), (400, writer.into()));
    assert_eq!(refused(json!({"model": "x", "text": "a"})).0, 404);
}

#[test]
fn a_defect_is_a_500_and_the_server_goes_on() {
    let Some((server, _)) = serve() else { return };
    let broken = post(server.address(), "/predict", &json!({"text": "break"}));
    assert_eq!((broken.status, broken.json()["error"]["type"].clone()), (500, json!("server_error")));
    assert_eq!(post(server.address(), "/predict", &json!({"text": "A fine day"})).status, 200);
}
