//! From a model's tokenizer files to the metadata of a GGUF file.

use std::path::Path;

use lorikeet_gguf::{Array, Value as Field};
use serde_json::Value;

use super::{kinds, pieces, splits::Splits};
use crate::{Tokenizer, error::Result, tokenizer_files::TokenizerFiles};

/// The metadata that describes the tokenizer and the chat template of the model at `model` in a GGUF file. `n_rows` are the
/// rows of the embedding, of which there may be more than tokens.
pub fn gguf_vocabulary(model: &Path, n_rows: usize) -> Result<Vec<(String, Field<'static>)>> {
    let (files, tokenizer) = (TokenizerFiles::read(model)?, Tokenizer::open(model)?);
    let source = files.parsed()?;
    let unnamed = |what: &str| files.fault("tokenizer.json", &format!("GGUF has no form for it: {what}"));
    if source["model"]["type"] != "BPE" {
        return Err(unnamed(&format!("its model is of the kind {}", source["model"]["type"])));
    }
    let merges = merges_of(&source);
    let (tokens, token_kinds) = tokens_of(&source, n_rows);
    let mut fields = Vec::new();
    let mut add = |name: &str, field: Field<'static>| fields.push((format!("tokenizer.ggml.{name}"), field));
    if source["model"]["byte_fallback"] == true {
        add("model", Field::text("llama"));
        add("scores", Field::Array(Array::of_f32(&pieces::scores(&tokens, &merges))));
        add("add_space_prefix", Field::Bool(source["normalizer"].to_string().contains("Prepend")));
    } else {
        let ignores = source["model"]["ignore_merges"] == true;
        let splits = Splits::of(&source["pre_tokenizer"], ignores).ok_or_else(|| {
            unnamed(&format!("its `pre_tokenizer` is none that is known: {}", source["pre_tokenizer"]))
        })?;
        add("model", Field::text("gpt2"));
        add("pre", Field::text(splits.names.first().copied().unwrap_or_default()));
        add("merges", Field::Array(Array::of_texts(merges.iter().map(|(left, right)| format!("{left} {right}")))));
    }
    add("tokens", Field::Array(Array::of_texts(&tokens)));
    add("token_type", Field::Array(Array::of_i32(&token_kinds)));
    let around = tokenizer.encode("a", true)?.ids;
    let (bos, eos) = (tokenizer.bos().map(|t| t.id), tokenizer.eos().map(|t| t.id));
    add("add_bos_token", Field::Bool(bos.is_some() && around.first() == bos.as_ref()));
    add("add_eos_token", Field::Bool(eos.is_some() && around.last() == eos.as_ref()));
    let unknown = files.special_token("unk_token").and_then(|text| tokenizer.token_id(&text));
    let end_of_turn = tokenizer.end_of_turn().map(|t| t.id);
    for (name, id) in [
        ("bos_token_id", bos),
        ("eos_token_id", eos),
        ("eot_token_id", end_of_turn.filter(|id| Some(*id) != eos)),
        ("padding_token_id", tokenizer.pad().map(|t| t.id)),
        ("unknown_token_id", unknown),
    ] {
        if let Some(id) = id {
            add(name, Field::U32(id));
        }
    }
    if let Some(template) = files.chat_template()? {
        fields.push(("tokenizer.chat_template".to_owned(), Field::text(template)));
    }
    Ok(fields)
}

fn merges_of(source: &Value) -> Vec<(&str, &str)> {
    let list = source["model"]["merges"].as_array();
    list.into_iter()
        .flatten()
        .filter_map(|merge| match merge {
            Value::String(text) => text.split_once(' '),
            pair => Some((pair.get(0)?.as_str()?, pair.get(1)?.as_str()?)),
        })
        .collect()
}

/// Tokens by id with their types; ids without a token get one that is never used.
fn tokens_of(source: &Value, n_rows: usize) -> (Vec<String>, Vec<i32>) {
    let mut tokens: Vec<(String, i32)> = Vec::new();
    let mut put = |id: u64, text: &str, kind: i32| {
        let id = id as usize;
        // Ids are far apart only in a file that is not a vocabulary.
        if id < n_rows.max(1 << 20) {
            while tokens.len() <= id {
                tokens.push((format!("[PAD{}]", tokens.len()), kinds::UNUSED));
            }
            tokens[id] = (text.to_owned(), kind);
        }
    };
    let falls_back = source["model"]["byte_fallback"] == true;
    for (text, id) in source["model"]["vocab"].as_object().into_iter().flatten() {
        let is_byte = falls_back && text.len() == 6 && text.starts_with("<0x") && text.ends_with('>');
        put(id.as_u64().unwrap_or(u64::MAX), text, if is_byte { kinds::BYTE } else { kinds::NORMAL });
    }
    let unknown = source["model"]["unk_token"].as_str();
    for token in source["added_tokens"].as_array().into_iter().flatten() {
        let Some(text) = token["content"].as_str() else { continue };
        let kind = match (Some(text) == unknown, token["special"] == true) {
            (true, _) => kinds::UNKNOWN,
            (_, true) => kinds::CONTROL,
            _ => kinds::USER_DEFINED,
        };
        put(token["id"].as_u64().unwrap_or(u64::MAX), text, kind);
    }
    for id in tokens.len()..n_rows {
        tokens.push((format!("[PAD{id}]"), kinds::UNUSED));
    }
    tokens.into_iter().unzip()
}
