//! Where the modules of each family stand in the Hugging Face class, which names the tensors on disk and the keys of a
//! PEFT adapter.

use crate::config::{Architecture, EncoderFamily};

/// What stands before the modules of a family's body, and is left out where a body was published alone.
pub(crate) fn base_prefix(architecture: &Architecture) -> &'static str {
    match architecture {
        Architecture::Decoder(_) => "model.",
        Architecture::Encoder(e) => EncoderNames::of(e.family).base,
    }
}

/// Module paths of a decoder block below `model.layers.{i}`; Llama, Qwen2 and Qwen3 share them.
pub(crate) struct DecoderNames;

impl DecoderNames {
    pub const EMBEDDING: &str = "model.embed_tokens";
    pub const FINAL_NORM: &str = "model.norm";
    pub const HEAD: &str = "lm_head";
    /// The head of a decoder that gives labels, in every family.
    pub const SCORE: &str = "score";

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
    /// The map from the embedding's channels to the blocks'.
    pub widen: Option<&'static str>,
    /// The path of a block's layer, with `{i}` for the group and `{j}` for the layer in the group, where it has several.
    layer: &'static str,
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
    /// The map onto the classes.
    pub classes: &'static str,
    /// Modules that are trained and saved whole with an adapter.
    pub head: &'static [&'static str],
}

const BERT: EncoderNames = EncoderNames {
    base: "bert.",
    word: "bert.embeddings.word_embeddings",
    position: "bert.embeddings.position_embeddings",
    token_type: Some("bert.embeddings.token_type_embeddings"),
    embedding_norm: "bert.embeddings.LayerNorm",
    widen: None,
    layer: "bert.encoder.layer.{i}",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    output_norm: "output.LayerNorm",
    dense: "bert.pooler.dense",
    classes: "classifier",
    head: &["classifier"],
};

const DISTILBERT: EncoderNames = EncoderNames {
    base: "distilbert.",
    word: "distilbert.embeddings.word_embeddings",
    position: "distilbert.embeddings.position_embeddings",
    token_type: None,
    embedding_norm: "distilbert.embeddings.LayerNorm",
    widen: None,
    layer: "distilbert.transformer.layer.{i}",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    output_norm: "output_layer_norm",
    dense: "pre_classifier",
    classes: "classifier",
    head: &["pre_classifier", "classifier"],
};

/// RoBERTa and XLM-RoBERTa: BERT's blocks under another prefix, with a head of two layers.
const ROBERTA: EncoderNames = EncoderNames {
    base: "roberta.",
    word: "roberta.embeddings.word_embeddings",
    position: "roberta.embeddings.position_embeddings",
    token_type: Some("roberta.embeddings.token_type_embeddings"),
    embedding_norm: "roberta.embeddings.LayerNorm",
    layer: "roberta.encoder.layer.{i}",
    dense: "classifier.dense",
    classes: "classifier.out_proj",
    ..BERT
};

const ALBERT: EncoderNames = EncoderNames {
    base: "albert.",
    word: "albert.embeddings.word_embeddings",
    position: "albert.embeddings.position_embeddings",
    token_type: Some("albert.embeddings.token_type_embeddings"),
    embedding_norm: "albert.embeddings.LayerNorm",
    widen: Some("albert.encoder.embedding_hidden_mapping_in"),
    layer: "albert.encoder.albert_layer_groups.{i}.albert_layers.{j}",
    query: "attention.query",
    key: "attention.key",
    value: "attention.value",
    output: "attention.dense",
    attention_norm: "attention.LayerNorm",
    up: "ffn",
    down: "ffn_output",
    output_norm: "full_layer_layer_norm",
    dense: "albert.pooler",
    classes: "classifier",
    head: &["classifier"],
};

impl EncoderNames {
    pub fn of(family: EncoderFamily) -> &'static Self {
        match family {
            EncoderFamily::Bert => &BERT,
            EncoderFamily::DistilBert => &DISTILBERT,
            EncoderFamily::Roberta => &ROBERTA,
            EncoderFamily::Albert => &ALBERT,
        }
    }

    /// The path of a module in layer `j` of group `i`.
    pub fn block(&self, (i, j): (usize, usize), module: &str) -> String {
        let layer = self.layer.replace("{i}", &i.to_string()).replace("{j}", &j.to_string());
        format!("{layer}.{module}")
    }

    /// The linear maps of a block, in the order of the forward pass.
    pub fn linears(&self) -> [&'static str; 6] {
        [self.query, self.key, self.value, self.output, self.up, self.down]
    }
}

/// What PEFT puts before each module path on disk.
pub(crate) const PEFT_PREFIX: &str = "base_model.model.";
