//! Whole answers: every field, and what the fields of a request do.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::client::{chat, completion, get, post, redacted};
use crate::engine::{BASE, TUNED, serve};

fn content(reply: &Value) -> String {
    reply["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

fn words(reply: &Value) -> String {
    reply["choices"][0]["text"].as_str().unwrap().to_owned()
}

#[test]
fn a_chat_has_every_field() {
    let Some((server, _)) = serve() else { return };
    let reply = post(server.address(), "/v1/chat/completions", &chat(BASE, json!({})));
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_json_snapshot!(redacted(reply.json()));
}

#[test]
fn a_completion_has_every_field() {
    let Some((server, _)) = serve() else { return };
    let reply = post(server.address(), "/v1/completions", &completion(BASE, json!({})));
    assert_eq!(reply.status, 200);
    assert_json_snapshot!(redacted(reply.json()));
}

#[test]
fn models_and_health_name_what_is_served() {
    let Some((server, _)) = serve() else { return };
    let mut list = get(server.address(), "/v1/models").json();
    let one = get(server.address(), "/v1/models/tiny/tuned").json();
    assert_eq!(one, list["data"][1]);
    for model in list["data"].as_array_mut().unwrap() {
        assert_eq!(model["created"], server.since_ms() / 1000);
        model["created"] = "[seconds since 1970]".into();
    }
    assert_json_snapshot!(json!({"models": list, "health": get(server.address(), "/health").json()}));
}

/// What the model says when it is asked directly, without a server.
#[test]
fn the_words_and_counts_are_the_models() {
    use lorikeet_api::Served as _;
    use lorikeet_api::wire::{ChatMessage, GenerateRequest};
    let Some((server, engine)) = serve() else { return };
    let reply = post(server.address(), "/v1/chat/completions", &chat(TUNED, json!({}))).json();
    let said = ChatMessage { role: "user".into(), content: "Name a bird.".into() };
    let request = GenerateRequest {
        model: TUNED.into(),
        adapter: None,
        prompt: None,
        messages: Some(vec![said]),
        system: None,
        raw: false,
        max_tokens: Some(12),
        temperature: Some(0.0),
        top_p: None,
        top_k: None,
        stop: None,
        seed: Some(0),
        quantize: None,
    };
    let direct = engine.generate(request, &mut |_| true).unwrap();
    assert_eq!(content(&reply), direct.text);
    assert_eq!(reply["usage"]["prompt_tokens"], direct.n_prompt_tokens);
    assert_eq!(reply["usage"]["completion_tokens"], direct.n_tokens);
    assert_eq!(reply["usage"]["total_tokens"], direct.n_prompt_tokens + direct.n_tokens);
}

#[test]
fn the_name_chooses_between_base_and_tuned_each_time() {
    let Some((server, _)) = serve() else { return };
    let say = |model| content(&post(server.address(), "/v1/chat/completions", &chat(model, json!({}))).json());
    let (base, tuned) = (say(BASE), say(TUNED));
    assert_ne!(base, tuned);
    assert_eq!((say(BASE), say(TUNED), say(BASE)), (base.clone(), tuned, base));
    let n: Vec<u64> = server.models().iter().map(|model| model.n_requests).collect();
    assert_eq!(n, [3, 2, 0]);
}

#[test]
fn lengths_are_as_asked_and_the_defaults_are_the_dialects() {
    let Some((server, _)) = serve() else { return };
    let ask = |path, body| {
        let reply = post(server.address(), path, &body).json();
        (reply["usage"]["completion_tokens"].as_u64().unwrap(), reply["choices"][0]["finish_reason"].clone())
    };
    let (chats, completions) = ("/v1/chat/completions", "/v1/completions");
    assert_eq!(ask(completions, json!({"model": BASE, "prompt": "A bird", "temperature": 0})), (16, json!("length")));
    assert_eq!(ask(chats, chat(BASE, json!({"max_completion_tokens": 3}))), (3, json!("length")));
    assert_eq!(ask(chats, chat(BASE, json!({"max_tokens": 0}))), (0, json!("length")));
    // A chat without a length goes on until the model's longest text ends it: 256 tokens with the prompt, here.
    let (n, reason) = ask(chats, chat(BASE, json!({"max_tokens": null})));
    assert!(n > 100 || reason == "stop", "{n} {reason}");
}

#[test]
fn a_seed_repeats_and_no_seed_does_not() {
    let Some((server, _)) = serve() else { return };
    let say = |more: Value| content(&post(server.address(), "/v1/chat/completions", &chat(BASE, more)).json());
    let warm = |seed: Value| say(json!({"temperature": 1.5, "max_tokens": 40, "seed": seed}));
    assert_eq!(warm(json!(7)), warm(json!(7)));
    assert_ne!(warm(json!(7)), warm(json!(-7)));
    assert_ne!(warm(Value::Null), warm(Value::Null));
    let greedy = say(json!({}));
    assert_eq!(say(json!({"temperature": 1.5, "top_k": 1})), greedy);
    assert_eq!(say(json!({"temperature": 1.5, "top_p": 1e-6})), greedy);
}

#[test]
fn a_stop_text_ends_the_answer_and_is_not_in_it() {
    let Some((server, _)) = serve() else { return };
    let say = |more: Value| post(server.address(), "/v1/completions", &completion(BASE, more)).json();
    let free = words(&say(json!({"max_tokens": 40})));
    let stop: String = free.chars().skip(10).take(5).collect();
    for stops in [json!(stop), json!(["never said", stop])] {
        let reply = say(json!({"max_tokens": 40, "stop": stops}));
        assert_eq!(words(&reply), free[..free.find(&stop).unwrap()]);
        assert_eq!(reply["choices"][0]["finish_reason"], "stop");
    }
}

#[test]
fn text_parts_are_lines_and_developers_are_the_system() {
    let Some((server, _)) = serve() else { return };
    let say = |messages: Value| {
        let reply = post(server.address(), "/v1/chat/completions", &chat(BASE, json!({"messages": messages}))).json();
        (content(&reply), reply["usage"]["prompt_tokens"].clone())
    };
    let parts = json!([{"type": "text", "text": "Name"}, {"type": "text", "text": "a bird."}]);
    assert_eq!(
        say(json!([{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}])),
        say(json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name\na bird."}]))
    );
}

#[test]
fn what_only_hints_or_says_the_usual_is_let_through() {
    let Some((server, _)) = serve() else { return };
    let plain = content(&post(server.address(), "/v1/chat/completions", &chat(BASE, json!({}))).json());
    let hints = json!({
        "n": 1, "user": "u", "store": false, "metadata": {}, "tools": [], "tool_choice": "none", "logprobs": false,
        "response_format": {"type": "text"}, "logit_bias": {}, "presence_penalty": 0, "frequency_penalty": 0.0,
        "parallel_tool_calls": true, "service_tier": "auto", "modalities": ["text"], "colour": "green", "top_k": -1,
        "seed": null, "stop": null, "stream": false, "stream_options": null
    });
    let reply = post(server.address(), "/v1/chat/completions", &chat(BASE, hints));
    assert_eq!((reply.status, content(&reply.json())), (200, plain));
    let one = completion(BASE, json!({"prompt": ["A bird is"], "echo": false, "best_of": 1, "logprobs": null}));
    let same = words(&post(server.address(), "/v1/completions", &completion(BASE, json!({}))).json());
    assert_eq!(words(&post(server.address(), "/v1/completions", &one).json()), same);
}
