//! An adapter as mlx-lm keeps it: `adapters.safetensors` with both halves transposed, and `adapter_config.json` with the scale
//! as a direct multiplier.
//!
//! mlx-lm has one rank and one scale for all modules. Modules of a smaller rank are filled up with zeros, and a factor of their
//! own goes into B, which changes no product.

use std::{collections::BTreeSet, path::Path};

use serde_json::json;

use crate::{
    AdapterFiles, AdapterTensor, Architecture, ModelConfig, ModelError, Result, Update,
    adapter_files::{MLX_WEIGHTS, mlx_path},
    export::peft::write_tensors,
    save::{pretty, write_file},
};

/// Writes `adapter` over the base that `base` describes into `folder`, which exists. `model` is what the base is called.
///
/// # Errors
/// Where the adapter has parts that mlx-lm has no place for, or the disk refuses.
pub fn write_mlx(adapter: &AdapterFiles, base: &ModelConfig, model: &str, folder: &Path) -> Result<()> {
    let refuse = |problem: &str| {
        let (model_type, problem) = (base.model_type.clone(), problem.to_owned());
        Err(ModelError::Unsuited { model_type, problem })
    };
    let Architecture::Decoder(spec) = &base.architecture else {
        return refuse(
            "gives labels, and mlx-lm loads adapters of models that write only; export as `peft` or `merged`",
        );
    };
    if adapter.whole().next().is_some() {
        return refuse("whose adapter holds whole weights has no place in mlx-lm's form; export as `peft` or `merged`");
    }
    if adapter.updates().any(|update| update.magnitude.is_some()) {
        return refuse("with a DoRA adapter is not written in mlx-lm's form; export as `peft` or `merged`");
    }
    let rank = adapter.updates().map(|update| update.rank()).max().unwrap_or_default();
    let scale = adapter.updates().map(|update| update.scale).next().unwrap_or_default();
    let mut tensors = Vec::new();
    let mut keys = BTreeSet::new();
    for update in adapter.updates() {
        let module = mlx_path(update.module);
        keys.extend(in_block(&module).map(str::to_owned));
        let (a, b) = (filled_a(&update, rank), filled_b(&update, rank, scale));
        tensors.push((format!("{module}.lora_a"), a.dims, a.numbers));
        tensors.push((format!("{module}.lora_b"), b.dims, b.numbers));
    }
    let config = json!({
        "fine_tune_type": "lora",
        "model": model,
        "num_layers": spec.layers.len(),
        "lora_parameters": { "rank": rank, "scale": scale, "dropout": 0.0, "keys": keys },
    });
    write_file(&folder.join("adapter_config.json"), pretty(&config).as_bytes())?;
    write_tensors(&folder.join(MLX_WEIGHTS), tensors, "mlx")
}

/// What follows the number of a block: mlx-lm names modules inside one.
fn in_block(module: &str) -> Option<&str> {
    let mut parts = module.split('.');
    let number = parts.by_ref().position(|part| part.parse::<usize>().is_ok())?;
    module.splitn(number + 2, '.').last()
}

/// A (in, `rank`): transposed, with zeros behind the columns that are there.
fn filled_a(update: &Update<'_>, rank: usize) -> AdapterTensor {
    let (own, inside) = update.a.rows_and_columns();
    let mut numbers = update.a.numbers.clone();
    numbers.resize(rank.max(own) * inside, 0.0);
    AdapterTensor { dims: vec![rank.max(own), inside], numbers }.transposed()
}

/// B (`rank`, out): transposed, with zeros below the rows that are there, times the module's factor over `scale`.
fn filled_b(update: &Update<'_>, rank: usize, scale: f32) -> AdapterTensor {
    let mut b = update.b.transposed();
    let (own, out) = b.rows_and_columns();
    if update.scale != scale {
        b.numbers.iter_mut().for_each(|v| *v *= update.scale / scale);
    }
    b.numbers.resize(rank.max(own) * out, 0.0);
    AdapterTensor { dims: vec![rank.max(own), out], numbers: b.numbers }
}

#[cfg(test)]
mod tests {
    use super::in_block;

    #[test]
    fn modules_are_named_inside_their_block() {
        assert_eq!(in_block("model.layers.11.self_attn.q_proj"), Some("self_attn.q_proj"));
        assert_eq!(in_block("model.h.0.mlp.c_fc"), Some("mlp.c_fc"));
        assert_eq!(in_block("lm_head"), None);
    }
}
