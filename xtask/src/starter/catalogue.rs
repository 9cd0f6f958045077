//! Holds `models/catalogue.json` to the schema that `models/README.md` describes. Tests only: nothing here is run by a person.

use serde_json::Value;

use super::{repository, weights};

const KEYS: [&str; 12] = [
    "id",
    "title",
    "hub",
    "folder",
    "family",
    "task",
    "parameters",
    "context",
    "chat",
    "licence",
    "languages",
    "sentence",
];

fn cards() -> Vec<Value> {
    let text = std::fs::read_to_string(repository().join("models/catalogue.json"))
        .expect("the catalogue is in the repository");
    serde_json::from_str(&text).expect("the catalogue is a JSON list")
}

#[test]
fn every_card_has_exactly_the_documented_keys() {
    let documentation = std::fs::read_to_string(repository().join("models/README.md")).expect("is in the repository");
    for card in cards() {
        let keys: Vec<&str> = card.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, KEYS, "{card}");
        assert!(
            ["llama", "qwen2", "qwen3", "bert", "distilbert"].contains(&card["family"].as_str().expect("text")),
            "{card}"
        );
        assert!(["causal", "classify"].contains(&card["task"].as_str().expect("text")), "{card}");
        assert!(card["hub"].is_string() != card["folder"].is_string(), "{card}");
        assert!(card["sentence"].as_str().is_some_and(|sentence| sentence.ends_with('.')), "{card}");
    }
    assert!(KEYS.iter().all(|key| documentation.contains(&format!("| `{key}` |"))));
}

#[test]
fn names_are_unique_and_the_starter_is_counted_right() {
    let cards = cards();
    let mut ids: Vec<&str> = cards.iter().filter_map(|card| card["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), cards.len());
    let starter = cards.iter().find(|card| card["id"] == "starter").expect("the starter has a card");
    assert_eq!(starter["parameters"].as_u64(), Some(weights::n_parameters() as u64));
}
