//! Models that are made to harm, through the door: a code, a sentence with the file and the mend, and no lasting trace.

use std::{fs, path::Path};

use lorikeet_tests::{material, shared_data, terminal::Terminal};

/// What `models add` says of a model that `damage` has made out of a good one.
fn said(terminal: &Terminal, model: &Path, name: &str, damage: impl Fn(&Path)) -> String {
    let place = terminal.path(name);
    material::copied(model, &place);
    damage(&place);
    added(terminal, &place)
}

fn added(terminal: &Terminal, place: &Path) -> String {
    let ended = terminal.run_words(["models".as_ref(), "add".as_ref(), place.as_os_str()]).with_code(1);
    assert!(!ended.error.contains("panicked"), "{}", ended.error);
    // The temporary folder is another one each time.
    ended.error.replace(&*terminal.path("").to_string_lossy(), "HERE/").trim().to_owned()
}

#[test]
fn hostile_models_are_refused_with_the_file_and_the_mend() {
    let (terminal, Some(model)) = (Terminal::new(), material::tiny_llama()) else { return };
    let deep = format!("{{\"model\": {}1{}}}", "[".repeat(300_000), "]".repeat(300_000));
    let lengths = [&(1u64 << 62).to_le_bytes()[..], b"{}"].concat();
    let write = |name: &'static str, bytes: Vec<u8>| move |folder: &Path| fs::write(folder.join(name), &bytes).unwrap();
    let only_a_pickle = |folder: &Path| {
        fs::remove_file(folder.join("model.safetensors")).unwrap();
        fs::write(folder.join("pytorch_model.bin"), b"PK\x03\x04").unwrap();
    };
    let said = [
        said(&terminal, &model, "length", write("model.safetensors", lengths)),
        said(&terminal, &model, "bomb", write("tokenizer.json", deep.clone().into_bytes())),
        said(&terminal, &model, "deep", write("config.json", deep.into_bytes())),
        said(&terminal, &model, "renamed", write("model.safetensors", b"\x80\x02}q\x00X\x05\x00\x00\x00".to_vec())),
        said(&terminal, &model, "pickled", only_a_pickle),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn hostile_gguf_files_are_refused_with_the_file_and_the_mend() {
    let (terminal, Some(root)) = (Terminal::new(), shared_data::find("gguf")) else { return };
    let whole = fs::read(root.join("tiny-llama-q4_0.gguf")).unwrap();
    let with = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let (place, mut bytes) = (terminal.path(name), whole.clone());
        change(&mut bytes);
        fs::write(&place, bytes).unwrap();
        added(&terminal, &place)
    };
    let said = [
        with("tensors.gguf", &|bytes| bytes[8..16].copy_from_slice(&(7u64 << 30).to_le_bytes())),
        with("keys.gguf", &|bytes| bytes[16..24].copy_from_slice(&u64::MAX.to_le_bytes())),
        with("version.gguf", &|bytes| bytes[4] = 9),
        with("half.gguf", &|bytes| bytes.truncate(bytes.len() / 2)),
        with("front.gguf", &|bytes| bytes.truncate(1000)),
        with("pickle.gguf", &|bytes| bytes[..4].copy_from_slice(b"PK\x03\x04")),
        with("empty.gguf", &|bytes| bytes.clear()),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
    assert_eq!(terminal.run("models list --json").well().json().as_array().map(|list| list.len()), Some(1));
}
