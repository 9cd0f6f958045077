//! Files that are broken: a clear message, exit code 1, nothing half-written.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use lorikeet_tests::{
    material, shared_data,
    terminal::{Ended, Terminal},
};
use serde_json::{Value, json};

/// Ends with 1, says `part`, and leaves no file in the data folder but what `before` holds.
fn failed(terminal: &Terminal, words: &str, part: &str, before: &[String]) -> Ended {
    let ended = terminal.run(words).with_code(1);
    assert!(ended.error.starts_with("error: ") && ended.error.contains(part), "`{words}` says: {}", ended.error);
    assert!(!ended.error.contains("panicked"), "{}", ended.error);
    assert_eq!(terminal.files(), before, "`{words}` left something");
    ended
}

/// Trains on good examples with a broken model; neither result nor half a file may be there afterwards.
fn training_fails(terminal: &Terminal, part: &str) {
    material::write_questions(&terminal.path("questions.jsonl"), 20);
    let _ = terminal.run("data import questions.jsonl").well();
    let before = terminal.files();
    let words = "train --model ./model --data questions --steps 2 --threads 1 --output out";
    let ended = terminal.run(words).with_code(1);
    assert!(ended.error.contains("error: ") && ended.error.contains(part), "{}", ended.error);
    assert!(!ended.error.contains("panicked"), "{}", ended.error);
    assert!(!terminal.path("out").exists(), "a result of a failed run");
    let left: Vec<_> = terminal.files().into_iter().filter(|file| !before.contains(file)).collect();
    assert!(left.iter().all(|file| file.ends_with("run.yaml")), "half-written: {left:?}");
}

#[test]
fn weights_that_end_too_early() {
    let (terminal, Some(model)) = (Terminal::new(), material::tiny_llama()) else { return };
    material::copied(&model, &terminal.path("model"));
    let weights = terminal.path("model").join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    training_fails(&terminal, "model.safetensors");
}

#[test]
fn a_configuration_without_a_key() {
    let (terminal, Some(model)) = (Terminal::new(), material::tiny_llama()) else { return };
    material::copied(&model, &terminal.path("model"));
    let path = terminal.path("model").join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config.as_object_mut().unwrap().remove("hidden_size");
    fs::write(&path, config.to_string()).unwrap();
    training_fails(&terminal, "`hidden_size`");
}

#[test]
fn a_tokenizer_that_does_not_fit() {
    let (terminal, Some(model)) = (Terminal::new(), material::tiny_llama()) else { return };
    material::copied(&model, &terminal.path("model"));
    let path = terminal.path("model").join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let added = tokenizer["added_tokens"].as_array_mut().unwrap();
    let mut beyond = added[0].clone();
    beyond["id"] = json!(512);
    beyond["content"] = json!("<|beyond|>");
    added.push(beyond);
    fs::write(&path, tokenizer.to_string()).unwrap();
    training_fails(&terminal, "<|beyond|>");
}

#[test]
fn a_model_folder_without_a_model() {
    let terminal = Terminal::new();
    fs::create_dir(terminal.path("model")).unwrap();
    training_fails(&terminal, "config.json");
}

#[test]
fn an_empty_file() {
    let terminal = Terminal::new();
    fs::write(terminal.path("empty.jsonl"), "").unwrap();
    failed(&terminal, "data import empty.jsonl", "is empty", &[]);
    fs::write(terminal.path("blank.csv"), "\n\n\n").unwrap();
    failed(&terminal, "data import blank.csv", "blank.csv", &[]);
}

#[test]
fn a_table_with_broken_quotes() {
    let terminal = Terminal::new();
    let rows: String = (0..30).map(|row| format!("message {row},{}\n", ["ham", "spam"][row % 2])).collect();
    fs::write(terminal.path("spam.csv"), format!("text,label\n{rows}\"never closed,ham\nlast,spam\n")).unwrap();
    let ended = failed(&terminal, "data import spam.csv", "line 32", &[]);
    assert!(ended.error.contains("--keep-good"), "no way out: {}", ended.error);
    let kept = terminal.run("data import spam.csv --keep-good --json").well().json();
    assert_eq!((kept["n_rows"].as_u64(), kept["n_bad"].as_u64()), (Some(31), Some(1)), "{kept}");
    assert_eq!(kept["bad_rows"][0]["line"], 32, "{kept}");
}

/// A real export: Windows-1252, three columns without a name, fields that ran over.
#[test]
fn a_table_as_it_is_passed_around() {
    let (terminal, Some(folder)) = (Terminal::new(), shared_data::find("data/messy_spam_csv")) else { return };
    let file = folder.join("spam.csv").display().to_string();
    let refused = terminal.run_words(["data", "import", &file, "--json"]).with_code(1);
    let error = refused.json();
    assert_eq!(error["error"]["code"], "bad_rows", "{error}");
    let details = &error["error"]["details"];
    let n_bad = details["n_bad"].as_u64().unwrap();
    let first = details["first"].as_array().unwrap();
    assert!(n_bad >= 50 && first.len() == 10, "{error}");
    for row in first {
        assert!(row["line"].as_u64() > Some(1) && row["column"].as_u64() >= Some(1), "{row}");
        assert!(row["reason"].as_str().unwrap().len() > 10, "{row}");
    }
    assert_eq!(terminal.files(), Vec::<String>::new());
    let kept = terminal.run_words(["data", "import", &file, "--keep-good", "--json"]).well().json();
    assert_eq!(kept["n_rows"].as_u64().unwrap() + kept["n_bad"].as_u64().unwrap(), 5572, "{kept}");
    assert_eq!((kept["kind"].as_str(), kept["n_bad"].as_u64()), (Some("text_label"), Some(n_bad)));
}

#[test]
fn a_single_line_of_200_megabytes() {
    let terminal = Terminal::new();
    for (name, opening) in [("line.jsonl", "{\"text\": \""), ("line.csv", "text,label\n\"")] {
        let path = terminal.path(name);
        write_long(&path, opening, 200_000_000);
        let ended = failed(&terminal, &format!("data import {name}"), name, &[]);
        assert!(!ended.error.contains("--keep-good"), "there is nothing to keep: {}", ended.error);
        fs::remove_file(&path).unwrap();
    }
}

fn write_long(path: &Path, opening: &str, n_bytes: usize) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(opening.as_bytes()).unwrap();
    let piece = b"a long word and another one ".repeat(4096);
    for _ in 0..n_bytes / piece.len() + 1 {
        file.write_all(&piece).unwrap();
    }
}

#[test]
fn a_label_that_only_the_validation_has() {
    let terminal = Terminal::new();
    if material::tiny_classifier(&terminal.path("bert")).is_none() {
        return;
    }
    material::write_reviews(&terminal.path("reviews.csv"), 40);
    fs::write(terminal.path("check.csv"), "text,label\nfood was lovely,good\nroom was cold,bad\nbed was dark,odd\n")
        .unwrap();
    let words =
        "train --json --model ./bert --data reviews.csv --validation check.csv --steps 2 --threads 1 --output out";
    let ended = terminal.run(words).with_code(1);
    let last = ended.json_lines().pop().unwrap_or_else(|| panic!("nothing was said: {}", ended.error));
    assert_eq!(last["code"].as_str().or(last["error"]["code"].as_str()), Some("unseen_label"), "{last}");
    assert!(ended.error.contains("`odd`"), "{}", ended.error);
    assert!(!terminal.path("out").exists());
    assert!(!terminal.files().iter().any(|file| file.contains("checkpoint") || file.contains("partial")));
}
