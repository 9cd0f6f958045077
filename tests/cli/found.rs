//! What another program fetched on this computer: listed, and used where it lies instead of downloaded again.

use std::fs;

use lorikeet_tests::{material, terminal::Terminal};

#[test]
fn a_model_in_the_cache_of_another_program_is_not_downloaded_again() {
    let Some(model) = material::tiny_llama() else { return };
    let terminal = Terminal::new();
    let nothing = terminal.run("models found").well().out;
    assert_eq!(nothing, "other programs fetched no model that is not listed already\n");

    let repository = terminal.path("hub-cache/models--tiny--llama");
    let snapshot = repository.join("snapshots/abc");
    material::copied(&model, &snapshot);
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::write(repository.join("refs/main"), "abc").unwrap();
    let found = terminal.run("models found --json").well().json();
    assert_eq!((found[0]["name"].as_str(), found[0]["path"].as_str()), (Some("tiny/llama"), snapshot.to_str()));
    assert!(terminal.run("models found").well().out.contains("tiny/llama"));

    let got = terminal.run("models get tiny/llama --json").well();
    assert_eq!((got.json()["id"].as_str(), got.json()["path"].as_str()), (Some("llama"), snapshot.to_str()));
    assert!(got.error.contains("nothing was downloaded: "), "{}", got.error);
    assert!(!terminal.files().iter().any(|file| file.contains("tiny--llama")));
    assert_eq!(terminal.run("models found --json").well().json().as_array().map(Vec::len), Some(0));
}
