//! From a GGUF file's metadata to the tokenizer files of Hugging Face.

use std::path::Path;

use lorikeet_gguf::{Array, Header, Mapped, Value as Field};
use serde_json::{Map, Value, json};

use super::{
    kinds, pieces,
    splits::{KNOWN, Splits},
};
use crate::error::{Error, Result};

/// What a model's folder would hold.
pub(crate) struct GgufFiles {
    /// `tokenizer.json`.
    pub tokenizer: Value,
    /// `tokenizer_config.json`.
    pub config: Map<String, Value>,
    /// `generation_config.json`.
    pub generation: Map<String, Value>,
}

/// The tokenizer files that the metadata of the file at `path` amounts to.
pub(crate) fn read(path: &Path) -> Result<GgufFiles> {
    let fault = |reason: String| Error::TokenizerFile { path: path.to_owned(), reason };
    let file = Mapped::open(path).map_err(|cause| fault(cause.to_string()))?;
    let header = file.header().map_err(|cause| fault(cause.to_string()))?;
    let vocabulary = Vocabulary::of(&header).map_err(fault)?;
    let (model, layers) = match header.text("tokenizer.ggml.model") {
        Some("gpt2") => vocabulary.byte_level(),
        Some("llama") => Ok(vocabulary.scored()),
        Some(other) => Err(format!("its tokenizer is of the kind `{other}`; `gpt2` and `llama` are read")),
        None => Err("it has no `tokenizer.ggml.model`, so no text can be read with it".to_owned()),
    }
    .map_err(fault)?;
    let adds = vocabulary.adds(layers.adds_begin);
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": vocabulary.added_tokens(),
        "normalizer": layers.normalizer,
        "pre_tokenizer": layers.pre_tokenizer,
        "post_processor": vocabulary.post_processor(adds),
        "decoder": layers.decoder,
        "model": model,
    });
    Ok(GgufFiles { tokenizer, config: vocabulary.config(adds), generation: vocabulary.generation() })
}

/// Tokens as the file lists them.
struct Vocabulary<'a> {
    header: &'a Header<'a>,
    tokens: Vec<&'a str>,
    kinds: Vec<i32>,
}

/// The parts of `tokenizer.json` around its model.
struct Layers {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    adds_begin: bool,
}

impl<'a> Vocabulary<'a> {
    fn of(header: &'a Header<'a>) -> std::result::Result<Self, String> {
        let tokens: Vec<&str> = array(header, "tokens").map(|list| list.texts().collect()).unwrap_or_default();
        if tokens.is_empty() {
            return Err("it has no `tokenizer.ggml.tokens`, so no text can be read with it".to_owned());
        }
        let kinds = array(header, "token_type").map(|list| list.numbers().map(|n| n as i32).collect());
        let kinds = kinds.unwrap_or_else(|| vec![kinds::NORMAL; tokens.len()]);
        if kinds.len() != tokens.len() {
            return Err(format!("it has {} tokens and types of {}", tokens.len(), kinds.len()));
        }
        Ok(Self { header, tokens, kinds })
    }

    fn field(&self, name: &str) -> Option<&Field<'_>> {
        self.header.get(&format!("tokenizer.ggml.{name}"))
    }

    fn flag(&self, name: &str, usual: bool) -> bool {
        self.field(name).and_then(Field::as_bool).unwrap_or(usual)
    }

    /// The token whose id stands under a key.
    fn special(&self, key: &str) -> Option<(u64, &'a str)> {
        let id = self.field(key)?.as_u64()?;
        Some((id, *self.tokens.get(usize::try_from(id).ok()?)?))
    }

    /// The model of a byte-level vocabulary with merges.
    fn byte_level(&self) -> std::result::Result<(Value, Layers), String> {
        let name = self.field("pre").and_then(Field::as_str).unwrap_or("default");
        let splits = Splits::named(name).ok_or_else(|| {
            let known: Vec<&str> = KNOWN.iter().flat_map(|splits| splits.names).copied().collect();
            format!("`tokenizer.ggml.pre` is `{name}`, and these are known: {}", known.join(", "))
        })?;
        let list = array(self.header, "merges");
        // The space stands behind the first character, which may be none of its own.
        let pair = |merge: &str| {
            let first = merge.chars().next().map_or(0, char::len_utf8);
            let space = first + merge.get(first..)?.find(' ')?;
            Some(json!([merge.get(..space)?, merge.get(space + 1..)?]))
        };
        let merges: Vec<Value> = list.iter().flat_map(|list| list.texts()).filter_map(pair).collect();
        let model = json!({
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": splits.ignore_merges, "vocab": self.vocab(), "merges": merges,
        });
        let layers = Layers {
            normalizer: if splits.composes { json!({"type": "NFC"}) } else { Value::Null },
            pre_tokenizer: splits.pre_tokenizer(),
            decoder: json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
            adds_begin: splits.adds_begin,
        };
        Ok((model, layers))
    }

    /// The model of a vocabulary in SentencePiece's manner: blanks are characters of words, unknown ones become bytes.
    fn scored(&self) -> (Value, Layers) {
        let scores: Vec<f32> =
            array(self.header, "scores").map(|list| list.numbers().map(|n| n as f32).collect()).unwrap_or_default();
        let is_piece = |id: usize| matches!(self.kinds.get(id), Some(&(kinds::NORMAL | kinds::USER_DEFINED)));
        let merges: Vec<Value> =
            pieces::merges(&self.tokens, &scores, is_piece).iter().map(|(l, r)| json!([l, r])).collect();
        let unknown = self.special("unknown_token_id").map(|(_, text)| text);
        let unknown = unknown.or_else(|| {
            let id = self.kinds.iter().position(|kind| *kind == kinds::UNKNOWN)?;
            self.tokens.get(id).copied()
        });
        let model = json!({
            "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": self.vocab(), "merges": merges,
        });
        let begins_with_blank = self.flag("add_space_prefix", true);
        let mut normalizers = vec![json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})];
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        if begins_with_blank {
            normalizers.insert(0, json!({"type": "Prepend", "prepend": "▁"}));
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        let layers = Layers {
            normalizer: json!({"type": "Sequence", "normalizers": normalizers}),
            pre_tokenizer: Value::Null,
            decoder: json!({"type": "Sequence", "decoders": decoders}),
            adds_begin: true,
        };
        (model, layers)
    }

    fn vocab(&self) -> Map<String, Value> {
        self.tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect()
    }

    /// Tokens that are found in a text before anything is merged. Phi-3's swallow the blanks behind them, which no key says:
    /// llama.cpp knows it by the model's name.
    fn added_tokens(&self) -> Vec<Value> {
        const KEEP_BLANKS: [&str; 3] = ["<unk>", "<s>", "<|endoftext|>"];
        let is_phi3 = self.header.text("general.architecture") == Some("phi3");
        let swallows = |id: usize| is_phi3 && self.tokens.get(id).is_some_and(|token| !KEEP_BLANKS.contains(token));
        let added = |(id, kind): (usize, &i32)| {
            let is_special = matches!(*kind, kinds::CONTROL | kinds::UNKNOWN);
            (is_special || *kind == kinds::USER_DEFINED).then(|| {
                json!({
                    "id": id, "content": self.tokens.get(id), "single_word": false, "lstrip": false, "rstrip": swallows(id),
                    "normalized": false, "special": is_special,
                })
            })
        };
        self.kinds.iter().enumerate().filter_map(added).collect()
    }

    /// Whether texts get the beginning token and the end token of their own accord.
    fn adds(&self, begin: bool) -> (bool, bool) {
        (self.flag("add_bos_token", begin), self.flag("add_eos_token", false))
    }

    fn post_processor(&self, (begin, end): (bool, bool)) -> Value {
        let begin = if begin { self.special("bos_token_id") } else { None };
        let end = if end { self.special("eos_token_id") } else { None };
        let piece = |token: Option<(u64, &str)>| {
            token.map(|(_, text)| json!({"SpecialToken": {"id": text, "type_id": 0}})).into_iter()
        };
        let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
        let single: Vec<Value> = piece(begin).chain([text("A")]).chain(piece(end)).collect();
        let second: Vec<Value> = piece(begin).chain([text("B")]).chain(piece(end)).collect();
        let pair: Vec<Value> = single.iter().cloned().chain(second).collect();
        let tokens: Map<String, Value> = [begin, end]
            .into_iter()
            .flatten()
            .map(|(id, text)| (text.to_owned(), json!({"id": text, "ids": [id], "tokens": [text]})))
            .collect();
        json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens})
    }

    fn config(&self, (begin, end): (bool, bool)) -> Map<String, Value> {
        let mut config = Map::new();
        for (name, key) in [
            ("bos_token", "bos_token_id"),
            ("eos_token", "eos_token_id"),
            ("pad_token", "padding_token_id"),
            ("unk_token", "unknown_token_id"),
        ] {
            if let Some((_, text)) = self.special(key) {
                config.insert(name.to_owned(), json!(text));
            }
        }
        config.insert("add_bos_token".to_owned(), json!(begin));
        config.insert("add_eos_token".to_owned(), json!(end));
        if let Some(template) = self.header.text("tokenizer.chat_template") {
            config.insert("chat_template".to_owned(), json!(template));
        }
        config
    }

    /// The ends of answers: of a text, of a turn, of a message.
    fn generation(&self) -> Map<String, Value> {
        let ends = ["eos_token_id", "eot_token_id", "eom_token_id"];
        let ids: Vec<u64> = ends.iter().filter_map(|key| self.special(key)).map(|(id, _)| id).collect();
        Map::from_iter([("eos_token_id".to_owned(), json!(ids))])
    }
}

fn array<'a>(header: &'a Header<'a>, name: &str) -> Option<&'a Array<'a>> {
    header.get(&format!("tokenizer.ggml.{name}"))?.as_array()
}
