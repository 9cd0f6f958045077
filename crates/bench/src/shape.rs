//! The models that are measured: sizes of published ones, and what stands in a folder for each.

use serde_json::{Value, json};

/// How a model is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A decoder without biases.
    Llama,
    /// The same with biases on queries, keys and values.
    Qwen2,
    /// An encoder.
    Bert,
}

/// A model's sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Name of its folder.
    pub name: &'static str,
    /// How it is put together.
    pub family: Family,
    /// Tokens it knows, `V`.
    pub vocabulary: usize,
    /// Channels of a token, `C`.
    pub width: usize,
    /// Channels inside a feed-forward part, `I`.
    pub inner: usize,
    /// Blocks.
    pub layers: usize,
    /// Query heads, `H`.
    pub heads: usize,
    /// Key and value heads, `G`.
    pub kv_heads: usize,
}

/// Small enough for a test.
pub const SMALL: Shape = Shape {
    name: "llama-6x384",
    family: Family::Llama,
    vocabulary: 8192,
    width: 384,
    inner: 1024,
    layers: 6,
    heads: 6,
    kv_heads: 6,
};
/// SmolLM2-135M.
pub const SMOL: Shape = Shape {
    name: "smollm2-135m",
    family: Family::Llama,
    vocabulary: 49152,
    width: 576,
    inner: 1536,
    layers: 30,
    heads: 9,
    kv_heads: 3,
};
/// MiniLM-L6.
pub const MINILM: Shape = Shape {
    name: "minilm-l6",
    family: Family::Bert,
    vocabulary: 30522,
    width: 384,
    inner: 1536,
    layers: 6,
    heads: 12,
    kv_heads: 12,
};
/// Qwen2.5-0.5B.
pub const QWEN: Shape = Shape {
    name: "qwen2.5-0.5b",
    family: Family::Qwen2,
    vocabulary: 151_936,
    width: 896,
    inner: 4864,
    layers: 24,
    heads: 14,
    kv_heads: 2,
};

/// A tensor's name and its dimensions.
pub type Tensor = (String, Vec<usize>);

impl Shape {
    /// Channels of all keys, or of all values.
    pub fn kv_width(&self) -> usize {
        self.width / self.heads * self.kv_heads
    }

    /// Outputs and inputs of the linear maps of a block, the ones an adapter is put beside.
    pub fn linears(&self) -> Vec<(&'static str, usize, usize)> {
        let (c, i, kv) = (self.width, self.inner, self.kv_width());
        match self.family {
            Family::Llama | Family::Qwen2 => vec![
                ("self_attn.q_proj", c, c),
                ("self_attn.k_proj", kv, c),
                ("self_attn.v_proj", kv, c),
                ("self_attn.o_proj", c, c),
                ("mlp.gate_proj", i, c),
                ("mlp.up_proj", i, c),
                ("mlp.down_proj", c, i),
            ],
            Family::Bert => vec![
                ("attention.self.query", c, c),
                ("attention.self.key", c, c),
                ("attention.self.value", c, c),
                ("attention.output.dense", c, c),
                ("intermediate.dense", i, c),
                ("output.dense", c, i),
            ],
        }
    }

    /// The path of a block's module.
    pub fn module(&self, layer: usize, module: &str) -> String {
        match self.family {
            Family::Bert => format!("bert.encoder.layer.{layer}.{module}"),
            Family::Llama | Family::Qwen2 => format!("model.layers.{layer}.{module}"),
        }
    }

    /// Modules that an adapter is put beside, in the words of PEFT.
    pub fn targets(&self) -> &'static [&'static str] {
        match self.family {
            Family::Bert => &["query", "key", "value", "intermediate.dense", "output.dense"],
            Family::Llama | Family::Qwen2 => {
                &["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
            }
        }
    }

    /// Every tensor of the model, under the names its class has in transformers.
    pub fn tensors(&self) -> Vec<Tensor> {
        let (c, v) = (self.width, self.vocabulary);
        let named = |name: &str, dims: Vec<usize>| (name.to_owned(), dims);
        let mut all = match self.family {
            Family::Bert => vec![
                named("bert.embeddings.word_embeddings.weight", vec![v, c]),
                named("bert.embeddings.position_embeddings.weight", vec![512, c]),
                named("bert.embeddings.token_type_embeddings.weight", vec![2, c]),
                named("bert.embeddings.LayerNorm.weight", vec![c]),
                named("bert.embeddings.LayerNorm.bias", vec![c]),
                named("bert.pooler.dense.weight", vec![c, c]),
                named("bert.pooler.dense.bias", vec![c]),
            ],
            Family::Llama | Family::Qwen2 => {
                vec![named("model.embed_tokens.weight", vec![v, c]), named("model.norm.weight", vec![c])]
            }
        };
        all.extend((0..self.layers).flat_map(|layer| self.block(layer)));
        all
    }

    fn block(&self, layer: usize) -> Vec<Tensor> {
        let mut tensors = Vec::new();
        for (module, out, inside) in self.linears() {
            let path = self.module(layer, module);
            tensors.push((format!("{path}.weight"), vec![out, inside]));
            let is_qkv = ["q_proj", "k_proj", "v_proj"].iter().any(|end| path.ends_with(end));
            if self.family == Family::Bert || self.family == Family::Qwen2 && is_qkv {
                tensors.push((format!("{path}.bias"), vec![out]));
            }
        }
        let norms: &[&str] = match self.family {
            Family::Bert => &["attention.output.LayerNorm", "output.LayerNorm"],
            Family::Llama | Family::Qwen2 => &["input_layernorm", "post_attention_layernorm"],
        };
        for norm in norms {
            let path = self.module(layer, norm);
            tensors.push((format!("{path}.weight"), vec![self.width]));
            if self.family == Family::Bert {
                tensors.push((format!("{path}.bias"), vec![self.width]));
            }
        }
        tensors
    }

    /// What `config.json` says. No dropout in the model itself: two programs shall do the same work.
    pub fn config(&self) -> Value {
        let mut config = json!({
            "vocab_size": self.vocabulary,
            "hidden_size": self.width,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "initializer_range": 0.02,
            "torch_dtype": "float32",
        });
        let own = match self.family {
            Family::Bert => json!({
                "architectures": ["BertForSequenceClassification"], "model_type": "bert", "hidden_act": "gelu",
                "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0,
                "position_embedding_type": "absolute", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
            }),
            Family::Llama | Family::Qwen2 => json!({
                "hidden_act": "silu", "num_key_value_heads": self.kv_heads, "max_position_embeddings": 2048,
                "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true, "bos_token_id": 0,
                "eos_token_id": 0, "attention_dropout": 0.0,
                "architectures": [if self.family == Family::Qwen2 { "Qwen2ForCausalLM" } else { "LlamaForCausalLM" }],
                "model_type": if self.family == Family::Qwen2 { "qwen2" } else { "llama" },
            }),
        };
        if let (Some(config), Value::Object(own)) = (config.as_object_mut(), own) {
            config.extend(own);
        }
        config
    }
}
