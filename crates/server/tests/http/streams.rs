//! Answers in pieces: the order of the chunks, their fields, and that they add up to the whole answer.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::client::{chat, completion, post, redacted};
use crate::engine::{BASE, SORTER, serve};

/// The chunks, checked to share one id, time and model.
fn chunks(reply: &crate::client::Reply) -> Vec<Value> {
    let chunks = reply.chunks();
    for field in ["id", "created", "model", "object"] {
        assert!(chunks.iter().all(|chunk| chunk[field] == chunks[0][field]), "{field} differs");
    }
    chunks
}

fn joined(chunks: &[Value], words: &str) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0].pointer(words)).map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn a_streamed_chat_adds_up_to_the_whole_one() {
    let Some((server, _)) = serve() else { return };
    let whole = post(server.address(), "/v1/chat/completions", &chat(BASE, json!({}))).json();
    let reply = post(server.address(), "/v1/chat/completions", &chat(BASE, json!({"stream": true})));
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    let chunks = chunks(&reply);
    assert_eq!(joined(&chunks, "/delta/content"), whole["choices"][0]["message"]["content"].as_str().unwrap());
    assert!(chunks.len() > 4, "{chunks:?}");
    let reasons: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["finish_reason"]).collect();
    let (last, before) = reasons.split_last().unwrap();
    assert_eq!(**last, whole["choices"][0]["finish_reason"]);
    assert!(before.iter().all(|reason| reason.is_null()));
    assert!(chunks[1..].iter().all(|chunk| chunk["choices"][0]["delta"].get("role").is_none()));
    let (first, second, last) = (chunks[0].clone(), chunks[1].clone(), chunks[chunks.len() - 1].clone());
    assert_json_snapshot!([first, second, last].map(redacted));
}

#[test]
fn a_usage_chunk_comes_last_when_it_is_asked_for() {
    let Some((server, _)) = serve() else { return };
    let whole = post(server.address(), "/v1/chat/completions", &chat(BASE, json!({}))).json();
    let body = chat(BASE, json!({"stream": true, "stream_options": {"include_usage": true}}));
    let mut chunks = chunks(&post(server.address(), "/v1/chat/completions", &body));
    let usage = chunks.pop().unwrap();
    assert_eq!(usage["usage"], whole["usage"]);
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_some_and(Value::is_null)));
    assert_json_snapshot!([redacted(chunks.pop().unwrap()), redacted(usage)]);
}

#[test]
fn a_streamed_completion_adds_up_to_the_whole_one() {
    let Some((server, _)) = serve() else { return };
    let whole = post(server.address(), "/v1/completions", &completion(BASE, json!({}))).json();
    let body = completion(BASE, json!({"stream": true, "stream_options": {"include_usage": true}}));
    let chunks = chunks(&post(server.address(), "/v1/completions", &body));
    assert_eq!(joined(&chunks, "/text"), whole["choices"][0]["text"].as_str().unwrap());
    let ends = [chunks[0].clone(), chunks[chunks.len() - 2].clone(), chunks[chunks.len() - 1].clone()];
    assert_json_snapshot!(ends.map(redacted));
}

#[test]
fn an_answer_without_words_is_a_stream_all_the_same() {
    let Some((server, _)) = serve() else { return };
    let body = chat(BASE, json!({"stream": true, "max_tokens": 0}));
    let chunks = chunks(&post(server.address(), "/v1/chat/completions", &body));
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(chunks[1]["choices"][0]["finish_reason"], "length");
}

#[test]
fn what_fails_before_the_first_piece_has_a_status() {
    let Some((server, _)) = serve() else { return };
    let long = "word ".repeat(400);
    let body = completion(BASE, json!({"stream": true, "prompt": long}));
    let reply = post(server.address(), "/v1/completions", &body);
    assert_eq!((reply.status, reply.header("content-type")), (400, Some("application/json")));
    assert!(
        reply.json()["error"]["message"].as_str().unwrap().contains("this model reads texts of at most 256 tokens")
    );
    let reply = post(server.address(), "/v1/chat/completions", &chat(SORTER, json!({"stream": true})));
    assert_eq!(reply.status, 400);
}
