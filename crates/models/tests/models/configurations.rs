//! What is said of a `config.json` that cannot be used.

use std::fs;

use lorikeet_models::ModelConfig;
use serde_json::{Value, json};

use crate::zoo;

/// The refusal of a configuration file with this text.
fn refusal(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), text).unwrap();
    zoo::message(ModelConfig::read(folder.path(), None), folder.path())
}

/// The refusal of a Llama configuration with one key set, or left out for `null`.
fn with(key: &str, value: Value) -> String {
    let mut config = zoo::configuration("llama untied");
    match value {
        Value::Null => drop(config.as_object_mut().unwrap().remove(key)),
        value => config[key] = value,
    }
    refusal(&config.to_string())
}

#[test]
fn a_folder_without_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(zoo::message(ModelConfig::read(folder.path(), None), folder.path()), @"`folder` holds no model: expected `config.json` with `model.safetensors` or `model.safetensors.index.json`");
}

#[test]
fn a_configuration_that_is_not_json() {
    insta::assert_snapshot!(refusal("{\"model_type\": \"llama\",\n  \"vocab_size\": }"), @"`folder/config.json` is not valid JSON (line 2, column 17): expected value at line 2 column 17");
}

#[test]
fn a_family_that_is_not_built() {
    insta::assert_snapshot!(with("model_type", json!("mamba")), @"`mamba` is not a model family that Lorikeet knows; known are llama, qwen2, qwen3, bert, distilbert, roberta, xlm-roberta, albert");
    insta::assert_snapshot!(with("model_type", Value::Null), @"`folder/config.json` has no `model_type`, which every model needs; take the file from where it was published");
}

#[test]
fn a_missing_key() {
    insta::assert_snapshot!(with("hidden_size", Value::Null), @"`folder/config.json` has no `hidden_size`, which a `llama` model needs; take the file from where it was published");
    insta::assert_snapshot!(with("rms_norm_eps", Value::Null), @"`folder/config.json` has no `rms_norm_eps`, which a `llama` model needs; take the file from where it was published");
}

/// Whichever key of whichever family is missing, it is named.
#[test]
fn every_missing_key_is_named() {
    let optional = [
        "num_key_value_heads",
        "head_dim",
        "tie_word_embeddings",
        "attention_bias",
        "mlp_bias",
        "rope_theta",
        "num_hidden_groups",
        "inner_group_num",
        "architectures",
        "id2label",
    ];
    for (family, config) in zoo::configurations() {
        for key in config.as_object().unwrap().keys().filter(|k| !optional.contains(&k.as_str())) {
            let mut cut = config.clone();
            cut.as_object_mut().unwrap().remove(key);
            let said = refusal(&cut.to_string());
            assert!(said.contains(&format!("has no `{key}`")), "{family}: {said}");
        }
    }
}

#[test]
fn values_that_make_no_sense() {
    insta::assert_snapshot!(with("hidden_size", json!(-8)), @"`folder/config.json` says `hidden_size`: -8, which is not a positive whole number");
    insta::assert_snapshot!(with("num_hidden_layers", json!("two")), @r#"`folder/config.json` says `num_hidden_layers`: "two", which is not a positive whole number"#);
    insta::assert_snapshot!(with("num_key_value_heads", json!(3)), @"`folder/config.json` says `num_key_value_heads`: 3, which does not divide `num_attention_heads`");
    insta::assert_snapshot!(with("head_dim", json!(5)), @"`folder/config.json` says `head_dim`: 5, which is odd; rotary embeddings need pairs");
    insta::assert_snapshot!(with("rms_norm_eps", json!(0)), @"`folder/config.json` says `rms_norm_eps`: 0, which is not a positive number");
    insta::assert_snapshot!(with("hidden_act", json!("snake")), @r#"`folder/config.json` says `hidden_act`: "snake", which is not an activation that is built (silu, gelu, gelu_new, gelu_pytorch_tanh, relu)"#);
    insta::assert_snapshot!(with("rope_scaling", json!({"rope_type": "yarn", "factor": 2.0})), @r#"`folder/config.json` says `rope_type`: "yarn", which is not a scaling that is built (default, linear, llama3)"#);
    insta::assert_snapshot!(with("rope_scaling", json!({"rope_type": "linear"})), @"`folder/config.json` has no `factor`, which a `llama` model needs; take the file from where it was published");
    insta::assert_snapshot!(with("rope_scaling", json!({"rope_type": "linear", "factor": 0})), @"`folder/config.json` says `factor`: 0, which is not a positive number");
    insta::assert_snapshot!(with("use_sliding_window", json!(true)), @"`folder/config.json` says `use_sliding_window`: true, which is not built yet");
}
