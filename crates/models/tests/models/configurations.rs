//! What is said of a `config.json` that cannot be used.

use std::fs;

use lorikeet_models::{Architecture, ModelConfig};
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
    insta::assert_snapshot!(with("model_type", json!("mamba")), @"`mamba` is not a model family that Lorikeet knows; known are llama, mistral, smollm3, qwen2, qwen3, phi3, gemma, gemma2, gemma3_text, gemma3, gpt2, bert, distilbert, roberta, xlm-roberta, albert");
    insta::assert_snapshot!(with("model_type", json!("qwen3_5")), @"`qwen3_5` is not a model family that Lorikeet knows (the closest is `qwen3`); known are llama, mistral, smollm3, qwen2, qwen3, phi3, gemma, gemma2, gemma3_text, gemma3, gpt2, bert, distilbert, roberta, xlm-roberta, albert");
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
        "sliding_window",
        "sliding_window_pattern",
        "no_rope_layer_interval",
        "partial_rotary_factor",
        "query_pre_attn_scalar",
        "attn_logit_softcapping",
        "final_logit_softcapping",
        "hidden_activation",
    ];
    for (family, config) in zoo::configurations() {
        // Gemma's files say their activation under another key, and the third's class knows every size.
        let assumed = |k: &str| family == "gemma3" || (family.starts_with("gemma") && k == "hidden_act");
        let needed = |k: &&String| !optional.contains(&k.as_str()) && !assumed(k);
        for key in config.as_object().unwrap().keys().filter(needed) {
            let mut cut = config.clone();
            cut.as_object_mut().unwrap().remove(key);
            let said = refusal(&cut.to_string());
            assert!(said.contains(&format!("has no `{key}`")), "{family}: {said}");
        }
    }
}

/// The refusal of the configuration called `family` with one key set.
fn family_with(family: &str, key: &str, value: Value) -> String {
    let mut config = zoo::configuration(family);
    config[key] = value;
    refusal(&config.to_string())
}

#[test]
fn options_of_single_families() {
    insta::assert_snapshot!(family_with("smollm3", "no_rope_layers", json!([1])), @"`folder/config.json` says `no_rope_layers`: [1], which is not a list with an entry for each layer");
    insta::assert_snapshot!(family_with("smollm3", "no_rope_layers", json!([1, 2])), @"`folder/config.json` says `no_rope_layers`: 2, which is neither 0 nor 1");
    insta::assert_snapshot!(family_with("gemma2", "layer_types", json!(["full_attention", "chunked_attention"])), @r#"`folder/config.json` says `layer_types`: "chunked_attention", which is not a kind of attention that is built (full_attention, sliding_attention)"#);
    insta::assert_snapshot!(family_with("gemma2", "use_bidirectional_attention", json!(true)), @"`folder/config.json` says `use_bidirectional_attention`: true, which is not built");
    insta::assert_snapshot!(family_with("gemma2", "sliding_window", json!(0)), @"`folder/config.json` says `sliding_window`: 0, which is not a positive whole number");
    insta::assert_snapshot!(family_with("gpt2", "scale_attn_by_inverse_layer_idx", json!(true)), @"`folder/config.json` says `scale_attn_by_inverse_layer_idx`: true, which is not built");
    insta::assert_snapshot!(family_with("gpt2", "n_head", json!(3)), @"`folder/config.json` says `n_head`: 3, which does not divide `n_embd`");
    insta::assert_snapshot!(refusal(&json!({"model_type": "gemma3"}).to_string()), @"`folder/config.json` has no `text_config`, which a `gemma3` model needs; take the file from where it was published");
}

/// A file whose `model_type` is not listed, with these keys beside Llama's.
fn unlisted(extra: Value) -> Value {
    let mut config = zoo::configuration("llama untied");
    config["model_type"] = json!("quokka");
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    config
}

#[test]
fn a_family_that_is_not_listed_is_read_as_the_class_that_its_file_names() {
    let folder = tempfile::tempdir().unwrap();
    let read = |config: &Value| {
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        ModelConfig::read(folder.path(), None).unwrap()
    };
    let llama = read(&zoo::configuration("llama untied")).architecture;
    let quokka = read(&unlisted(json!({"architectures": ["LlamaForCausalLM"], "use_cache": true})));
    assert_eq!((quokka.model_type.as_str(), &quokka.architecture), ("quokka", &llama));
    let labels = read(&unlisted(json!({"architectures": ["LlamaForSequenceClassification"]})));
    assert_eq!(labels.architecture, llama);
}

#[test]
fn a_family_that_is_not_listed_and_does_not_say_what_it_is_or_more_than_can_be_built() {
    insta::assert_snapshot!(refusal(&unlisted(json!({})).to_string()), @"`quokka` is not a model family that Lorikeet knows; known are llama, mistral, smollm3, qwen2, qwen3, phi3, gemma, gemma2, gemma3_text, gemma3, gpt2, bert, distilbert, roberta, xlm-roberta, albert");
    insta::assert_snapshot!(refusal(&unlisted(json!({"architectures": ["QuokkaForCausalLM"]})).to_string()), @"`quokka` is not a model family that Lorikeet knows; known are llama, mistral, smollm3, qwen2, qwen3, phi3, gemma, gemma2, gemma3_text, gemma3, gpt2, bert, distilbert, roberta, xlm-roberta, albert");
    let more = json!({"architectures": ["LlamaForCausalLM"], "residual_multiplier": 0.22});
    insta::assert_snapshot!(refusal(&unlisted(more).to_string()), @"`folder/config.json` says `residual_multiplier`: 0.22, which means nothing to `LlamaForCausalLM`, which the file names as its class");
    let own_code = json!({"architectures": ["LlamaForCausalLM"], "auto_map": {"AutoModel": "modeling.Quokka"}});
    insta::assert_snapshot!(refusal(&unlisted(own_code).to_string()), @r#"`folder/config.json` says `auto_map`: {"AutoModel":"modeling.Quokka"}, which means nothing to `LlamaForCausalLM`, which the file names as its class"#);
}

#[test]
fn values_that_make_no_sense() {
    insta::assert_snapshot!(with("hidden_size", json!(-8)), @"`folder/config.json` says `hidden_size`: -8, which is not a positive whole number");
    insta::assert_snapshot!(with("num_hidden_layers", json!("two")), @r#"`folder/config.json` says `num_hidden_layers`: "two", which is not a positive whole number"#);
    insta::assert_snapshot!(with("num_key_value_heads", json!(3)), @"`folder/config.json` says `num_key_value_heads`: 3, which does not divide `num_attention_heads`");
    insta::assert_snapshot!(with("head_dim", json!(5)), @"`folder/config.json` says `head_dim`: 5, which means that 5 channels of a head are to be rotated; that must be pairs within the head");
    insta::assert_snapshot!(with("rms_norm_eps", json!(0)), @"`folder/config.json` says `rms_norm_eps`: 0, which is not a positive number");
    insta::assert_snapshot!(with("hidden_act", json!("snake")), @r#"`folder/config.json` says `hidden_act`: "snake", which is not an activation that is built (silu, gelu, gelu_new, gelu_pytorch_tanh, relu)"#);
    insta::assert_snapshot!(with("rope_scaling", json!({"rope_type": "mrope", "factor": 2.0})), @r#"`folder/config.json` says `rope_type`: "mrope", which is not a scaling that is built (default, linear, dynamic, llama3, yarn, longrope)"#);
    insta::assert_snapshot!(with("rope_scaling", json!({"rope_type": "longrope", "short_factor": [1.0]})), @"`folder/config.json` says `short_factor`: [1.0], which is not a list of 2 positive numbers");
    insta::assert_snapshot!(with("rope_scaling", json!({"rope_type": "longrope", "short_factor": [1.0, -1.0]})), @"`folder/config.json` says `short_factor`: [1.0,-1.0], which is not a list of 2 positive numbers");
    insta::assert_snapshot!(with("partial_rotary_factor", json!(0.25)), @"`folder/config.json` says `head_dim`: 4, which means that 1 channels of a head are to be rotated; that must be pairs within the head");
    insta::assert_snapshot!(with("num_hidden_layers", json!(1_000_000)), @"`folder/config.json` says `num_hidden_layers`: 1000000, which is more layers than are built (4096)");
    insta::assert_snapshot!(with("rope_scaling", json!({"rope_type": "linear"})), @"`folder/config.json` has no `factor`, which a `llama` model needs; take the file from where it was published");
    insta::assert_snapshot!(with("rope_scaling", json!({"rope_type": "linear", "factor": 0})), @"`folder/config.json` says `factor`: 0, which is not a positive number");
}

/// transformers 4 and 5 spell the same model differently.
#[test]
fn both_spellings_of_rotary_embeddings_mean_the_same() {
    let architecture = |extra: Value| {
        let folder = tempfile::tempdir().unwrap();
        let mut config = zoo::configuration("phi3");
        config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        config.as_object_mut().unwrap().remove("partial_rotary_factor");
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        ModelConfig::read(folder.path(), None).unwrap().architecture
    };
    let yarn = json!({"rope_type": "yarn", "rope_theta": 70.0, "factor": 4.0, "original_max_position_embeddings": 8});
    let new = architecture(json!({"model_type": "llama", "rope_parameters": yarn}));
    let mut scaling = yarn.clone();
    scaling.as_object_mut().unwrap().remove("rope_type");
    scaling["type"] = json!("yarn");
    scaling.as_object_mut().unwrap().remove("rope_theta");
    let old = architecture(json!({"model_type": "llama", "rope_theta": 70.0, "rope_scaling": scaling}));
    assert_eq!(new, old);

    let lists = json!({"short_factor": [1.0, 1.5], "long_factor": [2.0, 4.0], "rope_type": "longrope"});
    let new = architecture(json!({"rope_parameters": lists, "original_max_position_embeddings": 4}));
    let mut lists = lists.clone();
    lists.as_object_mut().unwrap().remove("rope_type");
    lists["type"] = json!("su");
    let old = architecture(json!({"rope_scaling": lists, "original_max_position_embeddings": 4}));
    assert_eq!(new, old);
}

/// The larger Gemma 3 are published with little more than width and depth.
#[test]
fn a_sparse_gemma_is_what_its_class_takes_for_granted() {
    let folder = tempfile::tempdir().unwrap();
    let sparse = json!({
        "model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "torch_dtype": "bfloat16",
        "text_config": {
            "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024
        },
        "vision_config": {"hidden_size": 1152}
    });
    fs::write(folder.path().join("config.json"), sparse.to_string()).unwrap();
    let Architecture::Decoder(spec) = ModelConfig::read(folder.path(), None).unwrap().architecture else {
        panic!("Gemma 3 is a decoder");
    };
    assert_eq!((spec.heads, spec.kv_heads, spec.head_dim, spec.vocabulary), (8, 4, 256, 262_208));
    assert_eq!((spec.tied, spec.embedding_scale, spec.score_scale), (true, Some(50.5), 0.0625));
    let full: Vec<usize> = (0..34).filter(|i| spec.layers[*i].window.is_none()).collect();
    assert_eq!(full, [5, 11, 17, 23, 29]);
    let bases = spec.layers.iter().map(|layer| spec.ropes[layer.rope.unwrap()].theta);
    assert!(bases.enumerate().all(|(i, theta)| theta == if full.contains(&i) { 1e6 } else { 1e4 }));
}
