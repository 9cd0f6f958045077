//! Where the modules of each family stand in the Hugging Face class, which names the tensors on disk and the keys of a
//! PEFT adapter.

use crate::config::{Architecture, DecoderSpec, EncoderFamily, Naming};

/// What stands before the modules of a family's body: first in its own class, then in published files, which may have
/// something else there or nothing.
pub(crate) fn base_prefixes(architecture: &Architecture) -> &'static [&'static str] {
    match architecture {
        Architecture::Decoder(d) => DecoderNames::of(d.naming).bases,
        Architecture::Encoder(e) => EncoderNames::of(e.family).bases,
    }
}

/// Every name under which published files may hold what a class calls `name`.
pub(crate) fn spellings(prefixes: &'static [&'static str], name: &str) -> Vec<String> {
    let (own, others) = prefixes.split_first().map_or(("", prefixes), |(own, others)| (*own, others));
    let rest = name.strip_prefix(own).filter(|_| !own.is_empty());
    let others = rest.into_iter().flat_map(|rest| others.iter().map(move |other| format!("{other}{rest}")));
    std::iter::once(name.to_owned()).chain(others).collect()
}

/// Module paths of a decoder.
pub(crate) struct DecoderNames {
    /// The prefixes of everything but the head. The first is the class's own; published files may have another or none.
    pub bases: &'static [&'static str],
    pub embedding: &'static str,
    /// The table of positions, where positions are learned.
    pub positions: &'static str,
    layers: &'static str,
    pub attention_norm: &'static str,
    /// Queries, keys and values.
    pub qkv: [&'static str; 3],
    /// All three in one weight.
    pub fused_qkv: &'static str,
    pub query_norm: &'static str,
    pub key_norm: &'static str,
    pub attention_output: &'static str,
    /// The norm before the feed-forward part, where nothing is normed after attention.
    pub mlp_norm: &'static str,
    pub gate: &'static str,
    pub up: &'static str,
    /// Gate and up in one weight.
    pub fused_gate_up: &'static str,
    pub down: &'static str,
    pub final_norm: &'static str,
    /// Tensors that published files hold beside the weights, by the ends of their names.
    superfluous: &'static [&'static str],
    /// They may hold what sees pictures, too.
    pictures: bool,
}

const LLAMA: DecoderNames = DecoderNames {
    bases: &["model.", ""],
    embedding: "embed_tokens",
    positions: "embed_positions",
    layers: "layers",
    attention_norm: "input_layernorm",
    qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    fused_qkv: "self_attn.qkv_proj",
    query_norm: "self_attn.q_norm",
    key_norm: "self_attn.k_norm",
    attention_output: "self_attn.o_proj",
    mlp_norm: "post_attention_layernorm",
    gate: "mlp.gate_proj",
    up: "mlp.up_proj",
    fused_gate_up: "mlp.gate_up_proj",
    down: "mlp.down_proj",
    final_norm: "norm",
    superfluous: &[".rotary_emb.inv_freq"],
    pictures: false,
};

const LANGUAGE_MODEL: DecoderNames =
    DecoderNames { bases: &["model.language_model.", "language_model.model."], pictures: true, ..LLAMA };

const GPT2: DecoderNames = DecoderNames {
    bases: &["transformer.", ""],
    embedding: "wte",
    positions: "wpe",
    layers: "h",
    attention_norm: "ln_1",
    qkv: ["attn.q_attn", "attn.k_attn", "attn.v_attn"],
    fused_qkv: "attn.c_attn",
    query_norm: "attn.q_norm",
    key_norm: "attn.k_norm",
    attention_output: "attn.c_proj",
    mlp_norm: "ln_2",
    gate: "mlp.c_gate",
    up: "mlp.c_fc",
    fused_gate_up: "mlp.c_gate_fc",
    down: "mlp.c_proj",
    final_norm: "ln_f",
    superfluous: &[".attn.bias", ".attn.masked_bias"],
    pictures: false,
};

/// What a model that sees pictures has besides its decoder.
const PICTURES: [&str; 4] =
    ["vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."];

impl DecoderNames {
    /// The projection onto the vocabulary, in every family.
    pub const HEAD: &str = "lm_head";
    /// The head of a decoder that gives labels, in every family.
    pub const SCORE: &str = "score";
    /// Norms of what attention and feed-forward part add, and of what the latter reads, in families that have all three.
    pub const AROUND: [&str; 3] =
        ["post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"];

    pub fn of(naming: Naming) -> &'static Self {
        match naming {
            Naming::Llama => &LLAMA,
            Naming::LanguageModel => &LANGUAGE_MODEL,
            Naming::Gpt2 => &GPT2,
        }
    }

    /// The linear maps of a block in the order of the forward pass: the ends of their paths, rows and columns.
    pub fn linears(&self, spec: &DecoderSpec) -> Vec<(&'static str, usize, usize)> {
        let (q, kv, c, inner) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim, spec.width, spec.inner);
        let [query, key, value] = self.qkv;
        let attention = match spec.fused {
            true => vec![(self.fused_qkv, q + 2 * kv, c)],
            false => vec![(query, q, c), (key, kv, c), (value, kv, c)],
        };
        let feed_forward = match (spec.gated, spec.fused) {
            (false, _) => vec![(self.up, inner, c)],
            (true, true) => vec![(self.fused_gate_up, 2 * inner, c)],
            (true, false) => vec![(self.gate, inner, c), (self.up, inner, c)],
        };
        let outputs = [vec![(self.attention_output, c, q)], feed_forward, vec![(self.down, c, inner)]];
        attention.into_iter().chain(outputs.into_iter().flatten()).collect()
    }

    /// Whether published files may hold a tensor of this name that is not needed.
    pub fn is_superfluous(&self, name: &str, tied: bool) -> bool {
        let copy = tied && name.rsplit("language_model.").next() == Some("lm_head.weight");
        let picture = self.pictures && PICTURES.iter().any(|part| name.starts_with(part));
        copy || picture || self.superfluous.iter().any(|end| name.ends_with(end))
    }

    /// The path of a module outside the blocks.
    pub fn path(&self, module: &str) -> String {
        format!("{}{module}", self.bases.first().copied().unwrap_or_default())
    }

    /// The path of a module in block `i`.
    pub fn block(&self, i: usize, module: &str) -> String {
        self.path(&format!("{}.{i}.{module}", self.layers))
    }
}

/// Module paths of an encoder.
pub(crate) struct EncoderNames {
    /// The family's prefix; published encoders without a head have none.
    pub bases: &'static [&'static str],
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
    bases: &["bert.", ""],
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
    bases: &["distilbert.", ""],
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
    bases: &["roberta.", ""],
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
    bases: &["albert.", ""],
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
