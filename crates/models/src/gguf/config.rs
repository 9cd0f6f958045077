//! Sizes and options: from a GGUF file's metadata to the keys of `config.json`, and back. A family is then read from these
//! keys by the same code, wherever they come from.

use std::path::Path;

use lorikeet_gguf::{Header, Mapped, Value as Field};
use lorikeet_kernels::Precision;
use serde_json::{Map, Value, json};

use super::{format_number, names::GgufNames};
use crate::{ModelError, Result};

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Count,
    Number,
}

/// A key of `config.json` and one of GGUF, behind the architecture's name.
type Row = (&'static str, &'static str, Kind);

const DECODER: &[Row] = &[
    ("max_position_embeddings", "context_length", Kind::Count),
    ("hidden_size", "embedding_length", Kind::Count),
    ("num_hidden_layers", "block_count", Kind::Count),
    ("intermediate_size", "feed_forward_length", Kind::Count),
    ("num_attention_heads", "attention.head_count", Kind::Count),
    ("num_key_value_heads", "attention.head_count_kv", Kind::Count),
    ("head_dim", "attention.key_length", Kind::Count),
    ("rms_norm_eps", "attention.layer_norm_rms_epsilon", Kind::Number),
    ("rope_theta", "rope.freq_base", Kind::Number),
    ("sliding_window", "attention.sliding_window", Kind::Count),
    ("attn_logit_softcapping", "attn_logit_softcapping", Kind::Number),
    ("final_logit_softcapping", "final_logit_softcapping", Kind::Number),
    ("vocab_size", "vocab_size", Kind::Count),
];

const GPT2: &[Row] = &[
    ("n_positions", "context_length", Kind::Count),
    ("n_embd", "embedding_length", Kind::Count),
    ("n_layer", "block_count", Kind::Count),
    ("n_inner", "feed_forward_length", Kind::Count),
    ("n_head", "attention.head_count", Kind::Count),
    ("layer_norm_epsilon", "attention.layer_norm_epsilon", Kind::Number),
    ("vocab_size", "vocab_size", Kind::Count),
];

/// Ids of special tokens under both names.
const TOKENS: &[(&str, &str)] = &[
    ("bos_token_id", "tokenizer.ggml.bos_token_id"),
    ("eos_token_id", "tokenizer.ggml.eos_token_id"),
    ("pad_token_id", "tokenizer.ggml.padding_token_id"),
];

fn rows(names: GgufNames) -> &'static [Row] {
    if names.architecture() == "gpt2" { GPT2 } else { DECODER }
}

/// The keys that the `config.json` of the model in a GGUF file would have.
///
/// # Errors
/// Where the file is not whole, the family is not known, or its rotary frequencies are none that can be expressed.
pub(crate) fn raw_config(path: &Path) -> Result<Map<String, Value>> {
    let file = Mapped::open(path)?;
    crate::files::refuse_pickle(path, file.as_ref())?;
    let header = file.header()?;
    if header.get("split.count").and_then(Field::as_u64).is_some_and(|n| n > 1) {
        let reason = "it is one of several parts; join them with `llama-gguf-split --merge` first".to_owned();
        return Err(ModelError::BadGguf { path: path.to_owned(), reason });
    }
    let numbers = |name: &str| small_floats(&header, name, file.as_ref());
    of_header(&header, numbers)
}

/// The numbers of a small tensor of 32-bit floats, such as divisors of frequencies.
fn small_floats(header: &Header<'_>, name: &str, bytes: &[u8]) -> Option<Vec<f32>> {
    let tensor = header.tensors.iter().find(|t| t.name == name && t.format == format_number(Precision::F32))?;
    let n = tensor.dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
    let end = n.checked_mul(4).and_then(|n| tensor.start.checked_add(n))?;
    Some(bytes.get(tensor.start..end)?.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

/// The size of a head, by which rows are kept in pairs.
pub(crate) fn head_dim(header: &Header<'_>, names: GgufNames) -> usize {
    let count = |suffix: &str| header.get(&format!("{}.{suffix}", names.architecture())).and_then(Field::as_u64);
    let per_head = count("embedding_length").zip(count("attention.head_count")).and_then(|(c, h)| c.checked_div(h));
    count("attention.key_length").or(per_head).and_then(|n| usize::try_from(n).ok()).unwrap_or_default()
}

fn of_header(header: &Header<'_>, numbers: impl Fn(&str) -> Option<Vec<f32>>) -> Result<Map<String, Value>> {
    let names = GgufNames::of_file(header)?;
    let mut raw = Map::from_iter([("model_type".to_owned(), json!(names.model_type()))]);
    for (key, suffix, kind) in rows(names) {
        let Some(field) = header.get(&format!("{}.{suffix}", names.architecture())) else { continue };
        if let Some(value) = value_of(field, *kind) {
            raw.insert((*key).to_owned(), value);
        }
    }
    for (key, field) in TOKENS {
        if let Some(id) = header.get(field).and_then(Field::as_u64) {
            raw.insert((*key).to_owned(), json!(id));
        }
    }
    let shape_of = |name: &str| header.tensors.iter().find(|t| t.name == name).map(|t| t.dims.as_slice());
    // Some files announce a vocabulary without the entries that pad it; the embedding has the last word.
    if let Some([n, _]) = shape_of("token_embd.weight") {
        raw.insert("vocab_size".to_owned(), json!(n));
    }
    raw.insert("tie_word_embeddings".to_owned(), json!(shape_of("output.weight").is_none()));
    let has = |name: &str| shape_of(name).is_some();
    if names.architecture() != "qwen2" {
        raw.insert("attention_bias".to_owned(), json!(has("blk.0.attn_q.bias")));
        raw.insert("mlp_bias".to_owned(), json!(has("blk.0.ffn_up.bias")));
    }
    of_family(names, header, &mut raw);
    scaling(names, header, &numbers, &mut raw)?;
    Ok(raw)
}

fn value_of(field: &Field<'_>, kind: Kind) -> Option<Value> {
    match (kind, field) {
        // A list has a value per block; families whose blocks differ are not built, and one that is alike says it once.
        (_, Field::Array(list)) => {
            let first = list.numbers().next()?;
            list.numbers()
                .all(|n| n == first)
                .then(|| if kind == Kind::Count { json!(first as u64) } else { json!(first) })
        }
        (Kind::Count, field) => field.as_u64().map(|n| json!(n)),
        // A 32-bit number as a person would have written it, so that 1e-5 stays 1e-5.
        (Kind::Number, Field::F32(n)) => n.to_string().parse::<f64>().ok().map(|n| json!(n)),
        (Kind::Number, field) => field.as_f64().map(|n| json!(n)),
    }
}

/// What GGUF leaves to the architecture's name.
fn of_family(names: GgufNames, header: &Header<'_>, raw: &mut Map<String, Value>) {
    let count = |raw: &Map<String, Value>, key: &str| raw.get(key).and_then(Value::as_u64).unwrap_or_default();
    let mut set = |key: &str, value: Value| drop(raw.insert(key.to_owned(), value));
    match names.architecture() {
        "gpt2" => set("activation_function", json!("gelu_new")),
        "gemma" => set("hidden_activation", json!("gelu_pytorch_tanh")),
        "gemma2" | "gemma3" => {
            set("hidden_activation", json!("gelu_pytorch_tanh"));
            let (heads, width, layers) =
                (count(raw, "num_attention_heads"), count(raw, "hidden_size"), count(raw, "num_hidden_layers"));
            let is_gemma2 = names.architecture() == "gemma2";
            // The largest of each generation scales by the width per head, the others by the size of a head.
            let is_largest = layers == if is_gemma2 { 46 } else { 62 };
            let scale = if is_largest { width.checked_div(heads).unwrap_or(1) } else { count(raw, "head_dim") };
            raw.insert("query_pre_attn_scalar".to_owned(), json!(scale));
            raw.insert("sliding_window_pattern".to_owned(), json!(if is_gemma2 { 2 } else { 6 }));
            if !is_gemma2 {
                let local = header.get("gemma3.rope.freq_base_swa").and_then(Field::as_f64).unwrap_or(10_000.0);
                raw.insert("rope_local_base_freq".to_owned(), json!(local));
            }
        }
        _ => {
            set("hidden_act", json!("silu"));
            if names.architecture() == "smollm3" {
                set("no_rope_layer_interval", json!(4));
            }
        }
    }
}

/// Stretched rotary frequencies: in the metadata, or as a tensor of divisors.
fn scaling(
    names: GgufNames,
    header: &Header<'_>,
    numbers: &impl Fn(&str) -> Option<Vec<f32>>,
    raw: &mut Map<String, Value>,
) -> Result<()> {
    let at = |suffix: &str| header.get(&format!("{}.rope.scaling.{suffix}", names.architecture()));
    let original = at("original_context_length").and_then(Field::as_u64);
    if let Some(divisors) = numbers("rope_freqs.weight") {
        raw.insert("rope_scaling".to_owned(), llama3_scaling(&divisors, raw)?);
    } else if let (Some(short), Some(long)) =
        (numbers("rope_factors_short.weight"), numbers("rope_factors_long.weight"))
    {
        raw.insert(
            "rope_scaling".to_owned(),
            json!({"rope_type": "longrope", "short_factor": short, "long_factor": long}),
        );
        if let Some(original) = original {
            raw.insert("original_max_position_embeddings".to_owned(), json!(original));
        }
    } else if let Some(kind @ ("linear" | "yarn")) = at("type").and_then(Field::as_str) {
        let factor = at("factor").and_then(|f| value_of(f, Kind::Number)).unwrap_or_else(|| json!(1.0));
        let mut scaling = json!({"rope_type": kind, "factor": factor});
        if let Some(original) = original {
            scaling["original_max_position_embeddings"] = json!(original);
        }
        raw.insert("rope_scaling".to_owned(), scaling);
    }
    Ok(())
}

/// The rotary base of Gemma 3's layers with a window, in either spelling of its configuration.
fn local_base(raw: &Map<String, Value>) -> f64 {
    let nested = raw.get("rope_parameters").and_then(|rope| rope.get("sliding_attention")?.get("rope_theta"));
    raw.get("rope_local_base_freq").or(nested).and_then(Value::as_f64).unwrap_or(10_000.0)
}

/// Llama 3's scaling from its divisors: the file keeps only the result, so the parameters that all published models share
/// are tried with the largest divisor as the factor.
fn llama3_scaling(divisors: &[f32], raw: &Map<String, Value>) -> Result<Value> {
    let theta = raw.get("rope_theta").and_then(Value::as_f64).unwrap_or(10_000.0);
    let factor = divisors.iter().copied().fold(1.0, f32::max);
    let same = llama3_divisors(divisors.len(), theta, LLAMA3, f64::from(factor))
        .zip(divisors)
        .all(|(expected, found)| (expected - f64::from(*found)).abs() <= 1e-3 * expected);
    if !same {
        return Err(ModelError::Unsuited {
            model_type: "llama".to_owned(),
            problem:
                "with rotary divisors (`rope_freqs.weight`) other than Llama 3's cannot be used; take its safetensors"
                    .to_owned(),
        });
    }
    let (low, high, original) = LLAMA3;
    Ok(json!({
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": original,
    }))
}

/// Low and high frequency factors and the original length of Llama 3.
const LLAMA3: (f64, f64, f64) = (1.0, 4.0, 8192.0);

/// How much slower each pair of channels turns with Llama 3's scaling.
pub(super) fn llama3_divisors(
    pairs: usize,
    theta: f64,
    (low, high, original): (f64, f64, f64),
    factor: f64,
) -> impl Iterator<Item = f64> {
    (0..pairs).map(move |i| {
        let wavelength = std::f64::consts::TAU * theta.powf(i as f64 / pairs as f64);
        let turns = original / wavelength;
        let share = ((turns - low) / (high - low)).clamp(0.0, 1.0);
        1.0 / ((1.0 - share) / factor + share)
    })
}

/// The metadata of sizes and options that a GGUF file of this model has, from the keys of its `config.json` (those of
/// transformers 4 or 5).
///
/// # Errors
/// [`ModelError::Unsuited`] where GGUF has no such family here.
pub fn fields_of(raw: &Map<String, Value>) -> Result<Vec<(String, Field<'static>)>> {
    let model_type = raw.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let names = GgufNames::of_model_type(model_type).ok_or_else(|| ModelError::Unsuited {
        model_type: model_type.to_owned(),
        problem: format!("has no form in GGUF here; these have: {}", GgufNames::known()),
    })?;
    let architecture = names.architecture();
    let nested = raw.get("rope_parameters").or_else(|| raw.get("rope_scaling")).and_then(Value::as_object);
    // Where kinds of layers turn differently, each has parameters of its own; GGUF's keys are those of the layers that see
    // everything.
    let nested = nested.map(|rope| rope.get("full_attention").and_then(Value::as_object).unwrap_or(rope));
    let find = |key: &str| {
        let in_rope = nested.and_then(|rope| rope.get(key));
        raw.get(key).filter(|v| !v.is_null()).or(in_rope)
    };
    let mut fields = vec![("general.architecture".to_owned(), Field::text(architecture))];
    for (key, suffix, kind) in rows(names) {
        let Some(value) = find(key) else { continue };
        let field = match kind {
            Kind::Count => value.as_u64().and_then(|n| u32::try_from(n).ok()).map(Field::U32),
            Kind::Number => value.as_f64().map(|n| Field::F32(n as f32)),
        };
        fields.extend(field.map(|field| (format!("{architecture}.{suffix}"), field)));
    }
    fields.extend(head_fields(names, raw));
    if architecture == "gemma3" {
        // Transformers fills in a million where nothing is said, llama.cpp ten thousand.
        let unsaid = find("rope_theta").is_none().then(|| (format!("{architecture}.rope.freq_base"), Field::F32(1e6)));
        fields.extend(unsaid);
        fields.push((format!("{architecture}.rope.freq_base_swa"), Field::F32(local_base(raw) as f32)));
    }
    let text = |key: &str| nested.and_then(|rope| rope.get(key)).and_then(Value::as_str);
    if let Some(kind @ ("linear" | "yarn")) = text("rope_type").or_else(|| text("type")) {
        fields.push((format!("{architecture}.rope.scaling.type"), Field::text(kind)));
        let factor = find("factor").and_then(Value::as_f64).unwrap_or(1.0);
        fields.push((format!("{architecture}.rope.scaling.factor"), Field::F32(factor as f32)));
    }
    if let Some(original) = find("original_max_position_embeddings").and_then(Value::as_u64) {
        fields.push((format!("{architecture}.rope.scaling.original_context_length"), Field::U32(original as u32)));
    }
    Ok(fields)
}

/// The sizes of heads that `config.json` may leave out and llama.cpp wants to be told.
fn head_fields(names: GgufNames, raw: &Map<String, Value>) -> Vec<(String, Field<'static>)> {
    let architecture = names.architecture();
    let count = |key: &str| raw.get(key).and_then(Value::as_u64);
    if architecture == "gpt2" {
        let inner = count("n_inner").is_none().then(|| count("n_embd").unwrap_or_default() * 4);
        let field = inner.map(|n| (format!("{architecture}.feed_forward_length"), Field::U32(n as u32)));
        return field.into_iter().collect();
    }
    let heads = count("num_attention_heads").unwrap_or(1).max(1);
    let head_dim = count("head_dim").unwrap_or_else(|| count("hidden_size").unwrap_or_default() / heads);
    let mut fields = vec![
        (format!("{architecture}.rope.dimension_count"), Field::U32(head_dim as u32)),
        (format!("{architecture}.attention.value_length"), Field::U32(head_dim as u32)),
    ];
    if count("head_dim").is_none() {
        fields.push((format!("{architecture}.attention.key_length"), Field::U32(head_dim as u32)));
    }
    if count("num_key_value_heads").is_none() {
        fields.push((format!("{architecture}.attention.head_count_kv"), Field::U32(heads as u32)));
    }
    fields
}

/// The divisors of the rotary frequencies that a GGUF file keeps as a tensor, where the model has Llama 3's scaling.
pub(super) fn rope_divisors(raw: &Map<String, Value>, head_dim: usize) -> Option<Vec<f32>> {
    let nested = raw.get("rope_parameters").or_else(|| raw.get("rope_scaling"))?.as_object()?;
    let kind = nested.get("rope_type").or_else(|| nested.get("type"))?.as_str()?;
    let number = |key: &str| nested.get(key).and_then(Value::as_f64);
    if kind != "llama3" {
        return None;
    }
    let theta = number("rope_theta").or_else(|| raw.get("rope_theta").and_then(Value::as_f64)).unwrap_or(10_000.0);
    let parameters =
        (number("low_freq_factor")?, number("high_freq_factor")?, number("original_max_position_embeddings")?);
    Some(llama3_divisors(head_dim / 2, theta, parameters, number("factor")?).map(|d| d as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gemma_3_says_both_of_its_rotary_bases() {
        let base = |raw: Value, key: &str| {
            let fields = fields_of(raw.as_object().unwrap()).unwrap();
            fields.into_iter().find(|(name, _)| *name == format!("gemma3.rope.{key}")).map(|(_, value)| value.as_f64())
        };
        let said = json!({"model_type": "gemma3_text", "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 5e5},
            "sliding_attention": {"rope_type": "default", "rope_theta": 2e4}}});
        assert_eq!(base(said.clone(), "freq_base"), Some(Some(5e5)));
        assert_eq!(base(said, "freq_base_swa"), Some(Some(2e4)));
        let unsaid = json!({"model_type": "gemma3_text"});
        assert_eq!(base(unsaid.clone(), "freq_base"), Some(Some(1e6)));
        assert_eq!(base(unsaid, "freq_base_swa"), Some(Some(1e4)));
    }
}
