//! A merged model, or an adapter alone, as a GGUF file: quantised once, from the 32-bit floats of the merge.
//!
//! A GGUF adapter has one alpha, and who loads it multiplies a module's update by alpha over that module's rank; a factor that
//! this does not yield goes into B, which changes no product.

use std::path::Path;

use lorikeet_gguf::Value as Field;
use lorikeet_kernels::{HostMatrix, Precision};

use super::Merged;
use crate::{
    AdapterFiles, ModelConfig, ModelError, Result,
    gguf::{GgufRecipe, GgufTensor, fields_of, write_adapter_tensors, write_gguf},
};

impl Merged {
    /// Writes the model to the file `path` in `recipe`, with `fields` (the vocabulary, names) in its metadata. `tell` hears
    /// how many tensors of how many are done, and ends the work by returning false. Returns each tensor's precision.
    ///
    /// # Errors
    /// Where GGUF has no such family here, the disk refuses, or the work was ended ([`ModelError::Stopped`]).
    pub fn write_gguf(
        &self,
        path: &Path,
        recipe: GgufRecipe,
        fields: Vec<(String, Field<'_>)>,
        tell: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Vec<(String, Precision)>> {
        let tied = self.config().raw.get("tie_word_embeddings").and_then(serde_json::Value::as_bool) == Some(true);
        // Buffers that some files carry, and a head that is the embedding again, are none of the model's weights.
        let is_weight = |name: &&str| !(name.ends_with("rotary_emb.inv_freq") || tied && name.starts_with("lm_head."));
        let tensors: Vec<GgufTensor> = self
            .names()
            .filter(is_weight)
            .map(|name| GgufTensor { name: name.to_owned(), dims: self.shape(name) })
            .collect();
        let (mut done, total) = (0, tensors.len() as u64);
        write_gguf(path, self.config(), fields, &tensors, recipe, |tensor| {
            done += 1;
            if !tell(done, total) {
                return Err(ModelError::Stopped);
            }
            let numbers = self.tensor(&tensor.name)?;
            let (rows, columns) = match tensor.dims.as_slice() {
                [rows, columns] => (*rows, *columns),
                _ => (1, numbers.len()),
            };
            Ok(HostMatrix::from_f32(&numbers, rows, columns)?)
        })
    }
}

/// Writes `adapter`, over the base that `base` describes and that is called `model`, to the file `path`.
///
/// # Errors
/// Where the adapter has parts that GGUF has no place for, or the disk refuses.
pub fn write_gguf_adapter(adapter: &AdapterFiles, base: &ModelConfig, model: &str, path: &Path) -> Result<()> {
    let refuse = |problem: &str| {
        let (model_type, problem) = (base.model_type.clone(), problem.to_owned());
        Err(ModelError::Unsuited { model_type, problem })
    };
    if adapter.whole().next().is_some() {
        return refuse(
            "whose adapter holds whole weights has no place in a GGUF adapter; export as `peft` or `merged`",
        );
    }
    if adapter.updates().any(|update| update.magnitude.is_some()) {
        return refuse("with a DoRA adapter is not written as a GGUF adapter; export as `merged` or `gguf`");
    }
    let alpha = adapter.updates().map(|update| update.scale * update.rank() as f32).next().unwrap_or_default();
    let mut tensors = Vec::new();
    for update in adapter.updates() {
        let (rank, inside) = update.a.rows_and_columns();
        let (out, _) = update.b.rows_and_columns();
        let own = update.scale * rank as f32;
        let b: Vec<f32> = match own == alpha {
            true => update.b.numbers.clone(),
            false => update.b.numbers.iter().map(|v| v * own / alpha).collect(),
        };
        let name = |half: &str| format!("{}.weight.{half}", update.module);
        tensors.push((name("lora_a"), HostMatrix::from_f32(&update.a.numbers, rank, inside)?));
        tensors.push((name("lora_b"), HostMatrix::from_f32(&b, out, rank)?));
    }
    let architecture = fields_of(&base.raw)?.into_iter().filter(|(key, _)| key == "general.architecture");
    let mut fields: Vec<(String, Field<'_>)> = architecture.collect();
    fields.push(("general.type".to_owned(), Field::text("adapter")));
    fields.push(("general.base_model.count".to_owned(), Field::U32(1)));
    fields.push(("general.base_model.0.name".to_owned(), Field::text(model)));
    fields.push(("adapter.type".to_owned(), Field::text("lora")));
    fields.push(("adapter.lora.alpha".to_owned(), Field::F32(alpha)));
    write_adapter_tensors(path, base, &fields, &tensors)
}
