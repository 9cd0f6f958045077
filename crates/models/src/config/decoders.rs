//! From a configuration's keys to the specification of a decoder, family by family.

use serde_json::Value;

use super::{DecoderSpec, keys::Keys};
use crate::{NormKind, Result};

/// Llama, Qwen2 and Qwen3.
pub(super) fn decoder(keys: &Keys<'_>) -> Result<DecoderSpec> {
    let (width, heads) = (keys.count("hidden_size")?, keys.count("num_attention_heads")?);
    if keys.flag("use_sliding_window", false) {
        return Err(keys.bad("use_sliding_window", &Value::from(true), "is not built yet"));
    }
    let head_dim = keys.count_or("head_dim", Some(width / heads))?;
    Ok(DecoderSpec {
        vocabulary: keys.count("vocab_size")?,
        width,
        inner: keys.count("intermediate_size")?,
        layers: keys.count("num_hidden_layers")?,
        heads,
        kv_heads: keys.count_or("num_key_value_heads", Some(heads))?,
        head_dim,
        max_positions: keys.positions()?,
        norm: NormKind::Rms,
        norm_eps: keys.number("rms_norm_eps")? as f32,
        rope: keys.rope(head_dim)?,
        qkv_bias: keys.flag("attention_bias", keys.model_type == "qwen2"),
        output_bias: keys.model_type != "qwen2" && keys.flag("attention_bias", false),
        mlp_bias: keys.flag("mlp_bias", false),
        qk_norm: keys.model_type == "qwen3",
        tied: keys.flag("tie_word_embeddings", false),
        activation: keys.activation("hidden_act")?,
    })
}
