//! Folders from before `tokenizer.json`: a list of words (`vocab.txt`, BERT) or of pieces and merges (`vocab.json` with
//! `merges.txt`, GPT-2, RoBERTa, Qwen2), put together as the `tokenizer.json` that transformers would make of them.

use std::{fs, io, path::Path};

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// The pre-tokenizer of Qwen2: words, single digits, punctuation, white space.
const QWEN2_PIECES: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Special tokens of BERT in the order in which they usually stand, and the name each has in a configuration.
const BERT_TOKENS: [(&str, &str); 5] = [
    ("pad_token", "[PAD]"),
    ("unk_token", "[UNK]"),
    ("cls_token", "[CLS]"),
    ("sep_token", "[SEP]"),
    ("mask_token", "[MASK]"),
];

/// The `tokenizer.json` of `folder`'s vocabulary files as JSON; `None` where there are none. `config` is its
/// `tokenizer_config.json`, `spelled` looks up how a special token is spelled.
pub(crate) fn assemble(
    folder: &Path,
    config: &Map<String, Value>,
    spelled: impl Fn(&str) -> Option<String>,
) -> Result<Option<Value>> {
    if let Some(words) = read(&folder.join("vocab.txt"))? {
        return word_pieces(folder, &words, config, spelled).map(Some);
    }
    match (read(&folder.join("vocab.json"))?, read(&folder.join("merges.txt"))?) {
        (Some(pieces), Some(merges)) => byte_pieces(folder, &pieces, &merges, config, spelled).map(Some),
        _ => Ok(None),
    }
}

fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::read(path, cause)),
    }
}

fn fault(folder: &Path, name: &str, reason: String) -> Error {
    Error::TokenizerFile { path: folder.join(name), reason }
}

fn word_pieces(
    folder: &Path,
    words: &str,
    config: &Map<String, Value>,
    spelled: impl Fn(&str) -> Option<String>,
) -> Result<Value> {
    let vocabulary: Map<String, Value> =
        words.lines().enumerate().map(|(id, word)| (word.to_owned(), json!(id))).collect();
    let tokens = BERT_TOKENS.map(|(name, usual)| spelled(name).unwrap_or_else(|| usual.to_owned()));
    let id = |token: &String| {
        let missing = || fault(folder, "vocab.txt", format!("it has no line for the special token `{token}`"));
        vocabulary.get(token).and_then(Value::as_u64).ok_or_else(missing)
    };
    let [_, unknown, start, end, _] = &tokens;
    let (start_id, end_id) = (id(start)?, id(end)?);
    id(unknown)?;
    let flag = |name: &str, usual: bool| config.get(name).and_then(Value::as_bool).unwrap_or(usual);
    let mark = |token: &str, segment: u32| json!({"SpecialToken": {"id": token, "type_id": segment}});
    let text = |name: &str, segment: u32| json!({"Sequence": {"id": name, "type_id": segment}});
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": special_tokens(&vocabulary, &tokens),
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "lowercase": flag("do_lower_case", true),
            "handle_chinese_chars": flag("tokenize_chinese_chars", true),
            "strip_accents": config.get("strip_accents").unwrap_or(&Value::Null)},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [mark(start, 0), text("A", 0), mark(end, 0)],
            "pair": [mark(start, 0), text("A", 0), mark(end, 0), text("B", 1), mark(end, 1)],
            "special_tokens": {
                start: {"id": start, "ids": [start_id], "tokens": [start]},
                end: {"id": end, "ids": [end_id], "tokens": [end]}}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary},
    }))
}

fn byte_pieces(
    folder: &Path,
    pieces: &str,
    merges: &str,
    config: &Map<String, Value>,
    spelled: impl Fn(&str) -> Option<String>,
) -> Result<Value> {
    let vocabulary: Map<String, Value> =
        serde_json::from_str(pieces).map_err(|cause| fault(folder, "vocab.json", cause.to_string()))?;
    let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default();
    let (is_qwen2, is_roberta) = (class.starts_with("Qwen2"), class.starts_with("Roberta"));
    let space = config.get("add_prefix_space").and_then(Value::as_bool).unwrap_or(false);
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": true, "use_regex": !is_qwen2});
    let split = json!({"type": "Split", "pattern": {"Regex": QWEN2_PIECES}, "behavior": "Isolated", "invert": false});
    let names = ["bos_token", "eos_token", "unk_token", "pad_token", "cls_token", "sep_token", "mask_token"];
    let usual = if is_roberta { ["<s>", "<pad>", "</s>", "<unk>", "<mask>"].as_slice() } else { &["<|endoftext|>"] };
    let tokens: Vec<String> =
        usual.iter().map(|token| (*token).to_owned()).chain(names.iter().filter_map(|name| spelled(name))).collect();
    let id = |token: &str| vocabulary.get(token).cloned().unwrap_or_default();
    let around = json!({"type": "RobertaProcessing", "sep": ["</s>", id("</s>")], "cls": ["<s>", id("<s>")],
        "trim_offsets": true, "add_prefix_space": space});
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": special_tokens(&vocabulary, &tokens),
        "normalizer": if is_qwen2 { json!({"type": "NFC"}) } else { Value::Null },
        "pre_tokenizer": if is_qwen2 { json!({"type": "Sequence", "pretokenizers": [split, bytes]}) } else { bytes.clone() },
        "post_processor": if is_roberta { around } else { bytes.clone() },
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": merge_rules(merges)},
    }))
}

/// The pairs of `merges.txt`; its first line tells the version.
fn merge_rules(merges: &str) -> Vec<Value> {
    let rules = merges.lines().filter(|line| !line.starts_with("#version"));
    rules.filter_map(|line| line.split_once(' ')).map(|(left, right)| json!([left, right])).collect()
}

/// Those of `tokens` that the vocabulary has, each once, in the order of their ids.
fn special_tokens(vocabulary: &Map<String, Value>, tokens: &[String]) -> Vec<Value> {
    let mut found: Vec<(u64, &String)> =
        tokens.iter().filter_map(|token| Some((vocabulary.get(token)?.as_u64()?, token))).collect();
    found.sort_unstable();
    found.dedup();
    let entry = |(id, token): (u64, &String)| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": token == "<mask>", "rstrip": false,
            "normalized": false, "special": true})
    };
    found.into_iter().map(entry).collect()
}
