//! Conversations are rendered as transformers renders them, token for token where the tokenizer is at hand.

use std::path::Path;

use lorikeet_data::{Chat, ChatTemplate, Error, Tokenizer};
use serde_json::Value;

use crate::shared::{files, json, shared, stem};

/// The day the reference renderings were made, for templates that print the date (2026-11-20, noon, UTC).
const MADE_ON: i64 = 1_795_176_000;

pub fn template(root: &Path, about: &Value) -> ChatTemplate {
    let source =
        std::fs::read_to_string(root.join("chat_templates").join(about["template"].as_str().unwrap())).unwrap();
    let word = |name: &str| about[name].as_str().unwrap_or_default().to_owned();
    let mut template = ChatTemplate::of_model(root, source, word("bos_token"), word("eos_token")).unwrap();
    for (name, value) in about["variables"].as_object().unwrap() {
        template = template.with_variable(name, value.clone());
    }
    template
}

#[test]
fn every_template_renders_as_transformers_does() {
    let Some(root) = shared("tokenizers") else { return };
    for path in files(&root.join("renderings"), "json") {
        let name = stem(&path);
        let about = json(&path);
        let template = template(&root, &about);
        let tokenizer = about["tokenizer"].as_str().map(|name| Tokenizer::open(&root.join(name)).unwrap());
        let (mut n_texts, mut n_refused, mut n_ids) = (0, 0, 0);
        for case in about["cases"].as_array().unwrap() {
            let messages = serde_json::from_value(case["messages"].clone()).unwrap();
            let chat = Chat { messages, tools: Vec::new() };
            let add_generation_prompt = case["add_generation_prompt"].as_bool().unwrap();
            let place = format!("{name}: {} {add_generation_prompt}", case["conversation"]);
            match (template.render(&chat, add_generation_prompt, Some(MADE_ON)), case["text"].as_str()) {
                (Ok(text), Some(expected)) => {
                    assert_eq!(text, expected, "{place}");
                    n_texts += 1;
                    if let (Some(tokenizer), Some(ids)) = (&tokenizer, case["ids"].as_array()) {
                        let expected: Vec<u32> = ids.iter().map(|id| id.as_u64().unwrap() as u32).collect();
                        assert_eq!(tokenizer.encode(&text, false).unwrap().ids, expected, "{place}");
                        n_ids += 1;
                    }
                }
                (Err(Error::TemplateRefused { reason }), None) => {
                    assert_eq!(reason, case["error"].as_str().unwrap(), "{place}");
                    n_refused += 1;
                }
                (rendered, expected) => panic!("{place}: {rendered:?} is not {expected:?}"),
            }
        }
        println!("{name}: {n_texts} texts ({n_ids} with tokens), {n_refused} refused");
    }
}
