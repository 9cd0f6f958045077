//! Where the modules of each family stand in the Hugging Face class, which names the tensors on disk and the keys of a
//! PEFT adapter.

use crate::config::Pooling;

/// Module paths of a decoder block below `model.layers.{i}`; Llama, Qwen2 and Qwen3 share them.
pub(crate) struct DecoderNames;

impl DecoderNames {
    pub const EMBEDDING: &str = "model.embed_tokens";
    pub const FINAL_NORM: &str = "model.norm";
    pub const HEAD: &str = "lm_head";

    pub fn block(i: usize, module: &str) -> String {
        format!("model.layers.{i}.{module}")
    }
}

/// Module paths of an encoder.
pub(crate) struct EncoderNames {
    /// The family's prefix; published encoders without a head leave it out.
    pub base: &'static str,
    pub word: &'static str,
    pub position: &'static str,
    pub token_type: Option<&'static str>,
    pub embedding_norm: &'static str,
    layers: &'static str,
    pub query: &'static str,
    pub key: &'static str,
    pub value: &'static str,
    pub output: &'static str,
    pub attention_norm: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    pub output_norm: &'static str,
    /// The dense layer before the classifier.
    pub dense: &'static str,
    /// Modules that are trained and saved whole with an adapter.
    pub head: &'static [&'static str],
}

const BERT: EncoderNames = EncoderNames {
    base: "bert.",
    word: "bert.embeddings.word_embeddings",
    position: "bert.embeddings.position_embeddings",
    token_type: Some("bert.embeddings.token_type_embeddings"),
    embedding_norm: "bert.embeddings.LayerNorm",
    layers: "bert.encoder.layer",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    output_norm: "output.LayerNorm",
    dense: "bert.pooler.dense",
    head: &["classifier"],
};

const DISTILBERT: EncoderNames = EncoderNames {
    base: "distilbert.",
    word: "distilbert.embeddings.word_embeddings",
    position: "distilbert.embeddings.position_embeddings",
    token_type: None,
    embedding_norm: "distilbert.embeddings.LayerNorm",
    layers: "distilbert.transformer.layer",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    output_norm: "output_layer_norm",
    dense: "pre_classifier",
    head: &["pre_classifier", "classifier"],
};

impl EncoderNames {
    pub fn of(pooling: Pooling) -> &'static Self {
        match pooling {
            Pooling::Pooler => &BERT,
            Pooling::PreClassifier => &DISTILBERT,
        }
    }

    pub fn block(&self, i: usize, module: &str) -> String {
        format!("{}.{i}.{module}", self.layers)
    }
}

/// The classifier of every encoder.
pub(crate) const CLASSIFIER: &str = "classifier";

/// What PEFT puts before each module path on disk.
pub(crate) const PEFT_PREFIX: &str = "base_model.model.";
