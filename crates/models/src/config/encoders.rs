//! From a configuration's keys to the specification of an encoder, family by family.

use super::{EncoderFamily, EncoderSpec, keys::Keys};
use crate::Result;

/// Steps of a forward pass: with shared weights no missing tensor ends a configuration that asks for billions.
const MOST_STEPS: usize = 1 << 12;

/// BERT, and what differs from it by a few keys.
pub(super) fn bert(keys: &Keys<'_>) -> Result<EncoderSpec> {
    if let Some(v) = keys.get("position_embedding_type").filter(|v| v.as_str() != Some("absolute")) {
        return Err(keys.bad("position_embedding_type", v, "is not built (only `absolute` is)"));
    }
    let (width, layers) = (keys.count("hidden_size")?, keys.count("num_hidden_layers")?);
    Ok(EncoderSpec {
        family: EncoderFamily::Bert,
        vocabulary: keys.count("vocab_size")?,
        width,
        embedding_width: width,
        inner: keys.count("intermediate_size")?,
        layers,
        groups: layers,
        group_layers: 1,
        heads: keys.count("num_attention_heads")?,
        max_positions: keys.positions("max_position_embeddings")?,
        first_position: 0,
        token_types: keys.count("type_vocab_size")?,
        norm_eps: keys.number("layer_norm_eps")? as f32,
        activation: keys.activation("hidden_act")?,
    })
}

/// RoBERTa and XLM-RoBERTa count positions from behind the padding token's id, which leaves fewer of them for the text.
pub(super) fn roberta(keys: &Keys<'_>) -> Result<EncoderSpec> {
    let spec = bert(keys)?;
    let padding = keys.get("pad_token_id").ok_or_else(|| keys.missing("pad_token_id"))?;
    let first = padding.as_u64().map(|id| id as usize + 1).filter(|first| *first < spec.max_positions);
    let first_position = first.ok_or_else(|| keys.bad("pad_token_id", padding, "leaves no position for a text"))?;
    let max_positions = spec.max_positions - first_position;
    Ok(EncoderSpec { family: EncoderFamily::Roberta, first_position, max_positions, ..spec })
}

/// ALBERT: a narrow embedding, and layers that use the weights of their group.
pub(super) fn albert(keys: &Keys<'_>) -> Result<EncoderSpec> {
    let spec = bert(keys)?;
    let groups = keys.count_or("num_hidden_groups", Some(1))?;
    let group_layers = keys.count_or("inner_group_num", Some(1))?;
    if groups > spec.layers {
        return Err(keys.bad("num_hidden_groups", &groups.into(), "is more than `num_hidden_layers`"));
    }
    if spec.layers.saturating_mul(group_layers) > MOST_STEPS {
        return Err(keys.bad("num_hidden_layers", &spec.layers.into(), "is more than is built"));
    }
    let embedding_width = keys.count("embedding_size")?;
    Ok(EncoderSpec { family: EncoderFamily::Albert, embedding_width, groups, group_layers, ..spec })
}

pub(super) fn distilbert(keys: &Keys<'_>) -> Result<EncoderSpec> {
    let (width, layers) = (keys.count("dim")?, keys.count("n_layers")?);
    Ok(EncoderSpec {
        family: EncoderFamily::DistilBert,
        vocabulary: keys.count("vocab_size")?,
        width,
        embedding_width: width,
        inner: keys.count("hidden_dim")?,
        layers,
        groups: layers,
        group_layers: 1,
        heads: keys.count("n_heads")?,
        max_positions: keys.positions("max_position_embeddings")?,
        first_position: 0,
        token_types: 0,
        norm_eps: 1e-12,
        activation: keys.activation("activation")?,
    })
}
