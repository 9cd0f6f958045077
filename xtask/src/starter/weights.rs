//! The starter model's shape and its weights as files: seeded random weights to start from, and the bf16 copy that ships.
//! It knows safetensors and the Llama layout, not training.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use half::bf16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize_to_file};
use serde_json::{Value, json};

use super::random::Random;

const WIDTH: usize = 256;
const N_LAYERS: usize = 6;
const N_HEADS: usize = 4;
const N_KEY_VALUE_HEADS: usize = 2;
const HEAD_SIZE: usize = 64;
const INNER_WIDTH: usize = 704;
const INITIAL_DEVIATION: f32 = 0.02;

/// `config.json`, with the keys that transformers 4 (`rope_theta`, `torch_dtype`) and 5 (`rope_parameters`, `dtype`) read.
#[must_use]
pub fn config() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 1,
        "dtype": "bfloat16", "eos_token_id": 3, "head_dim": HEAD_SIZE, "hidden_act": "silu", "hidden_size": WIDTH,
        "initializer_range": INITIAL_DEVIATION, "intermediate_size": INNER_WIDTH, "max_position_embeddings": 512, "mlp_bias": false,
        "model_type": "llama", "num_attention_heads": N_HEADS, "num_hidden_layers": N_LAYERS,
        "num_key_value_heads": N_KEY_VALUE_HEADS, "pad_token_id": 0, "pretraining_tp": 1, "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}, "rope_scaling": null, "rope_theta": 10000.0,
        "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": super::bpe::VOCABULARY_SIZE,
    })
}

/// Names and shapes of all weights, rows x columns; the output head is the embedding.
#[must_use]
pub fn shapes() -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::from([
        ("model.embed_tokens.weight".to_owned(), vec![super::bpe::VOCABULARY_SIZE, WIDTH]),
        ("model.norm.weight".to_owned(), vec![WIDTH]),
    ]);
    let (query, key) = (N_HEADS * HEAD_SIZE, N_KEY_VALUE_HEADS * HEAD_SIZE);
    for layer in 0..N_LAYERS {
        let mut add =
            |name: &str, shape: Vec<usize>| shapes.insert(format!("model.layers.{layer}.{name}.weight"), shape);
        add("input_layernorm", vec![WIDTH]);
        add("post_attention_layernorm", vec![WIDTH]);
        add("self_attn.q_proj", vec![query, WIDTH]);
        add("self_attn.k_proj", vec![key, WIDTH]);
        add("self_attn.v_proj", vec![key, WIDTH]);
        add("self_attn.o_proj", vec![WIDTH, query]);
        add("mlp.gate_proj", vec![INNER_WIDTH, WIDTH]);
        add("mlp.up_proj", vec![INNER_WIDTH, WIDTH]);
        add("mlp.down_proj", vec![WIDTH, INNER_WIDTH]);
    }
    shapes
}

/// Parameters in all.
#[must_use]
pub fn n_parameters() -> usize {
    shapes().values().map(|shape| shape.iter().product::<usize>()).sum()
}

/// Writes seeded random f32 weights: norms 1, matrices normal with deviation 0.02, and the two projections that write to
/// the residual stream scaled down by the square root of twice the number of layers (Radford and others 2019, section 2.3).
pub fn write_initial(path: &Path, seed: u64) -> Result<()> {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = shapes()
        .into_iter()
        .map(|(name, shape)| {
            let mut random = Random::for_part(seed, &name);
            let n_values = shape.iter().product::<usize>();
            let residual = name.contains("o_proj") || name.contains("down_proj");
            let deviation =
                if residual { INITIAL_DEVIATION / (2.0 * N_LAYERS as f32).sqrt() } else { INITIAL_DEVIATION };
            let is_norm = shape.len() == 1;
            let bytes = (0..n_values)
                .flat_map(|_| if is_norm { 1.0_f32 } else { normal(&mut random) * deviation }.to_le_bytes())
                .collect();
            (name, shape, bytes)
        })
        .collect();
    save(path, &tensors, Dtype::F32)
}

/// A standard normal number (Box and Muller 1958).
fn normal(random: &mut Random) -> f32 {
    let mut unit = || (((random.bits() >> 40) as f32) + 0.5) / 16_777_216.0;
    let (radius, angle) = (unit(), unit());
    (-2.0 * radius.ln()).sqrt() * (std::f32::consts::TAU * angle).cos()
}

/// Copies trained weights (f32 or bf16) as bf16, after checking that every tensor is there in its shape, and finite.
pub fn write_shipped(trained: &Path, path: &Path) -> Result<()> {
    let bytes = std::fs::read(trained).with_context(|| format!("cannot read the weights: `{}`", trained.display()))?;
    let file =
        SafeTensors::deserialize(&bytes).with_context(|| format!("not a safetensors file: `{}`", trained.display()))?;
    let mut tensors = Vec::new();
    for (name, shape) in shapes() {
        let view =
            file.tensor(&name).with_context(|| format!("a weight is missing in `{}`: `{name}`", trained.display()))?;
        ensure!(view.shape() == shape, "`{name}` has shape {:?}, the starter model has: {shape:?}", view.shape());
        let data = match view.dtype() {
            Dtype::BF16 => view.data().to_vec(),
            Dtype::F32 => view
                .data()
                .as_chunks::<4>()
                .0
                .iter()
                .flat_map(|word| bf16::from_f32(f32::from_le_bytes(*word)).to_le_bytes())
                .collect(),
            other => bail!("`{name}` must be f32 or bf16, it is: {other:?}"),
        };
        let is_finite = data.as_chunks::<2>().0.iter().all(|word| bf16::from_le_bytes(*word).is_finite());
        ensure!(is_finite, "a weight holds a value that is not finite: `{name}`");
        tensors.push((name, shape, data));
    }
    save(path, &tensors, Dtype::BF16)
}

fn save(path: &Path, tensors: &[(String, Vec<usize>, Vec<u8>)], dtype: Dtype) -> Result<()> {
    let views =
        tensors.iter().map(|(name, shape, bytes)| Ok((name.clone(), TensorView::new(dtype, shape.clone(), bytes)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    let beside = path.with_extension("partial");
    serialize_to_file(views, Some(metadata), &beside)
        .with_context(|| format!("cannot write the weights: `{}`", beside.display()))?;
    std::fs::rename(&beside, path).with_context(|| format!("cannot write the weights: `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_stays_under_sixteen_megabytes() {
        assert!(n_parameters() * 2 < 16_000_000, "{}", n_parameters());
    }

    #[test]
    fn initial_weights_are_the_same_for_a_seed_and_pack_to_bf16() {
        let folder = std::env::temp_dir().join(format!("lorikeet-weights-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        let [first, second, shipped] =
            ["a.safetensors", "b.safetensors", "c.safetensors"].map(|name| folder.join(name));
        write_initial(&first, 7).expect("writes");
        write_initial(&second, 7).expect("writes");
        write_shipped(&first, &shipped).expect("packs");
        let bytes = std::fs::read(&first).expect("reads");
        assert_eq!(bytes, std::fs::read(&second).expect("reads"));
        let file = SafeTensors::deserialize(&bytes).expect("is a safetensors file");
        let embedding = file.tensor("model.embed_tokens.weight").expect("has the embedding");
        let values: Vec<f32> =
            embedding.data().as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let deviation = (values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32).sqrt();
        assert!((deviation - INITIAL_DEVIATION).abs() < 2e-4, "{deviation}");
        assert!(std::fs::metadata(&shipped).expect("is there").len() < bytes.len() as u64 / 2 + 8_000);
        std::fs::remove_dir_all(folder).expect("clears up");
    }
}
