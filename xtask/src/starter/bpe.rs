//! The starter model's byte-level BPE tokenizer: trains it, writes its Hugging Face files, and counts tokens with it.

use std::path::Path;

use anyhow::{Result, anyhow};
use serde_json::json;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

use super::chats::Chat;

/// Entries of the vocabulary, special tokens included.
pub const VOCABULARY_SIZE: usize = 4096;
/// Special tokens in the order of their ids, from 0.
pub const SPECIAL_TOKENS: [&str; 4] = ["<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"];
/// Between two documents of one row.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// The chat template as transformers renders it: every turn is `<|im_start|>role`, the text, `<|im_end|>`.
pub const CHAT_TEMPLATE: &str = "{%- for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}";

/// The same rendering without a template engine, for rows that are trained on as plain text.
#[must_use]
pub fn render(chat: &Chat) -> String {
    chat.messages
        .iter()
        .map(|message| format!("<|im_start|>{}\n{}<|im_end|>\n", message.role, message.content.trim()))
        .collect()
}

/// Trains the tokenizer on texts.
pub fn train(texts: &[String]) -> Result<Tokenizer> {
    let specials = SPECIAL_TOKENS.map(|token| AddedToken::from(token, true));
    let trainer = BpeTrainer::builder()
        .vocab_size(VOCABULARY_SIZE)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(specials.to_vec())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_decoder(Some(ByteLevel::new(false, true, true)));
    let mut trainer = TrainerWrapper::BpeTrainer(trainer);
    tokenizer
        .train(&mut trainer, texts.iter().map(String::as_str))
        .map_err(|error| anyhow!("cannot train the tokenizer: {error}"))?;
    Ok(tokenizer)
}

/// Writes `tokenizer.json` and the small JSON files beside it.
pub fn write_files(tokenizer: &Tokenizer, folder: &Path) -> Result<()> {
    let text = tokenizer.to_string(true).map_err(|error| anyhow!("cannot write the tokenizer: {error}"))?;
    super::write_text(&folder.join("tokenizer.json"), &(text + "\n"))?;
    let [pad, end_of_text, im_start, im_end] = SPECIAL_TOKENS;
    let decoder: serde_json::Map<_, _> =
        SPECIAL_TOKENS.iter().enumerate().map(|(id, token)| (id.to_string(), special(token))).collect();
    super::write_json(
        &folder.join("tokenizer_config.json"),
        &json!({
            "add_prefix_space": false, "added_tokens_decoder": decoder, "additional_special_tokens": [im_start, im_end],
            "bos_token": null, "chat_template": CHAT_TEMPLATE, "clean_up_tokenization_spaces": false, "eos_token": im_end,
            "model_max_length": 512, "pad_token": pad, "tokenizer_class": "PreTrainedTokenizerFast", "unk_token": null,
        }),
    )?;
    super::write_json(
        &folder.join("special_tokens_map.json"),
        &json!({
            "additional_special_tokens": [im_start, im_end], "eos_token": im_end, "pad_token": pad,
        }),
    )?;
    let id = |token: &str| tokenizer.token_to_id(token);
    super::write_json(
        &folder.join("generation_config.json"),
        &json!({
            "bos_token_id": id(end_of_text), "eos_token_id": [id(im_end), id(end_of_text)], "max_new_tokens": 96, "pad_token_id": id(pad),
        }),
    )
}

fn special(token: &str) -> serde_json::Value {
    json!({"content": token, "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": true})
}

/// Reads `tokenizer.json` of a model folder.
pub fn load(folder: &Path) -> Result<Tokenizer> {
    let path = folder.join("tokenizer.json");
    Tokenizer::from_file(&path).map_err(|error| {
        anyhow!("cannot read the tokenizer (first run `cargo xtask starter tokenizer`) `{}`: {error}", path.display())
    })
}

/// Tokens of a text.
pub fn count_tokens(tokenizer: &Tokenizer, text: &str) -> Result<usize> {
    let encoding = tokenizer.encode_fast(text, false).map_err(|error| anyhow!("cannot tokenize a text: {error}"))?;
    Ok(encoding.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::starter::chats::Message;
    use crate::starter::folder;

    fn chat() -> Chat {
        let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
        Chat {
            messages: vec![
                message("system", "Be kind."),
                message("user", " Hi! "),
                message("assistant", "Hello, \"you\"."),
            ],
        }
    }

    #[test]
    fn the_shipped_tokenizer_gives_every_text_back() {
        let tokenizer = load(&folder()).expect("the tokenizer is in the repository");
        assert_eq!(tokenizer.get_vocab_size(true), VOCABULARY_SIZE);
        for text in [
            "Mara wants two blue mugs.",
            "  spaces,\n\ttabs",
            "Grüße — 日本語 🙂",
            "{\"item\": \"mug\", \"quantity\": 12}",
            &render(&chat()),
        ] {
            let encoding = tokenizer.encode(text, false).expect("encodes");
            assert_eq!(tokenizer.decode(encoding.get_ids(), false).expect("decodes"), text);
        }
    }

    #[test]
    fn special_tokens_have_their_ids_and_are_read_from_text() {
        let tokenizer = load(&folder()).expect("the tokenizer is in the repository");
        for (id, token) in (0..).zip(SPECIAL_TOKENS) {
            assert_eq!(tokenizer.token_to_id(token), Some(id));
            assert_eq!(tokenizer.encode(token, false).expect("encodes").get_ids(), [id]);
        }
    }

    #[test]
    fn copied_words_are_one_token_with_and_without_a_space() {
        let tokenizer = load(&folder()).expect("the tokenizer is in the repository");
        for word in ["Leeds", "blue", "mug", "Friday", "Anna", "quantity", "complaint"] {
            for text in [word.to_owned(), format!(" {word}")] {
                assert_eq!(count_tokens(&tokenizer, &text).expect("encodes"), 1, "`{text}`");
            }
        }
    }

    #[test]
    fn training_again_gives_the_same_tokenizer() {
        let texts: Vec<String> =
            (0..300).map(|n| format!("The owl {n} saw the old oak and the blue boat on the lake.")).collect();
        let written = |tokenizer: &Tokenizer| tokenizer.to_string(false).expect("writes");
        assert_eq!(written(&train(&texts).expect("trains")), written(&train(&texts).expect("trains")));
    }

    #[test]
    fn the_template_renders_what_the_corpus_is_written_in() {
        let mut environment = minijinja::Environment::new();
        environment.add_template("chat", CHAT_TEMPLATE).expect("the template parses");
        let turn = |message: Message| minijinja::context! { role => message.role, content => message.content };
        let messages: Vec<minijinja::Value> = chat().messages.into_iter().map(turn).collect();
        let render_template = |add_generation_prompt: bool| {
            let context = minijinja::context! { messages => messages.clone(), add_generation_prompt };
            environment.get_template("chat").expect("is there").render(context).expect("renders")
        };
        assert_eq!(render_template(false), render(&chat()));
        assert_eq!(render_template(true), render(&chat()) + "<|im_start|>assistant\n");
        let config = std::fs::read_to_string(folder().join("tokenizer_config.json")).expect("is in the repository");
        let config: serde_json::Value = serde_json::from_str(&config).expect("is JSON");
        assert_eq!(config["chat_template"], CHAT_TEMPLATE);
    }
}
