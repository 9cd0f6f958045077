//! Tiny models of every family, made from a configuration and a seed.

use std::{fs, path::Path};

use lorikeet_models::{
    Backend, Fused, Model, ModelConfig, ModelError, Precision, Tokens, Trainable, WeightSource, random::Stream,
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const VOCABULARY: u32 = 13;
pub const LABELS: usize = 3;

fn decoder(extra: Value) -> Value {
    let plain = json!({
        "vocab_size": VOCABULARY, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 16, "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "rope_theta": 100.0
    });
    merge(plain, extra)
}

fn gemma(extra: Value) -> Value {
    let plain = json!({
        "head_dim": 6, "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 5, "sliding_window": 3
    });
    merge(decoder(plain), extra)
}

fn merge(mut plain: Value, extra: Value) -> Value {
    plain.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    plain
}

/// A name and a configuration for every switch that a family can have.
pub fn configurations() -> Vec<(&'static str, Value)> {
    let bert = json!({
        "model_type": "bert", "vocab_size": VOCABULARY, "hidden_size": 8, "intermediate_size": 12,
        "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 16, "type_vocab_size": 2,
        "layer_norm_eps": 1e-6, "hidden_act": "gelu"
    });
    let distilbert = json!({
        "model_type": "distilbert", "vocab_size": VOCABULARY, "dim": 8, "hidden_dim": 12, "n_layers": 2, "n_heads": 2,
        "max_position_embeddings": 16, "activation": "gelu"
    });
    let roberta = merge(bert.clone(), json!({"model_type": "roberta", "type_vocab_size": 1, "pad_token_id": 1}));
    // Three layers in two groups: two of the first, one of the second, each of two blocks.
    let albert = json!({
        "model_type": "albert", "embedding_size": 6, "num_hidden_layers": 3, "num_hidden_groups": 2,
        "inner_group_num": 2, "hidden_act": "gelu_new"
    });
    let albert = merge(bert.clone(), albert);
    let labelled = json!({
        "model_type": "llama", "architectures": ["LlamaForSequenceClassification"],
        "id2label": {"0": "down", "1": "flat", "2": "up"}
    });
    let gpt2 = json!({
        "model_type": "gpt2", "vocab_size": VOCABULARY, "n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 16,
        "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new"
    });
    vec![
        ("llama untied", decoder(json!({"model_type": "llama", "tie_word_embeddings": false}))),
        ("llama tied", decoder(json!({"model_type": "llama", "tie_word_embeddings": true}))),
        ("llama for labels", decoder(labelled)),
        ("llama biased", decoder(json!({"model_type": "llama", "attention_bias": true, "mlp_bias": true}))),
        ("qwen2", decoder(json!({"model_type": "qwen2", "tie_word_embeddings": true}))),
        ("qwen3", decoder(json!({"model_type": "qwen3", "head_dim": 6}))),
        ("mistral", decoder(json!({"model_type": "mistral", "sliding_window": 3}))),
        (
            "smollm3",
            decoder(json!({"model_type": "smollm3", "no_rope_layer_interval": 2, "tie_word_embeddings": true})),
        ),
        ("phi3", decoder(json!({"model_type": "phi3", "sliding_window": null, "partial_rotary_factor": 0.5}))),
        ("gemma", decoder(json!({"model_type": "gemma", "head_dim": 6}))),
        (
            "gemma2",
            gemma(json!({"model_type": "gemma2", "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0})),
        ),
        ("gemma3", gemma(json!({"model_type": "gemma3_text", "sliding_window_pattern": 2}))),
        ("gpt2", gpt2),
        ("bert", bert),
        ("distilbert", distilbert),
        ("roberta", roberta),
        ("albert", albert),
    ]
}

/// The model of a configuration with numbers large enough that nothing is nearly flat, norms and biases too.
pub fn model<B: Backend>(backend: B, folder: &Path, config: &Value, trainable: &Trainable) -> Model<B> {
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let is_encoder =
        config["model_type"].as_str().is_some_and(|family| family.ends_with("bert") || family == "roberta");
    let config = ModelConfig::read(folder, is_encoder.then_some(LABELS)).unwrap();
    let source = WeightSource::Fresh { folder: folder.to_owned(), seed: 5, deviation: 0.4 };
    let mut model = Model::build(backend, config, &source, trainable, 5).unwrap();
    disturb(&mut model);
    model
}

/// Moves every parameter by something random.
pub fn disturb<B: Backend>(model: &mut Model<B>) {
    let (backend, parameters) = model.parameters_mut();
    for (i, p) in parameters.iter_mut().enumerate() {
        let stream = Stream::new(11, i as u64);
        let mut numbers = backend.download(&p.value).unwrap();
        numbers.iter_mut().enumerate().for_each(|(n, v)| *v += 0.3 * stream.normal(n as u64));
        backend.overwrite(&mut p.value, &numbers).unwrap();
    }
}

/// Three sequences of different lengths that name every token, with what is to be learned from them.
pub fn batch<B: Backend>(model: &Model<B>) -> (Tokens, Vec<u32>) {
    let sequences: [Vec<u32>; 3] = [(0..9).collect(), (4..VOCABULARY).rev().collect(), vec![3, 3, 7, 12, 1]];
    let mut tokens = Tokens::from_sequences(&sequences);
    tokens.token_types = (0..tokens.ids.len() as u32).map(|n| n / 2 % 2).collect();
    let targets = match model.config().task() {
        lorikeet_models::Task::Classify => vec![2, 0, 1],
        lorikeet_models::Task::Causal => {
            let next = |n: usize| if n % 4 == 3 { u32::MAX } else { (tokens.ids[n] * 5 + 2) % VOCABULARY };
            (0..tokens.ids.len()).map(next).collect()
        }
    };
    (tokens, targets)
}

/// The configuration called `name`.
pub fn configuration(name: &str) -> Value {
    configurations().into_iter().find(|(n, _)| *n == name).unwrap().1
}

/// A folder with the configuration and the weights of a tiny model.
pub fn folder(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = model(Fused::new(1).unwrap(), folder.path(), &configuration(name), &Trainable::Everything);
    let labels = ["down", "flat", "up"].map(str::to_owned);
    let labels = if model.config().labels.is_some() { labels.as_slice() } else { &[] };
    model.save_whole(folder.path(), Precision::F32, labels).unwrap();
    folder
}

/// Logits on the batch of the zoo.
pub fn logits<B: Backend>(model: &Model<B>) -> Vec<f32> {
    model.backend().download(&model.logits(&batch(model).0).unwrap()).unwrap()
}

/// What the error says, with `folder` for the path of the temporary folder.
pub fn message<T>(result: Result<T, ModelError>, folder: &Path) -> String {
    let Err(error) = result else { panic!("it was not refused") };
    error.to_string().replace(&*folder.to_string_lossy(), "folder")
}
