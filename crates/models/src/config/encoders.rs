//! From a configuration's keys to the specification of an encoder, family by family.

use super::{EncoderSpec, Pooling, keys::Keys};
use crate::Result;

pub(super) fn bert(keys: &Keys<'_>, labels: usize) -> Result<EncoderSpec> {
    if let Some(v) = keys.get("position_embedding_type").filter(|v| v.as_str() != Some("absolute")) {
        return Err(keys.bad("position_embedding_type", v, "is not built (only `absolute` is)"));
    }
    Ok(EncoderSpec {
        vocabulary: keys.count("vocab_size")?,
        width: keys.count("hidden_size")?,
        inner: keys.count("intermediate_size")?,
        layers: keys.count("num_hidden_layers")?,
        heads: keys.count("num_attention_heads")?,
        max_positions: keys.positions()?,
        token_types: keys.count("type_vocab_size")?,
        norm_eps: keys.number("layer_norm_eps")? as f32,
        activation: keys.activation("hidden_act")?,
        pooling: Pooling::Pooler,
        labels,
    })
}

pub(super) fn distilbert(keys: &Keys<'_>, labels: usize) -> Result<EncoderSpec> {
    Ok(EncoderSpec {
        vocabulary: keys.count("vocab_size")?,
        width: keys.count("dim")?,
        inner: keys.count("hidden_dim")?,
        layers: keys.count("n_layers")?,
        heads: keys.count("n_heads")?,
        max_positions: keys.positions()?,
        token_types: 0,
        norm_eps: 1e-12,
        activation: keys.activation("activation")?,
        pooling: Pooling::PreClassifier,
        labels,
    })
}
