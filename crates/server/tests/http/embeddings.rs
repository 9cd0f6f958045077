//! Texts as vectors: `POST /v1/embeddings`.

use serde_json::{Value, json};

use crate::client::post;
use crate::engine::{SORTER, serve};

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

/// The numbers behind base64 text, read without the library that wrote it.
fn decoded(text: &str) -> Vec<f32> {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sextets = text.trim_end_matches('=').chars().map(|c| LETTERS.find(c).unwrap() as u32);
    let bits: Vec<u32> = sextets.flat_map(|six| (0..6).rev().map(move |i| six >> i & 1)).collect();
    let bytes: Vec<u8> = bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |b, bit| b << 1 | *bit as u8)).collect();
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

#[test]
fn texts_get_vectors_in_the_shape_of_openai() {
    let Some((server, engine)) = serve() else { return };
    let texts = ["A fine day", "Rain again"];
    let reply = post(server.address(), "/v1/embeddings", &json!({"model": SORTER, "input": texts})).json();
    let fields: Vec<&String> = reply.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["object", "data", "model", "usage"]);
    assert_eq!((&reply["object"], &reply["model"]), (&json!("list"), &json!(SORTER)));
    let n_tokens: usize = texts.iter().map(|text| engine.sorter_ids(text).len()).sum();
    assert_eq!(reply["usage"], json!({"prompt_tokens": n_tokens, "total_tokens": n_tokens}));
    for (i, text) in texts.iter().enumerate() {
        let entry = &reply["data"][i];
        assert_eq!((&entry["object"], &entry["index"]), (&json!("embedding"), &json!(i)));
        let vector = numbers(&entry["embedding"]);
        let length: f32 = vector.iter().map(|v| v * v).sum();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
        let direct = engine.vector(text);
        assert!(vector.iter().zip(&direct).all(|(a, b)| (a - b).abs() < 1e-5) && vector.len() == direct.len());
    }
    assert_eq!(server.models()[2].n_requests, 1);
}

#[test]
fn base64_holds_the_same_numbers() {
    let Some((server, _)) = serve() else { return };
    let ask = |format: &str| {
        let body = json!({"model": SORTER, "input": "A fine day", "encoding_format": format});
        post(server.address(), "/v1/embeddings", &body).json()["data"][0]["embedding"].clone()
    };
    assert_eq!(decoded(ask("base64").as_str().unwrap()), numbers(&ask("float")));
}

#[test]
fn requests_without_a_text_are_refused() {
    let Some((server, _)) = serve() else { return };
    let refused = |body: Value| {
        let reply = post(server.address(), "/v1/embeddings", &body);
        (reply.status, reply.json()["error"]["message"].as_str().unwrap().to_owned())
    };
    let model = |more: Value| {
        let mut body = json!({"model": SORTER});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        refused(body)
    };
    let needs = |what: &str| (400, what.to_owned());
    assert_eq!(refused(json!({"input": "a"})), needs("the request has no `model`, which it needs"));
    assert_eq!(model(json!({})), needs("the request has no `input`, which it needs"));
    let shape = "`input` must be a text or a list of texts; token ids are not read";
    assert_eq!(model(json!({"input": [1, 2]})), needs(shape));
    assert_eq!(model(json!({"input": []})), needs("`input` must hold from 1 to 2048 texts, found: 0"));
    assert_eq!(
        model(json!({"input": "a", "encoding_format": "hex"})),
        needs("`encoding_format` must be `float` or `base64`, found: `hex`")
    );
    assert_eq!(
        model(json!({"input": "a", "dimensions": 8})),
        needs("`dimensions` asks for shorter vectors, which this server does not make; leave it out")
    );
    assert_eq!(model(json!({"input": ""})), needs("a text without a token says nothing; give at least a word"));
    assert_eq!(refused(json!({"model": "x", "input": "a"})).0, 404);
}
