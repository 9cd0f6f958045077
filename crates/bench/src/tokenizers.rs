//! Tokenizer files with a vocabulary of any size in which it is known beforehand how many tokens a text has: a byte is a
//! token, or a word is. The rest of the vocabulary only makes the model as large as it shall be.

use serde_json::{Map, Value, json};

use crate::shape::{Family, Shape};

/// The end of a text, in a decoder's vocabulary.
const END: &str = "<|endoftext|>";

/// What BERT puts around texts, with the ids that `bert-base-uncased` gives them.
const SPECIAL: [(&str, u32); 5] = [("[PAD]", 0), ("[UNK]", 100), ("[CLS]", 101), ("[SEP]", 102), ("[MASK]", 103)];

/// `tokenizer.json` and `tokenizer_config.json`.
pub fn of(shape: &Shape) -> (Value, Value) {
    match shape.family {
        Family::Bert => (words(shape.vocabulary), word_settings()),
        Family::Llama | Family::Qwen2 => (bytes(shape.vocabulary), json!({"eos_token": END, "bos_token": null})),
    }
}

/// The letter that stands for a byte in vocabularies over bytes, as GPT-2 writes them: printable ones stand for themselves,
/// the rest for letters from number 256 on.
fn letter(byte: u8) -> char {
    let is_printable = |b: u8| matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if is_printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|b| !is_printable(*b)).count() as u32;
    char::from_u32(256 + before).unwrap_or(' ')
}

/// A vocabulary in which every byte is a token but for `zz`: some programs take none without a merge.
fn bytes(vocabulary: usize) -> Value {
    let known =
        [END.to_owned()].into_iter().chain((0..=255).map(|byte| letter(byte).to_string())).chain(["zz".to_owned()]);
    let all = known.chain((0..).map(|i| format!("unused{i}"))).take(vocabulary);
    let vocabulary: Map<String, Value> = all.enumerate().map(|(id, token)| (token, json!(id))).collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [added(END, 0)], "pre_tokenizer": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": [["z", "z"]]},
    })
}

fn added(text: &str, id: u32) -> Value {
    json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        "special": true})
}

/// A vocabulary of the words `w0`, `w1`, …
fn words(vocabulary: usize) -> Value {
    let word =
        |id: u32| SPECIAL.iter().find(|(_, own)| *own == id).map_or_else(|| format!("w{id}"), |(w, _)| (*w).to_owned());
    let vocabulary: Map<String, Value> = (0..vocabulary as u32).map(|id| (word(id), json!(id))).collect();
    let mark = |word: &str, segment: u32| json!({"SpecialToken": {"id": word, "type_id": segment}});
    let text = |name: &str, segment: u32| json!({"Sequence": {"id": name, "type_id": segment}});
    let special = |word: &str, id: u32| json!({"id": word, "ids": [id], "tokens": [word]});
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": SPECIAL.iter().map(|(word, id)| added(word, *id)).collect::<Vec<_>>(),
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
            "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [mark("[CLS]", 0), text("A", 0), mark("[SEP]", 0)],
            "pair": [mark("[CLS]", 0), text("A", 0), mark("[SEP]", 0), text("B", 1), mark("[SEP]", 1)],
            "special_tokens": {"[CLS]": special("[CLS]", 101), "[SEP]": special("[SEP]", 102)}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary},
    })
}

fn word_settings() -> Value {
    json!({"tokenizer_class": "BertTokenizer", "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]",
        "cls_token": "[CLS]", "mask_token": "[MASK]", "model_max_length": 512})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_letters_of_their_own() {
        assert_eq!([b'a', b' ', b'\n', 0, 255].map(letter), ['a', 'Ġ', 'Ċ', 'Ā', 'ÿ']);
        let mut all: Vec<char> = (0..=255).map(letter).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 256);
    }

    #[test]
    fn vocabularies_have_the_size_asked_for() {
        for shape in [crate::shape::SMALL, crate::shape::MINILM] {
            let (file, _) = of(&shape);
            assert_eq!(file["model"]["vocab"].as_object().map(Map::len), Some(shape.vocabulary), "{}", shape.name);
        }
    }
}
