//! Sentence embeddings of a real encoder against those of transformers, with the folder's own pooling and with another.

use std::{fs, path::Path};

use lorikeet_data::Tokenizer;
use lorikeet_models::{EmbeddingSettings, Fused, Model, Pooling, Tokens};
use lorikeet_tests::material;
use serde_json::Value;

use crate::{encoder, recorded::read_json};

const NUMBERS: f64 = 1e-5;

fn floats(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn apart(ours: &[f32], theirs: &[f64]) -> f64 {
    assert!(theirs.len() <= ours.len());
    ours.iter().zip(theirs).fold(0.0, |m, (a, b)| m.max((f64::from(*a) - b).abs()))
}

#[test]
fn sentence_embeddings_are_those_of_transformers() {
    let Some(folder) = encoder() else { return };
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("parity/recorded/sentence-embeddings.json");
    let recorded = read_json(&recorded);
    let settings = EmbeddingSettings::read(&folder).unwrap();
    assert_eq!(settings, EmbeddingSettings { pooling: Pooling::Mean, max_length: settings.max_length });
    let (model, tokenizer) = (Model::open(Fused::new(2).unwrap(), &folder).unwrap(), Tokenizer::open(&folder).unwrap());
    let texts = recorded["texts"].as_array().unwrap();
    let ids = |text: &Value| {
        let ids = tokenizer.encode_for_classifier(text["text"].as_str().unwrap(), None, 256).unwrap().ids;
        assert_eq!(ids.len() as u64, text["n_tokens"].as_u64().unwrap());
        ids
    };
    let tokens = Tokens::from_sequences(&texts.iter().map(ids).collect::<Vec<_>>());
    let mean = model.embeddings(&tokens, settings.pooling).unwrap();
    let first = model.embeddings(&tokens, Pooling::First).unwrap();
    let mut worst = 0f64;
    for (i, text) in texts.iter().enumerate() {
        assert_eq!(mean[i].len() as u64, recorded["n_dimensions"].as_u64().unwrap());
        let likeness: Vec<f32> =
            mean.iter().map(|other| other.iter().zip(&mean[i]).map(|(a, b)| a * b).sum()).collect();
        for (ours, theirs) in [(&mean[i], "mean"), (&first[i], "cls"), (&likeness, "mean_likeness")] {
            let difference = apart(ours, &floats(&text[theirs]));
            assert!(difference < NUMBERS, "{}: {theirs} differs by {difference:.1e}", text["text"]);
            worst = worst.max(difference);
        }
    }
    println!("largest difference of a sentence embedding: {worst:.1e}");
}

#[test]
fn the_pooling_that_a_folder_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    if material::tiny_classifier(folder.path()).is_none() {
        return;
    }
    let read = |pooling: &str| {
        fs::create_dir_all(folder.path().join("1_Pooling")).unwrap();
        fs::write(folder.path().join("1_Pooling/config.json"), pooling).unwrap();
        EmbeddingSettings::read(folder.path()).map(|s| s.pooling).map_err(|e| e.to_string())
    };
    let none = EmbeddingSettings { pooling: Pooling::Mean, max_length: None };
    assert_eq!(EmbeddingSettings::read(folder.path()).unwrap(), none);
    assert_eq!(read(r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#), Ok(Pooling::First));
    assert_eq!(read(r#"{"pooling_mode_lasttoken": true}"#), Ok(Pooling::Last));
    assert_eq!(read(r#"{"pooling_mode": "mean"}"#), Ok(Pooling::Mean));
    let said = read(r#"{"pooling_mode_max_tokens": true}"#).unwrap_err();
    assert!(
        said.ends_with("says `pooling_mode`: max_tokens, which is not built (mean, cls and lasttoken are)"),
        "{said}"
    );
    assert!(read("{").unwrap_err().contains("is not valid JSON"));
}
