//! Models and examples for tests of the doors: a tiny Llama with tokenizer and chat template from the test material, a tiny
//! BERT that gets a tokenizer of whole words, and files of examples small enough to train on in a second.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::shared_data;

/// The folder of a tiny model that writes: 512 tokens, two layers, ChatML.
pub fn tiny_llama() -> Option<PathBuf> {
    shared_data::find("gguf/tiny-llama-hf")
}

/// A copy of a model's folder that a test may break.
///
/// # Panics
/// Where it cannot be copied.
pub fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in from.read_dir().expect("a model's folder can be listed") {
        let path = entry.expect("an entry can be read").path();
        let target = to.join(path.file_name().expect("a file has a name"));
        fs::write(target, fs::read(&path).expect("a file can be read")).expect("a file can be written");
    }
}

/// Makes the folder of a tiny classifier: the recorded BERT with a tokenizer of whole words. `None` without the material.
///
/// # Panics
/// Where it cannot be written.
pub fn tiny_classifier(to: &Path) -> Option<()> {
    copied(&shared_data::find("parity/fixtures/bert/model")?, to);
    let tokenizer = serde_json::to_vec_pretty(&word_tokenizer()).expect("JSON can be written");
    fs::write(to.join("tokenizer.json"), tokenizer).expect("a file can be written");
    let config = json!({"tokenizer_class": "BertTokenizer", "pad_token": "[PAD]", "cls_token": "[CLS]",
        "sep_token": "[SEP]", "unk_token": "[UNK]", "model_max_length": 64});
    fs::write(to.join("tokenizer_config.json"), config.to_string()).expect("a file can be written");
    Some(())
}

/// Words between blanks, `[CLS]` before and `[SEP]` after, as BERT's tokenizers write it down.
fn word_tokenizer() -> Value {
    const SPECIAL: [&str; 4] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
    let words = SPECIAL.into_iter().chain(OPENINGS).chain(GOOD).chain(BAD).chain(["was", "and"]);
    let vocabulary: serde_json::Map<String, Value> =
        words.enumerate().map(|(id, word)| (word.to_owned(), json!(id))).collect();
    let added = SPECIAL.iter().enumerate().map(|(id, word)| {
        json!({"id": id, "content": word, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true})
    });
    let special = |word: &str, id: u32| json!({"id": word, "ids": [id], "tokens": [word]});
    let mark = |word: &str, segment: u32| json!({"SpecialToken": {"id": word, "type_id": segment}});
    let text = |name: &str, segment: u32| json!({"Sequence": {"id": name, "type_id": segment}});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [mark("[CLS]", 0), text("A", 0), mark("[SEP]", 0)],
            "pair": [mark("[CLS]", 0), text("A", 0), mark("[SEP]", 0), text("B", 1), mark("[SEP]", 1)],
            "special_tokens": {"[CLS]": special("[CLS]", 2), "[SEP]": special("[SEP]", 3)},
        },
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    })
}

const OPENINGS: [&str; 8] = ["food", "room", "view", "staff", "bed", "pool", "bar", "street"];
const GOOD: [&str; 6] = ["lovely", "clean", "quiet", "warm", "kind", "bright"];
const BAD: [&str; 6] = ["dirty", "loud", "cold", "rude", "dark", "broken"];

/// Writes `n_rows` labelled texts as CSV; what they say decides the label.
///
/// # Panics
/// Where the file cannot be written.
pub fn write_reviews(path: &Path, n_rows: usize) {
    let mut file = BufWriter::new(File::create(path).expect("a file can be made"));
    writeln!(file, "text,label").expect("a file can be written");
    for row in 0..n_rows {
        let (words, label) = if row % 2 == 0 { (GOOD, "good") } else { (BAD, "bad") };
        let opening = OPENINGS[row / 2 % OPENINGS.len()];
        let (first, second) = (words[row / 16 % words.len()], words[(row / 3 + 1) % words.len()]);
        writeln!(file, "{opening} was {first} and {second},{label}").expect("a file can be written");
    }
}

/// Writes `n_rows` questions with answers as JSON lines.
///
/// # Panics
/// Where the file cannot be written.
pub fn write_questions(path: &Path, n_rows: usize) {
    let mut file = BufWriter::new(File::create(path).expect("a file can be made"));
    for row in 0..n_rows {
        let answer = format!("{} is {}.", OPENINGS[row % OPENINGS.len()], GOOD[row / 8 % GOOD.len()]);
        let row = json!({"instruction": format!("What about the {}, number {row}?", OPENINGS[row % OPENINGS.len()]),
            "input": "", "output": answer});
        writeln!(file, "{row}").expect("a file can be written");
    }
}
