//! What is refused, with which status, and in which words.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::client::{Reply, chat, completion, get, post, post_text, receive, send};
use crate::engine::{BASE, SORTER, serve};

/// Status and error of a refusal, whose shape is checked.
fn refusal(reply: &Reply) -> Value {
    let body = reply.json();
    let error = body["error"].as_object().unwrap();
    assert_eq!(error.keys().collect::<Vec<_>>(), ["message", "type", "param", "code"]);
    assert_eq!(body.as_object().unwrap().len(), 1);
    let kind = if reply.status >= 500 { "server_error" } else { "invalid_request_error" };
    assert_eq!(error["type"], kind);
    json!({"status": reply.status, "message": error["message"], "param": error["param"], "code": error["code"]})
}

#[test]
fn chats_that_cannot_be_answered() {
    let Some((server, _)) = serve() else { return };
    let no_words = json!({"messages": [{"role": "user"}]});
    let image = json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}]);
    let call = json!([{"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]}]);
    let bodies = [
        chat("unknown", json!({})),
        chat(SORTER, json!({})),
        json!({"messages": [{"role": "user", "content": "a"}]}),
        json!({"model": BASE}),
        chat(BASE, json!({"messages": []})),
        chat(BASE, json!({"messages": "a"})),
        chat(BASE, json!({"messages": ["a"]})),
        chat(BASE, no_words),
        chat(BASE, json!({"messages": [{"role": "robot", "content": "a"}]})),
        chat(BASE, json!({"messages": [{"role": "user", "content": 5}]})),
        chat(BASE, json!({"messages": [{"role": "user", "content": image}]})),
        chat(BASE, json!({"messages": call})),
        chat(BASE, json!({"messages": [{"role": "user", "content": "word ".repeat(400)}]})),
    ];
    let said: Vec<Value> =
        bodies.iter().map(|body| refusal(&post(server.address(), "/v1/chat/completions", body))).collect();
    assert_json_snapshot!(said);
}

#[test]
fn fields_out_of_their_range_or_of_another_meaning() {
    let Some((server, engine)) = serve() else { return };
    let fields = [
        json!({"temperature": 2.5}),
        json!({"temperature": "hot"}),
        json!({"top_p": 0}),
        json!({"max_tokens": -1}),
        json!({"max_completion_tokens": 1.5}),
        json!({"seed": 1.5}),
        json!({"stop": ""}),
        json!({"stop": ["a", "b", "c", "d", "e"]}),
        json!({"stop": ["a", 1]}),
        json!({"stream": "yes"}),
        json!({"stream_options": {"include_usage": true}}),
        json!({"stream": true, "stream_options": {"include_usage": 1}}),
        json!({"n": 2}),
        json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
        json!({"tool_choice": "required"}),
        json!({"logprobs": true}),
        json!({"top_logprobs": 3}),
        json!({"response_format": {"type": "json_object"}}),
        json!({"logit_bias": {"5": 100}}),
        json!({"frequency_penalty": 0.5}),
        json!({"repetition_penalty": 1.1}),
        json!({"modalities": ["text", "audio"]}),
    ];
    let said: Vec<Value> = fields
        .iter()
        .map(|fields| refusal(&post(server.address(), "/v1/chat/completions", &chat(BASE, fields.clone()))))
        .collect();
    assert_json_snapshot!(said);
    assert!(engine.ended.lock().unwrap().is_empty(), "something was written all the same");
}

#[test]
fn completions_that_cannot_be_answered() {
    let Some((server, _)) = serve() else { return };
    let fields = [
        json!({"prompt": null}),
        json!({"prompt": ["a", "b"]}),
        json!({"prompt": [1, 2, 3]}),
        json!({"echo": true}),
        json!({"suffix": "end"}),
        json!({"best_of": 3}),
        json!({"logprobs": 1}),
    ];
    let said: Vec<Value> = fields
        .iter()
        .map(|fields| refusal(&post(server.address(), "/v1/completions", &completion(BASE, fields.clone()))))
        .collect();
    assert_json_snapshot!(said);
}

#[test]
fn bodies_that_are_not_a_json_object() {
    let Some((server, _)) = serve() else { return };
    let said: Vec<Value> = ["", "{\"model\": ", "[]", "5", "{\"model\": \"a\",}"]
        .iter()
        .map(|body| refusal(&post_text(server.address(), "/v1/chat/completions", body)))
        .collect();
    assert_json_snapshot!(said);
}

#[test]
fn a_body_beyond_the_limit_is_not_read() {
    let Some((server, _)) = serve() else { return };
    let body = chat(BASE, json!({"messages": [{"role": "user", "content": "a".repeat(9 << 20)}]}));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let sent = agent.post(format!("{}/v1/chat/completions", server.url())).send_json(&body);
    // The server may close before everything is sent: then the client sees its write fail instead of the answer.
    if let Ok(mut reply) = sent {
        assert_eq!(reply.status(), 413);
        let body: Value = reply.body_mut().read_json().unwrap();
        assert_eq!(body["error"]["code"], "body_too_large");
    }
    assert_eq!(get(server.address(), "/health").status, 200);
}

#[test]
fn paths_and_methods_that_are_not_there() {
    let Some((server, _)) = serve() else { return };
    let address = server.address();
    let ask = |request: &str| {
        let json = ["host: localhost", "content-type: application/json"];
        receive(send(address, request, &json, ""))
    };
    let wrong = ask("GET /v1/chat/completions");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
    assert_eq!(ask("DELETE /v1/models").header("allow"), Some("GET,HEAD"));
    let requests =
        ["GET /", "GET /v1/images", "POST /v1/nothing", "GET /v1/models/unknown", "GET /predict", "PUT /health"];
    let said: Vec<Value> = requests.iter().map(|request| refusal(&ask(request))).collect();
    assert_json_snapshot!(said);
}

#[test]
fn only_programs_and_pages_of_this_computer_are_let_in() {
    let Some((server, engine)) = serve() else { return };
    let address = server.address();
    let ask = |headers: &[&str]| {
        let body = chat(BASE, json!({"max_tokens": 1})).to_string();
        receive(send(address, "POST /v1/chat/completions", headers, &body))
    };
    let (here, json) = ("host: 127.0.0.1:8384", "content-type: application/json; charset=utf-8");
    let refused = [
        ask(&["host: evil.example", json]),
        ask(&["host: localhost.evil.example:8384", json]),
        ask(&[json]),
        ask(&[here, json, "origin: https://evil.example"]),
        ask(&[here, json, "origin: null"]),
        ask(&[here, json, "origin: http://localhost.evil.example"]),
        ask(&[here, "content-type: text/plain"]),
        ask(&[here]),
    ];
    assert_json_snapshot!(refused.iter().map(refusal).collect::<Vec<_>>());
    assert!(refused.iter().all(|reply| reply.header("access-control-allow-origin").is_none()));
    assert!(engine.ended.lock().unwrap().is_empty(), "something was written all the same");
    let program = ask(&[here, json]);
    assert_eq!((program.status, program.header("access-control-allow-origin")), (200, None));
    let page = ask(&[here, json, "origin: http://localhost:3000"]);
    assert_eq!((page.status, page.header("access-control-allow-origin")), (200, Some("http://localhost:3000")));
}

#[test]
fn a_browser_that_asks_first_is_answered_only_for_pages_of_this_computer() {
    let Some((server, _)) = serve() else { return };
    let ask = |origin: &str| {
        let headers = ["host: localhost", "access-control-request-method: POST", origin];
        receive(send(server.address(), "OPTIONS /v1/chat/completions", &headers, ""))
    };
    let here = ask("origin: http://127.0.0.1:3000");
    assert_eq!((here.status, here.header("access-control-allow-origin")), (204, Some("http://127.0.0.1:3000")));
    assert_eq!(here.header("access-control-allow-headers"), Some("authorization, content-type"));
    let there = ask("origin: https://evil.example");
    assert_eq!((there.status, there.header("access-control-allow-origin")), (403, None));
}
