//! From a configuration's keys to the specification of a decoder, family by family.

use half::{bf16, f16};
use lorikeet_kernels::Activation;
use serde_json::{Map, Value, json};

use super::{
    DecoderSpec, LayerSpec, Naming, Rope, RopeScaling,
    keys::Keys,
    ropes::{self, RopeKeys},
};
use crate::{NormKind, Result};

/// A family of decoders.
pub(super) struct Family {
    /// What its configurations call themselves.
    pub model_type: &'static str,
    /// The class that published configurations name.
    pub class: &'static str,
    /// What the class takes for granted where a file says nothing (transformers' configuration classes), as far as
    /// published files rely on it. A file may still say `null`.
    assumed: fn() -> Value,
    read: fn(&Keys<'_>) -> Result<DecoderSpec>,
}

const fn family(
    model_type: &'static str,
    class: &'static str,
    assumed: fn() -> Value,
    read: fn(&Keys<'_>) -> Result<DecoderSpec>,
) -> Family {
    Family { model_type, class, assumed, read }
}

/// The families that are built.
pub(super) const DECODERS: [Family; 11] = [
    family("llama", "LlamaForCausalLM", || json!({}), llama),
    family("mistral", "MistralForCausalLM", || json!({"sliding_window": 4096}), mistral),
    family(
        "smollm3",
        "SmolLM3ForCausalLM",
        || json!({"tie_word_embeddings": true, "rope_theta": 2e6, "no_rope_layer_interval": 4}),
        smollm3,
    ),
    family("qwen2", "Qwen2ForCausalLM", qwen_assumed, qwen2),
    family("qwen3", "Qwen3ForCausalLM", qwen_assumed, qwen3),
    family("phi3", "Phi3ForCausalLM", || json!({}), phi3),
    family("gemma", "GemmaForCausalLM", || json!({"head_dim": 256, "tie_word_embeddings": true}), gemma),
    family("gemma2", "Gemma2ForCausalLM", gemma2_assumed, gemma2),
    family("gemma3_text", "Gemma3ForCausalLM", gemma3_assumed, gemma3),
    family("gemma3", "Gemma3ForConditionalGeneration", || json!({}), gemma3_with_pictures),
    family("gpt2", "GPT2LMHeadModel", || json!({"tie_word_embeddings": true}), gpt2),
];

fn qwen_assumed() -> Value {
    json!({"head_dim": null, "sliding_window": 4096, "max_window_layers": 28})
}

fn gemma2_assumed() -> Value {
    json!({
        "head_dim": 256, "query_pre_attn_scalar": 256, "sliding_window": 4096, "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0, "tie_word_embeddings": true, "hidden_activation": "gelu_pytorch_tanh",
    })
}

/// The larger Gemma 3 are published with little more than their width and depth.
fn gemma3_assumed() -> Value {
    json!({
        "vocab_size": 262_208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 131_072,
        "rms_norm_eps": 1e-6, "query_pre_attn_scalar": 256, "sliding_window": 4096, "sliding_window_pattern": 6,
        "tie_word_embeddings": true, "hidden_activation": "gelu_pytorch_tanh", "rope_theta": 1e6,
        "rope_local_base_freq": 10_000.0,
    })
}

impl Family {
    pub fn spec(&self, keys: &Keys<'_>) -> Result<DecoderSpec> {
        let raw = over((self.assumed)(), keys.raw);
        (self.read)(&Keys { raw: &raw, ..*keys })
    }

    /// Whether `class` is this family's, with whatever head.
    pub fn covers(&self, class: &str) -> bool {
        let stem = self.class.strip_suffix("ForCausalLM");
        class == self.class || stem.is_some_and(|stem| class.strip_prefix(stem) == Some("ForSequenceClassification"))
    }

    /// Refuses a file with a key that says something and means nothing to this family.
    pub fn knows_all(&self, keys: &Keys<'_>) -> Result<()> {
        let silent = |v: &Value| v.is_null() || *v == json!(false) || *v == json!([]) || *v == json!({});
        let strange = |(key, v): &(&String, &Value)| !silent(v) && !KNOWN.contains(&key.as_str());
        match keys.raw.iter().find(strange) {
            None => Ok(()),
            Some((key, v)) => {
                Err(keys.bad(key, v, &format!("means nothing to `{}`, which the file names as its class", self.class)))
            }
        }
    }
}

/// Keys that families like Llama read, and those that change no computation.
const KNOWN: [&str; 46] = [
    "_name_or_path",
    "architectures",
    "attention_bias",
    "attention_dropout",
    "bos_token",
    "bos_token_id",
    "dtype",
    "embd_pdrop",
    "eos_token",
    "eos_token_id",
    "head_dim",
    "hidden_act",
    "hidden_dropout",
    "hidden_size",
    "id2label",
    "initializer_range",
    "intermediate_size",
    "label2id",
    "layer_types",
    "max_position_embeddings",
    "max_window_layers",
    "mlp_bias",
    "model_type",
    "no_rope_layer_interval",
    "no_rope_layers",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "num_labels",
    "original_max_position_embeddings",
    "pad_token",
    "pad_token_id",
    "partial_rotary_factor",
    "pretraining_tp",
    "resid_pdrop",
    "rms_norm_eps",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "sliding_window",
    "tie_word_embeddings",
    "torch_dtype",
    "transformers_version",
    "use_cache",
    "use_sliding_window",
    "vocab_size",
];

/// What a file says over what is assumed.
fn over(assumed: Value, file: &Map<String, Value>) -> Map<String, Value> {
    let mut raw = if let Value::Object(assumed) = assumed { assumed } else { Map::new() };
    raw.extend(file.clone());
    raw
}

const MOST_LAYERS: usize = 4096;

/// The number of blocks.
fn n_layers(keys: &Keys<'_>, key: &'static str) -> Result<usize> {
    match keys.count(key)? {
        n if n > MOST_LAYERS => Err(keys.bad(key, &Value::from(n), "is more layers than are built (4096)")),
        n => Ok(n),
    }
}

/// What the families that follow Llama have in common, with one rotary embedding: no bias, every block the same.
fn plain(keys: &Keys<'_>) -> Result<DecoderSpec> {
    let activation = keys.activation("hidden_act")?;
    let mut spec = frame(keys, activation)?;
    let rope = ropes::rope(keys, spec.head_dim, spec.max_positions)?;
    if let RopeScaling::Dynamic { factor, .. } = rope.scaling {
        // Here the file's length is that where stretching begins.
        spec.max_positions = (spec.max_positions as f64 * factor.max(1.0)) as usize;
    }
    turn(&mut spec, vec![rope]);
    Ok(spec)
}

/// [`plain`] without positions.
fn frame(keys: &Keys<'_>, activation: Activation) -> Result<DecoderSpec> {
    let (width, heads) = (keys.count("hidden_size")?, keys.count("num_attention_heads")?);
    let head_dim = keys.count_or("head_dim", Some(width / heads))?;
    Ok(DecoderSpec {
        naming: Naming::Llama,
        vocabulary: keys.count("vocab_size")?,
        width,
        inner: keys.count("intermediate_size")?,
        layers: vec![LayerSpec::default(); n_layers(keys, "num_hidden_layers")?],
        heads,
        kv_heads: keys.count_or("num_key_value_heads", Some(heads))?,
        head_dim,
        max_positions: keys.positions("max_position_embeddings")?,
        embedding_scale: None,
        learned_positions: false,
        ropes: Vec::new(),
        norm: NormKind::Rms,
        norm_eps: keys.number("rms_norm_eps")? as f32,
        norm_after: false,
        qk_norm: false,
        score_scale: 1.0 / (head_dim as f32).sqrt(),
        score_cap: None,
        logit_cap: None,
        fused: false,
        gated: true,
        transposed: false,
        qkv_bias: false,
        output_bias: false,
        mlp_bias: false,
        tied: keys.flag("tie_word_embeddings", false),
        activation,
    })
}

/// Gives every layer the first of `ropes`.
fn turn(spec: &mut DecoderSpec, ropes: Vec<Rope>) {
    spec.ropes = ropes;
    spec.layers.iter_mut().for_each(|layer| layer.rope = Some(0));
}

/// Gives the window to the layers that slide.
fn slide(spec: &mut DecoderSpec, window: Option<usize>, slides: impl Fn(usize) -> bool) {
    for (i, layer) in spec.layers.iter_mut().enumerate() {
        layer.window = window.filter(|_| slides(i));
    }
}

/// Which of `n` layers slide: as the file lists them, or by a rule.
fn sliding_layers(keys: &Keys<'_>, n: usize, rule: impl Fn(usize) -> bool) -> Result<Vec<bool>> {
    let problem = "is not a kind of attention that is built (full_attention, sliding_attention)";
    let listed = keys.per_layer("layer_types", n, problem, |kind| match kind.as_str() {
        Some("sliding_attention") => Some(true),
        Some("full_attention") => Some(false),
        _ => None,
    })?;
    Ok(listed.unwrap_or_else(|| (0..n).map(rule).collect()))
}

/// Biases where the file asks for them.
fn asked_biases(keys: &Keys<'_>, spec: &mut DecoderSpec) {
    let attention = keys.flag("attention_bias", false);
    (spec.qkv_bias, spec.output_bias, spec.mlp_bias) = (attention, attention, keys.flag("mlp_bias", false));
}

/// Llama 2 and 3, SmolLM2, and whatever names Llama's class.
fn llama(keys: &Keys<'_>) -> Result<DecoderSpec> {
    let mut spec = plain(keys)?;
    asked_biases(keys, &mut spec);
    Ok(spec)
}

fn mistral(keys: &Keys<'_>) -> Result<DecoderSpec> {
    let mut spec = plain(keys)?;
    slide(&mut spec, keys.count_or_none("sliding_window")?, |_| true);
    Ok(spec)
}

/// SmolLM3: in some layers nothing turns.
fn smollm3(keys: &Keys<'_>) -> Result<DecoderSpec> {
    let mut spec = llama(keys)?;
    let (n, interval) = (spec.layers.len(), keys.count("no_rope_layer_interval")?);
    let turns = keys.per_layer("no_rope_layers", n, "is neither 0 nor 1", |v| match v.as_u64() {
        Some(bit @ 0..=1) => Some(bit == 1),
        _ => v.as_bool(),
    })?;
    let turns = turns.unwrap_or_else(|| (1..=n).map(|i| !i.is_multiple_of(interval)).collect());
    if keys.flag("use_sliding_window", false) {
        let sliding = sliding_layers(keys, n, |i| !turns[i])?;
        slide(&mut spec, keys.count_or_none("sliding_window")?, |i| sliding[i]);
    }
    for (layer, turns) in spec.layers.iter_mut().zip(turns) {
        layer.rope = layer.rope.filter(|_| turns);
    }
    Ok(spec)
}

/// The windows of Qwen2 and Qwen3: those of the upper layers, unless the file lists them.
fn qwen_windows(keys: &Keys<'_>, spec: &mut DecoderSpec) -> Result<()> {
    if keys.flag("use_sliding_window", false) {
        let first = keys.get("max_window_layers").and_then(Value::as_u64).unwrap_or(0) as usize;
        let sliding = sliding_layers(keys, spec.layers.len(), |i| i >= first)?;
        slide(spec, keys.count_or_none("sliding_window")?, |i| sliding[i]);
    }
    Ok(())
}

/// Qwen2 and Qwen2.5.
fn qwen2(keys: &Keys<'_>) -> Result<DecoderSpec> {
    let mut spec = plain(keys)?;
    spec.qkv_bias = true;
    qwen_windows(keys, &mut spec)?;
    Ok(spec)
}

fn qwen3(keys: &Keys<'_>) -> Result<DecoderSpec> {
    let mut spec = plain(keys)?;
    asked_biases(keys, &mut spec);
    spec.qk_norm = true;
    qwen_windows(keys, &mut spec)?;
    Ok(spec)
}

/// Phi-3 and Phi-4: queries, keys and values in one weight, gate and up in another.
fn phi3(keys: &Keys<'_>) -> Result<DecoderSpec> {
    let mut spec = plain(keys)?;
    spec.fused = true;
    slide(&mut spec, keys.count_or_none("sliding_window")?, |_| true);
    Ok(spec)
}

/// What all Gemmas share: norms around one, and an embedding as long as its channels ask for, in the published precision.
fn any_gemma(keys: &Keys<'_>, activation: Activation) -> Result<DecoderSpec> {
    let mut spec = frame(keys, activation)?;
    asked_biases(keys, &mut spec);
    spec.norm = NormKind::RmsPlusOne;
    let (root, dtype) = ((spec.width as f64).sqrt(), keys.get("dtype").or_else(|| keys.get("torch_dtype")));
    spec.embedding_scale = Some(match dtype.and_then(Value::as_str) {
        Some("bfloat16") => bf16::from_f64(root).to_f32(),
        Some("float16") => f16::from_f64(root).to_f32(),
        _ => root as f32,
    });
    Ok(spec)
}

/// The first Gemma, whose files say `gelu` and mean the approximation with tanh.
fn gemma(keys: &Keys<'_>) -> Result<DecoderSpec> {
    let mut spec = any_gemma(keys, Activation::GeluTanh)?;
    let rope = ropes::rope(keys, spec.head_dim, spec.max_positions)?;
    turn(&mut spec, vec![rope]);
    Ok(spec)
}

/// Gemma 2 and 3: four norms in a block, scores with a scale of their own, caps.
fn later_gemma(keys: &Keys<'_>) -> Result<DecoderSpec> {
    if keys.flag("use_bidirectional_attention", false) {
        return Err(keys.bad("use_bidirectional_attention", &Value::from(true), "is not built"));
    }
    let mut spec = any_gemma(keys, keys.activation("hidden_activation")?)?;
    spec.norm_after = true;
    spec.score_scale = keys.number("query_pre_attn_scalar")?.powf(-0.5) as f32;
    spec.score_cap = keys.number_or_none("attn_logit_softcapping")?.map(|cap| cap as f32);
    spec.logit_cap = keys.number_or_none("final_logit_softcapping")?.map(|cap| cap as f32);
    Ok(spec)
}

fn gemma2(keys: &Keys<'_>) -> Result<DecoderSpec> {
    let mut spec = later_gemma(keys)?;
    let rope = ropes::rope(keys, spec.head_dim, spec.max_positions)?;
    turn(&mut spec, vec![rope]);
    let sliding = sliding_layers(keys, spec.layers.len(), |i| i.is_multiple_of(2))?;
    slide(&mut spec, keys.count_or_none("sliding_window")?, |i| sliding[i]);
    Ok(spec)
}

/// Gemma 3: layers that slide have a rotary embedding of their own.
fn gemma3(keys: &Keys<'_>) -> Result<DecoderSpec> {
    let mut spec = later_gemma(keys)?;
    // The class has the key of the cap on scores and does not use it.
    (spec.qk_norm, spec.score_cap) = (true, None);
    let empty = Map::new();
    let table = ropes::table(keys, &empty);
    let inner = |kind: &str| table.get(kind).and_then(Value::as_object);
    let (full, local) = (inner("full_attention"), inner("sliding_attention"));
    // Files of transformers 4 have one table, which is that of the full layers.
    let full = full.unwrap_or(if local.is_some() { &empty } else { table });
    let read = |table, theta| RopeKeys::new(keys, table, spec.head_dim, spec.max_positions).read(keys.number(theta)?);
    let ropes = vec![read(full, "rope_theta")?, read(local.unwrap_or(&empty), "rope_local_base_freq")?];
    turn(&mut spec, ropes);
    let pattern = keys.count("sliding_window_pattern")?;
    let sliding = sliding_layers(keys, spec.layers.len(), |i| !(i + 1).is_multiple_of(pattern))?;
    slide(&mut spec, keys.count_or_none("sliding_window")?, |i| sliding[i]);
    for (layer, slides) in spec.layers.iter_mut().zip(sliding) {
        layer.rope = Some(usize::from(slides));
    }
    Ok(spec)
}

/// Gemma 3 as it is published with what sees pictures, which stays out of it: the decoder is described inside.
fn gemma3_with_pictures(keys: &Keys<'_>) -> Result<DecoderSpec> {
    let Some(text) = keys.get("text_config").and_then(Value::as_object) else {
        return Err(keys.missing("text_config"));
    };
    let mut raw = over(gemma3_assumed(), text);
    for key in ["dtype", "torch_dtype", "tie_word_embeddings"] {
        keys.get(key).map(|v| raw.insert(key.to_owned(), v.clone()));
    }
    let mut spec = gemma3(&Keys { raw: &raw, ..*keys })?;
    spec.naming = Naming::LanguageModel;
    Ok(spec)
}

/// GPT-2: learned positions, layer norms, no gate, weights that lie transposed.
fn gpt2(keys: &Keys<'_>) -> Result<DecoderSpec> {
    for key in ["scale_attn_by_inverse_layer_idx", "add_cross_attention"] {
        if keys.flag(key, false) {
            return Err(keys.bad(key, &Value::from(true), "is not built"));
        }
    }
    let (width, heads) = (keys.count("n_embd")?, keys.count("n_head")?);
    if !width.is_multiple_of(heads) {
        return Err(keys.bad("n_head", &Value::from(heads), "does not divide `n_embd`"));
    }
    let head_dim = width / heads;
    let scaled = keys.flag("scale_attn_weights", true);
    Ok(DecoderSpec {
        naming: Naming::Gpt2,
        vocabulary: keys.count("vocab_size")?,
        width,
        inner: keys.count_or("n_inner", Some(4 * width))?,
        layers: vec![LayerSpec::default(); n_layers(keys, "n_layer")?],
        heads,
        kv_heads: heads,
        head_dim,
        max_positions: keys.positions("n_positions")?,
        embedding_scale: None,
        learned_positions: true,
        ropes: Vec::new(),
        norm: NormKind::Layer,
        norm_eps: keys.number("layer_norm_epsilon")? as f32,
        norm_after: false,
        qk_norm: false,
        score_scale: if scaled { 1.0 / (head_dim as f32).sqrt() } else { 1.0 },
        score_cap: None,
        logit_cap: None,
        fused: true,
        gated: false,
        transposed: true,
        qkv_bias: true,
        output_bias: true,
        mlp_bias: true,
        tied: keys.flag("tie_word_embeddings", false),
        activation: keys.activation("activation_function")?,
    })
}
