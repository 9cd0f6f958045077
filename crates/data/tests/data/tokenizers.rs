//! Tokens equal those of the reference: awkward strings, and the vectors llama.cpp publishes.

use lorikeet_data::Tokenizer;

use crate::shared::{files, json, shared, stem};

fn ids(value: &serde_json::Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

#[test]
fn every_tokenizer_encodes_and_decodes_as_the_reference() {
    let Some(root) = shared("tokenizers") else { return };
    for path in files(&root.join("encodings"), "json") {
        let name = stem(&path);
        let tokenizer = Tokenizer::open(&root.join(&name)).unwrap();
        let expected = json(&path);
        let cases = expected["cases"].as_array().unwrap();
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let with_special = tokenizer.encode(text, true).unwrap();
            assert_eq!(with_special.ids, ids(&case["ids"]), "{name}: {text:?}");
            let bare = tokenizer.encode(text, false).unwrap().ids;
            assert_eq!(bare, ids(&case["ids_without_special"]), "{name}: {text:?} without special tokens");
            assert_eq!(tokenizer.decode(&with_special.ids, true).unwrap(), case["decoded"], "{name}: {text:?}");
            assert_eq!(tokenizer.decode(&with_special.ids, false).unwrap(), case["decoded_with_special"], "{name}");
        }
        let n_tokens = expected["vocabulary"].as_u64().unwrap() as usize;
        assert!(tokenizer.vocab_size() >= n_tokens, "{name}");
        println!("{name}: {} texts", cases.len());
    }
}

/// The files of `folder` without its `tokenizer.json`, but with what the reference's own files leave to a class.
fn without_tokenizer_json(folder: &std::path::Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let mut n_vocabulary_files = 0;
    for name in ["vocab.txt", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"] {
        if folder.join(name).is_file() {
            std::fs::copy(folder.join(name), copy.path().join(name)).unwrap();
            n_vocabulary_files += usize::from(!name.ends_with("_config.json"));
        }
    }
    if n_vocabulary_files == 0 {
        write_vocabulary(&json(&folder.join("tokenizer.json"))["model"], copy.path());
    }
    copy
}

/// `vocab.json` and `merges.txt` of a byte-level model.
fn write_vocabulary(model: &serde_json::Value, folder: &std::path::Path) {
    std::fs::write(folder.join("vocab.json"), model["vocab"].to_string()).unwrap();
    let merges = model["merges"].as_array().unwrap().iter().map(|pair| match pair {
        serde_json::Value::String(pair) => pair.clone(),
        pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
    });
    let merges = merges.collect::<Vec<_>>().join("\n");
    std::fs::write(folder.join("merges.txt"), format!("#version: 0.2\n{merges}\n")).unwrap();
}

#[test]
fn older_vocabulary_files_give_the_same_tokens() {
    let Some(root) = shared("tokenizers") else { return };
    for name in ["bert-base-chinese", "distilbert-base-uncased", "gpt2", "roberta-base", "qwen2.5"] {
        let folder = without_tokenizer_json(&root.join(name));
        let tokenizer = Tokenizer::open(folder.path()).unwrap();
        let expected = json(&root.join("encodings").join(format!("{name}.json")));
        for case in expected["cases"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            assert_eq!(tokenizer.encode(text, true).unwrap().ids, ids(&case["ids"]), "{name}: {text:?}");
        }
    }
}

#[test]
fn every_vector_published_by_llama_cpp_agrees() {
    let Some(root) = shared("tokenizers") else { return };
    for path in files(&root.join("llama_cpp_vectors"), "inp") {
        let name = stem(&path);
        let tokenizer = Tokenizer::open(&root.join(&name)).unwrap();
        let input = std::fs::read_to_string(&path).unwrap();
        let output = std::fs::read_to_string(path.with_extension("out")).unwrap();
        let texts: Vec<&str> = input.split("\n__ggml_vocab_test__\n").collect();
        let mut n_compared = 0;
        for (text, line) in texts.iter().zip(output.lines()) {
            let expected: Vec<u32> = line.split_whitespace().map(|id| id.parse().unwrap()).collect();
            assert_eq!(tokenizer.encode(text, false).unwrap().ids, expected, "{name}: {text:?}");
            n_compared += 1;
        }
        assert!(n_compared >= 46, "{name}: only {n_compared} of {} texts", texts.len());
        println!("{name}: {n_compared} texts");
    }
}

#[test]
fn special_tokens_are_those_of_the_model() {
    let Some(root) = shared("tokenizers") else { return };
    let mut told = String::new();
    for name in ["bert-base-uncased", "gpt2", "llama2", "mistral-v0.3", "phi-3-mini", "qwen2.5", "roberta-base"] {
        let tokenizer = Tokenizer::open(&root.join(name)).unwrap();
        let spelled = |token: Option<&lorikeet_data::SpecialToken>| {
            token.map_or_else(|| "none".to_owned(), |token| format!("{} {}", token.text, token.id))
        };
        told += &format!(
            "{name}: bos {}, eos {}, pad {}, end of turn {}, stop {:?}, template {:?}\n",
            spelled(tokenizer.bos()),
            spelled(tokenizer.eos()),
            spelled(tokenizer.pad()),
            spelled(tokenizer.end_of_turn()),
            tokenizer.stop_ids(),
            tokenizer.template().origin(),
        );
    }
    insta::assert_snapshot!(told, @r#"
    bert-base-uncased: bos none, eos none, pad [PAD] 0, end of turn none, stop [], template Plain
    gpt2: bos <|endoftext|> 50256, eos <|endoftext|> 50256, pad none, end of turn <|endoftext|> 50256, stop [50256], template Plain
    llama2: bos <s> 1, eos </s> 2, pad none, end of turn none, stop [2], template Plain
    mistral-v0.3: bos <s> 1, eos </s> 2, pad none, end of turn </s> 2, stop [2], template Model
    phi-3-mini: bos <s> 1, eos <|endoftext|> 32000, pad <|endoftext|> 32000, end of turn <|end|> 32007, stop [32000, 32007], template Model
    qwen2.5: bos none, eos <|im_end|> 151645, pad <|endoftext|> 151643, end of turn <|im_end|> 151645, stop [151645], template Model
    roberta-base: bos none, eos none, pad none, end of turn none, stop [], template Plain
    "#);
}

#[test]
fn a_tokenizer_larger_than_the_model_is_refused() {
    let Some(root) = shared("tokenizers") else { return };
    let tokenizer = Tokenizer::open(&root.join("gpt2")).unwrap();
    tokenizer.check_fits(50257).unwrap();
    tokenizer.check_fits(50304).unwrap();
    let message = tokenizer.check_fits(50000).unwrap_err().to_string();
    assert!(message.contains("`<|endoftext|>` with id 50256") && message.ends_with(": 50000"), "{message}");
}

#[test]
fn a_folder_without_a_tokenizer_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let message = Tokenizer::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json") && message.contains("does not exist"), "{message}");
    std::fs::write(folder.path().join("tokenizer.json"), "{\"version\": \"1.0\"").unwrap();
    let message = Tokenizer::open(folder.path()).unwrap_err().to_string();
    assert!(message.starts_with("cannot load the tokenizer file"), "{message}");
}

#[test]
fn a_stream_of_tokens_gives_the_same_text_in_whole_characters() {
    let Some(root) = shared("tokenizers") else { return };
    let text = "Héllo 👨‍👩‍👧‍👦 family,\n今天天气很好。 done";
    for name in ["gpt2", "qwen2.5", "llama2", "mistral-v0.3"] {
        let tokenizer = Tokenizer::open(&root.join(name)).unwrap();
        let ids = tokenizer.encode(text, false).unwrap().ids;
        let mut stream = tokenizer.stream(true);
        let mut pieces: Vec<String> = ids.iter().filter_map(|id| stream.push(*id).unwrap()).collect();
        pieces.extend(stream.finish().unwrap());
        assert!(pieces.iter().all(|piece| !piece.contains(char::REPLACEMENT_CHARACTER)), "{name}: {pieces:?}");
        assert_eq!(pieces.concat().trim_start(), text, "{name}");
        assert!(pieces.len() > 5, "{name}: {pieces:?}");
    }
}

#[test]
fn classifier_rows_are_laid_out_and_cut_as_transformers_does() {
    let Some(root) = shared("tokenizers") else { return };
    let tokenizer = Tokenizer::open(&root.join("bert-base-uncased")).unwrap();
    let whole = tokenizer.encode_for_classifier("Hello, world!", Some("Bye"), 64).unwrap();
    assert_eq!(whole.ids, [101, 7592, 1010, 2088, 999, 102, 9061, 102]);
    assert_eq!(whole.token_types, [0, 0, 0, 0, 0, 0, 1, 1]);
    assert!(!whole.is_truncated);
    let cut = tokenizer.encode_for_classifier("Hello, world!", Some("Bye"), 6).unwrap();
    assert_eq!(cut.ids, [101, 7592, 1010, 102, 9061, 102]);
    assert!(cut.is_truncated);
    let single = tokenizer.encode_for_classifier("Hello, world!", None, 4).unwrap();
    assert_eq!(single.ids, [101, 7592, 1010, 102]);
    let message = tokenizer.encode_for_classifier("a", None, 2).unwrap_err().to_string();
    assert!(message.contains("use at least 3"), "{message}");
}

#[test]
fn padding_and_truncation_of_the_file_are_switched_off() {
    let Some(root) = shared("tokenizers") else { return };
    let mut file = json(&root.join("bert-base-uncased/tokenizer.json"));
    file["truncation"] =
        serde_json::json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    file["padding"] = serde_json::json!({"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"});
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
    let tokenizer = Tokenizer::open(folder.path()).unwrap();
    assert_eq!(tokenizer.encode("Hello, world!", true).unwrap().ids, [101, 7592, 1010, 2088, 999, 102]);
}
